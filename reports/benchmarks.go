package reports

import (
	"errors"
	"fmt"

	"golang.org/x/perf/benchfmt"
)

// ErrFigures is a file of benchmark results: figures, which a history of specs has no
// place for and a pass rate says nothing about.
var ErrFigures = errors.New("it holds figures of benchmarks, not specs")

// readBenchmarks counts the results of a file in the Go benchmark format, to say what
// the file is and where it belongs.
func readBenchmarks(in *input, _ *collector) error {
	r := benchfmt.NewReader(in, "")
	results, names := 0, map[string]bool{}
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.Result:
			results++
			if len(names) < 10_000 {
				names[string(rec.Name.Base())] = true
			}
		case *benchfmt.SyntaxError:
			return &FormatError{Format: formatBenchmarks, Line: rec.Line, Err: errors.New(rec.Msg), Next: "run the benchmarks again and let them finish"}
		}
	}
	if err := r.Err(); err != nil {
		return &FormatError{Format: formatBenchmarks, Err: err}
	}
	return &FormatError{Format: formatBenchmarks, Err: fmt.Errorf("%w: %d results of %d benchmarks", ErrFigures, results, len(names)),
		Next: "compare two such files with benchstat OLD NEW, or two revisions with flujo-harness compare BASE"}
}
