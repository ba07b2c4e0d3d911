package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program that keeps its runs in memory or in SQLite gets neither PostgreSQL's driver nor River
// into its go.mod. The control, one that keeps them in PostgreSQL, does.
func TestProgramsNeedOnlyTheirBackend(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs go mod tidy")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for backend, needs := range map[string]bool{"sqlite": false, "postgres": true} {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"go.mod": "module example.com/program\n\ngo 1.26.0\n\nrequire github.com/flujo/flujo-harness v0.0.0\n\n" +
				"replace github.com/flujo/flujo-harness => " + root + "\n",
			"main.go": "package main\n\nimport (\n\t_ \"" + module + "core\"\n\t_ \"" + module + "core/" + backend + "\"\n)\n\nfunc main() {}\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("go", "mod", "tidy")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go mod tidy: %v\n%s", err, out)
		}
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for _, driver := range []string{"github.com/jackc/pgx", "github.com/riverqueue"} {
			found := strings.Contains(string(text), driver)
			if want := needs && strings.HasPrefix(driver, "github.com/jackc"); found != want {
				t.Errorf("a program with core/%s: %s in its go.mod: %v, want %v\n%s", backend, driver, found, want, text)
			}
		}
	}
}
