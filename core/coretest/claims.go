package coretest

import (
	"errors"
	"sync"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// rivals is the number of goroutines in a race.
const rivals = 16

func (s *suite) claims() {
	s.must("a claim fences the holder off", func(t testing.TB) {
		b, old := s.begin(t)
		check(t, "step", b.Step(ctx, old, stepOf(1)), nil)
		lease, snap, err := b.Claim(ctx, key, 0)
		check(t, "claim", err, nil)
		if lease.Epoch != 2 || snap.Epoch != 2 || len(snap.Steps) != 1 {
			t.Errorf("claimed epoch %d, snapshot epoch %d with %d steps; want 2, 2, 1", lease.Epoch, snap.Epoch, len(snap.Steps))
		}
		check(t, "step of the old holder", b.Step(ctx, old, stepOf(2)), core.ErrFenced)
		check(t, "finish of the old holder", b.Finish(ctx, old, core.FinishRecord{Status: core.Completed, Time: at(3)}), core.ErrFenced)
		check(t, "end with a scope of the old holder",
			b.Finish(ctx, old, core.FinishRecord{Status: core.Completed, State: []byte("1"), Seq: 2, Time: at(3)}), core.ErrFenced)
		check(t, "pause of the old holder", b.Finish(ctx, old, core.FinishRecord{Status: core.Paused, Answers: 3, Time: at(3)}), core.ErrFenced)
		same(t, "snapshot after the refused saves", load(t, b, key), snap)
		check(t, "step of the new holder", b.Step(ctx, lease, stepOf(2)), nil)
		if got, want := b.Counts(), (core.Counts{Saves: 3, Claims: 1, Commits: 4}); got != want {
			t.Errorf("counts %+v, want %+v", got, want)
		}
	})
	s.must("a claim of one epoch claims no other", func(t testing.TB) {
		b, first := s.begin(t)
		for _, epoch := range []int64{2, -1} {
			_, _, err := b.Claim(ctx, key, epoch)
			check(t, "claim of an epoch that the run does not have", err, core.ErrFenced)
		}
		check(t, "step of the holder", b.Step(ctx, first, stepOf(1)), nil)
		lease, _, err := b.Claim(ctx, key, 1)
		check(t, "claim of the epoch of the run", err, nil)
		_, _, err = b.Claim(ctx, key, 1)
		check(t, "claim of an epoch that has passed", err, core.ErrFenced)
		check(t, "step of the new holder", b.Step(ctx, lease, stepOf(2)), nil)
		if got, want := b.Counts(), (core.Counts{Saves: 3, Claims: 1, Commits: 4}); got != want {
			t.Errorf("counts %+v, want %+v: refused claims must not count", got, want)
		}
	})
	for _, status := range []core.Status{core.Paused, core.Stopped} {
		s.must("a "+status.String()+" run is released and continues when it is claimed", func(t testing.TB) {
			b, first := s.begin(t)
			check(t, "step", b.Step(ctx, first, pauseOf(1, "t")), nil)
			want := load(t, b, key)
			end := core.FinishRecord{Status: status, Error: "out of luck", Exits: []byte(`{"loop":1}`), Time: at(5)}
			check(t, "finish", b.Finish(ctx, first, end), nil)
			want.Status, want.Error, want.Exits, want.Ended = status, end.Error, end.Exits, at(5)
			same(t, "released run", load(t, b, key), want)
			check(t, "step after the release", b.Step(ctx, first, stepOf(2)), core.ErrFenced)
			check(t, "finish after the release", b.Finish(ctx, first, end), core.ErrFenced)

			lease, snap, err := b.Claim(ctx, key, 1)
			check(t, "claim", err, nil)
			want.Status, want.Error, want.Ended, want.Epoch = core.Running, "", load(t, b, key).Ended, 2
			same(t, "claimed run", snap, want)
			if !snap.Ended.IsZero() {
				t.Errorf("a claimed run has ended at %v", snap.Ended)
			}
			same(t, "claimed run, loaded", load(t, b, key), snap)
			check(t, "step of the lease that was released", b.Step(ctx, first, stepOf(2)), core.ErrFenced)
			check(t, "step of the claim", b.Step(ctx, lease, stepOf(2)), nil)
			check(t, "end of the claim", b.Finish(ctx, lease, core.FinishRecord{Status: core.Completed, Time: at(6)}), nil)
			if got := load(t, b, key); got.Exits != nil || got.Status != core.Completed || !got.Ended.Equal(at(6)) {
				t.Errorf("ended %v at %v with exits %s; want none, as in the latest finish", got.Status, got.Ended, got.Exits)
			}
		})
	}
}

// racers calls f in several goroutines at the same time and returns their errors.
func racers(f func(i int) error) []error {
	errs := make([]error, rivals)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			<-begin
			errs[i] = f(i)
		})
	}
	close(begin)
	wg.Wait()
	return errs
}

// winners returns the indexes of the racers without an error. The others must have the error lost.
func winners(t testing.TB, errs []error, lost error) (won []int) {
	t.Helper()
	for i, err := range errs {
		switch {
		case err == nil:
			won = append(won, i)
		case !errors.Is(err, lost):
			t.Errorf("racer %d: error %v, want %v", i, err, lost)
		}
	}
	return won
}
