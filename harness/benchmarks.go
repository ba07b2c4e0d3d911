package harness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/instructions"
	"github.com/flujo/flujo-harness/harness/machine"
)

// BenchSpec says how one benchmark function, with its sub-benchmarks, of two revisions is
// compared.
type BenchSpec struct {
	Package    string
	Benchmark  string // the name of the function
	Match      string // -test.bench of the sub-benchmarks to compare; "": all of the function
	Skip       string // -test.skip
	Base, Head BenchSide
	Twin       string        // a copy of Base's binary, for the A/A pair
	Time       time.Duration // duration of the operations of a process; 0: 20 ms
	Ops        int           // number of operations of a process; 0: as many as take Time
	Procs      int           // GOMAXPROCS; 0: that of this process, or 1 for a benchmark that takes as long with 1
	Seed       uint64
	Blocks     int                // maximum number of blocks; 0: 240
	Budget     time.Duration      // no process is started after this time; 0: no limit
	Deadline   time.Duration      // maximum duration of a process; 0: none
	Counter    *instructions.Tool // nil: instructions are not counted

	// Layout, if not nil, builds both sides with their functions in the n-th of many random
	// orders; n starts at 1. It is called only if [More] asks for it.
	Layout func(ctx context.Context, n int) (base, head BenchSide, err error)

	lengthen bool  // Time is the default, and longer for processes that share a processor
	cpus     []int // processors for such processes; empty: none

	run   func(context.Context, benchOrder) (benchProcess, error) // for tests
	count func(context.Context, benchOrder) (float64, error)      // for tests
	use   func(context.Context, benchOrder) (u use, known bool)   // for tests
}

// More says what should be measured further; the zero value ends the measurement.
type More struct {
	Time         bool // another session of blocks
	Instructions bool // further counts
	Layouts      bool // the time of binaries with another layout, in place of Time if they can be built
}

// ErrNoTime is the error for a benchmark that was not measured because the context ended first.
var ErrNoTime = errors.New("there was no time left for it")

// Benchmarks has the benchmarks of one function that both revisions have.
type Benchmarks struct {
	Names []string    // as printed, without "Benchmark"
	Only  [2][]string // names that only the base has, and names that only the head has
	Facts *Difference // why none of them can be measured, for example because all fail; nil: they can

	spec   BenchSpec
	began  time.Time
	rng    *rand.Rand
	leaves []*leaf
	first  map[string]Bench // the first results of the base, by name
	start  time.Duration    // processor time of the start of a process
}

// FindBenchmarks runs one operation of every sub-benchmark of a function, at the base, the head
// and the base again, and then one block of each sub-benchmark. If the function fails or prints
// nothing, Facts says so; if the context ends, Facts says [ErrNoTime].
func FindBenchmarks(ctx context.Context, spec BenchSpec) *Benchmarks {
	spec.fill()
	m := &Benchmarks{spec: spec, rng: rand.New(rand.NewPCG(spec.Seed, 0xbe7c))}
	began := time.Now()
	if m.Names, m.Only = m.probe(ctx); ctx.Err() != nil {
		m.Facts = m.difference(spec.Benchmark)
		m.Facts.NotCompared, m.Names, m.Only = ErrNoTime.Error(), nil, [2][]string{}
	}
	probing := time.Since(began).Seconds() / float64(max(1, len(m.Names)))
	for _, name := range m.Names {
		began, l := time.Now(), newLeaf(m, name)
		m.leaves = append(m.leaves, l)
		if l.open = l.size(ctx); l.open {
			l.chooseProcs(ctx)
			l.open = l.block(ctx)
		}
		if l.open {
			l.count.prepare()
		}
		if l.soFar(); ctx.Err() != nil && len(l.d.Blocks) == 0 {
			l.d.NotCompared = ErrNoTime.Error()
		}
		l.d.Seconds = probing + time.Since(began).Seconds()
	}
	return m
}

// Measure measures one benchmark after the other: the instructions of an operation, and its
// time in processes of the base, the head and the base again, in random order. It measures a
// benchmark until next returns the zero value or its share of the budget is spent (0: no
// limit). next gets a difference and the number of all differences. If the context ends,
// Measure returns what was measured; see [ErrNoTime].
func (m *Benchmarks) Measure(ctx context.Context, budget time.Duration, next func(d *Difference, of int) More) (all []*Difference) {
	if m.Facts != nil {
		return []*Difference{m.Facts}
	}
	m.began, m.spec.Budget = time.Now(), budget
	for i, l := range m.leaves {
		all = append(all, l.d)
		if ctx.Err() == nil && l.open {
			share := budget / time.Duration(len(m.leaves))
			l.measure(ctx, share*time.Duration(i+1), func(d *Difference) More { return next(d, len(m.leaves)) })
		}
	}
	for _, d := range all {
		d.Complete = ctx.Err() == nil && d.Problem == ""
	}
	return all
}

func (s *BenchSpec) fill() {
	if s.run == nil {
		s.run = runBenchmark
	}
	if s.count == nil {
		s.count = countBenchmark
	}
	if s.use == nil {
		s.use = useOf
	}
	if s.cpus == nil {
		s.cpus = child.CPUs()
	}
	if s.Time == 0 {
		s.Time, s.lengthen = 20*time.Millisecond, s.Ops == 0
	}
	if s.Blocks == 0 {
		s.Blocks = 240
	}
	if s.Match == "" {
		s.Match = "^" + s.Benchmark + "$"
	}
}

func (m *Benchmarks) sides() [3]BenchSide {
	twin := m.spec.Base
	twin.Binary = m.spec.Twin
	return [3]BenchSide{m.spec.Base, m.spec.Head, twin}
}

func (m *Benchmarks) order(side BenchSide, pattern, times string) benchOrder {
	return benchOrder{side: side, pattern: pattern, skip: m.spec.Skip, times: times, procs: givenProcs(m.spec.Procs), deadline: m.spec.Deadline}
}

// givenProcs returns the GOMAXPROCS that a specification means; 0 is that of this process.
func givenProcs(procs int) int {
	if procs == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return procs
}

func (m *Benchmarks) difference(name string) *Difference {
	return &Difference{Schema: 1, Name: m.spec.Package + "." + strings.TrimPrefix(name, "Benchmark"), Base: m.spec.Base.Revision, Head: m.spec.Head.Revision,
		Started: time.Now().UTC(), Seed: m.spec.Seed, Environment: machine.Describe(context.Background(), m.spec.Base.Dir), Audit: []Finding{{checkRuns, true, "nothing was measured"}}}
}

// probe runs one operation of every sub-benchmark at the base, the head and the base again, and
// returns the names that all three processes printed.
func (m *Benchmarks) probe(ctx context.Context) (names []string, only [2][]string) {
	var got [3]map[string]Bench
	var failed [3]error
	for i, side := range m.sides() {
		if ctx.Err() != nil {
			return nil, only
		}
		order := m.order(side, m.spec.Match, "1x")
		p, err := m.spec.run(ctx, order)
		if got[i] = p.printed; err != nil && !errors.Is(err, ErrNoBenchmark) {
			failed[i] = m.confirmed(ctx, order, "", fmt.Errorf("%s at %s: %w", m.spec.Benchmark, side.Revision, err))
			break // one failure is enough
		}
	}
	if ctx.Err() != nil {
		return nil, only
	}
	if errors.Join(failed[:]...) != nil {
		d := m.difference(m.spec.Benchmark)
		d.failed(failed)
		m.Facts = d
		return nil, only
	}
	if p, err := m.spec.run(ctx, m.order(m.spec.Base, "^$", "1x")); err == nil || errors.Is(err, ErrNoBenchmark) {
		m.start = p.cpu
	}
	m.first = got[0]
	everywhere := map[string]bool{}
	for name := range got[0] {
		_, head := got[1][name]
		_, twin := got[2][name]
		if everywhere[name] = head && twin; head && twin {
			names = append(names, name)
		}
	}
	for i, printed := range got {
		for name := range printed {
			if !everywhere[name] && !slices.Contains(only[i%2], name) {
				only[i%2] = append(only[i%2], name)
			}
		}
	}
	for i := range only {
		slices.Sort(only[i])
	}
	slices.Sort(names)
	if len(names)+len(only[0])+len(only[1]) == 0 {
		d := m.difference(m.spec.Benchmark)
		d.NotCompared = fmt.Sprintf("%s at both revisions: %v", m.spec.Benchmark, ErrNoBenchmark)
		m.Facts = d
	}
	return names, only
}

// failed records why the processes of the base, the head and the base again give no block.
func (d *Difference) failed(failed [3]error) {
	atBase := failed[0]
	if atBase == nil {
		atBase = failed[2]
	}
	for _, err := range failed {
		if errors.Is(err, errSometimes) || errors.Is(err, ErrNoTime) {
			d.NotCompared = err.Error()
			return
		}
		if err != nil && !errors.As(err, new(*exec.ExitError)) && !errors.Is(err, errHangs) && !errors.Is(err, ErrNoBenchmark) {
			d.Problem = err.Error() // the process was not started
			d.Audit = []Finding{{checkRuns, false, d.Problem}}
			return
		}
	}
	if atBase != nil {
		d.NotCompared, d.FailsAtBase = "it fails at the base: "+atBase.Error(), true
	} else if failed[1] != nil {
		d.HeadFails = failed[1].Error()
	}
}

// leaf is the measurement of one benchmark without sub-benchmarks.
type leaf struct {
	*Benchmarks
	name     string                // such as "Decode/spec-2"
	printed  string                // name in the output of timed processes: without the "-2" if procs is 1 instead
	pattern  string                // -test.bench that selects only this benchmark
	again    bool                  // another benchmark of the function has the same name
	procs    int                   // GOMAXPROCS of the timed processes
	ops      int                   // number of operations of a process
	repeat   int                   // processes of each side in a block, of which the quickest counts
	shared   bool                  // the processes of a block run at the same time on one processor, and their processor time counts
	twice    bool                  // such processes run the benchmark twice, see stopwatch
	lately   map[int]float64       // processor -> ns per operation the last time, see processor
	overhead [2]time.Duration      // processor time of base and head beside the operations, see processorTime
	alone    [2]map[string]float64 // figures that a process of base and of head prints when it runs alone
	relinked [][]pairOfProcesses   // with other layouts, by layout
	d        *Difference
	count    counting
	open     bool                    // it can be measured further
	counts   [2]map[string][]float64 // of base and head: unit -> the figure in each process
}

// BenchPattern returns the -test.bench that selects only one benchmark. name is its printed name
// without "Benchmark"; procs is the GOMAXPROCS with which it was printed (0: that of this
// process).
func BenchPattern(name string, procs int) string {
	plain, _, _ := strings.Cut(name, " (") // see parseBenchmarks
	plain = withoutProcs(plain, givenProcs(procs))
	var parts []string
	for i, part := range strings.Split(plain, "/") {
		if i == 0 {
			part = "Benchmark" + part
		}
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	return strings.Join(parts, "/")
}

// withoutProcs returns a printed name without the GOMAXPROCS that ends it, unless that is 1, which is
// not printed.
func withoutProcs(printed string, procs int) string {
	if procs == 1 {
		return printed
	}
	return strings.TrimSuffix(printed, "-"+strconv.Itoa(procs))
}

func newLeaf(m *Benchmarks, name string) *leaf {
	l := &leaf{Benchmarks: m, name: name, printed: name, procs: givenProcs(m.spec.Procs), repeat: 1, d: m.difference(name), lately: map[int]float64{}, counts: [2]map[string][]float64{{}, {}}}
	l.again = strings.Contains(name, " (") // see parseBenchmarks
	l.pattern = BenchPattern(name, m.spec.Procs)
	l.d.Instructions = &Instructions{Waits: 1}
	l.count = counting{result: l.d.Instructions, tool: m.spec.Counter, count: m.spec.count, use: m.spec.use, order: func(side int) benchOrder {
		o := m.order(m.sides()[side], l.pattern, "")
		o.procs = 1
		return o
	}}
	if l.again {
		l.count.tool, l.d.Instructions.Problem = nil, "two benchmarks have this name"
	}
	return l
}

// measure measures blocks and counts instructions until next returns the zero value, or until
// the time since the beginning of the measurement has reached end.
func (l *leaf) measure(ctx context.Context, end time.Duration, next func(*Difference) More) {
	began := time.Now()
	defer func() { l.d.Seconds += time.Since(began).Seconds() }()
	over := func() bool { return l.spec.Budget > 0 && time.Since(l.began) > end }
	more, layouts, chosen := next(l.d), 0, false
	for more != (More{}) && ctx.Err() == nil {
		did := false
		if more.Instructions && l.count.possible() && (len(l.d.Instructions.Base) == 0 || !over()) {
			l.count.more(ctx)
			did = true
		}
		if !chosen && (more.Time || more.Layouts) && !over() {
			l.chooseShared(ctx)
			chosen = true
		}
		relinked := false
		if more.Layouts && l.spec.Layout != nil && !over() && ctx.Err() == nil {
			layouts++
			relinked = l.layout(ctx, layouts)
			did = did || relinked
		}
		for full := false; more.Time && !relinked && !full; full = len(l.d.Blocks)%blocksInSession == 0 {
			if len(l.d.Blocks) >= l.spec.Blocks || over() || ctx.Err() != nil {
				break
			}
			if did = true; !l.block(ctx) {
				l.soFar()
				return
			}
		}
		if l.soFar(); !did || over() {
			return
		}
		if more.Time && !relinked {
			l.adapt()
		}
		more = next(l.d)
	}
	l.soFar()
}

// size chooses the number of operations of a process.
func (l *leaf) size(ctx context.Context) (ok bool) {
	l.ops = l.spec.Ops
	l.count.ns, l.count.bytes = l.first[l.name].NS, l.first[l.name].Counts["B/op"]
	if l.ops > 0 {
		return true
	}
	p, err := l.spec.run(ctx, l.order(l.spec.Base, l.pattern, l.spec.Time.String()))
	b, printed := p.printed[l.name]
	switch {
	case err == nil && printed:
		l.ops = max(1, b.Ops)
		l.count.ns, l.count.bytes = b.NS, b.Counts["B/op"]
	case errors.As(err, new(*exec.ExitError)):
		l.ops, l.count.once = 1, true // the first process ran one operation without an error
		l.d.Notes = append(l.d.Notes, "it fails when it makes more than one operation: measured with -benchtime=1x")
	case err == nil || errors.Is(err, ErrNoBenchmark):
		l.d.NotCompared = "it is not printed every time"
		return false
	default:
		l.d.failed([3]error{err})
		return false
	}
	return true
}

// soFar computes the figures of the difference from what was measured so far.
func (l *leaf) soFar() {
	d := l.d
	if d.Problem == "" {
		how := fmt.Sprintf("one after the other; the quickest of %d counted in the last one", l.repeat)
		if l.shared {
			how = "at the same time on one processor; their processor time counts"
		}
		d.Audit = []Finding{{checkRuns, true, fmt.Sprintf("%d blocks of processes of the base, the head and the base again, %s", len(d.Blocks), how)}}
	}
	if len(d.Blocks) > 0 {
		d.Estimate()
	}
	d.Counts = countsOf(slices.Sorted(maps.Keys(l.counts[0])), l.counts)
	if d.Instructions != nil && l.count.tool == nil && d.Instructions.Problem == "" {
		d.Instructions = nil
	}
}

// countsOf returns the figures that both sides have, of the given units.
func countsOf(units []string, of [2]map[string][]float64) (all []Count) {
	for _, unit := range units {
		if base, head := of[0][unit], of[1][unit]; len(base) > 0 && len(head) > 0 {
			all = append(all, Count{Unit: unit, BaseLow: slices.Min(base), BaseHigh: slices.Max(base),
				HeadLow: slices.Min(head), HeadHigh: slices.Max(head), Base: len(base), Head: len(head)})
		}
	}
	return all
}
