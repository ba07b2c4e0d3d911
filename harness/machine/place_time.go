package machine

import (
	"context"
	"fmt"
	"time"
)

// checkClock sees the smallest step of the clock and what reading it costs. A session
// refuses slots of fewer than minTicks, and fits them to about twice goodSlot.
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
		c.Do = fmt.Sprintf("sessions refuse to measure: a slot of %v must have %d ticks; measure where the clock ticks every %v or faster",
			GoodSlot, MinTicks, GoodSlot/MinTicks)
	case cost > 1000:
		c.Mark = MarkWarn
		c.Do = "a quick clock needs tens of ns: see /sys/devices/system/clocksource for one that the kernel need not be asked for (tsc, kvm-clock)"
	}
	return c, nil
}

const (
	canaries = 15   // windows of the check
	awayWarn = 0.25 // below lies an idle machine, see AwayBound
)

// checkCanary takes the median over several canaries: one is at the mercy of its 20 ms.
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
		c.Do = fmt.Sprintf("end what else runs, or get more of a core: this process gets less than %.0f%% of one", 100*(1-AwayBound))
	case all.Away > awayWarn:
		c.Mark = MarkWarn
		c.Do = "end what else runs here: paired ratios bear it, measurements take longer and times are too long"
	}
	return c, nil
}

// checkCores runs the loop on every core at once: hyperthreads and other processes show
// as a slow-down against one loop alone.
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
			return Check{Mark: MarkUnknown, Finding: "no loop came to its end", Do: "run the doctor again"}, nil
		}
		slower = append(slower, alone/together)
	}
	by := Median(slower)
	c := Check{Mark: MarkOK, Figures: []Figure{{"slow-down", by, "ratio", rounds}}}
	c.Finding = fmt.Sprintf("%d loops at once run %.2f times as long as one alone (n=%d)", s.procs, by, rounds)
	switch {
	case by < 0.8: // more loops cannot be quicker: the one alone was kept from its core
		c.Mark = MarkUnknown
		c.Finding += ": the machine was too busy to tell"
		c.Do = "run the doctor again when it is not"
	case by > 1.25:
		c.Mark = MarkWarn
		c.Do = "the cores are hyperthreads of each other or serve others too: leave some idle, and run nothing beside a measurement"
	}
	return c, nil
}

// GoodSlot is the time that the slot of an arm should take at least, so that the clock and
// the switch between arms do not matter.
const GoodSlot = 200 * time.Microsecond

// MinTicks is the number of ticks of the clock that a slot must take: then the clock's own
// error is below 0.1%.
const MinTicks = 1000
