package project

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
)

func TestRepositoryName(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com/shop/cart.git":               "github.com/shop/cart",
		"https://ann:secret@example.com:8443/a/b/c.git/": "example.com/a/b/c",
		"git@github.com:shop/cart.git":                   "github.com/shop/cart",
		"ssh://git@example.com:22/shop/cart":             "example.com/shop/cart",
		"/home/ann/cart":                                 "",
		"../cart":                                        "",
		`C:\cart`:                                        "",
		"file:///home/ann/cart":                          "",
		"":                                               "",
	} {
		if got := repositoryName(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

// In a module in a subfolder of its repository, links include the folder. There are links only
// if the commit was pushed to the remote.
func TestOriginOfARun(t *testing.T) {
	p, first, second := repository(t)
	sub := Project{Root: filepath.Join(p.Root, "a module")}
	if err := os.MkdirAll(sub.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sub.Root, "go.mod"), []byte("module example.com/shop\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	git(t, p, "remote", "set-url", "origin", "https://ann:secret@github.com/shop/cart.git")
	git(t, p, "update-ref", "refs/remotes/origin/main", first)
	for commit, want := range map[string]reports.Origin{
		first: {Module: "example.com/shop", Repository: "github.com/shop/cart", Subject: "tight",
			CommitURL: "https://github.com/shop/cart/commit/" + first, FileURL: "https://github.com/shop/cart/blob/" + first + "/a%20module/"},
		second: {Module: "example.com/shop", Repository: "github.com/shop/cart", Subject: "loose"},
		"":     {Module: "example.com/shop", Repository: "github.com/shop/cart"},
		"none": {Module: "example.com/shop", Repository: "github.com/shop/cart"},
	} {
		r := reports.Run{Commit: commit}
		sub.name(t.Context(), &r)
		if diff := cmp.Diff(want, r.Origin); diff != "" {
			t.Errorf("commit %q: %s", commit, diff)
		}
	}
}
