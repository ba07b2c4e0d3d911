package reports

import (
	"fmt"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// Values of [Run.Format] for which a command can run a single spec again.
const (
	FormatGinkgo = "Ginkgo JSON"
	FormatGoTest = "go test -json"
)

// FormatBenchmarks is the [Run.Format] of a file that has nothing but Go benchmarks.
const FormatBenchmarks = "Go benchmark format"

// Run is the recorded result of one command.
type Run struct {
	ID      int64     // assigned by the history; 0 if not stored
	Started time.Time // stored as nanoseconds in UTC
	Undated bool      `json:"-"` // Started may be off by hours: the history orders the run after all existing ones
	Seconds float64   // wall-clock time
	Commit  string    // commit under test, "" if unknown
	Dirty   bool      // the work tree had uncommitted changes
	Command string    // command line, quoted for a shell
	Branch  string    // "" if unknown
	Key     string    // external identity: the CI job and its attempt, or the digest of a file; "" means the digest of the run
	Format  string    // format of the results: "Ginkgo JSON", "JUnit XML", …; "" if no suites ran
	Origin  Origin    `json:",omitzero"`
	Facts   []Fact    // other properties, shown unchanged: host, CI job, tool versions

	Suites      *Results // nil if no suites ran, or if SuiteError is set
	SuiteError  string   // why suites could not be run or read
	Comparisons []harness.Comparison
	Verdicts    []thresholds.Verdict
	Benchmarks  []Benchmark `json:",omitempty"` // figures of Go benchmarks, without verdicts

	Outcome  thresholds.Outcome // outcome of the whole run
	ExitCode int
	Complete bool // false if interrupted; the results until then are valid
}

// LeftOut is the name of the [Fact] that lists the tests which a run did not reach.
const LeftOut = "left out"

// ComparedBase and ComparedHead are the names of the [Fact]s that describe the two revisions of a
// comparison: the name as given and the commit.
const (
	ComparedBase = "base of the comparison"
	ComparedHead = "head of the comparison"
)

// Fact returns the value of the fact with a name, or "".
func (r *Run) Fact(name string) string {
	for _, f := range r.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// LeftOut returns the tests that the run did not reach, or "".
func (r *Run) LeftOut() string { return r.Fact(LeftOut) }

// OnlyMeasured reports whether the run was to measure or to compare, and to run no tests. Tests that
// gave no results, or were interrupted, have a format, so their run is not one of these.
func (r *Run) OnlyMeasured() bool {
	return r.Suites == nil && r.SuiteError == "" && (r.Format == "" || r.Format == FormatBenchmarks)
}

// Measured returns what the run measured, such as "5 benchmarks", and how: "compared" or "measured".
func (r *Run) Measured() (what, how string) {
	benchmarks, workloads := map[string]bool{}, map[string]bool{}
	how = "measured"
	for _, b := range r.Benchmarks {
		benchmarks[b.Name] = true
	}
	for _, c := range r.Comparisons {
		workloads[c.Workload] = true
	}
	for _, v := range r.Verdicts {
		if v.Against != "" {
			how = "compared"
		} else {
			workloads[v.Workload] = true
		}
	}
	number := func(n int, of string) string {
		if n == 1 {
			return "1 " + of
		}
		return fmt.Sprintf("%d %ss", n, of)
	}
	switch {
	case len(benchmarks) > 0:
		return number(len(benchmarks), "benchmark"), how
	case len(workloads) > 0:
		return number(len(workloads), "workload"), how
	case how == "compared":
		return "no benchmarks", how
	}
	return "nothing", how
}

// NotMeasured is the [thresholds.Verdict.Workload] of verdicts on benchmarks that were not measured:
// those of identical packages, and those that are gone.
const NotMeasured = "benchmarks"

// ComparedOutcomes returns the number of benchmarks and workloads with each outcome that were
// compared with another revision, such as "1 broken, 3 held", or "" if there are none. Benchmarks
// that were not measured are not counted.
func (r *Run) ComparedOutcomes() string {
	n := map[thresholds.Outcome]int{}
	for _, v := range r.Verdicts {
		if v.Against != "" && v.Workload != NotMeasured {
			n[v.Outcome]++
		}
	}
	var parts []string
	for _, o := range []thresholds.Outcome{thresholds.Broken, thresholds.Invalid, thresholds.Inconclusive, thresholds.Held} {
		if n[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[o], o))
		}
	}
	return strings.Join(parts, ", ")
}

// VerdictFor returns the verdict on the overhead ratio of a comparison, (backend - none)/floor,
// or nil if it was not judged.
func (r Run) VerdictFor(c *harness.Comparison) *thresholds.Verdict {
	for i := range r.Verdicts {
		v := &r.Verdicts[i]
		if v.Against == "" && v.Metric != thresholds.MetricInstructions && v.Workload == c.Workload && (v.Durability == c.Durability || v.Durability == "") {
			return v
		}
	}
	return nil
}

// Fact is a named property of a run.
type Fact struct{ Name, Value string }

// Benchmark holds the figures of one Go benchmark in one unit.
type Benchmark struct {
	Name   string    // with its package, such as "example.com/shop/cart.Add-8"
	Unit   string    // such as "sec/op" or "B/op"
	Values []float64 // one per result line, in the order of the file
}
