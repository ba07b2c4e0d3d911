package scaffold

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
)

// gitlabInclude is the file for the job if the module already has another .gitlab-ci.yml.
const gitlabInclude = ".gitlab/flujo-harness.yml"

// hasOwnGitLab reports whether there is a .gitlab-ci.yml that init did not write.
func (s *scaffold) hasOwnGitLab() bool {
	own := scaffoldFile{path: ".gitlab-ci.yml", template: "gitlab.yml"}
	return s.compare(&own) == nil && own.state == fileKept
}

// found returns the CI systems that the repository uses, according to its files and the addresses
// of its remotes.
func (s *scaffold) found(ctx context.Context) (all []string) {
	remotes, _ := s.project.Git(ctx, "remote", "-v") // fails outside of git
	for _, ci := range []struct{ name, file string }{{"github", ".github"}, {"gitlab", ".gitlab-ci.yml"}} {
		if _, err := os.Stat(filepath.Join(s.project.Root, ci.file)); err == nil || strings.Contains(remotes, ci.name) {
			all = append(all, ci.name)
		}
	}
	return all
}

// tool returns the command by which the workflows run this program.
func (s *scaffold) tool() string {
	if slices.ContainsFunc(s.mod.Tool, func(t struct{ Path string }) bool { return t.Path == harnessTool }) {
		return "go tool flujo-harness"
	}
	return "flujo-harness"
}

// install returns the command that installs the program, or "" if go.mod has it as a tool.
func (s *scaffold) install() string {
	if s.tool() != "flujo-harness" {
		return ""
	}
	version := "latest"
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") && !strings.Contains(info.Main.Version, "+") {
		version = info.Main.Version
	}
	return "go install " + harnessTool + "@" + version
}

// limits reports whether the module has a folder for limits, which means that it has
// measurements.
func (s *scaffold) limits() bool {
	return project.IsDir(filepath.Join(s.project.Root, "thresholds", "limits"))
}

// benchmarks reports whether the module has benchmarks that can be compared.
func (s *scaffold) benchmarks() (found bool) {
	_ = filepath.WalkDir(s.project.Root, func(path string, e fs.DirEntry, err error) error {
		name := e.Name()
		switch {
		case err != nil || found:
			return fs.SkipAll // an unreadable folder ends the search
		case e.IsDir() && path != s.project.Root && (name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")):
			return fs.SkipDir
		case !e.IsDir() && strings.HasSuffix(name, "_test.go"):
			text, err := os.ReadFile(path)
			found = err == nil && benchmark.Match(text)
		}
		return nil
	})
	return found
}

var benchmark = regexp.MustCompile(`(?m)^func Benchmark([^a-z\s(]\w*)?\(\w+ \*testing\.B\)`)

// ignore returns .gitignore with the missing lines for files that runs leave in the module.
func (s *scaffold) ignore() (scaffoldFile, error) {
	f := scaffoldFile{path: ".gitignore", state: fileUnchanged}
	text, err := os.ReadFile(s.at(f))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	var lacks []string
	for _, line := range []string{".flujo/"} {
		if !ignores(text, line) {
			lacks = append(lacks, line)
		}
	}
	if len(lacks) == 0 {
		return f, nil
	}
	f.state = fileWritten
	if len(text) > 0 {
		f.note = "added " + strings.Join(lacks, " and ")
		if !bytes.HasSuffix(text, []byte("\n")) {
			text = append(text, '\n')
		}
	}
	f.text = append(text, strings.Join(lacks, "\n")+"\n"...)
	return f, nil
}

// ignores reports whether a .gitignore has the line, with or without slashes around it.
func ignores(text []byte, line string) bool {
	for there := range strings.Lines(string(text)) {
		if strings.Trim(strings.TrimSpace(there), "/") == strings.Trim(line, "/") {
			return true
		}
	}
	return false
}
