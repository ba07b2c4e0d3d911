package thresholds

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/machine"
)

// aaMargin is the margin for the A/A pair if there is no limit whose margin applies.
const aaMargin = 0.10

// leastRatio is the least plausible overhead ratio (W-N)/F. The backend executes the statements of
// the floor arm and more, so below this value it did not execute them while it was timed.
const leastRatio = 0.9

// Judge judges a comparison by its limit. If limits is nil, Judge only judges the A/A pair, and
// the verdict is inconclusive. By limits of another class of machine the verdict can be held, or
// broken by counts, but not broken by time: of 15 unchanged workloads, 5 exceeded limits from
// another processor. now determines whether a loosening has expired. Judge can be called while
// the measurement continues; [Verdict.Decided] reports whether further sessions could change the
// verdict.
func Judge(c *harness.Comparison, limits *File, now time.Time) Verdict {
	v := Verdict{Workload: c.Workload, Metric: MetricCostRatio, Durability: c.Durability, N: len(c.Blocks)}
	end := func(o Outcome, reason, next string) Verdict { return v.end(o, c.Name()+": "+reason, next) }
	metric := MetricCostRatio
	if c.Untimed != "" {
		metric = MetricCounts
	}
	var limit *Limit
	if limits != nil {
		v.Source = limits.Path
		limit = limits.Find(c.Workload, metric, c.Durability)
	}
	foreign := limit != nil && limits.Class != c.Environment.Class
	if foreign {
		v.Notes = append(v.Notes, fmt.Sprintf("judged by the limit of another class of machine: calibrated on %s, measured on %s", limits.Class, c.Environment.Class))
	}
	if !c.Valid() {
		return end(Invalid, "the measurement is at fault, not the product: "+c.Problem, "mend what the audit found, then run again")
	}
	if len(c.Blocks) == 0 {
		return end(Inconclusive, "nothing was measured", "run again and let it finish")
	}
	if limit != nil {
		v.Limit, v.Boundary, v.Baseline, v.Margin = limit.Limit, limit.Boundary(), limit.Baseline, limit.Margin
	}
	v.Notes = append(v.Notes, storageNote(c)...)
	ratios, sessions := c.Column(func(b harness.Block) float64 { return b.CostRatio })
	if d := decide(inverse(ratios), sessions, 1/leastRatio); d.outcome == Broken {
		return end(Invalid, fmt.Sprintf("below the floor: (W-N)/F is under %.2g in %d of %d blocks: the backend arm has not done its work while it was timed", leastRatio, d.above, d.n),
			"look for work that happens before or after the timed runs, or not at all")
	}
	if c.Untimed != "" {
		return judgeCountsAlone(c, limits, limit, v.Source, v.Notes, now)
	}
	twins, _ := c.Column(func(b harness.Block) float64 { return b.Twin })
	margin := aaMargin
	if limit != nil {
		margin = limit.Margin
	}
	v.Self = append(v.Self, judgeTwins(twins, sessions, margin))
	if limit == nil {
		return end(Inconclusive, "no limit exists for it",
			"create one: "+calibrateCommand(c))
	}
	slow, _ := c.Column(func(b harness.Block) float64 { return b.Slow })
	v.Self = append(v.Self, judgeInjected(c, slow, sessions, v.Boundary))
	d := decide(ratios, sessions, v.Boundary)
	v.Above, v.N = d.above, d.n
	if e := c.CostRatio; !foreign && e.Value > 0 {
		v.Notices = v.Boundary/e.Value - 1
		v.Stale = e.High > 0 && limitIsStale(e.High/v.Baseline, v.Margin)
	}
	away := awayMedian(c)
	awayText := fmt.Sprintf("the process was away from the processor for %.0f%% of the time (median of %d sessions)", 100*away, len(c.Conditions))
	if away > machine.AwayBound {
		v.Notes = append(v.Notes, awayText)
	}

	for _, s := range v.Self {
		if s.Got == opposite(s.Want) {
			if foreign && s.Want == Broken {
				return end(Inconclusive, fmt.Sprintf("%s was %s by the limit of another class of machine, %s", s.Name, s.Got, limits.Class), "create a limit for this class: "+calibrateCommand(c))
			}
			if v.Stale && s.Want == Broken {
				return end(Inconclusive, fmt.Sprintf("its limit is stale: %s was %s; (W-N)/F is %v and the calibrated baseline %.4g, so that %s",
					s.Name, s.Got, c.CostRatio, v.Baseline, v.noticesOnly()), v.tighten(c))
			}
			return end(Invalid, fmt.Sprintf("the gate failed its self-check: %s was %s and must be %s", s.Name, s.Got, s.Want), s.Explain)
		}
	}
	rose, notes := judgeCounters(c, limit, foreign)
	v.Notes = append(v.Notes, notes...)
	if len(rose) > 0 && c.Sessions() > 1 { // a single process may have allocated for its own reasons
		return end(Broken, moreThanAllowed(rose), findMoreWork)
	}
	if e := limits.expired(limit, now); e != nil {
		return end(Broken, expiredSince(e), expiredNext)
	}
	for _, s := range v.Self {
		if s.Got != s.Want && away > machine.AwayBound && c.Sessions() > 1 {
			return end(Inconclusive, fmt.Sprintf("this machine is too noisy for timings: %s, more than the maximum of %.0f%%, and the self-check is undecided after %s: %s",
				awayText, 100*machine.AwayBound, blocks(len(c.Blocks)), s.Name), "measure on a quieter machine, see flujo-harness doctor")
		}
		if s.Got != s.Want {
			return end(Inconclusive, fmt.Sprintf("the self-check is undecided after %s: %s", blocks(len(c.Blocks)), s.Name), "measure on a quieter machine, or allow more sessions")
		}
	}
	counts := fmt.Sprintf("%d of %d blocks are above the boundary %.4g", d.above, d.n, v.Boundary)
	switch d.outcome {
	case Held:
		if v.Stale {
			return end(Inconclusive, fmt.Sprintf("its limit is stale: (W-N)/F is %v and the calibrated baseline %.4g, so that %s", c.CostRatio, v.Baseline, v.noticesOnly()), v.tighten(c))
		}
		return end(Held, fmt.Sprintf("(W-N)/F is within its limit %.4g: %s", v.Limit, counts), "nothing to do")
	case Broken:
		if foreign {
			return end(Inconclusive, fmt.Sprintf("%s of another class of machine, %s, which can be a property of this machine", counts, limits.Class),
				"create a limit for this class: "+calibrateCommand(c))
		}
		return end(Broken, fmt.Sprintf("(W-N)/F is above its limit: %s, calibrated baseline %.4g", counts, v.Baseline),
			"find the change that made saves slower since the last passing run")
	}
	return end(Inconclusive, fmt.Sprintf("%s, which decides nothing; %s", counts, excluded(c.CostRatio, v.Baseline, " above the baseline")), "measure on a quieter machine, or allow more sessions")
}

// limitIsStale reports whether a program that has become cheaper could become dearer by the margin of its
// limit without breaking it. high is the upper end of the interval of its cost, divided by the baseline.
func limitIsStale(high, margin float64) bool { return high < 1/(1+margin/2) }

// noticesOnly says what a stale limit would notice.
func (v Verdict) noticesOnly() string {
	return fmt.Sprintf("only a slow-down of more than %.3g%% would be noticed here, not one of %.3g%%", 100*v.Notices, 100*v.Margin)
}

// tighten says how to replace a stale limit by one with the same margin.
func (v Verdict) tighten(c *harness.Comparison, flags ...string) string {
	return "tighten it: " + calibrateCommand(c, append([]string{"--margin", fmt.Sprintf("%.3g", 100*v.Margin)}, flags...)...)
}

// calibrateCommand returns the command that derives a limit for the measurement, with further flags.
func calibrateCommand(c *harness.Comparison, flags ...string) string {
	words := []string{"flujo-harness", "calibrate"}
	if c.Suite != "" {
		words = append(words, "--suite", c.Suite)
	}
	if c.Workload != "default" {
		words = append(words, "--workload", c.Workload)
	}
	if name, _, ok := strings.Cut(c.Durability, "-"); ok { // of a backend that has an address
		words = append(words, "--backend", name+"://HOST/DATABASE")
	}
	if c.Durability != harness.DefaultDurability {
		words = append(words, "--durability", c.Durability)
	}
	return child.ShellLine(append(append(words, "--write"), flags...)...)
}

// end completes the verdict.
func (v Verdict) end(o Outcome, reason, next string) Verdict {
	v.Outcome, v.Reason, v.Next = o, reason, next
	return v
}

// String returns the outcome and its reason: "broken: 30 of 36 blocks are above 1.38".
func (v Verdict) String() string {
	if v.Reason == "" {
		return v.Outcome.String()
	}
	return v.Outcome.String() + ": " + v.Reason
}

// Decided reports whether further sessions of the same measurement could not change the verdict.
// Without a limit, it is true once there are enough blocks for an interval.
func (v Verdict) Decided() bool {
	if v.Limit == 0 && v.Outcome == Inconclusive {
		return v.N >= 15
	}
	return v.Outcome != Inconclusive
}

// excluded describes the increase over a baseline that the interval of an estimate excludes.
func excluded(e harness.Estimate, baseline float64, of string) string {
	if !e.Bounded() {
		return "no increase is excluded: too few blocks"
	}
	return fmt.Sprintf("an increase of more than %.3g%%%s is excluded", 100*max(0, e.High/baseline-1), of)
}

func opposite(o Outcome) Outcome {
	if o == Held {
		return Broken
	}
	return Held
}

// judgeCounters lists the counters that exceed their limits, and notes those that could rise
// without exceeding them. Allocations depend on the compiler and the standard library, so they are
// not judged if the Go version differs from that of the calibration. foreign means that the limit is
// of another class of machine.
func judgeCounters(c *harness.Comparison, limit *Limit, foreign bool) (rose, notes []string) {
	got, counted := c.Counters[harness.ArmBackend]
	if limit.Counters == nil || !counted {
		return nil, nil
	}
	allowed, at := *limit.Counters, limit.Provenance.Environment
	if c.Environment.Go != at.Go {
		allowed.Allocs, allowed.AllocBytes = got.Allocs, got.AllocBytes
		notes = append(notes, fmt.Sprintf("allocations were not judged: calibrated with %s, measured with %s", at.Go, c.Environment.Go))
	}
	var low []string
	for _, n := range counts {
		have, most := *n.of(&got), *n.of(&allowed)
		text := fmt.Sprintf("%s %.6g, at most %.6g", n.name, have, most)
		if round(have) > most {
			rose = append(rose, text)
		} else if have*(1+countsSlack) < most {
			low = append(low, text)
		}
	}
	if len(low) > 0 {
		remedy := calibrateCommand(c, "--counts")
		if foreign { // which cannot be changed here
			remedy = "create a limit for this class: " + calibrateCommand(c)
		}
		notes = append(notes, fmt.Sprintf("a run counts so much less than its limit allows that a rise could pass: %s: %s", strings.Join(low, ", "), remedy))
	}
	return rose, notes
}

// countsSlack is the share by which a counter may rise without breaking its limit before a verdict
// says so. Limits of counters that vary are above what is counted by their range.
const countsSlack = 0.05

// storageNote returns a warning if syncs are faster than storage can be.
func storageNote(c *harness.Comparison) []string {
	var syncs []float64
	for _, s := range c.Conditions {
		if s.Syncs > 0 {
			syncs = append(syncs, float64(s.Sync))
		}
	}
	if m := time.Duration(machine.Median(syncs)); len(syncs) == 0 || m >= harness.LeastSync {
		return nil
	} else {
		return []string{fmt.Sprintf("a sync takes %v here (median of %d sessions): faster than storage can be, so it ends in a cache; unless the device protects that cache against a loss of power, saves here do not survive a loss of power", m, len(syncs))}
	}
}

// awayMedian returns the median over the sessions of the share of time without the processor, or
// 0 if it was not measured.
func awayMedian(c *harness.Comparison) float64 {
	var away []float64
	for _, s := range c.Conditions {
		away = append(away, s.Canary.Away)
	}
	if len(away) == 0 {
		return 0
	}
	return machine.Median(away)
}

// inverse returns 1/x for every value. Non-positive values map to +Inf, so that they count as
// above every boundary.
func inverse(v []float64) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		if w[i] = 1 / x; !(x > 0) {
			w[i] = math.Inf(1)
		}
	}
	return w
}

// judgeTwins checks that the two equal arms of the A/A pair do not differ by the margin in either
// direction.
func judgeTwins(twins []float64, sessions []int, margin float64) Check {
	up := math.Sqrt(1 + margin)
	more, less := decide(twins, sessions, up), decide(inverse(twins), sessions, up)
	c := Check{Name: "the A/A pair", Want: Held, Got: Inconclusive, Above: more.above, N: more.n}
	switch {
	case more.outcome == Broken || less.outcome == Broken:
		c.Got = Broken
		if less.outcome == Broken {
			c.Above, c.N = less.above, less.n
		}
	case more.outcome == Held && less.outcome == Held:
		c.Got = Held
	}
	c.Explain = fmt.Sprintf("two measurements of the same program must differ by less than %.3g%%: if they do not, something acts on one of them alone", 100*(up-1))
	return c
}

// judgeInjected checks that the slowed arm breaks the limit.
func judgeInjected(c *harness.Comparison, slow []float64, sessions []int, boundary float64) Check {
	d := decide(slow, sessions, boundary)
	return Check{
		Name: fmt.Sprintf("the injected +%.3g%%", 100*c.Plan.SlowBy), Want: Broken, Got: d.outcome, Above: d.above, N: d.n,
		Explain: fmt.Sprintf("a backend slowed down by %.3g%% must break the limit; if it does not, the limit is too loose for this machine to notice: flujo-harness calibrate", 100*c.Plan.SlowBy),
	}
}
