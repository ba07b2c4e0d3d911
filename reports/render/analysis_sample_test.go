package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

// analyzed returns an analysis of the run and earlier ones, made without a database.
func analyzed(run reports.Run, earlier []reports.Run) *analysis.Analysis {
	a := analysis.AnalyzeSingleRun(run)
	var previous *reports.Run
	for i, e := range earlier {
		if e.ID >= run.ID {
			continue
		}
		a.Trend.Points = append(a.Trend.Points, lineOf(e))
		if e.Suites != nil && (previous == nil || e.ID > previous.ID) {
			previous = &earlier[i]
		}
	}
	slices.SortFunc(a.Trend.Points, func(x, y history.RunLine) int { return cmp.Compare(x.ID, y.ID) })
	a.Trend.Points = append(a.Trend.Points, lineOf(run))
	if previous == nil || run.Suites == nil {
		return a
	}
	line, c := lineOf(*previous), analysis.CompareResults(previous.Suites, a.Run.Suites, false)
	a.Previous, a.Moves, a.Matrix, a.Outside = &line, c.Moves, c.Matrix, analysis.CompareOutside(previous.Suites, a.Run.Suites, false)
	return a
}

func lineOf(r reports.Run) history.RunLine {
	l := history.RunLine{ID: r.ID, Started: r.Started, Commit: r.Commit, Dirty: r.Dirty, Branch: r.Branch, Outcome: r.Outcome, Complete: r.Complete}
	if r.Suites != nil {
		l.Rated, l.Counts, l.Suites = true, r.Suites.Counts(), r.Suites.SuiteFailures()
	}
	return l
}

// fullAnalysis returns an analysis with content for every panel. It uses text in every field that tests,
// agents or people can write. n is the number of specs, runs that of the window.
func fullAnalysis(n, runs int, text string) *analysis.Analysis {
	run, _ := sample.BrokenRun()
	run.ID, run.Branch = int64(runs), "main"
	before := sample.Results(0)
	for i := range n {
		s := sample.Spec(fmt.Sprintf("keeps promise %d of a pipeline that pauses, loops and resumes", i+1), reports.Passed)
		s.Labels = []string{"owner:" + []string{"engine", "storage", "agents"}[i%3], "category:" + []string{"loops", "pauses"}[i%2]}
		s.File, s.Line, s.Duration = fmt.Sprintf("suites/core/part%d_test.go", i%20), 10+i, time.Duration(1+i%97)*time.Millisecond
		if i%7 == 0 && text != "" {
			s.Leaf += text
		}
		old := s
		switch {
		case i%40 == 3:
			s.State = reports.Failed
		case i%40 == 5:
			s.State, old.State = reports.Failed, reports.Failed
		case i%80 == 7:
			old.State = reports.Failed
		case i%80 == 9:
			s.State = reports.Skipped
		case i%80 == 11:
			s.Retried, s.Attempts = true, 3
		}
		if s.State == reports.Failed || s.Retried {
			s.Message = "Expected\n    <int>: 4\nto equal\n    <int>: 5\n" + text
		}
		before.Specs, run.Suites.Specs = append(before.Specs, old), append(run.Suites.Specs, s)
	}
	run.Suites.Specs[0].Detail = "timedout" + text
	run.Facts = []reports.Fact{{Name: "host", Value: "runner-7"}, {Name: "job", Value: "https://ci.example/" + text}}
	var earlier []reports.Run
	for i := 1; i < runs; i++ {
		r := reports.Run{ID: int64(i), Started: sample.Noon.Add(time.Duration(i-runs) * time.Hour), Commit: fmt.Sprintf("%07x", 0x1a2b3c0+i), Complete: true, Suites: sample.Results(0)}
		for j := range min(n, 400) {
			s := sample.Spec(fmt.Sprint(j), reports.Passed)
			switch {
			case j*runs < 5*(runs-i), (i*j)%197 == 7:
				s.State = reports.Failed
			case i%5 == 0 && j%60 == 1:
				s.State = reports.Skipped
			}
			r.Suites.Specs = append(r.Suites.Specs, s)
		}
		r.Outcome = thresholds.Broken
		earlier = append(earlier, r)
	}
	earlier[len(earlier)-1].Suites = before
	a := analyzed(run, earlier)
	a.Target = &analysis.Target{Share: 0.985, MaxFail: 4, ToGo: a.Counts.Failed - 4, Progress: reports.Rate{Good: 3, Of: 9}}
	rerun := "go tool ginkgo --focus-file suites/core/part3_test.go:13 ./suites/core"
	for i := range a.Attention {
		t := &a.Attention[i]
		t.Rerun, t.Age, t.Cluster = rerun, analysis.Age{Since: &a.Trend.Points[0], Runs: 1 + i%4, Known: i%2 == 0, LastPassed: &a.Trend.Points[0]}, 0
	}
	fillHistory(a, text)
	fillLimits(a, text)
	fillOutcomes(a)
	return a
}

func fillHistory(a *analysis.Analysis, text string) {
	failing := analysis.Cluster{Message: "Expected\n    <int>: 4" + text, Pattern: "Expected <int>: N to equal <int>: N", Place: "suites/core/part3_test.go:13", Since: 3}
	for _, m := range a.Moves {
		if m.Now == reports.Failed {
			failing.Specs = append(failing.Specs, m.Spec)
		}
		if m.Kind == reports.Fixed {
			a.Green = append(a.Green, analysis.GreenTurn{Move: m, Cause: []analysis.Cause{analysis.ProductChanged, analysis.BodyChanged, analysis.LimitLoosened}[len(a.Green)%3], Evidence: "the body of the spec is the same, core/loop.go is not" + text})
		}
	}
	a.Clusters = []analysis.Cluster{failing, {Message: "Timed out after 1.000s." + text, Pattern: "Timed out after N", Specs: failing.Specs[:1], Since: 1}}
	a.Paired = analysis.McNemar{Fixed: len(a.Green), Broke: 2, P: 0.031}
	points := a.Trend.Points
	a.Heat.Runs = points
	for i := range min(120, len(a.Run.Suites.Specs)) {
		s := a.Run.Suites.Specs[i]
		var cells strings.Builder
		for j := range points {
			cells.WriteByte(" .....F..R.s..F.p."[(i*7+j*5+i*j)%17])
		}
		a.Heat.Rows = append(a.Heat.Rows, analysis.HeatRow{Spec: s, Cells: cells.String()})
		a.Flakes = append(a.Flakes, analysis.Flake{Spec: s, Flaked: reports.Rate{Good: 3, Of: 40}, Low: 0.026, High: 0.2, Certain: 2, Flips: 5, Censored: true, Last: points[len(points)-1]})
	}
	a.Attention = append(a.Attention, analysis.Attention{Kind: analysis.FlakyNow, Spec: &a.Flakes[0].Spec, Message: "Timed out after 1.000s." + text, Flake: &a.Flakes[0], Cluster: -1})
	a.Slowing = []analysis.Slowing{{Spec: a.Run.Suites.Specs[1], Before: 12 * time.Millisecond, Now: 31 * time.Millisecond, Ratio: 2.6, NBefore: 20, NNow: 10, P: 0.0001, Tested: 2283, Significance: 0.02}}
	for i, s := range a.Slowest {
		a.Slowest[i].Share, a.Slowest[i].Median = 0.01, s.Spec.Duration*9/10
	}
	last, first := points[len(points)-1], points[0]
	a.Phases = []analysis.Phase{
		{Name: "3: isolation" + text, From: &first, To: &first, Fewer: reports.Rate{Good: 5, Of: 64}, Rate: reports.Rate{Good: 2216, Of: 2275}, RateAll: reports.Rate{Good: 2216, Of: 2283}, Counts: reports.Counts{Failed: 59}, Paired: analysis.McNemar{Fixed: 6, Broke: 1, P: 0.125}},
		{Name: "4: performance", From: &first, To: &last, Open: true, Target: &analysis.Target{Share: 0.985, ToGo: 19, MaxFail: 34}, Fewer: reports.Rate{Good: 6, Of: 59}, Rate: reports.Rate{Good: 2222, Of: 2275}, RateAll: reports.Rate{Good: 2222, Of: 2283}, Counts: reports.Counts{Failed: 53}, Paired: analysis.McNemar{Fixed: 6, P: 0.031}},
	}
	a.Overall = &analysis.Phase{Name: "all phases", From: &first, To: &last, Fewer: reports.Rate{Good: 13, Of: 66}, Rate: reports.Rate{Good: 2222, Of: 2275}, RateAll: reports.Rate{Good: 2222, Of: 2283}, Counts: reports.Counts{Failed: 53}}
	a.Categories = []analysis.Category{{Name: "loops" + text, Counts: reports.Counts{Passed: 100, Failed: 4}, Failed: 6, Rate: reports.Rate{Good: 100, Of: 104}}, {Counts: reports.Counts{Passed: 3}, Rate: reports.Rate{Good: 3, Of: 3}}}
	a.Forecast = &analysis.Forecast{Runs: 12.4, Low: 6, High: 31, N: 29, Method: "exact binomial on the changes between runs"}
	if len(points) > 8 {
		a.Trend.Changes = []analysis.ChangePoint{{At: len(points) / 2, Before: reports.Rate{Good: 38000, Of: 40000}, After: reports.Rate{Good: 39400, Of: 40000}, P: 0.0003}}
		a.Trend.Method = "binary segmentation on exact tests"
	}
	a.Trend.Older = 12
	a.Facts = []reports.Fact{{Name: "seed of the specs' order", Value: "1795432086"}, {Name: "Go", Value: "go1.26.0"}, {Name: "note", Value: text}}
}

func fillLimits(a *analysis.Analysis, text string) {
	loose := analysis.LedgerLine{Class: "linux-amd64-2cpu", Path: "thresholds/limits/linux-amd64-2cpu.toml", Current: true, Judged: true, Entry: thresholds.Entry{Date: "2026-11-02", Change: thresholds.Loosened,
		Workload: "default", Metric: thresholds.MetricCostRatio, Durability: "process", From: 1.31, To: 1.45, Reason: "new disk" + text, Expires: "2026-12-01"}}
	tight := analysis.LedgerLine{Class: "linux-amd64-2cpu", Entry: thresholds.Entry{Date: "2026-10-12", Change: thresholds.Tightened, Workload: "default", Metric: thresholds.MetricCostRatio, Durability: "process", From: 1.5, To: 1.31}}
	a.Ledger = []analysis.LedgerLine{loose, tight}
	a.Trend.Limits = []analysis.LimitChange{{At: 1, Line: tight}, {At: len(a.Trend.Points) - 2, Line: loose}}
	for i, latency := range []time.Duration{0, 10 * time.Microsecond, 100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond} {
		run := 2.6 + 3*float64(latency)/1e3
		part := func(cost float64) float64 { return cost / (run + cost) }
		a.Curve = append(a.Curve, harness.Point{Latency: latency, Run: run, Cost: 212, Share: part(212), Low: part(205), High: part(219), Measured: i < 4})
	}
	w := &harness.Waterfall{Workload: "default", Durability: "process", AddsUp: true, Total: sample.Estimate(230, 0.03, "us/run"), Gap: sample.Estimate(1.2, 0.9, "us/run"), Open: sample.Estimate(540, 0.1, "us")}
	for i, part := range []struct {
		name string
		us   float64
	}{{"context isolation", 1.2}, {"engine", 1.4}, {"state management", 19}, {"saves", 171}, {"durability", 31}, {"tracing", 7.6}} {
		w.Increments = append(w.Increments, harness.Increment{Arm: fmt.Sprint(i), Category: part.name, Adds: "what it adds" + text, Cost: sample.Estimate(part.us, 0.05, "us/run")})
	}
	a.Attribution = w
	add := analysis.MedianOf([]float64{1e-6, 1.1e-6, 1.2e-6, 1.3e-6, 1.4e-6, 1.5e-6, 1.6e-6}, "sec/op", "results")
	few := analysis.MedianOf([]float64{64}, "B/op", "results")
	a.Figures = []analysis.Figure{{Name: "example.com/shop.Add-8" + text, Unit: "sec/op", Now: add, Before: &add}, {Name: "example.com/shop.Add-8" + text, Unit: "B/op" + text, Now: few}}
	a.FiguresBefore = &a.Trend.Points[0]
	for i, unit := range []string{"x the floor", "statements a run", "sec/op", "B/op"} {
		s := analysis.Series{Name: []string{"default at process", "default at process", "example.com/shop.Add-8", "example.com/shop.Add-8"}[i] + text, Unit: unit, Where: "linux-amd64-2cpu", Counted: i%2 == 1}
		for k, line := range a.Trend.Points {
			value := []float64{1.31, 14, 1.2e-6, 64}[i]
			p := analysis.SeriesPoint{Run: line, Value: value, Low: value, High: value}
			if !s.Counted {
				p.Value *= 1 + 0.02*float64((k*7)%5)
				if k > 2*len(a.Trend.Points)/3 {
					p.Value *= 1.12
				}
				p.Low, p.High = p.Value*0.98, p.Value*1.03
			}
			if i == 0 {
				p.Limit, p.Judged, p.Outcome = 1.45, true, thresholds.Held
				if p.Value > p.Limit {
					p.Outcome = thresholds.Broken
				}
			}
			s.Points = append(s.Points, p)
		}
		if i == 0 && len(s.Points) > 20 {
			s.Changes = []int{2*len(s.Points)/3 + 1}
		}
		a.Series = append(a.Series, s)
	}
}

// fillOutcomes sets the outcomes of every spec.
func fillOutcomes(a *analysis.Analysis) {
	a.Outcomes = analysis.Outcomes{Runs: a.Trend.Points}
	a.Past = map[string][]analysis.PastFailure{}
	for i := range a.Attention[:min(len(a.Attention), maxAttention)] {
		if t := &a.Attention[i]; len(a.Trend.Points) > 3 {
			a.Past[t.Spec.Key()] = []analysis.PastFailure{{Message: t.Message, Runs: []int{3}, Same: true}, {Message: "Expected\n    <int>: 3\nto equal\n    <int>: 5", Runs: []int{0, 2}}}
		}
	}
	runs := len(a.Trend.Points)
	for i := range a.Run.Suites.Specs {
		s := &a.Run.Suites.Specs[i]
		cells, took := []byte(strings.Repeat(".", runs)), make([]time.Duration, min(runs, 60))
		for k := range took {
			took[k] = s.Duration * time.Duration(90+(i*31+k*17)%21) / 100
		}
		for k := range cells {
			if i%25 == 3 && (i+k*k)%17 == 0 {
				cells[k] = 'F'
			}
		}
		if s.State == reports.Failed {
			cells[runs-1] = 'F'
		}
		if len(a.Run.Suites.Specs) > 5000 { // as the analysis has it
			took = nil
		}
		a.Outcomes.Set(s, string(cells), took)
	}
}
