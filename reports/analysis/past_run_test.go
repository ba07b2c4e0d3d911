package analysis

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/quarantine"
)

// Runs that were recorded later, with further names of tests, do not change the analysis of an older
// run.
func TestLaterRunsDoNotChangeTheAnalysisOfAnEarlierOne(t *testing.T) {
	runs := goRuns(t, "", "panic", "build", "", "build", "main", "", "")
	for i := range runs { // names that only later runs have
		for k := range i {
			runs[i].Suites.Specs = append(runs[i].Suites.Specs, reports.Spec{Suite: "example.org/shop/tax", Leaf: fmt.Sprintf("TestRate%d", k), Occurrence: 1, Attempts: 1,
				State: []reports.State{reports.Passed, reports.Failed}[(i+k)%2]})
		}
	}
	o := Options{Plan: &reports.Plan{Target: 90}, Quarantine: &quarantine.Ledger{Entries: []quarantine.Entry{{Suite: "example.org/shop/tax", Spec: "TestRate1", Owner: "ada", Reason: "slow", Added: "2026-11-20", Expires: "2026-12-20"}}}}
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	var before []*Analysis
	for _, r := range runs {
		added, err := h.Append(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		o.Run = added.ID
		a, err := Analyze(t.Context(), h, o)
		if err != nil {
			t.Fatal(err)
		}
		before = append(before, a)
	}
	for i, want := range before {
		o.Run = int64(i + 1)
		got, err := Analyze(t.Context(), h, o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Outcomes{}, outcomesOf{})); diff != "" {
			t.Errorf("run %d (-before +after the later runs):\n%s", o.Run, diff)
		}
	}
}
