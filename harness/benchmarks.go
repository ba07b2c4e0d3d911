package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/machine"
)

// Bench is what one benchmark printed in one process.
type Bench struct {
	NS     float64            // an operation; 0 where the benchmark printed no time
	Counts map[string]float64 // by unit: "allocs/op", "B/op", and those of b.ReportMetric
}

// BenchSide is the test binary of one package at one revision.
type BenchSide struct {
	Revision string
	Binary   string
	Dir      string // the package's folder at that revision: where tests look for their files
}

// BenchSpec orders the comparison of one benchmark, with its sub-benchmarks, of two
// revisions.
type BenchSpec struct {
	Package    string
	Benchmark  string // the name of the function
	Base, Head BenchSide
	Twin       string        // a copy of Base's binary, for the A/A pair
	Time       time.Duration // -test.benchtime of each process
	Seed       uint64
	Blocks     int           // at most
	Budget     time.Duration // no block begins after it

	run func(ctx context.Context, side BenchSide, benchmark string, t time.Duration) (map[string]Bench, error) // for tests
}

// blocksInSession of a comparison of benchmarks: every block is three fresh processes
// of its own.
const blocksInSession = 6

// fastest is what no operation is below, ns: what is has no body left.
const fastest = 0.5

// leaveToEnd is how long an interrupted benchmark has to end, and how long a process that it
// left behind may hold its output.
const leaveToEnd = 20 * time.Second

// ErrNoBenchmark is a process that printed no result.
var ErrNoBenchmark = errors.New("no result was printed: is it skipped, or does it print to standard output while it runs?")

// CompareBenchmarks runs the benchmark at both revisions, and at the first once more,
// process by process in random order, until enough says so after a group of blocks, or the
// budget is spent. It returns a difference for each sub-benchmark, and the names of those
// that only the base has, or only the head. What a benchmark does itself, as to fail or to
// print nothing, stands in the difference; a cancelled context ends it with what was
// measured.
func CompareBenchmarks(ctx context.Context, spec BenchSpec, enough func([]*Difference) bool) (all []*Difference, only [2][]string, err error) {
	if spec.run == nil {
		spec.run = runBenchmark
	}
	began := time.Now()
	rng := rand.New(rand.NewPCG(spec.Seed, 0xbe7c))
	twin := spec.Base
	twin.Binary = spec.Twin
	sides := [3]BenchSide{spec.Base, spec.Head, twin}
	m := benchMeasurement{spec: spec, began: began, differences: map[string]*Difference{}, counts: map[string]*[2]map[string][]float64{}, printed: [2]map[string]bool{{}, {}}}
	complete := true
	for n := range spec.Blocks {
		over := spec.Budget > 0 && time.Since(began) > spec.Budget
		if n > 0 && over || n >= 2 && len(m.differences) == 0 || n >= 2*blocksInSession && n%blocksInSession == 0 && enough(m.soFar()) {
			break
		}
		var got [3]map[string]Bench
		var failed [3]error
		for _, i := range rng.Perm(3) {
			if got[i], failed[i] = spec.run(ctx, sides[i], spec.Benchmark, spec.Time); errors.Is(failed[i], ErrNoBenchmark) {
				failed[i] = nil
			}
			if failed[i] != nil {
				failed[i] = fmt.Errorf("%s at %s, block %d: %w", spec.Benchmark, sides[i].Revision, n+1, failed[i])
			}
		}
		if ctx.Err() != nil {
			complete = false
			break
		}
		if errors.Join(failed[:]...) != nil {
			m.fail(failed)
			break
		}
		m.add(ctx, n, got)
	}
	only = m.only()
	if len(m.differences)+len(only[0])+len(only[1]) == 0 && complete {
		m.difference(ctx, spec.Benchmark).NotCompared = fmt.Sprintf("%s at both revisions: %v", spec.Benchmark, ErrNoBenchmark)
	}
	for _, d := range m.differences {
		d.Complete = complete && d.Problem == ""
		d.Seconds = time.Since(began).Seconds()
	}
	return m.soFar(), only, nil
}

// benchMeasurement is what the processes of one benchmark have printed so far.
type benchMeasurement struct {
	spec        BenchSpec
	began       time.Time
	differences map[string]*Difference              // by the name of the sub-benchmark
	counts      map[string]*[2]map[string][]float64 // by name: unit -> the count in each process of the base, and of the head
	printed     [2]map[string]bool                  // names, by the base and by the head
}

func (m *benchMeasurement) difference(ctx context.Context, name string) *Difference {
	d := m.differences[name]
	if d == nil {
		d = &Difference{Schema: 1, Name: m.spec.Package + "." + strings.TrimPrefix(name, "Benchmark"), Base: m.spec.Base.Revision, Head: m.spec.Head.Revision, Started: m.began.UTC(), Seed: m.spec.Seed,
			Environment: machine.Describe(ctx, m.spec.Base.Dir)}
		m.differences[name], m.counts[name] = d, &[2]map[string][]float64{{}, {}}
	}
	return d
}

// fail records why no block can be made of these processes: base, head, base again.
func (m *benchMeasurement) fail(failed [3]error) {
	if len(m.differences) == 0 {
		m.difference(context.Background(), m.spec.Benchmark)
	}
	atBase := failed[0]
	if atBase == nil {
		atBase = failed[2]
	}
	for _, d := range m.differences {
		for _, err := range failed {
			if err != nil && !errors.As(err, new(*exec.ExitError)) {
				d.Problem = err.Error() // it was not even run
			}
		}
		switch {
		case d.Problem != "":
		case atBase != nil:
			d.NotCompared = "it fails at the base: " + atBase.Error()
		default:
			d.HeadFails = failed[1].Error()
		}
	}
}

// add takes a block: what the base, the head and the base again have printed.
func (m *benchMeasurement) add(ctx context.Context, n int, got [3]map[string]Bench) {
	for i := range m.printed {
		for name := range got[i] {
			m.printed[i][name] = true
		}
	}
	for name, base := range got[0] {
		head, ok := got[1][name]
		again, twice := got[2][name]
		if !ok || !twice {
			continue // see only
		}
		d := m.difference(ctx, name)
		for i, b := range []Bench{base, head, again} {
			for unit, count := range b.Counts {
				of := m.counts[name][i%2]
				of[unit] = append(of[unit], count)
			}
		}
		switch {
		case base.NS <= 0 || head.NS <= 0 || again.NS <= 0:
			d.NotCompared = "it prints no ns/op"
			continue
		case base.NS < fastest || head.NS < fastest:
			d.NotCompared = fmt.Sprintf("%s: below the floor: %.3g and %.3g ns an operation: the compiler has removed the body", checkWork, base.NS, head.NS)
		}
		d.Blocks = append(d.Blocks, DifferenceBlock{Session: 1 + n/blocksInSession, Ratio: head.NS / base.NS, Twin: again.NS / base.NS, BaseNS: base.NS, HeadNS: head.NS})
	}
}

// soFar is what was measured, complete enough to be judged.
func (m *benchMeasurement) soFar() (all []*Difference) {
	for _, name := range slices.Sorted(maps.Keys(m.differences)) {
		d := m.differences[name]
		d.Audit = []Finding{{checkRuns, d.Problem == "", fmt.Sprintf("%d blocks of three processes each", len(d.Blocks))}}
		if len(d.Blocks) > 0 {
			d.estimate()
		}
		d.Counts = nil
		base, head := m.counts[name][0], m.counts[name][1]
		for _, unit := range slices.Sorted(maps.Keys(base)) {
			if len(head[unit]) > 0 {
				d.Counts = append(d.Counts, Count{Unit: unit, BaseLow: slices.Min(base[unit]), BaseHigh: slices.Max(base[unit]),
					HeadLow: slices.Min(head[unit]), HeadHigh: slices.Max(head[unit]), Base: len(base[unit]), Head: len(head[unit])})
			}
		}
		all = append(all, d)
	}
	return all
}

// only are the names that were never printed by both revisions in one block: by the base
// and by the head.
func (m *benchMeasurement) only() (only [2][]string) {
	for i := range m.printed {
		for _, name := range slices.Sorted(maps.Keys(m.printed[i])) {
			if m.differences[name] == nil {
				only[i] = append(only[i], name)
			}
		}
	}
	return only
}

// runBenchmark runs one benchmark in a process of its own.
func runBenchmark(ctx context.Context, side BenchSide, benchmark string, t time.Duration) (map[string]Bench, error) {
	cmd := exec.CommandContext(ctx, side.Binary, "-test.run=^$", "-test.bench=^"+benchmark+"$", "-test.benchtime="+t.String(), "-test.benchmem", "-test.count=1")
	cmd.Dir, cmd.Env = side.Dir, os.Environ()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	child.Group(cmd) // a benchmark may start processes of its own
	cmd.WaitDelay = leaveToEnd
	err := child.Run(cmd)
	if cmd.Process != nil {
		child.EndGroup(cmd.Process.Pid)
	}
	if err != nil {
		return nil, fmt.Errorf("the process failed: %w: %s", err, strings.ReplaceAll(tail(append(stdout.Bytes(), stderr.Bytes()...)), "\n", " | "))
	}
	return parseBenchmarks(&stdout)
}

// parseBenchmarks reads what a test binary printed; lines that are no results are left
// out, as they are by every reader of the format.
func parseBenchmarks(out io.Reader) (map[string]Bench, error) {
	all := map[string]Bench{}
	r := benchfmt.NewReader(out, "benchmark")
	for r.Scan() {
		res, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		b := Bench{Counts: map[string]float64{}}
		for _, v := range res.Values {
			switch value, unit := v.Value, v.Unit; {
			case v.OrigUnit == "ns/op":
				b.NS = v.OrigValue
			case math.IsNaN(value) || math.IsInf(value, 0): // of b.ReportMetric: nothing to compare
			case v.OrigUnit != "":
				b.Counts[v.OrigUnit] = v.OrigValue
			default:
				b.Counts[unit] = value
			}
		}
		if !(b.NS > 0) && len(b.Counts) == 0 || math.IsInf(b.NS, 0) {
			continue
		}
		name := strings.TrimPrefix(string(res.Name.Full()), "Benchmark")
		for n, first := 2, name; all[name].Counts != nil; n++ { // of the package, and of its tests from outside
			name = fmt.Sprintf("%s (%d)", first, n)
		}
		all[name] = b
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, ErrNoBenchmark
	}
	return all, nil
}
