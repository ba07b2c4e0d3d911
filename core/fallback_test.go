package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

func TestFallbackEndsWithTheFirstThatSucceeds(t *testing.T) {
	got := everyWay(t, plan(t, core.Fallback("f", work("a", appending), work("b", appending)), work("z", appending)), doc{})
	wantText(t, got.Err, "")
	wantSeen(t, got.Seen, `f/a 1 "" ""`, `z 1 "f/a" ""`)
}

func TestFallbackTriesInOrderAndTellsTheNextWhyTheOneBeforeFailed(t *testing.T) {
	got := everyWay(t, plan(t,
		core.Fallback("f", work("a", fails("first")), work("b", fails("second"), core.Retries(1)), work("c", appending), work("d", appending)),
		work("z", appending)), doc{})
	wantText(t, got.Err, "")
	wantSeen(t, got.Seen,
		`f/a 1 "" ""`,
		`f/b 1 "" "step \"f/a\" failed after 1 attempt: first"`,
		`f/b 2 "" "second"`,
		`f/c 1 "" "step \"f/b\" failed after 2 attempts: second"`,
		`z 1 "f/c" ""`)
	if got.Status != core.Completed {
		t.Errorf("%v", got.Status)
	}
}

func TestFeedbackOfAFallbackReachesAllStepsOfTheNext(t *testing.T) {
	got := everyWay(t, plan(t, core.Fallback("f", work("a", fails("no")), core.Then("g", work("1", appending), subOf(t, "s", plan(t, work("2", appending)))))), doc{})
	wantText(t, got.Err, "")
	wantSeen(t, got.Seen,
		`f/a 1 "" ""`,
		`f/g/1 1 "" "step \"f/a\" failed after 1 attempt: no"`,
		`f/g/s/2 1 "f/g/1" "step \"f/a\" failed after 1 attempt: no"`)
}

func TestFallbackGivesBackTheFeedbackOfTheOneAround(t *testing.T) {
	inner := core.Fallback("i", work("b", fails("inner")), work("c", appending))
	got := everyWay(t, plan(t, core.Fallback("o", work("a", fails("outer")), core.Then("g", inner, work("d", appending))), work("z", appending)), doc{})
	wantText(t, got.Err, "")
	const outer = `"step \"o/a\" failed after 1 attempt: outer"`
	wantSeen(t, got.Seen,
		`o/a 1 "" ""`,
		`o/g/i/b 1 "" `+outer,
		`o/g/i/c 1 "" "step \"o/g/i/b\" failed after 1 attempt: inner"`,
		`o/g/d 1 "o/g/i/c" `+outer,
		`z 1 "o/g/i/c o/g/d" ""`)
}

func TestFeedbackOfARetryEndsWithItsStep(t *testing.T) {
	second := func(ctx context.Context, req core.Request[string]) (string, error) {
		if req.Attempt == 1 {
			return "", errors.New("no")
		}
		return appending(ctx, req)
	}
	got := everyWay(t, plan(t, work("a", second, core.Retries(1)), work("b", appending)), doc{})
	wantText(t, got.Err, "")
	wantSeen(t, got.Seen, `a 1 "" ""`, `a 2 "" "no"`, `b 1 "a" ""`)
}

func TestFallbackFindsTheScopeAsTheFailedOneLeftIt(t *testing.T) {
	got := everyWay(t, plan(t, core.Fallback("f", core.Then("p", work("a", appending), work("b", fails("no"))), work("c", appending))), doc{})
	if got.Err != nil || got.Scope.Text != "f/p/a f/c" {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
}

func TestFallbackWhereAllFailJoinsTheirFailures(t *testing.T) {
	const cause = core.Code("third")
	third := func(context.Context, core.Request[string]) (string, error) { return "", cause }
	got := everyWay(t, plan(t, core.Fallback("f", core.Then("p", work("a", appending), work("x", fails("first"))), work("b", fails("second")), work("c", third)), work("z", appending)), doc{})
	wantText(t, got.Err, "fallback \"f\" failed: step \"f/p/x\" failed after 1 attempt: first\n"+
		"step \"f/b\" failed after 1 attempt: second\nstep \"f/c\" failed after 1 attempt: third")
	var failed *core.NodeError
	if !errors.As(got.Err, &failed) || failed.Kind != "fallback" || failed.Path != "f" || !errors.Is(got.Err, cause) {
		t.Errorf("error %#v", got.Err)
	}
	if got.Status != core.Failed || got.Scope.Text != "f/p/a" {
		t.Errorf("%+v", got.Result)
	}
}

func TestFallbackCatchesTheFailureOfEveryNode(t *testing.T) {
	none := func(*doc, []core.Ended[doc]) error { return nil }
	for name, tc := range map[string]struct {
		node *core.Node[doc]
		text string
	}{
		"step":     {work("n", fails("no")), `step "f/n" failed after 1 attempt: no`},
		"panic":    {work("n", func(context.Context, core.Request[string]) (string, error) { panic("boom") }), `step "f/n" failed after 1 attempt: panic: boom`},
		"sequence": {core.Then("n", work("a", fails("no"))), `step "f/n/a" failed after 1 attempt: no`},
		"loop":     {core.Loop("n", 1, never, work("a", appending)), `loop "f/n" ended after 1 iteration: max`},
		"branch":   {core.Branch("n", to, work("x", appending)), `branch "f/n" failed: no case is named "", and there is no "default"`},
		"validate": {core.Validate("n", func(doc) error { return errors.New("bad") }, work("a", appending)), `validation "f/n" refused the output: bad`},
		"sub":      {core.Sub("n", plan(t, work("a", appending)), func(doc) doc { panic("in") }, func(*doc, doc) {}), `sub-pipeline "f/n" failed: panic: in`},
		"parallel": {core.Parallel("n", keepFirst, core.Branches(work("a", fails("no")))), `parallel "f/n" failed: step "f/n/a" failed after 1 attempt: no`},
		"map": {core.Map("n", 1, func(doc) []doc { return make([]doc, 2) }, work("a", appending), none),
			`map "f/n" failed: 2 items where the plan allows 1: raise the maximum or split less`},
		"fallback": {core.Fallback("n", work("a", fails("1")), work("b", fails("2"))),
			"fallback \"f/n\" failed: step \"f/n/a\" failed after 1 attempt: 1\nstep \"f/n/b\" failed after 1 attempt: 2"},
	} {
		t.Run(name, func(t *testing.T) {
			got := everyWay(t, plan(t, core.Fallback("f", tc.node, work("z", says("rescued")))), doc{})
			if got.Err != nil || got.Status != core.Completed || got.Scope.Text != "rescued" {
				t.Errorf("%+v, error %v", got.Result, got.Err)
			}
			wantFeedback(t, got.Seen[len(got.Seen)-1], tc.text)
		})
	}
}

// wantFeedback looks at the feedback of a noted call.
func wantFeedback(t *testing.T, call, want string) {
	t.Helper()
	var path, input, feedback string
	var attempt int
	if _, err := fmt.Sscanf(call, "%s %d %q %q", &path, &attempt, &input, &feedback); err != nil {
		t.Fatalf("call %s: %v", call, err)
	}
	if d := cmp.Diff(want, feedback); d != "" {
		t.Errorf("feedback (-want +got):\n%s", d)
	}
}

func TestHarnessFaultIsNotCaughtByAFallback(t *testing.T) {
	dry := func(context.Context, core.Request[string]) (string, error) {
		return "", fmt.Errorf("script: %w", core.ErrHarness)
	}
	got := everyWay(t, plan(t, core.Fallback("f", core.Then("p", work("a", appending), work("b", dry, core.Retries(3))), work("c", appending))), doc{})
	wantText(t, got.Err, `run r stopped in step "f/p/b": script: harness fault`)
	wantSeen(t, got.Seen, `f/p/a 1 "" ""`, `f/p/b 1 "f/p/a" ""`)
	if !errors.Is(got.Err, core.ErrHarness) || got.Status != core.Running || got.Snap.Status != core.Running || len(got.Snap.Steps) != 1 {
		t.Errorf("%v, saved %v with %d steps, error %v", got.Status, got.Snap.Status, len(got.Snap.Steps), got.Err)
	}
}

// A scripted judge may stand behind a check or a condition: that it ran dry says
// nothing about the product there either.
func TestHarnessFaultOfAFunctionIsNotCaughtByAFallback(t *testing.T) {
	dry := fmt.Errorf("script: %w", core.ErrHarness)
	for name, node := range map[string]*core.Node[doc]{
		"condition": core.Loop("n", 3, func(doc) (bool, error) { return false, dry }, work("a", appending)),
		"choice":    core.Then("g", work("a", appending), core.Branch("n", func(doc) (string, error) { return "", dry }, work("x", appending))),
		"redirect":  core.Redirect("n", func(doc, string) (string, error) { return "", dry }, work("a", appending)),
		"check":     core.Validate("n", func(doc) error { return dry }, work("a", appending), core.Rerun(1)),
	} {
		t.Run(name, func(t *testing.T) {
			got := everyWay(t, plan(t, core.Fallback("f", node, work("z", appending))), doc{})
			if len(got.Seen) != 1 || !errors.Is(got.Err, core.ErrHarness) || got.Status != core.Running {
				t.Errorf("%v, calls %q, error %v", got.Status, got.Seen, got.Err)
			}
		})
	}
}

func TestCancellationIsNotCaughtByAFallback(t *testing.T) {
	why := errors.New("shutting down")
	var cancel context.CancelCauseFunc
	down := func(ctx context.Context, _ core.Request[string]) (string, error) {
		if cancel == nil {
			return "", errors.New("no")
		}
		cancel(why)
		return "", context.Cause(ctx)
	}
	p := plan(t, core.Fallback("f", work("a", down, core.Retries(2)), work("b", appending)))
	b := core.NewMemory()
	for name, e := range map[string]*core.Engine{"without a backend": core.NewEngine(), "with one": stopped(b)} {
		log := &callLog{}
		ctx, stop := context.WithCancelCause(log.in(t.Context()))
		cancel = stop
		res, err := core.Run(ctx, e, p, runR, doc{})
		wantText(t, err, `run r stopped in step "f/a": shutting down`)
		wantSeen(t, log.calls, `f/a 1 "" ""`)
		if !errors.Is(err, why) || res.Status != core.Running {
			t.Errorf("%s: %v, error %v", name, res.Status, err)
		}
	}
	if snap := load(t, b); len(snap.Steps) != 0 || snap.Status != core.Running {
		t.Errorf("saved: %v with %d steps", snap.Status, len(snap.Steps))
	}
	cancel = nil
	if res, err := core.Resume(t.Context(), stopped(b), p, runR); err != nil || res.Scope.Text != "f/b" || res.Calls != 4 {
		t.Errorf("resumed: %+v, error %v", res, err)
	}
}

func TestWantOfBudgetIsNotCaughtByAFallback(t *testing.T) {
	p := plan(t, core.Fallback("f", core.Then("p", work("a", appending), work("b", appending)), work("c", appending)))
	got := everyWay(t, p.Within(core.Budget{Calls: 1}), doc{})
	wantText(t, got.Err, `run r stopped in step "f/p/b": budget: step "f/p/b" needs 1 calls and 0 are left: resume with a larger budget`)
	wantSeen(t, got.Seen, `f/p/a 1 "" ""`)
	if !errors.As(got.Err, new(*core.BudgetError)) || got.Status != core.Stopped || got.Snap.Status != core.Stopped {
		t.Errorf("%v, saved %v, error %v", got.Status, got.Snap.Status, got.Err)
	}
	b := core.NewMemory()
	once(t, stopped(b), p.Within(core.Budget{Calls: 1}), doc{})
	if res, err := core.Resume(t.Context(), stopped(b), p, runR); err != nil || res.Scope.Text != "f/p/a f/p/b" || res.Calls != 1 {
		t.Errorf("with more: %+v, error %v", res, err)
	}
}

func TestBudgetThatAnAgentOverspendsIsNotCaughtByAFallback(t *testing.T) {
	greedy := func(_ context.Context, req core.Request[string]) (string, error) { return "", req.Spend(11, 0) }
	got := everyWay(t, plan(t, core.Fallback("f", work("a", greedy), work("b", appending))).Within(core.Budget{Tokens: 10}), doc{})
	wantText(t, got.Err, `run r stopped in step "f/a": budget: step "f/a" needs 11 tokens and 10 are left: resume with a larger budget`)
	wantSeen(t, got.Seen, `f/a 1 "" ""`)
	if got.Status != core.Stopped || got.Usage.Tokens != 0 {
		t.Errorf("%+v", got.Result)
	}
}

func TestAlternativesMayBeLeftOutOfTheCalls(t *testing.T) {
	p := plan(t, core.Fallback("f", work("a", appending, core.Retries(1)), work("b", appending), work("c", appending)))
	if d := cmp.Diff(map[string]int{"f/a": 2, "f/b": 1, "f/c": 1}, p.MaxCalls()); d != "" {
		t.Errorf("most calls (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]int{"f/a": 1, "f/b": 0, "f/c": 0}, p.MinCalls()); d != "" {
		t.Errorf("least calls (-want +got):\n%s", d)
	}
}

func TestFirstStepOfAnAlternativeIsNotLeftOut(t *testing.T) {
	inner := core.Loop("l", 2, never, core.Validate("v", atLeast(1), work("a", appending)))
	p := plan(t, core.Fallback("f", core.Then("p", core.Pass[doc]("x"), inner, work("b", appending)), work("c", appending)))
	if d := cmp.Diff(map[string]int{"f/p/l/v/a": 1, "f/p/b": 0, "f/c": 0}, p.MinCalls()); d != "" {
		t.Errorf("least calls (-want +got):\n%s", d)
	}
}

func TestEveryCompletedRunMakesTheLeastCallsOfItsPlan(t *testing.T) {
	tail := func(name string) *core.Node[doc] {
		return core.Then(name, work("a", fails("no")), work("b", appending))
	}
	for name, node := range map[string]*core.Node[doc]{
		"primary of a fallback":         core.Fallback("n", tail("p"), work("c", appending)),
		"one of many suffices":          core.Parallel("n", keepFirst, core.Branches(tail("p"), work("c", appending)), core.AnySucceeds(), core.AtOnce(1)),
		"a check before the first step": core.Fallback("n", core.Then("p", core.Validate("v", func(doc) error { return errors.New("no") }, core.Pass[doc]("x")), work("a", appending)), work("c", appending)),
		"a condition before it":         core.Fallback("n", core.Then("p", core.Loop("l", 1, never, core.Pass[doc]("x")), work("a", appending)), work("c", appending)),
		"a choice before it":            core.Fallback("n", core.Then("p", core.Branch("b", to, core.Pass[doc]("x")), work("a", appending)), work("c", appending)),
		"a merge before it": core.Fallback("n", core.Then("p", core.Parallel("x", func(*doc, []core.Ended[doc]) error { return errors.New("no") }, core.Branches(core.Pass[doc]("x"))),
			work("a", appending)), work("c", appending)),
		"a question before it":   core.Fallback("n", core.Then("p", core.Human("h", func(doc) string { return "\xff" }, func(*doc, string) {}), work("a", appending)), work("c", appending)),
		"failures are collected": core.Parallel("n", keepFirst, core.Branches(tail("p"), work("c", appending)), core.CollectFailures(), core.AtOnce(1)),
	} {
		t.Run(name, func(t *testing.T) {
			p := plan(t, node, work("z", appending))
			got := once(t, stopped(core.NewMemory()), p, doc{})
			if got.Status != core.Completed {
				t.Fatalf("%v, error %v", got.Status, got.Err)
			}
			made := map[string]int{}
			for _, call := range got.Seen {
				path, _, _ := strings.Cut(call, " ")
				made[path]++
			}
			for path, least := range p.MinCalls() {
				if made[path] < least {
					t.Errorf("%s was called %d times, the plan says at least %d", path, made[path], least)
				}
			}
		})
	}
}
