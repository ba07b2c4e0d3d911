package project

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness/child"
)

// repository creates a git repository with two commits and a remote without fetched branches. It
// returns the first commit.
func repository(t *testing.T) (p Project, first, second string) {
	t.Helper()
	p = Project{Root: t.TempDir()}
	for name, value := range map[string]string{"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.com", "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.com"} {
		t.Setenv(name, value)
	}
	git(t, p, "init", "-q", "-b", "main")
	commit := func(text string) string {
		if err := os.WriteFile(filepath.Join(p.Root, "limit"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		git(t, p, "add", ".")
		git(t, p, "commit", "-q", "-m", text)
		return git(t, p, "rev-parse", "HEAD")
	}
	first, second = commit("tight"), commit("loose")
	git(t, p, "remote", "add", "origin", p.Root)
	return p, first, second
}

func git(t *testing.T, p Project, args ...string) string {
	t.Helper()
	out, err := p.Git(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A change under test could add a ref that gives the name of the base another meaning. Such
// names are refused, and the error lists the full names.
func TestRevisionsAreNotResolvedByOthers(t *testing.T) {
	p, first, second := repository(t)
	git(t, p, "update-ref", "refs/remotes/origin/main", first)
	for name, tc := range map[string]struct {
		refs  []string // refs to create at the second commit
		asked string
		want  string // substring of the error; "" if the first commit must be found
	}{
		"the branch of the remote":              {nil, "origin/main", ""},
		"its full name":                         {[]string{"refs/tags/origin/main", "refs/heads/origin/main"}, "refs/remotes/origin/main", ""},
		"its short full name":                   {[]string{"refs/tags/origin/main"}, "remotes/origin/main", ""},
		"a commit":                              {[]string{"refs/heads/" + first}, first, ""},
		"a short commit":                        {nil, first[:9], ""},
		"also a tag":                            {[]string{"refs/tags/origin/main"}, "origin/main", "refs/remotes/origin/main and refs/tags/origin/main"},
		"also a branch":                         {[]string{"refs/heads/origin/main"}, "origin/main", "refs/heads/origin/main and refs/remotes/origin/main"},
		"ancestor of a name that is also a tag": {[]string{"refs/tags/origin/main"}, "origin/main~0", "ambiguous"},
		"a branch and a tag":                    {[]string{"refs/tags/main"}, "main", "refs/heads/main and refs/tags/main"},
		"a branch like a commit":                {[]string{"refs/heads/" + first[:9]}, first[:9], "refs/heads/" + first[:9] + " and " + first},
		"a tag for a remote's branch":           {[]string{"refs/tags/origin/next"}, "origin/next", "refs/tags/origin/next here, not a branch of the remote origin"},
		"a branch for a remote's branch":        {[]string{"refs/heads/origin/next"}, "origin/next", "git fetch origin next:refs/remotes/origin/next"},
		"nothing":                               {nil, "nowhere", `no revision "nowhere"`},
		"a flag":                                {nil, "--all", "dash"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ref := range tc.refs {
				git(t, p, "update-ref", ref, second)
				defer git(t, p, "update-ref", "-d", ref)
			}
			got, err := p.CommitOf(t.Context(), tc.asked)
			switch {
			case tc.want == "" && (err != nil || got.Commit != first):
				t.Errorf("%v, error %v, want commit %s", got, err, first)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%v, error %v, want %q", got, err, tc.want)
			}
		})
	}
}

// Replace refs and grafts in the clone do not change what a commit contains.
func TestReplacedCommitsAreNotRead(t *testing.T) {
	p, first, second := repository(t)
	git(t, p, "replace", first, second)
	if text := git(t, p, "cat-file", "blob", first+":limit"); text != "tight" {
		t.Errorf("%q: want the content of the first commit", text)
	}
	git(t, p, "replace", "-d", first)
	grafts := filepath.Join(p.Root, ".git", "info", "grafts")
	if err := os.WriteFile(grafts, []byte(second+"\n"), 0o644); err != nil { // a graft without a parent
		t.Fatal(err)
	}
	if got, err := p.CommitOf(t.Context(), "main~1"); err != nil || got.Commit != first {
		t.Errorf("%v, error %v, want %s", got, err, first)
	}
}

// Untracked files that a run wrote do not make the work tree dirty; other files and tracked files
// do.
func TestOwnOutputsAreNoChanges(t *testing.T) {
	p, _, _ := repository(t)
	write := func(name string) {
		t.Helper()
		path := filepath.Join(p.Root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	own := []string{filepath.Join(p.Root, "h.db"), filepath.Join(p.Root, "h.db-wal"), filepath.Join(p.Root, "page"), "", "-", p.Root, filepath.Dir(p.Root)}
	dirty := func() bool {
		t.Helper()
		commit, dirty := p.Revision(t.Context(), own...)
		if commit == "" {
			t.Fatal("no commit")
		}
		return dirty
	}
	for _, name := range []string{".flujo/history.db", ".flujo/report/index.html", "h.db", "h.db-wal", "page/a/index.html"} {
		write(name)
		if dirty() {
			t.Fatalf("%s is a change", name)
		}
	}
	for _, name := range []string{"reports/a.go", "pages", "h.db2", "limit"} {
		write(name)
		if !dirty() {
			t.Errorf("%s is no change", name)
		}
		if name == "limit" {
			continue
		}
		if err := os.Remove(filepath.Join(p.Root, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
	git(t, p, "checkout", "-q", "limit")
	git(t, p, "add", "-f", "page")
	if !dirty() {
		t.Error("a change of a tracked file was ignored")
	}
}

// The branch is the one of the CI variables, otherwise that of the work tree. A tag or a detached
// commit has none.
func TestBranch(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	for _, name := range []string{"CI", "GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_HEAD_REF", "GITHUB_REF_NAME", "GITHUB_SERVER_URL"} {
		t.Setenv(name, "")
	}
	p := Project{Root: t.TempDir()}
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)
		if _, err := p.Git(t.Context(), args...); err != nil {
			t.Fatal(child.Explained(err))
		}
	}
	git("init", "-q", "-b", "rooms")
	git("commit", "-q", "--allow-empty", "-m", "one")
	if got := p.Branch(t.Context()); got != "rooms" {
		t.Errorf("branch %q, want the branch of the work tree", got)
	}
	git("checkout", "-q", "--detach")
	if got := p.Branch(t.Context()); got != "" {
		t.Errorf("branch %q of a commit", got)
	}
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_REF_NAME", "7/merge")
	t.Setenv("GITHUB_HEAD_REF", "doors")
	if got := p.Branch(t.Context()); got != "doors" {
		t.Errorf("branch %q, want the branch of the pull request", got)
	}
}
