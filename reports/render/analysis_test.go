package render

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports/history"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/thresholds"
)

func TestFlakyInOneRunIsInTheSummary(t *testing.T) {
	alone := analysis.AnalyzeSingleRun(sample.CellsRun(0, "a:.B"))
	if text := strings.Join(Summary(alone, Screen{}), "\n"); !strings.Contains(text, "bbbbbbbb") {
		t.Error(text)
	}
}

func TestLimitsThatTurnedGreenAreInEveryOutput(t *testing.T) {
	before, now := sample.CellsRun(0, "a:."), sample.CellsRun(1, "b:.")
	before.Verdicts = []thresholds.Verdict{sample.Verdict("map", thresholds.Broken, 15)}
	now.Verdicts = []thresholds.Verdict{sample.Verdict("map", thresholds.Held, 0)}
	now.Verdicts[0].Limit *= 2
	a := analysisOf(t, analysis.Options{}, before, now)
	for name, want := range map[string]string{"html": "<td>map at process</td>", "json": `"limit": "map at process"`, "md": "limit loosened: `map at process`", "terminal": "limit loosened: map at process"} {
		if text := output(t, name, a); !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, name)
		}
	}
}

func TestBenchmarksAreShownWithEarlierOnes(t *testing.T) {
	runs := sample.Cells("a:..", "b:..", "c:.F")
	runs[0].Benchmarks = []reports.Benchmark{{Name: "Add-8", Unit: "sec/op", Values: []float64{7e-9, 1e-9, 3e-9, 2e-9, 6e-9, 5e-9, 4e-9}}, {Name: "Gone-8", Unit: "sec/op", Values: []float64{1}}}
	runs[2].Benchmarks = []reports.Benchmark{{Name: "Add-8", Unit: "sec/op", Values: []float64{2e-9, 8e-9, 5e-9}}, {Name: "Add-8", Unit: "B/op", Values: []float64{64}}}
	a := analysisOf(t, analysis.Options{}, runs...)
	text := strings.Join(append(Summary(a, Screen{}), Details(a)...), "\n")
	for _, want := range []string{"benchmarks   2 figures of 1 benchmark, not judged", "Add-8: 5.00 ns/op (no interval: too few, n=3); in run 1 4.00 ns/op (1.00 ns to 7.00 ns, n=7)"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// openHistory opens a history and closes it at the end of the test.
func openHistory(t *testing.T, path string) *history.History {
	t.Helper()
	h, err := history.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// analysisOf returns the analysis of the newest of the given runs.
func analysisOf(t *testing.T, o analysis.Options, runs ...reports.Run) *analysis.Analysis {
	t.Helper()
	h := openHistory(t, filepath.Join(t.TempDir(), "h.db"))
	for _, r := range runs {
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	a, err := analysis.Analyze(t.Context(), h, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCostOfARunItselfIsShown(t *testing.T) {
	r := sample.CellsRun(0, "a:.")
	r.Comparisons = []harness.Comparison{sample.Comparison("default", 1.31)}
	details := strings.Join(Details(analysisOf(t, analysis.Options{}, r)), "\n")
	for _, want := range []string{"share of a run that durability takes, by the duration of a step: no time ", "100 ms 0.071% (0.069% to 0.072%) computed", "a run of default at process takes 21", "over the floor "} {
		if !strings.Contains(details, want) {
			t.Errorf("no %q in\n%s", want, details)
		}
	}
}
