package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// length is the scope of a sub-pipeline: not the one around it.
type length struct{ N int }

// inc is a step of that scope.
func inc(name string) *core.Node[length] {
	next := core.Func[int, int](func(_ context.Context, req core.Request[int]) (int, error) { return req.Input + 1, nil })
	return core.Step(name, noted(next), func(l length) int { return l.N }, func(l *length, out int) { l.N = out })
}

func lengths(t *testing.T, nodes ...*core.Node[length]) *core.Pipeline[length] {
	t.Helper()
	p, err := core.New("lengths", nodes...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ofText(d doc) length          { return length{len(d.Text)} }
func intoNote(d *doc, l length)    { d.Note = strings.Repeat("i", l.N) }
func same(d doc) doc               { return d }
func replaced(d *doc, outcome doc) { *d = outcome }

func TestSubPipelineHasAScopeOfItsOwnAndGivesBackWhatOutTakes(t *testing.T) {
	p := plan(t, work("a", says("abc")), core.Sub("s", lengths(t, inc("x"), inc("y")), ofText, intoNote), work("z", appending))
	got := everyWay(t, p, doc{})
	wantText(t, got.Err, "")
	wantSeen(t, got.Seen, `a 1 "" ""`, `s/x 1 "3" ""`, `s/y 1 "4" ""`, `z 1 "abc" ""`)
	if got.Scope != (doc{Text: "abc z", Note: "iiiii"}) || got.Steps != 4 || len(got.Snap.Steps) != 4 {
		t.Errorf("%+v", got.Result)
	}
}

func TestSubPipelineMayBeUsedTwice(t *testing.T) {
	inner := lengths(t, inc("x"))
	p := plan(t, core.Sub("s", inner, ofText, intoNote), core.Sub("t", inner, func(d doc) length { return length{len(d.Note)} }, intoNote))
	got := everyWay(t, p, doc{})
	wantSeen(t, got.Seen, `s/x 1 "0" ""`, `t/x 1 "1" ""`)
	if got.Scope.Note != "ii" || got.Err != nil {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
}

func TestPathsOfASubPipelineBeginWithItsName(t *testing.T) {
	inner := plan(t, core.Loop("l", 2, nil, work("a", appending), core.MaxIsSuccess()))
	p := plan(t, core.Loop("o", 2, nil, subOf(t, "s", inner), core.MaxIsSuccess()))
	got := everyWay(t, p, doc{})
	if got.Err != nil || got.Scope.Text != "o#1/s/l#1/a o#1/s/l#2/a o#2/s/l#1/a o#2/s/l#2/a" {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
	if d := cmp.Diff([]string{"o/s/l/a"}, p.Paths()); d != "" {
		t.Errorf("paths in the plan (-want +got):\n%s", d)
	}
	wantExits(t, got.Exits, map[string]core.Exit{
		"o":       {Reason: core.ExitMax, Iterations: 2},
		"o#1/s/l": {Reason: core.ExitMax, Iterations: 2},
		"o#2/s/l": {Reason: core.ExitMax, Iterations: 2},
	})
}

func TestFailureOfASubPipelineIsTheFailureOfItsStep(t *testing.T) {
	got := everyWay(t, plan(t, work("a", appending), subOf(t, "s", plan(t, work("b", appending), work("c", fails("no")))), work("z", appending)), doc{})
	wantText(t, got.Err, `step "s/c" failed after 1 attempt: no`)
	wantSeen(t, got.Seen, `a 1 "" ""`, `s/b 1 "a" ""`, `s/c 1 "a s/b" ""`)
	if got.Status != core.Failed || got.Scope.Text != "a" {
		t.Errorf("%v, scope %+v: want nothing of a sub-pipeline that failed", got.Status, got.Scope)
	}
}

func TestPanicOfInIsAFailure(t *testing.T) {
	got := everyWay(t, plan(t, work("a", appending), core.Sub("s", plan(t, work("b", appending)), func(doc) doc { panic("boom") }, replaced)), doc{})
	wantText(t, got.Err, `sub-pipeline "s" failed: panic: boom`)
	wantSeen(t, got.Seen, `a 1 "" ""`)
	var failed *core.NodeError
	if !errors.As(got.Err, &failed) || failed.Kind != "sub-pipeline" || failed.Path != "s" || got.Status != core.Failed {
		t.Errorf("%v, error %#v", got.Status, got.Err)
	}
}

func TestPanicOfOutIsAFailureAndLeavesTheScope(t *testing.T) {
	half := func(d *doc, _ doc) {
		d.Note = "half"
		panic("boom")
	}
	got := everyWay(t, plan(t, core.Sub("s", plan(t, work("b", appending)), same, half), work("z", appending)), doc{Text: "in"})
	wantText(t, got.Err, `sub-pipeline "s" failed: panic: boom`)
	if got.Status != core.Failed || got.Scope != (doc{Text: "in"}) {
		t.Errorf("%+v", got.Result)
	}
}

func TestBudgetOfASubPipelineStopsTheRunAndGoesOnWithMore(t *testing.T) {
	with := func(calls int64) *core.Pipeline[doc] {
		inner := plan(t, work("a", appending), work("b", appending)).Within(core.Budget{Calls: calls})
		return plan(t, work("1", appending), core.Fallback("f", subOf(t, "s", inner), work("no", appending)), work("z", appending))
	}
	got := everyWay(t, with(1), doc{})
	wantText(t, got.Err, `run r stopped in step "f/s/b": budget: step "f/s/b" needs 1 calls and 0 are left: resume with a larger budget`)
	wantSeen(t, got.Seen, `1 1 "" ""`, `f/s/a 1 "1" ""`)
	var short *core.BudgetError
	if !errors.As(got.Err, &short) || *short != (core.BudgetError{Resource: "calls", Left: 0, Need: 1, Path: "f/s/b"}) || got.Status != core.Stopped {
		t.Errorf("%v, error %#v", got.Status, got.Err)
	}
	b := core.NewMemory()
	once(t, stopped(b), with(1), doc{})
	if res, err := core.Resume(t.Context(), stopped(b), with(2), runR); err != nil || res.Scope.Text != "1 f/s/a f/s/b z" || res.Calls != 2 {
		t.Errorf("with more: %+v, error %v", res, err)
	}
}

func TestWallTimeOfASubPipelineStopsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context, _ core.Request[string]) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}
		inner := plan(t, work("a", slow)).Within(core.Budget{Wall: time.Second})
		p := plan(t, core.Loop("l", 2, never, core.Fallback("f", subOf(t, "s", inner), work("b", appending))))
		for name, e := range engines() {
			began := time.Now()
			got := once(t, e, p, doc{})
			wantText(t, got.Err, `run r stopped in step "l#1/f/s/a": budget: the wall time of 1s is used up: resume with a larger budget`)
			wantSeen(t, got.Seen, `l#1/f/s/a 1 "" ""`)
			wantExits(t, got.Exits, map[string]core.Exit{"l": {Reason: core.ExitBudget, Iterations: 1}})
			if took := time.Since(began); got.Status != core.Stopped || took != time.Second {
				t.Errorf("%s: %v after %v", name, got.Status, took)
			}
		}
	})
}

func TestBudgetOfASubPipelineEndsWithIt(t *testing.T) {
	inner := plan(t, work("a", appending)).Within(core.Budget{Calls: 1})
	got := everyWay(t, plan(t, core.Loop("l", 2, nil, core.Then("g", subOf(t, "s", inner), work("b", appending)), core.MaxIsSuccess())), doc{})
	if got.Err != nil || got.Usage.Calls != 4 {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
}

func TestBudgetOfTheRunHoldsWithinASubPipeline(t *testing.T) {
	inner := plan(t, work("a", appending), work("b", appending)).Within(core.Budget{Calls: 9})
	got := everyWay(t, plan(t, subOf(t, "s", inner)).Within(core.Budget{Calls: 1}), doc{})
	wantText(t, got.Err, `run r stopped in step "s/b": budget: step "s/b" needs 1 calls and 0 are left: resume with a larger budget`)
	if got.Status != core.Stopped {
		t.Errorf("%v", got.Status)
	}
}

func TestStepThatUndoesWhatANodeChangedIsResumedAsItWas(t *testing.T) {
	// "reset" makes the scope what it was when it was saved last, before the node.
	reset := core.Step("reset", noted(says("")), read, func(d *doc, _ string) { d.Note = "" })
	changed := func(d *doc, _ []core.Ended[doc]) error {
		d.Note = "changed"
		return nil
	}
	for name, node := range map[string]*core.Node[doc]{
		"sub":      core.Sub("n", lengths(t, inc("x")), ofText, intoNote),
		"parallel": core.Parallel("n", changed, core.Branches(work("x", appending))),
		"map":      core.Map("n", 1, func(d doc) []doc { return []doc{d} }, work("x", appending), changed),
	} {
		t.Run(name, func(t *testing.T) {
			got := everyWay(t, plan(t, work("a", says("abc")), node, reset, work("z", appending)), doc{})
			if got.Err != nil || got.Scope != (doc{Text: "abc z"}) {
				t.Errorf("%+v, error %v", got.Result, got.Err)
			}
		})
	}
}

func TestScopeThatASubPipelineChangedLastIsSavedAtTheEnd(t *testing.T) {
	got := everyWay(t, plan(t, core.Sub("s", lengths(t, inc("x")), ofText, intoNote)), doc{Text: "ab"})
	if state := string(got.Snap.State); got.Err != nil || state != `{"Text":"ab","Note":"iii"}` {
		t.Errorf("saved %s, error %v", state, got.Err)
	}
}

func TestCallsOfASubPipelineAreThoseOfItsPlan(t *testing.T) {
	inner := lengths(t, core.Loop("l", 3, func(length) (bool, error) { return true, nil }, inc("x")))
	p := plan(t, core.Loop("o", 2, never, core.Sub("s", inner, ofText, intoNote)))
	if d := cmp.Diff(map[string]int{"o/s/l/x": 6}, p.MaxCalls()); d != "" {
		t.Errorf("most calls (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]int{"o/s/l/x": 1}, p.MinCalls()); d != "" {
		t.Errorf("least calls (-want +got):\n%s", d)
	}
}

func TestPlanThatContainsItselfIsRefused(t *testing.T) {
	always := func(doc) (bool, error) { return true, nil }
	for name, tc := range map[string]struct {
		around func(n *core.Node[doc]) *core.Node[doc]
		path   string
	}{
		"sequence":             {func(n *core.Node[doc]) *core.Node[doc] { return core.Then("a", n) }, "a/a"},
		"branch":               {func(n *core.Node[doc]) *core.Node[doc] { return core.Branch("a", to, n) }, "a/a"},
		"loop":                 {func(n *core.Node[doc]) *core.Node[doc] { return core.Loop("a", 1, always, n) }, "a/a"},
		"validate":             {func(n *core.Node[doc]) *core.Node[doc] { return core.Validate("a", atLeast(0), n) }, "a/a"},
		"redirect":             {func(n *core.Node[doc]) *core.Node[doc] { return core.Redirect("a", along(""), n) }, "a/a"},
		"fallback":             {func(n *core.Node[doc]) *core.Node[doc] { return core.Fallback("a", n, work("b", appending)) }, "a/a"},
		"second of a fallback": {func(n *core.Node[doc]) *core.Node[doc] { return core.Fallback("a", work("b", appending), n) }, "a/a"},
		"second of a redirect": {func(n *core.Node[doc]) *core.Node[doc] {
			return core.Redirect("a", along(""), work("b", appending), n)
		}, "a/a"},
		"parallel": {func(n *core.Node[doc]) *core.Node[doc] { return core.Parallel("a", keepFirst, core.Branches(n)) }, "a/a"},
		"map": {func(n *core.Node[doc]) *core.Node[doc] {
			return core.Map("a", 1, func(doc) []doc { return nil }, n, func(*doc, []core.Ended[doc]) error { return nil })
		}, "a/a"},
		"two deep": {func(n *core.Node[doc]) *core.Node[doc] {
			return core.Then("a", core.Fallback("f", n, work("b", appending)))
		}, "a/f/a"},
	} {
		t.Run(name, func(t *testing.T) {
			n := work("a", appending)
			*n = *tc.around(n)
			_, err := core.New("p", n)
			wantText(t, err, `pipeline "p": step "`+tc.path+`": it contains itself: a plan must end`)
			if !errors.As(err, new(*core.PlanError)) {
				t.Errorf("error %#v", err)
			}
		})
	}
}

func TestSubPipelineThatContainsItselfIsRefused(t *testing.T) {
	p := plan(t, work("a", appending))
	*p = *plan(t, work("b", appending), subOf(t, "s", p))
	_, err := core.New("q", subOf(t, "s", p))
	wantText(t, err, `pipeline "q": step "s/s": it contains itself: a plan must end`)
	_, err = core.New("q", subOf(t, "s", p.Within(core.Budget{Calls: 1})))
	wantText(t, err, `pipeline "q": step "s/s/s": it contains itself: a plan must end`)
}
