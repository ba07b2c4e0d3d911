package reports

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/thresholds"
	"github.com/google/go-cmp/cmp"
)

// A spec that did both in the runs of one command is flaky in that run, whatever it does
// before and after.
func TestBothWaysInOneRun(t *testing.T) {
	a := accountOf(t, AccountOptions{}, cells("a:...B", "b:.BF.")...)
	got := map[string]Kind{}
	for _, m := range a.Moves {
		got[m.Spec.Leaf[:1]] = m.Kind
	}
	if diff := cmp.Diff(map[string]Kind{"b": Flaky, "c": Broke, "d": Flaky}, got); diff != "" {
		t.Error(diff)
	}
	if now := a.FlakyNow(); len(a.Flakes) != 2 || len(now) != 1 || now[0].Leaf[:1] != "b" {
		t.Errorf("flakes %+v, now %v", a.Flakes, now)
	}
	if len(a.Green) != 1 || a.Green[0].Cause != ByFlake {
		t.Errorf("green: %+v", a.Green)
	}
	if at := a.Attention[1]; at.Kind != FlakyNow || at.Spec.Retried || at.Spec.Detail != BothWays || at.Flake == nil || at.Age.Runs != 0 {
		t.Errorf("%+v", at)
	}
	alone := Alone(cellsRun(0, "a:.B"))
	if len(alone.Attention) != 1 || alone.Attention[0].Kind != FlakyNow || !strings.Contains(strings.Join(Summary(alone, ""), "\n"), "1 flaky") {
		t.Errorf("alone: %+v, %q", alone.Attention, Summary(alone, ""))
	}
}

func TestLimitsThatTurnedGreen(t *testing.T) {
	before, now := cellsRun(0, "a:."), cellsRun(1, "b:.")
	before.Verdicts = []thresholds.Verdict{verdict("loop", thresholds.Broken, 15), verdict("map", thresholds.Broken, 15), verdict("same", thresholds.Held, 0)}
	now.Verdicts = []thresholds.Verdict{verdict("loop", thresholds.Held, 0), verdict("map", thresholds.Held, 0), verdict("same", thresholds.Held, 0)}
	now.Verdicts[1].Limit *= 2
	a := accountOf(t, AccountOptions{}, before, now)
	if len(a.Green) != 2 || a.Green[0].Cause != ProductChanged || a.Green[1].Cause != LimitLoosened || a.Green[1].Limit != "map at process" {
		t.Errorf("%+v", a.Green)
	}
	for name, want := range map[string]string{"html": "<td>map at process</td>", "json": `"limit": "map at process"`, "md": "limit loosened: `map at process`", "terminal": "limit loosened: map at process"} {
		if text := output(t, name, a); !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, name)
		}
	}
}

func TestBenchmarksStandBesideThoseBefore(t *testing.T) {
	runs := cells("a:..", "b:..", "c:.F")
	runs[0].Benchmarks = []Benchmark{{"Add-8", "sec/op", []float64{7e-9, 1e-9, 3e-9, 2e-9, 6e-9, 5e-9, 4e-9}}, {"Gone-8", "sec/op", []float64{1}}}
	runs[2].Benchmarks = []Benchmark{{"Add-8", "sec/op", []float64{2e-9, 8e-9, 5e-9}}, {"Add-8", "B/op", []float64{64}}}
	a := accountOf(t, AccountOptions{}, runs...)
	if len(a.Figures) != 2 || a.FiguresBefore.ID != 1 || a.Figures[1].Before != nil {
		t.Fatalf("%+v", a.Figures)
	}
	// The interval is of the first and the last of seven: binomial, 98.4%.
	if f := a.Figures[0]; f.Now.Value != 5e-9 || bounded(f.Now) || f.Before.Value != 4e-9 || f.Before.Low != 1e-9 || f.Before.High != 7e-9 {
		t.Errorf("%+v, before %+v", f.Now, f.Before)
	}
	text := strings.Join(append(Summary(a, ""), Details(a)...), "\n")
	for _, want := range []string{"benchmarks: 2 figures of 1 benchmark, not judged", "Add-8: 5.000n sec/op (no interval: too few, n=3); in run 1 4.000n sec/op (1.000n to 7.000n, n=7)"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if alone := Alone(runs[2]); len(alone.Figures) != 2 || alone.FiguresBefore != nil {
		t.Errorf("alone: %+v", alone.Figures)
	}
}

func TestTrendAndLedger(t *testing.T) {
	var runs []Run
	for i := range 30 {
		failing := 2 + i%2
		if i >= 18 {
			failing = 6 + i%2
		}
		runs = append(runs, cellsRun(i, fmt.Sprintf("c%d:%s%s", i, strings.Repeat("F", failing), strings.Repeat(".", 40-failing))))
	}
	limits := []*thresholds.File{{Class: "linux", Path: "l.toml", Ledger: []thresholds.Entry{
		{Date: day(noon.AddDate(0, 0, 10)), Change: thresholds.Loosened, Workload: "loop", From: 1, To: 2, Expires: day(noon.AddDate(0, 0, 20))},
		{Date: day(noon.AddDate(0, 0, 25)), Change: thresholds.Loosened, Workload: "map", From: 1, To: 2, Expires: day(noon.AddDate(1, 0, 0))},
		{Date: day(noon.AddDate(0, 0, 26)), Change: thresholds.Tightened, Workload: "map", From: 2, To: 1.5}}}}
	a := accountOf(t, AccountOptions{Limits: limits, Plan: &Plan{Target: 95}}, runs...)
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
	short := accountOf(t, AccountOptions{Window: 5, Limits: limits}, runs...)
	if len(short.Trend.Points) != 5 || short.Trend.Older != 25 || len(short.Trend.Limits) != 2 {
		t.Errorf("%d points, %d older, limits %+v", len(short.Trend.Points), short.Trend.Older, short.Trend.Limits)
	}
}
