package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

const (
	// blocksInSession is the number of blocks of a session of benchmarks. Each block has three
	// processes of its own, or a multiple of that, see [leaf.adapt].
	blocksInSession   = 6
	mostProcesses     = 8    // of each side in a block
	disturbed         = 0.08 // mean absolute logarithm of the ratio of base and twin above which more are used
	processesOfLayout = 3    // of each side, at least
	// fastest is the shortest plausible operation in ns: the compiler has removed the body of
	// a faster one.
	fastest = 0.5
)

// block runs the base, the head and the base again, each l.repeat times, and reports whether it
// could. The quickest process of each counts.
func (l *leaf) block(ctx context.Context) bool {
	var all [3][]Bench
	var cpu [3]float64
	var failed [3]error
	sides := l.sides()
	for range l.repeat {
		for _, i := range l.rng.Perm(3) {
			order := l.order(sides[i], l.pattern, fmt.Sprintf("%dx", l.ops))
			p, err := l.spec.run(ctx, order)
			if ctx.Err() != nil {
				return false
			}
			b, printed := p.printed[l.printed]
			if err == nil && !printed {
				err = ErrNoBenchmark
			}
			if err != nil && failed[i] == nil {
				failed[i] = l.confirmed(ctx, order, l.printed, fmt.Errorf("%s at %s, block %d: %w", l.name, sides[i].Revision, len(l.d.Blocks)+1, err))
			}
			all[i] = append(all[i], b)
			if used := float64(p.cpu - l.start); cpu[i] == 0 || used < cpu[i] {
				cpu[i] = used
			}
		}
		if errors.Join(failed[:]...) != nil {
			l.d.failed(failed)
			return false
		}
	}
	var ns [3]float64
	for i, processes := range all {
		ns[i] = slices.MinFunc(processes, func(a, b Bench) int { return cmp.Compare(a.NS, b.NS) }).NS
		for _, b := range processes {
			l.d.Samples = append(l.d.Samples, BenchSample{Head: i == 1, Name: l.printed, Bench: b})
			for unit, n := range b.Counts {
				l.counts[i%2][unit] = append(l.counts[i%2][unit], n)
			}
		}
	}
	b := DifferenceBlock{Session: 1 + len(l.d.Blocks)/blocksInSession, BaseNS: ns[0], HeadNS: ns[1]}
	switch {
	case slices.Min(ns[:]) <= 0:
		l.d.NotCompared = "it prints no ns/op"
		return len(l.counts[1]) > 0 && len(slices.Collect(maps.Values(l.counts[1]))[0]) < blocksInSession // enough to see whether its figures vary
	case ns[0] < fastest || ns[1] < fastest:
		l.d.NotCompared = fmt.Sprintf("%s: below the floor: %.3g and %.3g ns an operation: the compiler has removed the body", checkWork, ns[0], ns[1])
	}
	b.Ratio, b.Twin = ns[1]/ns[0], ns[2]/ns[0]
	if cpu[0] > 0 && cpu[1] > 0 {
		b.CPU = cpu[1] / cpu[0]
	}
	l.d.Blocks = append(l.d.Blocks, b)
	return true
}

// adapt doubles the number of processes of which the quickest counts if the times of the base and
// its twin differed much in the last session. Other programs of the machine make a process slower,
// never faster, and rarely all of several. On a virtual machine with shared processors half of
// the processes took 1.8 times as long. There the logarithm of the ratio of two processes had a
// standard deviation of 0.4, the median of 8 such ratios one of 0.15, and the ratio of the quickest
// of 8 on each side one of 0.05 (robust estimates, n=30). On a quiet machine one process of each
// side in more blocks tells more.
func (l *leaf) adapt() {
	n := len(l.d.Blocks)
	if n < blocksInSession || l.repeat == mostProcesses {
		return
	}
	sum := 0.0
	for _, b := range l.d.Blocks[n-blocksInSession:] {
		sum += math.Abs(math.Log(b.Twin))
	}
	if sum/blocksInSession > disturbed {
		l.repeat *= 2
	}
}

// layout measures both sides built with another order of their functions.
func (l *leaf) layout(ctx context.Context, n int) (ok bool) {
	base, head, err := l.spec.Layout(ctx, n)
	if err != nil {
		if ctx.Err() == nil {
			l.d.Notes = append(l.d.Notes, fmt.Sprintf("no other layout could be built: %.300s", err))
			l.spec.Layout = nil
		}
		return false
	}
	var least [2]float64
	sides := [2]BenchSide{base, head}
	for range max(processesOfLayout, l.repeat) {
		for _, i := range l.rng.Perm(2) {
			p, err := l.spec.run(ctx, l.order(sides[i], l.pattern, fmt.Sprintf("%dx", l.ops)))
			ns := p.printed[l.printed].NS
			if err != nil || !(ns > 0) {
				return false
			}
			if least[i] == 0 || ns < least[i] {
				least[i] = ns
			}
		}
	}
	l.d.Layouts = append(l.d.Layouts, least[1]/least[0])
	return true
}
