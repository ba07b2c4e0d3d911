package records

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/runner"
)

// A job that runs tests and then compares benchmarks shows both in the comment: the comparison, which
// held, must not hide the tests, which broke.
func TestOfPipelineHasTestsAndComparisons(t *testing.T) {
	dir := t.TempDir()
	event := filepath.Join(dir, "event.json")
	text := `{"repository": {"full_name": "us/shop", "default_branch": "main"}, "workflow_run": {"id": 55, "run_attempt": 1, "head_sha": "1111111111111111111111111111111111111111",
		"head_branch": "fix", "head_repository": {"full_name": "us/shop"}}}`
	if err := os.WriteFile(event, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "workflow_run", "GITHUB_EVENT_PATH": event, "GITHUB_RUN_ID": "9", "GITHUB_REPOSITORY": "us/shop"}
	h, err := history.Open(t.Context(), filepath.Join(dir, "h.db"))
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
	of := project.CIIdentity(func(name string) string { return env[name] })
	all, err := new(AnalysisFlags).OfPipeline(t.Context(), h, analysis.Options{}, nil, of)
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
