package workdir

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// A file is replaced whole or stays; what a killed writer left for it goes, and nothing else.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report[1].json")
	for name, owned := range map[string]bool{".report[1].json.flujo-1": true, ".report[1].json.flujo-2": false, ".report[1].json-3": true, ".other.json.flujo-4": true} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "report[1].json"), []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
		if owned { // its process has ended, so nobody holds a lock on it
			if err := os.WriteFile(filepath.Join(dir, name, ownerFile), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, remove, err := Temporary(dir, ".report[1].json.flujo-") // of a writer that is at work
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string, failed error) func(string) error {
		return func(part string) error {
			return errors.Join(os.WriteFile(part, []byte(text), 0o600), failed)
		}
	}
	if err := Replace(path, write("first", nil)); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("no space")
	if err := Replace(path, write("second", failed)); !errors.Is(err, failed) {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "first" {
		t.Errorf("%q, error %v", text, err)
	}
	if err := remove(); err != nil {
		t.Errorf("the folder of another writer: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{".other.json.flujo-4", ".report[1].json-3", ".report[1].json.flujo-2", "report[1].json"}
	if runtime.GOOS != "windows" && !slices.Equal(names, want) {
		t.Errorf("in the folder: %q, want %q", names, want)
	}
}
