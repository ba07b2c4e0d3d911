package reports

import "github.com/flujo/flujo-harness/harness"

// figuresView is the table of Go benchmarks.
type figuresView struct {
	Before string // "run 11", "" where no earlier run has any
	Rows   []benchmarkRow
	More   int
}

type benchmarkRow struct{ Name, Now, Interval, N, Before, BeforeInterval string }

// newFigures is nil where there are none.
func newFigures(a *Account) *figuresView {
	if len(a.Figures) == 0 {
		return nil
	}
	v := &figuresView{}
	if a.FiguresBefore != nil {
		v.Before = "run " + lineName(*a.FiguresBefore)
	}
	for _, f := range a.Figures[:min(len(a.Figures), maxListed)] {
		r := benchmarkRow{Name: Visible(f.Name), Before: "none", BeforeInterval: "none"}
		r.Now, r.Interval, r.N = inUnit(f.Now.Value, f.Unit), interval(&f.Now), count(f.Now.N)
		if f.Before != nil {
			r.Before, r.BeforeInterval = inUnit(f.Before.Value, f.Unit), interval(f.Before)
		}
		v.Rows = append(v.Rows, r)
	}
	v.More = len(a.Figures) - len(v.Rows)
	return v
}

// benchmarkItems are the figures in words.
func benchmarkItems(a *Account) (all []item) {
	for _, f := range a.Figures {
		it := item{Name: Visible(f.Name), After: ": " + figureText(&f.Now)}
		if f.Before != nil {
			it.After += "; in run " + lineName(*a.FiguresBefore) + " " + figureText(f.Before)
		}
		all = append(all, it)
	}
	return all
}

// figureText is "1.042µ sec/op (1.03µ to 1.05µ, n=10)".
func figureText(e *harness.Estimate) string {
	return inUnit(e.Value, e.Unit) + " (" + interval(e) + ", n=" + count(e.N) + ")"
}
