package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var reproducible = flag.Bool("reproducible", false, "build the program twice from nothing, which takes minutes: go test ./cmd/flujo-harness -run TestReproducibleBuild -reproducible -v -timeout=1h")

// builtIn copies the committed source to dir, builds it with an empty cache, and returns a
// digest.
func builtIn(t *testing.T, dir, tree string, args ...string) [sha256.Size]byte {
	t.Helper()
	source := filepath.Join(dir, "source")
	if err := os.MkdirAll(source, 0o755); err != nil {
		t.Fatal(err)
	}
	unpack := exec.Command("tar", "-x", "-C", source)
	unpack.Stdin = bytes.NewReader([]byte(tree))
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out := filepath.Join(dir, "built")
	cmd := exec.Command("go", append(args, "-o", out)...)
	if args[0] == "build" {
		cmd.Args = append(cmd.Args, "./cmd/flujo-harness")
	} else {
		cmd.Args = append(cmd.Args, "./core")
	}
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOCACHE="+filepath.Join(dir, "cache"), "GOFLAGS=", "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, said)
	}
	program, err := os.ReadFile(out)
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(program)
}

// Builds of the same commit in two folders with empty caches are identical.
func TestReproducibleBuild(t *testing.T) {
	if !*reproducible {
		t.Skip("it takes minutes: -reproducible")
	}
	cmd := exec.Command("git", "archive", "HEAD")
	cmd.Dir = filepath.Join("..", "..") // the root, because git archive includes only the current folder
	tree, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	built := func(name string, args ...string) [sha256.Size]byte {
		return builtIn(t, filepath.Join(t.TempDir(), name), string(tree), args...)
	}
	one, two := built("one", "build", "-trimpath"), built("other", "build", "-trimpath")
	if one != two {
		t.Errorf("sha256 %x and %x", one, two)
	}
	t.Logf("built twice: sha256 %x", one)
	if built("one", "test", "-c") == built("other", "test", "-c") {
		t.Error("control: without -trimpath the folder of the source makes no difference")
	}
}
