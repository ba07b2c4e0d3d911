package store_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/store"
	"github.com/flujo/flujo-harness/reports/store/storetest"
)

// With many runs: go test ./reports/store/... -run TestManyJobs -campaign 2300 -v
var campaign = flag.Int("campaign", 0, "send 1,000 runs of so many specs by 50 jobs at once")

func open(t *testing.T, path string) *history.History {
	t.Helper()
	h, err := history.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

type opener = func(context.Context) (store.Store, error)

func at(address string) opener {
	return func(ctx context.Context) (store.Store, error) { return store.Open(ctx, address, store.Options{}) }
}

// bare creates a bare repository and returns its path.
func bare(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "remote.git")
	git(t, ".", "init", "--quiet", "--bare", path)
	return path
}

func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x@x", "GIT_COMMITTER_NAME=x", "GIT_COMMITTER_EMAIL=x@x", "GIT_CONFIG_GLOBAL="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func stores(t testing.TB) map[string]opener {
	return map[string]opener{"file": at("file://" + filepath.ToSlash(filepath.Join(t.TempDir(), "store"))), "git": at("git:" + bare(t))}
}

func TestStores(t *testing.T) {
	for kind, open := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if err := storetest.Test(t.Context(), open); err != nil {
				t.Error(err)
			}
		})
	}
}

// Outside of a git clone the store accepts the address of a remote, but not a name.
func TestGitOutsideOfAClone(t *testing.T) {
	remote, dir := bare(t), t.TempDir()
	s, err := store.Open(t.Context(), "git:"+remote, store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, err := range s.List(t.Context()) {
		t.Errorf("%s, error %v: the remote is empty", name, err)
	}
	if _, err := store.Open(t.Context(), "git:origin", store.Options{Dir: dir}); !errors.As(err, new(*store.AddressError)) {
		t.Errorf("a named remote outside of a clone: %v", err)
	}
}

func TestManyJobs(t *testing.T) {
	for kind, open := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			jobs, runs, specs := 8, 2, 3
			if *campaign > 0 {
				jobs, runs, specs = 50, 20, *campaign
			}
			c, err := storetest.Jobs(t.Context(), t.TempDir(), open, jobs, runs, specs)
			if err != nil || c.Lost != 0 {
				t.Fatalf("%v: %v", c, err)
			}
			t.Logf("%d jobs at once: %v", jobs, c)
		})
	}
}

// Every CI job sends an object, so its size matters.
func TestObjectOf2300SpecsIsSmall(t *testing.T) {
	_, object, err := store.Encode(storetest.Run(7, 2300))
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d bytes", len(object)); len(object) > 100_000 {
		t.Errorf("an object has %d bytes, want 100,000 at most", len(object))
	}
}

func commitsOf(t *testing.T, h *history.History) (commits []string) {
	t.Helper()
	if err := h.Each(t.Context(), func(r reports.Run) error { commits = append(commits, r.Commit[:6]); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(commits)
	return commits
}

// counting counts the objects that are put and got.
type counting struct {
	store.Store
	put, got int
}

func (c *counting) Put(ctx context.Context, name string, object []byte) (bool, error) {
	c.put++
	return c.Store.Put(ctx, name, object)
}

func (c *counting) Get(ctx context.Context, name string) ([]byte, error) {
	c.got++
	return c.Store.Get(ctx, name)
}

// Each run is sent once and read once per machine, even after runs were pruned and objects combined.
func TestSyncSendsAndReadsEachRunOnce(t *testing.T) {
	folder, err := store.OpenFolder(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	s := &counting{Store: folder}
	a, b := open(t, filepath.Join(t.TempDir(), "a.db")), open(t, filepath.Join(t.TempDir(), "b.db"))
	sync := func(what string, h *history.History, sent, taken, put, got int) {
		t.Helper()
		s.put, s.got = 0, 0
		done, err := store.Sync(t.Context(), h, s)
		if diff := cmp.Diff([]int{sent, taken, put, got}, []int{done.Sent, done.Taken, s.put, s.got}); err != nil || len(done.Refused) > 0 || diff != "" {
			t.Errorf("%s: sent, taken, put, got: %s%v %v", what, diff, err, done.Refused)
		}
	}
	for i := range 6 {
		if _, err := a.Append(t.Context(), storetest.Run(i, 3)); err != nil {
			t.Fatal(err)
		}
	}
	sync("a sends", a, 6, 0, 6, 0)
	sync("a again", a, 0, 0, 0, 0)
	sync("b takes", b, 0, 6, 0, 6)
	sync("b again", b, 0, 0, 0, 0)
	if diff := cmp.Diff(commitsOf(t, a), commitsOf(t, b)); diff != "" {
		t.Error(diff)
	}
	if _, err := b.Prune(t.Context(), history.Retention{Newest: 2}); err != nil {
		t.Fatal(err)
	}
	sync("b after a prune", b, 0, 0, 0, 0)
	if done, err := store.Compact(t.Context(), s, storetest.Run(5, 1).Started); err != nil || done.Joined != 5 || done.Packs != 1 {
		t.Errorf("compact: %+v, %v", done, err)
	}
	sync("a after a compaction", a, 0, 0, 0, 1)
	sync("a after that", a, 0, 0, 0, 0)
	sync("b after a compaction", b, 0, 0, 0, 1)
	if n := len(commitsOf(t, b)); n != 2 {
		t.Errorf("b has %d runs, want 2", n)
	}
	if _, err := b.Append(t.Context(), storetest.Run(9, 3)); err != nil {
		t.Fatal(err)
	}
	sync("b sends one more", b, 1, 0, 1, 0)
	c := open(t, filepath.Join(t.TempDir(), "c.db"))
	sync("c takes all", c, 0, 7, 0, 3)
	if _, _, err := c.Merge(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	sync("c after a merge", c, 0, 0, 0, 0)
}

// If a store lost objects, the next machine whose history contains the runs sends them again.
func TestSyncSendsLostObjectsAgain(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	if _, err := h.Append(t.Context(), storetest.Run(1, 3)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, err := store.OpenFolder(filepath.Join(t.TempDir(), "store"))
		if err != nil {
			t.Fatal(err)
		}
		if done, err := store.Sync(t.Context(), h, s); err != nil || done.Sent != 1 {
			t.Errorf("%+v, %v", done, err)
		}
	}
}

// Two machines that compact and one that sends at the same time lose no run.
func TestCompactAtOnceLosesNothing(t *testing.T) {
	for kind, openStore := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			const before, after = 20, 6
			s, err := openStore(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			h := open(t, filepath.Join(t.TempDir(), "h.db"))
			add := func(from, to int) {
				for i := from; i < to; i++ {
					if _, err := h.Append(t.Context(), storetest.Run(i, 2)); err != nil {
						t.Error(err)
					}
				}
				if _, err := store.NewSyncer(h, s).Push(t.Context()); err != nil {
					t.Error(err)
				}
			}
			add(0, before)
			errs := make(chan error)
			for range 3 {
				go func() {
					s, err := openStore(t.Context())
					if err == nil {
						_, err = store.Compact(t.Context(), s, storetest.Run(10_000, 1).Started)
						err = errors.Join(err, s.Close())
					}
					errs <- err
				}()
			}
			for i := range after {
				add(before+i, before+i+1)
			}
			for range 3 {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
			all := open(t, filepath.Join(t.TempDir(), "all.db"))
			if done, err := store.Sync(t.Context(), all, s); err != nil || len(done.Refused) > 0 || len(commitsOf(t, all)) != before+after {
				t.Errorf("%d of %d runs: %+v, %v", len(commitsOf(t, all)), before+after, done, err)
			}
			n := 0
			for range s.List(t.Context()) {
				n++
			}
			if n > after+3 {
				t.Errorf("%d objects are left of %d runs", n, before+after)
			}
		})
	}
}

// unreadable is a store whose packs cannot be read back: they are damaged or missing.
type unreadable struct {
	store.Store
	packs func([]byte) ([]byte, error)
}

func (u unreadable) Get(ctx context.Context, name string) ([]byte, error) {
	content, err := u.Store.Get(ctx, name)
	if err == nil && store.IsPack(name) {
		return u.packs(content)
	}
	return content, err
}

// Compact deletes objects only after it has read back their pack.
func TestCompactReadsBackBeforeDeleting(t *testing.T) {
	for what, packs := range map[string]func([]byte) ([]byte, error){
		"missing":   func([]byte) ([]byte, error) { return nil, os.ErrNotExist },
		"truncated": func(b []byte) ([]byte, error) { return b[:len(b)/2], nil },
		"empty":     func([]byte) ([]byte, error) { return nil, nil },
	} {
		folder, err := store.OpenFolder(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		h := open(t, filepath.Join(t.TempDir(), "h.db"))
		for i := range 3 {
			if _, err := h.Append(t.Context(), storetest.Run(i, 2)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := store.Sync(t.Context(), h, folder); err != nil {
			t.Fatal(err)
		}
		_, err = store.Compact(t.Context(), unreadable{folder, packs}, storetest.Run(9, 1).Started)
		if err == nil || !strings.Contains(err.Error(), "nothing was deleted") {
			t.Errorf("%s: %v", what, err)
		}
		runs := 0
		for name := range folder.List(t.Context()) {
			if !store.IsPack(name) {
				runs++
			}
		}
		if runs != 3 {
			t.Errorf("%s: %d objects of 3 are left", what, runs)
		}
	}
}

// A git store does not change the clone whose remotes it uses.
func TestGitDoesNotChangeTheClone(t *testing.T) {
	remote, clone := bare(t), t.TempDir()
	git(t, clone, "init", "--quiet")
	git(t, clone, "commit", "--quiet", "--allow-empty", "-m", "x")
	git(t, clone, "remote", "add", "origin", remote)
	hook := filepath.Join(clone, ".git", "hooks", "pre-push")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	before := treeOf(t, filepath.Join(clone, ".git"))
	s, err := store.Open(t.Context(), "git:origin", store.Options{Dir: clone})
	if err != nil {
		t.Fatal(err)
	}
	h, other := open(t, filepath.Join(t.TempDir(), "h.db")), open(t, filepath.Join(t.TempDir(), "o.db"))
	for i := range 3 {
		if _, err := h.Append(t.Context(), storetest.Run(i, 2)); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range []*history.History{h, other} {
		if _, err := store.Sync(t.Context(), h, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, treeOf(t, filepath.Join(clone, ".git"))); diff != "" {
		t.Error(diff)
	}
	if n := len(commitsOf(t, other)); n != 3 {
		t.Errorf("%d runs were taken, want 3", n)
	}
	if refs := git(t, clone, "ls-remote", "--heads", "--tags", "origin"); refs != "" {
		t.Errorf("branches or tags of the remote: %s", refs)
	}
}

// treeOf returns the content of all files below a folder by path.
func treeOf(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = fmt.Sprintf("%x", text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The object format of a repository may be SHA-256.
func TestGitOfSHA256(t *testing.T) {
	bare(t)
	dir := t.TempDir()
	git(t, dir, "init", "--quiet", "--bare", "--object-format=sha256", "remote.git")
	git(t, dir, "init", "--quiet", "--object-format=sha256", "clone")
	git(t, filepath.Join(dir, "clone"), "remote", "add", "origin", filepath.Join(dir, "remote.git"))
	s, err := store.Open(t.Context(), "git:origin", store.Options{Dir: filepath.Join(dir, "clone")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, b := open(t, filepath.Join(dir, "a.db")), open(t, filepath.Join(dir, "b.db"))
	if _, err := a.Append(t.Context(), storetest.Run(1, 2)); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*history.History{a, b} {
		if _, err := store.Sync(t.Context(), h, s); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(commitsOf(t, b)); n != 1 {
		t.Errorf("%d runs were taken, want 1", n)
	}
}

// Invalid commits under refs/flujo/runs are reported and skipped.
func TestGitHostileCommits(t *testing.T) {
	remote := bare(t)
	clone := t.TempDir()
	git(t, clone, "init", "--quiet")
	if err := os.WriteFile(filepath.Join(clone, "other"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	git(t, clone, "add", ".")
	git(t, clone, "commit", "--quiet", "-m", "x")
	name := "20261123T120000Z-" + strings.Repeat("0", 64)
	git(t, clone, "push", "--quiet", remote, "HEAD:refs/flujo/runs/"+name, "HEAD:refs/flujo/runs/README", "HEAD:refs/heads/main")
	s, err := store.Open(t.Context(), "git:"+remote, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	if _, err := h.Append(t.Context(), storetest.Run(1, 2)); err != nil {
		t.Fatal(err)
	}
	done, err := store.Sync(t.Context(), h, s)
	if err != nil || done.Sent != 1 || len(done.Refused) != 2 {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestMerge(t *testing.T) {
	a, b := open(t, filepath.Join(t.TempDir(), "a.db")), open(t, filepath.Join(t.TempDir(), "b.db"))
	for i := range 4 {
		for k, h := range []*history.History{a, b} {
			if i != 3*k { // each lacks one
				if _, err := h.Append(t.Context(), storetest.Run(i, 3)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, want := range [][2]int{{1, 2}, {0, 3}} {
		taken, known, err := a.Merge(t.Context(), b)
		if diff := cmp.Diff(want, [2]int{taken, known}); err != nil || diff != "" {
			t.Errorf("%s, %v", diff, err)
		}
	}
}

// Buckets need another program; if it is missing, the error explains how to install it.
func TestBucketsNeedTheirProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := store.Open(t.Context(), "s3://b?region=x", store.Options{})
	if wrong := new(store.AddressError); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "go install github.com/flujo/flujo-harness/cmd/flujo-harness-buckets@latest") {
		t.Error(err)
	}
}
