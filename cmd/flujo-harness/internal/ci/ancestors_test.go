package ci

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
)

// clone is a repository for git commands.
type clone struct {
	t   *testing.T
	dir string
}

func (c clone) try(_ context.Context, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func (c clone) git(args ...string) string {
	c.t.Helper()
	out, err := c.try(c.t.Context(), args...)
	if err != nil {
		c.t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func (c clone) commit(message string) string {
	c.t.Helper()
	c.git("commit", "--quiet", "--allow-empty", "-m", message)
	return c.git("rev-parse", "HEAD")
}

func TestAncestors(t *testing.T) {
	origin := clone{t, t.TempDir()}
	origin.git("init", "--quiet", "-b", "main")
	a := origin.commit("a")
	b := origin.commit("b")
	origin.git("checkout", "--quiet", "-b", "x")
	x1 := origin.commit("x1")
	x2 := origin.commit("x2")
	origin.git("checkout", "--quiet", "main")
	c := origin.commit("c")
	origin.git("checkout", "--quiet", "-b", "pull", "main")
	origin.git("merge", "--quiet", "--no-ff", "-m", "merge", "x")
	merged := origin.git("rev-parse", "HEAD")
	origin.git("checkout", "--quiet", "--orphan", "unrelated")
	u := origin.commit("u")

	whole := clone{t, filepath.Join(t.TempDir(), "whole")}
	origin.git("clone", "--quiet", "file://"+origin.dir, whole.dir)
	shallow := clone{t, filepath.Join(t.TempDir(), "shallow")}
	origin.git("clone", "--quiet", "--depth=1", "--branch=x", "file://"+origin.dir, shallow.dir)
	pull := clone{t, filepath.Join(t.TempDir(), "pull")}
	origin.git("clone", "--quiet", "--depth=1", "--branch=pull", "file://"+origin.dir, pull.dir)
	both := clone{t, filepath.Join(t.TempDir(), "both")}
	origin.git("clone", "--quiet", "--depth=1", "--no-single-branch", "file://"+origin.dir, both.dir)

	for name, tt := range map[string]struct {
		in      clone
		commit  string
		branch  string
		base    string
		merged  bool
		want    []string
		problem string
	}{
		"a branch":                            {in: whole, commit: x2, branch: "x", base: "main", want: []string{b, a}},
		"its first commit":                    {in: whole, commit: x1, branch: "x", base: "main", want: []string{b, a}},
		"main":                                {in: whole, commit: c, branch: "main", base: "main", want: []string{b, a}},
		"no base branch":                      {in: whole, commit: x2, branch: "x", want: []string{x1, b, a}},
		"the first commit":                    {in: whole, commit: a, branch: "main", base: "main"},
		"a branch without commits":            {in: whole, commit: c, branch: "y", base: "main", want: []string{b, a}},
		"the merge of a pull request":         {in: whole, commit: merged, branch: "x", base: "main", merged: true, want: []string{c, b, a}},
		"the same in a shallow clone":         {in: pull, commit: merged, branch: "x", base: "main", merged: true, want: []string{c}, problem: "shallow"},
		"a shallow clone of both":             {in: both, commit: x2, branch: "x", base: "main", problem: "git fetch --unshallow origin"},
		"a shallow clone without the base":    {in: shallow, commit: x2, branch: "x", base: "main", problem: "git fetch origin main:refs/remotes/origin/main"},
		"unrelated histories":                 {in: whole, commit: u, branch: "unrelated", base: "main", problem: "unrelated"},
		"a base that nobody knows":            {in: whole, commit: x2, branch: "x", base: "trunk", problem: "branch trunk is not in this clone"},
		"a commit that is not in the clone":   {in: shallow, commit: c, branch: "x", base: "main", problem: "is not in this clone"},
		"what is no commit":                   {in: whole, commit: "--all", branch: "x", base: "main"},
		"a base branch that begins as a flag": {in: whole, commit: x2, branch: "x", base: "--output=/x", problem: "is not in this clone"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Ancestors(t.Context(), tt.in.try, tt.commit, tt.branch, tt.base, tt.merged)
			if len(got.Commits) != len(tt.want) {
				t.Fatalf("%v, want %v: %s", got.Commits, tt.want, got.Problem)
			}
			for i := range tt.want {
				if !reports.SameCommit(got.Commits[i], tt.want[i]) {
					t.Errorf("%v, want %v", got.Commits, tt.want)
				}
			}
			if (got.Problem == "") != (tt.problem == "") || !strings.Contains(got.Problem, tt.problem) {
				t.Errorf("problem %q, want %q", got.Problem, tt.problem)
			}
		})
	}
	if got := DefaultBranch(t.Context(), whole.try); got != "main" && got != "unrelated" {
		t.Errorf("default branch %q", got)
	}
	whole.git("remote", "set-head", "origin", "x")
	if got := DefaultBranch(t.Context(), whole.try); got != "x" {
		t.Errorf("default branch %q, want that of the remote", got)
	}
}
