package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

func stepOf(seq int64) core.StepRecord {
	at := time.Unix(seq, 0)
	return core.StepRecord{Seq: seq, Path: fmt.Sprint("s", seq), Status: core.Completed, Attempts: 1, Output: []byte("1"), Started: at, Ended: at}
}

// waitAll waits for steps in the reverse order of their enqueueing.
func waitAll(steps []core.Enqueued) []error {
	errs := make([]error, len(steps))
	var wg sync.WaitGroup
	for i := len(steps) - 1; i >= 0; i-- {
		wg.Go(func() { errs[i] = steps[i].Wait() })
	}
	wg.Wait()
	return errs
}

// Eight branches end while the writer is busy. One transaction saves all of them.
func TestBranchesOfARunShareATransaction(t *testing.T) {
	const branches = 8
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
	var entered sync.WaitGroup
	entered.Add(branches)
	release := make(chan bool)
	agent := core.Func[int, int](func(context.Context, core.Request[int]) (int, error) {
		entered.Done()
		<-release
		return 1, nil
	})
	step := core.Step("a", agent, func(i int) int { return i }, func(i *int, o int) { *i = o })
	p, err := core.New("p", core.Map("m", branches, func(int) []int { return make([]int, branches) }, step,
		func(s *int, ends []core.Ended[int]) error { *s = len(ends); return nil }, core.AtOnce(branches)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	key := core.RunKey{Run: "r"}
	go func() {
		_, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), p, key, 0)
		done <- err
	}()
	entered.Wait()
	held(b, branches, func() { close(release) })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// One each for the start, the save that held the writer, the branches and the end.
	if got := b.Counts(); got.Saves != branches+2 || got.Commits != 4 {
		t.Errorf("%d saves in %d transactions, want %d in 4", got.Saves, got.Commits, branches+2)
	}
	snap, err := b.Load(t.Context(), key)
	if err != nil || len(snap.Steps) != branches || snap.Status != core.Completed {
		t.Errorf("%d steps, %v, error %v; want %d, completed", len(snap.Steps), snap.Status, err, branches)
	}
}

// If a step cannot be saved, later steps fail too, with the same error and in whatever transactions
// they are. When they are saved again, all of them are found.
func TestStepsBehindAFailedOneAreNotSaved(t *testing.T) {
	for _, most := range []int{maxBatch, 2, 1} {
		b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
		b.maxBatch = most
		lease, err := b.Start(t.Context(), started("r"))
		if err != nil {
			t.Fatal(err)
		}
		other, err := b.Start(t.Context(), started("other"))
		if err != nil {
			t.Fatal(err)
		}
		cause := errors.New("no room")
		var steps []core.Enqueued
		var errs []error
		var wg sync.WaitGroup
		held(b, 6, func() {
			for seq := int64(1); seq <= 5; seq++ {
				s := b.Enqueue(lease, new(stepOf(seq)))
				steps = append(steps, s)
				if seq == 2 {
					s.(*queuedStep).job = statement(func() error { return cause })
				}
			}
			steps = append(steps, b.Enqueue(other, new(stepOf(1))))
			wg.Go(func() { errs = waitAll(steps) })
		})
		wg.Wait()
		for i, err := range errs {
			saved := i == 0 || i == 5
			if saved != (err == nil) || !saved && (!errors.Is(err, cause) || errors.Is(err, core.ErrFenced)) {
				t.Errorf("batches of %d: step %d: error %v", most, i+1, err)
			}
		}
		for seq := int64(2); seq <= 5; seq++ {
			if err := b.Enqueue(lease, new(stepOf(seq))).Wait(); err != nil {
				t.Errorf("batches of %d: step %d once more: %v", most, seq, err)
			}
		}
		if snap, err := b.Load(t.Context(), core.RunKey{Run: "r"}); err != nil || len(snap.Steps) != 5 {
			t.Errorf("batches of %d: %d steps, error %v, want 5", most, len(snap.Steps), err)
		}
		if len(b.broken) != 0 {
			t.Errorf("batches of %d: remembered still: %v", most, b.broken)
		}
	}
}

// Enqueued steps are fenced: no step of a lost lease is saved, and there is no gap.
func TestEnqueuedStepsAreFenced(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
	lease, err := b.Start(t.Context(), started("r"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Enqueue(lease, new(stepOf(2))).Wait(); !errors.Is(err, core.ErrFenced) {
		t.Errorf("a step with a gap before it: error %v", err)
	}
	if err := b.Enqueue(lease, new(stepOf(maxSeq+1))).Wait(); err == nil {
		t.Error("a step beyond the last number was saved")
	}
	if _, _, err := b.Claim(t.Context(), core.RunKey{Run: "r"}, 0); err != nil {
		t.Fatal(err)
	}
	for i, err := range waitAll([]core.Enqueued{b.Enqueue(lease, new(stepOf(1))), b.Enqueue(lease, new(stepOf(2)))}) {
		if !errors.Is(err, core.ErrFenced) {
			t.Errorf("step %d of a lost lease: error %v", i+1, err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Enqueue(lease, new(stepOf(1))).Wait(); !errors.Is(err, core.ErrClosed) {
		t.Errorf("after Close: error %v", err)
	}
}
