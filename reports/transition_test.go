package reports

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func kindsOf(ts []Transition) map[Kind]int {
	n := map[Kind]int{}
	for _, t := range ts {
		n[t.Kind]++
	}
	return n
}

// Counted from the two files by another program.
func TestTransitionsOfRealRuns(t *testing.T) {
	older, newer := gomega(t, march), gomega(t, october)
	if diff := cmp.Diff(map[Kind]int{Fixed: 3, Broke: 1, New: 34, Gone: 10}, kindsOf(Transitions(older, newer))); diff != "" {
		t.Error(diff)
	}
	// Backwards, what was new is gone and what broke is fixed.
	if diff := cmp.Diff(map[Kind]int{Fixed: 1, Broke: 3, New: 10, Gone: 34}, kindsOf(Transitions(newer, older))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[Kind]int{StillFailing: 1}, kindsOf(Transitions(newer, newer))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[Kind]int{Failing: 1}, kindsOf(Transitions(nil, newer))); diff != "" {
		t.Error(diff)
	}
}

func TestTransitionOfEveryMove(t *testing.T) {
	retried := spec("x", Passed)
	retried.Retried = true
	states := map[string]*Spec{"": nil, "retried": &retried}
	for _, s := range []State{Passed, Failed, Skipped, Pending} {
		one := spec("x", s)
		states[string(s)] = &one
	}
	of := func(s *Spec) *Results {
		if s == nil {
			return &Results{}
		}
		return &Results{Specs: []Spec{*s}}
	}
	for move, want := range map[[2]string]Kind{
		{"passed", "failed"}: Broke, {"skipped", "failed"}: Broke, {"pending", "failed"}: Broke, {"retried", "failed"}: Broke,
		{"failed", "failed"}: StillFailing, {"", "failed"}: NewFailing,
		{"failed", "passed"}: Fixed, {"passed", "passed"}: "", {"skipped", "passed"}: "", {"", "passed"}: New, {"retried", "passed"}: "",
		{"failed", "retried"}: RetryRescued, {"passed", "retried"}: RetryRescued, {"", "retried"}: RetryRescued,
		{"passed", "skipped"}: NewlySkipped, {"failed", "skipped"}: NewlySkipped, {"passed", "pending"}: NewlySkipped, {"skipped", "pending"}: "",
		{"", "skipped"}: New, {"passed", ""}: Gone, {"failed", ""}: Gone,
	} {
		got := Transitions(of(states[move[0]]), of(states[move[1]]))
		switch {
		case want == "" && len(got) != 0, want != "" && (len(got) != 1 || got[0].Kind != want):
			t.Errorf("%q to %q: %+v, want %q", move[0], move[1], got, want)
		}
	}
}

func TestPreviousIsTheLatestEarlierRunWithSuites(t *testing.T) {
	with := &Results{}
	runs := []Run{{ID: 9, Suites: with}, {ID: 3, Suites: with}, {ID: 7}, {ID: 5, Suites: with}, {ID: 8, Suites: with}}
	for id, want := range map[int64]int64{9: 8, 8: 5, 5: 3, 0: 9} {
		if got := Previous(Run{ID: id}, runs); got == nil || got.ID != want {
			t.Errorf("before %d: %+v, want %d", id, got, want)
		}
	}
	if got := Previous(Run{ID: 3}, runs); got != nil {
		t.Errorf("before the first: %+v", got)
	}
}
