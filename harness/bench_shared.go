package harness

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/harness/machine"
)

const (
	// sharedTime is the processor time of the operations of a process that shares its processor,
	// if the caller gives no time. It is a dozen turns of the scheduler.
	sharedTime = 40 * time.Millisecond
	// sameClock is the largest factor between the wall-clock time and the processor time of the
	// operations of one process at which they count as the same.
	sameClock = 1.2
	// loaded is the share of the busy time of a process in which its threads wait for a processor that
	// is due to other processes. Less can be due to its own threads.
	loaded = 0.15
	// sharedTries is the largest number of processes that compare the clocks.
	sharedTries = 6
	// overheadPairs is the number of pairs of processes that measure what is not operations.
	overheadPairs = 16
	// longestSetup is how long the first of them may take.
	longestSetup = 250 * time.Millisecond
)

// chooseShared decides whether the timed processes of the base and the head run at the same time on
// one processor, and makes them longer if they do.
//
// On a virtual machine, another guest can use the other half of a physical core. A program is then
// slower by a factor of up to 2.5, for 20 ms or for seconds. Processes that run one after the other meet
// different disturbances. Processes on one processor at the same time take turns of about 3 ms and
// meet the same ones, so that their processor times can be compared. On such a machine the
// logarithm of the ratio of equal programs had a standard deviation of 0.22 for processes of 80 ms that
// ran one after the other, of 0.11 if they were pinned to one processor, and of 0.015 to 0.03 at the
// same time (n=40 to 60).
//
// Processor time stands for wall-clock time only if a benchmark neither waits nor uses several processors,
// and if it does not stop its timer for long. Therefore both clocks must agree when a process runs
// alone. Benchmarks that fail beside each other, because they use the same file or port, run one
// after the other.
func (l *leaf) chooseShared(ctx context.Context) {
	ops := l.ops
	if l.spec.lengthen {
		ops *= int(sharedTime / l.spec.Time)
	}
	if len(l.spec.cpus) == 0 || l.procs != 1 || l.again || ops <= setupOps {
		return
	}
	before := l.ops
	l.shared = l.measureOverhead(ctx)
	l.ops = ops
	for i := range l.overhead {
		l.shared = l.shared && l.sameClocks(ctx, i)
	}
	var first []timedProcess
	if l.shared {
		first, l.shared = l.beside(ctx)
	}
	if !l.shared {
		l.ops = before
		return
	}
	l.d.Blocks, l.d.Samples = nil, nil // of processes one after the other
	l.add([3][]timedProcess{first[:1], first[1:2], first[2:]})
}

// beside runs a process of the base, the head and the base again at the same time, and reports whether all
// succeeded.
func (l *leaf) beside(ctx context.Context) (all []timedProcess, ok bool) {
	sides := l.sides()
	all = l.processes(ctx, sides[:])
	return all, ctx.Err() == nil && !slices.ContainsFunc(all, func(p timedProcess) bool { return p.err != nil || p.cpu <= 0 })
}

// setupOps is the number of operations of the processes whose time is subtracted. Like processes of
// more operations, they call the benchmark function twice: testing calls it with b.N = 1 first.
const setupOps = 2

// measureOverhead measures the processor time of processes with setupOps operations. An error of it is
// an error of the ratio, but only the difference between the sides matters much. So pairs of
// processes run at the same time, and a difference that is not significant counts as none.
func (l *leaf) measureOverhead(ctx context.Context) (ok bool) {
	l.ops, l.shared = setupOps, true
	var base, more []float64
	for n := range overheadPairs {
		began := time.Now()
		pair, ok := l.beside(ctx)
		if !ok || n == 0 && time.Since(began) > longestSetup {
			return false
		}
		base, more = append(base, float64(pair[0].cpu)), append(more, float64(pair[1].cpu-pair[0].cpu))
	}
	mean, sd, kept := machine.TrimmedMean(more, 0.2)
	least := machine.Median(base)
	if se := sd * math.Sqrt(overheadPairs) / float64(kept); math.Abs(mean) < max(4*se, least/20) {
		mean = 0
	}
	l.overhead = [2]time.Duration{time.Duration(least), time.Duration(least + mean)}
	return true
}

// sameClocks reports whether the processor time of the operations is their wall-clock time. The
// part of that in which the process waited for a processor, because others use them, is subtracted.
func (l *leaf) sameClocks(ctx context.Context, i int) bool {
	side := l.sides()[i]
	for range sharedTries {
		u, known := l.spec.use(ctx, l.order(side, l.pattern, fmt.Sprintf("%dx", l.ops)))
		if !known || ctx.Err() != nil {
			return false
		}
		wall, cpu := u.printed[l.printed].NS, l.processorTime(i, u.cpu)
		if ready := float64(u.ready) / float64(max(1, u.busy)); ready > loaded {
			wall *= 1 - ready
		}
		if ratio := cpu / wall; u.cpu >= 2*l.overhead[i] && ratio < sameClock && ratio > 1/sameClock {
			return true
		}
	}
	return false
}

// processorTime returns the processor time of one operation in ns, in a process of the base (0) or the
// head (1) that used cpu in total.
func (l *leaf) processorTime(side int, cpu time.Duration) float64 {
	return float64(cpu-l.overhead[side]) / float64(l.ops-setupOps)
}
