package reports

import (
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// Values of [Run.Format] for which a single spec can be run again by a command.
const (
	FormatGinkgo = "Ginkgo JSON"
	FormatGoTest = "go test -json"
)

// Run is what one command found.
type Run struct {
	ID      int64     // given by the history; 0: not in it
	Started time.Time // kept in nanoseconds, UTC
	Undated bool      `json:"-"` // Started may be hours off: the history orders the run after all that it has
	Seconds float64   // wall time
	Commit  string    // of the code under test, "" where it is unknown
	Dirty   bool      // the tree had changes beyond Commit
	Command string    // as it can be typed again
	Branch  string    // "" where it is unknown
	Key     string    // identity given from outside: of the CI job and its attempt, or the digest of a file; "": the digest of the run
	Format  string    // of the results: "Ginkgo JSON", "JUnit XML", …; "" where suites were not run
	Origin  Origin    `json:",omitzero"` // the change and the job
	Facts   []Fact    // what else is known of it: host, CI job, tool versions; shown as it is

	Suites      *Results // nil: suites were not run, or see SuiteError
	SuiteError  string   // why suites could not be run or read
	Comparisons []harness.Comparison
	Verdicts    []thresholds.Verdict
	Benchmarks  []Benchmark `json:",omitempty"` // figures of Go benchmarks, which nobody judges

	Outcome  thresholds.Outcome // of the whole run
	ExitCode int
	Complete bool // false: interrupted; what is here was measured
}

// LeftOut is the name of the [Fact] that says which tests a run did not reach.
const LeftOut = "left out"

// LeftOut says which tests the run did not reach, "" where none is known.
func (r *Run) LeftOut() string {
	for _, f := range r.Facts {
		if f.Name == LeftOut {
			return f.Value
		}
	}
	return ""
}

// VerdictFor returns the verdict on a comparison by the limit of (W-N)/F, nil where nothing was judged.
func (r Run) VerdictFor(c *harness.Comparison) *thresholds.Verdict {
	for i := range r.Verdicts {
		v := &r.Verdicts[i]
		if v.Against == "" && v.Metric != thresholds.MetricInstructions && v.Workload == c.Workload && (v.Durability == c.Durability || v.Durability == "") {
			return v
		}
	}
	return nil
}

// Fact is a name and a value.
type Fact struct{ Name, Value string }

// Benchmark is what one Go benchmark came to in one unit.
type Benchmark struct {
	Name   string    // with its package: "example.com/shop/cart.Add-8"
	Unit   string    // "sec/op", "B/op"
	Values []float64 // one a result, in the order of the file
}
