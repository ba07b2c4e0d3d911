package render

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports/history"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/thresholds"
)

// A spec that did both in the runs of one command is flaky in that run, whatever it does
// before and after.
func TestBothWaysInOneRun(t *testing.T) {
	a := accountOf(t, analysis.Options{}, sample.Cells("a:...B", "b:.BF.")...)
	got := map[string]reports.Kind{}
	for _, m := range a.Moves {
		got[m.Spec.Leaf[:1]] = m.Kind
	}
	if diff := cmp.Diff(map[string]reports.Kind{"b": reports.Flaky, "c": reports.Broke, "d": reports.Flaky}, got); diff != "" {
		t.Error(diff)
	}
	if now := a.FlakyNow(); len(a.Flakes) != 2 || len(now) != 1 || now[0].Leaf[:1] != "b" {
		t.Errorf("flakes %+v, now %v", a.Flakes, now)
	}
	if len(a.Green) != 1 || a.Green[0].Cause != analysis.ByFlake {
		t.Errorf("green: %+v", a.Green)
	}
	if at := a.Attention[1]; at.Kind != analysis.FlakyNow || at.Spec.Retried || at.Spec.Detail != reports.BothWays || at.Flake == nil || at.Age.Runs != 0 {
		t.Errorf("%+v", at)
	}
	alone := analysis.Alone(sample.CellsRun(0, "a:.B"))
	if len(alone.Attention) != 1 || alone.Attention[0].Kind != analysis.FlakyNow || !strings.Contains(strings.Join(Summary(alone, Screen{}), "\n"), "bbbbbbbb") {
		t.Errorf("alone: %+v, %q", alone.Attention, Summary(alone, Screen{}))
	}
}

func TestLimitsThatTurnedGreen(t *testing.T) {
	before, now := sample.CellsRun(0, "a:."), sample.CellsRun(1, "b:.")
	before.Verdicts = []thresholds.Verdict{sample.Verdict("loop", thresholds.Broken, 15), sample.Verdict("map", thresholds.Broken, 15), sample.Verdict("same", thresholds.Held, 0)}
	now.Verdicts = []thresholds.Verdict{sample.Verdict("loop", thresholds.Held, 0), sample.Verdict("map", thresholds.Held, 0), sample.Verdict("same", thresholds.Held, 0)}
	now.Verdicts[1].Limit *= 2
	a := accountOf(t, analysis.Options{}, before, now)
	if len(a.Green) != 2 || a.Green[0].Cause != analysis.ProductChanged || a.Green[1].Cause != analysis.LimitLoosened || a.Green[1].Limit != "map at process" {
		t.Errorf("%+v", a.Green)
	}
	for name, want := range map[string]string{"html": "<td>map at process</td>", "json": `"limit": "map at process"`, "md": "limit loosened: `map at process`", "terminal": "limit loosened: map at process"} {
		if text := output(t, name, a); !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, name)
		}
	}
}

func TestBenchmarksStandBesideThoseBefore(t *testing.T) {
	runs := sample.Cells("a:..", "b:..", "c:.F")
	runs[0].Benchmarks = []reports.Benchmark{{Name: "Add-8", Unit: "sec/op", Values: []float64{7e-9, 1e-9, 3e-9, 2e-9, 6e-9, 5e-9, 4e-9}}, {Name: "Gone-8", Unit: "sec/op", Values: []float64{1}}}
	runs[2].Benchmarks = []reports.Benchmark{{Name: "Add-8", Unit: "sec/op", Values: []float64{2e-9, 8e-9, 5e-9}}, {Name: "Add-8", Unit: "B/op", Values: []float64{64}}}
	a := accountOf(t, analysis.Options{}, runs...)
	if len(a.Figures) != 2 || a.FiguresBefore.ID != 1 || a.Figures[1].Before != nil {
		t.Fatalf("%+v", a.Figures)
	}
	// The interval is of the first and the last of seven: binomial, 98.4%.
	if f := a.Figures[0]; f.Now.Value != 5e-9 || f.Now.Bounded() || f.Before.Value != 4e-9 || f.Before.Low != 1e-9 || f.Before.High != 7e-9 {
		t.Errorf("%+v, before %+v", f.Now, f.Before)
	}
	text := strings.Join(append(Summary(a, Screen{}), Details(a)...), "\n")
	for _, want := range []string{"benchmarks   2 figures of 1 benchmark, not judged", "Add-8: 5.00 ns/op (no interval: too few, n=3); in run 1 4.00 ns/op (1.00 ns to 7.00 ns, n=7)"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if alone := analysis.Alone(runs[2]); len(alone.Figures) != 2 || alone.FiguresBefore != nil {
		t.Errorf("alone: %+v", alone.Figures)
	}
}

func TestTrendAndLedger(t *testing.T) {
	var runs []reports.Run
	for i := range 30 {
		failing := 2 + i%2
		if i >= 18 {
			failing = 6 + i%2
		}
		runs = append(runs, sample.CellsRun(i, fmt.Sprintf("c%d:%s%s", i, strings.Repeat("F", failing), strings.Repeat(".", 40-failing))))
	}
	limits := []*thresholds.File{{Class: "linux", Path: "l.toml", Ledger: []thresholds.Entry{
		{Date: analysis.Day(sample.Noon.AddDate(0, 0, 10)), Change: thresholds.Loosened, Workload: "loop", From: 1, To: 2, Expires: analysis.Day(sample.Noon.AddDate(0, 0, 20))},
		{Date: analysis.Day(sample.Noon.AddDate(0, 0, 25)), Change: thresholds.Loosened, Workload: "map", From: 1, To: 2, Expires: analysis.Day(sample.Noon.AddDate(1, 0, 0))},
		{Date: analysis.Day(sample.Noon.AddDate(0, 0, 26)), Change: thresholds.Tightened, Workload: "map", From: 2, To: 1.5}}}}
	a := accountOf(t, analysis.Options{Limits: limits, Plan: &reports.Plan{Target: 95}}, runs...)
	if len(a.Trend.Changes) != 1 || a.Trend.Changes[0].At != 18 || a.Trend.Changes[0].Before.Of != 18*40 || a.Trend.Changes[0].After.Of != 12*40 {
		t.Errorf("changes: %+v", a.Trend.Changes)
	}
	var at []int
	for _, l := range a.Trend.Limits {
		at = append(at, l.At)
	}
	if diff := cmp.Diff([]int{10, 25, 26}, at); diff != "" {
		t.Error(diff)
	}
	if l := a.Ledger; len(l) != 3 || l[0].Current || l[0].Expired || !l[1].Current || !l[2].Expired {
		t.Errorf("ledger: %+v", l)
	}
	if a.Target.ToGo != 5 || a.Target.Progress.Of != 0 || a.Forecast != nil {
		t.Errorf("target %+v, forecast %+v", a.Target, a.Forecast)
	}
	short := accountOf(t, analysis.Options{Window: 5, Limits: limits}, runs...)
	if len(short.Trend.Points) != 5 || short.Trend.Older != 25 || len(short.Trend.Limits) != 2 {
		t.Errorf("%d points, %d older, limits %+v", len(short.Trend.Points), short.Trend.Older, short.Trend.Limits)
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

// accountOf returns the analysis of the newest of these runs.
func accountOf(t *testing.T, o analysis.Options, runs ...reports.Run) *analysis.Analysis {
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

// What a run has measured is shown without flujo-harness cost: what there is of the curve,
// and the parts that its arms tell.
func TestCostOfARunItself(t *testing.T) {
	r := sample.CellsRun(0, "a:.")
	r.Comparisons = []harness.Comparison{sample.Comparison("default", 1.31)}
	a := accountOf(t, analysis.Options{}, r)
	if len(a.Curve) != 3 || !a.Curve[0].Measured || a.Curve[2].Measured {
		t.Errorf("curve: %+v", a.Curve)
	}
	w := a.Attribution
	if w == nil || len(w.Increments) != 3 {
		t.Fatalf("parts: %+v", w)
	}
	sum := 0.0
	for _, part := range w.Increments {
		sum += part.Cost.Value
	}
	if math.Abs(sum-w.Total.Value) > 0.01*w.Total.Value || w.Increments[1].Cost.Value < 150 || !w.Total.Bounded() {
		t.Errorf("%v us of parts, %+v", sum, w.Total)
	}
	details := strings.Join(Details(a), "\n")
	for _, want := range []string{"share of a run that durability takes, by the length of a step: no time ", "100 ms 0.071% (0.069% to 0.072%) computed", "a run of default at process takes 21", "over the floor "} {
		if !strings.Contains(details, want) {
			t.Errorf("no %q in\n%s", want, details)
		}
	}
	r.Comparisons[0].Problem = "saves are missing"
	if bad := analysis.Alone(r); bad.Curve != nil || bad.Attribution != nil {
		t.Errorf("of an invalid measurement: %+v, %+v", bad.Curve, bad.Attribution)
	}
}
