package core_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// to chooses a case by the text.
func to(d doc) (string, error) { return d.Text, nil }

func TestBranchRunsTheChosenCaseAlone(t *testing.T) {
	p := plan(t,
		core.Branch("b", to, work("x", appending), core.Then("y", work("1", appending), work("2", appending)), work("default", appending)),
		work("z", appending))
	for chosen, text := range map[string]string{"x": "x b/x z", "y": "y b/y/1 b/y/2 z"} {
		t.Run(chosen, func(t *testing.T) {
			got := everyWay(t, p, doc{Text: chosen})
			if got.Err != nil || got.Scope.Text != text {
				t.Errorf("%+v, error %v", got.Result, got.Err)
			}
		})
	}
}

func TestBranchTakesTheDefaultWhereNoCaseHasTheName(t *testing.T) {
	for _, chosen := range []string{"other", ""} {
		got := everyWay(t, plan(t, core.Branch("b", to, work("x", appending), work("default", says("d")))), doc{Text: chosen})
		if got.Err != nil || got.Scope.Text != "d" {
			t.Errorf("%q: %+v, error %v", chosen, got.Result, got.Err)
		}
	}
}

func TestNameWithoutACaseIsAFailure(t *testing.T) {
	p := plan(t, work("a", says("other")), core.Branch("b", to, work("x", appending), work("y", appending)), work("z", appending))
	got := everyWay(t, p, doc{})
	wantText(t, got.Err, `branch "b" failed: no case is named "other", and there is no "default"`)
	wantSeen(t, got.Seen, `a 1 "" ""`)
	var failed *core.NodeError
	if !errors.As(got.Err, &failed) || failed.Kind != "branch" || failed.Path != "b" || got.Status != core.Failed || got.Scope.Text != "other" {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
}

func TestErrorOfAChoiceIsAFailure(t *testing.T) {
	cause := errors.New("undecided")
	p := plan(t, work("a", appending), core.Branch("b", func(doc) (string, error) { return "x", cause }, work("x", appending)))
	got := everyWay(t, p, doc{})
	wantText(t, got.Err, `branch "b" failed: undecided`)
	wantSeen(t, got.Seen, `a 1 "" ""`)
	if !errors.Is(got.Err, cause) || got.Status != core.Failed {
		t.Errorf("%v, error %v", got.Status, got.Err)
	}
}

func TestPanicOfAChoiceIsAFailure(t *testing.T) {
	p := plan(t, work("a", appending), core.Branch("b", func(doc) (string, error) { panic("boom") }, work("x", appending)))
	got := everyWay(t, p, doc{})
	wantText(t, got.Err, `branch "b" failed: panic: boom`)
	var panicked *core.PanicError
	if !errors.As(got.Err, &panicked) || !strings.Contains(string(panicked.Stack), "branch_test.go") || got.Status != core.Failed {
		t.Errorf("%v, error %v", got.Status, got.Err)
	}
}

func TestPassDoesNothing(t *testing.T) {
	p := plan(t, work("a", says("skip")), core.Branch("b", to, core.Pass[doc]("skip"), work("x", appending)), work("z", appending))
	got := everyWay(t, p, doc{})
	wantSeen(t, got.Seen, `a 1 "" ""`, `z 1 "skip" ""`)
	if got.Err != nil || got.Usage != (core.Usage{Calls: 2, Steps: 2}) || len(got.Snap.Steps) != 2 {
		t.Errorf("%+v, %d records, error %v", got.Result, len(got.Snap.Steps), got.Err)
	}
}

func TestFailureOfACaseIsTheFailureOfItsBranch(t *testing.T) {
	got := everyWay(t, plan(t, core.Branch("b", to, work("x", fails("no")), work("default", appending)), work("z", appending)), doc{Text: "x"})
	wantText(t, got.Err, `step "b/x" failed after 1 attempt: no`)
	wantSeen(t, got.Seen, `b/x 1 "x" ""`)
}

func TestChoiceSeesTheScopeAsItWasBeforeItsCase(t *testing.T) {
	// The case changes what the choice was made of: a resumed run must still choose it.
	p := plan(t, work("a", says("x")), core.Branch("b", to, core.Then("x", work("1", says("y")), work("2", appending)), work("y", fails("the wrong case"))))
	got := everyWay(t, p, doc{})
	if got.Err != nil || got.Scope.Text != "y b/x/2" {
		t.Errorf("%+v, error %v", got.Result, got.Err)
	}
}

func TestChoiceThatChangesItsMindIsNoticedAndCallsNobody(t *testing.T) {
	for name, tc := range map[string]struct {
		chosen string
		text   string
	}{
		"another case": {"y", `step "b/y" is next, but other steps have 1 saved record left`},
		"nothing":      {"pass", `step "z" is next, but other steps have 1 saved record left`},
		"no case":      {"none", `it would end while other steps have 1 saved record left`},
	} {
		t.Run(name, func(t *testing.T) {
			chosen := "x"
			p := plan(t,
				core.Branch("b", func(doc) (string, error) { return chosen, nil },
					core.Then("x", work("1", appending), work("2", appending)), work("y", appending), core.Pass[doc]("pass")),
				work("z", appending))
			b := &cutting{core.NewMemory(), 3, false} // before the second step of the case
			if got := once(t, stopped(b), p, doc{}); !errors.Is(got.Err, errCut) {
				t.Fatalf("error %v", got.Err)
			}
			chosen = tc.chosen
			log := &callLog{}
			res, err := core.Resume(log.in(t.Context()), stopped(b), p, runR)
			wantText(t, err, `run r: run went another way than its records: `+tc.text+`: conditions, choices and merges must depend on the scope alone; the plan has not changed, so one of them has`)
			wantSeen(t, log.calls)
			if snap := load(t, b); !errors.Is(err, core.ErrDiverged) || res.Status != core.Running || len(snap.Steps) != 1 || snap.Status != core.Running {
				t.Errorf("%v, error %v, saved %v with %d steps", res.Status, err, snap.Status, len(snap.Steps))
			}
			chosen = "x"
			if res, err := core.Resume(t.Context(), stopped(b), p, runR); err != nil || res.Scope.Text != "b/x/1 b/x/2 z" || res.Calls != 2 {
				t.Errorf("with its old mind: %+v, error %v", res, err)
			}
		})
	}
}
