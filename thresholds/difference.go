package thresholds

import (
	"fmt"
	"math"
	"strings"

	"github.com/flujo/flujo-harness/harness"
)

// MetricRatio is Head/Base of a difference: how much longer the one takes.
const MetricRatio = "ratio"

// JudgeDifference says whether Head is slower than Base by the margin, a share: 0.05
// is 5%. family is the number of differences that are judged together: an alarm in any
// of them has the chance alpha that an alarm in one has alone (Bonferroni). The
// difference may still be growing: [Verdict.Decided] says whether more could change
// anything. That Head is faster is a note, not an outcome.
func JudgeDifference(d *harness.Difference, margin float64, family int) Verdict {
	v := Verdict{Workload: d.Name, Metric: MetricRatio, N: len(d.Blocks), Notes: append([]string(nil), d.Notes...), Source: "margin"}
	end := func(o Outcome, reason, next string) Verdict {
		return v.end(o, fmt.Sprintf("%s: %s against %s: %s", d.Name, d.Head, d.Base, reason), next)
	}
	if !(margin > 0 && margin <= 1) || family < 1 {
		return end(Invalid, fmt.Sprintf("a margin of %v over %d differences: use a share above 0, up to 1 (0.05 is 5%%), and 1 or more", margin, family), "mend the call")
	}
	v.Baseline, v.Margin, v.Limit, v.Boundary = 1, margin, 1+margin, math.Sqrt(1+margin)
	for _, f := range d.Audit {
		if !f.OK || d.Problem != "" {
			reason := d.Problem
			if reason == "" {
				reason = f.Check + ": " + f.Detail
			}
			return end(Invalid, "the measurement is at fault, or a subject fails: "+reason, "mend what the audit found, then run again")
		}
	}
	switch {
	case d.Problem != "":
		return end(Invalid, "the measurement is at fault, or a subject fails: "+d.Problem, "mend what the audit found, then run again")
	case len(d.Audit) == 0:
		return end(Invalid, "there is no audit: nothing shows what was measured", "measure with harness.Compare, or take samples with harness.FromSamples")
	case d.HeadFails != "":
		return end(Broken, "it fails, and did not before: "+d.HeadFails, "mend the benchmark or what it runs")
	}
	if more := moreCounted(d.Counts, margin); len(more) > 0 {
		return end(Broken, "it counts more: "+strings.Join(more, "; "), "counts have no noise: find what allocates, or say why it may")
	}
	switch {
	case d.NotCompared != "":
		return end(Inconclusive, d.NotCompared, "let the benchmark run and print its time at both revisions")
	case len(d.Blocks) == 0:
		return end(Inconclusive, "nothing was measured", "run again and let it finish")
	}
	ratios, sessions := d.Column(func(b harness.DifferenceBlock) float64 { return b.Ratio })
	test := decideAt(ratios, sessions, v.Boundary, float64(family)/alpha, 1/beta)
	v.Above, v.N = test.above, test.n
	if d.Blocks[0].Twin != 0 {
		twins, _ := d.Column(func(b harness.DifferenceBlock) float64 { return b.Twin })
		v.Self = append(v.Self, judgeTwins(twins, sessions, margin))
	}
	if d.Blocks[0].Slow != 0 {
		slow, _ := d.Column(func(b harness.DifferenceBlock) float64 { return b.Slow })
		s := decide(slow, sessions, v.Boundary)
		// A copy of a subject that is faster than the base may be slowed down and still be
		// within: it says nothing then.
		if test.outcome != Held || d.Ratio.High > 1/v.Boundary {
			v.Self = append(v.Self, Check{Name: "the injected slow-down", Want: Broken, Got: s.outcome, Above: s.above, N: s.n,
				Explain: "a slowed copy of the subject must be told from the base: if it is not, the margin is too wide, or the clock too coarse"})
		}
	}
	for _, s := range v.Self {
		if s.Got == opposite(s.Want) {
			return end(Invalid, fmt.Sprintf("the self-check failed: %s was %s and must be %s", s.Name, s.Got, s.Want), s.Explain)
		}
	}
	for _, s := range v.Self {
		if s.Got != s.Want {
			return end(Inconclusive, fmt.Sprintf("the self-check is undecided after %d blocks: %s", len(d.Blocks), s.Name), "measure on a quieter machine, or allow more sessions")
		}
	}
	if d.Ratio.High < 1/(1+margin) {
		v.Notes = append(v.Notes, fmt.Sprintf("%s is faster: %v", d.Head, d.Ratio))
	}
	counts := fmt.Sprintf("%d of %d blocks are above the boundary %.4g; ratio %v", test.above, test.n, v.Boundary, d.Ratio)
	switch test.outcome {
	case Held:
		return end(Held, fmt.Sprintf("not slower by %.3g%%: %s", 100*margin, counts), "nothing to do")
	case Broken:
		return end(Broken, "slower: "+counts, "find what takes longer, or say why it may")
	}
	return end(Inconclusive, fmt.Sprintf("%s, which decides nothing; a rise of more than %.3g%% is excluded", counts, 100*max(0, d.Ratio.High-1)),
		"measure on a quieter machine, or allow more sessions")
}

// moreCounted are the counts that have risen beyond doubt: objects that every process of Head
// allocates beyond what all processes of Base agree on, and bytes beyond the margin over the
// highest of Base. Whether a higher figure of b.ReportMetric is worse is not known here.
func moreCounted(counts []harness.Count, margin float64) (more []string) {
	for _, c := range counts {
		objects := c.Unit == "allocs/op" && c.BaseLow == c.BaseHigh && c.HeadLow > c.BaseHigh
		bytes := c.Unit == "B/op" && c.HeadLow > c.BaseHigh*(1+margin) && c.HeadLow >= c.BaseHigh+8 // the smallest object; less is rounding
		if objects || bytes {
			more = append(more, fmt.Sprintf("%v in each of %d processes", c, c.Head))
		}
	}
	return more
}
