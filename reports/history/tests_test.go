package history

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/sample"
	"github.com/flujo/flujo-harness/thresholds"
)

// Only runs that were to run no tests are passed over: not those whose tests gave no results.
func TestLinesOfTests(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	figures := []reports.Benchmark{{Name: "shop.Total", Unit: "sec/op", Values: []float64{1}}}
	var want []int64
	for i, r := range []reports.Run{
		{Format: reports.FormatGoTest, Suites: sample.Results(2), Complete: true},
		{Format: reports.FormatGoTest, SuiteError: "the report is cut short", Complete: true},
		{SuiteError: "the report is cut short", Complete: true},
		{Format: reports.FormatGoTest},
		{Format: reports.FormatGoTest, Benchmarks: figures, Complete: true},
		{Format: "JUnit XML, " + reports.FormatBenchmarks, Benchmarks: figures, Complete: true},
		{Suites: sample.Results(1), Benchmarks: figures, Complete: true},
		{Benchmarks: figures, Complete: true},
		{Benchmarks: figures},
		{Format: reports.FormatBenchmarks, Benchmarks: figures, Complete: true},
		{Verdicts: []thresholds.Verdict{{Workload: "benchmarks", Against: "main"}}, Complete: true},
	} {
		r.Started = sample.Noon.Add(time.Duration(i) * time.Hour)
		added, err := h.Append(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if i < 7 {
			want = append([]int64{added.ID}, want...)
		}
	}
	lines, err := h.LinesOfTests(t.Context(), 99)
	if err != nil {
		t.Fatal(err)
	}
	var got, byLine, byRun []int64
	for _, l := range lines {
		got = append(got, l.ID)
	}
	all, _, err := h.Lines(t.Context(), 99)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if !l.Measured {
			byLine = append(byLine, l.ID)
		}
		if r, err := h.Load(t.Context(), l.ID); err != nil || !r.OnlyMeasured() {
			byRun = append(byRun, l.ID)
		}
	}
	for what, ids := range map[string][]int64{"LinesOfTests": got, "RunLine.Measured": byLine, "Run.OnlyMeasured": byRun} {
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	if lines, err := h.LinesOfTests(t.Context(), 1); err != nil || len(lines) != 1 || lines[0].ID != want[0] {
		t.Errorf("%v, %v", lines, err)
	}
}
