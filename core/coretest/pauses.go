package coretest

import (
	"fmt"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// answerOf returns an answer to token, given at the given second.
func answerOf(token string, seconds int64, answer string) core.AnswerRecord {
	return core.AnswerRecord{Token: token, Answer: []byte(answer), Time: at(seconds)}
}

func (s *suite) pauses() {
	s.must("only the first answer is saved", func(t testing.TB) {
		b, lease := s.begin(t)
		check(t, "pause", b.Step(ctx, lease, pauseOf(1, "t")), nil)
		check(t, "answer", b.Signal(ctx, key, answerOf("t", 5, `"yes"`)), nil)
		check(t, "second answer", b.Signal(ctx, key, answerOf("t", 6, `"no"`)), core.ErrAnswered)
		check(t, "the same answer again", b.Signal(ctx, key, answerOf("t", 5, `"yes"`)), core.ErrAnswered)
		got := load(t, b, key)
		want := got
		want.Answers = []core.AnswerRecord{answerOf("t", 5, `"yes"`)}
		same(t, "answered run", got, want)
		check(t, "step of the holder, which answers do not affect", b.Step(ctx, lease, stepOf(2)), nil)
		if got, want := b.Counts(), (core.Counts{Saves: 4, Commits: 4}); got != want {
			t.Errorf("counts %+v, want %+v: a refused answer must not count", got, want)
		}
	})
	s.must("an answer needs its pause", func(t testing.TB) {
		b, lease := s.begin(t)
		done := stepOf(1)
		done.Token = "of no pause"
		check(t, "step", b.Step(ctx, lease, done), nil)
		check(t, "pause", b.Step(ctx, lease, pauseOf(2, "t")), nil)
		for _, token := range []string{"", "u", "T", "t ", "t\x00", "%", done.Token} {
			check(t, fmt.Sprintf("answer to token %q", token), b.Signal(ctx, key, answerOf(token, 5, "1")), core.ErrNoPause)
		}
		check(t, "answer to no run", b.Signal(ctx, core.RunKey{Tenant: "acme", Run: "r2"}, answerOf("t", 5, "1")), core.ErrRunNotFound)
		other := core.RunKey{Tenant: "other", Run: key.Run}
		check(t, "answer of another tenant", b.Signal(ctx, other, answerOf("t", 5, "1")), core.ErrRunNotFound)
		lease, err := b.Start(ctx, startOf(other))
		check(t, "start of another tenant", err, nil)
		check(t, "answer to the pause of another tenant", b.Signal(ctx, other, answerOf("t", 5, "1")), core.ErrNoPause)
		check(t, "pause of another tenant", b.Step(ctx, lease, pauseOf(1, "t")), nil)
		check(t, "answer of another tenant to a pause of its own", b.Signal(ctx, other, answerOf("t", 5, "2")), nil)
		if got := load(t, b, key); len(got.Answers) != 0 {
			t.Errorf("the answer of another tenant was saved here: %v", got.Answers)
		}
		check(t, "answer", b.Signal(ctx, key, answerOf("t", 5, "1")), nil)
	})
	s.must("answers are accepted until the run ends", func(t testing.TB) {
		b, lease := s.begin(t)
		for i := range int64(5) {
			check(t, "pause", b.Step(ctx, lease, pauseOf(i+1, fmt.Sprint("t", i))), nil)
		}
		check(t, "answer while it runs", b.Signal(ctx, key, answerOf("t0", 1, "1")), nil)
		check(t, "finish", b.Finish(ctx, lease, core.FinishRecord{Status: core.Paused, Answers: 1, Time: at(2)}), nil)
		check(t, "answer while it is paused", b.Signal(ctx, key, answerOf("t1", 3, "1")), nil)
		if got := load(t, b, key); got.Status != core.Paused || got.Epoch != 1 {
			t.Errorf("an answer made the run %v with epoch %d; only a claim may do that", got.Status, got.Epoch)
		}
		lease, snap, err := b.Claim(ctx, key, 0)
		check(t, "claim", err, nil)
		if len(snap.Answers) != 2 {
			t.Errorf("the claimed snapshot has %d answers, want 2", len(snap.Answers))
		}
		check(t, "finish", b.Finish(ctx, lease, core.FinishRecord{Status: core.Stopped, Time: at(4)}), nil)
		check(t, "answer while it is stopped", b.Signal(ctx, key, answerOf("t2", 5, "1")), nil)
		lease, _, err = b.Claim(ctx, key, 0)
		check(t, "claim", err, nil)
		check(t, "finish", b.Finish(ctx, lease, core.FinishRecord{Status: core.Completed, Time: at(6)}), nil)
		check(t, "answer after the end", b.Signal(ctx, key, answerOf("t3", 7, "1")), core.ErrNoPause)
		check(t, "second answer after the end", b.Signal(ctx, key, answerOf("t2", 7, "1")), core.ErrNoPause)
		if got := load(t, b, key); len(got.Answers) != 3 {
			t.Errorf("%d answers, want 3", len(got.Answers))
		}
	})
	s.must("answers are in order of time", func(t testing.TB) {
		b, lease := s.begin(t)
		times := []int64{5, 3, 9, 4} // the clocks of two processes differ
		for i, at := range times {
			token := fmt.Sprint("t", at)
			check(t, "pause", b.Step(ctx, lease, pauseOf(int64(i+1), token)), nil)
			check(t, "answer", b.Signal(ctx, key, answerOf(token, at, "1")), nil)
		}
		got := load(t, b, key)
		want := got
		want.Answers = []core.AnswerRecord{answerOf("t3", 3, "1"), answerOf("t4", 4, "1"), answerOf("t5", 5, "1"), answerOf("t9", 9, "1")}
		same(t, "answers", got, want)
	})
	s.must("a pause that has not seen all answers is refused", func(t testing.TB) {
		b, lease := s.begin(t)
		check(t, "pause", b.Step(ctx, lease, pauseOf(1, "t")), nil)
		check(t, "pause", b.Step(ctx, lease, pauseOf(2, "u")), nil)
		pause := core.FinishRecord{Status: core.Paused, Error: "e", Exits: []byte("{}"), Answers: 1, Time: at(5)}
		check(t, "pause that knows an answer that was never given", b.Finish(ctx, lease, pause), core.ErrSignalled)
		check(t, "answer", b.Signal(ctx, key, answerOf("t", 4, "1")), nil)
		before, counts := load(t, b, key), b.Counts()
		for _, known := range []int{0, 2} {
			pause.Answers = known
			check(t, fmt.Sprintf("pause that knows %d answers", known), b.Finish(ctx, lease, pause), core.ErrSignalled)
		}
		same(t, "run whose pauses were refused", load(t, b, key), before)
		if got := b.Counts(); got != counts {
			t.Errorf("counts %+v, want %+v: a refused pause must not count", got, counts)
		}
		check(t, "step after a refused pause", b.Step(ctx, lease, stepOf(3)), nil)
		pause.Answers = 1
		check(t, "pause that knows the answer", b.Finish(ctx, lease, pause), nil)
		check(t, "pause with a released lease", b.Finish(ctx, lease, core.FinishRecord{Status: core.Paused, Time: at(6)}), core.ErrFenced)
		lease, _, err := b.Claim(ctx, key, 0)
		check(t, "claim", err, nil)
		check(t, "other finishes may give any number of answers", b.Finish(ctx, lease, core.FinishRecord{Status: core.Stopped, Answers: 9, Time: at(7)}), nil)
	})
}
