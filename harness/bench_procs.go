package harness

import (
	"context"
	"fmt"
)

const (
	// sameTime is the largest factor between the times of an operation with one processor and with
	// several at which it counts as taking as long with one.
	sameTime = 1.1
	// nearTime is that factor for a benchmark that uses no more than one processor. Disturbances by other
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
	for _, side := range []BenchSide{l.spec.Base, l.spec.Head} {
		if !l.sameWithOne(ctx, side) {
			return
		}
	}
	l.printed = withoutProcs(l.name, l.procs)
	l.procs, l.d.Procs = 1, 1
}

// sameWithOne reports whether an operation takes as long with one processor as with l.procs.
func (l *leaf) sameWithOne(ctx context.Context, side BenchSide) bool {
	many := l.order(side, l.pattern, fmt.Sprintf("%dx", l.ops))
	one := many
	one.procs = 1
	names := [2]string{l.name, withoutProcs(l.name, l.procs)}
	var least [2]float64
	ratio := 0.0
	for range procsTries {
		for i, o := range []benchOrder{many, one} {
			p, err := l.spec.run(ctx, o)
			ns := p.printed[names[i]].NS
			if err != nil || ctx.Err() != nil || !(ns > 0) {
				return false
			}
			if least[i] == 0 || ns < least[i] {
				least[i] = ns
			}
		}
		if ratio = least[1] / least[0]; ratio < sameTime && ratio > 1/sameTime {
			return l.undisturbed(ctx, many)
		}
	}
	return ratio < nearTime && ratio > 1/nearTime && l.serial(ctx, many)
}

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
