package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ModuleRoot is the folder of the go.mod of a folder; "" where there is none.
func ModuleRoot(dir string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// Scratch makes a folder for databases under measurement in root/.flujo: on the disk
// of the project, and not in a temporary folder that may be memory.
func Scratch(root string) (dir string, remove func() error, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make a folder to measure in: %w", err)
		}
	}()
	base, err := Folder(root)
	if err != nil {
		return "", nil, err
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
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// Folder makes the folder of a module for all that is kept on this machine only. Git
// does not see it, in a project that has not heard of us either.
func Folder(root string) (string, error) {
	base := filepath.Join(root, ".flujo")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", err
	}
	ignore := filepath.Join(base, ".gitignore")
	if _, err := os.Stat(ignore); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(ignore, []byte("*\n"), 0o644); err != nil {
			return "", err
		}
	}
	return base, nil
}
