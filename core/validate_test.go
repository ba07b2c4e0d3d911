package core_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// atLeast refuses a text with fewer words.
func atLeast(n int) func(doc) error {
	return func(d doc) error {
		if len(strings.Fields(d.Text)) < n {
			return errors.New("too short")
		}
		return nil
	}
}

func TestValidationThatIsPassedChangesNothing(t *testing.T) {
	got := everyWay(t, plan(t, core.Validate("v", atLeast(1), work("a", appending)), work("z", appending)), doc{})
	wantText(t, got.Err, "")
	wantSeen(t, got.Seen, `v#1/a 1 "" ""`, `z 1 "v#1/a" ""`)
}

func TestRefusedOutputStaysInTheScopeAndItsNodeIsNotRunAgain(t *testing.T) {
	got := everyWay(t, plan(t, core.Validate("v", atLeast(2), work("a", appending, core.Retries(3))), work("z", appending)), doc{})
	wantText(t, got.Err, `validation "v" refused the output: too short`)
	wantSeen(t, got.Seen, `v#1/a 1 "" ""`)
	if got.Status != core.Failed || got.Scope.Text != "v#1/a" || string(got.Snap.Steps[0].Output) != `"v#1/a"` {
		t.Errorf("%+v, saved output %s", got.Result, got.Snap.Steps[0].Output)
	}
}

func TestValidationErrorWrapsWhatTheCheckReturned(t *testing.T) {
	cause := errors.New("too short")
	got := everyWay(t, plan(t, core.Validate("v", func(doc) error { return cause }, work("a", appending))), doc{})
	var refused *core.ValidationError
	if !errors.As(got.Err, &refused) || refused.Path != "v" || !errors.Is(got.Err, cause) || errors.As(got.Err, new(*core.StepError)) {
		t.Errorf("error %#v", got.Err)
	}
}

func TestRerunGivesTheNodeTheTextOfTheValidation(t *testing.T) {
	got := everyWay(t, plan(t, core.Validate("v", atLeast(3), work("a", appending), core.Rerun(5)), work("z", appending)), doc{})
	wantText(t, got.Err, "")
	wantSeen(t, got.Seen,
		`v#1/a 1 "" ""`,
		`v#2/a 1 "v#1/a" "too short"`,
		`v#3/a 1 "v#1/a v#2/a" "too short"`,
		`z 1 "v#1/a v#2/a v#3/a" ""`)
}

func TestRerunsEndInTheLastRefusal(t *testing.T) {
	got := everyWay(t, plan(t, core.Validate("v", atLeast(9), work("a", appending), core.Rerun(1))), doc{})
	wantText(t, got.Err, `validation "v" refused the output: too short`)
	wantSeen(t, got.Seen, `v#1/a 1 "" ""`, `v#2/a 1 "v#1/a" "too short"`)
	if got.Scope.Text != "v#1/a v#2/a" {
		t.Errorf("scope %+v", got.Scope)
	}
}

func TestFailureOfTheNodeIsNotRerun(t *testing.T) {
	got := everyWay(t, plan(t, core.Validate("v", atLeast(0), work("a", fails("no"), core.Retries(1)), core.Rerun(3))), doc{})
	wantText(t, got.Err, `step "v#1/a" failed after 2 attempts: no`)
	wantSeen(t, got.Seen, `v#1/a 1 "" ""`, `v#1/a 2 "" "no"`)
	if errors.As(got.Err, new(*core.ValidationError)) {
		t.Errorf("error %#v", got.Err)
	}
}

func TestRefusedOutputGoesToTheFallback(t *testing.T) {
	got := everyWay(t, plan(t,
		core.Fallback("f", core.Validate("v", atLeast(9), work("a", appending), core.Rerun(1)), work("b", appending)),
		work("z", appending)), doc{})
	wantText(t, got.Err, "")
	wantSeen(t, got.Seen,
		`f/v#1/a 1 "" ""`,
		`f/v#2/a 1 "f/v#1/a" "too short"`,
		`f/b 1 "f/v#1/a f/v#2/a" "validation \"f/v\" refused the output: too short"`,
		`z 1 "f/v#1/a f/v#2/a f/b" ""`)
}

func TestPanicOfACheckIsARefusal(t *testing.T) {
	got := everyWay(t, plan(t, core.Validate("v", func(doc) error { panic("boom") }, work("a", appending), core.Rerun(1))), doc{})
	wantText(t, got.Err, `validation "v" refused the output: panic: boom`)
	wantSeen(t, got.Seen, `v#1/a 1 "" ""`, `v#2/a 1 "v#1/a" "panic: boom"`)
	var panicked *core.PanicError
	if !errors.As(got.Err, &panicked) || !strings.Contains(string(panicked.Stack), "validate_test.go") || got.Status != core.Failed {
		t.Errorf("%v, error %v", got.Status, got.Err)
	}
}

func TestCheckThatChangesItsMindIsNoticedAndCallsNobody(t *testing.T) {
	least := 3
	p := plan(t, core.Validate("v", func(d doc) error { return atLeast(least)(d) }, work("a", appending), core.Rerun(5)), work("z", appending))
	b := &cutting{core.NewMemory(), 4, false} // before the third run of the node
	if got := once(t, stopped(b), p, doc{}); !errors.Is(got.Err, errCut) {
		t.Fatalf("error %v", got.Err)
	}
	least = 1
	log := &callLog{}
	_, err := core.Resume(log.in(t.Context()), stopped(b), p, runR)
	wantText(t, err, `run r: run went another way than its records: step "z" is next, but other steps have 1 saved record left: `+
		`conditions, choices and merges must depend on the scope alone; the plan has not changed, so one of them has`)
	wantSeen(t, log.calls)
}

func TestRerunsMultiplyTheMostCallsAndNotTheLeast(t *testing.T) {
	p := plan(t, core.Validate("v", atLeast(1), work("a", appending, core.Retries(1)), core.Rerun(2)))
	if d := cmp.Diff(map[string]int{"v/a": 6}, p.MaxCalls()); d != "" {
		t.Errorf("most calls (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]int{"v/a": 1}, p.MinCalls()); d != "" {
		t.Errorf("least calls (-want +got):\n%s", d)
	}
}
