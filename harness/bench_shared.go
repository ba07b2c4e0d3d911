package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/flujo/flujo-harness/harness/machine"
)

const (
	// sharedTime is the processor time of the operations of a process that shares its processor,
	// if the caller gives no time. It is a dozen turns of the scheduler. In shorter processes, more of
	// the time goes into the first use of memory, which does not grow with the number of operations. With
	// 100 ms, verdicts on benchmarks that allocate took as long as with 40 ms (n=6 slower ones).
	sharedTime = 40 * time.Millisecond
	// sameClock is the largest factor between the wall-clock time and the processor time of the
	// operations of one process at which they count as the same.
	sameClock = 1.2
	// moreWaiting is the largest difference between the times for which the operations of the base and of
	// the head wait, as a share of their processor time, which does not show it.
	moreWaiting = 0.01
	// sameCount is the largest factor between a figure of a process that runs alone and of three that share a
	// processor at which it counts as the same. Where it is computed from the wall-clock time, the factor is about 3.
	sameCount = 1.5
	// loaded is the share of the busy time of a process in which its threads wait for a processor that
	// is due to other processes. Less can be due to its own threads.
	loaded = 0.15
	// leastShared is the least processor time of the operations of a process; a stopwatch is read about 50 us late.
	leastShared = 5 * time.Millisecond
	// sharedTries is the largest number of processes that compare the clocks.
	sharedTries = 6
	// overheadPairs is the number of pairs of processes that measure what is not operations.
	overheadPairs = 8
	// longestSetup is how long the first of them may take.
	longestSetup = 500 * time.Millisecond
)

// errUnread is the error of a process whose processor time was not seen.
var errUnread = errors.New("the processor time of its operations was not read: too many processes are busy")

// chooseShared decides whether the timed processes of the base and the head run at the same time on
// one processor, and makes them longer if they do.
//
// On a virtual machine, another guest can use the other half of a physical core. A program is then
// slower by a factor of up to 2.5, for 20 ms or for seconds. Processes that run one after the other meet
// different disturbances. Processes on one processor at the same time take turns of about 3 ms and
// meet the same ones, so that their processor times can be compared. On such a machine the
// logarithm of the ratio of equal programs had a standard deviation of 0.22 for processes of 80 ms that
// ran one after the other, of 0.11 if they were pinned to one processor, and of 0.015 to 0.03 at the
// same time (n=40 to 60). On another virtual machine it was 0.02 for operations of 39 ms, 0.01 for those of
// 75 ms, and 0.04 to 0.05 for both where they allocate (n=41 to 66).
//
// Processor time stands for wall-clock time only if a benchmark neither waits nor uses several processors,
// and if it does not stop its timer for long. Therefore both clocks must agree when a process runs
// alone, and both sides must wait for the same time. Benchmarks that fail beside each other, because they
// use the same file or port, or that print other figures there, run one after the other.
func (l *leaf) chooseShared(ctx context.Context) {
	before, ops := l.ops, l.ops
	if l.spec.lengthen {
		ops *= int(sharedTime / l.spec.Time)
	}
	if len(l.spec.cpus) == 0 || l.procs != 1 || l.again || ops <= setupOps {
		return
	}
	l.twice = l.loops(ctx)
	l.shared = l.measureOverhead(ctx)
	l.ops = ops
	for i := range l.overhead {
		l.shared = l.shared && l.sameClocks(ctx, i)
	}
	l.shared = l.shared && l.sameWaits(ctx)
	var first []timedProcess
	if l.shared {
		first, l.shared = l.beside(ctx)
	}
	if l.shared = l.shared && l.countsAs(first); !l.shared {
		l.ops, l.twice = before, false
		return
	}
	l.d.Blocks, l.d.Samples = nil, nil // of processes one after the other
	l.add([3][]timedProcess{first[:1], first[1:2], first[2:]})
}

// loops reports whether the benchmark makes its operations by b.Loop, which a stopwatch does not see the
// first time.
func (l *leaf) loops(ctx context.Context) bool {
	o := l.order(l.spec.Base, l.pattern, fmt.Sprintf("%dx", l.ops))
	p, err := l.spec.run(ctx, o)
	return err == nil && float64(p.ops) < p.printed[l.printed].NS*float64(l.ops)/2
}

// countsAs reports whether processes that ran beside each other print about the same figures as when they
// run alone. They do not if the benchmark computes a figure from its wall-clock time.
func (l *leaf) countsAs(beside []timedProcess) bool {
	for i, p := range beside {
		for unit, alone := range l.alone[i%2] {
			known := unit == "B/op" || unit == "allocs/op" || unit == unitSpeed
			if n := p.Counts[unit]; !known && n != alone && !(n < sameCount*alone && alone < sameCount*n) {
				return false
			}
		}
	}
	return true
}

// beside runs a process of the base, the head and the base again at the same time, and reports whether all
// succeeded.
func (l *leaf) beside(ctx context.Context) (all []timedProcess, ok bool) {
	sides := l.sides()
	all = l.processes(ctx, sides[:])
	return all, ctx.Err() == nil && !slices.ContainsFunc(all, func(p timedProcess) bool { return p.err != nil })
}

// setupOps is the number of operations of the processes whose time is subtracted.
const setupOps = 2

// measureOverhead measures the processor time of setupOps operations with what the benchmark does before and
// after them. An error of it is an error of the ratio, but only the difference between the sides matters
// much. So pairs of processes run at the same time, and a difference that is not significant counts as none.
func (l *leaf) measureOverhead(ctx context.Context) (ok bool) {
	l.ops, l.shared = setupOps, true
	var base, more []float64
	for n := range overheadPairs {
		began := time.Now()
		pair, ok := l.beside(ctx)
		if !ok || n == 0 && time.Since(began) > longestSetup {
			return false
		}
		base, more = append(base, float64(pair[0].ops)), append(more, float64(pair[1].ops-pair[0].ops))
	}
	mean, sd, kept := machine.TrimmedMean(more, 0.2)
	least := machine.Median(base)
	if se := sd * math.Sqrt(overheadPairs) / float64(kept); math.Abs(mean) < 4*se {
		mean = 0
	}
	l.overhead = [2]time.Duration{time.Duration(least), time.Duration(least + mean)}
	return true
}

// sameClocks reports whether the processor time of the operations is their wall-clock time when a process runs
// alone. It is less also if other programs use the processors; then the process must always have been
// running or ready to run.
func (l *leaf) sameClocks(ctx context.Context, i int) bool {
	o := l.order(l.sides()[i], l.pattern, fmt.Sprintf("%dx", l.ops))
	o.pinned, o.cpu, o.twice = true, l.spec.cpus[0], l.twice
	for range sharedTries {
		p, err := l.spec.run(ctx, o)
		if err != nil || ctx.Err() != nil {
			return false
		}
		ratio := l.processorTime(i, p.ops) / p.printed[l.printed].NS
		if p.ops < max(2*l.overhead[i], leastShared) || !(ratio < sameClock) {
			continue
		}
		l.alone[i] = p.printed[l.printed].Counts
		if ratio > 1/sameClock {
			return true
		}
		u, known := l.spec.use(ctx, o)
		if known && float64(u.ready) > loaded*float64(u.busy) && float64(u.busy) > float64(u.wall)/sameClock {
			return true
		}
	}
	return false
}

// sameWaits reports whether the operations of both sides wait for the same time when a process runs alone. If the
// head waits for longer, it is slower, and its processor time does not show that, be it within sameClock.
func (l *leaf) sameWaits(ctx context.Context) bool {
	least := [2]time.Duration{math.MaxInt64, math.MaxInt64} // other activity can only add to it
	for range sharedTries {
		var used time.Duration
		for i, side := range []BenchSide{l.spec.Base, l.spec.Head} {
			o := l.order(side, l.pattern, fmt.Sprintf("%dx", l.ops))
			o.pinned, o.cpu, o.twice, o.waits = true, l.spec.cpus[0], l.twice, true
			p, err := l.spec.run(ctx, o)
			if err != nil || ctx.Err() != nil {
				return false
			}
			least[i], used = min(least[i], max(0, p.waited)), max(used, p.ops)
		}
		if math.Abs(float64(least[1]-least[0])) <= moreWaiting*float64(used) {
			return true
		}
	}
	return false
}

// processorTime returns the processor time of one operation in ns, in a process of the base (0) or the
// head (1) whose stopwatch showed used.
func (l *leaf) processorTime(side int, used time.Duration) float64 {
	return float64(used-l.overhead[side]) / float64(l.ops-setupOps)
}

// processor returns the processor on which the next processes run. It is mostly the one that was the quickest
// the last time: on a virtual machine, another guest can slow one of them down for seconds.
func (l *leaf) processor() (cpu int) {
	all := l.spec.cpus
	cpu = all[l.rng.IntN(len(all))]
	if l.rng.IntN(4) > 0 {
		cpu = slices.MinFunc(all, func(a, b int) int { return cmp.Compare(l.lately[a], l.lately[b]) })
	}
	return cpu
}

// mostOfLayout is the maximum number of pairs of processes for one layout.
const mostOfLayout = 16

// sharedLayout measures both sides of a layout in pairs of processes, for twice as long as the build took:
// they tell more than a further layout would in that time.
//
// The numbers of operations are spread evenly from half to one and a half times l.ops. With one number, a
// benchmark that allocates may always collect its garbage as often at the base as at the head, or always
// once more at the head: then 5% more operations took 2.9% or 9% longer, with 5 MB and 2 collections a process.
func (l *leaf) sharedLayout(ctx context.Context, sides []BenchSide, built time.Duration) (ok bool) {
	began, plain := time.Now(), l.ops
	defer func() { l.ops = plain }()
	var pairs []pairOfProcesses
	before := slices.Concat(l.relinked...)
	for len(pairs) < processesOfLayout || len(pairs) < mostOfLayout && time.Since(began) < 2*built {
		if l.spec.Ops == 0 {
			_, part := math.Modf(float64(len(before)+len(pairs)+1) * math.Phi)
			l.ops = max(setupOps+1, int(float64(plain)*(0.5+part)))
		}
		p := l.processes(ctx, sides)
		if p[0].err != nil || p[1].err != nil || !(p[0].NS > 0) || !(p[1].NS > 0) {
			return false
		}
		ops := float64(l.ops)
		pairs = append(pairs, pairOfProcesses{ops, [2]float64{p[0].NS * ops, p[1].NS * ops}})
	}
	l.relinked = append(l.relinked, pairs)
	l.d.Layouts = l.d.Layouts[:0]
	first := firstUse(append(before, pairs...)) // better known with each layout
	for _, pairs := range l.relinked {
		var sum [2]float64
		for _, p := range pairs {
			for i, used := range p.used {
				sum[i] += used - first
			}
		}
		l.d.Layouts = append(l.d.Layouts, sum[1]/sum[0])
	}
	return true
}

// pairOfProcesses is a process of the base and one of the head at the same time on one processor.
type pairOfProcesses struct {
	ops  float64
	used [2]float64 // ns, without what is not operations
}

// firstUse returns how much longer, in ns, the operations of a process take than later ones in total, because a
// program is slower at first: the kernel gives it memory when it is used for the first time, and caches
// are empty. It is the intercept of a regression of the time on the number of operations. Without it, 5%
// more operations took only 3.8% longer on a virtual machine, where it was 12 ms of 42 (toml Escapes, n=24 for each
// of 8 numbers). As an error of it scales the difference of base and head, at most a quarter of the time counts.
func firstUse(pairs []pairOfProcesses) float64 {
	var ops, used []float64
	for _, p := range pairs {
		ops, used = append(ops, p.ops), append(used, (p.used[0]+p.used[1])/2)
	}
	if slices.Min(ops) == slices.Max(ops) {
		return 0
	}
	intercept, _ := stat.LinearRegression(ops, used, nil, false)
	return min(max(0, intercept), stat.Mean(used, nil)/4)
}
