package compare

import (
	"os"
	"path/filepath"
	"testing"
)

// A benchmark that reads other data is measured even if its binary is the same.
func TestPackagesWithOtherFilesAreNotEqual(t *testing.T) {
	folder := func(size int) string {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "testdata"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "testdata", "x"), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for size, want := range map[int]bool{1000: true, 2000: false} {
		if same, err := equalFolders(folder(1000), folder(size)); err != nil || same != want {
			t.Errorf("1000 bytes and %d: equal %v, error %v", size, same, err)
		}
	}
}
