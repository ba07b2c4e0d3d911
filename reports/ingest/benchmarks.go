package ingest

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"golang.org/x/perf/benchfmt"
)

// benchmarks groups results by name and unit.
type benchmarks struct {
	all []reports.Benchmark
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
		b.all = append(b.all, reports.Benchmark{Name: name, Unit: unit})
	}
	b.all[i].Values = append(b.all[i].Values, values...)
}

// CombineBenchmarks joins the benchmarks of several files by name and unit.
func CombineBenchmarks(readings ...*Reading) []reports.Benchmark {
	var b benchmarks
	for _, r := range readings {
		for _, one := range r.Benchmarks {
			b.add(one.Name, one.Unit, one.Values...)
		}
	}
	return b.all
}

// readBenchmarks reads the Go benchmark format, which go test -bench and flujo-harness bench
// --benchfmt print. It rejects a file with a failure, because the benchmarks after it are missing.
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
	switch {
	case lines.other:
		return &FormatError{Format: formatBenchmarks, Line: lines.failed, Err: errors.New("results of another format begin here"), Next: "write the benchmarks to a file of their own"}
	case lines.failed > 0:
		return &FormatError{Format: formatBenchmarks, Line: lines.failed, Err: errors.New("it contains a failure"), Next: "fix the failure and run the benchmarks again"}
	}
	if lines.tests > 0 {
		c.note("tests of which only the last line is in the file, ignored: %d; use go test -json for them", lines.tests)
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
			return fmt.Errorf("%s: %v %s is not a finite number", name, v.Value, v.Unit)
		}
		b.add(name, v.Unit, v.Value)
	}
	return c.keep(len(name) + overhead*len(r.Values))
}

var (
	failureLine = regexp.MustCompile(`^(FAIL(\s|$)|--- FAIL: |panic: )`)
	testLine    = regexp.MustCompile(`^--- (PASS|SKIP): `)
)

// lineReader passes lines on and detects those that the reader of benchmarks ignores silently.
type lineReader struct {
	in     *input
	rest   []byte
	lines  int
	failed int  // number, from 1, of the first line with a failure or with results of another format
	other  bool // that line is of another format
	tests  int  // number of tests that passed or were skipped
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
		case f.failed == 0 && (failureLine.Match(line) || goTestLine.Match(line) || documentLine.Match(line)):
			f.failed, f.other = f.lines, !failureLine.Match(line)
		case testLine.Match(line):
			f.tests++
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}
