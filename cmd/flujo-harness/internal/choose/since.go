package choose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/runner"
)

// Since returns the packages that depend on files changed since a revision: files that differ
// between its merge base with HEAD and the working tree, including untracked ones. A nil Only
// means all packages.
func Since(ctx context.Context, p project.Project, ref string, patterns, flags []string) (s Selection, err error) {
	of, err := p.CommitOf(ctx, ref)
	if err != nil {
		return s, err
	}
	base, err := p.Git(ctx, "merge-base", of.Commit, "HEAD")
	if err != nil {
		return s, fmt.Errorf("%s and HEAD have no common ancestor in this clone: where it is shallow, call git fetch --unshallow; else name a commit to compare with", reports.Visible(ref))
	}
	top, err := p.Git(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return s, err
	}
	var changed []string
	for _, args := range [][]string{{"diff", "--name-only", "--no-renames", "-z", base, "--"}, {"ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/"}} {
		out, err := p.Git(ctx, args...)
		if err != nil {
			return s, err
		}
		for name := range strings.SplitSeq(out, "\x00") {
			if name != "" {
				changed = append(changed, filepath.Join(top, filepath.FromSlash(name)))
			}
		}
	}
	s, err = Affected(ctx, p.Root, patterns, flags, changed)
	s.Text = fmt.Sprintf("%s since %.12s: %s", cli.Plural(int64(len(changed)), "file"), base, s.Text)
	return s, err
}

// listed is a package in the output of go list -deps -test.
type listed struct {
	ImportPath, Dir, ForTest string
	Deps                     []string
	Standard, Incomplete     bool // Incomplete: a dependency was not found
	Module                   *struct {
		Main bool
		Dir  string
	}
}

// Affected returns the packages whose tests depend on files, given as absolute paths. A file
// belongs to the package in its folder or, if that is none, in the nearest folder above, as files
// in testdata and embedded files do. A test file affects only its own package; go.mod and similar
// files affect all packages. A file without such a package, as the README of a module without Go
// files in its root, affects none.
func Affected(ctx context.Context, root string, patterns, flags, files []string) (s Selection, err error) {
	all, err := list(ctx, patterns, flags)
	if err != nil {
		return s, err
	}
	real := func(path string) string {
		for dir, rest := path, ""; ; { // a deleted file's folder may be deleted too
			if found, err := filepath.EvalSymlinks(dir); err == nil {
				return filepath.Join(found, rest)
			}
			if dir == filepath.Dir(dir) {
				return path
			}
			dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest)
		}
	}
	folders, modules := map[string]string{}, map[string]bool{real(root): true}
	for _, pkg := range all {
		if !pkg.Standard && pkg.ForTest == "" && pkg.Dir != "" && !strings.HasSuffix(pkg.ImportPath, ".test") {
			folders[real(pkg.Dir)] = plain(pkg.ImportPath)
		}
		if pkg.Module != nil && pkg.Module.Main && pkg.Module.Dir != "" {
			modules[real(pkg.Module.Dir)] = true
		}
	}
	changed, tested := map[string]bool{}, map[string]bool{} // changed packages, and packages of which only tests changed
	for _, pkg := range all {
		if pkg.Incomplete { // its dependencies are not fully known
			changed[plain(pkg.ImportPath)] = true
		}
	}
	for _, file := range files {
		file = real(file)
		dir, name := filepath.Dir(file), filepath.Base(file)
		if slices.Contains([]string{"go.mod", "go.sum", "go.work", "go.work.sum"}, name) && (modules[dir] || strings.HasPrefix(name, "go.work")) || name == "modules.txt" && filepath.Base(dir) == "vendor" {
			s.Text = fmt.Sprintf("%s changed, so all packages", name)
			return s, nil
		}
		for at := dir; ; at = filepath.Dir(at) {
			if pkg, ok := folders[at]; ok {
				if at == dir && strings.HasSuffix(name, "_test.go") {
					tested[pkg] = true
				} else {
					changed[pkg] = true
				}
				break
			}
			if at == filepath.Dir(at) {
				break
			}
		}
	}
	s.Only = map[string]runner.Only{}
	tests := 0
	for _, pkg := range all {
		own, ok := strings.CutSuffix(pkg.ImportPath, ".test") // the package's test binary
		if !ok {
			continue
		}
		tests++
		if tested[own] || changed[own] || slices.ContainsFunc(pkg.Deps, func(dep string) bool { return changed[plain(dep)] }) {
			s.Only[own] = runner.Only{}
		}
	}
	s.Text = fmt.Sprintf("%d of %s with tests", len(s.Only), cli.Plural(int64(tests), "package"))
	if names := slices.Sorted(maps.Keys(s.Only)); len(names) > 0 && len(names) <= 5 {
		s.Text += ": " + strings.Join(names, ", ")
	}
	return s, nil
}

// plain returns an import path without the suffix for the test that the package is compiled for.
func plain(path string) string {
	path, _, _ = strings.Cut(path, " ")
	return path
}

// list runs go list for packages, their tests and all their dependencies.
func list(ctx context.Context, patterns, flags []string) (all []listed, err error) {
	args := append([]string{"list", "-e", "-deps", "-test", "-json=ImportPath,Dir,ForTest,Deps,Standard,Incomplete,Module"}, runner.ListFlags(flags)...)
	out, err := child.Output(exec.CommandContext(ctx, "go", append(append(args, "--"), patterns...)...))
	if err != nil {
		return nil, fmt.Errorf("list packages %s: %w", strings.Join(patterns, " "), child.Explained(err))
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg listed
		if err := d.Decode(&pkg); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("list packages: %w", err)
		}
		all = append(all, pkg)
	}
}
