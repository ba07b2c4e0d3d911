package reports

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
	"golang.org/x/perf/benchunit"

	"github.com/flujo/flujo-harness/harness"
)

// Benchmark is what one Go benchmark came to in one unit.
type Benchmark struct {
	Name   string    // with its package: "example.com/shop/cart.Add-8"
	Unit   string    // "sec/op", "B/op"
	Values []float64 // one a result, in the order of the file
}

// benchmarks takes results of one name and unit together.
type benchmarks struct {
	all []Benchmark
	at  map[[2]string]int
}

func (b *benchmarks) add(name, unit string, values ...float64) {
	key := [2]string{name, unit}
	i, known := b.at[key]
	if !known {
		if b.at == nil {
			b.at = map[[2]string]int{}
		}
		i, b.at[key] = len(b.all), len(b.all)
		b.all = append(b.all, Benchmark{Name: name, Unit: unit})
	}
	b.all[i].Values = append(b.all[i].Values, values...)
}

// CombineBenchmarks are the benchmarks of several files, those of one name and unit
// together.
func CombineBenchmarks(readings ...*Reading) []Benchmark {
	var b benchmarks
	for _, r := range readings {
		for _, one := range r.Benchmarks {
			b.add(one.Name, one.Unit, one.Values...)
		}
	}
	return b.all
}

// readBenchmarks reads the Go benchmark format: what go test -bench prints, and
// flujo-harness bench --benchfmt. A file that tells of a failure is refused: the
// benchmarks behind it are missing.
func readBenchmarks(in *input, c *collector) error {
	lines := lineReader{in: in}
	r := benchfmt.NewReader(&lines, "")
	var b benchmarks
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.Result:
			if err := c.takeBenchmark(&b, rec); err != nil {
				return &FormatError{Format: formatBenchmarks, Err: err}
			}
		case *benchfmt.SyntaxError:
			return &FormatError{Format: formatBenchmarks, Line: rec.Line, Err: errors.New(rec.Msg), Next: "run the benchmarks again and let them finish"}
		}
	}
	if err := r.Err(); err != nil {
		return &FormatError{Format: formatBenchmarks, Err: err}
	}
	if lines.failed > 0 {
		return &FormatError{Format: formatBenchmarks, Line: lines.failed, Err: errors.New("it tells of a failure"), Next: "mend what failed and run the benchmarks again"}
	}
	if lines.tests > 0 {
		c.note("tests of which only the end is told, passed over: %d; go test -json has them", lines.tests)
	}
	c.reading.Benchmarks = b.all
	return nil
}

func (c *collector) takeBenchmark(b *benchmarks, r *benchfmt.Result) error {
	name := string(r.Name)
	if pkg := r.GetConfig("pkg"); pkg != "" {
		name = pkg + "." + name
	}
	if commit := r.GetConfig("commit"); c.reading.Commit == "" && !strings.Contains(commit, "+") { // with changes it is another
		c.reading.Commit = commit
	}
	for _, v := range r.Values {
		if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
			return fmt.Errorf("%s: %v %s is no figure", name, v.Value, v.Unit)
		}
		b.add(name, v.Unit, v.Value)
	}
	return c.keep(len(name) + overhead*len(r.Values))
}

var (
	failureLine = regexp.MustCompile(`^(FAIL(\s|$)|--- FAIL: |panic: )`)
	testLine    = regexp.MustCompile(`^--- (PASS|SKIP): `)
)

// lineReader passes lines on, and sees what of them the reader of benchmarks does not.
type lineReader struct {
	in     *input
	rest   []byte
	lines  int
	failed int // the first line that tells of a failure, from 1
	tests  int // that passed or were skipped
}

func (f *lineReader) Read(p []byte) (int, error) {
	if len(f.rest) == 0 {
		line, _, err := readLine(f.in.Reader)
		if len(line) == 0 {
			return 0, err
		}
		f.rest = line
		f.lines++
		switch {
		case f.failed == 0 && failureLine.Match(line):
			f.failed = f.lines
		case testLine.Match(line):
			f.tests++
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// Figure is a benchmark of a run, beside the latest run before it that has it. The two
// were not measured side by side: what lies between them is not judged.
type Figure struct {
	Name   string
	Unit   string
	Now    harness.Estimate
	Before *harness.Estimate // nil: the run before with benchmarks does not have it
}

// medianOf is the median of values with its interval by order statistics, which assumes
// nothing of their distribution; fewer than six leave it open.
func medianOf(values []float64, unit, of string) harness.Estimate {
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
func (a *accountant) tellBenchmarks() error {
	if len(a.a.Run.Benchmarks) == 0 {
		return nil
	}
	before := map[[2]string]*harness.Estimate{}
	rows, err := runFilter{"id IN (SELECT run_id FROM benchmarks) AND " + a.past.which, a.past.args}.before(a.reader, 1)
	if err != nil {
		return err
	}
	for i := range rows {
		line := rows[i].line()
		if err := a.benchmarks(&rows[i].Run); err != nil {
			return err
		}
		a.a.FiguresBefore = &line
		for _, b := range rows[i].Run.Benchmarks {
			e := medianOf(b.Values, b.Unit, "results")
			before[[2]string{b.Name, b.Unit}] = &e
		}
	}
	a.tellFigures(before)
	return nil
}

func (a *accountant) tellFigures(before map[[2]string]*harness.Estimate) {
	for _, b := range a.a.Run.Benchmarks {
		a.a.Figures = append(a.a.Figures, Figure{Name: b.Name, Unit: b.Unit, Now: medianOf(b.Values, b.Unit, "results"), Before: before[[2]string{b.Name, b.Unit}]})
	}
}

// FiguresText is "4 figures of 2 benchmarks".
func FiguresText(all []Benchmark) string {
	names := map[string]bool{}
	for _, b := range all {
		names[b.Name] = true
	}
	return plural(len(all), "figure") + " of " + plural(len(names), "benchmark")
}

// inUnit is "1.042µ sec/op", with the prefix that suits the size.
func inUnit(v float64, unit string) string {
	return benchunit.Scale(v, benchunit.ClassOf(unit)) + " " + Visible(unit)
}

// interval of a figure, in the prefixes that suit it.
func interval(e *harness.Estimate) string {
	if !bounded(*e) {
		return "no interval: too few"
	}
	class := benchunit.ClassOf(e.Unit)
	return benchunit.Scale(e.Low, class) + " to " + benchunit.Scale(e.High, class)
}
