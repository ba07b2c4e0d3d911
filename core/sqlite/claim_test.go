package sqlite

import (
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
)

// A claim used to be committed first and its snapshot loaded then. Where that failed, the
// caller was given an error and the run was claimed all the same.
func TestAClaimThatCannotBeReadIsNoClaim(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	var broken atomic.Bool // from the first write to the log on, reading fails
	var armed atomic.Bool
	b, err := openTapped(t.Context(), path, Power, func(op fileOp) int32 {
		if armed.Load() && op.op == opSync {
			broken.Store(true)
		}
		if broken.Load() && (op.op == opRead || op.op == opShmLock) {
			return lib.SQLITE_IOERR_READ
		}
		return lib.SQLITE_OK
	})
	if err != nil {
		t.Fatal(err)
	}
	defer taps.Delete(path)
	if err := saveRuns(b, 0, 1); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	_, _, claimErr := b.Claim(t.Context(), core.RunKey{Run: "0"}, 0)
	armed.Store(false)
	if !broken.Swap(false) {
		t.Fatal("nothing was written to the log")
	}
	snap, err := b.Load(t.Context(), core.RunKey{Run: "0"})
	if err != nil {
		t.Fatal(err)
	}
	if claimed := snap.Epoch == 2; claimed != (claimErr == nil) {
		t.Errorf("claimed: %v, and the error is: %v", claimed, claimErr)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// A claim shares a transaction with a step of the holder before: what it returns must
// show it.
func TestAClaimSeesTheStepOfItsTransaction(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), Process)
	lease, err := b.Start(t.Context(), started("r"))
	if err != nil {
		t.Fatal(err)
	}
	commits := b.Counts().Commits
	var snap core.Snapshot
	var errs [2]error
	var wg sync.WaitGroup
	held(b, 2, func() {
		wg.Go(func() {
			errs[0] = b.Step(t.Context(), lease, core.StepRecord{Seq: 1, Path: "s", Status: core.Completed, Started: fixed(1), Ended: fixed(2)})
		})
		for queued := false; !queued; runtime.Gosched() {
			b.mu.Lock()
			queued = len(b.queue) == 1
			b.mu.Unlock()
		}
		wg.Go(func() { _, snap, errs[1] = b.Claim(t.Context(), core.RunKey{Run: "r"}, 0) })
	})
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	if n := b.Counts().Commits - commits; n != 2 {
		t.Fatalf("%d transactions, want one of nothing and one of both", n)
	}
	if len(snap.Steps) != 1 || snap.Epoch != 2 {
		t.Errorf("epoch %d with %d steps, want 2 with 1", snap.Epoch, len(snap.Steps))
	}
}
