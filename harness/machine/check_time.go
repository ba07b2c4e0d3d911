package machine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"
)

// checkClock measures the smallest step of the clock and the cost of a reading. A session
// refuses slots of fewer than [MinTicks] ticks and aims at about twice [GoodSlot] per slot.
func (s *site) checkClock(context.Context) (Check, error) {
	const reads, most = 10_000, 10_000_000
	least, back := time.Hour, 0
	began := s.now()
	last := began
	for range reads {
		t := s.now()
		if t.Before(last) {
			back++
		}
		last = t
	}
	cost := float64(last.Sub(began).Nanoseconds()) / reads
	steps := 0
	for reads := 0; steps < 20 && reads < most; reads++ {
		t := s.now()
		if d := t.Sub(last); d > 0 {
			least = min(least, d)
			steps++
		}
		last = t
	}
	c := Check{Mark: MarkOK, Figures: []Figure{{"tick", float64(least.Nanoseconds()), "ns", steps}, {"read", cost, "ns", reads}}}
	c.Finding = fmt.Sprintf("smallest tick %v (n=%d), a reading costs %.0f ns (n=%d)", least, steps, cost, reads)
	switch {
	case steps == 0:
		c.Mark, c.Bars, c.Figures = MarkBad, NoTimings, nil
		c.Finding = fmt.Sprintf("the clock did not move in %d readings", most)
		c.Do = "measure on another machine"
	case back > 0:
		c.Mark, c.Bars = MarkBad, NoTimings
		c.Finding = fmt.Sprintf("the clock went back %d times in %d readings: it is not monotonic", back, reads)
		c.Do = "choose another clock source in the kernel, or another machine"
	case MinTicks*least > GoodSlot:
		c.Mark, c.Bars = MarkBad, NoTimings
		c.Do = fmt.Sprintf("sessions refuse to measure: a slot of %v must have %d ticks; measure on a machine whose clock ticks every %v or faster",
			GoodSlot, MinTicks, GoodSlot/MinTicks)
	case cost > 1000:
		c.Mark = MarkWarn
		c.Do = "a fast clock needs tens of ns: choose a clock source that is read without a system call (tsc, kvm-clock) in /sys/devices/system/clocksource"
	}
	return c, nil
}

const (
	canaries = 15   // canary runs of the check
	awayWarn = 0.25 // idle machines lie below, see AwayBound
)

// checkCanary reports medians over several canary runs: a single run depends too much on which
// 20 ms it covers.
func (s *site) checkCanary(ctx context.Context) (Check, error) {
	var all CanaryResult
	var away, spread, outliers, loop []float64
	for range canaries {
		r := s.canary(ctx)
		all.Loops += r.Loops
		away, spread, outliers, loop = append(away, r.Away), append(spread, r.Spread), append(outliers, r.Outliers), append(loop, r.LoopUS)
	}
	all.Away, all.Spread, all.Outliers, all.LoopUS = Median(away), Median(spread), Median(outliers), Median(loop)
	c := Check{Mark: MarkOK, Figures: []Figure{
		{"away", all.Away, "share", canaries}, {"spread", all.Spread, "ratio", canaries},
		{"outliers", all.Outliers, "share", canaries}, {"loop", all.LoopUS, "us", all.Loops},
	}}
	c.Finding = fmt.Sprintf("away %.0f%% of the time, spread %.1f%%, over twice the median %.1f%% (n=%d x 20 ms)",
		100*all.Away, 100*all.Spread, 100*all.Outliers, canaries)
	switch {
	case all.Away > AwayBound:
		c.Mark, c.Bars = MarkBad, NoTimings
		c.Do = fmt.Sprintf("end other programs, or get more CPU: this process gets less than %.0f%% of a core", 100*(1-AwayBound))
	case all.Away > awayWarn:
		c.Mark = MarkWarn
		c.Do = "end other programs: ratios stay correct, but measurements take longer and absolute times are too long"
	}
	return c, nil
}

const (
	fills         = 50   // windows of checkNeighbours
	neighbourWarn = 1.15 // factor between its windows; an idle machine without neighbours has 1.01 to 1.05
)

// checkNeighbours finds disturbances by hyperthreads of the same core, which the other guests of a
// virtual machine's host may use: the machine's own load and steal do not show them. They come and go
// within 20 ms to some seconds.
func (s *site) checkNeighbours(ctx context.Context) (Check, error) {
	var loops []float64
	for range fills {
		if r := s.filled(ctx); r.LoopUS > 0 {
			loops = append(loops, r.LoopUS)
		}
	}
	if len(loops) < fills/2 {
		return Check{Mark: MarkUnknown, Finding: "no loop could be timed", Do: "run the doctor again"}, nil
	}
	slices.Sort(loops)
	by := stat.Quantile(0.9, stat.Empirical, loops, nil) / loops[0]
	c := Check{Mark: MarkOK, Figures: []Figure{{"slow-down", by, "ratio", len(loops)}}}
	c.Finding = fmt.Sprintf("a loop that fills a core takes %.2f times its least time (p90, n=%d x 20 ms)", by, len(loops))
	if by > neighbourWarn {
		c.Mark = MarkWarn
		c.Do = "others use the same cores at times, perhaps guests of the same host: compare measures beside them; other measurements need more sessions"
	}
	return c, nil
}

// checkCores compares loops on every core at once with a single loop. Hyperthreads that share a
// core and other processes slow the concurrent loops down.
func (s *site) checkCores(ctx context.Context) (Check, error) {
	if s.procs < 2 {
		return Check{Mark: MarkNote, Finding: "GOMAXPROCS is 1: garbage collection and the measured code share a core",
			Do: "use a machine of 2 cores or more"}, nil
	}
	const rounds = 5
	var slower []float64
	for range rounds {
		alone, together := s.rate(ctx, 1), s.rate(ctx, s.procs)
		if !(alone > 0 && together > 0) {
			return Check{Mark: MarkUnknown, Finding: "no loop finished", Do: "run the doctor again"}, nil
		}
		slower = append(slower, alone/together)
	}
	by := Median(slower)
	c := Check{Mark: MarkOK, Figures: []Figure{{"slow-down", by, "ratio", rounds}}}
	c.Finding = fmt.Sprintf("%d concurrent loops take %.2f times as long as a single one (n=%d)", s.procs, by, rounds)
	switch {
	case by < 0.8: // concurrent loops cannot be faster: the single one was kept from its core
		c.Mark = MarkUnknown
		c.Finding += ": the machine was too busy for a result"
		c.Do = "run the doctor again on an idle machine"
	case by > 1.25:
		c.Mark = MarkWarn
		c.Do = "the cores are hyperthreads of each other or serve other programs too: leave some idle, and run nothing else during a measurement"
	}
	return c, nil
}

// GoodSlot is the least time that an arm's slot should take, so that reading the clock and
// switching between arms do not matter.
const GoodSlot = 200 * time.Microsecond

// MinTicks is the least number of clock ticks that a slot must take. The error of the clock, at
// most one tick, is then below 0.1%.
const MinTicks = 1000
