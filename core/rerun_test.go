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

func TestCancelEndsTheAgentAndTheRun(t *testing.T) {
	for name, same := range map[string]bool{"by its own engine": true, "by another process": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := core.NewMemory()
				e := core.NewEngine(core.WithBackend(b))
				other := core.NewEngine(core.WithBackend(b))
				if same {
					other = e
				}
				var calls atomic.Int64
				p := plan(t, work("a", slowly(24*time.Hour, &calls)), work("b", appending))
				began := time.Now()
				time.AfterFunc(time.Hour, func() {
					if err := other.Cancel(t.Context(), runR, "not needed"); err != nil {
						t.Error(err)
					}
				})
				res, err := core.Run(t.Context(), e, p, runR, doc{})
				if !errors.Is(err, core.ErrCancelled) || !strings.Contains(err.Error(), "not needed") || res.Status != core.Cancelled {
					t.Errorf("%v, %v", res.Status, err)
				}
				if took := time.Since(began); took < time.Hour || took > time.Hour+core.DefaultLease || same && took != time.Hour {
					t.Errorf("its agent was ended after %v", took)
				}
				if snap := load(t, b); snap.Status != core.Cancelled || snap.Error != "not needed" || len(snap.Steps) != 0 {
					t.Errorf("saved: %v, %q, %d steps", snap.Status, snap.Error, len(snap.Steps))
				}
				if err := other.Cancel(t.Context(), runR, "again"); err != nil {
					t.Errorf("cancelled again: %v", err)
				}
			})
		})
	}
}

func TestCancelledPauseTakesNoAnswer(t *testing.T) {
	e, b, p, res := paused(t, approve("ask"), step("a", appending))
	if err := e.Cancel(t.Context(), runR, "withdrawn"); err != nil {
		t.Fatal(err)
	}
	if _, err := core.Signal(t.Context(), e, p, runR, res.Pauses[0].Token, "yes"); !errors.Is(err, core.ErrRunFinished) {
		t.Errorf("answer: %v", err)
	}
	if got, err := core.Retry(t.Context(), e, p, runR); err != nil || got.Status != core.Paused || got.Pauses[0].Token != res.Pauses[0].Token {
		t.Errorf("retry of a cancelled run: %v, %v", got.Status, err)
	}
	if load(t, b).Epoch != 3 {
		t.Errorf("epoch %d", load(t, b).Epoch)
	}
}

// down fails its steps while an outage lasts.
func down(outage *atomic.Bool, calls map[string]int) core.Func[string, string] {
	return func(ctx context.Context, req core.Request[string]) (string, error) {
		calls[req.Path]++
		if outage.Load() && (strings.Contains(req.Path, "flaky") || strings.Contains(req.Path, "last")) {
			return "", errors.New("503")
		}
		return appending(ctx, req)
	}
}

func TestRetryPaysNothingTwice(t *testing.T) {
	for name, shape := range map[string]func(f core.Func[string, string]) *core.Node[doc]{
		"step": func(f core.Func[string, string]) *core.Node[doc] { return work("flaky", f) },
		"loop": func(f core.Func[string, string]) *core.Node[doc] {
			return core.Loop("l", 3, words(2), work("flaky", f))
		},
		"parallel": func(f core.Func[string, string]) *core.Node[doc] {
			return core.Parallel("p", texts, core.Branches(work("good", f), work("flaky", f), core.Then("t", work("paid", f), work("flaky2", f))), core.AtOnce(1))
		},
		"fallback": func(f core.Func[string, string]) *core.Node[doc] {
			return core.Fallback("f", work("flaky", f), core.Then("t", work("paid", f), work("last", f)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := core.NewMemory()
			e := core.NewEngine(core.WithBackend(b))
			var outage atomic.Bool
			outage.Store(true)
			calls := map[string]int{}
			p := plan(t, work("paid", down(&outage, calls)), shape(down(&outage, calls)), work("end", down(&outage, calls)))
			if res, err := core.Run(t.Context(), e, p, runR, doc{}); err == nil || res.Status != core.Failed {
				t.Fatalf("%v, %v", res.Status, err)
			}
			if res, err := core.Retry(t.Context(), e, p, runR); err == nil || res.Status != core.Failed {
				t.Errorf("retry in the outage: %v, %v", res.Status, err)
			}
			outage.Store(false)
			res, err := core.Retry(t.Context(), e, p, runR)
			if err != nil || res.Status != core.Completed {
				t.Fatalf("retry after the outage: %v, %v", res.Status, err)
			}
			for path, n := range calls {
				if failing := strings.Contains(path, "flaky") || strings.Contains(path, "last"); !failing && n != 1 {
					t.Errorf("the paid step %q was called %d times", path, n)
				}
			}
			if _, err := core.Retry(t.Context(), e, p, runR); !errors.Is(err, core.ErrRunFinished) {
				t.Errorf("retry of a completed run: %v", err)
			}
			if _, err := core.Replay(t.Context(), p, load(t, b)); err != nil {
				t.Errorf("replay: %v", err)
			}
		})
	}
}

func TestForkKeepsWhatWasPaid(t *testing.T) {
	e, b, p, res := paused(t, step("a", appending), approve("ask"), step("b", appending), step("c", appending))
	if _, err := core.Signal(t.Context(), e, p, runR, res.Pauses[0].Token, "yes"); err != nil {
		t.Fatal(err)
	}
	to := core.RunKey{Run: "fork"}
	got, err := core.Fork(t.Context(), e, p, runR, "c", to)
	if err != nil || got.Status != core.Completed || got.Calls != 1 {
		t.Fatalf("%v, %d calls, %v", got.Status, got.Calls, err)
	}
	snap, err := b.Load(t.Context(), to)
	if want := (core.Origin{Key: runR, Seq: 3}); err != nil || snap.Start.Origin != want || len(snap.Steps) != 4 || len(snap.Answers) != 1 {
		t.Errorf("origin %+v, %d steps, %d answers, %v", snap.Start.Origin, len(snap.Steps), len(snap.Answers), err)
	}
	if _, err := core.Fork(t.Context(), e, p, runR, "nowhere", core.RunKey{Run: "x"}); err == nil {
		t.Error("a fork from a step that is not there")
	}
}

// A fork that is cut off while it takes over its records goes on with all of them.
func TestForkThatIsCutOffTakesOverTheRest(t *testing.T) {
	e, b, p, res := paused(t, step("a", appending), step("b", appending), approve("ask"), step("c", appending))
	if _, err := core.Signal(t.Context(), e, p, runR, res.Pauses[0].Token, "yes"); err != nil {
		t.Fatal(err)
	}
	to := core.RunKey{Run: "fork"}
	dying := core.NewEngine(core.WithBackend(&cutting{b, 3, false})) // its start, and one record
	if _, err := core.Fork(t.Context(), dying, p, runR, "c", to); !errors.Is(err, errCut) {
		t.Fatalf("error %v", err)
	}
	got, err := core.Resume(t.Context(), e, p, to)
	if err != nil || got.Status != core.Completed || got.Calls != 1 {
		t.Errorf("%v, %d calls, %v", got.Status, got.Calls, err)
	}
}

// A plan whose beginning makes the records is accepted; another is refused with its
// first difference, and nothing is saved.
func TestChangedPlan(t *testing.T) {
	loop := func(most, enough int) *core.Node[doc] {
		return core.Loop("l", most, words(enough), work("x", appending))
	}
	for name, tc := range map[string]struct {
		nodes []*core.Node[doc]
		want  string // empty: it goes on
	}{
		"a step added":    {[]*core.Node[doc]{work("a", appending), loop(5, 4), approve("ask"), work("b", appending), work("c", appending)}, ""},
		"a step renamed":  {[]*core.Node[doc]{work("a", appending), loop(5, 4), approve("ask"), work("z", appending)}, ""},
		"a step before":   {[]*core.Node[doc]{work("z", appending), loop(5, 4), approve("ask"), work("b", appending)}, `the first difference is step "z", where it was step "a"`},
		"a lower maximum": {[]*core.Node[doc]{work("a", appending), loop(1, 4), approve("ask"), work("b", appending)}, `the first difference is loop "l" max 1, where it was loop "l" max 5`},
		"a condition":     {[]*core.Node[doc]{work("a", appending), loop(5, 3), approve("ask"), work("b", appending)}, "the plan has not changed, so one of them has"},
	} {
		t.Run(name, func(t *testing.T) {
			e, b, _, res := paused(t, work("a", appending), loop(5, 4), approve("ask"), work("b", appending))
			before := load(t, b)
			_, err := core.Signal(t.Context(), e, plan(t, tc.nodes...), runR, res.Pauses[0].Token, "yes")
			after := load(t, b)
			switch {
			case tc.want == "":
				if err != nil || after.Status != core.Completed {
					t.Errorf("%v, %v", after.Status, err)
				}
			case err == nil || !strings.Contains(err.Error(), tc.want) || len(after.Answers) != 0 || after.Epoch != before.Epoch:
				t.Errorf("error %v, want %q; %d answers", err, tc.want, len(after.Answers))
			}
		})
	}
	t.Run("cut off in a loop whose maximum is lower now", func(t *testing.T) {
		b := &cutting{core.NewMemory(), 5, false}
		once(t, stopped(b), plan(t, work("a", appending), loop(5, 4)), doc{})
		before := load(t, b)
		_, err := core.Resume(t.Context(), stopped(b), plan(t, work("a", appending), loop(2, 4)), runR)
		if after := load(t, b); !errors.Is(err, core.ErrPlanChanged) || after.Status != core.Running || after.Epoch != before.Epoch {
			t.Errorf("%v, %v", after.Status, err)
		}
	})
}
