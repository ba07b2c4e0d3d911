package machine

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"gonum.org/v1/gonum/stat"
)

// AwayBound is what the median of [CanaryResult.Away] over the sessions of a measurement
// must not be above: then the process has had less than 35% of a core, and the place is
// too noisy to judge anything by.
//
// The paired statistic still works beside one and two processes that burn a core each, so
// the bound lies above them. Measured in fresh processes on 2 virtual cores (n = 100 each;
// median, 5% to 95%): idle 0.07 (0.02 to 0.36), one burner 0.52 (0.09 to 0.65), two 0.09
// (0.07 to 0.55), eight 0.75 (0.56 to 0.81). The median of 5 such sessions, drawn 4,000
// times, was above the bound in 0.1% with one burner, never with two, in 96% with eight;
// of a single one, up to 5% are. By fair shares, a process is away 1 - cores/(burners+1)
// of the time: it fires from five burners on 2 cores.
//
// It sees only what happens within 20 ms: a group that is stopped for 70 ms after 30 may
// escape it; the quota of the group is for [Inspect] to find.
const AwayBound = 0.65

// CanaryResult is how evenly a loop of fixed work ran.
type CanaryResult struct {
	Loops  int     `json:"loops"`
	LoopUS float64 `json:"loop_us"` // median of a loop, in us
	// Spread is (p90-p10)/median of the loops, 0 and up: what the clock rate and the
	// neighbours on a core do to work that is not interrupted. It says nothing of
	// preemption, which hits too few loops: with eight burners it is as small as idle. The
	// median absolute deviation is blind to even more.
	Spread float64 `json:"spread"`
	// Outliers is the share of loops that took more than twice the median, 0 to 1: how
	// often the process was interrupted.
	Outliers float64 `json:"outliers"`
	// Away is the share of the time in which the loop did not get on, 0 to 1: what is left
	// when every loop had taken the p10 of them all. It is what tells a busy machine, a throttled
	// group and stolen time, and is judged by [AwayBound].
	Away float64 `json:"away"`
}

const (
	canaryWindow = 20 * time.Millisecond
	canaryLeast  = 10      // loops, however long they take: fewer have no p10
	canaryMost   = 1 << 12 // loops, should the clock stand still
	spinSteps    = 60_000  // of one loop: about 100 us at 3 GHz
)

// Canary runs a loop of fixed work for 20 ms, longer only where the process is kept
// from the core, and tells how evenly it ran. It is cheap enough for the start of every
// session. Run it where nothing else runs in the process. A cancelled ctx ends it with
// the loops so far. Where the clock is too coarse to see a loop, LoopUS is 0 and Away 1.
func Canary(ctx context.Context) CanaryResult { return canary(ctx, time.Now, spin) }

func canary(ctx context.Context, now func() time.Time, work func(uint64) uint64) CanaryResult {
	took := make([]float64, 0, canaryMost) // us
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

// evenness of loops that took so many us each; took is sorted by it. Quantiles are by
// nearest rank.
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

// spin is the loop: xorshift64 (Marsaglia, Journal of Statistical Software 8, 2003), each
// step of which waits for the one before. It touches no memory. seed must not be 0.
//
//go:noinline
func spin(seed uint64) uint64 {
	for range spinSteps {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
	}
	return seed
}

// spinRate is the loops a second that each of several goroutines makes at once, the mean
// of them, over a window.
func spinRate(ctx context.Context, goroutines int) float64 {
	rates := make([]float64, goroutines)
	var group sync.WaitGroup
	for i := range rates {
		group.Go(func() {
			seed, began, loops := uint64(i+1), time.Now(), 0
			for time.Since(began) < canaryWindow && ctx.Err() == nil {
				seed = spin(seed)
				loops++
			}
			rates[i] = float64(loops) / time.Since(began).Seconds()
			runtime.KeepAlive(seed)
		})
	}
	group.Wait()
	return stat.Mean(rates, nil)
}
