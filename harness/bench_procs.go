package harness

import (
	"context"
	"fmt"
)

const (
	// sameTime is the largest factor between the times of an operation with one processor and with
	// several at which it counts as taking as long with one.
	sameTime = 1.1
	// sameFactor is the largest ratio between these factors of the head and of the base.
	sameFactor = 1.04
	// nearTime is like sameTime for a benchmark that uses no more than one processor. Disturbances by other
	// programs can make even the shortest of several times that much longer.
	nearTime = 1.4
	// serialUse is the largest processor time of such a benchmark in relation to its wall-clock time.
	serialUse = 1.15
	// crowded is the share of the busy time of a process in which its threads wait for a processor, above which
	// other programs may use the processors. The threads of the garbage collector wait for 16 to 37% of
	// it on an idle machine of two processors (n=36 processes of 4 benchmarks).
	crowded = 0.3
	// procsTries is the largest number of processes of each kind; the shortest time of each counts.
	procsTries = 6
)

// chooseProcs sets GOMAXPROCS to 1 for the timed processes of a benchmark that takes as long with
// it, at both revisions. With several processors, the garbage collector and idle threads of the
// scheduler use the others, which disturbs even a benchmark with one goroutine: with one, the
// times of successive processes differ half as much, so that a quarter of the processes suffices.
// A GOMAXPROCS that the caller gave is kept, as is that of a benchmark of few long operations.
func (l *leaf) chooseProcs(ctx context.Context) {
	if l.spec.Procs != 0 || l.procs == 1 || l.ops < 2 || l.again {
		return
	}
	var times [2]procsTimes
	serial := false
	for i, side := range []BenchSide{l.spec.Base, l.spec.Head} {
		times[i].order = l.order(side, l.pattern, fmt.Sprintf("%dx", l.ops))
		same, alone := l.sameWithOne(ctx, &times[i])
		if !same {
			return
		}
		serial = serial || alone
	}
	if !serial && !l.sameChange(ctx, &times) {
		return
	}
	l.printed = withoutProcs(l.name, l.procs)
	l.procs, l.d.Procs = 1, 1
}

// procsTimes has the shortest times of an operation of one side in ns.
type procsTimes struct {
	order     benchOrder // of a process with several processors
	many, one float64
}

// ratio returns the time with one processor in relation to that with several.
func (t procsTimes) ratio() float64 { return t.one / t.many }

// timeProcs runs a process with several processors and one with one. It returns false if one fails.
func (l *leaf) timeProcs(ctx context.Context, t *procsTimes) bool {
	one := t.order
	one.procs = 1
	for _, p := range []struct {
		order benchOrder
		name  string
		least *float64
	}{{t.order, l.name, &t.many}, {one, withoutProcs(l.name, l.procs), &t.one}} {
		got, err := l.spec.run(ctx, p.order)
		ns := got.printed[p.name].NS
		if err != nil || ctx.Err() != nil || !(ns > 0) {
			return false
		}
		if *p.least == 0 || ns < *p.least {
			*p.least = ns
		}
	}
	return true
}

// sameWithOne reports whether an operation takes as long with one processor as with l.procs, and whether that was
// only decided by its use of no more than one.
func (l *leaf) sameWithOne(ctx context.Context, t *procsTimes) (same, serial bool) {
	for range procsTries {
		if !l.timeProcs(ctx, t) {
			return false, false
		}
		if within(t.ratio(), sameTime) {
			return l.undisturbed(ctx, t.order), false
		}
	}
	return within(t.ratio(), nearTime) && l.serial(ctx, t.order), true
}

// sameChange reports whether one processor changes the times of both sides by the same factor. If not, the
// difference between them depends on it: a head that was 8% slower with several was held with one.
func (l *leaf) sameChange(ctx context.Context, times *[2]procsTimes) bool {
	for try := 0; !within(times[1].ratio()/times[0].ratio(), sameFactor); try++ {
		if try == procsTries || !l.timeProcs(ctx, &times[0]) || !l.timeProcs(ctx, &times[1]) {
			return false
		}
	}
	return true
}

// within reports whether a ratio is from 1/most to most.
func within(ratio, most float64) bool { return ratio < most && ratio > 1/most }

// undisturbed reports whether two processes had the processors that they were ready to use, as far as that
// is known. Beside more busy processes, even a parallel benchmark can take as long with one processor: there a head
// that was 18% slower with two, because it had lost its parallelism, was held.
func (l *leaf) undisturbed(ctx context.Context, o benchOrder) bool {
	quiet := 0
	for range procsTries {
		u, known := l.spec.use(ctx, o)
		switch {
		case ctx.Err() != nil:
			return false
		case !known:
			return true
		case float64(u.ready) <= crowded*float64(u.busy):
			if quiet++; quiet == 2 {
				return true
			}
		}
	}
	return false
}

// serial reports whether a process uses no more than one processor at any time.
func (l *leaf) serial(ctx context.Context, o benchOrder) bool {
	for range procsTries {
		u, known := l.spec.use(ctx, o)
		if !known || ctx.Err() != nil || u.busy == 0 || u.ready > u.busy/2 { // too busy a machine shows nothing
			return false
		}
		if float64(u.cpu) < serialUse*float64(u.wall) {
			return true
		}
	}
	return false
}

// order returns the order of a timed process.
func (l *leaf) order(side BenchSide, pattern, times string) benchOrder {
	o := l.Benchmarks.order(side, pattern, times)
	o.procs = l.procs
	return o
}
