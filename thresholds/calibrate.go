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

// Requirements that a limit must satisfy in replay before it is used, and settings of the replay.
const (
	needHeld     = 0.95  // least share of replays of the unchanged program that hold
	needBroken   = 0.95  // least share of replays of the slowed program that break
	mostFalse    = 0.001 // largest share of replays of the unchanged program that break
	leastReplays = 100
	leastSession = 4  // each replayed limit leaves some sessions out
	replayBudget = 24 // maximum number of sessions of a replayed verdict
	outOfBag     = "out-of-bag"
	// coverage is the share of sessions whose medians lie below the baseline, with 95%
	// confidence. A verdict uses many sessions and therefore decides about the center of their
	// distribution rather than its upper tail. On 300 recorded sessions, in calibrations of 30
	// sessions each judged by 24 consecutive other sessions (n=1,120), a slow-down of 5% broke a
	// limit with a margin of 5% in 85% of cases with coverage 0.5, in 66% with 0.6 and in 29%
	// with 0.75. There were no false alarms, and the unchanged program held in 97.7%, 99.9% and
	// 100%.
	coverage = 0.5
)

// Order states what a calibration must prove.
type Order struct {
	Margin  float64 // slow-down that the limit must detect, a share: 0.1 is 10%
	Replays int     // number of replays after each proven rate, at least 100
	Commit  string  // commit of the program, for the provenance
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

// MarginError reports a margin that is too small for the noise of a calibration.
type MarginError struct {
	Margin   float64 // requested margin, a share
	Smallest float64 // smallest margin that can be proven, a share; 0 if none up to 100% can
	Injected float64 // measured size of the injected slow-down of Margin, a share
	Held     float64 // share of null replays that held
	False    float64 // share of null replays that broke
	Broken   float64 // share of slowed replays that broke
	Replays  int
}

func (e *MarginError) Error() string {
	next := "no margin up to 100% can be resolved: measure on a quieter machine"
	switch {
	case e.Smallest > 0 && e.Smallest <= e.Margin:
		next = fmt.Sprintf("the noise of this machine allows %.3g%%, but the injected slow-down measured %+.3g%%: use a larger margin", 100*e.Smallest, 100*e.Injected)
	case e.Smallest > 0:
		next = fmt.Sprintf("the smallest that this machine resolves now is %.3g%%", 100*e.Smallest)
	}
	return fmt.Sprintf("a margin of %.3g%% cannot be resolved: of %d replays of unchanged sessions %.1f%% held and %.2f%% broke, of slowed ones %.1f%% broke; %s",
		100*e.Margin, e.Replays, 100*e.Held, 100*e.False, 100*e.Broken, next)
}

// Calibrate measures the unchanged program in spec.Plan.Sessions sessions, with an additional arm
// slowed by the margin, and derives a limit. It uses every session, because a limit derived from
// selected sessions is biased. It calls progress after each session. The error is a
// [*MarginError] if the margin cannot be proven; an invalid or interrupted measurement is another
// error.
func Calibrate(ctx context.Context, spec harness.Spec, order Order, run harness.Runner, progress func(*harness.Comparison)) (Limit, *harness.Comparison, error) {
	if err := order.check(spec); err != nil {
		return Limit{}, nil, err
	}
	spec.Plan.SlowBy = order.Margin
	c, err := harness.Measure(ctx, spec, run, func(c *harness.Comparison) bool { progress(c); return false })
	if err != nil {
		return Limit{}, nil, err
	}
	if err := completed(c); err != nil {
		return Limit{}, c, err
	}
	l, err := derive(c, order)
	return l, c, err
}

// completed returns why a limit must not be derived from a calibration.
func completed(c *harness.Comparison) error {
	switch {
	case !c.Valid():
		return fmt.Errorf("calibration is invalid: %s", c.Problem)
	case !c.Complete:
		return fmt.Errorf("calibration was interrupted after %d of %d sessions: no limit was derived", c.Sessions(), c.Plan.Sessions)
	}
	return nil
}

// derive derives the limit from a complete calibration and proves it by replay. A workload whose
// time is not judged gets a limit of counts, which needs no proof.
func derive(c *harness.Comparison, order Order) (Limit, error) {
	if c.Untimed != "" {
		return limitOfCounts(c, order)
	}
	null := bySession(c, func(b harness.Block) float64 { return b.CostRatio })
	slow := bySession(c, func(b harness.Block) float64 { return b.Slow })
	l := Limit{Workload: c.Workload, Metric: MetricCostRatio, Durability: c.Durability, Margin: order.Margin, Baseline: round(baseline(null))}
	l.Limit = round(l.Baseline * (1 + l.Margin))
	if least, ok := c.Counters[harness.ArmBackend]; ok {
		l.Counters = limitCounters(least, c.Most[harness.ArmBackend])
	}
	r := replay(null, slow, order.Margin, order.Replays, c.Seed)
	l.Provenance = provenanceOf(c, order, outOfBag)
	l.Provenance.Seed, l.Provenance.Sessions, l.Provenance.Blocks = c.Seed, len(null), len(c.Blocks)
	l.Provenance.Replays, l.Provenance.NullHeld, l.Provenance.NullBroken, l.Provenance.SlowBroken = order.Replays, r.held, r.wrong, r.broken
	l.Provenance.Injected = round(c.Injected.Value)
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

// provenanceOf is what the limits of all metrics say of how they were derived, and of what.
func provenanceOf(c *harness.Comparison, order Order, method string) Provenance {
	info, _ := debug.ReadBuildInfo()
	return Provenance{Date: time.Now().UTC().Format(dateForm), Commit: order.Commit, Modules: modules(info), Method: method, Plan: c.Plan, Environment: c.Environment}
}

// modules returns the modules on the measured path with their versions: the program, the SQLite
// driver and its translated C library. info may be nil.
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

// round rounds to six decimals, so that the values in the file are exactly those used to judge.
func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// upperTolerance returns a distribution-free upper tolerance bound: the smallest order statistic
// that exceeds the quantile of the given coverage with the given confidence. It is the r-th of n
// values with P(Binomial(n, coverage) <= r-1) >= confidence. It assumes independent values of one
// continuous distribution. If n is too small, it is the largest value; n = 29 suffices for
// coverage 0.9 and confidence 0.95.
//
// Source: S. S. Wilks, "Determination of sample sizes for setting tolerance limits", Annals of
// Mathematical Statistics 12 (1941), 91-96.
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

// baseline returns the baseline of the unchanged program: an upper bound of the median of its
// sessions' medians.
func baseline(sessions [][]float64) float64 {
	medians := make([]float64, len(sessions))
	for i, blocks := range sessions {
		medians[i] = machine.Median(blocks)
	}
	return upperTolerance(medians, coverage, 0.95)
}

// rates are the shares of replayed verdicts.
type rates struct {
	held, wrong float64 // unchanged program: held, broken
	broken      float64 // slowed program: broken
}

func (r rates) proven() bool {
	return r.held >= needHeld && r.wrong <= mostFalse && r.broken >= needBroken
}

// replay estimates the rates of verdicts by out-of-bag resampling. Each replay derives a limit
// from as many sessions as there are, drawn with replacement, and judges sequences of the
// sessions that were not drawn, about 37%.
//
// Judging the sessions that the limit was derived from would be too optimistic. Deriving it from
// one half and judging the other would be too pessimistic, because the bound from half as many
// sessions is higher: on the 300 sessions described at coverage, a slow-down of 5% was found in
// 85% of real sequences, in 88% of replays and in 64% of halves.
//
// It assumes that sessions are independent. On a machine that drifts, consecutive verdicts
// depend on each other more than replays do.
//
// Source: L. Breiman, "Out-of-bag estimation" (1996), after B. Efron's bootstrap (1979).
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

// outcome judges a sequence of the given sessions in random order. Every session occurs once
// before any is repeated.
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

// bySession groups a statistic of the blocks by session.
func bySession(c *harness.Comparison, of func(harness.Block) float64) [][]float64 {
	groups := make([][]float64, c.Sessions())
	for _, b := range c.Blocks {
		groups[b.Session-1] = append(groups[b.Session-1], of(b))
	}
	return groups
}
