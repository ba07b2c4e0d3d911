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

// Figure is a benchmark of a run together with its value in the latest earlier run that has
// benchmarks. The two were not measured alternately, so their difference is not judged.
type Figure struct {
	Name   string
	Unit   string
	Now    harness.Estimate
	Before *harness.Estimate // nil if the earlier run does not contain it
}

// MedianOf returns the median of values and its 95% confidence interval by order statistics, which
// assumes independent values but no distribution. With fewer than six values the interval is
// unbounded, because even the smallest and the largest value cover the median with only 93.8%
// (1 - 2/2^5).
//
// Source: golang.org/x/perf/benchmath, AssumeNothing.
func MedianOf(values []float64, unit, of string) harness.Estimate {
	e := harness.Estimate{Level: 0.95, N: len(values), Of: of, Unit: unit, Method: "median, interval by order statistics"}
	if len(values) == 0 {
		return e
	}
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds), e.Level)
	e.Value, e.Low, e.High = s.Center, s.Lo, s.Hi
	if math.IsInf(e.Low, 0) || math.IsInf(e.High, 0) {
		e.Low, e.High = -math.MaxFloat64, math.MaxFloat64 // like the estimates of package harness, because JSON has no infinity
	}
	return e
}

// addBenchmarks adds the benchmarks of the run and those of the latest earlier run with benchmarks.
func (a *analyzer) addBenchmarks() error {
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
	a.addFigures(before)
	return nil
}

func (a *analyzer) addFigures(before map[[2]string]*harness.Estimate) {
	for _, b := range a.a.Run.Benchmarks {
		a.a.Figures = append(a.a.Figures, Figure{Name: b.Name, Unit: b.Unit, Now: MedianOf(b.Values, b.Unit, "results"), Before: before[[2]string{b.Name, b.Unit}]})
	}
}

// FiguresText returns a text such as "4 figures of 2 benchmarks".
func FiguresText(all []reports.Benchmark) string {
	names := map[string]bool{}
	for _, b := range all {
		names[b.Name] = true
	}
	return text.Plural(len(all), "figure") + " of " + text.Plural(len(names), "benchmark")
}

// InUnit formats a value with its unit: "1.04 µs/op", "64 B/op".
func InUnit(v float64, unit string) string {
	if per, ok := strings.CutPrefix(unit, "sec"); ok {
		return text.Time(v) + reports.Visible(per)
	}
	return ValueIn(v, unit) + " " + reports.Visible(unit)
}

// ValueIn formats a value. Only times include their unit, because it depends on the value.
func ValueIn(v float64, unit string) string {
	switch {
	case strings.HasPrefix(unit, "sec"):
		return text.Time(v)
	case v == math.Trunc(v) && math.Abs(v) < 1e15:
		return text.Count(int(v))
	}
	return text.Figure(v)
}

// Interval formats the interval of a figure.
func Interval(e *harness.Estimate) string {
	if !e.Bounded() {
		return "no interval: too few"
	}
	return ValueIn(e.Low, e.Unit) + " to " + ValueIn(e.High, e.Unit)
}
