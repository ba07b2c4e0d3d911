package project

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
)

// Project is the Go module, or the workspace of modules, that the program was called in.
type Project struct {
	Root    string   // folder of go.mod or go.work; the working folder where there is neither
	Module  bool     // there is a go.mod, or a go.work
	members []string // of a workspace, called outside of its modules: their folders, relative to root
}

func Find() (Project, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Project{}, fmt.Errorf("find the working folder: %w", err)
	}
	if root := harness.ModuleRoot(dir); root != "" {
		return Project{Root: root, Module: true}, nil
	}
	root, members, err := workspace(dir)
	if err != nil {
		return Project{}, err
	}
	if root != "" {
		return Project{root, true, members}, nil
	}
	return Project{Root: dir}, nil
}

// workspace finds the go.work of a folder, as the go command does. root is empty where
// there is none, or the environment says GOWORK=off.
func workspace(dir string) (root string, members []string, err error) {
	file := os.Getenv("GOWORK")
	for up := dir; file == ""; up = filepath.Dir(up) {
		if _, err := os.Stat(filepath.Join(up, "go.work")); err == nil {
			file = filepath.Join(up, "go.work")
		} else if up == filepath.Dir(up) {
			return "", nil, nil
		}
	}
	if file == "off" {
		return "", nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", nil, fmt.Errorf("read the workspace: %w", err)
	}
	work, err := modfile.ParseWork(file, text, nil)
	if err != nil {
		return "", nil, fmt.Errorf("read the workspace: %w", err)
	}
	for _, use := range work.Use {
		members = append(members, use.Path)
	}
	return filepath.Dir(file), members, nil
}

// Everything returns the patterns of all packages of the project.
func (p Project) Everything() ([]string, error) {
	if len(p.members) == 0 {
		return []string{"./..."}, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	var patterns []string
	for _, m := range p.members {
		if !filepath.IsAbs(m) {
			m = filepath.Join(p.Root, filepath.FromSlash(m))
		}
		rel, err := filepath.Rel(dir, m)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, "./"+filepath.ToSlash(filepath.Join(rel, "...")))
	}
	return patterns, nil
}

// Ours reports whether the project is this one: then the workloads of this program are
// what a plain run measures.
func (p Project) Ours() bool {
	text, err := os.ReadFile(filepath.Join(p.Root, "go.mod"))
	return err == nil && modfile.ModulePath(text) == HarnessModule
}

// Path makes a default path of the project absolute; a path that the user gave is
// relative to the working folder, as anywhere.
func (p Project) Path(given, standard string) string {
	if given != "" {
		return given
	}
	return filepath.Join(p.Root, filepath.FromSlash(standard))
}

// Revision is the commit of the tree, empty outside of git, and whether the tree
// has changes beyond it. What the program writes itself is no change: the folder
// .flujo, and the named files and folders, as far as git does not know them.
func (p Project) Revision(ctx context.Context, own ...string) (commit string, dirty bool) {
	head, err := p.Git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return "", false
	}
	top, err := p.Git(ctx, "rev-parse", "--show-cdup") // "../" for a folder in the tree, "" for its root
	if err != nil {
		return head, true
	}
	status, err := p.gitBytes(ctx, "status", "--porcelain", "-z", "--untracked-files=all")
	if err != nil {
		return head, true
	}
	own = slices.DeleteFunc(own, func(path string) bool { return within(p.Root, []string{path}) }) // the sources are in it as well
	own = append(own, filepath.Join(p.Root, ".flujo"))
	for change := range strings.SplitSeq(strings.TrimSuffix(string(status), "\x00"), "\x00") {
		file, untracked := strings.CutPrefix(change, "?? ")
		if change != "" && !(untracked && within(filepath.Join(p.Root, filepath.FromSlash(top), filepath.FromSlash(file)), own)) {
			return head, true
		}
	}
	return head, false
}

// within reports whether a file is one of others, or lies in one of them that is a folder.
func within(file string, others []string) bool {
	file = real(file)
	return slices.ContainsFunc(others, func(other string) bool {
		if other == "" || other == "-" {
			return false
		}
		rel, err := filepath.Rel(real(other), file)
		return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
	})
}

// real is an absolute path without links, as far as it exists.
func real(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// Branch is the one that CI says is tested, where a commit without one is checked out, else
// the one of the tree; "" where there is none.
func (p Project) Branch(ctx context.Context) string {
	if branch := CIIdentity(os.Getenv).Branch; branch != "" {
		return branch
	}
	branch, _ := p.Git(ctx, "symbolic-ref", "--quiet", "--short", "HEAD") // fails where there is none
	return branch
}

// OfAnother says so where what was recorded at a commit is not of the tree's; "" where it
// is, or where one of them is unknown.
func (p Project) OfAnother(ctx context.Context, recorded string) string {
	head, err := p.Git(ctx, "rev-parse", "HEAD")
	if recorded == "" || err != nil || strings.HasPrefix(head, recorded) {
		return ""
	}
	return fmt.Sprintf("it is of commit %.12s, and the tree at hand is at %.12s", recorded, head)
}

// Suite finds a package of tests and builds its program. It returns the package as
// a path of the module, such as "./flows".
func (p Project) Suite(ctx context.Context, pkg string) (string, error) {
	if !p.Module {
		return "", fmt.Errorf("--suite %s: there is no go.mod here or above", pkg)
	}
	list := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", pkg)
	dir, err := child.Output(list)
	if err != nil {
		return "", fmt.Errorf("--suite %s: %w", pkg, child.Explained(err))
	}
	rel, err := filepath.Rel(p.Root, strings.TrimSpace(string(dir)))
	if err != nil || strings.HasPrefix(rel, "..") || strings.Contains(rel, "\n") {
		return "", fmt.Errorf("--suite %s: name one package of this module", pkg)
	}
	suite := "./" + filepath.ToSlash(rel)
	return suite, p.BuildSuite(ctx, suite, p.Program(suite))
}

// BuildSuite builds the test program of a package of the module, "./flows", as a file.
func (p Project) BuildSuite(ctx context.Context, suite, program string) error {
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, suite)
	build.Dir = p.Root
	if out, err := child.CombinedOutput(build); err != nil {
		return fmt.Errorf("--suite %s: build its tests: %w\n%s", suite, err, out)
	}
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("--suite %s: it has no tests", suite)
	}
	return nil
}

// Program is where the test program of a suite is built.
func (p Project) Program(suite string) string {
	name := strings.ReplaceAll(strings.TrimPrefix(suite, "./"), "/", "-")
	return filepath.Join(p.Root, ".flujo", "suites", name+".test"+filepath.Ext(os.Args[0]))
}

// Commits is the source of the module as git has it.
type Commits struct{ Of Project }

var commitHash = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// File returns a file as it was at a commit.
func (c Commits) File(ctx context.Context, commit, path string) ([]byte, error) {
	if !commitHash.MatchString(commit) {
		return nil, fmt.Errorf("%q is no commit", commit)
	}
	text, err := c.Of.gitBytes(ctx, "show", commit+":./"+path)
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", path, commit, err)
	}
	return text, nil
}

func IsDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

const HarnessModule = "github.com/flujo/flujo-harness"
