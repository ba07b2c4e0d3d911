package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

const (
	// blocksInSession is the number of blocks of a session of benchmarks. Each block has three
	// processes of its own, or a multiple of that, see [leaf.adapt].
	blocksInSession   = 6
	mostProcesses     = 8    // of each side in a block
	disturbed         = 0.08 // mean absolute logarithm of the ratio of base and twin above which more are used
	processesOfLayout = 4    // of each side, at least
	// fastest is the shortest plausible operation in ns: the compiler has removed the body of
	// a faster one.
	fastest = 0.5
	// unitSpeed is the unit of the figure that package testing computes from b.SetBytes and the time.
	unitSpeed = "MB/s"
)

// block runs the base, the head and the base again, each l.repeat times, and reports whether it
// could. The quickest process of each counts.
func (l *leaf) block(ctx context.Context) bool {
	sides := l.sides()
	var all [3][]timedProcess
	for range l.repeat {
		var failed [3]error
		processes := l.processes(ctx, sides[:])
		if ctx.Err() != nil {
			return false
		}
		for i, p := range processes {
			if p.err != nil {
				failed[i] = l.confirmed(ctx, p.order, l.printed, fmt.Errorf("%s at %s, block %d: %w", l.name, sides[i].Revision, len(l.d.Blocks)+1, p.err))
			}
			all[i] = append(all[i], p)
		}
		if errors.Join(failed[:]...) != nil {
			l.d.failed(failed)
			return false
		}
	}
	return l.add(all)
}

// add appends a block of processes of the base, the head and the base again, and reports whether
// another one could tell more.
func (l *leaf) add(all [3][]timedProcess) bool {
	var ns, cpu [3]float64
	for i, processes := range all {
		ns[i] = quickest(processes)
		cpu[i] = float64(slices.MinFunc(processes, func(a, b timedProcess) int { return cmp.Compare(a.cpu, b.cpu) }).cpu - l.start)
		for _, p := range processes {
			l.d.Samples = append(l.d.Samples, BenchSample{Head: i == 1, Name: l.printed, Bench: p.Bench})
			for unit, n := range p.Counts {
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
	if !l.shared && cpu[0] > 0 && cpu[1] > 0 {
		b.CPU = cpu[1] / cpu[0]
	}
	l.d.Blocks = append(l.d.Blocks, b)
	return true
}

// timedProcess is what one timed process gave.
type timedProcess struct {
	Bench
	cpu   time.Duration // of the whole process
	ops   time.Duration // see [stopwatch]
	order benchOrder
	err   error
}

// quickest returns the least time of an operation in ns.
func quickest(processes []timedProcess) float64 {
	return slices.MinFunc(processes, func(a, b timedProcess) int { return cmp.Compare(a.NS, b.NS) }).NS
}

// processes runs one process of each side, in random order: at the same time if l.shared is true,
// else one after the other. The sides are the base, the head, and perhaps the base again. If the processor
// time of one was not read, all are run again.
func (l *leaf) processes(ctx context.Context, sides []BenchSide) (all []timedProcess) {
	for range tries {
		all = l.oneEach(ctx, sides)
		if !slices.ContainsFunc(all, func(p timedProcess) bool { return errors.Is(p.err, errUnread) }) {
			break
		}
	}
	return all
}

// oneEach is one try of processes.
func (l *leaf) oneEach(ctx context.Context, sides []BenchSide) []timedProcess {
	all := make([]timedProcess, len(sides))
	var running sync.WaitGroup
	cpu := 0
	if l.shared {
		cpu = l.processor()
	}
	for _, i := range l.rng.Perm(len(sides)) {
		p := &all[i]
		p.order = l.order(sides[i], l.pattern, fmt.Sprintf("%dx", l.ops))
		run := func() {
			ran, err := l.spec.run(ctx, p.order)
			b, printed := ran.printed[l.printed]
			if err == nil && !printed {
				err = ErrNoBenchmark
			}
			p.Bench, p.cpu, p.ops, p.err = b, ran.cpu, ran.ops, err
		}
		if !l.shared {
			run()
			continue
		}
		p.order.pinned, p.order.cpu, p.order.twice = true, cpu, l.twice
		p.order.deadline *= time.Duration(2 * len(sides))
		running.Go(func() {
			run()
			wall := p.NS
			if p.NS = l.processorTime(i%2, p.ops); l.ops > setupOps && p.NS <= 0 && p.err == nil {
				p.err = errUnread
			}
			if speed, ok := p.Counts[unitSpeed]; ok && p.NS > 0 {
				p.Counts[unitSpeed] = speed * wall / p.NS
			}
		})
	}
	running.Wait()
	if l.shared && l.ops > setupOps && all[0].err == nil {
		l.lately[cpu] = all[0].NS
	}
	return all
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
	if n < blocksInSession || l.repeat == mostProcesses || l.shared {
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
	began := time.Now()
	base, head, err := l.spec.Layout(ctx, n)
	if err != nil {
		if ctx.Err() == nil {
			l.d.Notes = append(l.d.Notes, fmt.Sprintf("no other layout could be built: %.300s", err))
			l.spec.Layout = nil
		}
		return false
	}
	sides := []BenchSide{base, head}
	if l.shared {
		return l.sharedLayout(ctx, sides, time.Since(began))
	}
	var all [2][]timedProcess
	for range max(processesOfLayout, l.repeat) {
		for i, p := range l.processes(ctx, sides) {
			if p.err != nil || !(p.NS > 0) {
				return false
			}
			all[i] = append(all[i], p)
		}
	}
	l.d.Layouts = append(l.d.Layouts, quickest(all[1])/quickest(all[0]))
	return true
}
