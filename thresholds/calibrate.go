package thresholds

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/flujo/flujo-harness/harness"
)

// What a limit must show in replay before it may be used.
const (
	needHeld   = 0.95  // of the unchanged program
	needBroken = 0.95  // of the slowed program
	mostFalse  = 0.001 // of the unchanged program, called broken
	replays    = 2000
	// Share of sessions whose median the baseline lies above. A session's median
	// scatters; a verdict takes many. With 0.9 the baseline of 10 noisy sessions was
	// their largest, and 17% of replays of +10% stayed unbroken.
	coverage     = 0.75
	replayBudget = 24 // sessions a replayed verdict may use
)

// MarginError is a margin that the null sessions of a calibration cannot resolve.
type MarginError struct {
	Margin   float64 // asked for
	Smallest float64 // that would do; 0 where none up to 100% does
	Held     float64 // share of null replays that held
	False    float64 // share of null replays that broke
	Broken   float64 // share of slowed replays that broke
	Replays  int
}

func (e *MarginError) Error() string {
	next := "none up to 100% would do: measure on a quieter machine"
	if e.Smallest > 0 {
		next = fmt.Sprintf("the smallest that this machine resolves now is %.3g%%", 100*e.Smallest)
	}
	return fmt.Sprintf("a margin of %.3g%% cannot be resolved: of %d replays of unchanged sessions %.1f%% held and %.2f%% broke, of slowed ones %.1f%% broke; %s",
		100*e.Margin, e.Replays, 100*e.Held, 100*e.False, 100*e.Broken, next)
}

// Calibrate measures the unchanged program in spec.Plan.Sessions sessions, with
// the slow arm slowed by the margin, and derives the limit from all of them. Every
// session counts, however it looks: a limit derived from the good ones is biased.
// progress is called after every session. It returns a [*MarginError] where the
// margin cannot be proven, and an error where the measurement was not valid.
func Calibrate(ctx context.Context, spec harness.Spec, margin float64, run harness.Runner, commit string, progress func(*harness.Comparison)) (Limit, *harness.Comparison, error) {
	if !(margin > 0 && margin <= 1) {
		return Limit{}, nil, fmt.Errorf("margin %v: use a share above 0, up to 1 (0.1 is 10%%)", margin)
	}
	spec.Plan.SlowBy = margin
	c, err := harness.Measure(ctx, spec, run, func(c *harness.Comparison) bool { progress(c); return false })
	switch {
	case err != nil:
		return Limit{}, nil, err
	case !c.Valid():
		return Limit{}, c, fmt.Errorf("calibration is invalid: %s", c.Problem)
	case !c.Complete:
		return Limit{}, c, fmt.Errorf("calibration was interrupted after %d of %d sessions: no limit was derived", c.Sessions(), c.Plan.Sessions)
	}
	l, err := derive(c, margin)
	l.Provenance.Date, l.Provenance.Commit = time.Now().UTC().Format(dateForm), commit
	return l, c, err
}

// derive makes the limit of a complete calibration and proves it by replay.
func derive(c *harness.Comparison, margin float64) (Limit, error) {
	null := bySession(c, func(b harness.Block) float64 { return b.CostRatio })
	slow := bySession(c, func(b harness.Block) float64 { return b.Slow })
	medians := make([]float64, len(null))
	for i, blocks := range null {
		medians[i] = harness.Median(blocks)
	}
	l := Limit{Workload: c.Workload, Metric: MetricCostRatio, Durability: c.Durability, Margin: margin,
		Baseline: round(upperTolerance(medians, coverage, 0.95))}
	l.Limit = round(l.Baseline * (1 + margin))
	held, wrong := replay(null, l.Boundary(), c.Seed)
	_, broken := replay(slow, l.Boundary(), c.Seed)
	l.Provenance = Provenance{Seed: c.Seed, Sessions: len(null), Blocks: len(c.Blocks), Replays: replays,
		NullHeld: held, NullBroken: wrong, SlowBroken: broken, Injected: round(c.Injected.Value), Environment: c.Environment}
	if held >= needHeld && wrong <= mostFalse && broken >= needBroken {
		return l, nil
	}
	e := &MarginError{Margin: margin, Held: held, False: wrong, Broken: broken, Replays: replays}
	for percent := 1; percent <= 100 && e.Smallest == 0; percent++ {
		m := float64(percent) / 100
		scaled := make([][]float64, len(null))
		for i, blocks := range null {
			for _, b := range blocks {
				scaled[i] = append(scaled[i], b*(1+m))
			}
		}
		boundary := l.Baseline * math.Sqrt(1+m)
		h, w := replay(null, boundary, c.Seed)
		if _, b := replay(scaled, boundary, c.Seed); h >= needHeld && w <= mostFalse && b >= needBroken {
			e.Smallest = m
		}
	}
	return l, e
}

// round to six decimals: what the file shows is what is judged by.
func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// upperTolerance is the smallest order statistic that lies above the share
// coverage of the distribution with the given confidence, whatever its shape: the
// r-th of n with P(Binomial(n, coverage) <= r-1) >= confidence. Where n is too
// small for that it is the largest value (n = 29 suffices for 0.9 and 0.95).
// Source: Wilks, Annals of Mathematical Statistics 12 (1941).
func upperTolerance(v []float64, coverage, confidence float64) float64 {
	s := slices.Sorted(slices.Values(v))
	dist := distuv.Binomial{N: float64(len(s)), P: coverage}
	for r := 1; r < len(s); r++ {
		if dist.CDF(float64(r-1)) >= confidence {
			return s[r-1]
		}
	}
	return s[len(s)-1]
}

// replay judges sequences of sessions, drawn with replacement, and returns the
// shares that held and broke.
func replay(sessions [][]float64, boundary float64, seed uint64) (held, broken float64) {
	rng := rand.New(rand.NewPCG(seed, 0x5ca1ab1e))
	var values []float64
	var number []int
	for range replays {
		values, number = values[:0], number[:0]
		for n := range replayBudget {
			for _, b := range sessions[rng.IntN(len(sessions))] {
				values, number = append(values, b), append(number, n)
			}
		}
		switch decide(values, number, boundary).outcome {
		case Held:
			held++
		case Broken:
			broken++
		}
	}
	return held / replays, broken / replays
}

// bySession groups one statistic of the blocks by session.
func bySession(c *harness.Comparison, of func(harness.Block) float64) [][]float64 {
	groups := make([][]float64, c.Sessions())
	for _, b := range c.Blocks {
		groups[b.Session-1] = append(groups[b.Session-1], of(b))
	}
	return groups
}
