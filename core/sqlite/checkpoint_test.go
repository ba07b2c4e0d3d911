package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// awaitCheckpoint waits until the log is not being copied.
func (b *Backend) awaitCheckpoint() {
	b.checkpointing.Lock()
	//lint:ignore SA2001 nothing is to be done meanwhile
	b.checkpointing.Unlock()
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// A checkpoint in a commit would only happen after 4000 pages.
func TestLogIsCopiedBesideSaves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	b := mustOpen(t, path, sqlitedb.Process)
	b.checkpointAt = 100
	empty := fileSize(t, path)
	for n := range 20 {
		if err := saveRuns(b, n*50, n*50+50); err != nil {
			t.Fatal(err)
		}
		b.awaitCheckpoint()
	}
	if n := logSize(t, path); n > walBytes {
		t.Errorf("the log has %d bytes: it was not overwritten from its start", n)
	}
	if n := fileSize(t, path); n <= empty {
		t.Errorf("the database has %d bytes before it is closed, as when it was empty", n)
	}
	if n := found(t, imitation(t, path, walBytes)); n != 1000 {
		t.Errorf("%d saves after kill -9, want 1000", n)
	}
}

// Otherwise the log would only be overwritten from its start if no save is made during a checkpoint.
func TestCheckpointCopiesWhatWasSavedMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	began, goOn := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	var last atomic.Int64 // offset of the last write to the log
	b, err := openTapped(t.Context(), path, sqlitedb.Process, func(op fileOp) int32 {
		switch {
		case op.op == opWrite && op.end == "-wal":
			last.Store(op.at)
		case op.op == opWrite && op.end == "" && !once.Swap(true):
			close(began)
			<-goOn
		}
		return lib.SQLITE_OK
	})
	t.Cleanup(func() { taps.Delete(path) })
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.checkpointAt = 10
	if err := saveRuns(b, 0, 20); err != nil {
		t.Fatal(err)
	}
	<-began
	if err := saveRuns(b, 20, 25); err != nil {
		t.Fatal(err)
	}
	long := last.Load()
	close(goOn)
	b.checkpointing.Lock()
	b.checkpointAt = 0
	b.checkpointing.Unlock()
	if err := saveRuns(b, 25, 26); err != nil {
		t.Fatal(err)
	}
	if at := last.Load(); at >= 4096 {
		t.Errorf("the first save after a checkpoint was written to the log at %d, the one before at %d: want its start", at, long)
	}
}

// Otherwise the log would remain, and a connection would use files that the caller may delete.
func TestCloseWaitsForACheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	began, closed := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	b, err := openTapped(t.Context(), path, sqlitedb.Process, func(op fileOp) int32 {
		if op.op == opWrite && op.end == "" && !once.Swap(true) {
			close(began)
			select {
			case <-closed: // too early
			case <-time.After(200 * time.Millisecond):
			}
		}
		return lib.SQLITE_OK
	})
	t.Cleanup(func() { taps.Delete(path) })
	if err != nil {
		t.Fatal(err)
	}
	b.checkpointAt = 10
	if err := saveRuns(b, 0, 20); err != nil {
		t.Fatal(err)
	}
	<-began
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log of a closed database is still there: %v", err)
	}
	close(closed)
	b.logged = b.checkpointAt
	if err := saveRuns(b, 20, 21); !errors.Is(err, core.ErrClosed) {
		t.Errorf("a save in a closed database: %v", err)
	}
	if b.logged == 0 {
		t.Error("a checkpoint began after the database was closed")
	}
}

// A checkpoint that fails does not concern the saves. The next one copies the log.
func TestSavesGoOnAfterAFailedCheckpoint(t *testing.T) {
	var failed atomic.Int64
	b, armed := openArmed(t, func(op fileOp) int32 {
		if op.op == opWrite && op.end == "" {
			failed.Add(1)
			return lib.SQLITE_FULL
		}
		return lib.SQLITE_OK
	})
	b.checkpointAt = 10
	empty := fileSize(t, b.path)
	armed.Store(true)
	if err := saveRuns(b, 1, 50); err != nil {
		t.Fatal(err)
	}
	b.checkpointing.Lock()
	armed.Store(false)
	b.checkpointing.Unlock()
	if failed.Load() == 0 {
		t.Error("no checkpoint failed")
	}
	if err := saveRuns(b, 50, 100); err != nil {
		t.Fatal(err)
	}
	b.checkpointing.Lock()
	defer b.checkpointing.Unlock()
	if n := found(t, imitation(t, b.path, walBytes)); n != 100 {
		t.Errorf("%d saves after kill -9, want 100", n)
	}
	if n := fileSize(t, b.path); n <= empty {
		t.Errorf("the database has %d bytes, as when it was empty", n)
	}
}

// At this durability the log is synced with each save.
func TestNoCheckpointBesideSavesAtPower(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Power)
	var pages string
	if err := b.readers.QueryRow("PRAGMA wal_autocheckpoint").Scan(&pages); err != nil || pages != "1000" || b.checkpointAt != 0 {
		t.Errorf("checkpoints begin after %s and %d pages, error %v", pages, b.checkpointAt, err)
	}
}
