package machine

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"gonum.org/v1/gonum/stat"
)

// AwayBound is the largest median of [CanaryResult.Away] over the sessions of a measurement
// that still allows a verdict, a share from 0 to 1. Above it the process received less than
// 35% of a core, and the machine is too noisy to judge any result.
//
// Paired statistics still work while one or two other processes each keep a core busy, so the
// bound lies above those cases. Away was measured in fresh processes on 2 virtual cores
// (n = 100 each; median, with the 5% and 95% quantiles):
//
//	idle                     0.07 (0.02 to 0.36)
//	one busy process         0.52 (0.09 to 0.65)
//	two busy processes       0.09 (0.07 to 0.55)
//	eight busy processes     0.75 (0.56 to 0.81)
//
// The median of 5 such sessions, resampled 4,000 times, exceeded the bound in 0.1% of draws
// with one busy process, never with two, and in 96% with eight; a single session exceeds it in
// up to 5%. A fair scheduler keeps a process away for 1 - cores/(busy+1) of the time, so on
// 2 cores the bound is exceeded from five busy processes on.
//
// The canary covers only 20 ms: it may miss a control group that runs for 30 ms and is then
// stopped for 70 ms. [Inspect] finds such quotas.
const AwayBound = 0.65

// CanaryResult describes how evenly a loop of fixed work ran.
type CanaryResult struct {
	Loops  int     `json:"loops"`
	LoopUS float64 `json:"loop_us"` // median time of a loop, in µs
	// Spread is (p90-p10)/median of the loop times, 0 or more. It shows the effect of the
	// clock rate and of neighbours on a core on work that is not interrupted. It does not show
	// preemption, which affects too few loops: with eight busy processes it is as small as on
	// an idle machine. The median absolute deviation misses even more.
	Spread float64 `json:"spread"`
	// Outliers is the share of loops that took more than twice the median, 0 to 1. It shows
	// how often the process was interrupted.
	Outliers float64 `json:"outliers"`
	// Away is the share of the time in which the loop made no progress, 0 to 1: the part of
	// the total that remains after subtracting the p10 loop time once per loop. It shows a busy
	// machine, a throttled control group and stolen time; [AwayBound] is its limit.
	Away float64 `json:"away"`
}

const (
	canaryWindow = 20 * time.Millisecond
	canaryLeast  = 10      // loops, however long they take: p10 needs at least ten
	canaryMost   = 1 << 12 // loops, in case the clock stands still
	spinSteps    = 60_000  // steps of one loop: about 100 µs at 3 GHz
)

// Canary runs a loop of fixed work for 20 ms and reports how evenly it ran. It takes longer
// only if the process is kept from the core, and is cheap enough for the start of every
// session. Nothing else should run in the process meanwhile. Cancelling ctx ends it early, with
// the loops completed so far. If the clock is too coarse to time a loop, LoopUS is 0 and Away 1.
func Canary(ctx context.Context) CanaryResult { return canary(ctx, time.Now, spin) }

func canary(ctx context.Context, now func() time.Time, work func(uint64) uint64) CanaryResult {
	took := make([]float64, 0, canaryMost) // µs
	seed := uint64(1)
	began := now()
	last := began
	for len(took) < canaryMost && ctx.Err() == nil && (len(took) < canaryLeast || last.Sub(began) < canaryWindow) {
		seed = work(seed)
		t := now()
		took = append(took, t.Sub(last).Seconds()*1e6)
		last = t
	}
	runtime.KeepAlive(seed)
	return evenness(took)
}

// evenness summarises loop times in µs and sorts took. Quantiles are nearest-rank: the smallest
// time that at least that share of the loops does not exceed. Without loops Away is 1.
func evenness(took []float64) CanaryResult {
	r := CanaryResult{Loops: len(took), Away: 1}
	if r.Loops == 0 {
		return r
	}
	slices.Sort(took)
	r.LoopUS = Median(took)
	if r.LoopUS <= 0 {
		return r
	}
	total, outliers := 0.0, 0
	for _, us := range took {
		total += us
		if us > 2*r.LoopUS {
			outliers++
		}
	}
	p10, p90 := stat.Quantile(0.1, stat.Empirical, took, nil), stat.Quantile(0.9, stat.Empirical, took, nil)
	r.Spread = (p90 - p10) / r.LoopUS
	r.Outliers = float64(outliers) / float64(r.Loops)
	r.Away = max(0, 1-float64(r.Loops)*p10/total)
	return r
}

// step is a step of xorshift64 (Marsaglia, Journal of Statistical Software 8, 2003), which maps only 0
// to itself.
func step(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	return x ^ x<<17
}

// spin is one loop of the canary. Each step depends on the previous one, so the processor cannot
// overlap them, and none accesses memory. seed must not be 0.
//
//go:noinline
func spin(seed uint64) uint64 {
	for range spinSteps {
		seed = step(seed)
	}
	return seed
}

// fill is a loop of fixed work that occupies the execution units of a core: six chains of steps
// that do not depend on each other. A program on the other hyperthread of the core slows it down, and
// hardly slows spin down. seed must not be 0.
//
//go:noinline
func fill(seed uint64) uint64 {
	a, b, c, d, e, f := seed, seed+1, seed+2, seed+3, seed+4, seed+5
	for range spinSteps / 2 {
		a, b, c, d, e, f = step(a), step(b), step(c), step(d), step(e), step(f)
	}
	return a | b | c | d | e | f
}

// spinRate runs loops in the given number of goroutines at once for 20 ms and returns the mean
// rate of a goroutine, in loops per second.
func spinRate(ctx context.Context, goroutines int) float64 {
	rates := make([]float64, goroutines)
	var group sync.WaitGroup
	for i := range rates {
		group.Go(func() {
			seed, began, loops := uint64(i+1), time.Now(), 0
			for time.Since(began) < canaryWindow && ctx.Err() == nil {
				seed = fill(seed)
				loops++
			}
			rates[i] = float64(loops) / time.Since(began).Seconds()
			runtime.KeepAlive(seed)
		})
	}
	group.Wait()
	return stat.Mean(rates, nil)
}
