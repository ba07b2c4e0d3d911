package core_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// slowly returns after d, or when its context ends, and counts its calls.
func slowly(d time.Duration, calls *atomic.Int64) core.Func[string, string] {
	return func(ctx context.Context, req core.Request[string]) (string, error) {
		calls.Add(1)
		select {
		case <-time.After(d):
			return req.Path, nil
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// sweeping runs ResumeAll on an engine of its own until the test ends; what it took up
// comes by the channel.
func sweeping(ctx context.Context, b core.Backend, p *core.Pipeline[doc]) chan core.Result[doc] {
	taken := make(chan core.Result[doc], 100)
	e := core.NewEngine(core.WithBackend(b), core.WithExecutor("sweeper"))
	go core.ResumeAll(ctx, e, p, func(_ core.RunKey, res core.Result[doc], _ error) { taken <- res })
	return taken
}

// A run whose executor lives is left alone for hours; one whose executor has died is
// taken up once its lease has ended.
func TestResumeAllTakesOnlyWhatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := core.NewMemory()
		var calls atomic.Int64
		p := plan(t, work("a", slowly(3*time.Hour, &calls)), work("b", appending))
		dead := core.StartRecord{Key: core.RunKey{Run: "dead"}, Pipeline: "p", Plan: p.Fingerprint(), State: []byte(`{"Text":"","Note":""}`),
			Holder: core.Holder{Executor: "gone", Until: time.Now().Add(20 * time.Second)}, Time: time.Now()}
		if _, err := b.Start(ctx, dead); err != nil {
			t.Fatal(err)
		}
		if err := core.Begin(ctx, core.NewEngine(core.WithBackend(b)), p, core.RunKey{Run: "begun"}, doc{}); err != nil {
			t.Fatal(err)
		}
		taken := sweeping(ctx, b, p)
		res, err := core.Run(ctx, core.NewEngine(core.WithBackend(b), core.WithExecutor("alive")), p, core.RunKey{Run: "live"}, doc{})
		if err != nil || res.Status != core.Completed {
			t.Errorf("the run of the living: %v, %v", res.Status, err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := calls.Load(); n != 3 || len(taken) != 2 {
			t.Errorf("%d calls, %d runs were taken up; want 3 and 2", n, len(taken))
		}
		for _, name := range []string{"dead", "begun", "live"} {
			snap, err := b.Load(ctx, core.RunKey{Run: name})
			if err != nil || snap.Status != core.Completed {
				t.Errorf("run %s: %v, %v", name, snap.Status, err)
			}
		}
		if c := b.Counts(); c.Heartbeats == 0 {
			t.Errorf("runs of three hours without a heartbeat: %+v", c)
		}
		cancel()
		synctest.Wait()
	})
}

// Shorter than the interval, a run makes no heartbeat: N+2 commits and no more.
func TestShortRunMakesNoHeartbeat(t *testing.T) {
	b := core.NewMemory()
	if _, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), plan(t, work("a", appending), work("b", appending)), runR, doc{}); err != nil {
		t.Fatal(err)
	}
	if got, want := b.Counts(), (core.Counts{Saves: 4, Commits: 4}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

func TestWaitAndDeadlineSurviveRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := core.NewMemory()
		hour := func(doc) time.Duration { return time.Hour }
		p := plan(t, work("a", appending), core.Wait("sleep", hour),
			core.Human("ask", asks, answered, core.For[string]("editors"), core.Deadline(48*time.Hour, "nobody")), work("b", appending))
		began := time.Now()
		res, err := core.Run(ctx, core.NewEngine(core.WithBackend(b)), p, runR, doc{})
		if err != nil || res.Status != core.Paused || !res.Wake.Equal(began.Add(time.Hour)) {
			t.Fatalf("%v up to %v, %v", res.Status, res.Wake, err)
		}
		if _, err := core.Signal(ctx, core.NewEngine(core.WithBackend(b)), p, runR, res.Pauses[0].Token, "x"); err == nil || !strings.Contains(err.Error(), "takes no answer") {
			t.Errorf("an answer to a wait: %v", err)
		}
		if res, err := core.Resume(ctx, core.NewEngine(core.WithBackend(b)), p, runR); err != nil || res.Status != core.Paused || load(t, b).Epoch != 1 {
			t.Errorf("before its time: %v, %v", res.Status, err)
		}
		taken := sweeping(ctx, b, p)
		if res := <-taken; res.Status != core.Paused || time.Since(began) < time.Hour || time.Since(began) > time.Hour+core.DefaultLease {
			t.Errorf("after %v: %v", time.Since(began), res.Status)
		}
		questions, err := core.Questions(ctx, b, core.Filter{})
		if err != nil || len(questions) != 1 || questions[0].For != "editors" || questions[0].Path != "ask" {
			t.Errorf("questions %+v, %v", questions, err)
		}
		if res := <-taken; res.Status != core.Completed || string(load(t, b).Answers[1].Answer) != `"nobody"` || time.Since(began) < 49*time.Hour {
			t.Errorf("after %v: %v %+v", time.Since(began), res.Status, res.Scope)
		}
		cancel()
		synctest.Wait()
	})
}

// An answer that is only recorded is a reason for ResumeAll to take the run up, once.
func TestRecordedAnswerIsTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		e, b, p, res := paused(t, core.Parallel("f", texts, core.Branches(approve("x"), approve("y"))), step("a", appending))
		taken := sweeping(ctx, b, p)
		for i, pause := range res.Pauses {
			next, _, err := core.Answer(ctx, e, p, runR, pause.Token, "yes")
			if err != nil || next != core.Nobody {
				t.Errorf("answer: %v, %v", next, err)
			}
			if res := <-taken; (res.Status == core.Completed) != (i == 1) {
				t.Errorf("after answer %d: %v", i+1, res.Status)
			}
			time.Sleep(time.Hour)
		}
		if len(taken) != 0 {
			t.Errorf("taken up %d times too often", len(taken))
		}
		cancel()
		synctest.Wait()
	})
}

func TestRunOrResumeIsIdempotent(t *testing.T) {
	b := core.NewMemory()
	e, key := core.NewEngine(core.WithBackend(b)), core.RunKey{Run: "r"}
	var calls atomic.Int64
	p := plan(t, work("a", slowly(0, &calls)))
	for range 3 {
		res, err := core.RunOrResume(t.Context(), e, p, key, doc{})
		if err != nil || res.Status != core.Completed || res.Scope.Text != "a" || calls.Load() != 1 {
			t.Errorf("%v, %+v, %v, %d calls", res.Status, res.Scope, err, calls.Load())
		}
	}
	res, err := core.Resume(t.Context(), e, p, key)
	if !errors.Is(err, core.ErrRunFinished) || res.Status != core.Completed || res.Scope.Text != "a" {
		t.Errorf("resume of a run that has ended: %v, %+v, %v", res.Status, res.Scope, err)
	}
	failing := plan(t, work("a", fails("no")))
	for i := range 2 {
		res, err := core.RunOrResume(t.Context(), e, failing, core.RunKey{Run: "failing"}, doc{})
		if res.Status != core.Failed || err == nil || !strings.Contains(err.Error(), "no") {
			t.Errorf("time %d: %v, %v", i+1, res.Status, err)
		}
	}
}

// doubtful makes every save, and says of the nth step that it does not know.
type doubtful struct {
	*core.Memory
	steps int
	lost  bool // the step in doubt was not made
}

func (b *doubtful) Step(ctx context.Context, l core.Lease, rec core.StepRecord) error {
	if b.steps++; b.steps != 2 {
		return b.Memory.Step(ctx, l, rec)
	}
	if b.lost {
		return core.ErrInDoubt
	}
	return errors.Join(b.Memory.Step(ctx, l, rec), core.ErrInDoubt)
}

func TestSaveInDoubtIsReadBack(t *testing.T) {
	p := plan(t, work("a", appending), work("b", appending), work("c", appending))
	for _, lost := range []bool{false, true} {
		b := &doubtful{Memory: core.NewMemory(), lost: lost}
		e := core.NewEngine(core.WithBackend(b))
		log := &callLog{}
		res, err := core.Run(log.in(t.Context()), e, p, runR, doc{})
		if lost != errors.Is(err, core.ErrInDoubt) || !lost && res.Status != core.Completed {
			t.Errorf("lost %v: %v, %v", lost, res.Status, err)
		}
		if !lost {
			continue
		}
		if res, err := core.Resume(log.in(t.Context()), e, p, runR); err != nil || res.Status != core.Completed || len(load(t, b).Steps) != 3 {
			t.Errorf("resumed: %v, %v", res.Status, err)
		}
	}
}
