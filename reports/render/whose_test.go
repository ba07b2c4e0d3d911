package render

import (
	"testing"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
)

// The row of a failure and the first line agree on the origin of the failure.
func TestRowsSayWhoseAFailureIs(t *testing.T) {
	spec := &reports.Spec{Suite: "shop", Leaf: "adds up", State: reports.Failed}
	for _, tc := range []struct {
		failure *analysis.Failure
		want    string
	}{
		{nil, "newly broken"},
		{&analysis.Failure{Whose: analysis.Unknown, Spec: spec}, "newly broken"},
		{&analysis.Failure{Whose: analysis.ByThisChange, Spec: spec}, "by this change"},
		{&analysis.Failure{Whose: analysis.RedOnMain, Spec: spec}, "red on main"},
		{&analysis.Failure{Whose: analysis.RedOnMain, Spec: spec, Since: &history.RunLine{ID: 3}}, "red on main since run 3"},
		{&analysis.Failure{Whose: analysis.KnownFlaky, Spec: spec}, "known flaky"},
		{&analysis.Failure{Whose: analysis.Quarantined, Spec: spec}, "quarantined"},
		{&analysis.Failure{Whose: analysis.ByThisChange, Spec: &reports.Spec{Suite: "shop", Leaf: "another"}}, "newly broken"},
	} {
		a := &analysis.Analysis{}
		if tc.failure != nil {
			a.Failures = append(a.Failures, *tc.failure)
		}
		if got := whose(failuresOf(a), &analysis.Attention{Kind: analysis.NewlyBroken, Spec: spec}); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.failure, got, tc.want)
		}
	}
}
