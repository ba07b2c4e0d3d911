package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// spending is an agent that reports what it uses.
func spending(tokens, cost int64) core.Func[string, string] {
	return func(ctx context.Context, req core.Request[string]) (string, error) {
		if err := req.Spend(tokens, cost); err != nil {
			return "", err
		}
		return appending(ctx, req)
	}
}

func TestBudgetStopsTheRunBeforeItIsOverspent(t *testing.T) {
	endless := func(nodes ...*core.Node[doc]) *core.Node[doc] {
		return core.Loop("l", 100, func(doc) (bool, error) { return false, nil }, core.Then("s", nodes...))
	}
	for name, tc := range map[string]struct {
		node   *core.Node[doc]
		budget core.Budget
		used   core.Usage
		err    string
	}{
		"calls": {endless(step("a", appending)), core.Budget{Calls: 3}, core.Usage{Calls: 3, Steps: 4},
			`run r stopped in step "l#4/s/a": budget: step "l#4/s/a" needs 1 calls and 0 are left: resume with a larger budget`},
		"calls of retries": {step("a", fails("no"), core.Retries(9)), core.Budget{Calls: 3}, core.Usage{Calls: 3, Steps: 1},
			`run r stopped in step "a": budget: step "a" needs 1 calls and 0 are left: resume with a larger budget`},
		"steps": {endless(step("a", appending)), core.Budget{Steps: 5}, core.Usage{Calls: 5, Steps: 5},
			`budget: step "l#6/s/a" needs 1 steps and 0 are left: resume with a larger budget`},
		"tokens reported": {endless(step("a", spending(40, 0))), core.Budget{Tokens: 100}, core.Usage{Calls: 3, Steps: 3, Tokens: 80},
			`run r stopped in step "l#3/s/a": budget: step "l#3/s/a" needs 40 tokens and 20 are left: resume with a larger budget`},
		"tokens reserved, the rest given back": {endless(step("a", spending(10, 0), core.Reserve(60, 0))), core.Budget{Tokens: 100}, core.Usage{Calls: 5, Steps: 6, Tokens: 50},
			`run r stopped in step "l#6/s/a": budget: step "l#6/s/a" needs 60 tokens and 50 are left: resume with a larger budget`},
		"never reported is all used": {endless(step("a", appending, core.Reserve(60, 0))), core.Budget{Tokens: 100}, core.Usage{Calls: 1, Steps: 2, Tokens: 60},
			`run r stopped in step "l#2/s/a": budget: step "l#2/s/a" needs 60 tokens and 40 are left: resume with a larger budget`},
		"cost": {endless(step("a", spending(1, 30))), core.Budget{Cost: 100}, core.Usage{Calls: 4, Steps: 4, Tokens: 3, Cost: 90},
			`run r stopped in step "l#4/s/a": budget: step "l#4/s/a" needs 30 cost and 10 are left: resume with a larger budget`},
	} {
		t.Run(name, func(t *testing.T) {
			b := core.NewMemory()
			// A fallback and a second loop around must not catch it.
			node := core.Fallback("f", core.Loop("o", 3, nil, tc.node, core.MaxIsSuccess()), step("x", appending))
			p := plan(t, node).Within(tc.budget)
			res, err := run(t, p, doc{}, core.WithBackend(b))
			want := withPrefix(tc.err)
			var short *core.BudgetError
			if !errors.As(err, &short) || err.Error() != want {
				t.Errorf("error\n%v\nwant\n%s", err, want)
			}
			if d := cmp.Diff(tc.used, res.Usage); d != "" || res.Status != core.Stopped {
				t.Errorf("%v, used (-want +got):\n%s", res.Status, d)
			}
			if got := res.Exits["f/o"].Reason; got != core.ExitBudget {
				t.Errorf("exit reason of the loop: %q", got)
			}
			snap, loadErr := b.Load(t.Context(), core.RunKey{Run: "r"})
			if loadErr != nil || snap.Status != core.Stopped || snap.Error != short.Error() {
				t.Errorf("saved as %v %q, %v", snap.Status, snap.Error, loadErr)
			}
		})
	}
}

// withPrefix puts the nodes around into the paths of a text.
func withPrefix(text string) string {
	out := ""
	for i := 0; i < len(text); i++ {
		out += text[i : i+1]
		if i > 5 && text[i-5:i+1] == `step "` {
			out += "f/o#1/"
		}
	}
	return out
}

func TestStoppedRunGoesOnWithALargerBudget(t *testing.T) {
	b := core.NewMemory()
	e, key := core.NewEngine(core.WithBackend(b)), core.RunKey{Run: "r"}
	p := plan(t, step("a", spending(40, 0)), step("b", spending(40, 0)), step("c", spending(40, 0)))
	if res, err := core.Run(t.Context(), e, p.Within(core.Budget{Tokens: 100}), key, doc{}); err == nil || res.Status != core.Stopped {
		t.Fatalf("%+v, %v", res, err)
	}
	res, err := core.Resume(t.Context(), e, p.Within(core.Budget{Tokens: 110}), key)
	if err == nil || res.Calls != 1 {
		t.Errorf("resumed with too little: %+v, %v", res, err)
	}
	res, err = core.Resume(t.Context(), e, p.Within(core.Budget{Tokens: 120}), key)
	if want := (core.Usage{Calls: 3, Steps: 3, Tokens: 120}); err != nil || res.Usage != want || res.Scope.Text != "a b c" || res.Steps != 1 {
		t.Errorf("resumed: %+v, %v; want usage %+v", res, err, want)
	}
}

func TestBranchesGetTheirPartAndGiveBackTheRest(t *testing.T) {
	fan := func(a, b, c int64) *core.Node[doc] {
		return core.Parallel("fan", texts, core.Branches(step("a", spending(a, 0)), step("b", spending(b, 0)), step("c", spending(c, 0))))
	}
	// 100 tokens are split 34, 33, 33; what is left of all parts is there for the step behind.
	res, err := run(t, plan(t, fan(10, 20, 33), step("end", spending(37, 0))).Within(core.Budget{Tokens: 100}), doc{})
	if err != nil || res.Usage.Tokens != 100 {
		t.Errorf("usage %+v, error %v", res.Usage, err)
	}
	// One token more than its part stops a branch, whatever the others leave over.
	_, err = run(t, plan(t, fan(0, 34, 0)).Within(core.Budget{Tokens: 100}), doc{})
	if want := `run r stopped in step "fan/b": budget: step "fan/b" needs 34 tokens and 33 are left: resume with a larger budget`; fmt.Sprint(err) != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// Many branches within branches spend against one budget: it is never exceeded.
func TestBudgetIsNeverOverspentByBranches(t *testing.T) {
	for most := int64(1); most < 60; most += 7 {
		var outer []*core.Node[doc]
		for i := range 4 {
			var inner []*core.Node[doc]
			for j := range 4 {
				inner = append(inner, core.Loop(fmt.Sprint("l", j), 5, nil, step("s", spending(1, 2)), core.MaxIsSuccess()))
			}
			outer = append(outer, core.Parallel(fmt.Sprint("o", i), texts, inner))
		}
		p := plan(t, core.Parallel("fan", texts, outer)).Within(core.Budget{Tokens: most, Cost: 2 * most})
		res, err := run(t, p, doc{}, core.WithBackend(core.NewMemory()))
		if res.Usage.Tokens > most || res.Usage.Cost > 2*most || most > 16 && res.Usage.Tokens == 0 {
			t.Errorf("used %+v of %d tokens", res.Usage, most)
		}
		if !errors.As(err, new(*core.BudgetError)) {
			t.Errorf("80 tokens were wanted, %d allowed: %v", most, err)
		}
	}
}

func TestSubPipelineHasABudgetWithinTheOneOfTheRun(t *testing.T) {
	inner, err := core.New("inner", step("a", spending(10, 0)), step("b", spending(10, 0)))
	if err != nil {
		t.Fatal(err)
	}
	outer := func(sub, all int64) *core.Pipeline[doc] {
		return plan(t, step("first", spending(10, 0)), core.Sub("sub", inner.Within(core.Budget{Tokens: sub}),
			func(d doc) doc { return d }, func(d *doc, in doc) { *d = in })).Within(core.Budget{Tokens: all})
	}
	for _, tc := range []struct {
		sub, all int64
		err      string
	}{
		{20, 30, "<nil>"},
		{19, 99, `run r stopped in step "sub/b": budget: step "sub/b" needs 10 tokens and 9 are left: resume with a larger budget`},
		{99, 29, `run r stopped in step "sub/b": budget: step "sub/b" needs 10 tokens and 9 are left: resume with a larger budget`},
	} {
		res, err := run(t, outer(tc.sub, tc.all), doc{})
		if fmt.Sprint(err) != tc.err || err == nil && res.Usage.Tokens != 30 {
			t.Errorf("%d within %d: %v, %+v; want %s", tc.sub, tc.all, err, res.Usage, tc.err)
		}
	}
}

func TestWallTimeCountsWorkAndNotWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes := func(d time.Duration) core.Func[string, string] {
			return func(ctx context.Context, req core.Request[string]) (string, error) {
				select {
				case <-time.After(d):
					return appending(ctx, req)
				case <-ctx.Done():
					return "", ctx.Err()
				}
			}
		}
		e, key := core.NewEngine(core.WithBackend(core.NewMemory())), core.RunKey{Run: "r"}
		p := plan(t, step("a", takes(time.Minute)), approve("ask"), step("b", takes(time.Minute))).Within(core.Budget{Wall: 90 * time.Second})
		res, err := core.Run(t.Context(), e, p, key, doc{})
		if err != nil || res.Status != core.Paused {
			t.Fatalf("%+v, %v", res, err)
		}
		time.Sleep(48 * time.Hour) // virtual: the person is away
		began := time.Now()
		res, err = core.Signal(t.Context(), e, p, key, res.Pauses[0].Token, "yes")
		if want := `run r stopped in step "b": budget: the wall time of 1m30s is used up: resume with a larger budget`; fmt.Sprint(err) != want || res.Status != core.Stopped {
			t.Errorf("%+v, error %v, want %s", res, err, want)
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("stopped after %v, want the 30s that were left", took)
		}
		res, err = core.Resume(t.Context(), e, p.Within(core.Budget{Wall: 3 * time.Minute}), key)
		if err != nil || res.Scope.Text != "a yes b" {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

func TestSpendIsRefusedWhereItMakesNoSense(t *testing.T) {
	var late core.Request[string]
	agent := func(_ context.Context, req core.Request[string]) (string, error) {
		late = req
		return "", req.Spend(-1, 0)
	}
	_, err := run(t, plan(t, step("a", agent)), doc{})
	if want := `step "a" failed after 1 attempt: step "a": -1 tokens and a cost of 0 cannot be spent: use 0 or more`; fmt.Sprint(err) != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if err, want := late.Spend(1, 1), `step "a": its attempt has ended, nothing can be spent for it`; fmt.Sprint(err) != want {
		t.Errorf("spent behind the end: %v, want %s", err, want)
	}
	if err := (core.Request[string]{}).Spend(1, 1); err != nil {
		t.Errorf("outside an engine: %v", err)
	}
}

func TestRunsWithoutABudgetEndToo(t *testing.T) {
	quick := func(context.Context, core.Request[string]) (string, error) { return "", nil }
	p := plan(t, core.Loop("l", 100_001, func(doc) (bool, error) { return false, nil }, step("a", quick)))
	res, err := run(t, p, doc{})
	if !errors.As(err, new(*core.BudgetError)) || res.Steps != 100_000 {
		t.Errorf("%d steps, error %v", res.Steps, err)
	}
}
