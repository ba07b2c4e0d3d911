package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flujo/flujo-harness/harness/instructions"
)

// oddBinary is a test binary of oddBenchmarks, built by the first test that needs it; TestMain removes it.
var oddBinary struct {
	once sync.Once
	dir  string
	said []byte
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if oddBinary.dir != "" {
		_ = os.RemoveAll(oddBinary.dir)
	}
	os.Exit(code)
}

// oddSide returns the test binary of oddBenchmarks, without debug information, as compare builds it.
func oddSide(t *testing.T) BenchSide {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	b := &oddBinary
	b.once.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "flujo-odd-benchmarks-"); b.err != nil {
			return
		}
		for name, text := range map[string]string{"go.mod": "module example.org/x\n\ngo 1.24\n", "x_test.go": oddBenchmarks} {
			if b.err = os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); b.err != nil {
				return
			}
		}
		build := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-o", "x.test", ".")
		build.Dir = b.dir
		b.said, b.err = build.CombinedOutput()
	})
	if b.err != nil {
		t.Fatalf("%v: %s", b.err, b.said)
	}
	return BenchSide{Revision: "one", Binary: filepath.Join(b.dir, "x.test"), Dir: b.dir}
}

const oddBenchmarks = `package x

import (
	"testing"
	"time"
)

var kept uint64

func hot(n int) {
	for i := 0; i < n; i++ {
		kept ^= kept<<13 + uint64(i)
	}
}

func BenchmarkSub(b *testing.B) {
	b.Run("a b/c(1)", func(b *testing.B) {
		for i := 0; i < b.N; i++ {
			hot(10000)
		}
	})
}

func BenchmarkOnce(b *testing.B) {
	if b.N > 1 {
		b.Fatal("can run once only")
	}
	hot(10000000)
}

func BenchmarkSleeps(b *testing.B) {
	for i := 0; i < b.N; i++ {
		time.Sleep(100 * time.Millisecond)
	}
}

func BenchmarkHangs(b *testing.B) { select {} }

func init() { go func() { for { time.Sleep(time.Hour) } }() }
`

// countOnce asks for the first counts, and for no more.
func countOnce(d *Difference, _ int) More {
	return More{Instructions: len(d.Instructions.Base) == 0 && d.Instructions.Problem == ""}
}

// The instructions of one operation are the same in every process, of a sub-benchmark by
// itself, and of one that cannot make two.
// compareBenchmarks finds the benchmarks of a function and measures them.
func compareBenchmarks(ctx context.Context, spec BenchSpec, next func(*Difference, int) More) (all []*Difference, only [2][]string) {
	b := FindBenchmarks(ctx, spec)
	return b.Measure(ctx, spec.Budget, next), b.Only
}

func TestInstructionsOfAnOperationAreCounted(t *testing.T) {
	tool, err := instructions.Find(t.Context())
	if errors.Is(err, instructions.ErrNone) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	side := oddSide(t)
	for name, low := range map[string]float64{"BenchmarkSub": 10_000, "BenchmarkOnce": 10_000_000} {
		spec := BenchSpec{Package: "x", Benchmark: name, Base: side, Head: side, Twin: side.Binary, Blocks: 1, Counter: tool, Procs: 2}
		all, only := compareBenchmarks(t.Context(), spec, countOnce)
		if len(all) != 1 || len(only[0])+len(only[1]) != 0 {
			t.Fatalf("%s: %d differences, only %q", name, len(all), only)
		}
		c := all[0].Instructions
		if c == nil || c.Problem != "" || len(c.Base) != 2 || len(c.Head) != 2 || c.Base[0] < low || c.Base[0] > 30*low || c.Waits > mostWaiting {
			t.Fatalf("%s: %+v, not compared: %q", name, c, all[0].NotCompared)
		}
		if ratio := c.Head[0] / c.Base[0]; math.Abs(ratio-1) > 0.02 {
			t.Errorf("%s: the same binary executes %v of the instructions: %+v", name, ratio, c)
		}
	}
}

// What waits is not judged by what it executes: it is not counted.
func TestWhatWaitsIsNotCounted(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("waiting is known on Linux")
	}
	side := oddSide(t)
	spec := BenchSpec{Package: "x", Benchmark: "BenchmarkSleeps", Base: side, Head: side, Twin: side.Binary, Blocks: 1, Counter: &instructions.Tool{Name: "valgrind"},
		count: func(context.Context, benchOrder) (float64, error) { t.Error("counted"); return 1, nil }}
	all, _ := compareBenchmarks(t.Context(), spec, countOnce)
	if all[0].Instructions.Waits <= mostWaiting || !strings.Contains(all[0].Instructions.Problem, "waits for ") {
		t.Errorf("%+v", all[0].Instructions)
	}
}

// A process has a deadline, and a benchmark that reaches it is named.
func TestAHangingBenchmarkIsNamed(t *testing.T) {
	side := oddSide(t)
	spec := BenchSpec{Package: "x", Benchmark: "BenchmarkHangs", Base: side, Head: side, Twin: side.Binary, Deadline: 200 * time.Millisecond}
	all, _ := compareBenchmarks(t.Context(), spec, func(*Difference, int) More { return More{Time: true} })
	if len(all) != 1 || !strings.Contains(all[0].NotCompared, "fails at the base: BenchmarkHangs at one: no end within 200ms") {
		t.Errorf("%+v", all)
	}
}

// A program that the tool cannot run is timed all the same, and it is said why it was not counted.
func TestWhatCannotBeCountedIsTimed(t *testing.T) {
	var counts atomic.Int32
	spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Blocks: 6, Procs: 1, Counter: &instructions.Tool{Name: "valgrind"},
		run: func(context.Context, benchOrder) (benchProcess, error) {
			return benchProcess{printed: map[string]Bench{"X": {NS: 100, Ops: 100}}}, nil
		},
		count: func(context.Context, benchOrder) (float64, error) {
			counts.Add(1)
			return 0, fmt.Errorf("the process failed: %w", &exec.ExitError{})
		},
		use: func(context.Context, benchOrder) (use, bool) { return use{}, true }}
	all, _ := compareBenchmarks(t.Context(), spec, func(*Difference, int) More { return More{Time: true, Instructions: true} })
	if len(all) != 1 || len(all[0].Blocks) != 6 || !strings.Contains(all[0].Instructions.Problem, "cannot be run under valgrind") || counts.Load() != 9 { // 8 at once, and one alone
		t.Errorf("%d counts, %+v", counts.Load(), all[0])
	}
}

// An operation that is too long, or allocates much, is counted little or not at all.
func TestSizesOfCounts(t *testing.T) {
	for name, tc := range map[string]struct {
		c     counting
		ops   int
		sizes [2]string
		says  string
	}{
		"quick":     {counting{ns: 500}, 40_000, [2]string{"2x", "40002x"}, ""},
		"empty":     {counting{ns: 0}, 40_000_000, [2]string{"2x", "40000002x"}, ""},
		"allocates": {counting{ns: 500, bytes: 1 << 20}, 256, [2]string{"2x", "258x"}, ""},
		"slow":      {counting{ns: 10e6}, 2, [2]string{"2x", "4x"}, ""},
		"slower":    {counting{ns: 100e6}, 1, [2]string{"", "1x"}, ""},
		"slowest":   {counting{ns: 3e9}, 0, [2]string{}, "takes 3s: too long"},
		"once":      {counting{ns: 500, once: true}, 1, [2]string{"", "1x"}, ""},
	} {
		tc.c.tool, tc.c.result = &instructions.Tool{}, &Instructions{}
		if tc.c.prepare(); tc.c.result.Ops != tc.ops || tc.c.sizes != tc.sizes || !strings.Contains(tc.c.result.Problem, tc.says) || (tc.says == "") != (tc.c.result.Problem == "") {
			t.Errorf("%s: %+v of %q", name, tc.c.result, tc.c.sizes)
		}
	}
}

// Waiting is what is left of the time when that of the start is subtracted, and on a busy
// machine more operations are counted than the clock alone would allow.
func TestWaitingAndLoadAreToldApart(t *testing.T) {
	for name, tc := range map[string]struct {
		all, start use
		waits      float64
		ops        int
	}{
		"idle":    {use{wall: 64e6, busy: 63e6, cpu: 63e6}, use{wall: 4e6, busy: 4e6, cpu: 3e6}, 0.02, 2000},
		"waits":   {use{wall: 64e6, busy: 6e6, cpu: 5e6}, use{wall: 4e6, busy: 4e6, cpu: 4e6}, 0.97, 2000 * 50},
		"loaded":  {use{wall: 640e6, busy: 638e6, cpu: 7e6}, use{wall: 40e6, busy: 40e6, cpu: 4e6}, 0, 2000 * 20},
		"unknown": {use{}, use{}, 0, 2000},
		"short":   {use{wall: 5e6, busy: 4e6, cpu: 4e6}, use{wall: 4e6, busy: 4e6, cpu: 4e6}, 0, 2000},
	} {
		c := counting{tool: &instructions.Tool{}, result: &Instructions{}, ns: 10_000, order: func(int) benchOrder { return benchOrder{pattern: "X"} },
			use: func(_ context.Context, o benchOrder) (use, bool) {
				if o.pattern == "^$" {
					return tc.start, true
				}
				return tc.all, true
			}}
		c.prepare()
		c.waiting(t.Context())
		if math.Abs(c.result.Waits-tc.waits) > 0.01 || c.result.Ops != tc.ops {
			t.Errorf("%s: waits for %v, %d operations; want %v and %d", name, c.result.Waits, c.result.Ops, tc.waits, tc.ops)
		}
	}
}

// On a busy machine one look may show an operation that keeps the processor busy as one that
// waits. Looks that failed are no fact about the operation.
func TestAnOperationThatSeemedToWaitOnceIsCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		good    int // looks from this one on show that it does not wait
		known   bool
		waits   float64
		unknown bool
	}{"once": {2, true, 0, false}, "twice": {3, true, 0, false}, "always": {100, true, 1, false}, "unknown": {0, false, 1, true}} {
		looks := 0
		c := counting{tool: &instructions.Tool{}, result: &Instructions{}, ns: 10_000, order: func(int) benchOrder { return benchOrder{pattern: "X"} },
			use: func(_ context.Context, o benchOrder) (use, bool) {
				if o.pattern == "^$" {
					return use{wall: 4e6, busy: 4e6, cpu: 3e6}, tc.known
				}
				if looks++; looks < tc.good {
					return use{wall: 64e6, busy: 4e6, cpu: 63e6}, tc.known
				}
				return use{wall: 64e6, busy: 64e6, cpu: 63e6}, tc.known
			}}
		c.prepare()
		if c.waiting(t.Context()); c.result.Waits != tc.waits || c.unknown != tc.unknown {
			t.Errorf("%s: waits for %v, unknown %v; want %v, %v", name, c.result.Waits, c.unknown, tc.waits, tc.unknown)
		}
	}
}

// Other layouts of the binaries are built and measured where the judge asks for them.
func TestLayoutsAreMeasuredWhereAsked(t *testing.T) {
	spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Blocks: 12, Procs: 1, Base: BenchSide{Binary: "base"}, Head: BenchSide{Binary: "head"}}
	spec.run = func(_ context.Context, o benchOrder) (benchProcess, error) {
		ns := map[string]float64{"base": 100, "head": 110, "base1": 100, "head1": 101, "base2": 100, "head2": 99}[o.side.Binary]
		return benchProcess{printed: map[string]Bench{"X": {NS: ns, Ops: 10}}}, nil
	}
	spec.Twin = "base"
	spec.Layout = func(_ context.Context, n int) (base, head BenchSide, err error) {
		return BenchSide{Binary: fmt.Sprint("base", n)}, BenchSide{Binary: fmt.Sprint("head", n)}, nil
	}
	twoLayouts := func(d *Difference, _ int) More { return More{Layouts: len(d.Layouts) < 2} }
	all, _ := compareBenchmarks(t.Context(), spec, twoLayouts)
	if fmt.Sprint(all[0].Layouts) != "[1.01 0.99]" || len(all[0].Blocks) != 1 {
		t.Errorf("%v after %d blocks", all[0].Layouts, len(all[0].Blocks))
	}
	for _, mute := range []string{"base2", "head2"} { // prints no time
		one := spec
		one.run = func(ctx context.Context, o benchOrder) (benchProcess, error) {
			p, err := spec.run(ctx, o)
			if o.side.Binary == mute {
				p.printed = map[string]Bench{"X": {Ops: 10}}
			}
			return p, err
		}
		if all, _ := compareBenchmarks(t.Context(), one, twoLayouts); fmt.Sprint(all[0].Layouts) != "[1.01]" {
			t.Errorf("%s prints no time: %v", mute, all[0].Layouts)
		}
	}
}

// Where other programs slow down half of the processes, the quickest of more processes count, in
// blocks and in layouts. On a quiet machine a block has three processes.
func TestTheQuickestOfMoreProcessesCounts(t *testing.T) {
	for name, tc := range map[string]struct {
		slower float64 // a disturbed process
		most   int     // processes of a side in the last block
	}{"quiet": {1.02, 1}, "disturbed": {1.8, mostProcesses}} {
		rng := rand.New(rand.NewPCG(1, 2))
		runs := map[string]int{}
		spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Blocks: 60, Procs: 1, Ops: 10, Twin: "twin", cpus: []int{}, Base: BenchSide{Binary: "base"}, Head: BenchSide{Binary: "head"}}
		spec.run = func(_ context.Context, o benchOrder) (benchProcess, error) {
			runs[o.side.Binary]++
			ns := map[string]float64{"head": 105, "head1": 107}[o.side.Binary]
			if ns == 0 {
				ns = 100
			}
			if o.side.Binary != "base1" && rng.IntN(2) == 0 {
				ns *= tc.slower
			}
			cpu := 100 * time.Millisecond
			switch {
			case o.pattern == "^$":
				cpu = 0
			case o.side.Binary == "head":
				cpu = time.Duration(ns * float64(time.Millisecond))
			}
			return benchProcess{printed: map[string]Bench{"X": {NS: ns, Ops: 10}}, cpu: cpu}, nil
		}
		spec.Layout = func(context.Context, int) (base, head BenchSide, err error) {
			return BenchSide{Binary: "base1"}, BenchSide{Binary: "head1"}, nil
		}
		all, _ := compareBenchmarks(t.Context(), spec, func(d *Difference, _ int) More {
			return More{Time: len(d.Blocks) < spec.Blocks, Layouts: len(d.Blocks) == spec.Blocks && len(d.Layouts) < 1}
		})
		d := all[0]
		samples := map[bool]int{}
		for _, s := range d.Samples {
			samples[s.Head]++
		}
		last := d.Blocks[len(d.Blocks)-1]
		if want := max(processesOfLayout, tc.most); runs["head1"] != want || runs["base1"] != want {
			t.Errorf("%s: %v, want %d of a layout", name, runs, want)
		}
		if many := runs["head"] > 1+spec.Blocks; many != (tc.most > 1) || runs["head"] != 1+samples[true] || runs["base"]+runs["twin"] != 3+samples[false] {
			t.Errorf("%s: %v, samples %v", name, runs, samples)
		}
		if tc.most > 1 && (math.Abs(last.Ratio-1.05) > 1e-9 || last.Twin != 1 || last.BaseNS != 100 || math.Abs(last.CPU-1.05) > 1e-9 || math.Abs(d.Layouts[0]-1.07) > 1e-9) {
			t.Errorf("%s: %+v, layouts %v", name, last, d.Layouts)
		}
		if says := d.Audit[0].Detail; !strings.Contains(says, fmt.Sprintf("the quickest of %d ", tc.most)) {
			t.Errorf("%s: %q", name, says)
		}
	}
}

// Eight processes are counted at once, fewer if they allocate much.
func TestCountedAtOnce(t *testing.T) {
	for bytes, want := range map[float64]int64{0: 8, 1e3: 8, 16e6: 6, 25e6: 4, 1e12: 2} {
		synctest.Test(t, func(t *testing.T) {
			var here atomic.Int64
			release := make(chan struct{})
			c := counting{result: &Instructions{Waits: 0, Ops: 10}, tool: &instructions.Tool{Name: "valgrind"}, bytes: bytes, sizes: [2]string{"2x", "12x"},
				order: func(int) benchOrder { return benchOrder{} },
				use: func(context.Context, benchOrder) (use, bool) {
					return use{wall: time.Second, busy: time.Second, cpu: time.Second}, true
				},
				count: func(_ context.Context, o benchOrder) (float64, error) {
					here.Add(1)
					<-release
					return map[string]float64{"2x": 100, "12x": 200}[o.times], nil
				}}
			done := make(chan struct{})
			go func() {
				c.more(t.Context())
				close(done)
			}()
			synctest.Wait()
			if n := here.Load(); n != want {
				t.Errorf("%v bytes: %d at once, want %d", bytes, n, want)
			}
			close(release)
			<-done
			if len(c.result.Base) != firstCounts {
				t.Errorf("%+v", c.result)
			}
		})
	}
}

// Processes that fail beside each other are counted one after the other, then and later. A process
// that fails alone, too, is not counted again.
func TestCountedOneAfterTheOther(t *testing.T) {
	for name, tc := range map[string]struct {
		alone   bool // it succeeds alone
		problem string
	}{"one port": {true, ""}, "it always fails": {false, "it cannot be run under valgrind"}} {
		synctest.Test(t, func(t *testing.T) {
			var here, made atomic.Int64
			c := counting{result: &Instructions{Waits: 0, Ops: 10}, tool: &instructions.Tool{Name: "valgrind"}, sizes: [2]string{"2x", "12x"},
				order: func(int) benchOrder { return benchOrder{} },
				use: func(context.Context, benchOrder) (use, bool) {
					return use{wall: time.Second, busy: time.Second, cpu: time.Second}, true
				},
				count: func(_ context.Context, o benchOrder) (float64, error) {
					made.Add(1)
					beside := here.Add(1) > 1
					time.Sleep(time.Second)
					defer here.Add(-1)
					if beside || !tc.alone {
						return 0, errors.New("address already in use")
					}
					return map[string]float64{"2x": 100, "12x": 200}[o.times], nil
				}}
			c.more(t.Context())
			if !strings.Contains(c.result.Problem, tc.problem) || (c.result.Problem == "") != tc.alone || len(c.result.Base) != 2 && tc.alone {
				t.Errorf("%s: %+v", name, c.result)
			}
			if !tc.alone {
				if n := made.Load(); n != 9 { // all at once, and the first once more
					t.Errorf("%s: %d processes", name, n)
				}
				return
			}
			made.Store(0)
			if c.more(t.Context()); c.result.Problem != "" || len(c.result.Base) != 3 || made.Load() != 2 {
				t.Errorf("%s: %d further processes, %+v", name, made.Load(), c.result)
			}
		})
	}
}
