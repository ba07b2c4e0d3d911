package reports_test

import (
	"testing"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

func TestOutcomesOfAComparison(t *testing.T) {
	r := reports.Run{Verdicts: []thresholds.Verdict{{Outcome: thresholds.Held, Workload: "default"}}} // by a limit
	if got := r.ComparedOutcomes(); got != "" {
		t.Error(got)
	}
	for _, o := range []thresholds.Outcome{thresholds.Held, thresholds.Inconclusive, thresholds.Broken, thresholds.Held, thresholds.Invalid} {
		r.Verdicts = append(r.Verdicts, thresholds.Verdict{Outcome: o, Workload: "shop.Total", Against: "main"})
	}
	r.Verdicts = append(r.Verdicts, thresholds.Verdict{Outcome: thresholds.Held, Workload: reports.NotMeasured, Against: "main"})
	if got := r.ComparedOutcomes(); got != "1 broken, 1 invalid, 1 inconclusive, 2 held" {
		t.Error(got)
	}
}

func TestWhatARunMeasured(t *testing.T) {
	figures := []reports.Benchmark{{Name: "shop.Total", Unit: "sec/op"}, {Name: "shop.Total", Unit: "B/op"}, {Name: "shop.Tax", Unit: "sec/op"}}
	for name, c := range map[string]struct {
		run       reports.Run
		what, how string
	}{
		"compared":             {reports.Run{Benchmarks: figures, Verdicts: []thresholds.Verdict{{Workload: "shop.Total", Against: "main"}}}, "2 benchmarks", "compared"},
		"one of them":          {reports.Run{Benchmarks: figures[:2], Verdicts: []thresholds.Verdict{{Workload: "shop.Total", Against: "main"}}}, "1 benchmark", "compared"},
		"all are the same":     {reports.Run{Verdicts: []thresholds.Verdict{{Workload: "benchmarks", Against: "main"}}}, "no benchmarks", "compared"},
		"of a file":            {reports.Run{Benchmarks: figures, Format: reports.FormatBenchmarks}, "2 benchmarks", "measured"},
		"workloads":            {reports.Run{Comparisons: []harness.Comparison{{Workload: "default"}, {Workload: "default"}}}, "1 workload", "measured"},
		"what was not reached": {reports.Run{Verdicts: []thresholds.Verdict{{Workload: "default"}, {Workload: "wide"}}}, "2 workloads", "measured"},
		"ended at once":        {reports.Run{}, "nothing", "measured"},
	} {
		if what, how := c.run.Measured(); what != c.what || how != c.how || !c.run.OnlyMeasured() {
			t.Errorf("%s: %s %s, only: %v", name, what, how, c.run.OnlyMeasured())
		}
	}
}
