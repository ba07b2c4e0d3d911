package coretest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// at is a fixed time, so that nothing depends on the clock.
func at(seconds int64) time.Time { return time.Unix(1_700_000_000+seconds, 123).UTC() }

var key = core.RunKey{Tenant: "acme", Run: "r1"}

func startOf(k core.RunKey) core.StartRecord {
	return core.StartRecord{Key: k, Pipeline: "p", Plan: 1<<63 + 7, State: []byte(`{"n":0}`), Time: at(0)}
}

func stepOf(seq int64) core.StepRecord {
	return core.StepRecord{
		Seq: seq, Path: fmt.Sprintf("a/s%d", seq), Status: core.Completed, Attempts: 2,
		Output: []byte(`"out"`), Feedback: "try again", State: fmt.Appendf(nil, `{"n":%d}`, seq), Started: at(seq), Ended: at(seq + 1),
	}
}

// Conformance checks a backend. open returns an empty one, made for this test
// and closed by it.
func Conformance(t *testing.T, open func(t *testing.T) core.Backend) {
	ctx := context.Background()
	begin := func(t *testing.T) (core.Backend, core.Lease) {
		b := open(t)
		t.Cleanup(func() { check(t, "close", b.Close(), nil) })
		lease, err := b.Start(ctx, startOf(key))
		check(t, "start", err, nil)
		return b, lease
	}

	t.Run("what is saved is loaded", func(t *testing.T) {
		b, lease := begin(t)
		second := stepOf(2)
		second.State, second.Feedback = nil, "" // unchanged
		third := stepOf(3)
		third.Status, third.Output, third.State, third.Error = core.Failed, nil, nil, "no\x00 \u202e luck"
		for _, rec := range []core.StepRecord{stepOf(1), second, third} {
			check(t, "step", b.Step(ctx, lease, rec), nil)
		}
		check(t, "finish", b.Finish(ctx, lease, core.FinishRecord{Status: core.Failed, Error: "no luck", Time: at(9)}), nil)
		got, err := b.Load(ctx, key)
		check(t, "load", err, nil)
		want := core.Snapshot{
			Start: startOf(key), Status: core.Failed, Error: "no luck", Epoch: 1,
			State: stepOf(1).State, Steps: []core.StepRecord{stepOf(1), second, third}, Ended: at(9),
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("loaded snapshot (-want +got):\n%s", d)
		}
		if got, want := b.Counts(), (core.Counts{Saves: 5, Commits: 5}); got != want {
			t.Errorf("counts of 3 steps: %+v, want %+v (N+2)", got, want)
		}
	})
	t.Run("a key starts once", func(t *testing.T) {
		b, _ := begin(t)
		_, err := b.Start(ctx, startOf(key))
		check(t, "second start", err, core.ErrRunExists)
		_, err = b.Start(ctx, startOf(core.RunKey{Tenant: "other", Run: key.Run}))
		check(t, "start of another tenant", err, nil)
		if n := b.Counts().Saves; n != 2 {
			t.Errorf("%d saves counted, want 2: a refused one is none", n)
		}
	})
	t.Run("an unknown run is not found", func(t *testing.T) {
		b, _ := begin(t)
		_, err := b.Load(ctx, core.RunKey{Run: key.Run}) // the tenant is missing
		check(t, "load", err, core.ErrRunNotFound)
		_, _, err = b.Claim(ctx, core.RunKey{Tenant: "acme", Run: "r2"})
		check(t, "claim", err, core.ErrRunNotFound)
	})
	t.Run("a claim fences the holder off", func(t *testing.T) {
		b, old := begin(t)
		check(t, "step", b.Step(ctx, old, stepOf(1)), nil)
		lease, snap, err := b.Claim(ctx, key)
		check(t, "claim", err, nil)
		if lease.Epoch != 2 || snap.Epoch != 2 || len(snap.Steps) != 1 {
			t.Errorf("claimed epoch %d, snapshot epoch %d with %d steps; want 2, 2, 1", lease.Epoch, snap.Epoch, len(snap.Steps))
		}
		check(t, "step of the old holder", b.Step(ctx, old, stepOf(2)), core.ErrFenced)
		check(t, "finish of the old holder", b.Finish(ctx, old, core.FinishRecord{Status: core.Completed, Time: at(3)}), core.ErrFenced)
		check(t, "step of the new holder", b.Step(ctx, lease, stepOf(2)), nil)
		if got, want := b.Counts(), (core.Counts{Saves: 3, Claims: 1, Commits: 4}); got != want {
			t.Errorf("counts %+v, want %+v", got, want)
		}
	})
	t.Run("no record is doubled or left out", func(t *testing.T) {
		b, lease := begin(t)
		check(t, "step 1", b.Step(ctx, lease, stepOf(1)), nil)
		check(t, "step 1 again", b.Step(ctx, lease, stepOf(1)), core.ErrFenced)
		check(t, "step 3 before 2", b.Step(ctx, lease, stepOf(3)), core.ErrFenced)
		check(t, "step of no run", b.Step(ctx, core.Lease{ID: 77, Epoch: 1}, stepOf(2)), core.ErrFenced)
	})
	t.Run("an end is final", func(t *testing.T) {
		b, lease := begin(t)
		end := core.FinishRecord{Status: core.Completed, Time: at(5)}
		check(t, "finish", b.Finish(ctx, lease, end), nil)
		check(t, "finish again", b.Finish(ctx, lease, end), core.ErrFenced)
		check(t, "step", b.Step(ctx, lease, stepOf(1)), core.ErrFenced)
		_, _, err := b.Claim(ctx, key)
		check(t, "claim", err, core.ErrRunFinished)
	})
	t.Run("slices stay the caller's", func(t *testing.T) {
		b, lease := begin(t)
		rec := stepOf(1)
		check(t, "step", b.Step(ctx, lease, rec), nil)
		clear(rec.State)
		clear(rec.Output)
		got, err := b.Load(ctx, key)
		check(t, "load", err, nil)
		if d := cmp.Diff(stepOf(1), got.Steps[0]); d != "" {
			t.Errorf("step after its slices were overwritten (-want +got):\n%s", d)
		}
		clear(got.State)
		again, err := b.Load(ctx, key)
		check(t, "load again", err, nil)
		if d := cmp.Diff(stepOf(1).State, again.State); d != "" {
			t.Errorf("state after a loaded one was overwritten (-want +got):\n%s", d)
		}
	})
	t.Run("a cancelled caller saves nothing", func(t *testing.T) {
		b, lease := begin(t)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_, err := b.Start(gone, startOf(core.RunKey{Run: "late"}))
		check(t, "start", err, context.Canceled)
		check(t, "step", b.Step(gone, lease, stepOf(1)), context.Canceled)
		if n := b.Counts().Saves; n != 1 {
			t.Errorf("%d saves, want the start alone", n)
		}
	})
	t.Run("a closed backend says so", func(t *testing.T) {
		b, lease := begin(t)
		check(t, "close", b.Close(), nil)
		_, err := b.Start(ctx, startOf(core.RunKey{Run: "late"}))
		check(t, "start", err, core.ErrClosed)
		check(t, "step", b.Step(ctx, lease, stepOf(1)), core.ErrClosed)
		_, err = b.Load(ctx, key)
		check(t, "load", err, core.ErrClosed)
		_, _, err = b.Claim(ctx, key)
		check(t, "claim", err, core.ErrClosed)
	})
	t.Run("runs at once do not mix", func(t *testing.T) {
		b, _ := begin(t)
		const runs, steps = 16, 5
		var wg sync.WaitGroup
		errs := make(chan error, runs)
		for i := range runs {
			wg.Go(func() { errs <- oneRun(ctx, b, core.RunKey{Run: fmt.Sprint("c", i)}, steps) })
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			check(t, "run", err, nil)
		}
		for i := range runs {
			s, err := b.Load(ctx, core.RunKey{Run: fmt.Sprint("c", i)})
			check(t, "load", err, nil)
			if len(s.Steps) != steps || s.Status != core.Completed {
				t.Errorf("run c%d: %d steps, %v", i, len(s.Steps), s.Status)
			}
		}
		if n, want := b.Counts().Saves, int64(1+runs*(steps+2)); n != want {
			t.Errorf("%d saves, want %d", n, want)
		}
	})
}

// oneRun saves a whole run.
func oneRun(ctx context.Context, b core.Backend, k core.RunKey, steps int64) error {
	lease, err := b.Start(ctx, startOf(k))
	if err != nil {
		return err
	}
	for seq := int64(1); seq <= steps; seq++ {
		if err := b.Step(ctx, lease, stepOf(seq)); err != nil {
			return err
		}
	}
	return b.Finish(ctx, lease, core.FinishRecord{Status: core.Completed, Time: at(9)})
}

// check ends the test unless err is of the wanted kind.
func check(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: error %v, want %v", what, err, want)
	}
}
