package render

import (
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// figuresView is the table of Go benchmarks.
type figuresView struct {
	Before string // "run 11", or "" if no earlier run has benchmarks
	Rows   []benchmarkRow
	More   int
}

type benchmarkRow struct{ Name, Now, Interval, N, Before, BeforeInterval string }

// newFigures returns nil if there are no benchmarks.
func newFigures(a *analysis.Analysis) *figuresView {
	if len(a.Figures) == 0 {
		return nil
	}
	v := &figuresView{}
	if a.FiguresBefore != nil {
		v.Before = "run " + lineName(*a.FiguresBefore)
	}
	for _, f := range a.Figures[:min(len(a.Figures), maxListed)] {
		r := benchmarkRow{Name: reports.Visible(f.Name), Before: "none", BeforeInterval: "none"}
		r.Now, r.Interval, r.N = analysis.InUnit(f.Now.Value, f.Unit), analysis.Interval(&f.Now), text.Count(f.Now.N)
		if f.Before != nil {
			r.Before, r.BeforeInterval = analysis.InUnit(f.Before.Value, f.Unit), analysis.Interval(f.Before)
		}
		v.Rows = append(v.Rows, r)
	}
	v.More = len(a.Figures) - len(v.Rows)
	return v
}

// benchmarkItems returns the benchmarks as items of a section.
func benchmarkItems(a *analysis.Analysis) (all []item) {
	for _, f := range a.Figures {
		it := item{Name: reports.Visible(f.Name), After: ": " + figureText(&f.Now)}
		if f.Before != nil {
			it.After += "; in run " + lineName(*a.FiguresBefore) + " " + figureText(f.Before)
		}
		all = append(all, it)
	}
	return all
}

// figureText returns a text such as "1.04 µs/op (1.03 µs to 1.05 µs, n=10)".
func figureText(e *harness.Estimate) string {
	return analysis.InUnit(e.Value, e.Unit) + " (" + analysis.Interval(e) + ", n=" + text.Count(e.N) + ")"
}
