package analysis

import (
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

// Series is a measured figure in the runs of the window. Each kind of machine has its own series,
// because a difference between machines says nothing about the code.
type Series struct {
	Name    string // workload and durability, or benchmark
	Unit    string
	Where   string // class of the machine, or platform of the job; "" if unknown
	Counted bool   // a count instead of a time: independent of the speed of the machine
	Points  []SeriesPoint
	Changes []int // indexes in Points of the first run of a new level, see [Trend.Method]
}

// SeriesPoint is the figure in one run.
type SeriesPoint struct {
	Run     history.RunLine
	Value   float64
	Low     float64 // 95% interval; both ends are Value if there is none
	High    float64
	Limit   float64            // limit by which it was judged; 0 if there is none
	Outcome thresholds.Outcome // outcome if Judged is set
	Judged  bool
}

// Maximum number of runs with measurements that are read, newest first, and of series.
const (
	seriesRuns = 60
	maxSeries  = 60
)

// seriesKey identifies a series.
type seriesKey struct{ name, unit, where string }

// addSeries reads the measurements of the window.
func (a *analyzer) addSeries() error {
	var runs []*reports.Run
	var lines []history.RunLine
	a.a.Trend.Measured = map[int64]string{}
	for i := len(a.all) - 1; i >= 0 && len(runs) < seriesRuns; i-- {
		run := a.all[i].Run
		if err := a.Measured(&run); err != nil {
			return err
		}
		if err := a.Benchmarks(&run); err != nil {
			return err
		}
		if run.OnlyMeasured() && !a.all[i].Rated {
			a.a.Trend.Measured[run.ID] = measuredText(&run)
		}
		if len(run.Comparisons)+len(run.Benchmarks) > 0 {
			runs, lines = append(runs, &run), append(lines, a.all[i].Line())
		}
	}
	at := map[seriesKey]int{}
	add := func(k seriesKey, counted bool, p SeriesPoint) {
		i, ok := at[k]
		if !ok {
			if len(a.a.Series) == maxSeries {
				return
			}
			i = len(a.a.Series)
			at[k] = i
			a.a.Series = append(a.a.Series, Series{Name: k.name, Unit: k.unit, Where: k.where, Counted: counted})
		}
		a.a.Series[i].Points = append(a.a.Series[i].Points, p)
	}
	for i, run := range runs { // the newest first: its series come first
		for k := range run.Comparisons {
			addComparison(add, run, &run.Comparisons[k], lines[i])
		}
		for _, b := range run.Benchmarks {
			addBenchmark(add, b, a.a.Trend.Origins[run.ID].Platform(), lines[i])
		}
	}
	a.a.Series = slices.DeleteFunc(a.a.Series, func(s Series) bool { return len(s.Points) < 2 })
	for i := range a.a.Series {
		s := &a.a.Series[i]
		slices.Reverse(s.Points)
		values := make([]float64, len(s.Points))
		for k, p := range s.Points {
			values[k] = p.Value
		}
		s.Changes, _ = changePoints(values)
	}
	return nil
}

// measuredText returns a text such as "5 benchmarks compared: 1 broken, 4 held".
func measuredText(run *reports.Run) string {
	what, how := run.Measured()
	if outcomes := run.ComparedOutcomes(); outcomes != "" {
		return what + " " + how + ": " + outcomes
	}
	return what + " " + how
}

// addComparison adds the cost of a workload relative to the floor and the counts of its run with a
// backend.
func addComparison(add func(seriesKey, bool, SeriesPoint), run *reports.Run, c *harness.Comparison, line history.RunLine) {
	if !c.Valid() || !text.Estimated(c.CostRatio) {
		return
	}
	key := seriesKey{c.Name(), "x the floor", c.Environment.Class}
	p := pointOf(c.CostRatio, line)
	if v := run.VerdictFor(c); v != nil && v.Metric == thresholds.MetricCostRatio {
		p.Limit, p.Outcome, p.Judged = v.Limit, v.Outcome, true
	}
	add(key, false, p)
	if us := plainTime(c); us > 0 {
		key.unit = plainUnit
		add(key, false, SeriesPoint{Run: line, Value: us, Low: us, High: us})
	}
	if counters, ok := c.Counters[harness.ArmBackend]; ok {
		for _, count := range []struct {
			unit  string
			value float64
		}{{"statements a run", counters.Statements}, {"bytes written a run", counters.Bytes}, {"allocations a run", counters.Allocs}} {
			key.unit = count.unit
			if count.value > 0 {
				add(key, true, SeriesPoint{Run: line, Value: count.value, Low: count.value, High: count.value})
			}
		}
	}
}

func addBenchmark(add func(seriesKey, bool, SeriesPoint), b reports.Benchmark, where string, line history.RunLine) {
	e := MedianOf(b.Values, b.Unit, "results")
	if !text.Estimated(e) {
		return
	}
	counted := b.Unit == "B/op" || b.Unit == "allocs/op" || strings.Contains(b.Unit, "instr")
	add(seriesKey{b.Name, b.Unit, where}, counted, pointOf(e, line))
}

func pointOf(e harness.Estimate, line history.RunLine) SeriesPoint {
	p := SeriesPoint{Run: line, Value: e.Value, Low: e.Value, High: e.Value}
	if e.Bounded() {
		p.Low, p.High = e.Low, e.High
	}
	return p
}
