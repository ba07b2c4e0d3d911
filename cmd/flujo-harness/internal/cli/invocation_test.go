package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// Advised commands begin with the invocation of the program, so that they can be pasted.
func TestCalledAs(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	installed := filepath.Join(bin, "flujo-harness")
	if err := os.WriteFile(installed, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "a folder", "flujo-harness")
	cache := filepath.Join(t.TempDir(), "go-build")
	for called, want := range map[string]string{
		filepath.Join(cache, "ab", "abcd-d", "flujo-harness"):        "go tool flujo-harness",
		filepath.FromSlash("/tmp/go-build12/b001/exe/flujo-harness"): "go run github.com/x/flujo-harness",
		installed:       "flujo-harness",
		"flujo-harness": "flujo-harness",
		other:           "'" + other + "'",
	} {
		if got := calledAs(called, cache, "flujo-harness", "github.com/x/flujo-harness"); got != want {
			t.Errorf("%s: %q, want %q", called, got, want)
		}
	}
}
