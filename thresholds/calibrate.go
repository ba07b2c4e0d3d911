package thresholds

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

// What a limit must show in replay before it may be used.
const (
	needHeld     = 0.95  // of the unchanged program
	needBroken   = 0.95  // of the slowed program
	mostFalse    = 0.001 // of the unchanged program, called broken
	leastReplays = 100
	leastSession = 4  // some must be left out of each limit that is tried
	replayBudget = 24 // sessions a replayed verdict may use
	outOfBag     = "out-of-bag"
	// Share of sessions whose median the baseline lies above, with confidence. A verdict
	// takes many sessions: it is the program's middle that it decides on, not the worst
	// of its sessions. On 300 real sessions, in calibrations of 30 each judged by 24
	// others in a row (n=1,120), a limit of 5% was broken by +5% in 85% with 0.5, in 66%
	// with 0.6 and in 29% with 0.75; false alarms were 0 each time, and the unchanged
	// program held in 97.7%, 99.9% and 100%.
	coverage = 0.5
)

// Order says what a calibration is to prove.
type Order struct {
	Margin  float64 // share that the limit must notice: 0.1 is 10%
	Replays int     // n of each rate that it is proven by, 100 at least
	Commit  string  // of the program, for the provenance
}

func (o Order) check(spec harness.Spec) error {
	switch {
	case !(o.Margin > 0 && o.Margin <= 1):
		return fmt.Errorf("margin %v: use a share above 0, up to 1 (0.1 is 10%%)", o.Margin)
	case o.Replays < leastReplays:
		return fmt.Errorf("%d replays: at least %d", o.Replays, leastReplays)
	case spec.Plan.Sessions < leastSession:
		return fmt.Errorf("%d sessions: a calibration needs at least %d", spec.Plan.Sessions, leastSession)
	}
	return nil
}

// MarginError is a margin that the null sessions of a calibration cannot resolve.
type MarginError struct {
	Margin   float64 // asked for
	Smallest float64 // that would do, of a slow-down of just that size; 0 where none up to 100% does
	Injected float64 // what the slow-down of Margin measured as, a share
	Held     float64 // share of null replays that held
	False    float64 // share of null replays that broke
	Broken   float64 // share of slowed replays that broke
	Replays  int
}

func (e *MarginError) Error() string {
	next := "none up to 100% would do: measure on a quieter machine"
	switch {
	case e.Smallest > 0 && e.Smallest <= e.Margin:
		next = fmt.Sprintf("by its noise this machine resolves %.3g%%, but what was injected measured %+.3g%%: ask for a larger margin", 100*e.Smallest, 100*e.Injected)
	case e.Smallest > 0:
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
func Calibrate(ctx context.Context, spec harness.Spec, order Order, run harness.Runner, progress func(*harness.Comparison)) (Limit, *harness.Comparison, error) {
	if err := order.check(spec); err != nil {
		return Limit{}, nil, err
	}
	spec.Plan.SlowBy = order.Margin
	c, err := harness.Measure(ctx, spec, run, func(c *harness.Comparison) bool { progress(c); return false })
	switch {
	case err != nil:
		return Limit{}, nil, err
	case !c.Valid():
		return Limit{}, c, fmt.Errorf("calibration is invalid: %s", c.Problem)
	case !c.Complete:
		return Limit{}, c, fmt.Errorf("calibration was interrupted after %d of %d sessions: no limit was derived", c.Sessions(), c.Plan.Sessions)
	}
	l, err := derive(c, order)
	return l, c, err
}

// derive makes the limit of a complete calibration and proves it by replay.
func derive(c *harness.Comparison, order Order) (Limit, error) {
	null := bySession(c, func(b harness.Block) float64 { return b.CostRatio })
	slow := bySession(c, func(b harness.Block) float64 { return b.Slow })
	l := Limit{Workload: c.Workload, Metric: MetricCostRatio, Durability: c.Durability, Margin: order.Margin, Baseline: round(baseline(null))}
	l.Limit = round(l.Baseline * (1 + l.Margin))
	if least, ok := c.Counters[harness.ArmBackend]; ok {
		l.Counters = limitCounters(least, c.Most[harness.ArmBackend])
	}
	r := replay(null, slow, order.Margin, order.Replays, c.Seed)
	info, _ := debug.ReadBuildInfo()
	l.Provenance = Provenance{
		Date: time.Now().UTC().Format(dateForm), Commit: order.Commit, Modules: modules(info), Seed: c.Seed, Sessions: len(null), Blocks: len(c.Blocks),
		Method: outOfBag, Replays: order.Replays, NullHeld: r.held, NullBroken: r.wrong, SlowBroken: r.broken,
		Injected: round(c.Injected.Value), Plan: c.Plan, Environment: c.Environment,
	}
	if r.proven() {
		return l, nil
	}
	e := &MarginError{Margin: order.Margin, Injected: c.Injected.Value - 1, Held: r.held, False: r.wrong, Broken: r.broken, Replays: order.Replays}
	for percent := 1; percent <= 100 && e.Smallest == 0; percent++ {
		m := float64(percent) / 100
		scaled := make([][]float64, len(null))
		for i, blocks := range null {
			for _, b := range blocks {
				scaled[i] = append(scaled[i], b*(1+m))
			}
		}
		if replay(null, scaled, m, order.Replays, c.Seed).proven() {
			e.Smallest = m
		}
	}
	return l, e
}

// modules are what the measured path is made of, with versions: this program, and the
// database with the C library that it is translated to. info is nil where the program has none.
func modules(info *debug.BuildInfo) []string {
	if info == nil {
		return nil
	}
	all := []string{strings.TrimSpace(info.Main.Path + " " + info.Main.Version)}
	for _, m := range info.Deps {
		if m.Path == "modernc.org/sqlite" || m.Path == "modernc.org/libc" {
			all = append(all, m.Path+" "+m.Version)
		}
	}
	return all
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

// baseline of the unchanged program: a bound above the middle of its sessions.
func baseline(sessions [][]float64) float64 {
	medians := make([]float64, len(sessions))
	for i, blocks := range sessions {
		medians[i] = machine.Median(blocks)
	}
	return upperTolerance(medians, coverage, 0.95)
}

// rates of the verdicts in replay.
type rates struct {
	held, wrong float64 // of the unchanged program
	broken      float64 // of the slowed program
}

func (r rates) proven() bool {
	return r.held >= needHeld && r.wrong <= mostFalse && r.broken >= needBroken
}

// replay tries limits on sessions that they were not made of, again and again: a
// limit is derived from as many sessions as there are, drawn with replacement, and
// judges sequences of the sessions that this left out, about 37% of them.
// Replaying the sessions that made the limit flatters it; deriving it from one half to
// judge the other slanders it, because of half as many sessions the bound lies higher:
// on the 300 sessions named above +5% was found in 85% of real sequences, in 88% of
// these and in 64% of halves. It takes sessions for independent of each other: where the
// machine drifts, the rates of verdicts within a minute differ more than these.
// Source: out-of-bag estimation, Breiman 1996, after Efron's bootstrap, 1979.
func replay(null, slow [][]float64, margin float64, replays int, seed uint64) rates {
	rng := rand.New(rand.NewPCG(seed, 0x5ca1ab1e))
	var r rates
	in := make([][]float64, len(null))
	for range replays {
		var out []int
		for len(out) < 2 { // a verdict needs two sessions
			drawn := make([]bool, len(null))
			for i := range in {
				k := rng.IntN(len(null))
				in[i], drawn[k] = null[k], true
			}
			out = out[:0]
			for k, was := range drawn {
				if !was {
					out = append(out, k)
				}
			}
		}
		boundary := Limit{Baseline: baseline(in), Margin: margin}.Boundary()
		switch outcome(null, out, boundary, rng) {
		case Held:
			r.held++
		case Broken:
			r.wrong++
		}
		if outcome(slow, out, boundary, rng) == Broken {
			r.broken++
		}
	}
	n := float64(replays)
	return rates{r.held / n, r.wrong / n, r.broken / n}
}

// outcome of judging a sequence of some of the sessions in random order, each once
// before any comes again.
func outcome(sessions [][]float64, from []int, boundary float64, rng *rand.Rand) Outcome {
	var values []float64
	var number []int
	for n := range replayBudget {
		at := n % len(from)
		if at == 0 {
			rng.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
		}
		for _, b := range sessions[from[at]] {
			values, number = append(values, b), append(number, n)
		}
	}
	return decide(values, number, boundary).outcome
}

// bySession groups one statistic of the blocks by session.
func bySession(c *harness.Comparison, of func(harness.Block) float64) [][]float64 {
	groups := make([][]float64, c.Sessions())
	for _, b := range c.Blocks {
		groups[b.Session-1] = append(groups[b.Session-1], of(b))
	}
	return groups
}
