package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/flujo/flujo-harness/harness/child"
)

// Invocation returns how this program was called: "go tool flujo-harness", "go run …", its name,
// or its path. Commands that messages advise begin with it, so that they work when pasted.
func Invocation() string {
	const name, path = "flujo-harness", "github.com/flujo/flujo-harness/cmd/flujo-harness"
	called := os.Args[0]
	cache := os.Getenv("GOCACHE")
	if cache == "" {
		if base, err := os.UserCacheDir(); err == nil {
			cache = filepath.Join(base, "go-build")
		}
	}
	return calledAs(called, cache, name, path)
}

// calledAs derives the invocation from the path of the executable.
func calledAs(called, cache, name, path string) string {
	dir := filepath.Dir(called)
	switch {
	case cache != "" && strings.HasPrefix(filepath.Clean(called), filepath.Clean(cache)+string(filepath.Separator)):
		return "go tool " + name // go tool runs the file in the build cache
	case filepath.Base(dir) == "exe" && strings.Contains(called, "go-build"):
		return "go run " + path // go run builds in a temporary folder
	}
	base := strings.TrimSuffix(filepath.Base(called), ".exe")
	if !strings.ContainsRune(filepath.ToSlash(called), '/') {
		return base // found by the shell, by its name alone
	}
	if found, err := exec.LookPath(base); err == nil && sameFile(found, called) {
		return base
	}
	return child.ShellLine(called)
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
