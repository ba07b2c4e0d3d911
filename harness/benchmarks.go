package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"

	"github.com/flujo/flujo-harness/harness/child"
)

// Bench is what one benchmark said in one process.
type Bench struct {
	NS     float64 // an operation
	Allocs float64 // an operation, -1 where it was not told
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

// ErrNoBenchmark is a process that told of no benchmark: it was skipped, or the binary
// has none of that name.
var ErrNoBenchmark = errors.New("it told of no benchmark")

// CompareBenchmarks runs the benchmark at both revisions, and at the first once more,
// process by process in random order, until enough says so after a group of blocks. It
// returns a difference for each sub-benchmark, and the names of those that only the base
// has, or only the head. Faults of a benchmark are told in the difference; a cancelled
// context ends it with what was measured.
func CompareBenchmarks(ctx context.Context, spec BenchSpec, enough func([]*Difference) bool) (all []*Difference, only [2][]string, err error) {
	if spec.run == nil {
		spec.run = runBenchmark
	}
	began := time.Now()
	rng := rand.New(rand.NewPCG(spec.Seed, 0xbe7c))
	twin := spec.Base
	twin.Binary = spec.Twin
	byName := map[string]*Difference{}
	allocs := map[string][2][]float64{}
	told := [2]map[string]bool{{}, {}} // names, by the base and by the head
	complete := true
	var problem error
	// soFar is what was measured, complete enough to be judged.
	soFar := func() []*Difference {
		for name, d := range byName {
			d.Audit = []Finding{{checkRuns, d.Problem == "", fmt.Sprintf("%d blocks of three processes each", len(d.Blocks))}}
			if len(d.Blocks) > 0 {
				d.estimate()
			}
			d.Notes, d.MoreAllocs = nil, false
			if note := moreAllocs(allocs[name]); note != "" {
				d.Notes, d.MoreAllocs = []string{note}, true
			}
		}
		return sorted(byName)
	}
	for n := range spec.Blocks {
		if n >= 2*blocksInSession && n%blocksInSession == 0 && (len(byName) == 0 || enough(soFar()) || spec.Budget > 0 && time.Since(began) > spec.Budget) {
			break
		}
		sides := []BenchSide{spec.Base, spec.Head, twin}
		got := make([]map[string]Bench, 3)
		for _, i := range rng.Perm(3) {
			if got[i], problem = spec.run(ctx, sides[i], spec.Benchmark, spec.Time); problem != nil {
				problem = fmt.Errorf("%s at %s, block %d: %w", spec.Benchmark, sides[i].Revision, n+1, problem)
				break
			}
		}
		if ctx.Err() != nil {
			complete, problem = false, nil
			break
		}
		if problem != nil {
			break
		}
		for i := range told {
			for name := range got[i] {
				told[i][name] = true
			}
		}
		for name, base := range got[0] {
			head, ok := got[1][name]
			again, twice := got[2][name]
			if !ok || !twice {
				continue // on one side only
			}
			d := byName[name]
			if d == nil {
				d = &Difference{Schema: 1, Name: spec.Package + "." + name, Base: spec.Base.Revision, Head: spec.Head.Revision, Started: began.UTC(), Seed: spec.Seed,
					Environment: Describe(ctx, spec.Base.Dir)}
				byName[name] = d
			}
			d.Blocks = append(d.Blocks, DifferenceBlock{Session: 1 + n/blocksInSession, Ratio: head.NS / base.NS, Twin: again.NS / base.NS, BaseNS: base.NS, HeadNS: head.NS})
			a := allocs[name]
			a[0], a[1] = append(a[0], base.Allocs, again.Allocs), append(a[1], head.Allocs)
			allocs[name] = a
			if base.NS < fastest || head.NS < fastest {
				d.Problem = fmt.Sprintf("%s: below the floor: %.3g and %.3g ns an operation: the compiler has removed the body", checkWork, base.NS, head.NS)
			}
		}
	}
	for i := range told {
		for name := range told[i] {
			if !told[1-i][name] {
				only[i] = append(only[i], name)
			}
		}
		slices.Sort(only[i])
	}
	if len(byName)+len(only[0])+len(only[1]) == 0 && problem == nil && complete {
		problem = fmt.Errorf("%s: %w at both revisions", spec.Benchmark, ErrNoBenchmark)
	}
	if problem != nil && len(byName) == 0 {
		byName[spec.Benchmark] = &Difference{Schema: 1, Name: spec.Package + "." + spec.Benchmark, Base: spec.Base.Revision, Head: spec.Head.Revision, Started: began.UTC()}
	}
	for _, d := range byName {
		if d.Complete = complete; problem != nil {
			d.Problem, d.Complete = problem.Error(), false
		}
		d.Seconds = time.Since(began).Seconds()
	}
	return soFar(), only, nil
}

func sorted(byName map[string]*Difference) (all []*Difference) {
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, byName[name])
	}
	return all
}

// moreAllocs says where every process at the head allocates more than any at the base,
// and those at the base agree: counts have no noise.
func moreAllocs(a [2][]float64) string {
	if len(a[0]) == 0 || slices.Min(a[0]) < 0 || slices.Min(a[0]) != slices.Max(a[0]) || slices.Min(a[1]) <= slices.Max(a[0]) {
		return ""
	}
	return fmt.Sprintf("allocs/op %.6g -> %.6g in each of %d processes", a[0][0], slices.Min(a[1]), len(a[1]))
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
		return nil, fmt.Errorf("the process failed: %w: %s", err, tail(append(stdout.Bytes(), stderr.Bytes()...)))
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
		sec, ok := res.Value("sec/op")
		if !ok || !(sec > 0) {
			continue
		}
		b := Bench{NS: sec * 1e9, Allocs: -1}
		if n, ok := res.Value("allocs/op"); ok {
			b.Allocs = n
		}
		all[strings.TrimPrefix(string(res.Name.Full()), "Benchmark")] = b
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, ErrNoBenchmark
	}
	return all, nil
}
