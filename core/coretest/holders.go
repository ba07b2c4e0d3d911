package coretest

import (
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// me and you are two executors. The lease of me ends at at(50), that of you at at(90).
var (
	me  = core.Holder{Executor: "me \x00'", Until: at(50)}
	you = core.Holder{Executor: "you", Until: at(90)}
)

// held starts a run whose holder is me.
func (s *suite) held(t testing.TB) (core.Backend, core.Lease) {
	t.Helper()
	b := s.open(t)
	t.Cleanup(func() { check(t, "close", b.Close(), nil) })
	rec := startOf(key)
	rec.Holder = me
	lease, err := b.Start(ctx, rec)
	check(t, "start", err, nil)
	return b, lease
}

func (s *suite) holders() {
	s.must("a run knows who executes it", func(t testing.TB) {
		b, lease := s.held(t)
		want := load(t, b, key)
		if want.Holder != me {
			t.Errorf("the holder is %+v, want %+v", want.Holder, me)
		}
		check(t, "pause", b.Step(ctx, lease, pauseOf(1, "t")), nil)
		check(t, "finish", b.Finish(ctx, lease, core.FinishRecord{Status: core.Paused, Wake: at(77), Time: at(5)}), nil)
		got := load(t, b, key)
		if got.Holder != (core.Holder{Executor: me.Executor}) || !got.Wake.Equal(at(77)) {
			t.Errorf("a paused run has holder %+v and wakes at %v; want no time of expiry, and %v", got.Holder, got.Wake, at(77))
		}
		_, snap, err := b.Acquire(ctx, got, you)
		check(t, "acquire", err, nil)
		want = got
		want.Status, want.Epoch, want.Holder, want.Wake, want.Ended = core.Running, 2, you, time.Time{}, time.Time{}
		same(t, "acquired run", snap, want)
		same(t, "acquired run, loaded", load(t, b, key), want)
		_, snap, err = b.Claim(ctx, key, 2)
		check(t, "claim", err, nil)
		if snap.Holder != (core.Holder{}) || load(t, b, key).Holder != snap.Holder {
			t.Errorf("a claimed run has the holder %+v, want none", snap.Holder)
		}
		if got, want := b.Counts(), (core.Counts{Saves: 3, Claims: 2, Commits: 5}); got != want {
			t.Errorf("counts %+v, want %+v", got, want)
		}
	})
	s.must("a heartbeat extends a lease and does not count as a save", func(t testing.TB) {
		b, lease := s.held(t)
		before, counts := load(t, b, key), b.Counts()
		lost, err := b.Renew(ctx, you, []core.Lease{lease})
		check(t, "renew", err, nil)
		before.Holder = you
		same(t, "run after a heartbeat", load(t, b, key), before)
		counts.Heartbeats++
		if got := b.Counts(); len(lost) != 0 || got != counts {
			t.Errorf("counts %+v, lost %v; want %+v and none", got, lost, counts)
		}
		check(t, "step after a heartbeat", b.Step(ctx, lease, stepOf(1)), nil)
		_, err = b.Renew(ctx, core.Holder{Executor: "you"}, []core.Lease{lease})
		check(t, "give up", err, nil)
		if got := load(t, b, key).Holder; got != (core.Holder{Executor: "you"}) {
			t.Errorf("a released run has the holder %+v", got)
		}
		check(t, "step of the holder that released the run: the fence decides", b.Step(ctx, lease, stepOf(2)), nil)
	})
	s.must("a heartbeat names the leases that are lost, and leaves their runs alone", func(t testing.TB) {
		b, old := s.held(t)
		lease, _, err := b.Acquire(ctx, load(t, b, key), you)
		check(t, "acquire", err, nil)
		other, err := b.Start(ctx, startOf(core.RunKey{Run: "other"}))
		check(t, "start", err, nil)
		check(t, "finish", b.Finish(ctx, other, core.FinishRecord{Status: core.Completed, Time: at(5)}), nil)
		want, ended := load(t, b, key), load(t, b, core.RunKey{Run: "other"})
		none := core.Lease{ID: 1 << 30, Epoch: 1}
		lost, err := b.Renew(ctx, me, []core.Lease{old, other, none})
		check(t, "renew", err, nil)
		if len(lost) != 3 || lost[0] != old || lost[1] != other || lost[2] != none {
			t.Errorf("lost %v, want %v", lost, []core.Lease{old, other, none})
		}
		same(t, "run of another", load(t, b, key), want)
		same(t, "run that has ended", load(t, b, core.RunKey{Run: "other"}), ended)
		lost, err = b.Renew(ctx, you, []core.Lease{old, lease})
		check(t, "renew", err, nil)
		if len(lost) != 1 || lost[0] != old {
			t.Errorf("lost %v, want %v", lost, old)
		}
	})
	s.must("acquiring a run returns what was saved since it was loaded", func(t testing.TB) {
		b, lease := s.held(t)
		known := load(t, b, key)
		check(t, "pause", b.Step(ctx, lease, pauseOf(1, "t")), nil)
		check(t, "answer", b.Signal(ctx, key, answerOf("t", 4, "1")), nil)
		want := load(t, b, key)
		_, snap, err := b.Acquire(ctx, known, you)
		check(t, "acquire", err, nil)
		want.Epoch, want.Holder = 2, you
		same(t, "acquired run", snap, want)
		_, _, err = b.Acquire(ctx, known, you)
		check(t, "acquire of an epoch that has passed", err, core.ErrFenced)
		check(t, "step of the old lease", b.Step(ctx, lease, stepOf(2)), core.ErrFenced)
	})
	s.must("a run can only be acquired with the nonce that it had when it was loaded, if it has one", func(t testing.TB) {
		b, lease := s.held(t)
		known := load(t, b, key)
		if known.Nonce != lease.Nonce {
			t.Errorf("a run with nonce %d, its lease %d", known.Nonce, lease.Nonce)
		}
		if known.Nonce == 0 {
			return // nothing can be set back
		}
		lost := known // what would have been read before the database was set back
		lost.Nonce++
		_, _, err := b.Acquire(ctx, lost, you)
		check(t, "acquire of a run that was set back", err, core.ErrFenced)
		check(t, "step", b.Step(ctx, lease, stepOf(1)), nil)
		_, _, err = b.Acquire(ctx, lost, you)
		check(t, "acquire of a run that was set back and has gone on", err, core.ErrFenced)
		lease, snap, err := b.Acquire(ctx, known, you)
		check(t, "acquire", err, nil)
		if now := load(t, b, key); snap.Nonce != lease.Nonce || now.Nonce != lease.Nonce || lease.Nonce == known.Nonce {
			t.Errorf("nonces %d and, loaded, %d; its lease has %d, and had %d before", snap.Nonce, now.Nonce, lease.Nonce, known.Nonce)
		}
		lease, snap, err = b.Claim(ctx, key, 0)
		check(t, "claim", err, nil)
		if snap.Nonce != lease.Nonce {
			t.Errorf("a claimed run with nonce %d, its lease %d", snap.Nonce, lease.Nonce)
		}
	})
	for _, status := range []core.Status{core.Failed, core.Cancelled} {
		s.must("a "+status.String()+" run can only be continued by acquiring it", func(t testing.TB) {
			b, lease := s.held(t)
			check(t, "step", b.Step(ctx, lease, stepOf(1)), nil)
			before := load(t, b, key)
			check(t, "finish", b.Finish(ctx, lease, core.FinishRecord{Status: status, Error: "no", State: []byte(`"end"`), Seq: 2, Time: at(5)}), nil)
			_, _, err := b.Claim(ctx, key, 0)
			check(t, "claim", err, core.ErrRunFinished)
			lease, snap, err := b.Acquire(ctx, load(t, b, key), you)
			check(t, "acquire", err, nil)
			before.Epoch, before.Holder = 2, you
			same(t, "acquired run: its state is that of its records", snap, before)
			same(t, "acquired run, loaded", load(t, b, key), before)
			check(t, "step", b.Step(ctx, lease, stepOf(2)), nil)
			check(t, "finish", b.Finish(ctx, lease, core.FinishRecord{Status: core.Completed, Time: at(6)}), nil)
			_, _, err = b.Acquire(ctx, load(t, b, key), me)
			check(t, "acquire of a completed run", err, core.ErrRunFinished)
		})
	}
	s.must("a fork keeps where it comes from", func(t testing.TB) {
		b := s.open(t)
		t.Cleanup(func() { check(t, "close", b.Close(), nil) })
		rec := startOf(key)
		rec.Origin = core.Origin{Key: core.RunKey{Tenant: "a\x00", Run: "parent"}, Seq: 7}
		_, err := b.Start(ctx, rec)
		check(t, "start", err, nil)
		if got := load(t, b, key).Start.Origin; got != rec.Origin {
			t.Errorf("origin %+v, want %+v", got, rec.Origin)
		}
	})
}
