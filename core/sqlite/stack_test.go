package sqlite

import (
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"
	"unsafe"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// The stack of a new goroutine is not moved while it commits a save, see reserveStack.
func TestStackStaysDuringCommit(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the garbage collector shrinks stacks
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
	lease, err := b.Start(t.Context(), core.StartRecord{Key: core.RunKey{Run: "r"}, Time: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for seq := int64(1); seq <= 20; seq++ {
		rec := core.StepRecord{Seq: seq, Path: "p", Status: core.Completed, Attempts: 1, Output: make([]byte, 1000*seq), State: make([]byte, 1000*seq)}
		moved, done := false, make(chan error)
		go func() {
			done <- b.write(t.Context(), &b.saves, true, func() error {
				var local byte
				before := uintptr(unsafe.Pointer(&local))
				err := b.insertStep(lease, &rec)
				moved = uintptr(unsafe.Pointer(&local)) != before
				return err
			})
		}()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if moved {
			t.Errorf("step %d: the stack was moved: SQLite needs more than %d bytes", seq, stackNeeded)
		}
	}
}
