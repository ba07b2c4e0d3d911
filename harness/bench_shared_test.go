package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flujo/flujo-harness/harness/child"
)

// sharing simulates benchmarks on processors that other programs disturb.
type sharing struct {
	op, setup, start map[string]time.Duration // processor time by revision: of an operation, before the operations, and of the start of a process
	aside            time.Duration            // processor time of an operation while its timer is stopped
	sleeps           time.Duration            // time for which an operation waits
	headSleeps       time.Duration            // time for which an operation of the head waits in addition
	load             float64                  // wall-clock time over processor time, because of other processes
	lasts            time.Duration            // wall-clock time of a process, simulated; 0: 100 ms
	port             int                      // number of processes beside each other of which each fails; 0: none do
	quick            string                   // benchtime of processes that do not fail
	noise            float64                  // standard deviation of what is not operations
	first            time.Duration            // processor time for the first use of memory
	garbage          map[string]int           // by revision, after how many operations it is collected
	loop             bool                     // the operations are made by b.Loop
	unread           int                      // number of processes at the same time whose processor time is not read
	slow             int                      // number of a processor on which all takes twice as long; 0: none
	rate             bool                     // it prints a rate by its wall-clock time

	begun   map[time.Time]int     // number of processes that began then
	rng     map[string]*rand.Rand // by revision and binary, because the order of processes at the same time varies
	mu      sync.Mutex
	running int
	most    map[int]int // number of processes at the same time, by processor; -1: not pinned
	orders  []benchOrder
}

func (s *sharing) use(_ context.Context, o benchOrder) (u use, known bool) {
	u, _ = s.process(o)
	return u, true
}

// process runs one process; used is the processor time that its stopwatch shows.
func (s *sharing) process(o benchOrder) (u use, used time.Duration) {
	s.mu.Lock()
	cpu := -1
	if o.pinned {
		cpu = o.cpu
	}
	s.running++
	s.most[cpu] = max(s.most[cpu], s.running)
	s.orders = append(s.orders, o)
	noise := 1.0
	if r := s.rng[o.side.Revision+o.side.Binary]; r != nil {
		noise = math.Exp(s.noise * r.NormFloat64())
	}
	now := time.Now()
	s.begun[now]++
	s.mu.Unlock()
	time.Sleep(s.lasts)
	s.mu.Lock()
	s.running--
	beside := s.begun[now]
	s.mu.Unlock()
	ops := 0
	if _, err := fmt.Sscanf(o.times, "%dx", &ops); err != nil {
		ops = 1000
	}
	if ops > setupOps {
		noise = 1
	}
	at := o.side.Revision
	used = time.Duration(noise*float64(s.setup[at])) + time.Duration(ops)*(s.op[at]+s.aside)
	if ops > setupOps {
		used += s.first
	}
	if n := s.garbage[at]; n > 0 {
		used += time.Duration(ops/n) * 3 * time.Millisecond
	}
	if s.slow > 0 && cpu == s.slow {
		used *= 2
	}
	u.cpu = s.start[at] + s.setup[at] + used
	if s.loop && !o.twice {
		used = time.Microsecond
	}
	if s.unread > 0 && o.pinned && ops > setupOps {
		s.unread--
		used = 0
	}
	u.busy = time.Duration(s.load * float64(u.cpu))
	u.ready = u.busy - u.cpu
	sleeps := s.sleeps
	if at == "new" {
		sleeps += s.headSleeps
	}
	u.wall = u.busy + time.Duration(ops)*sleeps
	ns := float64(beside)*s.load*float64(s.op[at]) + float64(sleeps)
	counts := map[string]float64{"allocs/op": 1, "MB/s": 1e6 / ns, "fsyncs/op": 2}
	if s.rate {
		counts["requests/s"] = 1e9 / ns
	}
	u.printed = map[string]Bench{"X": {NS: ns, Ops: ops, Counts: counts}}
	return u, used
}

func (s *sharing) run(_ context.Context, o benchOrder) (p benchProcess, err error) {
	u, used := s.process(o)
	if s.port > 0 && s.most[o.cpu] >= s.port && o.pinned && o.times != s.quick {
		return p, errors.New("address already in use")
	}
	p = benchProcess{printed: u.printed, cpu: u.cpu, ops: used}
	if o.waits {
		p.waited = u.wall - u.busy
	}
	return p, nil
}

// Processes of a block run at the same time on one processor where their processor time is the time of
// their operations, and nowhere else.
func TestProcessesShareAProcessor(t *testing.T) {
	const us, ms = time.Microsecond, time.Millisecond
	both := func(base, head time.Duration) map[string]time.Duration {
		return map[string]time.Duration{"old": base, "new": head}
	}
	for name, tc := range map[string]struct {
		s      *sharing
		change func(*BenchSpec)
		shares bool
		ops    int     // of a process; 0: 1000
		ratio  float64 // within 1%
	}{
		"slower":                       {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms)}, shares: true, ops: 2000, ratio: 1.05},
		"beside other processes":       {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), load: 3}, shares: true, ops: 2000, ratio: 1.05},
		"another start":                {s: &sharing{op: both(20*us, 20*us), start: both(3*ms, 6*ms)}, shares: true, ops: 2000, ratio: 1},
		"another setup":                {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), setup: both(5*ms, 1*ms)}, shares: true, ops: 2000, ratio: 1.05},
		"setups that vary":             {s: &sharing{op: both(20*us, 20*us), start: both(8*ms, 8*ms), setup: both(5*ms, 5*ms), noise: 0.3}, shares: true, ops: 2000, ratio: 1},
		"operations made by b.Loop":    {s: &sharing{op: both(20*us, 21*us), start: both(9*ms, 9*ms), loop: true}, shares: true, ops: 2000, ratio: 1.05},
		"a clock that was not read":    {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), unread: 2}, shares: true, ops: 2000, ratio: 1.05},
		"a setup longer than the rest": {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), setup: both(40*ms, 40*ms)}, ratio: 1.05},
		"it waits":                     {s: &sharing{op: both(15*us, 20*us), start: both(3*ms, 3*ms), sleeps: 5 * us}, ratio: 1.25},
		"only the head waits":          {s: &sharing{op: both(20*us, 20*us), start: both(3*ms, 3*ms), headSleeps: 2 * us}, ratio: 1.1},
		"both wait a little":           {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), sleeps: us}, shares: true, ops: 2000, ratio: 1.05},
		"its timer is stopped":         {s: &sharing{op: both(15*us, 20*us), start: both(3*ms, 3*ms), aside: 5 * us}, ratio: 4. / 3},
		"on several processors":        {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms)}, change: func(b *BenchSpec) { b.Procs = 2 }, ratio: 1.05},
		"no processor to be pinned to": {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms)}, change: func(b *BenchSpec) { b.cpus = []int{} }, ratio: 1.05},
		"too few operations":           {s: &sharing{op: both(20*ms, 21*ms), start: both(3*ms, 3*ms)}, change: func(b *BenchSpec) { b.Ops = 3 }, ops: 3, ratio: 1.05},
		"operations that were given":   {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms)}, change: func(b *BenchSpec) { b.Ops = 900 }, shares: true, ops: 900, ratio: 1.05},
		"a time that was given":        {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms)}, change: func(b *BenchSpec) { b.Time = 20 * ms }, shares: true, ops: 1000, ratio: 1.05},
		"one port":                     {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), port: 3}, ratio: 1.05},
		"one port, used for long":      {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), port: 3, quick: "2x"}, ratio: 1.05},
		"a setup that waits":           {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), lasts: time.Second}, ratio: 1.05},
		"a rate of its own":            {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), rate: true}, ratio: 1.05},
		"operations that take no time": {s: &sharing{op: both(1, 1), start: both(3*ms, 3*ms)}, ratio: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := tc.s
				s.rng, s.most = map[string]*rand.Rand{"old": rand.New(rand.NewPCG(1, 2)), "old twin": rand.New(rand.NewPCG(3, 4)), "new": rand.New(rand.NewPCG(5, 6))}, map[int]int{}
				s.begun = map[time.Time]int{}
				s.load, s.lasts = cmp.Or(s.load, 1), cmp.Or(s.lasts, 100*ms)
				spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Blocks: 12, Procs: 1, Seed: 1, Deadline: time.Hour, cpus: []int{3, 5}, Twin: " twin",
					Base: BenchSide{Revision: "old"}, Head: BenchSide{Revision: "new"}, run: s.run, use: s.use}
				first, blocks := 0, 0 // orders before the second session, and before the layout
				spec.Layout = func(context.Context, int) (base, head BenchSide, err error) {
					blocks = len(s.orders)
					return spec.Base, spec.Head, nil
				}
				if tc.change != nil {
					tc.change(&spec)
				}
				m := FindBenchmarks(t.Context(), spec)
				if m.Facts != nil {
					t.Fatal(m.Facts)
				}
				d := m.Measure(t.Context(), 0, func(d *Difference, _ int) More {
					if len(d.Blocks) == blocksInSession {
						first, s.most = len(s.orders), map[int]int{}
					}
					return More{Time: len(d.Blocks) < spec.Blocks, Layouts: len(d.Blocks) == spec.Blocks && len(d.Layouts) < 1}
				})[0]
				if len(d.Blocks) != 12 || len(d.Layouts) != 1 {
					t.Fatalf("%+v", d)
				}
				for _, got := range []float64{d.Ratio.Value, d.Layouts[0]} {
					if math.Abs(got/tc.ratio-1) > 0.01 {
						t.Errorf("ratio %v, want %v: %v", got, tc.ratio, d.Layouts)
					}
				}
				if on := max(s.most[3], s.most[5]) == 3; on != tc.shares || !tc.shares && s.most[-1] != 1 {
					t.Errorf("processes at the same time, by processor: %v", s.most)
				}
				if says := strings.Contains(d.Audit[0].Detail, "at the same time on one processor"); says != tc.shares || (d.CPU.N == 0) != tc.shares {
					t.Errorf("it says %q, of the processor's time %v", d.Audit[0].Detail, d.CPU)
				}
				for i, o := range s.orders[first:blocks] {
					if o.times != fmt.Sprintf("%dx", cmp.Or(tc.ops, 1000)) || (o.deadline < 2*time.Hour) == tc.shares {
						t.Fatalf("process %d: %+v", i, o)
					}
				}
				for _, sample := range d.Samples {
					if want := float64(s.op["old"]); tc.shares && !sample.Head && math.Abs(sample.NS/want-1) > 0.02 {
						t.Fatalf("a sample of %v ns, want %v", sample.NS, want)
					}
					if speed := sample.Counts["MB/s"]; math.Abs(speed*sample.NS/1e6-1) > 0.001 {
						t.Fatalf("a sample of %v ns and %v MB/s", sample.NS, speed)
					}
				}
			})
		})
	}
}

// Most processes run on the processor that was the quickest lately, and some on the others.
func TestProcessesPreferTheQuickProcessor(t *testing.T) {
	const us = time.Microsecond
	for _, slow := range []int{3, 5} {
		s := &sharing{op: map[string]time.Duration{"old": 20 * us, "new": 20 * us}, slow: slow, most: map[int]int{}, begun: map[time.Time]int{}}
		spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Blocks: 60, Procs: 1, Seed: 1, cpus: []int{3, 5},
			Base: BenchSide{Revision: "old"}, Head: BenchSide{Revision: "new"}, run: s.run, use: s.use}
		l := newLeaf(FindBenchmarks(t.Context(), spec), "X")
		l.ops, l.shared = 1000, true
		on := map[int]int{}
		for range spec.Blocks {
			sides := l.sides()
			on[l.processes(t.Context(), sides[:])[0].order.cpu]++
		}
		if quick := 8 - slow; on[quick] < 45 || on[slow] < 2 {
			t.Errorf("processor %d is slow: blocks by processor: %v", slow, on)
		}
		s.unread = math.MaxInt // a process without a time is not a quick one
		sides := l.sides()
		if p := l.processes(t.Context(), sides[:])[0]; p.err == nil || l.lately[p.order.cpu] <= 0 {
			t.Errorf("error %v, ns per operation %v", p.err, l.lately)
		}
	}
}

// The ratio of a layout is that of many operations, also if garbage is collected once in some processes, and
// not at all or twice in others. The processes run for twice as long as the build took.
func TestLayoutsOfBenchmarksWithGarbage(t *testing.T) {
	for name, tc := range map[string]struct {
		ops    int // given by the caller
		builds time.Duration
		pairs  int
		off    [2]float64 // the least and the largest error of the ratio
	}{
		"numbers that are spread": {0, time.Second, mostOfLayout, [2]float64{0, 0.02}},
		"memory used at first":    {0, time.Second, mostOfLayout, [2]float64{0, 0.004}},
		"one number":              {1000, time.Second, mostOfLayout, [2]float64{0.1, 0.2}},
		"a quick build":           {0, 300 * time.Millisecond, 6, [2]float64{0, 0.2}},
		"a layout that was kept":  {0, 0, processesOfLayout, [2]float64{0, 0.2}},
	} {
		synctest.Test(t, func(t *testing.T) {
			op := map[string]time.Duration{"old": 20 * time.Microsecond, "new": 21 * time.Microsecond}
			s := &sharing{op: op, start: op, load: 1, lasts: 100 * time.Millisecond, most: map[int]int{}, begun: map[time.Time]int{}, garbage: map[string]int{"old": 1050, "new": 1000}}
			if name == "memory used at first" {
				s.garbage, s.first = nil, 6*time.Millisecond
			}
			spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Procs: 1, Ops: tc.ops, cpus: []int{3}, Base: BenchSide{Revision: "old"}, Head: BenchSide{Revision: "new"}, run: s.run, use: s.use}
			first := 0
			spec.Layout = func(context.Context, int) (base, head BenchSide, err error) {
				time.Sleep(tc.builds)
				first = len(s.orders)
				return spec.Base, spec.Head, nil
			}
			m := FindBenchmarks(t.Context(), spec)
			d := m.Measure(t.Context(), 0, func(d *Difference, _ int) More { return More{Layouts: len(d.Layouts) < 1} })[0]
			if n := len(s.orders) - first; n != 2*tc.pairs || len(d.Layouts) != 1 {
				t.Fatalf("%s: %d processes, %v", name, n, d.Layouts)
			}
			if off := math.Abs(d.Layouts[0] - 1.05); off < tc.off[0] || off > tc.off[1] {
				t.Errorf("%s: ratio %v", name, d.Layouts[0])
			}
			different := map[string]bool{}
			for _, o := range s.orders[first:] {
				different[o.times] = true
			}
			want := tc.pairs
			if tc.ops > 0 {
				want = 1
			}
			if len(different) != want {
				t.Errorf("%s: numbers of operations %v", name, different)
			}
		})
	}
}

var spun uint64

func spin() {
	for range 10_000_000 {
		spun = spun*6364136223846793005 + 1
	}
}

func BenchmarkSpin(b *testing.B) {
	for i := 0; i < b.N; i++ {
		spin()
	}
}

func BenchmarkSpinLoop(b *testing.B) {
	for b.Loop() {
		spin()
	}
}

// The processor time of the operations is most of that of a process that does little else, and benchmarks with
// b.Loop are run twice for that.
func TestProcessorTimeOfOperations(t *testing.T) {
	cpus := child.CPUs()
	if len(cpus) == 0 {
		t.Skip("this system does not tell the processor time of another process")
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		twice bool
		seen  bool // that it made operations
	}{"Spin": {false, true}, "Spin/twice": {true, true}, "SpinLoop": {false, false}, "SpinLoop/twice": {true, true}} {
		benchmark, _, _ := strings.Cut(name, "/")
		o := benchOrder{side: BenchSide{Binary: binary}, pattern: "^Benchmark" + benchmark + "$", times: "10x", procs: 1, pinned: true, cpu: cpus[0], twice: tc.twice}
		p, err := runBenchmark(t.Context(), o)
		if err != nil {
			t.Fatal(name, err)
		}
		if seen := p.ops > p.cpu/4; seen != tc.seen || p.ops < 0 || p.ops > p.cpu {
			t.Errorf("%s: %v of %v for operations", name, p.ops, p.cpu)
		}
	}
}

// A stopwatch measures the last benchmark, from the beginning of its name to the end of its line.
func TestStopwatch(t *testing.T) {
	type written struct {
		text string
		at   time.Duration // 0: the process is gone
	}
	const all = 100 * time.Millisecond // of the process
	ms := time.Millisecond
	for name, tc := range map[string]struct {
		lines []written
		want  time.Duration
	}{
		"one":                     {[]written{{"goos: linux\npkg: B\n", 3 * ms}, {"BenchmarkX-2 \t", 20 * ms}, {" 10\t 5 ns/op\n", 60 * ms}, {"PASS\n", 61 * ms}}, 40 * ms},
		"twice":                   {[]written{{"BenchmarkX \t", 40 * ms}, {" 10\t 5 ns/op\nBenchmarkX \t", 41 * ms}, {" 10\t 5 ns/op\n", 71 * ms}}, 30 * ms},
		"in parts":                {[]written{{"pk", ms}, {"g: x\nBen", 20 * ms}, {"chmarkX \t 1", 30 * ms}, {"0\t 5 ns/op", 50 * ms}, {"\nPA", 60 * ms}, {"SS\n", 70 * ms}}, 40 * ms},
		"gone before its result":  {[]written{{"BenchmarkX \t", 20 * ms}, {" 10\t 5 ns/op\nPASS\n", 0}}, 80 * ms},
		"gone before its name":    {[]written{{"BenchmarkX \t 10\t 5 ns/op\nPASS\n", 0}}, 0},
		"no benchmark":            {[]written{{"PASS\n", 20 * ms}}, 0},
		"a log of the benchmark":  {[]written{{"BenchmarkX \t", 20 * ms}, {" 10\t 5 ns/op\n--- BENCH: BenchmarkX\n    x_test.go:1: Busy\n", 60 * ms}, {"PASS\n", 90 * ms}}, 40 * ms},
		"name and result at once": {[]written{{"BenchmarkX \t 10\t 5 ns/op\n", 20 * ms}, {"PASS\n", 21 * ms}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var now time.Duration
			s := &stopwatch{clock: func() time.Duration { return now }}
			text := ""
			for _, w := range tc.lines {
				now = w.at
				_, _ = s.Write([]byte(w.text))
				text += w.text
			}
			if got := s.used(all); got != tc.want || s.text.String() != text {
				t.Errorf("%v, want %v; %q", got, tc.want, s.text.String())
			}
		})
	}
}

// A thread that hardly runs is ready while another one runs, and must not hide that this one waits.
func TestReadyThreads(t *testing.T) {
	const ms = time.Millisecond
	before := map[string]threadUse{"main": {10 * ms, 5 * ms}, "monitor": {ms, 7 * ms}}
	after := map[string]threadUse{"main": {40 * ms, 30 * ms}, "later": {3 * ms, 25 * ms}, "monitor": {2 * ms, 40 * ms}}
	if got := readyOf(before, after); got != 21*ms {
		t.Errorf("%v, want 21 ms", got)
	}
	if got := readyOf(nil, nil); got != 0 {
		t.Errorf("%v of no threads", got)
	}
	synctest.Test(t, func(t *testing.T) {
		s := &stopwatch{}
		uses := []map[string]threadUse{before, after}
		s.threads = func() map[string]threadUse { defer func() { uses = uses[1:] }(); return uses[0] }
		s.clock = func() time.Duration { return uses[0]["main"].ran }
		_, _ = s.Write([]byte("BenchmarkX \t"))
		time.Sleep(70 * ms)
		_, _ = s.Write([]byte(" 10\t 5 ns/op\n"))
		if want := 19 * ms; s.waited != want { // 70 ms, 30 of them running and 21 ready
			t.Errorf("it waited for %v, want %v", s.waited, want)
		}
	})
}
