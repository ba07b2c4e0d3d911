package coretest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// at returns a fixed time, so that no test depends on the clock.
func at(seconds int64) time.Time { return time.Unix(1_700_000_000+seconds, 123).UTC() }

var (
	key = core.RunKey{Tenant: "acme", Run: "r1"}
	ctx = context.Background() // for calls that are not cancelled
)

func startOf(k core.RunKey) core.StartRecord {
	return core.StartRecord{Key: k, Pipeline: "p", Plan: 1<<63 + 7, PlanText: "pipeline p", State: []byte(`{"n":0}`), Time: at(0)}
}

func stepOf(seq int64) core.StepRecord {
	rec := core.StepRecord{
		Seq: seq, Path: fmt.Sprintf("a/s%d", seq), Status: core.Completed, Attempts: 2,
		Usage: core.Usage{Calls: 2, Tokens: 1 << 40, Cost: 7 + seq}, Output: []byte(`"out"`), Feedback: "try again",
		State: fmt.Appendf(nil, `{"n":%d}`, seq), Started: at(seq), Ended: at(seq + 1),
	}
	return rec
}

// pauseOf returns the record of a pause.
func pauseOf(seq int64, token string) core.StepRecord {
	rec := stepOf(seq)
	rec.Status, rec.Token, rec.Output, rec.Feedback, rec.State = core.Paused, token, []byte(`"may I?"`), "", nil
	rec.For, rec.Due = "editors", at(1000+seq)
	return rec
}

// Conformance checks that a backend keeps the contract of [core.Backend]. open returns an empty
// backend for the given test; the test closes it.
func Conformance(t *testing.T, open func(t *testing.T) core.Backend) {
	run(t, ConformanceCases(func(t testing.TB) core.Backend { return open(t.(*testing.T)) }))
}

// ConformanceCases returns the requirements of [Conformance] one by one.
func ConformanceCases(open func(t testing.TB) core.Backend) []Case {
	s := &suite{open: open}
	s.saves()
	s.ends()
	s.claims()
	s.holders()
	s.lists()
	s.prunes()
	s.pauses()
	s.races()
	s.queues()
	s.names()
	return s.cases
}

// suite collects the cases for one backend.
type suite struct {
	open  func(t testing.TB) core.Backend
	cases []Case
}

func (s *suite) must(what string, check func(t testing.TB)) {
	s.cases = append(s.cases, Case{what, check})
}

// begin opens a backend and starts the run with key in it.
func (s *suite) begin(t testing.TB) (core.Backend, core.Lease) {
	t.Helper()
	b := s.open(t)
	t.Cleanup(func() { check(t, "close", b.Close(), nil) })
	lease, err := b.Start(ctx, startOf(key))
	check(t, "start", err, nil)
	return b, lease
}

func (s *suite) saves() {
	s.must("what is saved is loaded", func(t testing.TB) {
		b, lease := s.begin(t)
		second := stepOf(2)
		second.State, second.Feedback, second.Usage = nil, "", core.Usage{} // unchanged, and nothing used
		third := stepOf(3)
		third.Status, third.Output, third.State, third.Error = core.Failed, nil, nil, "no\x00 \u202e luck \xff"
		want := core.Snapshot{
			Start: startOf(key), Status: core.Running, Epoch: 1,
			State: stepOf(1).State, Steps: []core.StepRecord{stepOf(1), second, third, pauseOf(4, "t")},
		}
		for _, rec := range want.Steps {
			check(t, "step", b.Step(ctx, lease, rec), nil)
		}
		same(t, "snapshot of a running run", load(t, b, key), want)
		check(t, "finish", b.Finish(ctx, lease, core.FinishRecord{Status: core.Failed, Error: "no luck", Time: at(9)}), nil)
		want.Status, want.Error, want.Ended = core.Failed, "no luck", at(9)
		same(t, "snapshot of a failed run", load(t, b, key), want)
		if got, want := b.Counts(), (core.Counts{Saves: 6, Commits: 6}); got != want {
			t.Errorf("counts for 4 steps: %+v, want %+v (N+2)", got, want)
		}
	})
	s.must("a key starts once", func(t testing.TB) {
		b, _ := s.begin(t)
		_, err := b.Start(ctx, startOf(key))
		check(t, "second start", err, core.ErrRunExists)
		_, err = b.Start(ctx, startOf(core.RunKey{Tenant: "other", Run: key.Run}))
		check(t, "start of another tenant", err, nil)
		if n := b.Counts().Saves; n != 2 {
			t.Errorf("%d saves counted, want 2: a refused start must not count", n)
		}
	})
	s.must("an unknown run is not found", func(t testing.TB) {
		b, _ := s.begin(t)
		_, err := b.Load(ctx, core.RunKey{Run: key.Run}) // the tenant is missing
		check(t, "load", err, core.ErrRunNotFound)
		_, _, err = b.Claim(ctx, core.RunKey{Tenant: "acme", Run: "r2"}, 0)
		check(t, "claim", err, core.ErrRunNotFound)
		_, _, err = b.Acquire(ctx, core.Snapshot{Start: core.StartRecord{Key: core.RunKey{Tenant: "acme", Run: "r2"}}, Epoch: 1}, me)
		check(t, "acquire", err, core.ErrRunNotFound)
		check(t, "answer", b.Signal(ctx, core.RunKey{Run: key.Run}, answerOf("t", 5, "1")), core.ErrRunNotFound)
	})
	s.must("no record is doubled or left out", func(t testing.TB) {
		b, lease := s.begin(t)
		check(t, "step 1", b.Step(ctx, lease, stepOf(1)), nil)
		check(t, "step 1 again", b.Step(ctx, lease, stepOf(1)), core.ErrFenced)
		check(t, "step 3 before 2", b.Step(ctx, lease, stepOf(3)), core.ErrFenced)
		check(t, "step of no run", b.Step(ctx, core.Lease{ID: 77, Epoch: 1}, stepOf(2)), core.ErrFenced)
	})
	s.must("slices stay the caller's", func(t testing.TB) {
		b, lease := s.begin(t)
		step, pause, end := stepOf(1), pauseOf(2, "t"), core.FinishRecord{Status: core.Paused, Exits: []byte("{}"), Answers: 1, Time: at(5)}
		answer := core.AnswerRecord{Token: "t", Answer: []byte("true"), Time: at(4)}
		check(t, "step", b.Step(ctx, lease, step), nil)
		check(t, "pause", b.Step(ctx, lease, pause), nil)
		check(t, "signal", b.Signal(ctx, key, answer), nil)
		check(t, "finish", b.Finish(ctx, lease, end), nil)
		want := load(t, b, key)
		got := load(t, b, key)
		for _, p := range [][]byte{step.State, step.Output, pause.Output, answer.Answer, end.Exits,
			got.State, got.Start.State, got.Steps[0].State, got.Steps[1].Output, got.Answers[0].Answer, got.Exits} {
			clear(p)
		}
		same(t, "snapshot after the slices passed and returned were overwritten", load(t, b, key), want)
	})
	s.must("a cancelled caller saves nothing", func(t testing.TB) {
		b, lease := s.begin(t)
		check(t, "pause", b.Step(ctx, lease, pauseOf(1, "t")), nil)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_, err := b.Start(gone, startOf(core.RunKey{Run: "late"}))
		check(t, "start", err, context.Canceled)
		check(t, "step", b.Step(gone, lease, stepOf(2)), context.Canceled)
		check(t, "finish", b.Finish(gone, lease, core.FinishRecord{Status: core.Completed, Time: at(5)}), context.Canceled)
		check(t, "signal", b.Signal(gone, key, core.AnswerRecord{Token: "t", Answer: []byte("1"), Time: at(5)}), context.Canceled)
		_, _, err = b.Claim(gone, key, 0)
		check(t, "claim", err, context.Canceled)
		_, _, err = b.Acquire(gone, load(t, b, key), me)
		check(t, "acquire", err, context.Canceled)
		_, err = b.Renew(gone, me, []core.Lease{lease})
		check(t, "renew", err, context.Canceled)
		if got, want := b.Counts(), (core.Counts{Saves: 2, Commits: 2}); got != want {
			t.Errorf("counts %+v, want %+v: only the start and the pause", got, want)
		}
	})
	s.must("a closed backend returns ErrClosed", func(t testing.TB) {
		b, lease := s.begin(t)
		check(t, "close", b.Close(), nil)
		_, err := b.Start(ctx, startOf(core.RunKey{Run: "late"}))
		check(t, "start", err, core.ErrClosed)
		check(t, "step", b.Step(ctx, lease, stepOf(1)), core.ErrClosed)
		check(t, "finish", b.Finish(ctx, lease, core.FinishRecord{Status: core.Paused, Time: at(5)}), core.ErrClosed)
		check(t, "signal", b.Signal(ctx, key, core.AnswerRecord{Token: "t", Answer: []byte("1"), Time: at(5)}), core.ErrClosed)
		_, err = b.Load(ctx, key)
		check(t, "load", err, core.ErrClosed)
		_, _, err = b.Claim(ctx, key, 0)
		check(t, "claim", err, core.ErrClosed)
		_, _, err = b.Acquire(ctx, core.Snapshot{Start: startOf(key), Epoch: 1}, me)
		check(t, "acquire", err, core.ErrClosed)
		_, err = b.Renew(ctx, me, nil)
		check(t, "renew", err, core.ErrClosed)
	})
}

func (s *suite) ends() {
	s.must("an end is final", func(t testing.TB) {
		for _, status := range []core.Status{core.Completed, core.Failed, core.Cancelled} {
			b, lease := s.begin(t)
			end := core.FinishRecord{Status: status, Time: at(5)}
			check(t, "finish", b.Finish(ctx, lease, end), nil)
			check(t, "finish again", b.Finish(ctx, lease, end), core.ErrFenced)
			check(t, "step", b.Step(ctx, lease, stepOf(1)), core.ErrFenced)
			_, _, err := b.Claim(ctx, key, 0)
			check(t, "claim", err, core.ErrRunFinished)
			_, _, err = b.Claim(ctx, key, 7)
			check(t, "claim of another epoch", err, core.ErrRunFinished)
		}
	})
	s.must("an end keeps the scope and the exits", func(t testing.TB) {
		b, lease := s.begin(t)
		check(t, "step", b.Step(ctx, lease, stepOf(1)), nil)
		before := load(t, b, key)
		end := core.FinishRecord{Status: core.Completed, Exits: []byte(`{"loop":1}`), State: []byte(`"end"`), Time: at(5)}
		for _, seq := range []int64{1, 3} { // one that is used already, and one too far ahead
			end.Seq = seq
			check(t, fmt.Sprintf("finish with state %d", seq), b.Finish(ctx, lease, end), core.ErrFenced)
		}
		same(t, "snapshot after refused ends", load(t, b, key), before)
		end.Seq = 2
		check(t, "finish", b.Finish(ctx, lease, end), nil)
		want := before
		want.Status, want.Exits, want.State, want.Ended = core.Completed, end.Exits, end.State, at(5)
		same(t, "snapshot of the end", load(t, b, key), want)
		if got, want := b.Counts(), (core.Counts{Saves: 3, Commits: 3}); got != want {
			t.Errorf("counts %+v, want %+v: a finish with a scope is one save", got, want)
		}
	})
	s.must("an end without a step keeps the scope", func(t testing.TB) {
		b, lease := s.begin(t)
		check(t, "finish", b.Finish(ctx, lease, core.FinishRecord{Status: core.Completed, State: []byte(`"end"`), Seq: 1, Time: at(5)}), nil)
		got := load(t, b, key)
		if string(got.State) != `"end"` || string(got.Start.State) != `{"n":0}` || len(got.Steps) != 0 {
			t.Errorf("state %s, started with %s, %d steps", got.State, got.Start.State, len(got.Steps))
		}
	})
}

// load returns the snapshot of a run.
func load(t testing.TB, b core.Backend, k core.RunKey) core.Snapshot {
	t.Helper()
	s, err := b.Load(ctx, k)
	check(t, "load", err, nil)
	return s
}

// same compares a loaded snapshot with the expected one, except for the nonce, which is random.
func same(t testing.TB, what string, got, want core.Snapshot) {
	t.Helper()
	want.Nonce = got.Nonce
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// check ends the test unless err matches want.
func check(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: error %v, want %v", what, err, want)
	}
}
