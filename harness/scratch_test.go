package harness

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOldMeasurementsAreRemoved(t *testing.T) {
	root := t.TempDir()
	made := func(name string, age time.Duration) string {
		dir := filepath.Join(root, ".flujo", name)
		if err := os.MkdirAll(filepath.Join(dir, "session-1"), 0o755); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	old, running, other := made("measure-1", 25*time.Hour), made("measure-2", time.Hour), made("calibration", 25*time.Hour)
	dir, remove, err := Scratch(root)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{old: false, running: true, other: true, dir: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
}
