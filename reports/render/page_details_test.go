package render

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/sample"
	"github.com/flujo/flujo-harness/reports/quarantine"
)

// The page of a spec shows the origin of the failure with the evidence, its entry in the quarantine, the
// platforms on which it passes, and earlier failures.
func TestDetailsOfASpec(t *testing.T) {
	bad := sample.Spec("loses an order", reports.Failed)
	bad.Message = "one\ntwo\nfour"
	a := analysis.AnalyzeSingleRun(reports.Run{Suites: sample.Results(3, bad)})
	a.Failures = []analysis.Failure{{Whose: analysis.Quarantined, Spec: &bad, Why: "it waits for a release", Green: []string{"linux/amd64", "darwin/arm64"},
		Entry: &quarantine.Entry{Reason: "issue 7", Owner: "ann", Expires: "2026-12-01"}}}
	a.Past = map[string][]analysis.PastFailure{bad.Key(): {{Message: "one\ntwo\nthree", Runs: []int{2, 5}}, {Message: "same\nas now", Runs: []int{1}, Same: true}}}
	want := map[string]specDetails{shortID(&bad): {Whose: "quarantined: it waits for a release", Quarantine: "issue 7, by ann until 2026-12-01", Green: "linux/amd64, darwin/arm64", Failures: []pastFailure{
		{Runs: []int{2, 5}, Lines: [][2]string{{" ", "one"}, {" ", "two"}, {"-", "three"}, {"+", "four"}}},
		{Runs: []int{1}, Same: true, Lines: [][2]string{{" ", "same"}, {" ", "as now"}}},
	}}}
	if diff := cmp.Diff(want, newDetails(a)); diff != "" {
		t.Error(diff)
	}
}

// The filter by platform finds a failed spec by the platform of its run and by those of other jobs of
// the commit on which it fails.
func TestSystemsThatASpecFailsOn(t *testing.T) {
	bad := sample.Spec("loses an order", reports.Failed)
	run := reports.Run{Suites: sample.Results(1, bad), Origin: reports.Origin{OS: "linux", Arch: "amd64"}}
	a := analysis.AnalyzeSingleRun(run)
	a.Failures = []analysis.Failure{{Spec: &bad, Red: []string{"windows/amd64", "linux/amd64"}}}
	table := newSpecTable(a, attachedFiles{})
	if diff := cmp.Diff([]string{"linux/amd64", "windows/amd64"}, table.Systems); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(column{-1, 0}, table.System); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]int{{0, 1}}, table.SystemSets); diff != "" {
		t.Error(diff)
	}
}

func TestColumnsArePacked(t *testing.T) {
	for want, c := range map[string]column{`{"r":[7,4,-1,1]}`: {7, 7, 7, 7, -1}, `[1,2,3]`: {1, 2, 3}, `{"r":[]}`: nil} {
		if got, err := c.MarshalJSON(); err != nil || string(got) != want {
			t.Errorf("%v: %s, want %s: %v", c, got, want, err)
		}
	}
}
