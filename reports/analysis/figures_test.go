package analysis

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/sample"
	"github.com/flujo/flujo-harness/thresholds"
)

func TestLimitsThatTurnedGreen(t *testing.T) {
	before, now := sample.CellsRun(0, "a:."), sample.CellsRun(1, "b:.")
	before.Verdicts = []thresholds.Verdict{sample.Verdict("loop", thresholds.Broken, 15), sample.Verdict("map", thresholds.Broken, 15), sample.Verdict("same", thresholds.Held, 0)}
	now.Verdicts = []thresholds.Verdict{sample.Verdict("loop", thresholds.Held, 0), sample.Verdict("map", thresholds.Held, 0), sample.Verdict("same", thresholds.Held, 0)}
	now.Verdicts[1].Limit *= 2
	a := analysisOf(t, Options{}, before, now)
	if len(a.Green) != 2 || a.Green[0].Cause != ProductChanged || a.Green[1].Cause != LimitLoosened || a.Green[1].Limit != "map at process" {
		t.Errorf("%+v", a.Green)
	}
}

func TestBenchmarksAreComparedWithEarlierOnes(t *testing.T) {
	runs := sample.Cells("a:..", "b:..", "c:.F")
	runs[0].Benchmarks = []reports.Benchmark{{Name: "Add-8", Unit: "sec/op", Values: []float64{7e-9, 1e-9, 3e-9, 2e-9, 6e-9, 5e-9, 4e-9}}, {Name: "Gone-8", Unit: "sec/op", Values: []float64{1}}}
	runs[2].Benchmarks = []reports.Benchmark{{Name: "Add-8", Unit: "sec/op", Values: []float64{2e-9, 8e-9, 5e-9}}, {Name: "Add-8", Unit: "B/op", Values: []float64{64}}}
	a := analysisOf(t, Options{}, runs...)
	if len(a.Figures) != 2 || a.FiguresBefore.ID != 1 || a.Figures[1].Before != nil {
		t.Fatalf("%+v", a.Figures)
	}
	// The interval is of the first and the last of seven: binomial, 98.4%.
	if f := a.Figures[0]; f.Now.Value != 5e-9 || f.Now.Bounded() || f.Before.Value != 4e-9 || f.Before.Low != 1e-9 || f.Before.High != 7e-9 {
		t.Errorf("%+v, before %+v", f.Now, f.Before)
	}
	if alone := AnalyzeSingleRun(runs[2]); len(alone.Figures) != 2 || alone.FiguresBefore != nil {
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
		{Date: Day(sample.Noon.AddDate(0, 0, 10)), Change: thresholds.Loosened, Workload: "loop", From: 1, To: 2, Expires: Day(sample.Noon.AddDate(0, 0, 20))},
		{Date: Day(sample.Noon.AddDate(0, 0, 25)), Change: thresholds.Loosened, Workload: "map", From: 1, To: 2, Expires: Day(sample.Noon.AddDate(1, 0, 0))},
		{Date: Day(sample.Noon.AddDate(0, 0, 26)), Change: thresholds.Tightened, Workload: "map", From: 2, To: 1.5}}}}
	a := analysisOf(t, Options{Limits: limits, Plan: &reports.Plan{Target: 95}}, runs...)
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
	short := analysisOf(t, Options{Window: 5, Limits: limits}, runs...)
	if len(short.Trend.Points) != 5 || short.Trend.Older != 25 || len(short.Trend.Limits) != 2 || short.Trend.Limits[0].At != 0 || short.Trend.Limits[1].At != 1 {
		t.Errorf("%d points, %d older, limits %+v", len(short.Trend.Points), short.Trend.Older, short.Trend.Limits)
	}
}

// The curve and the parts of the time of a run are computed from what the run itself has
// measured, without flujo-harness cost.
func TestCostOfARunItself(t *testing.T) {
	r := sample.CellsRun(0, "a:.")
	r.Comparisons = []harness.Comparison{sample.Comparison("default", 1.31)}
	a := analysisOf(t, Options{}, r)
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
	r.Comparisons[0].Problem = "saves are missing"
	if bad := AnalyzeSingleRun(r); bad.Curve != nil || bad.Attribution != nil {
		t.Errorf("of an invalid measurement: %+v, %+v", bad.Curve, bad.Attribution)
	}
}

// Between two changes, the level of the pass rate is that of the runs between them.
func TestLevelsOfTheTrend(t *testing.T) {
	var runs []reports.Run
	for i := range 60 {
		failing := []int{2, 12, 24}[i/20]
		runs = append(runs, sample.CellsRun(i, fmt.Sprintf("c%d:%s%s", i, strings.Repeat("F", failing), strings.Repeat(".", 40-failing))))
	}
	changes := analysisOf(t, Options{}, runs...).Trend.Changes
	if len(changes) != 2 || changes[0].At != 20 || changes[1].At != 40 || changes[0].After != changes[1].Before {
		t.Fatalf("%+v", changes)
	}
	for i, r := range []reports.Rate{changes[0].Before, changes[0].After, changes[1].After} {
		if want := (reports.Rate{Good: 20*40 - 20*[]int{2, 12, 24}[i], Of: 20 * 40}); r != want {
			t.Errorf("level %d: %v, want %v", i, r, want)
		}
	}
}

// Runs that show no pass rate, because they have no results or no spec ran, do not hide a change.
func TestRunsWithoutAPassRateHideNoChange(t *testing.T) {
	var runs []reports.Run
	for i, cells := range []string{"....", "....", "ssss", "", "FFF.", "FFF."} {
		for k := range 4 {
			r := sample.CellsRun(4*i+k, fmt.Sprintf("c%d:%s", 4*i+k, cells))
			if cells == "" {
				r.Suites = nil
			}
			runs = append(runs, r)
		}
	}
	changes := analysisOf(t, Options{}, runs...).Trend.Changes
	if len(changes) != 1 || changes[0].At != 16 || changes[0].Before != (reports.Rate{Good: 32, Of: 32}) || changes[0].After != (reports.Rate{Good: 8, Of: 32}) {
		t.Errorf("%+v", changes)
	}
}

// Progress is counted in fixes, from the first run of the window.
func TestProgressTowardsATarget(t *testing.T) {
	plan := &reports.Plan{Target: 90}
	a := analysisOf(t, Options{Plan: plan}, sample.Cells("a:FFFF......", "b:FF........")...)
	if a.Target.MaxFail != 1 || a.Target.ToGo != 1 || a.Target.Progress != (reports.Rate{Good: 2, Of: 3}) {
		t.Errorf("%+v", a.Target)
	}
	if a := analysisOf(t, Options{Plan: plan}, sample.Cells("a:..........", "b:FF........")...); a.Target.Progress != (reports.Rate{}) || a.Target.ToGo != 1 {
		t.Errorf("where nothing was to be fixed at first: %+v", a.Target)
	}
	for _, tt := range []struct {
		failed int
		want   string
	}{{1, "reached (at most 1 may fail)"}, {3, "2 fixes to go (at most 1 may fail)"}} {
		if got := NewTarget(90, reports.Counts{Passed: 10 - tt.failed, Failed: tt.failed}).String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	if a := analysisOf(t, Options{Plan: plan}, sample.CellsRun(0, "a:F.."), reports.Run{Started: sample.Noon.AddDate(0, 0, 1), Complete: true}); a.Target != nil {
		t.Errorf("of a run without results: %+v", a.Target)
	}
}

// The list of a spec's outcomes has its durations, too.
func TestOutcomesOfSpecs(t *testing.T) {
	runs := sample.Cells("a:.F ", "b:.sR", "c:...")
	o := analysisOf(t, Options{}, runs...).Outcomes
	if len(o.Runs) != 3 || !o.Timed {
		t.Errorf("%d runs, timed %v", len(o.Runs), o.Timed)
	}
	for i, want := range []string{"...", "Fs.", " R."} {
		cells, took := o.Of(&runs[2].Suites.Specs[i])
		if cells != want || len(took) != 3 || took[2] != time.Second || (took[0] == 0) != (want[0] == ' ') {
			t.Errorf("%q, %v", cells, took)
		}
	}
	unknown := &reports.Spec{Leaf: "unknown"}
	if cells, took := o.Of(unknown); cells != "" || took != nil {
		t.Errorf("%q, %v", cells, took)
	}
	var set Outcomes
	set.Set(unknown, "..", nil)
	if cells, _ := set.Of(unknown); cells != ".." || set.Timed {
		t.Errorf("%q, timed %v", cells, set.Timed)
	}
	set.Set(unknown, "..", []time.Duration{1, 2})
	set.Set(&runs[2].Suites.Specs[0], "..", nil)
	if _, took := set.Of(unknown); len(took) != 2 || !set.Timed {
		t.Errorf("%v, timed %v", took, set.Timed)
	}
}

func TestTextsOfFigures(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{InUnit(1.04e-6, "sec/op"), "1.04 µs/op"},
		{InUnit(64, "B/op"), "64 B/op"},
		{InUnit(12345, "B/op"), "12,345 B/op"},
		{InUnit(0.1234567, "x"), "0.123 x"},
		{FiguresText([]reports.Benchmark{{Name: "A"}, {Name: "A"}, {Name: "B"}}), "3 figures of 2 benchmarks"},
		{Interval(&harness.Estimate{Low: 1e-9, High: 2e-9, Unit: "sec/op", N: 9, Level: 0.95}), "1.00 ns to 2.00 ns"},
		{CurveText(nil), ""},
		{CurveText([]harness.Point{{Share: 0.98, Low: 0.97, High: 0.99, Measured: true}, {Latency: time.Millisecond, Share: 0.1, Low: 0.09, High: 0.11}}),
			"share of a run that durability takes, by the duration of a step: no time 98% (97% to 99%), 1.00 ms 10% (9% to 11%) computed"},
		{PartsText(nil), ""},
		{PartsText(&harness.Waterfall{Problem: "no arm"}), ""},
		{PartsText(&harness.Waterfall{Workload: "default", Durability: "process", Total: sample.Estimate(114, 0.02, "us/run"),
			Increments: []harness.Increment{{Category: "engine", Cost: sample.Estimate(1.4, 0.02, "us/run")}, {Category: "saves", Cost: sample.Estimate(92, 0.02, "us/run")}}}),
			"a run of default at process takes 114 µs (112 to 116, 95%, n=15 blocks): engine 1.40 µs, saves 92.0 µs"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

// A loosening is in force if it has not expired, its limit judged the run, and was not tightened since
// to what it was before.
func TestLooseningsInForce(t *testing.T) {
	entry := func(change thresholds.Kind, workload, expires string) thresholds.Entry {
		return thresholds.Entry{Date: "2026-11-01", Change: change, Workload: workload, Metric: thresholds.MetricCostRatio, Durability: "process", From: 1, To: 2, Expires: expires}
	}
	limits := []*thresholds.File{{Class: "linux", Path: "limits/linux.toml", Ledger: []thresholds.Entry{
		entry(thresholds.Loosened, "loop", "2026-11-23"), entry(thresholds.Loosened, "loop", "2026-11-22"), entry(thresholds.Loosened, "map", "2026-12-31"),
		entry(thresholds.Loosened, "loop", ""), entry(thresholds.Tightened, "loop", "2026-12-31")}}}
	r := sample.CellsRun(0, "a:.") // on 2026-11-23
	r.Verdicts = []thresholds.Verdict{{Workload: "loop", Metric: thresholds.MetricCostRatio, Durability: "process", Limit: 2, Source: "/elsewhere/linux.toml"}}
	a := analysisOf(t, Options{Limits: limits}, r)
	in := a.InForce()
	if len(a.Ledger) != 5 || len(in) != 1 || in[0].Entry.Workload != "loop" || in[0].Entry.Expires != "2026-11-23" {
		t.Errorf("%+v", in)
	}
	for limit, want := range map[float64]int{1: 0, 1.5: 1} {
		limits[0].Limits = []thresholds.Limit{{Workload: "loop", Metric: thresholds.MetricCostRatio, Durability: "process", Limit: limit}}
		if a := analysisOf(t, Options{Limits: limits}, r); len(a.InForce()) != want {
			t.Errorf("a limit of %v, which was loosened from 1 to 2: %+v", limit, a.InForce())
		}
	}
}

// A phase ends with runs of the branch of the run, and may end with the first run of all.
func TestPhasesAreOfOneBranch(t *testing.T) {
	runs := sample.Cells("a:FFF", "b:FF.", "c:F..", "d:...")
	for i, branch := range []string{"main", "topic", "main", "topic"} {
		runs[i].Branch = branch
	}
	plan := &reports.Plan{Phases: []reports.PlanPhase{{Name: "one", Run: 1}, {Name: "two", Until: sample.Noon.AddDate(0, 0, 9)}}}
	a := analysisOf(t, Options{Run: 3, Plan: plan}, runs...)
	one, two := a.Phases[0], a.Phases[1]
	if one.Open || one.To == nil || one.To.ID != 1 || two.To == nil || two.To.ID != 3 || two.From.ID != 1 || two.Fewer != (reports.Rate{Good: 2, Of: 3}) {
		t.Errorf("%+v\n%+v", one, two)
	}
	back := &reports.Plan{Phases: []reports.PlanPhase{{Name: "one", Run: 3}, {Name: "two", Run: 1}}}
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	for _, r := range runs {
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	var wrong *reports.PlanError
	if _, err := Analyze(t.Context(), h, Options{Run: 3, Plan: back}); !errors.As(err, &wrong) {
		t.Errorf("a phase that ends before the one before it: %v", err)
	}
}

// Categories count the specs of the run, and how many of each failed before.
func TestCategories(t *testing.T) {
	runs := sample.Cells("a:FF..", "b:F.F.")
	for i, category := range []string{"errors", "errors", "slow", ""} {
		if category != "" {
			runs[1].Suites.Specs[i].Labels = []string{"category:" + category}
		}
	}
	type line struct {
		name                   string
		failed, passed, before int
	}
	var got []line
	for _, c := range analysisOf(t, Options{}, runs...).Categories {
		got = append(got, line{c.Name, c.Counts.Failed, c.Counts.Passed, c.Failed})
	}
	if diff := cmp.Diff([]line{{"errors", 1, 1, 2}, {"slow", 1, 0, 0}, {"", 0, 1, 0}}, got, cmp.AllowUnexported(line{})); diff != "" {
		t.Error(diff)
	}
}
