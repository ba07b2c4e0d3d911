package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sharing simulates benchmarks on processors that other programs disturb.
type sharing struct {
	op, setup, start map[string]time.Duration // processor time by revision: of an operation, before the operations, and of the start of a process
	aside            time.Duration            // processor time of an operation while its timer is stopped
	sleeps           time.Duration            // time for which an operation waits
	load             float64                  // wall-clock time over processor time, because of other processes
	lasts            time.Duration            // wall-clock time of a process, simulated; 0: 100 ms
	port             int                      // number of processes beside each other of which each fails; 0: none do
	quick            string                   // benchtime of processes that do not fail
	noise            float64                  // standard deviation of the time of a start

	rng     map[string]*rand.Rand // by revision and binary, because the order of processes at the same time varies
	mu      sync.Mutex
	running int
	most    map[int]int // number of processes at the same time, by processor; -1: not pinned
	orders  []benchOrder
}

// use runs one process.
func (s *sharing) use(_ context.Context, o benchOrder) (u use, known bool) {
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
	s.mu.Unlock()
	time.Sleep(s.lasts)
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	ops, calls := 0, time.Duration(2)
	if _, err := fmt.Sscanf(o.times, "%dx", &ops); err != nil {
		ops = 1000
	}
	if ops == 1 {
		calls = 1
	}
	if ops > setupOps {
		noise = 1
	}
	at := o.side.Revision
	all := time.Duration(ops+int(calls)-1) * (s.op[at] + s.aside)
	u.cpu = time.Duration(noise*float64(s.start[at])) + calls*s.setup[at] + all
	u.busy = time.Duration(s.load * float64(u.cpu))
	u.ready = u.busy - u.cpu
	u.wall = u.busy + time.Duration(ops)*s.sleeps
	ns := s.load*float64(s.op[at]) + float64(s.sleeps)
	u.printed = map[string]Bench{"X": {NS: ns, Ops: ops, Counts: map[string]float64{"allocs/op": 1}}}
	return u, true
}

func (s *sharing) run(ctx context.Context, o benchOrder) (p benchProcess, err error) {
	u, _ := s.use(ctx, o)
	if s.port > 0 && s.most[o.cpu] >= s.port && o.pinned && o.times != s.quick {
		return p, errors.New("address already in use")
	}
	return benchProcess{printed: u.printed, cpu: u.cpu}, nil
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
		"starts that vary":             {s: &sharing{op: both(20*us, 20*us), start: both(8*ms, 8*ms), noise: 0.3}, shares: true, ops: 2000, ratio: 1},
		"a setup longer than the rest": {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), setup: both(40*ms, 40*ms)}, ratio: 1.05},
		"it waits":                     {s: &sharing{op: both(15*us, 20*us), start: both(3*ms, 3*ms), sleeps: 5 * us}, ratio: 1.25},
		"its timer is stopped":         {s: &sharing{op: both(15*us, 20*us), start: both(3*ms, 3*ms), aside: 5 * us}, ratio: 4. / 3},
		"on several processors":        {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms)}, change: func(b *BenchSpec) { b.Procs = 2 }, ratio: 1.05},
		"no processor to be pinned to": {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms)}, change: func(b *BenchSpec) { b.cpus = []int{} }, ratio: 1.05},
		"too few operations":           {s: &sharing{op: both(20*ms, 21*ms), start: both(3*ms, 3*ms)}, change: func(b *BenchSpec) { b.Ops = 3 }, ops: 3, ratio: 1.05},
		"operations that were given":   {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms)}, change: func(b *BenchSpec) { b.Ops = 900 }, shares: true, ops: 900, ratio: 1.05},
		"a time that was given":        {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms)}, change: func(b *BenchSpec) { b.Time = 20 * ms }, shares: true, ops: 1000, ratio: 1.05},
		"one port":                     {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), port: 3}, ratio: 1.05},
		"one port, used for long":      {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), port: 3, quick: "2x"}, ratio: 1.05},
		"a setup that waits":           {s: &sharing{op: both(20*us, 21*us), start: both(3*ms, 3*ms), lasts: time.Second}, ratio: 1.05},
		"operations that take no time": {s: &sharing{op: both(1, 1), start: both(3*ms, 3*ms)}, ratio: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := tc.s
				s.rng, s.most = map[string]*rand.Rand{"old": rand.New(rand.NewPCG(1, 2)), "old twin": rand.New(rand.NewPCG(3, 4)), "new": rand.New(rand.NewPCG(5, 6))}, map[int]int{}
				s.load, s.lasts = cmp.Or(s.load, 1), cmp.Or(s.lasts, 100*ms)
				spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Blocks: 12, Procs: 1, Seed: 1, Deadline: time.Hour, cpus: []int{3, 5}, Twin: " twin",
					Base: BenchSide{Revision: "old"}, Head: BenchSide{Revision: "new"}, run: s.run, use: s.use}
				spec.Layout = func(context.Context, int) (base, head BenchSide, err error) { return spec.Base, spec.Head, nil }
				if tc.change != nil {
					tc.change(&spec)
				}
				m := FindBenchmarks(t.Context(), spec)
				if m.Facts != nil {
					t.Fatal(m.Facts)
				}
				first := 0 // order of the second session
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
				if on := s.most[3] == 3 && s.most[5] == 3; on != tc.shares || !tc.shares && s.most[-1] != 1 {
					t.Errorf("processes at the same time, by processor: %v", s.most)
				}
				if says := strings.Contains(d.Audit[0].Detail, "at the same time on one processor"); says != tc.shares || (d.CPU.N == 0) != tc.shares {
					t.Errorf("it says %q, of the processor's time %v", d.Audit[0].Detail, d.CPU)
				}
				for i, o := range s.orders[first:] {
					if o.times != fmt.Sprintf("%dx", cmp.Or(tc.ops, 1000)) || (o.deadline < 2*time.Hour) == tc.shares {
						t.Fatalf("process %d: %+v", i, o)
					}
				}
				for _, sample := range d.Samples {
					if want := float64(s.op["old"]); tc.shares && !sample.Head && math.Abs(sample.NS/want-1) > 0.02 {
						t.Fatalf("a sample of %v ns, want %v", sample.NS, want)
					}
				}
			})
		})
	}
}

// While the binaries of one layout are measured, the next are built, and nothing is built after the
// measurement.
func TestTheNextLayoutIsBuiltMeanwhile(t *testing.T) {
	for name, cpus := range map[string][]int{"at the same time": {3}, "one after the other": {}} {
		synctest.Test(t, func(t *testing.T) {
			op := map[string]time.Duration{"old": 20 * time.Microsecond, "new": 20 * time.Microsecond}
			s := &sharing{op: op, start: op, load: 1, lasts: 100 * time.Millisecond, most: map[int]int{}}
			spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Procs: 1, cpus: cpus, Base: BenchSide{Revision: "old"}, Head: BenchSide{Revision: "new"}, run: s.run, use: s.use}
			var asked, meanwhile []int
			building := 0
			spec.Layout = func(ctx context.Context, n int) (base, head BenchSide, err error) {
				building++
				defer func() { building-- }()
				s.mu.Lock()
				asked = append(asked, n)
				s.mu.Unlock()
				for range 10 {
					s.mu.Lock()
					if s.running > 0 && (len(meanwhile) == 0 || meanwhile[len(meanwhile)-1] != n) {
						meanwhile = append(meanwhile, n)
					}
					s.mu.Unlock()
					select {
					case <-ctx.Done():
						return base, head, ctx.Err()
					case <-time.After(25 * time.Millisecond):
					}
				}
				base, head = spec.Base, spec.Head
				base.Binary, head.Binary = fmt.Sprint(n), fmt.Sprint(n)
				return base, head, nil
			}
			m := FindBenchmarks(t.Context(), spec)
			d := m.Measure(t.Context(), 0, func(d *Difference, _ int) More { return More{Layouts: len(d.Layouts) < 3} })[0]
			if building != 0 || len(d.Layouts) != 3 || len(d.Blocks) != 1 || len(d.Notes) != 0 {
				t.Errorf("%s: %d are built after the end; %v, %v", name, building, d.Layouts, d.Notes)
			}
			var measured []string
			for _, o := range s.orders {
				measured = append(measured, o.side.Binary)
			}
			if measured = slices.Compact(measured)[1:]; !slices.Equal(measured, []string{"1", "2", "3"}) {
				t.Errorf("%s: measured %v", name, measured)
			}
			want := [2]string{"[1 2 3 4]", "[2 3 4]"}
			if len(cpus) == 0 {
				want = [2]string{"[1 2 3]", "[]"}
			}
			if got := [2]string{fmt.Sprint(asked), fmt.Sprint(meanwhile)}; got != want {
				t.Errorf("%s: built %v, want %v", name, got, want)
			}
		})
	}
}
