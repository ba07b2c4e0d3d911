package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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
		questions, err := core.NewEngine(core.WithBackend(b)).Questions(ctx, core.Filter{})
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

// doubtful makes changes, and does not know whether it has made the nth of a kind.
type doubtful struct {
	*core.Memory
	steps, ends, answers int  // changes of each kind that are left until the one in doubt
	lost                 bool // the one in doubt was not made
}

// doubt counts down n and makes the change, or says that it does not know.
func (b *doubtful) doubt(n *int, change func() error) error {
	if *n--; *n != 0 {
		return change()
	}
	if b.lost {
		return core.ErrInDoubt
	}
	return errors.Join(change(), core.ErrInDoubt)
}

func (b *doubtful) Step(ctx context.Context, l core.Lease, rec core.StepRecord) error {
	return b.doubt(&b.steps, func() error { return b.Memory.Step(ctx, l, rec) })
}

func (b *doubtful) Finish(ctx context.Context, l core.Lease, rec core.FinishRecord) error {
	return b.doubt(&b.ends, func() error { return b.Memory.Finish(ctx, l, rec) })
}

func (b *doubtful) Signal(ctx context.Context, key core.RunKey, rec core.AnswerRecord) error {
	return b.doubt(&b.answers, func() error { return b.Memory.Signal(ctx, key, rec) })
}

// A change in doubt that was made is taken for made. One that was not made is an error,
// after which the same call does the rest.
func TestChangesInDoubtAreReadBack(t *testing.T) {
	p := plan(t, work("a", appending), work("b", appending), work("c", appending), approve("d"))
	for name, doubts := range map[string]doubtful{
		"step": {steps: 2}, "pause": {ends: 1}, "answer": {answers: 1}, "end": {ends: 2}, "cancellation": {ends: 3},
	} {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, lost %v", name, lost), func(t *testing.T) {
				b := new(doubtful)
				*b = doubts
				b.Memory, b.lost = core.NewMemory(), lost
				e := core.NewEngine(core.WithBackend(b))
				seen := 0 // calls that did not know
				call := func(f func() (core.Result[doc], error)) core.Result[doc] {
					res, err := f()
					if errors.Is(err, core.ErrInDoubt) {
						seen++
						res, err = f()
					}
					if err != nil && !errors.Is(err, core.ErrRunFinished) {
						t.Errorf("%v, %v", res.Status, err)
					}
					return res
				}
				res := call(func() (core.Result[doc], error) {
					return core.RunOrResume((&callLog{}).in(t.Context()), e, p, runR, doc{})
				})
				if res.Status != core.Paused {
					t.Fatalf("status %v", res.Status)
				}
				token := res.Pauses[0].Token
				call(func() (core.Result[doc], error) {
					if load(t, b).Status == core.Running { // the answer is there, its end is not
						return core.Resume(t.Context(), e, p, runR)
					}
					return core.Signal(t.Context(), e, p, runR, token, "yes")
				})
				if snap := load(t, b); snap.Status != core.Completed || len(snap.Steps) != 4 || len(snap.Answers) != 1 {
					t.Errorf("saved: %v, %d steps, %d answers", snap.Status, len(snap.Steps), len(snap.Answers))
				}
				other := core.RunKey{Run: "other"}
				if err := core.Begin(t.Context(), e, p, other, doc{}); err != nil {
					t.Fatal(err)
				}
				call(func() (core.Result[doc], error) {
					return core.Result[doc]{}, e.Cancel(t.Context(), other, "no need")
				})
				if snap, err := b.Load(t.Context(), other); err != nil || snap.Status != core.Cancelled {
					t.Errorf("cancelled run: %v, %v", snap.Status, err)
				}
				if (seen == 1) != lost {
					t.Errorf("%d calls did not know", seen)
				}
			})
		}
	}
}

// A resume takes each record in once: what it allocates grows with the items of a map, not
// with their square.
func TestResumeOfAMapIsLinear(t *testing.T) {
	most := 8000
	if testing.Short() {
		most = 4000
	}
	resumed := func(items int) (bytes uint64) {
		step := core.Step("a", core.AgentFunc(func(_ context.Context, i int) (int, error) { return i + 1, nil }),
			func(i int) int { return i }, func(i *int, o int) { *i = o })
		p, err := core.New("p",
			core.Map("m", items, func(int) []int { return make([]int, items) }, step,
				func(s *int, ends []core.Ended[int]) error { *s = len(ends); return nil }),
			core.Human("h", func(int) string { return "go on?" }, func(*int, bool) {}))
		if err != nil {
			t.Fatal(err)
		}
		b, key := core.NewMemory(), core.RunKey{Run: "r"}
		first, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), p, key, 0)
		if err != nil || first.Status != core.Paused {
			t.Fatal(first.Status, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res, err := core.Signal(t.Context(), core.NewEngine(core.WithBackend(b)), p, key, first.Pauses[0].Token, true)
		runtime.ReadMemStats(&after)
		if err != nil || res.Status != core.Completed || res.Scope != items || res.Calls != 0 {
			t.Fatal(res.Status, res.Scope, res.Calls, err)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	small, large := resumed(most/8), resumed(most)
	if large > 12*small {
		t.Errorf("a resume of %d items allocates %d bytes, of %d items %d: %.1f times as much for 8 times the items",
			most/8, small, most, large, float64(large)/float64(small))
	}
}
