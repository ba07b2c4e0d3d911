package analysis

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
	"github.com/flujo/flujo-harness/reports/history"
)

// readOnly creates a folder that even root cannot write to until the test ends.
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

func TestHistoryOnAReadOnlyFileSystem(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "h.db")
	h := open(t, path)
	for _, r := range sample.Cells("a:..", "b:.F") {
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	readOnly(t, dir)
	if _, err := history.Open(t.Context(), path); !errors.As(err, new(*history.UnwritableError)) {
		t.Fatalf("it can be written, or the error does not say so: %v", err)
	}
	h, err := history.OpenRecorded(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	a, err := Analyze(t.Context(), h, Options{})
	if err != nil || len(a.NewFailures()) != 1 {
		t.Errorf("%v, %v", a, err)
	}
	if lines, _, err := h.Lines(t.Context(), 5); err != nil || len(lines) != 2 {
		t.Errorf("%v, %v", lines, err)
	}
	if n, err := h.Backup(t.Context(), filepath.Join(t.TempDir(), "copy.db")); err != nil || n != 2 {
		t.Errorf("backup: %d, %v", n, err)
	}
	if _, err := h.Append(t.Context(), sample.CellsRun(3, "c:..")); err == nil {
		t.Error("a run was appended")
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != 1 {
		t.Errorf("files: %v", files)
	}
}

// If the database has a write-ahead log, its changes are read, or opening fails.
func TestHotLogOnAReadOnlyFileSystem(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "h.db")
	h := open(t, path)
	for _, r := range sample.Cells("a:..", "b:.F") {
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for _, shm := range []bool{true, false} {
		copied := t.TempDir()
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if suffix == "-shm" && !shm {
				continue
			}
			data, err := os.ReadFile(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(copied, "h.db"+suffix), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		readOnly(t, copied)
		h, err := history.OpenRecorded(t.Context(), filepath.Join(copied, "h.db"))
		if err != nil {
			if !errors.Is(err, sqlitedb.ErrHotLog) {
				t.Errorf("with -shm %v: %v", shm, err)
			}
			continue
		}
		if lines, _, err := h.Lines(t.Context(), 5); err != nil || len(lines) != 2 {
			t.Errorf("with -shm %v: %d runs, %v: the log was ignored", shm, len(lines), err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}
