package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// project is the Go module that the program was called in.
type project struct {
	root   string // folder of go.mod; the working folder where there is none
	module bool   // there is a go.mod
}

func findProject() (project, error) {
	dir, err := os.Getwd()
	if err != nil {
		return project{}, fmt.Errorf("find the working folder: %w", err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return project{d, true}, nil
		}
		if d == filepath.Dir(d) {
			return project{root: dir}, nil
		}
	}
}

// path makes a default path of the project absolute; a path that the user gave is
// relative to the working folder, as anywhere.
func (p project) path(given, standard string) string {
	if given != "" {
		return given
	}
	return filepath.Join(p.root, filepath.FromSlash(standard))
}

// short writes a path below the working folder relative to it, for reading.
func short(path string) string {
	if dir, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return path
}

// revision is the commit of the tree, empty outside of git, and whether the tree
// has changes beyond it.
func (p project) revision(ctx context.Context) (commit string, dirty bool) {
	head, err := p.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return "", false
	}
	status, err := p.git(ctx, "status", "--porcelain")
	return head, err != nil || status != ""
}

func (p project) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = p.root
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// scratch makes a folder for databases under measurement, on the disk of the
// project and not in a temporary folder that may be memory.
func (p project) scratch() (dir string, remove func() error, err error) {
	base := filepath.Join(p.root, ".flujo")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", nil, fmt.Errorf("make a folder to measure in: %w", err)
	}
	// Git must not see it in a project that has not heard of us.
	ignore := filepath.Join(base, ".gitignore")
	if _, err := os.Stat(ignore); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(ignore, []byte("*\n"), 0o644); err != nil {
			return "", nil, fmt.Errorf("make a folder to measure in: %w", err)
		}
	}
	// What killed processes left behind. No measurement takes a day.
	old, err := filepath.Glob(filepath.Join(base, "measure-*"))
	if err != nil {
		return "", nil, err
	}
	for _, left := range old {
		if info, err := os.Stat(left); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			if err := os.RemoveAll(left); err != nil {
				return "", nil, fmt.Errorf("remove what a killed measurement left: %w", err)
			}
		}
	}
	dir, err = os.MkdirTemp(base, "measure-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder to measure in: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}
