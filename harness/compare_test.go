package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// clockwork is a clock that only the subjects advance, by durations with seeded noise.
type clockwork struct {
	at  time.Time
	rng *rand.Rand
}

func newClockwork() *clockwork {
	return &clockwork{time.Unix(0, 0), rand.New(rand.NewPCG(1, 2))}
}

// now takes 20 ns itself, so that a busy wait ends.
func (c *clockwork) now() time.Time {
	c.at = c.at.Add(20)
	return c.at
}

func (c *clockwork) subject(name string, took time.Duration) Subject {
	return Func(name, func() error {
		c.at = c.at.Add(time.Duration(float64(took) * math.Exp(0.02*c.rng.NormFloat64())))
		return nil
	})
}

func quickPlan(c *clockwork) ComparePlan {
	return ComparePlan{Name: "made up", Sessions: 3, Blocks: 3, Rounds: 5, Seed: 3, now: c.now}
}

func TestCompareFindsTheRatio(t *testing.T) {
	c := newClockwork()
	all, err := Compare(t.Context(), quickPlan(c), c.subject("base", 10_000), c.subject("same", 10_000), c.subject("slower", 12_000))
	if err != nil || len(all) != 2 {
		t.Fatalf("%d differences, %v", len(all), err)
	}
	for i, want := range []float64{1, 1.2} {
		d := all[i]
		if d.Problem != "" || !d.Complete || len(d.Blocks) != 9 || math.Abs(d.Ratio.Value-want) > 0.01 {
			t.Errorf("%s: ratio %v, %d blocks, problem %q; want %v", d.Head, d.Ratio, len(d.Blocks), d.Problem, want)
		}
		for _, b := range d.Blocks {
			if math.Abs(b.Twin-1) > 0.03 || math.Abs(b.Slow/want-1.25) > 0.03 {
				t.Errorf("%s: twin %v, slowed %v", d.Head, b.Twin, b.Slow)
			}
		}
		if len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "one process") {
			t.Errorf("notes %q", d.Notes)
		}
	}
}

func TestCompareStopsWhereThereIsEnough(t *testing.T) {
	c := newClockwork()
	p := quickPlan(c)
	p.Enough = func(all []*Difference) bool {
		judgeable(t, all...)
		return len(all[0].Blocks) >= 6
	}
	all, err := Compare(t.Context(), p, c.subject("a", 10_000), c.subject("b", 10_000))
	if err != nil || len(all[0].Blocks) != 6 {
		t.Errorf("%d blocks, %v", len(all[0].Blocks), err)
	}
}

// Two sessions are made whatever the budget.
func TestCompareKeepsToItsBudget(t *testing.T) {
	for budget, want := range map[time.Duration]int{1: 6, time.Hour: 9} {
		c := newClockwork()
		p := quickPlan(c)
		p.Budget = budget
		all, err := Compare(t.Context(), p, c.subject("a", 10_000), c.subject("b", 10_000))
		if err != nil || len(all[0].Blocks) != want || !all[0].Complete {
			t.Errorf("%v: %d blocks, %v", budget, len(all[0].Blocks), err)
		}
	}
}

// judgeable demands what a judge needs of differences that still grow: one without an
// audit is invalid, which would end the measurement.
func judgeable(t *testing.T, all ...*Difference) {
	t.Helper()
	for _, d := range all {
		if len(d.Audit) == 0 || !d.Audit[0].OK || d.Ratio.N != len(d.Blocks) {
			t.Errorf("after %d blocks: audit %v, ratio %v", len(d.Blocks), d.Audit, d.Ratio)
		}
	}
}

func TestBenchmarksAreComparedUntilThereIsEnough(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	looks, processes := 0, 0
	spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Blocks: 60, Seed: 1, Procs: 1, Base: BenchSide{Revision: "old"}, Head: BenchSide{Revision: "new"},
		run: func(_ context.Context, o benchOrder) (benchProcess, error) {
			processes++
			took := map[string]float64{"old": 100, "new": 130}[o.side.Revision]
			return benchProcess{printed: map[string]Bench{
				"X":     {NS: took * math.Exp(0.02*rng.NormFloat64()), Ops: 1000, Counts: map[string]float64{"allocs/op": 2, "B/op": float64(64 + processes%2)}},
				"X/sub": {NS: 100, Ops: 50}, "X/only-" + o.side.Revision: {NS: 9}}, cpu: time.Duration(took * 1e5)}, nil
		}}
	all, only := compareBenchmarks(t.Context(), spec, func(d *Difference, of int) More {
		judgeable(t, d)
		if of != 2 {
			t.Errorf("one of %d", of)
		}
		looks++
		return More{Time: looks%5 != 0}
	})
	if len(all) != 2 || len(all[0].Blocks) != 24 || len(all[1].Blocks) != 24 || math.Abs(all[0].Ratio.Value-1.3) > 0.03 || all[0].Name != "p.X" || !all[0].Complete ||
		len(all[0].Counts) != 2 || all[0].Counts[1] != (Count{"allocs/op", 2, 2, 2, 2, 48, 24}) || all[0].Counts[0].BaseHigh <= all[0].Counts[0].BaseLow || len(all[1].Counts) != 0 {
		t.Errorf("%d differences: %+v", len(all), all[0])
	}
	if only[0] == nil || only[0][0] != "X/only-old" || len(only[0]) != 1 || len(only[1]) != 1 || only[1][0] != "X/only-new" {
		t.Errorf("on one side only: %v", only)
	}
	if len(all[0].Audit) != 1 || !strings.HasPrefix(all[0].Audit[0].Detail, "24 blocks") {
		t.Errorf("audit %v", all[0].Audit)
	}
}

func TestCompareTellsFaultsOfSubjects(t *testing.T) {
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		subjects func(c *clockwork) []Subject
		want     string
	}{
		"an operation fails": {func(c *clockwork) []Subject {
			n := 0
			return []Subject{c.subject("a", 10_000), Func("b", func() error {
				c.at = c.at.Add(10_000)
				if n++; n > 3000 {
					return boom
				}
				return nil
			})}
		}, `subject "b": boom`},
		"unequal work": {func(c *clockwork) []Subject {
			a, b := c.subject("a", 10_000), c.subject("b", 10_000)
			a.Digest, b.Digest = func() uint64 { return 1 }, func() uint64 { return 2 }
			return []Subject{a, b}
		}, `session 1: block 1: round 1: subject "b (slowed)" made something else than the others`},
		"dead code": {func(c *clockwork) []Subject {
			return []Subject{c.subject("a", 10_000), Func("b", func() error { return nil })}
		}, "below the floor"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClockwork()
			all, err := Compare(t.Context(), quickPlan(c), tc.subjects(c)...)
			if err != nil || !strings.Contains(all[0].Problem, tc.want) || all[0].Complete {
				t.Errorf("problem %q, error %v; want %q", all[0].Problem, err, tc.want)
			}
		})
	}
}

func TestBadComparisonsAreRefused(t *testing.T) {
	ok := Func("a", func() error { return nil })
	for name, tc := range map[string]struct {
		plan     ComparePlan
		subjects []Subject
	}{
		"no name":        {ComparePlan{}, []Subject{ok, Func("b", nil)}},
		"one subject":    {ComparePlan{Name: "x"}, []Subject{ok}},
		"name of a copy": {ComparePlan{Name: "x"}, []Subject{ok, Func("a (twin)", nil)}},
		"twice":          {ComparePlan{Name: "x"}, []Subject{ok, ok}},
		"nothing opens":  {ComparePlan{Name: "x"}, []Subject{ok, {Name: "b"}}},
		"one session":    {ComparePlan{Name: "x", Sessions: 1}, []Subject{ok, Func("b", nil)}},
		"bad slow-down":  {ComparePlan{Name: "x", SlowBy: math.NaN()}, []Subject{ok, Func("b", nil)}},
		"negative round": {ComparePlan{Name: "x", Rounds: -1}, []Subject{ok, Func("b", nil)}},
	} {
		if _, err := Compare(t.Context(), tc.plan, tc.subjects...); !errors.Is(err, ErrBadComparison) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnInterruptedComparisonKeepsWhatItHas(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newClockwork()
	p := quickPlan(c)
	p.Enough = func([]*Difference) bool { cancel(); return false }
	all, err := Compare(ctx, p, c.subject("a", 10_000), c.subject("b", 10_000))
	if err != nil || all[0].Complete || len(all[0].Blocks) != 6 {
		t.Errorf("complete %v, %d blocks, %v", all[0].Complete, len(all[0].Blocks), err)
	}
}

// Every session runs in a process of its own, which comes to the second comparison
// past the first.
func TestCompareInProcesses(t *testing.T) {
	work := func(n int) func() error {
		return func() error {
			x := uint64(n)
			for range n {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
			}
			if x == 0 {
				return errors.New("unreachable")
			}
			return nil
		}
	}
	for _, name := range []string{"first", "second"} {
		isChild := os.Getenv(childVariable) != ""
		p := ComparePlan{Name: name, Sessions: 2, Blocks: 1, Rounds: 2, Exec: TestProcess(t.Name()), TimeOnly: true}
		all, err := Compare(t.Context(), p, Func("base", work(2000)), Func("head", work(6000)))
		if errors.Is(err, ErrOtherComparison) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		d := all[0]
		if isChild {
			t.Fatal("a child went on behind its session")
		}
		if d.Problem != "" || len(d.Blocks) != 2 || d.Blocks[1].Session != 2 || len(d.Notes) != 0 {
			t.Errorf("%s: %d blocks, problem %q, notes %q", name, len(d.Blocks), d.Problem, d.Notes)
		}
	}
	p := ComparePlan{Name: "nowhere", Sessions: 2, Exec: TestProcess("TestThatIsNot")}
	if _, err := Compare(t.Context(), p, Func("base", work(2000)), Func("head", work(2000))); err == nil || !strings.Contains(err.Error(), "came to no comparison") {
		t.Errorf("a process that does not come here: %v", err)
	}
}

func TestSamplesOfOthers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	sample := func(n int, mid float64) (v []float64) {
		for range n {
			v = append(v, mid*math.Exp(0.01*rng.NormFloat64()))
		}
		return v
	}
	d, err := FromSamples("x", sample(100, 1000), sample(100, 1100))
	if err != nil || len(d.Blocks) != 20 || d.Blocks[19].Session != 4 || math.Abs(d.Ratio.Value-1.1) > 0.01 || len(d.Notes) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	for name, bad := range map[string][2][]float64{
		"few":      {sample(49, 1), sample(49, 1)},
		"unequal":  {sample(60, 1), sample(61, 1)},
		"zero":     {append(sample(60, 1), 0), sample(61, 1)},
		"NaN":      {sample(61, 1), append(sample(60, 1), math.NaN())},
		"infinite": {sample(61, 1), append(sample(60, 1), math.Inf(1))},
	} {
		if _, err := FromSamples("x", bad[0], bad[1]); !errors.Is(err, ErrBadSamples) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a benchmark does itself is no fault of the measurement, and nothing of it is held
// without a measurement: it is in the differences, or in one of the lists.
func TestWhatBenchmarksDoStandsInTheDifference(t *testing.T) {
	failed := fmt.Errorf("the process failed: %w", &exec.ExitError{})
	good := map[string]Bench{"X": {NS: 100}}
	calls := 0
	for name, tc := range map[string]struct {
		base, head func() (map[string]Bench, error)
		problem    string
		headFails  string
		not        string
		only       [2]int
		blocks     int
	}{
		"skipped at both":  {base: prints(nil, ErrNoBenchmark), head: prints(nil, ErrNoBenchmark), not: "no result was printed"},
		"skipped at head":  {base: prints(good, nil), head: prints(nil, ErrNoBenchmark), only: [2]int{1, 0}},
		"skipped at base":  {base: prints(nil, ErrNoBenchmark), head: prints(good, nil), only: [2]int{0, 1}},
		"fails at base":    {base: prints(nil, failed), head: prints(good, nil), not: "fails at the base"},
		"fails at head":    {base: prints(good, nil), head: prints(nil, failed), headFails: "BenchmarkX at new: "},
		"fails at both":    {base: prints(nil, failed), head: prints(nil, failed), not: "fails at the base"},
		"cannot be run":    {base: prints(good, nil), head: prints(nil, exec.ErrNotFound), problem: exec.ErrNotFound.Error()},
		"prints no time":   {base: prints(map[string]Bench{"X": {Counts: map[string]float64{"p99-ns": 50}}}, nil), head: prints(map[string]Bench{"X": {Counts: map[string]float64{"p99-ns": 500}}}, nil), not: "no ns/op"},
		"has no body left": {base: prints(map[string]Bench{"X": {NS: 0.2}}, nil), head: prints(map[string]Bench{"X": {NS: 0.2}}, nil), not: "below the floor", blocks: 12},
		"names differ in each process": {base: func() (map[string]Bench, error) {
			calls++
			return map[string]Bench{fmt.Sprint("X/pid-", calls): {NS: 100}}, nil
		}, head: prints(map[string]Bench{"X/pid-0": {NS: 100}}, nil), only: [2]int{2, 1}},
		"names change places": {base: func() (map[string]Bench, error) {
			calls++
			return map[string]Bench{"X/" + string(rune('a'+calls%2)): {NS: 100}}, nil
		}, head: prints(map[string]Bench{"X/c": {NS: 100}}, nil), only: [2]int{-1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			calls = 0
			spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Blocks: 12, Seed: 1, Base: BenchSide{Revision: "old"}, Head: BenchSide{Revision: "new"},
				run: func(_ context.Context, o benchOrder) (p benchProcess, err error) {
					if o.side.Revision == "new" {
						p.printed, err = tc.head()
					} else {
						p.printed, err = tc.base()
					}
					return p, err
				}}
			all, only := compareBenchmarks(t.Context(), spec, func(*Difference, int) More { return More{Time: true} })
			for i, want := range tc.only {
				if want >= 0 && len(only[i]) != want || want < 0 && len(only[i]) == 0 {
					t.Errorf("on side %d only: %q, want %d", i, only[i], want)
				}
			}
			if want := tc.problem + tc.headFails + tc.not; want == "" {
				if len(all) != 0 {
					t.Errorf("differences %+v", all[0])
				}
				return
			}
			if len(all) != 1 {
				t.Fatalf("%d differences", len(all))
			}
			d := all[0]
			for _, is := range []struct{ is, want string }{{d.Problem, tc.problem}, {d.HeadFails, tc.headFails}, {d.NotCompared, tc.not}} {
				if (is.want == "") != (is.is == "") || !strings.Contains(is.is, is.want) {
					t.Errorf("%q, want %q", is.is, is.want)
				}
			}
			if len(d.Blocks) != tc.blocks {
				t.Errorf("%d blocks, want %d", len(d.Blocks), tc.blocks)
			}
		})
	}
}

// One process that fails, or that a busy machine holds up beyond its deadline, shows nothing of
// the program: only what fails again and again does.
func TestAFailureIsConfirmed(t *testing.T) {
	exits, hangs := fmt.Errorf("the process failed: %w", &exec.ExitError{}), fmt.Errorf("%w within 5s", errHangs)
	for name, tc := range map[string]struct {
		side         string
		err          error
		from, to     int // processes of the side that fail
		not, fails   string
		cancelBefore int // the time is over before this process of the side
	}{
		"head, once":           {side: "new", err: exits, from: 4, to: 4, not: "it fails in some processes and not in others: 1 of 2 failed: X at new"},
		"head hangs, once":     {side: "new", err: hangs, from: 4, to: 4, not: "1 of 2 failed: X at new, block 3: no end within 5s"},
		"head, twice":          {side: "new", err: exits, from: 4, to: 5, not: "2 of 3 failed"},
		"head, at first":       {side: "new", err: hangs, from: 1, to: 1, not: "1 of 2 failed: BenchmarkX at new"},
		"head, from some time": {side: "new", err: exits, from: 4, to: 99, fails: "X at new, block 3"},
		"head hangs for ever":  {side: "new", err: hangs, from: 1, to: 99, fails: "BenchmarkX at new: no end within 5s"},
		"base, once":           {side: "old", err: exits, from: 4, to: 4, not: "1 of 2 failed: X at old"},
		"base, for ever":       {side: "old", err: exits, from: 4, to: 99, not: "it fails at the base"},
		"head, no time left":   {side: "new", err: hangs, from: 4, to: 99, cancelBefore: 5, not: "there was no time left for it to try it again"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			made := 0
			deadline := time.Duration(0)
			spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Blocks: 12, Ops: 1, Seed: 1, Procs: 1, Base: BenchSide{Revision: "old"}, Head: BenchSide{Revision: "new"}, Deadline: time.Second,
				run: func(_ context.Context, o benchOrder) (p benchProcess, err error) {
					if o.side.Revision == tc.side && o.pattern != "^$" {
						if made++; made == tc.cancelBefore {
							cancel()
						}
						if made >= tc.from && made <= tc.to {
							if made > tc.from && o.deadline <= deadline {
								t.Errorf("process %d has a deadline of %v, as the one before", made, o.deadline)
							}
							deadline = o.deadline
							return p, tc.err
						}
					}
					p.printed = map[string]Bench{"X": {NS: 100, Ops: 1}}
					return p, nil
				}}
			all, _ := compareBenchmarks(ctx, spec, func(*Difference, int) More { return More{Time: true} })
			if len(all) != 1 {
				t.Fatalf("%d differences", len(all))
			}
			if d := all[0]; (tc.not == "") != (d.NotCompared == "") || !strings.Contains(d.NotCompared, tc.not) || (tc.fails == "") != (d.HeadFails == "") || !strings.Contains(d.HeadFails, tc.fails) {
				t.Errorf("not compared %q, head fails %q", d.NotCompared, d.HeadFails)
			}
		})
	}
}

func prints(all map[string]Bench, err error) func() (map[string]Bench, error) {
	return func() (map[string]Bench, error) { return all, err }
}

// A benchmark that takes longer than the time there is gets one block, and no more, after
// the processes that found what there is.
func TestABenchmarkKeepsToItsTime(t *testing.T) {
	runs := 0
	spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Blocks: 96, Budget: 1, Base: BenchSide{Revision: "old"}, Head: BenchSide{Revision: "new"},
		run: func(context.Context, benchOrder) (benchProcess, error) {
			runs++
			return benchProcess{printed: map[string]Bench{"X": {NS: 3e9, Ops: 1}}}, nil
		}}
	all, _ := compareBenchmarks(t.Context(), spec, func(*Difference, int) More { return More{Time: true} })
	if len(all) != 1 || runs != 8 || len(all[0].Blocks) != 1 || !all[0].Complete {
		t.Errorf("%d processes, %d differences", runs, len(all))
	}
}

// Every figure of a result is read, and two results of one name are two.
func TestAllFiguresOfABenchmarkAreRead(t *testing.T) {
	all, err := parseBenchmarks(strings.NewReader("BenchmarkX-2 \t 10\t 5 ns/op\t 20.00 MB/s\t 3.5 fsyncs/op\t 64 B/op\t 1 allocs/op\nBenchmarkFake listening on :8080\nBenchmarkX-2\t 10\t 7 ns/op\nBenchmarkNoNs 10\t 50.0 p99-ns\n"))
	want := map[string]Bench{
		"X-2":     {NS: 5, Ops: 10, Counts: map[string]float64{"MB/s": 20, "fsyncs/op": 3.5, "B/op": 64, "allocs/op": 1}},
		"X-2 (2)": {NS: 7, Ops: 10, Counts: map[string]float64{}},
		"NoNs":    {Ops: 10, Counts: map[string]float64{"p99-ns": 50}},
	}
	if err != nil || fmt.Sprint(all) != fmt.Sprint(want) {
		t.Errorf("read %v, error %v, want %v", all, err, want)
	}
}
