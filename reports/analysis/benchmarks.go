package analysis

import (
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// Figure is a benchmark of a run, beside the latest run before it that has it. The two
// were not measured side by side: what lies between them is not judged.
type Figure struct {
	Name   string
	Unit   string
	Now    harness.Estimate
	Before *harness.Estimate // nil: the run before with benchmarks does not have it
}

// MedianOf is the median of values with its interval by order statistics, which assumes
// nothing of their distribution; fewer than six leave it open.
func MedianOf(values []float64, unit, of string) harness.Estimate {
	e := harness.Estimate{Level: 0.95, N: len(values), Of: of, Unit: unit, Method: "median, interval by order statistics"}
	if len(values) == 0 {
		return e
	}
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds), e.Level)
	e.Value, e.Low, e.High = s.Center, s.Lo, s.Hi
	if math.IsInf(e.Low, 0) || math.IsInf(e.High, 0) {
		e.Low, e.High = -math.MaxFloat64, math.MaxFloat64 // as harness has it: JSON has no infinity
	}
	return e
}

// tellBenchmarks puts the benchmarks of the run beside those of the latest run before it
// that has some.
func (a *analyzer) tellBenchmarks() error {
	if len(a.a.Run.Benchmarks) == 0 {
		return nil
	}
	before := map[[2]string]*harness.Estimate{}
	rows, err := history.Filter{Which: "id IN (SELECT run_id FROM benchmarks) AND " + a.past.Which, Args: a.past.Args}.Before(a.Reader, 1)
	if err != nil {
		return err
	}
	for i := range rows {
		line := rows[i].Line()
		if err := a.Benchmarks(&rows[i].Run); err != nil {
			return err
		}
		a.a.FiguresBefore = &line
		for _, b := range rows[i].Run.Benchmarks {
			e := MedianOf(b.Values, b.Unit, "results")
			before[[2]string{b.Name, b.Unit}] = &e
		}
	}
	a.tellFigures(before)
	return nil
}

func (a *analyzer) tellFigures(before map[[2]string]*harness.Estimate) {
	for _, b := range a.a.Run.Benchmarks {
		a.a.Figures = append(a.a.Figures, Figure{Name: b.Name, Unit: b.Unit, Now: MedianOf(b.Values, b.Unit, "results"), Before: before[[2]string{b.Name, b.Unit}]})
	}
}

// FiguresText is "4 figures of 2 benchmarks".
func FiguresText(all []reports.Benchmark) string {
	names := map[string]bool{}
	for _, b := range all {
		names[b.Name] = true
	}
	return text.Plural(len(all), "figure") + " of " + text.Plural(len(names), "benchmark")
}

// InUnit is "1.04 µs/op" or "64 B/op": a value with its unit, as the rest of a report writes
// times and counts.
func InUnit(v float64, unit string) string {
	if per, ok := strings.CutPrefix(unit, "sec"); ok {
		return text.Time(v) + reports.Visible(per)
	}
	return ValueIn(v, unit) + " " + reports.Visible(unit)
}

// ValueIn is a value without its unit, but for times: those have different ones.
func ValueIn(v float64, unit string) string {
	switch {
	case strings.HasPrefix(unit, "sec"):
		return text.Time(v)
	case v == math.Trunc(v) && math.Abs(v) < 1e15:
		return text.Count(int(v))
	}
	return text.Figure(v)
}

// Interval of a figure.
func Interval(e *harness.Estimate) string {
	if !e.Bounded() {
		return "no interval: too few"
	}
	return ValueIn(e.Low, e.Unit) + " to " + ValueIn(e.High, e.Unit)
}
