package coretest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// races are concurrent calls by many goroutines. Which one wins is undefined, but one must win.
func (s *suite) races() {
	s.must("concurrent runs do not mix", func(t testing.TB) {
		b, _ := s.begin(t)
		const steps = 5
		errs := racers(func(i int) error { return oneRun(b, core.RunKey{Run: fmt.Sprint("c", i)}, steps) })
		for i, err := range errs {
			check(t, "run", err, nil)
			if got := load(t, b, core.RunKey{Run: fmt.Sprint("c", i)}); len(got.Steps) != steps || got.Status != core.Completed {
				t.Errorf("run c%d: %d steps, %v", i, len(got.Steps), got.Status)
			}
		}
		if n, want := b.Counts().Saves, int64(1+rivals*(steps+2)); n != want {
			t.Errorf("%d saves, want %d", n, want)
		}
	})
	s.must("one of several concurrent starts wins", func(t testing.TB) {
		b, _ := s.begin(t)
		k := core.RunKey{Run: "contested"}
		errs := racers(func(int) error { _, err := b.Start(ctx, startOf(k)); return err })
		if won := winners(t, errs, core.ErrRunExists); len(won) != 1 {
			t.Errorf("%d of %d starts won, want 1", len(won), rivals)
		}
	})
	s.must("one of several concurrent claims of an epoch wins", func(t testing.TB) {
		b, _ := s.begin(t)
		errs := racers(func(int) error { _, _, err := b.Claim(ctx, key, 1); return err })
		if won := winners(t, errs, core.ErrFenced); len(won) != 1 {
			t.Errorf("%d of %d claims won, want 1", len(won), rivals)
		}
		if got := load(t, b, key).Epoch; got != 2 {
			t.Errorf("epoch %d, want 2", got)
		}
	})
	s.must("no two concurrent claims get the same epoch", func(t testing.TB) {
		b, _ := s.begin(t)
		var leases [rivals]core.Lease
		errs := racers(func(i int) (err error) { leases[i], _, err = b.Claim(ctx, key, 0); return err })
		won := winners(t, errs, core.ErrFenced) // a later claim is refused, or fences off the earlier one
		epochs := map[int64]bool{}
		for _, i := range won {
			epochs[leases[i].Epoch] = true
		}
		if got := load(t, b, key).Epoch; len(epochs) != len(won) || len(won) == 0 || got != int64(1+len(won)) {
			t.Errorf("%d claims won %d epochs, the run has epoch %d; want as many epochs as claims, and one more in the run", len(won), len(epochs), got)
		}
	})
	s.must("one of several concurrent answers wins", func(t testing.TB) {
		b, lease := s.begin(t)
		check(t, "pause", b.Step(ctx, lease, pauseOf(1, "t")), nil)
		errs := racers(func(i int) error { return b.Signal(ctx, key, answerOf("t", int64(i), fmt.Sprint(i))) })
		won := winners(t, errs, core.ErrAnswered)
		if got := load(t, b, key).Answers; len(won) != 1 || len(got) != 1 || string(got[0].Answer) != fmt.Sprint(won[0]) {
			t.Errorf("answers %v won, %d are saved; want one winner, and its answer saved", won, len(got))
		}
	})
	s.must("no answer is overlooked by a pause", func(t testing.TB) {
		b, _ := s.begin(t)
		if err := overlooked(b, 4*rivals); err != nil {
			t.Error(err)
		}
	})
	for _, d := range raceDefects {
		s.must("control: a backend that "+d.what+" is detected", func(t testing.TB) {
			b, err := d.spoil(func(context.Context, string) (core.Backend, error) { return s.open(t), nil })(ctx, "")
			check(t, "open", err, nil)
			t.Cleanup(func() { check(t, "close", b.Close(), nil) })
			// The backend itself is given as many rounds. If a defect shows in one round of three,
			// all of them miss it once in 10^11.
			if err := overlooked(b, 4*rivals); err == nil {
				t.Errorf("%d rounds did not show the defect", 4*rivals)
			} else {
				t.Logf("found: %v", err)
			}
		})
	}
	s.must("a step concurrent with a claim is in the claimed snapshot or refused", func(t testing.TB) {
		b, _ := s.begin(t)
		for round := range rivals {
			k := core.RunKey{Run: fmt.Sprint("s", round)}
			lease, err := b.Start(ctx, startOf(k))
			check(t, "start", err, nil)
			var snap core.Snapshot
			errs := racers(func(i int) (err error) {
				switch i {
				case 0:
					return b.Step(ctx, lease, stepOf(1))
				case 1:
					_, snap, err = b.Claim(ctx, k, 0)
				}
				return err
			})
			check(t, "claim", errs[1], nil)
			saved := 1
			if errs[0] != nil {
				check(t, "step", errs[0], core.ErrFenced)
				saved = 0
			}
			if len(snap.Steps) != saved {
				t.Errorf("the claim shows %d steps, want %d as saved", len(snap.Steps), saved)
			}
		}
	})
}

// overlooked runs an answer and the pause of its run concurrently, and returns the first lost
// wake-up: the answer is saved, its sender finds the run still running and leaves it to the
// executor, but the pause of the executor is saved as well. The sender must load the run itself
// right after its answer, because a lost wake-up leaves no other trace.
func overlooked(b core.Backend, rounds int) error {
	for round := range rounds {
		k := core.RunKey{Run: fmt.Sprint("p", round)}
		lease, err := b.Start(ctx, startOf(k))
		if err == nil {
			err = b.Step(ctx, lease, pauseOf(1, "t"))
		}
		if err != nil {
			return err
		}
		var seen core.Status // by the sender of the answer
		errs := racers(func(i int) error {
			// The delays vary, so that each of the two is sometimes first.
			for range [2]int{round % 8 * 5, (7 - round%8) * 5}[i%2] {
				runtime.Gosched()
			}
			switch i {
			case 0:
				err := b.Signal(ctx, k, answerOf("t", 4, "1"))
				snap, loadErr := b.Load(ctx, k)
				seen = snap.Status
				return errors.Join(err, loadErr)
			case 1:
				return b.Finish(ctx, lease, core.FinishRecord{Status: core.Paused, Time: at(5)})
			}
			return nil
		})
		snap, err := b.Load(ctx, k)
		want := core.Paused // the pause was first: the sender sees it and resumes the run
		if errs[1] != nil {
			want = core.Running // the answer was first: the holder processes it
		}
		switch {
		case err != nil || errs[0] != nil:
			return errors.Join(err, errs[0])
		case errs[1] != nil && !errors.Is(errs[1], core.ErrSignalled):
			return fmt.Errorf("pause: error %w, want %v", errs[1], core.ErrSignalled)
		case errs[1] == nil && seen == core.Running:
			return fmt.Errorf("round %d: the answer was saved before the pause, which was saved as well: no process resumes the run", round+1)
		case snap.Status != want || len(snap.Answers) != 1:
			return fmt.Errorf("round %d: run %v with %d answers, want %v with 1", round+1, snap.Status, len(snap.Answers), want)
		}
	}
	return nil
}

// oneRun saves a complete run.
func oneRun(b core.Backend, k core.RunKey, steps int64) error {
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
