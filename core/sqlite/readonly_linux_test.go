package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// readOnly makes a directory read-only, also for root, until the test ends.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
		return
	}
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("root may write everywhere, and nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("nothing can be mounted read-only here: %v", err)
	}
}

func TestReaderOnAReadOnlyFileSystem(t *testing.T) {
	for _, d := range []sqlitedb.Durability{sqlitedb.Process, sqlitedb.Power} {
		dir := t.TempDir()
		path := filepath.Join(dir, "r.db")
		b := mustOpen(t, path, d)
		recordRuns(t, b)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		readOnly(t, dir)
		r := mustRead(t, path)
		if runs, err := r.List(t.Context(), Filter{}); err != nil || len(runs) != 3 {
			t.Errorf("%s: %d runs, error %v, want 3", d, len(runs), err)
		}
		if snap, err := r.Load(t.Context(), core.RunKey{Run: "two"}); err != nil || len(snap.Steps) != 2 {
			t.Errorf("%s: %d steps, error %v, want 2", d, len(snap.Steps), err)
		}
		if files, _ := filepath.Glob(path + "*"); len(files) != 1 {
			t.Errorf("files: %v", files)
		}
		if _, err := OpenReader(t.Context(), filepath.Join(dir, "missing.db")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a missing file: error %v", d, err)
		}
	}
}

// Either the changes in a log are read, or nothing is.
func TestReaderOfAHotLogOnAReadOnlyFileSystem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	recordRuns(t, mustOpen(t, path, sqlitedb.Process))
	for _, index := range []bool{true, false} {
		dir := t.TempDir()
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if suffix == "-shm" && !index {
				continue
			}
			data, err := os.ReadFile(path + suffix)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "r.db"+suffix), data, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		readOnly(t, dir)
		r, err := OpenReader(t.Context(), filepath.Join(dir, "r.db"))
		if err != nil {
			if !errors.Is(err, sqlitedb.ErrHotLog) {
				t.Errorf("with an index %v: error %v, want ErrHotLog", index, err)
			}
			continue
		}
		if runs, err := r.List(t.Context(), Filter{}); err != nil || len(runs) != 3 {
			t.Errorf("with an index %v: %d runs, error %v: the log was ignored", index, len(runs), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
