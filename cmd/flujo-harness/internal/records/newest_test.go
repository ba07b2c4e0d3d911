package records

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/runner"
)

// A job that runs tests and then compares benchmarks shows both in the comment: the comparison, which
// held, must not hide the tests, which broke.
func TestOfPipelineHasTestsAndComparisons(t *testing.T) {
	h, err := history.Open(t.Context(), filepath.Join(t.TempDir(), "h.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	tests := reports.Run{Format: reports.FormatGoTest, Suites: &reports.Results{Specs: []reports.Spec{{Suite: "shop", Leaf: "TestTotal", Occurrence: 1, Attempts: 1, State: reports.Failed}}}}
	figures := reports.Run{Benchmarks: []reports.Benchmark{{Name: "shop.Total", Unit: "sec/op", Values: []float64{1}}}}
	for i, r := range []reports.Run{tests, tests, figures, figures} {
		r.Started, r.Commit, r.Complete = noon.Add(time.Duration(i)*time.Minute), "1111111111111111111111111111111111111111", true
		r.Origin = reports.Origin{Service: "github", Pipeline: "55", Attempt: 1, Job: "unit", OS: "linux"}
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	all, err := new(AnalysisFlags).OfPipeline(t.Context(), h, analysis.Options{}, nil, onBehalf(t, "us/shop"))
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for _, a := range all {
		ids = append(ids, a.Run.ID)
	}
	if diff := cmp.Diff([]int64{4, 2}, ids); diff != "" {
		t.Error(diff)
	}
}

// The tests that a run expects are those of the newest run of tests, however many comparisons followed.
func TestExpectedTestsAreOfARunOfTests(t *testing.T) {
	h, err := history.Open(t.Context(), filepath.Join(t.TempDir(), "h.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for i := range 30 {
		r := reports.Run{Started: time.Date(2026, 11, 23, 12, i, 0, 0, time.UTC), Complete: true}
		if i == 0 {
			r.Suites = &reports.Results{Specs: []reports.Spec{{Suite: "shop", Leaf: "TestTotal", Occurrence: 1, Attempts: 1, State: reports.Passed}}}
		}
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if e := expected(t.Context(), h, reports.Run{}, &runner.Tests{Suites: []string{"shop"}}); e.Specs != 1 {
		t.Errorf("%d specs, want 1", e.Specs)
	}
}
