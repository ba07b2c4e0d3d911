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

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/workdir"
)

// Project is the Go module or workspace that the program was called in.
type Project struct {
	Root    string   // folder of go.mod or go.work, otherwise the working folder
	Module  bool     // there is a go.mod or a go.work
	members []string // folders of the workspace's modules, relative to Root, if the program was called outside of them
}

// Find finds the project of the working folder.
func Find() (Project, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Project{}, fmt.Errorf("find the working folder: %w", err)
	}
	if root := workdir.ModuleRoot(dir); root != "" {
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

// workspace finds the go.work file of a folder as the go command does. root is empty if there is
// none, or if GOWORK=off.
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
		return "", nil, fmt.Errorf("read workspace: %w", err)
	}
	work, err := modfile.ParseWork(file, text, nil)
	if err != nil {
		return "", nil, fmt.Errorf("parse workspace: %w", err)
	}
	for _, use := range work.Use {
		members = append(members, use.Path)
	}
	return filepath.Dir(file), members, nil
}

// Everything returns package patterns that match all packages of the project.
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

// IsHarness reports whether the project is flujo-harness itself, where run without arguments
// measures the built-in workloads.
func (p Project) IsHarness() bool {
	text, err := os.ReadFile(filepath.Join(p.Root, "go.mod"))
	return err == nil && modfile.ModulePath(text) == HarnessModule
}

// Path returns the path that the user gave, relative to the working folder, or else the default
// path, which is relative to the project.
func (p Project) Path(given, standard string) string {
	if given != "" {
		return given
	}
	return filepath.Join(p.Root, filepath.FromSlash(standard))
}

// History returns the path of the history that --db names, or else of the project's own.
func (p Project) History(db string) string { return p.Path(db, ".flujo/history.db") }

// Revision returns the commit of the work tree, "" outside of git, and whether the work tree has
// uncommitted changes. The program's own output does not count as a change: untracked files in
// the folder .flujo and in the given files and folders.
func (p Project) Revision(ctx context.Context, own ...string) (commit string, dirty bool) {
	head, err := p.Git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return "", false
	}
	top, err := p.Git(ctx, "rev-parse", "--show-cdup") // "../" in a subfolder, "" in the root
	if err != nil {
		return head, true
	}
	status, err := p.gitBytes(ctx, "status", "--porcelain", "-z", "--untracked-files=all")
	if err != nil {
		return head, true
	}
	own = slices.DeleteFunc(own, func(path string) bool { return within(p.Root, []string{path}) }) // a folder that contains the project also contains its sources
	own = append(own, filepath.Join(p.Root, ".flujo"))
	for change := range strings.SplitSeq(strings.TrimSuffix(string(status), "\x00"), "\x00") {
		file, untracked := strings.CutPrefix(change, "?? ")
		if change != "" && !(untracked && within(filepath.Join(p.Root, filepath.FromSlash(top), filepath.FromSlash(file)), own)) {
			return head, true
		}
	}
	return head, false
}

// within reports whether a file is one of others or inside one of them.
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

// real returns the absolute path, with symbolic links resolved in the part that exists.
func real(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// Branch returns the branch under test according to CI, which often checks out a detached
// commit, or else the branch of the work tree. It is "" if there is none.
func (p Project) Branch(ctx context.Context) string {
	if branch := CIIdentity(os.Getenv).Branch; branch != "" {
		return branch
	}
	branch, _ := p.Git(ctx, "symbolic-ref", "--quiet", "--short", "HEAD") // fails for a detached HEAD
	return branch
}

// OtherCommit returns a note if a recording was made at another commit than that of the work
// tree, and "" if it was not, or if one of the commits is unknown.
func (p Project) OtherCommit(ctx context.Context, recorded string) string {
	head, err := p.Git(ctx, "rev-parse", "HEAD")
	if recorded == "" || err != nil || strings.HasPrefix(head, recorded) {
		return ""
	}
	return fmt.Sprintf("it was recorded at commit %.12s, but the work tree is at %.12s", recorded, head)
}

// Suite builds the test program of a package and returns the package's path relative to the
// project, such as "./flows".
func (p Project) Suite(ctx context.Context, pkg string) (string, error) {
	if !p.Module {
		return "", fmt.Errorf("--suite %s: no go.mod in this folder or above", pkg)
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

// BuildSuite builds the test program of a package, such as "./flows", as the file program. It omits
// debug information, which no session needs, and does not vet: the tests of the package do.
func (p Project) BuildSuite(ctx context.Context, suite, program string) error {
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-o", program, suite)
	build.Dir = p.Root
	if out, err := child.CombinedOutput(build); err != nil {
		return fmt.Errorf("--suite %s: build tests: %w\n%s", suite, err, out)
	}
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("--suite %s: the package has no tests", suite)
	}
	return nil
}

// Program returns the file that the test program of a suite is built as.
func (p Project) Program(suite string) string {
	name := strings.ReplaceAll(strings.TrimPrefix(suite, "./"), "/", "-")
	return filepath.Join(p.Root, ".flujo", "suites", name+".test"+child.Suffix())
}

// Commits reads source files of the project from git. It implements analysis.Source.
type Commits struct{ Project Project }

var commitHash = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// File returns the content of a file at a commit. path is relative to the project.
func (c Commits) File(ctx context.Context, commit, path string) ([]byte, error) {
	if !commitHash.MatchString(commit) {
		return nil, fmt.Errorf("%q is not a commit", commit)
	}
	text, err := c.Project.gitBytes(ctx, "show", commit+":./"+path)
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", path, commit, err)
	}
	return text, nil
}

// IsDir reports whether path is an existing folder.
func IsDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// HarnessModule is the module path of this program.
const HarnessModule = "github.com/flujo/flujo-harness"
