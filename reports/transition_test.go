package reports

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kindsOf counts the moves between two runs; what is suggested as renamed is new and gone.
func kindsOf(older, newer *Results) map[Kind]int {
	n := map[Kind]int{}
	for _, m := range compareResults(older, newer, false).moves {
		if m.Kind == Renamed {
			n[New]++
			n[Gone]++
			continue
		}
		n[m.Kind]++
	}
	return n
}

// Counted from the two files by another program.
func TestTransitionsOfRealRuns(t *testing.T) {
	older, newer := gomega(t, march), gomega(t, october)
	if diff := cmp.Diff(map[Kind]int{Fixed: 3, Broke: 1, New: 34, Gone: 10}, kindsOf(older, newer)); diff != "" {
		t.Error(diff)
	}
	// Backwards, what was new is gone and what broke is fixed.
	if diff := cmp.Diff(map[Kind]int{Fixed: 1, Broke: 3, New: 10, Gone: 34}, kindsOf(newer, older)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[Kind]int{StillFailing: 1}, kindsOf(newer, newer)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[Kind]int{Failing: 1}, kindsOf(nil, newer)); diff != "" {
		t.Error(diff)
	}
}

func TestTransitionOfEveryMove(t *testing.T) {
	retried := spec("x", Passed)
	retried.Retried = true
	both := spec("x", Failed)
	both.Detail = BothWays
	states := map[string]*Spec{"": nil, "retried": &retried, "both": &both}
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
		{"passed", "both"}: Flaky, {"failed", "both"}: Flaky, {"", "both"}: Flaky, {"both", "both"}: Flaky,
		{"both", "passed"}: Flaky, {"both", "failed"}: StillFailing, {"both", "skipped"}: NewlySkipped,
	} {
		got := compareResults(of(states[move[0]]), of(states[move[1]]), false).moves
		switch {
		case want == "" && len(got) != 0, want != "" && (len(got) != 1 || got[0].Kind != want):
			t.Errorf("%q to %q: %+v, want %q", move[0], move[1], got, want)
		}
	}
}
