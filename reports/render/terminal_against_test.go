package render

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

func ratio(value, low, high float64) *harness.Estimate {
	return &harness.Estimate{Value: value, Low: low, High: high, Level: 0.95, N: 12, Of: "blocks", Unit: "ratio"}
}

func TestWhatIsComparedWithARevision(t *testing.T) {
	durability := thresholds.Verdict{Outcome: thresholds.Held, Workload: "default", Metric: thresholds.MetricAgainst, Durability: "process", Against: "main",
		By: thresholds.ByInstructions, Ratio: ratio(1.019, 0.969, 1.071), Instructions: ratio(1.0024, 0.9964, 1.0085), Reason: "held"}
	slower := thresholds.Verdict{Outcome: thresholds.Broken, Workload: "shop.Total-2", Metric: thresholds.MetricRatio, Against: "main",
		By: thresholds.ByTime, Ratio: ratio(2.31, 2.1, 2.5), Reason: "slower"}
	counts := thresholds.Verdict{Outcome: thresholds.Broken, Workload: "shop.Add-2", Metric: thresholds.MetricRatio, Against: "main",
		By: thresholds.ByCounts, Ratio: ratio(1, 0.9, 1.1), Reason: "shop.Add-2: working tree against main: it counts more: allocs/op 2 -> 3 in each of 3 processes"}
	unknown := thresholds.Verdict{Outcome: thresholds.Inconclusive, Workload: "benchmarks", Metric: thresholds.MetricRatio, Against: "main", Reason: "gone at main: shop.Old"}
	for name, row := range map[string]struct {
		verdicts []thresholds.Verdict
		first    string
		rows     []string
	}{
		"durability alone": {[]thresholds.Verdict{durability}, "durability of default executes no more than at main",
			[]string{"main: durability of default held: instructions +0.24% (-0.36% to +0.85%), time +1.9% (-3.1% to +7.1%)"}},
		"the worst comes first": {[]thresholds.Verdict{durability, unknown, slower}, "shop.Total-2 takes more than at main: +131% (+110% to +150%)",
			[]string{"main: shop.Total-2 broken: time +131% (+110% to +150%)", "benchmarks inconclusive: gone at main: shop.Old", "durability of default held: "}},
		"counts":             {[]thresholds.Verdict{counts}, "shop.Add-2: it counts more: allocs/op 2 -> 3", []string{"main: shop.Add-2 broken: it counts more: allocs/op 2 -> 3"}},
		"all held":           {[]thresholds.Verdict{durability, durability}, "all 2 comparisons with main held", []string{"main: ", ""}},
		"many that held":     {[]thresholds.Verdict{durability, durability, durability, durability, durability, slower}, "shop.Total-2 takes more", []string{"main: 5 of 6 comparisons held", "shop.Total-2 broken"}},
		"limits, no against": {[]thresholds.Verdict{{Outcome: thresholds.Held, Workload: "default", Metric: thresholds.MetricCostRatio}}, "durability within its limit", nil},
	} {
		a := &analysis.Analysis{Run: reports.Run{Verdicts: row.verdicts}}
		if got := limitsSentence(a); !strings.HasPrefix(got, row.first) {
			t.Errorf("%s: first line %q, want %q", name, got, row.first)
		}
		if view := newAgainst(a); (view == nil) != (row.rows == nil) || view != nil && (view.Base != "main" || len(view.Rows) != len(row.verdicts)) {
			t.Errorf("%s: the table of the page is %+v", name, view)
		}
		rows := againstRows(a)
		if len(rows) != len(row.rows) {
			t.Errorf("%s: %d rows: %+v", name, len(rows), rows)
			continue
		}
		for i, want := range row.rows {
			if !strings.HasPrefix(rows[i].Text, want) || (rows[i].Label == "against") != (i == 0) {
				t.Errorf("%s: row %d is %+v, want %q", name, i+1, rows[i], want)
			}
		}
	}
}

// Figures of benchmarks that were compared must not be called "not judged" below their verdict.
func TestComparedBenchmarksAreNotCalledUnjudged(t *testing.T) {
	figures := []reports.Benchmark{{Name: "shop.Add-2", Unit: "sec/op", Values: []float64{5e-9}}}
	for metric, judged := range map[string]bool{thresholds.MetricRatio: true, thresholds.MetricAgainst: false} {
		a := &analysis.Analysis{Run: reports.Run{Benchmarks: figures, Verdicts: []thresholds.Verdict{{Outcome: thresholds.Broken, Workload: "shop.Add-2", Metric: metric, Against: "main"}}}}
		if got := strings.Join(Summary(a, Screen{}), "\n"); !strings.Contains(got, "1 figure of 1 benchmark") || strings.Contains(got, "not judged") == judged {
			t.Errorf("%s: the summary is\n%s", metric, got)
		}
	}
}

// The overview of the page names both revisions of a comparison, its time, and the outcomes.
func TestTheOverviewNamesWhatWasCompared(t *testing.T) {
	const identical = "packages that need no measurement, because their test binaries and files are the same as at main: 1"
	run := reports.Run{ID: 4, Started: time.Date(2026, 12, 1, 15, 4, 0, 0, time.UTC), Commit: "5582dc7034480123", Dirty: true, Complete: true, Outcome: thresholds.Broken,
		Benchmarks: []reports.Benchmark{{Name: "shop.Add-2", Unit: "sec/op", Values: []float64{5e-9}}, {Name: "shop.Add-2", Unit: "B/op", Values: []float64{8}}, {Name: "shop.Total-2", Unit: "B/op", Values: []float64{8}}},
		Verdicts: []thresholds.Verdict{
			{Outcome: thresholds.Held, Workload: "shop.Add-2", Metric: thresholds.MetricRatio, Against: "main"},
			{Outcome: thresholds.Broken, Workload: "shop.Total-2", Metric: thresholds.MetricRatio, Against: "main"},
			{Outcome: thresholds.Held, Workload: "default", Metric: thresholds.MetricAgainst, Against: "main"},
			{Outcome: thresholds.Held, Workload: reports.NotMeasured, Metric: thresholds.MetricRatio, Against: "main", Reason: identical},
		}}
	old := run
	run.Facts = []reports.Fact{{Name: reports.ComparedBase, Value: "main, commit aeb418de0e81"}, {Name: reports.ComparedHead, Value: "working tree, commit 5582dc703448 with uncommitted changes"}}
	want := []fact{
		{"base", "main, commit aeb418de0e81"},
		{"head", "working tree, commit 5582dc703448 with uncommitted changes"},
		{"time", "1 December 2026, 15:04 UTC"},
		{"compared", "2 benchmarks and 1 workload: 1 broken, 2 held"},
		{"not measured", "held: " + identical},
	}
	if diff := cmp.Diff(want, comparedFacts(&analysis.Analysis{Run: run})); diff != "" {
		t.Error(diff)
	}
	want[0].Value = "main" // a run of an earlier version
	if diff := cmp.Diff(want, comparedFacts(&analysis.Analysis{Run: old})); diff != "" {
		t.Error(diff)
	}
	if all := comparedFacts(&analysis.Analysis{}); all != nil {
		t.Errorf("nothing was compared: %v", all)
	}
	a := analysis.AnalyzeSingleRun(run)
	a.Trend.Points = []history.RunLine{{ID: 3, Measured: true}, {ID: 4, Measured: true}}
	a.Trend.Measured = map[int64]string{4: "2 benchmarks compared: 1 broken, 1 held"}
	var page strings.Builder
	if err := Render(&page, a); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<dt>base</dt><dd>main, commit aeb418de0e81</dd>`, `<td colspan="3">2 benchmarks compared: 1 broken, 1 held</td>`, `<td colspan="3">measured, without tests</td>`, `1 broken, 2 held; 3 figures<`} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page.String(), "no results") {
		t.Error("the page has \"no results\"")
	}
}
