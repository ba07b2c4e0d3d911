package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/instructions"
	"github.com/flujo/flujo-harness/harness/workdir"
)

// Bench is what one benchmark printed in one process.
type Bench struct {
	NS     float64            // ns per operation; 0 if the benchmark printed no time
	Ops    int                // number of operations, b.N
	Counts map[string]float64 // by unit: "allocs/op", "B/op" and the units of b.ReportMetric
}

// BenchSample is what one process printed for one benchmark.
type BenchSample struct {
	Head bool   // true: of the head; false: of the base
	Name string // as printed, without "Benchmark"
	Bench
}

// BenchSide is the test binary of one package at one revision.
type BenchSide struct {
	Revision string
	Binary   string
	Dir      string // folder of the package at that revision, in which the tests look for files
}

// benchOrder says what one process should run.
type benchOrder struct {
	side     BenchSide
	pattern  string        // -test.bench
	skip     string        // -test.skip
	times    string        // -test.benchtime: "100x" or "20ms"
	procs    int           // -test.cpu; 0: the default
	deadline time.Duration // 0: none
	env      []string
	pinned   bool // it runs on the processor cpu only
	cpu      int
	twice    bool // -test.count=2, see [stopwatch]
	waits    bool // how long the operations wait is measured

	tool   *instructions.Tool // counts the instructions of the process; nil: none does
	record string             // file for the count
}

// benchProcess is the result of one process.
type benchProcess struct {
	printed map[string]Bench
	cpu     time.Duration // of the whole process
	ops     time.Duration // of the last benchmark that it ran, see [stopwatch]
	waited  time.Duration // how long the last benchmark waited for anything but the processor, if that was ordered
}

// stopwatch is the standard output of a test binary, and measures how much processor time the process
// uses between the name of the last benchmark and its result.
//
// Package testing writes the name when it begins to time a benchmark, and the result when that has
// ended. So the start and the end of the process do not count. On a virtual machine they took 20 ms,
// and two starts of one program differed by 3 ms. A benchmark with b.Loop makes all its operations before
// testing writes its name for the first time, but not for the second: see [benchOrder.twice].
type stopwatch struct {
	text   bytes.Buffer // not embedded: its ReadFrom would be called instead of Write
	clock  func() time.Duration
	within bool          // a result is awaited
	middle bool          // of a line
	began  time.Duration // when the name was written
	took   time.Duration

	threads      func() map[string]threadUse // nil: waits are not measured
	beganAt      time.Time
	beganThreads map[string]threadUse
	waited       time.Duration // how long no thread ran or was ready between the name of the last benchmark and its result
}

// Write reads the clock for all that the process has written since the last call.
func (s *stopwatch) Write(p []byte) (int, error) {
	now := s.clock()
	for _, c := range p {
		switch {
		case c == '\n' && s.within && now > 0:
			s.took, s.within = now-s.began, false
			if s.threads != nil {
				s.waited = time.Since(s.beganAt) - s.took - readyOf(s.beganThreads, s.threads())
			}
		case !s.middle && c == 'B': // of Benchmark
			s.began, s.within = now, true
			if s.threads != nil {
				s.beganAt, s.beganThreads = time.Now(), s.threads()
			}
		}
		s.middle = c != '\n'
	}
	return s.text.Write(p)
}

// used returns the processor time of the last benchmark, where all is that of the whole process. It is 0
// if the beginning was not seen. If the process was gone before the result was read, the time of its end is
// included.
func (s *stopwatch) used(all time.Duration) time.Duration {
	switch {
	case s.began == 0:
		return 0
	case s.within:
		return all - s.began
	}
	return s.took
}

// threadUse is how long a thread has run, and how long it was ready to run.
type threadUse struct{ ran, ready time.Duration }

// readyOf returns for how long a process that runs on one processor was surely ready to run without running. While
// one thread is ready, the others of the process may run; what they have run is subtracted.
func readyOf(before, after map[string]threadUse) (ready time.Duration) {
	all := time.Duration(0)
	for id, t := range after {
		all += t.ran - before[id].ran
	}
	for id, t := range after {
		others := all - (t.ran - before[id].ran)
		ready = max(ready, t.ready-before[id].ready-others)
	}
	return ready
}

// ErrNoBenchmark is the error of a process that printed no result.
var ErrNoBenchmark = errors.New("no result was printed: is it skipped, or does it print to standard output while it runs?")

// errHangs is the error of a benchmark that did not end before its deadline.
var errHangs = errors.New("no end")

// leaveToEnd is how long an interrupted benchmark may take to end, and how long a process that
// it started may hold its output open after that.
const leaveToEnd = 2 * time.Second

// runBenchmark runs benchmarks in a process of their own. If a benchmark fails, the error wraps
// [exec.ExitError] or [errHangs].
func runBenchmark(ctx context.Context, o benchOrder) (p benchProcess, err error) {
	within := ctx
	if o.deadline > 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, o.deadline)
		defer cancel()
	}
	count := "1"
	if o.twice {
		count = "2"
	}
	args := []string{"-test.run=^$", "-test.bench=" + o.pattern, "-test.benchtime=" + o.times, "-test.benchmem", "-test.count=" + count, "-test.timeout=0"}
	if o.skip != "" {
		args = append(args, "-test.skip="+o.skip)
	}
	if o.procs > 0 {
		args = append(args, "-test.cpu="+strconv.Itoa(o.procs))
	}
	cmd := exec.CommandContext(within, o.side.Binary, args...)
	cmd.Dir, cmd.Env = o.side.Dir, append(os.Environ(), o.env...)
	if o.tool != nil {
		o.tool.Wrap(cmd, o.record)
	}
	var stderr bytes.Buffer
	stdout := &stopwatch{clock: func() time.Duration { return child.CPUTime(cmd.Process.Pid) }}
	if o.waits {
		stdout.threads = func() map[string]threadUse { return threadsOf(cmd.Process.Pid) }
	}
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	child.Group(cmd) // a benchmark may start processes of its own
	cmd.WaitDelay = leaveToEnd
	if o.pinned {
		err = child.RunOn(cmd, o.cpu)
	} else {
		err = child.Run(cmd)
	}
	if cmd.Process != nil {
		child.EndGroup(cmd.Process.Pid)
	}
	if cmd.ProcessState != nil {
		p.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	said := func() string {
		return strings.ReplaceAll(tail(append(stdout.text.Bytes(), stderr.Bytes()...)), "\n", " | ")
	}
	switch {
	case ctx.Err() != nil:
		return p, context.Cause(ctx)
	case within.Err() != nil:
		return p, fmt.Errorf("%w within %v; the process was killed: %s", errHangs, o.deadline, said())
	case errors.Is(err, exec.ErrWaitDelay): // it ended; a process that it started holds its output open
	case err != nil:
		return p, fmt.Errorf("the process failed: %w: %s", err, said())
	}
	p.ops, p.waited = stdout.used(p.cpu), stdout.waited
	p.printed, err = parseBenchmarks(&stdout.text)
	return p, err
}

// countBenchmark runs benchmarks under the tool of the order, and returns the instructions
// of the whole process.
func countBenchmark(ctx context.Context, o benchOrder) (n float64, err error) {
	dir, remove, err := workdir.Temporary(os.TempDir(), "flujo-harness-count-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	o.record = filepath.Join(dir, "record")
	if _, err := runBenchmark(ctx, o); err != nil && !errors.Is(err, ErrNoBenchmark) {
		return 0, err
	}
	return o.tool.Read(o.record)
}

// parseBenchmarks reads the output of a test binary. It skips lines that are not results, as
// the format demands.
func parseBenchmarks(out io.Reader) (map[string]Bench, error) {
	all := map[string]Bench{}
	r := benchfmt.NewReader(out, "benchmark")
	for r.Scan() {
		res, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		b := Bench{Ops: res.Iters, Counts: map[string]float64{}}
		for _, v := range res.Values {
			switch value, unit := v.Value, v.Unit; {
			case v.OrigUnit == "ns/op":
				b.NS = v.OrigValue
			case math.IsNaN(value) || math.IsInf(value, 0): // reported by b.ReportMetric; cannot be compared
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
		for n, first := 2, name; all[name].Counts != nil; n++ { // packages p and p_test may each have one
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
