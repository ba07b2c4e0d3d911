package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

func started(run string) core.StartRecord {
	return core.StartRecord{Key: core.RunKey{Run: run}, Pipeline: "p", State: []byte("{}"), Time: time.Unix(1, 0)}
}

// held makes an empty save the leader and holds it at the lock of the writer. It calls queue to
// start saves, waits until want of them are queued, and calls the functions in then. After it
// returns, all these saves can be committed.
func held(b *Backend, want int, queue func(), then ...func()) {
	b.writing.Lock()
	defer b.writing.Unlock()
	go func() { _ = b.write(context.Background(), new(atomic.Int64), false, func() error { return nil }) }()
	wait := func(ready func() bool) {
		for ok := false; !ok; runtime.Gosched() {
			b.mu.Lock()
			ok = ready()
			b.mu.Unlock()
		}
	}
	wait(func() bool { return len(b.batch) == 1 }) // the leader has taken its batch, which is only its own save
	queue()
	wait(func() bool { return len(b.queue) == want })
	for _, f := range then {
		f()
	}
}

func TestQueuedSavesShareATransaction(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
	const runs = 20
	errs := make([]error, runs)
	var wg sync.WaitGroup
	held(b, runs, func() {
		for i := range runs {
			wg.Go(func() { _, errs[i] = b.Start(t.Context(), started(fmt.Sprint(i))) })
		}
	})
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got, want := b.Counts(), (core.Counts{Saves: runs, Commits: 2}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

// An invalid save must not fail its batch, whatever is wrong with it.
func TestABadSaveFailsAlone(t *testing.T) {
	disk := errors.New("disk I/O error")
	for name, bad := range map[string]struct {
		save func(b *Backend) error
		want error
	}{
		"fenced": {func(b *Backend) error {
			return b.Step(t.Context(), core.Lease{ID: 99, Epoch: 1}, core.StepRecord{Seq: 1, Status: core.Completed})
		}, core.ErrFenced},
		"twice":     {func(b *Backend) error { _, err := b.Start(t.Context(), started("first")); return err }, core.ErrRunExists},
		"any other": {func(b *Backend) error { return b.write(t.Context(), &b.saves, false, func() error { return disk }) }, disk},
	} {
		t.Run(name, func(t *testing.T) {
			b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
			if _, err := b.Start(t.Context(), started("first")); err != nil {
				t.Fatal(err)
			}
			const good = 5
			errs := make([]error, good)
			var badErr error
			var wg sync.WaitGroup
			held(b, good+1, func() {
				for i := range good {
					wg.Go(func() { _, errs[i] = b.Start(t.Context(), started(fmt.Sprint(i))) })
				}
				wg.Go(func() { badErr = bad.save(b) })
			})
			wg.Wait()
			if err := errors.Join(errs...); err != nil {
				t.Errorf("a good save failed with the bad one: %v", err)
			}
			if !errors.Is(badErr, bad.want) {
				t.Errorf("the bad save: %v, want %v", badErr, bad.want)
			}
			if n := b.Counts().Saves; n != good+1 {
				t.Errorf("%d saves counted, want %d", n, good+1)
			}
			for i := range good {
				if _, err := b.Load(t.Context(), core.RunKey{Run: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A pause with a scope is two statements. If the second one is refused, the first one must not be
// committed with the batch.
func TestARefusedSaveLeavesNothingInItsBatch(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
	lease, err := b.Start(t.Context(), started("r"))
	if err != nil {
		t.Fatal(err)
	}
	var errs [2]error
	var wg sync.WaitGroup
	held(b, 2, func() {
		wg.Go(func() { _, errs[0] = b.Start(t.Context(), started("good")) })
		wg.Go(func() {
			errs[1] = b.Finish(t.Context(), lease, core.FinishRecord{Status: core.Paused, State: []byte("1"), Seq: 1, Answers: 7, Time: time.Unix(2, 0)})
		})
	})
	wg.Wait()
	if errs[0] != nil || !errors.Is(errs[1], core.ErrSignalled) {
		t.Errorf("the good save: %v; the pause that does not know the answers: %v", errs[0], errs[1])
	}
	snap, err := b.Load(t.Context(), core.RunKey{Run: "r"})
	if err != nil || string(snap.State) != "{}" {
		t.Errorf("the scope of the refused pause was saved: %s, error %v", snap.State, err)
	}
	step := core.StepRecord{Seq: 1, Path: "s", Status: core.Completed, Started: time.Unix(2, 0), Ended: time.Unix(2, 0)}
	if err := b.Step(t.Context(), lease, step); err != nil {
		t.Errorf("the next step: %v", err)
	}
}

func TestAQueuedCallerCanLeave(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	held(b, 1, func() {
		go func() { _, err := b.Start(ctx, started("leaves")); left <- err }()
	}, func() {
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that left: %v", err)
		}
	})
	if _, err := b.Start(t.Context(), started("comes after")); err != nil {
		t.Error(err)
	}
	if _, err := b.Load(t.Context(), core.RunKey{Run: "leaves"}); !errors.Is(err, core.ErrRunNotFound) {
		t.Errorf("a withdrawn save was made: %v", err)
	}
}

// The leader waits for other saves, but not for a clock: in testing/synctest the clock stands still
// while a goroutine runs.
func TestALeaderDoesNotWaitForTheClock(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
	b.company, b.lasted = maxBatch, time.Hour
	synctest.Test(t, func(t *testing.T) {
		if _, err := b.Start(t.Context(), started("r")); err != nil {
			t.Error(err)
		}
	})
	if b.company != maxBatch/2 {
		t.Errorf("the next save waits for %d, want half of %d", b.company, maxBatch)
	}
}

// A pause was refused because of a fence or an answer, but the cause cannot be read.
func TestRefusedPauseWhoseCauseCannotBeRead(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
	lease, err := b.Start(t.Context(), started("r"))
	if err != nil {
		t.Fatal(err)
	}
	lease.Nonce++
	pause := core.FinishRecord{Status: core.Paused, Time: time.Unix(9, 0)}
	if err := b.Finish(t.Context(), lease, pause); !errors.Is(err, core.ErrFenced) {
		t.Errorf("error %v, want fenced", err)
	}
	if err := b.readers.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Finish(t.Context(), lease, pause); err == nil || errors.Is(err, core.ErrFenced) || errors.Is(err, core.ErrSignalled) {
		t.Errorf("error %v, want the one of reading", err)
	}
}
