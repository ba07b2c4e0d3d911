package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
)

func started(run string) core.StartRecord {
	return core.StartRecord{Key: core.RunKey{Run: run}, Pipeline: "p", State: []byte("{}"), Time: time.Unix(1, 0)}
}

// held lets a save of nothing lead and keeps it from the writer, starts saves by
// queue, waits until want of them are behind it, and calls then. All of them are then
// free to be committed.
func held(b *Backend, want int, queue func(), then ...func()) {
	b.writing.Lock()
	defer b.writing.Unlock()
	go func() { _ = b.write(context.Background(), new(atomic.Int64), func() error { return nil }) }()
	wait := func(ready func() bool) {
		for ok := false; !ok; runtime.Gosched() {
			b.mu.Lock()
			ok = ready()
			b.mu.Unlock()
		}
	}
	wait(func() bool { return b.led && len(b.queue) == 0 }) // it has taken its batch: itself
	queue()
	wait(func() bool { return len(b.queue) == want })
	for _, f := range then {
		f()
	}
}

func TestQueuedSavesShareATransaction(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), Process)
	tape := b.Record()
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
	if got, want := b.Counts(), (core.Counts{Saves: runs, Commits: 2}); got != want || tape.Len() != 2 {
		t.Errorf("counts %+v, %d transactions taped; want %+v, and as many taped", got, tape.Len(), want)
	}
}

// One bad save must not fail its batch, whatever way it is bad.
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
		"any other": {func(b *Backend) error { return b.write(t.Context(), &b.saves, func() error { return disk }) }, disk},
	} {
		t.Run(name, func(t *testing.T) {
			b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), Process)
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

func TestAQueuedCallerCanLeave(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), Process)
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

// BenchmarkConcurrentRuns is whole runs of 3 steps of 1 KB, many at once, with saves
// combined and with a transaction for each, in turns within one process. It reports
// runs a second and the p50 and p99 of one save.
func BenchmarkConcurrentRuns(b *testing.B) {
	for _, d := range []Durability{Process, Power} {
		for _, at := range []int{1, 8, 64} {
			for _, batch := range []int{1, maxBatch} {
				b.Run(fmt.Sprintf("%s/at-once=%d/max-batch=%d", d, at, batch), func(b *testing.B) { concurrentRuns(b, d, at, batch) })
			}
		}
	}
}

func concurrentRuns(b *testing.B, d Durability, at, batch int) {
	back, err := Open(b.Context(), filepath.Join(b.TempDir(), "r.db"), d)
	if err != nil {
		b.Fatal(err)
	}
	defer back.Close()
	back.maxBatch = batch
	output := make([]byte, 1024)
	took := make([][]time.Duration, at)
	next := make(chan int)
	var wg sync.WaitGroup
	for worker := range at {
		wg.Go(func() {
			timed := func(f func() error) {
				began := time.Now()
				if err := f(); err != nil {
					b.Error(err)
				}
				took[worker] = append(took[worker], time.Since(began))
			}
			for n := range next {
				var lease core.Lease
				timed(func() (err error) { lease, err = back.Start(b.Context(), started(fmt.Sprint(n))); return err })
				for seq := range int64(3) {
					rec := core.StepRecord{Seq: seq + 1, Path: "s", Status: core.Completed, Attempts: 1, Output: output, Started: time.Unix(1, 0), Ended: time.Unix(2, 0)}
					timed(func() error { return back.Step(b.Context(), lease, rec) })
				}
				timed(func() error {
					return back.Finish(b.Context(), lease, core.FinishRecord{Status: core.Completed, Time: time.Unix(3, 0)})
				})
			}
		})
	}
	b.ResetTimer()
	for n := range b.N {
		next <- n
	}
	close(next)
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us/save")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us/save")
}
