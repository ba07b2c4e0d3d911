package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// ignoring is a step that leaves the scope as it is, whatever the agent answers.
func ignoring(name string, f core.Func[string, string]) *core.Node[doc] {
	return core.Step(name, noted(f), read, func(*doc, string) {})
}

// byPath answers by the path of the step.
func byPath(f func(path string) string) core.Func[string, string] {
	return func(_ context.Context, req core.Request[string]) (string, error) { return f(req.Path), nil }
}

func never(doc) (bool, error) { return false, nil }

func wantLoopError(t *testing.T, err error, path string, exit core.Exit) *core.LoopError {
	t.Helper()
	var failed *core.LoopError
	if !errors.As(err, &failed) {
		t.Fatalf("error %v is no LoopError", err)
	}
	if failed.Path != path || failed.Exit != exit {
		t.Errorf("loop error of %q, %+v, want %q, %+v", failed.Path, failed.Exit, path, exit)
	}
	return failed
}

func TestLoopEndsWhenItsConditionHolds(t *testing.T) {
	got := everyWay(t, plan(t, core.Loop("l", 5, words(3), work("a", appending)), work("z", appending)), doc{})
	if got.Err != nil || got.Status != core.Completed || got.Scope.Text != "l#1/a l#2/a l#3/a z" {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
	wantExits(t, got.Exits, map[string]core.Exit{"l": {Reason: core.ExitCondition, Iterations: 3}})
	if exits := string(got.Snap.Exits); exits != `{"l":{"reason":"condition","iterations":3}}` {
		t.Errorf("saved exits %s", exits)
	}
}

func TestLoopRunsOnceBeforeItsConditionIsAsked(t *testing.T) {
	got := everyWay(t, plan(t, core.Loop("l", 5, words(0), work("a", appending))), doc{})
	wantSeen(t, got.Seen, `l#1/a 1 "" ""`)
}

func TestLoopThatReachesItsMaximumFails(t *testing.T) {
	got := everyWay(t, plan(t, core.Loop("l", 2, words(3), work("a", appending)), work("z", appending)), doc{})
	wantText(t, got.Err, `loop "l" ended after 2 iterations: max`)
	exit := core.Exit{Reason: core.ExitMax, Iterations: 2}
	if failed := wantLoopError(t, got.Err, "l", exit); failed.Unwrap() != nil {
		t.Errorf("it wraps %v", failed.Unwrap())
	}
	wantExits(t, got.Exits, map[string]core.Exit{"l": exit})
	if got.Status != core.Failed || got.Scope.Text != "l#1/a l#2/a" {
		t.Errorf("%+v", got.Result)
	}
}

func TestLoopMayEndWellAtItsMaximum(t *testing.T) {
	for name, until := range map[string]func(doc) (bool, error){"a condition not met": words(3), "no condition": nil} {
		t.Run(name, func(t *testing.T) {
			got := everyWay(t, plan(t, core.Loop("l", 2, until, work("a", appending), core.MaxIsSuccess()), work("z", appending)), doc{})
			if got.Err != nil || got.Scope.Text != "l#1/a l#2/a z" {
				t.Errorf("%+v, error %v", got.Result, got.Err)
			}
			wantExits(t, got.Exits, map[string]core.Exit{"l": {Reason: core.ExitMax, Iterations: 2}})
		})
	}
}

func TestConditionIsAskedBehindTheLastIterationToo(t *testing.T) {
	got := everyWay(t, plan(t, core.Loop("l", 2, words(2), work("a", appending))), doc{})
	wantText(t, got.Err, "")
	wantExits(t, got.Exits, map[string]core.Exit{"l": {Reason: core.ExitCondition, Iterations: 2}})
}

func TestLoopEndsOnceKIterationsMadeNoProgress(t *testing.T) {
	for k := 1; k <= 3; k++ {
		t.Run(fmt.Sprint("k ", k), func(t *testing.T) {
			got := everyWay(t, plan(t, core.Loop("l", 9, never, ignoring("a", says("same")), core.NoProgress(k))), doc{})
			exit := core.Exit{Reason: core.ExitNoProgress, Iterations: k + 1}
			wantText(t, got.Err, fmt.Sprintf(`loop "l" ended after %d iterations: no progress`, k+1))
			wantLoopError(t, got.Err, "l", exit)
			wantExits(t, got.Exits, map[string]core.Exit{"l": exit})
			if !errors.Is(got.Err, core.ErrNoProgress) || got.Status != core.Failed {
				t.Errorf("%v, error %v", got.Status, got.Err)
			}
		})
	}
}

func TestProgressIsAnotherScopeOrAnotherOutput(t *testing.T) {
	last := func(path string) string { return path }
	for name, node := range map[string]*core.Node[doc]{
		"another output":         ignoring("a", byPath(last)),
		"another scope":          core.Step("a", noted(says("x")), read, func(d *doc, out string) { d.Text += out }),
		"both":                   work("a", appending),
		"in a sequence":          core.Then("g", ignoring("a", says("same")), ignoring("b", byPath(last)), ignoring("c", says("same"))),
		"within a sub-pipeline":  subOf(t, "s", plan(t, ignoring("a", byPath(last)))),
		"within a parallel":      core.Parallel("par", keepFirst, core.Branches(ignoring("a", byPath(last))), core.AtOnce(1)),
		"within a map":           core.Map("m", 1, func(d doc) []doc { return []doc{d} }, ignoring("a", byPath(last)), func(*doc, []core.Ended[doc]) error { return nil }),
		"within an inner loop":   core.Loop("i", 2, nil, ignoring("a", byPath(last)), core.MaxIsSuccess()),
		"within a watched inner": core.Loop("i", 2, nil, ignoring("a", byPath(last)), core.MaxIsSuccess(), core.NoProgress(2)),
	} {
		t.Run(name, func(t *testing.T) {
			got := everyWay(t, plan(t, core.Loop("l", 4, nil, node, core.NoProgress(1), core.MaxIsSuccess())), doc{})
			wantText(t, got.Err, "")
			if want := (core.Exit{Reason: core.ExitMax, Iterations: 4}); got.Exits["l"] != want {
				t.Errorf("exit %+v, want %+v", got.Exits["l"], want)
			}
		})
	}
}

func keepFirst(into *doc, branches []core.Ended[doc]) error {
	*into = branches[0].Scope
	return nil
}

func TestProgressStartsTheCountAgain(t *testing.T) {
	changing := byPath(func(path string) string {
		if strings.HasPrefix(path, "l#1/") || strings.HasPrefix(path, "l#2/") {
			return "early"
		}
		return "late"
	})
	got := everyWay(t, plan(t, core.Loop("l", 9, never, ignoring("a", changing), core.NoProgress(2))), doc{})
	wantExits(t, got.Exits, map[string]core.Exit{"l": {Reason: core.ExitNoProgress, Iterations: 5}})
}

func TestOutputOfAnyInnerIterationIsProgressOfTheOuterLoop(t *testing.T) {
	// The inner loop answers otherwise in its first iteration only, each time.
	first := byPath(func(path string) string {
		if strings.HasSuffix(path, "i#1/a") {
			return path
		}
		return "same"
	})
	for name, opts := range map[string][]core.LoopOption{
		"inner not watched": {core.MaxIsSuccess()},
		"inner watched":     {core.MaxIsSuccess(), core.NoProgress(9)},
	} {
		t.Run(name, func(t *testing.T) {
			inner := core.Loop("i", 2, nil, ignoring("a", first), opts...)
			got := everyWay(t, plan(t, core.Loop("o", 3, nil, inner, core.MaxIsSuccess(), core.NoProgress(1))), doc{})
			wantText(t, got.Err, "")
			if want := (core.Exit{Reason: core.ExitMax, Iterations: 3}); got.Exits["o"] != want {
				t.Errorf("exit %+v, want %+v", got.Exits["o"], want)
			}
		})
	}
}

func TestOuterIterationsThatRepeatThemselvesMakeNoProgress(t *testing.T) {
	inner := core.Loop("i", 2, nil, ignoring("a", byPath(func(path string) string { return path[strings.LastIndex(path, "i#"):] })),
		core.MaxIsSuccess(), core.NoProgress(1))
	got := everyWay(t, plan(t, core.Loop("o", 9, nil, inner, core.MaxIsSuccess(), core.NoProgress(1))), doc{})
	wantText(t, got.Err, `loop "o" ended after 2 iterations: no progress`)
	wantExits(t, got.Exits, map[string]core.Exit{
		"o":     {Reason: core.ExitNoProgress, Iterations: 2},
		"o#1/i": {Reason: core.ExitMax, Iterations: 2},
		"o#2/i": {Reason: core.ExitMax, Iterations: 2},
	})
}

func TestLoopEndsWithTheFailureOfItsBody(t *testing.T) {
	const cause = core.Code("no")
	second := func(ctx context.Context, req core.Request[string]) (string, error) {
		if strings.HasPrefix(req.Path, "l#2/") {
			return "", cause
		}
		return appending(ctx, req)
	}
	got := everyWay(t, plan(t, core.Loop("l", 5, never, work("a", second))), doc{})
	wantText(t, got.Err, `loop "l" ended after 2 iterations: body error: step "l#2/a" failed after 1 attempt: no`)
	exit := core.Exit{Reason: core.ExitBodyError, Iterations: 2}
	wantLoopError(t, got.Err, "l", exit)
	wantExits(t, got.Exits, map[string]core.Exit{"l": exit})
	var failed *core.StepError
	if !errors.As(got.Err, &failed) || !errors.Is(got.Err, cause) || got.Scope.Text != "l#1/a" {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
}

func TestLoopEndsWithTheErrorOfItsCondition(t *testing.T) {
	cause := errors.New("undecided")
	got := everyWay(t, plan(t, core.Loop("l", 5, func(doc) (bool, error) { return true, cause }, work("a", appending))), doc{})
	wantText(t, got.Err, `loop "l" ended after 1 iteration: condition error: undecided`)
	exit := core.Exit{Reason: core.ExitConditionError, Iterations: 1}
	wantLoopError(t, got.Err, "l", exit)
	wantExits(t, got.Exits, map[string]core.Exit{"l": exit})
	if !errors.Is(got.Err, cause) || got.Status != core.Failed || got.Scope.Text != "l#1/a" {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
}

func TestPanicOfAConditionIsItsError(t *testing.T) {
	got := everyWay(t, plan(t, core.Loop("l", 5, func(doc) (bool, error) { panic("boom") }, work("a", appending))), doc{})
	wantText(t, got.Err, `loop "l" ended after 1 iteration: condition error: panic: boom`)
	wantLoopError(t, got.Err, "l", core.Exit{Reason: core.ExitConditionError, Iterations: 1})
	var p *core.PanicError
	if !errors.As(got.Err, &p) || !strings.Contains(string(p.Stack), "loop_test.go") {
		t.Errorf("error %v", got.Err)
	}
}

func TestLoopOutOfBudgetStopsTheRunAndGoesOnWithMore(t *testing.T) {
	for resource, tc := range map[string]struct {
		budget core.Budget
		text   string
	}{
		"calls": {core.Budget{Calls: 2}, `run r stopped in step "l#3/a": budget: step "l#3/a" needs 1 calls and 0 are left: resume with a larger budget`},
		"steps": {core.Budget{Steps: 2}, `budget: step "l#3/a" needs 1 steps and 0 are left: resume with a larger budget`},
	} {
		t.Run(resource, func(t *testing.T) {
			p := plan(t, core.Loop("l", 5, words(4), work("a", appending)))
			got := everyWay(t, p.Within(tc.budget), doc{})
			wantText(t, got.Err, tc.text)
			wantExits(t, got.Exits, map[string]core.Exit{"l": {Reason: core.ExitBudget, Iterations: 3}})
			var short *core.BudgetError
			if !errors.As(got.Err, &short) || short.Resource != resource || errors.As(got.Err, new(*core.LoopError)) || got.Status != core.Stopped {
				t.Errorf("%v, error %v", got.Status, got.Err)
			}
			b := core.NewMemory()
			once(t, stopped(b), p.Within(tc.budget), doc{})
			res, err := core.Resume(t.Context(), stopped(b), p, runR)
			if err != nil || res.Scope.Text != "l#1/a l#2/a l#3/a l#4/a" || res.Calls != 2 {
				t.Errorf("with more: %+v, error %v", res, err)
			}
			wantExits(t, res.Exits, map[string]core.Exit{"l": {Reason: core.ExitCondition, Iterations: 4}})
		})
	}
}

func TestCancelledLoopStopsTheRunAndCanBeResumed(t *testing.T) {
	why := errors.New("shutting down")
	var cancel context.CancelCauseFunc
	second := func(ctx context.Context, req core.Request[string]) (string, error) {
		if req.Path == "l#2/a" {
			cancel(why)
		}
		return appending(ctx, req)
	}
	p := plan(t, core.Loop("l", 5, words(4), work("a", second)))
	b := core.NewMemory()
	for name, e := range map[string]*core.Engine{"without a backend": core.NewEngine(), "with one": stopped(b)} {
		ctx, stop := context.WithCancelCause(t.Context())
		cancel = stop
		res, err := core.Run(ctx, e, p, runR, doc{})
		wantText(t, err, `run r stopped before iteration 3 of "l": shutting down`)
		if !errors.Is(err, why) || errors.As(err, new(*core.LoopError)) || res.Status != core.Running || res.Scope.Text != "l#1/a l#2/a" {
			t.Errorf("%s: %+v, error %v", name, res, err)
		}
		wantExits(t, res.Exits, map[string]core.Exit{"l": {Reason: core.ExitCancelled, Iterations: 3}})
	}
	if snap := load(t, b); snap.Status != core.Running || snap.Exits != nil || len(snap.Steps) != 2 {
		t.Errorf("saved: %v, exits %s, %d steps", snap.Status, snap.Exits, len(snap.Steps))
	}
	res, err := core.Resume(t.Context(), stopped(b), p, runR)
	if err != nil || res.Calls != 2 || res.Scope.Text != "l#1/a l#2/a l#3/a l#4/a" {
		t.Errorf("resumed: %+v, error %v", res, err)
	}
	wantExits(t, res.Exits, map[string]core.Exit{"l": {Reason: core.ExitCondition, Iterations: 4}})
}

// A body in which nothing is called would never look whether anybody still waits.
func TestLoopWithoutStepsCanBeStopped(t *testing.T) {
	why := errors.New("shutting down")
	for name, tc := range map[string]struct {
		budget core.Budget
		cause  error
		status core.Status
		reason core.ExitReason
	}{
		"cancelled":     {core.Budget{}, why, core.Running, core.ExitCancelled},
		"out of budget": {core.Budget{Wall: time.Nanosecond}, nil, core.Stopped, core.ExitBudget},
	} {
		t.Run(name, func(t *testing.T) {
			var ctx context.Context
			var cancel context.CancelCauseFunc
			asked := 0
			until := func(doc) (bool, error) {
				if asked++; asked == 3 && tc.cause != nil {
					cancel(tc.cause)
				}
				if asked > 1_000_000 {
					panic("it goes on")
				}
				return false, nil
			}
			check := func(d doc) error {
				_, err := until(d)
				return errors.Join(err, errors.New("not yet"))
			}
			body := core.Branch("b", func(doc) (string, error) { return "pass", nil }, core.Pass[doc]("pass"), step("a", appending))
			for kind, node := range map[string]*core.Node[doc]{"loop": core.Loop("l", 1<<30, until, body), "rerun": core.Validate("v", check, body, core.Rerun(1_000_000))} {
				asked = 0
				ctx, cancel = context.WithCancelCause(t.Context())
				res, err := core.Run(ctx, core.NewEngine(), plan(t, node).Within(tc.budget), runR, doc{})
				if res.Status != tc.status || err == nil || tc.cause != nil && !errors.Is(err, tc.cause) || kind == "loop" && res.Exits["l"].Reason != tc.reason {
					t.Errorf("%s: %+v, error %.200v", kind, res, err)
				}
				cancel(nil)
			}
		})
	}
}

func TestHarnessFaultIsNoExitOfALoop(t *testing.T) {
	dry := func(context.Context, core.Request[string]) (string, error) {
		return "", fmt.Errorf("script: %w", core.ErrHarness)
	}
	got := everyWay(t, plan(t, core.Loop("l", 5, never, work("a", dry))), doc{})
	wantText(t, got.Err, `run r stopped in step "l#1/a": script: harness fault`)
	if got.Exits != nil || got.Status != core.Running {
		t.Errorf("%+v", got.Result)
	}
}

func TestNestedLoopsHaveAnExitForEachTime(t *testing.T) {
	both := func(d doc) (bool, error) { return len(strings.Fields(d.Text))%2 == 0, nil }
	p := plan(t, core.Loop("o", 5, words(4), core.Loop("i", 3, both, work("a", appending))))
	got := everyWay(t, p, doc{})
	if got.Err != nil || got.Scope.Text != "o#1/i#1/a o#1/i#2/a o#2/i#1/a o#2/i#2/a" {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
	wantExits(t, got.Exits, map[string]core.Exit{
		"o":     {Reason: core.ExitCondition, Iterations: 2},
		"o#1/i": {Reason: core.ExitCondition, Iterations: 2},
		"o#2/i": {Reason: core.ExitCondition, Iterations: 2},
	})
	if d := cmp.Diff([]string{"o/i/a"}, p.Paths()); d != "" {
		t.Errorf("paths in the plan (-want +got):\n%s", d)
	}
}

func TestFailureOfAnInnerLoopIsABodyErrorOfTheOuterOne(t *testing.T) {
	got := everyWay(t, plan(t, core.Loop("o", 5, never, core.Loop("i", 2, never, work("a", appending)))), doc{})
	wantText(t, got.Err, `loop "o" ended after 1 iteration: body error: loop "o#1/i" ended after 2 iterations: max`)
	wantExits(t, got.Exits, map[string]core.Exit{
		"o":     {Reason: core.ExitBodyError, Iterations: 1},
		"o#1/i": {Reason: core.ExitMax, Iterations: 2},
	})
}

func TestOuterLoopTellsThatTheInnerOneMadeNoProgress(t *testing.T) {
	inner := core.Loop("i", 5, never, ignoring("a", says("same")), core.NoProgress(1))
	got := everyWay(t, plan(t, core.Loop("o", 5, never, inner)), doc{})
	wantText(t, got.Err, `loop "o" ended after 1 iteration: body error: loop "o#1/i" ended after 2 iterations: no progress`)
	wantLoopError(t, got.Err, "o", core.Exit{Reason: core.ExitBodyError, Iterations: 1})
}

func TestCallsOfNestedLoopsMultiply(t *testing.T) {
	p := plan(t,
		core.Loop("o", 3, never, core.Then("g",
			work("a", appending),
			core.Loop("i", 4, never, work("b", appending, core.Retries(1))))))
	if d := cmp.Diff(map[string]int{"o/g/a": 3, "o/g/i/b": 24}, p.MaxCalls()); d != "" {
		t.Errorf("most calls (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]int{"o/g/a": 1, "o/g/i/b": 1}, p.MinCalls()); d != "" {
		t.Errorf("least calls (-want +got):\n%s", d)
	}
}

func TestMostCallsOfALoopAreReached(t *testing.T) {
	p := plan(t, core.Loop("l", 3, nil, core.Fallback("f", work("a", fails("no"), core.Retries(1)), work("b", appending)), core.MaxIsSuccess()))
	got := everyWay(t, p, doc{})
	calls := map[string]int{}
	for _, call := range got.Seen {
		calls[core.PlanPath(strings.Fields(call)[0])]++
	}
	if d := cmp.Diff(p.MaxCalls(), calls); d != "" {
		t.Errorf("calls (-most +made):\n%s", d)
	}
}

func TestConditionThatChangesItsMindIsNoticed(t *testing.T) {
	enough := 3
	p := plan(t, core.Loop("l", 5, func(d doc) (bool, error) { return len(strings.Fields(d.Text)) >= enough, nil }, work("a", appending)), work("z", appending))
	b := &cutting{core.NewMemory(), 4, false} // before the third step
	once(t, stopped(b), p, doc{})
	enough = 1
	log := &callLog{}
	_, err := core.Resume(log.in(t.Context()), stopped(b), p, runR)
	wantText(t, err, `run r: run went another way than its records: step "z" is next, but other steps have 1 saved record left: `+
		`conditions, choices and merges must depend on the scope alone; the plan has not changed, so one of them has`)
	wantSeen(t, log.calls)
	if !errors.Is(err, core.ErrDiverged) || len(load(t, b).Steps) != 2 {
		t.Errorf("error %v, %d steps saved", err, len(load(t, b).Steps))
	}
	enough = 3
	if res, err := core.Resume(t.Context(), stopped(b), p, runR); err != nil || res.Scope.Text != "l#1/a l#2/a l#3/a z" {
		t.Errorf("with its old mind: %+v, error %v", res, err)
	}
}
