package machine

import (
	"context"
	"testing"
	"testing/fstest"
	"time"
)

func TestClockCheck(t *testing.T) {
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkClock }, change{
		"good": {nil, said{MarkOK, "", "smallest tick 50ns (n=20), a reading costs 50 ns (n=10000)", ""}},
		"10 ms": {func(s *site, h *hands, _ fstest.MapFS) { s.now = h.coarse(10 * time.Millisecond) },
			said{MarkBad, NoTimings, "smallest tick 10ms", "refuse to measure: a slot of 200µs must have 1000 ticks"}},
		"just too coarse": {func(s *site, h *hands, _ fstest.MapFS) { h.read = 201 },
			said{MarkBad, NoTimings, "smallest tick 201ns", "every 200ns or faster"}},
		"just fine": {func(s *site, h *hands, _ fstest.MapFS) { h.read = 200 }, said{MarkOK, "", "200ns", ""}},
		"slow to read": {func(s *site, h *hands, _ fstest.MapFS) {
			reads := 0
			s.now = func() time.Time {
				if reads++; reads <= 10_001 {
					h.at = h.at.Add(2 * time.Microsecond)
				}
				return h.now()
			}
		}, said{MarkWarn, "", "costs 2050 ns", "clocksource"}},
		"backwards": {func(s *site, h *hands, _ fstest.MapFS) {
			reads := 0
			s.now = func() time.Time {
				if reads++; reads == 100 {
					h.at = h.at.Add(-time.Second)
				}
				return h.now()
			}
		}, said{MarkBad, NoTimings, "went back 1 times in 10000", "another clock source"}},
		"stopped": {func(s *site, h *hands, _ fstest.MapFS) { h.read = 0 }, said{MarkBad, NoTimings, "did not move", "another machine"}},
	})
}

func TestCanaryCheck(t *testing.T) {
	away := func(values ...float64) func(*site, *hands, fstest.MapFS) {
		return func(s *site, _ *hands, _ fstest.MapFS) {
			i := 0
			s.canary = func(context.Context) CanaryResult {
				i++
				return CanaryResult{Loops: 100, LoopUS: 100, Spread: 0.123, Outliers: 0.04, Away: values[i%len(values)]}
			}
		}
	}
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkCanary }, change{
		"idle":             {nil, said{MarkOK, "", "away 2% of the time, spread 1.0%, over twice the median 0.0% (n=15 x 20 ms)", ""}},
		"one bad window":   {away(0.02, 0.02, 0.02, 0.02, 0.9), said{MarkOK, "", "away 2%", ""}},
		"burners":          {away(0.5), said{MarkWarn, "", "away 50% of the time, spread 12.3%, over twice the median 4.0%", "end other programs"}},
		"at the bound":     {away(AwayBound), said{MarkWarn, "", "away 65%", ""}},
		"next to no core":  {away(0.8), said{MarkBad, NoTimings, "away 80%", "less than 35% of a core"}},
		"mostly no core":   {away(0.1, 0.8, 0.8), said{MarkBad, NoTimings, "away 80%", ""}},
		"at the lower one": {away(awayWarn), said{MarkOK, "", "away 25%", ""}},
	})
}

func TestNeighboursCheck(t *testing.T) {
	slowed := func(by float64, of int) func(*site, *hands, fstest.MapFS) { // of each ten windows
		return func(s *site, _ *hands, _ fstest.MapFS) {
			i := 0
			s.filled = func(context.Context) CanaryResult {
				i++
				if i%10 < of {
					return CanaryResult{LoopUS: 100 * by}
				}
				return CanaryResult{LoopUS: 100}
			}
		}
	}
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkNeighbours }, change{
		"alone":       {nil, said{MarkOK, "", "takes 1.00 times its least time (p90, n=50 x 20 ms)", ""}},
		"a neighbour": {slowed(1.8, 3), said{MarkWarn, "", "1.80 times", "guests of the same host"}},
		"rarely":      {slowed(1.8, 1), said{MarkOK, "", "1.00 times", ""}},
		"a little":    {slowed(1.1, 5), said{MarkOK, "", "1.10 times", ""}},
		"always":      {slowed(1.8, 10), said{MarkOK, "", "1.00 times", ""}},
		"no clock":    {slowed(0, 8), said{MarkUnknown, "", "no loop", "again"}},
	})
}

func TestCoresCheck(t *testing.T) {
	together := func(rate float64) func(*site, *hands, fstest.MapFS) {
		return func(s *site, _ *hands, _ fstest.MapFS) {
			s.rate = func(_ context.Context, n int) float64 {
				if n == s.procs {
					return rate
				}
				return 10_000
			}
		}
	}
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkCores }, change{
		"own cores":    {nil, said{MarkOK, "", "2 concurrent loops take 1.00 times as long as a single one (n=5)", ""}},
		"hyperthreads": {together(6000), said{MarkWarn, "", "1.67 times", "hyperthreads"}},
		"too busy":     {together(20000), said{MarkUnknown, "", "too busy for a result", "again"}},
		"no single loop": {func(s *site, _ *hands, _ fstest.MapFS) {
			s.rate = func(_ context.Context, n int) float64 { return float64(10_000 * (n - 1)) }
		}, said{MarkUnknown, "", "no loop", "again"}},
		"no loop":  {together(0), said{MarkUnknown, "", "no loop", "again"}},
		"one core": {func(s *site, _ *hands, _ fstest.MapFS) { s.procs = 1 }, said{MarkNote, "", "GOMAXPROCS is 1", "2 cores or more"}},
	})
}
