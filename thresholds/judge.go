package thresholds

import (
	"fmt"
	"math"
	"time"

	"github.com/flujo/flujo-harness/harness"
)

// aaMargin is the margin by which the two arms of the A/A pair may not differ.
const aaMargin = 0.10

// Judge judges a comparison by the limits. limits may be nil: then nothing is
// judged but the self-check's A/A pair, and the verdict is inconclusive. now
// decides whether a loosening has expired. The comparison may still be growing:
// [Verdict.Decided] says whether more sessions could change anything.
func Judge(c *harness.Comparison, limits *File, now time.Time) Verdict {
	v := Verdict{Workload: c.Workload, Metric: MetricCostRatio, Durability: c.Durability, N: len(c.Blocks)}
	var limit *Limit
	if limits != nil {
		v.Source = limits.Path
		limit = limits.Find(c.Workload, MetricCostRatio, c.Durability)
		if limits.Class != c.Environment.Class {
			v.Notes = append(v.Notes, fmt.Sprintf("judged by the limit of another class of machine: calibrated on %s, measured on %s", limits.Class, c.Environment.Class))
		}
	}
	if !c.Valid() {
		return v.end(Invalid, "the measurement is at fault, not the product: "+c.Problem, "mend what the audit found, then run again")
	}
	if len(c.Blocks) == 0 {
		return v.end(Inconclusive, "nothing was measured", "run again and let it finish")
	}
	twins, sessions := c.Column(func(b harness.Block) float64 { return b.Twin })
	v.Self = append(v.Self, judgeTwins(twins, sessions))
	if limit == nil {
		return v.end(Inconclusive, fmt.Sprintf("there is no limit for workload %q at durability %q", c.Workload, c.Durability),
			"make one: flujo-harness calibrate --write")
	}
	v.Limit, v.Boundary, v.Baseline, v.Margin = limit.Limit, limit.Boundary(), limit.Baseline, limit.Margin
	slow, _ := c.Column(func(b harness.Block) float64 { return b.Slow })
	v.Self = append(v.Self, judgeInjected(c, slow, sessions, v.Boundary))
	ratios, _ := c.Column(func(b harness.Block) float64 { return b.CostRatio })
	d := decide(ratios, sessions, v.Boundary)
	v.Above, v.N = d.above, d.n

	for _, s := range v.Self {
		if s.Got == opposite(s.Want) {
			return v.end(Invalid, fmt.Sprintf("the gate failed its self-check: %s was %s and must be %s", s.Name, s.Got, s.Want), s.Explain)
		}
	}
	for _, s := range v.Self {
		if s.Got != s.Want {
			return v.end(Inconclusive, fmt.Sprintf("the self-check is undecided after %d blocks: %s", len(c.Blocks), s.Name), "measure on a quieter machine, or allow more sessions")
		}
	}
	if e := limits.expired(limit, now); e != nil {
		return v.end(Broken, fmt.Sprintf("the loosening of this limit expired on %s (reason given: %s)", e.Expires, e.Reason), "mend the cost, or calibrate anew with a reason and an expiry")
	}
	counts := fmt.Sprintf("%d of %d blocks are above the boundary %.4g", d.above, d.n, v.Boundary)
	switch d.outcome {
	case Held:
		return v.end(Held, fmt.Sprintf("%s: (W-N)/F is within its limit %.4g: %s", c.Name(), v.Limit, counts), "nothing to do")
	case Broken:
		return v.end(Broken, fmt.Sprintf("%s: (W-N)/F is above its limit: %s, calibrated baseline %.4g", c.Name(), counts, v.Baseline),
			"find what made saves dearer since the last run that held")
	}
	return v.end(Inconclusive, fmt.Sprintf("%s: %s, which decides nothing; a rise of more than %.3g%% above the baseline is excluded",
		c.Name(), counts, 100*excluded(c, v.Baseline)), "measure on a quieter machine, or allow more sessions")
}

// end completes the verdict.
func (v Verdict) end(o Outcome, reason, next string) Verdict {
	v.Outcome, v.Reason, v.Next = o, reason, next
	return v
}

// Decided reports whether more sessions of the same measurement cannot change the
// verdict. Without a limit that is so once the figures have an interval.
func (v Verdict) Decided() bool {
	if v.Limit == 0 && v.Outcome == Inconclusive {
		return v.N >= 15
	}
	return v.Outcome != Inconclusive
}

// excluded is the largest rise above the baseline, as a share of it, that the
// interval of the estimate still allows.
func excluded(c *harness.Comparison, baseline float64) float64 {
	return max(0, c.CostRatio.High/baseline-1)
}

func opposite(o Outcome) Outcome {
	if o == Held {
		return Broken
	}
	return Held
}

// judgeTwins demands that two equal arms do not differ by the margin, either way.
func judgeTwins(twins []float64, sessions []int) Check {
	up, inverse := math.Sqrt(1+aaMargin), make([]float64, len(twins))
	for i, t := range twins {
		inverse[i] = 1 / t
	}
	more, less := decide(twins, sessions, up), decide(inverse, sessions, up)
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
	c.Explain = fmt.Sprintf("two equal backend arms must differ by less than %.3g%%: if they do not, something acts on one of them alone", 100*(up-1))
	return c
}

// judgeInjected demands that the slowed arm breaks the limit.
func judgeInjected(c *harness.Comparison, slow []float64, sessions []int, boundary float64) Check {
	d := decide(slow, sessions, boundary)
	return Check{
		Name: fmt.Sprintf("the injected +%.3g%%", 100*c.Plan.SlowBy), Want: Broken, Got: d.outcome, Above: d.above, N: d.n,
		Explain: fmt.Sprintf("a backend slowed down by %.3g%% must break the limit; if it does not, the limit is too loose for this machine to notice: flujo-harness calibrate", 100*c.Plan.SlowBy),
	}
}
