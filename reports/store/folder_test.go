package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// OpenFolder removes the temporary files of killed processes, but not those that another process is
// writing.
func TestOpenFolderRemovesAbandonedFiles(t *testing.T) {
	dir := t.TempDir()
	old, young, object := filepath.Join(dir, ".new-1"), filepath.Join(dir, ".new-2"), filepath.Join(dir, "new-1")
	before := time.Now().Add(-2 * time.Hour)
	for _, path := range []string{old, young, object} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if path != young && os.Chtimes(path, before, before) != nil {
			t.Fatal(path)
		}
	}
	if _, err := OpenFolder(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	for _, path := range []string{young, object} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}
