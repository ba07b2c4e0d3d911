package sqlite

import (
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// In the past a claim was committed before its snapshot was loaded. If loading failed, the caller
// got an error although the run was claimed.
func TestAClaimThatCannotBeReadIsNoClaim(t *testing.T) {
	var broken atomic.Bool // from the first sync of the log on, reads fail
	b, armed := openArmed(t, func(op fileOp) int32 {
		if op.op == opSync {
			broken.Store(true)
		}
		if broken.Load() && (op.op == opRead || op.op == opShmLock) {
			return lib.SQLITE_IOERR_READ
		}
		return lib.SQLITE_OK
	})
	armed.Store(true)
	_, _, claimErr := b.Claim(t.Context(), core.RunKey{Run: "0"}, 0)
	armed.Store(false)
	if !broken.Load() {
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

// A claim may share a transaction with another save of the same run. Its snapshot must contain that
// save.
func TestAClaimSeesWhatItsTransactionSaves(t *testing.T) {
	step := core.StepRecord{Seq: 2, Path: "s", Status: core.Completed, Started: fixed(1), Ended: fixed(2)}
	for name, save := range map[string]func(b *Backend, l core.Lease) error{
		"a step": func(b *Backend, l core.Lease) error { return b.Step(t.Context(), l, step) },
		"an answer": func(b *Backend, _ core.Lease) error {
			return b.Signal(t.Context(), core.RunKey{Run: "r"}, core.AnswerRecord{Token: "t", Answer: []byte("1"), Time: fixed(3)})
		},
		"a pause": func(b *Backend, l core.Lease) error {
			return b.Finish(t.Context(), l, core.FinishRecord{Status: core.Paused, Exits: []byte(`{"l":1}`), Time: fixed(3)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
			lease, err := b.Start(t.Context(), started("r"))
			if err != nil {
				t.Fatal(err)
			}
			pause := core.StepRecord{Seq: 1, Path: "p", Status: core.Paused, Token: "t", Started: fixed(1), Ended: fixed(1)}
			if err := b.Step(t.Context(), lease, pause); err != nil {
				t.Fatal(err)
			}
			commits := b.Counts().Commits
			var snap core.Snapshot
			var errs [2]error
			var wg sync.WaitGroup
			held(b, 2, func() {
				wg.Go(func() { errs[0] = save(b, lease) })
				for queued := false; !queued; runtime.Gosched() {
					b.mu.Lock()
					queued = len(b.queue) == 1
					b.mu.Unlock()
				}
				wg.Go(func() { _, snap, errs[1] = b.Claim(t.Context(), core.RunKey{Run: "r"}, 0) })
			})
			wg.Wait()
			want, err := b.Load(t.Context(), core.RunKey{Run: "r"})
			if err := errors.Join(errs[0], errs[1], err); err != nil {
				t.Fatal(err)
			}
			if n := b.Counts().Commits - commits; n != 2 {
				t.Fatalf("%d transactions, want one of nothing and one of both", n)
			}
			if d := cmp.Diff(want, snap); d != "" || snap.Epoch != 2 || snap.Status != core.Running {
				t.Errorf("the claim (+) differs from the run loaded after it (-):\n%s", d)
			}
		})
	}
}
