package render

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/thresholds"
)

// The ledger contains an entry for each limit and class, those with a loosening in force first.
func TestLedgerHasALineALimit(t *testing.T) {
	line := func(date, workload, class string, change thresholds.Kind, from, to float64, current bool) analysis.LedgerLine {
		return analysis.LedgerLine{Class: class, Current: current, Entry: thresholds.Entry{Date: date, Workload: workload, Metric: "cost_ratio", Durability: "process", Change: change, From: from, To: to}}
	}
	var got []string
	for _, l := range newLedgerLimits([]analysis.LedgerLine{
		line("2026-11-09", "default", "amd", thresholds.Tightened, 1.3, 1.2, false),
		line("2026-11-08", "review", "amd", thresholds.Loosened, 1.2, 1.4, true),
		line("2026-11-07", "default", "intel", thresholds.Tightened, 0, 1.5, false),
		line("2026-11-06", "default", "amd", thresholds.Tightened, 0, 1.3, false),
	}) {
		got = append(got, l.What+" | "+l.Class+" | "+l.Now+" | "+l.Tone)
	}
	want := []string{
		"review, cost_ratio at process | amd | 1.40 since 2026-11-08, loosened, a loosening is in force | broken",
		"default, cost_ratio at process | amd | 1.20 since 2026-11-09, tightened, 2 changes | ",
		"default, cost_ratio at process | intel | 1.50 since 2026-11-07, tightened | ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
