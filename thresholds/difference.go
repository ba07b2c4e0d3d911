package thresholds

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

// MetricRatio is the time of Head divided by that of Base.
const MetricRatio = "ratio"

// MetricAgainst is the overhead ratio of one revision divided by that of another. The overhead
// ratio, (W-N)/F, is the cost of durability in units of the floor arm.
const MetricAgainst = "cost_against"

// Values of [Judging.By] and [Verdict.By].
const (
	ByCounts       = "counts"
	ByTime         = "time"
	ByInstructions = "instructions"
)

// Judging configures how differences are judged.
//
// Counts without variance are judged first: one additional allocation breaks, whatever the time.
// Time is judged next, and instructions if time is undecided. If time and instructions
// contradict each other, the verdict is inconclusive and shows both.
type Judging struct {
	Margin float64  // slow-down to detect, a share: 0.05 is 5%. A slow-down of up to sqrt(1.05), 2.5%, passes; in between either verdict is possible
	Family int      // number of differences judged together; the false alarm rate holds for the family (Bonferroni correction)
	By     string   // "" for all, or only ByCounts, ByTime or ByInstructions
	Lower  []string // units for which lower is better, in addition to allocs/op and B/op
	Higher []string // units for which higher is better
}

// JudgeDifference judges a difference by counts, time and instructions, see [Judging].
func JudgeDifference(d *harness.Difference, margin float64, family int) Verdict {
	return Judging{Margin: margin, Family: family}.Judge(d)
}

// timed is the result of judging times.
type timed struct {
	outcome Outcome
	test    decision
	self    []Check
	bias    string // failed self-check, because of which times must not decide
	says    string
	slower  bool             // Head is slower in its own layout of the binary; other layouts decide whether that is due to its layout
	layouts bool             // measuring other layouts of the binaries could change the outcome
	leans   bool             // undecided, but the interval lies above the boundary
	ratio   harness.Estimate // Head/Base: of the blocks, or of the layouts if these decide
	note    string
}

// Judge judges whether Head is slower than Base by the margin. It can be called while the
// measurement continues; [Judging.More] returns which further data could change the verdict. That
// Head is faster is a note, not an outcome.
func (j Judging) Judge(d *harness.Difference) Verdict {
	v := Verdict{Workload: d.Name, Metric: MetricRatio, N: len(d.Blocks), Notes: append([]string(nil), d.Notes...), Source: "margin", Against: d.Base}
	if d.Ratio.N > 0 {
		v.Ratio = &d.Ratio
	}
	end := func(o Outcome, by, reason, next string) Verdict {
		v.By = by
		return v.end(o, fmt.Sprintf("%s: %s against %s: %s", d.Name, d.Head, d.Base, reason), next)
	}
	if !(j.Margin > 0 && j.Margin <= 1) || j.Family < 1 {
		return end(Invalid, "", fmt.Sprintf("a margin of %v over %d differences: use a share above 0, up to 1 (0.05 is 5%%), and 1 or more", j.Margin, j.Family), "mend the call")
	}
	v.Baseline, v.Margin, v.Limit, v.Boundary = 1, j.Margin, 1+j.Margin, math.Sqrt(1+j.Margin)
	if problem := problemOf(d); problem != "" {
		return end(Invalid, "", problem, "mend what the audit found, then run again")
	}
	if d.HeadFails != "" {
		return end(Broken, "", "it fails, and did not before: "+d.HeadFails, "mend the benchmark or what it runs")
	}
	more, judged, notes := j.counts(d.Counts)
	v.Notes = append(v.Notes, notes...)
	if len(more) > 0 && (j.By == "" || j.By == ByCounts) {
		return end(Broken, ByCounts, "it counts more: "+strings.Join(more, "; "), "counts have no noise: find the cause")
	}
	switch {
	case d.NotCompared != "" && (j.By != ByCounts || len(judged) == 0):
		return end(Inconclusive, "", d.NotCompared, "let the benchmark run and print its time at both revisions")
	case j.By == ByCounts && len(judged) > 0:
		return end(Held, ByCounts, "it counts no more: "+strings.Join(judged, ", "), "nothing to do")
	case j.By == ByCounts:
		return end(Inconclusive, ByCounts, "it has no counts that are judged", "say --lower UNIT or --higher UNIT")
	case len(d.Blocks) == 0:
		return end(Inconclusive, "", "nothing was measured", "run again and let it finish")
	}
	i := judgeInstructions(d.Instructions, j.Margin, j.Family)
	if i.ratio.N > 0 {
		v.Instructions = &i.ratio
		if note := tooFine(d.Instructions.Base, j.Margin); note != "" {
			v.Notes = append(v.Notes, note)
		}
	}
	t := j.time(d, i, v.Boundary)
	v.Above, v.N, v.Self, v.Ratio = t.test.above, t.test.n, t.self, &t.ratio
	if t.ratio.High < 1/(1+j.Margin) {
		v.Notes = append(v.Notes, fmt.Sprintf("%s is faster: %v", d.Head, t.ratio))
	}
	o, by, reason, next := j.combine(d, t, i, v.Boundary)
	if t.note != "" && by == ByTime { // of the time, which others decide without
		v.Notes = append(v.Notes, t.note)
	}
	return end(o, by, reason, next)
}

// problemOf returns why a difference must not be judged, or "".
func problemOf(d *harness.Difference) string {
	reason := d.Problem
	for _, f := range d.Audit {
		if !f.OK && reason == "" {
			reason = f.Check + ": " + f.Detail
		}
	}
	switch {
	case reason != "":
		return "the measurement is at fault, or a subject fails: " + reason
	case len(d.Audit) == 0:
		return "there is no audit: nothing shows what was measured; measure with harness.Compare, or take samples with harness.FromSamples"
	}
	return ""
}

// combine combines the outcomes of time and instructions.
func (j Judging) combine(d *harness.Difference, t timed, i counted, boundary float64) (o Outcome, by, reason, next string) {
	const investigate = "find the cause, or allow more by a larger margin"
	executed := fmt.Sprintf("it executes %v of the instructions", i.ratio)
	useTime, useCount := j.By != ByInstructions && d.Untimed == "", j.By != ByTime && i.not == ""
	if !useTime {
		t = timed{says: t.says}
	}
	// If useCount is true, the instructions are held or broken: i.not says why they are undecided.
	switch {
	case useCount && i.outcome == Broken && useTime && t.bias == "" && (t.outcome == Held || t.ratio.High < 1/boundary):
		return Inconclusive, ByInstructions, fmt.Sprintf("more instructions, and no more time: %s; %s", executed, t.says), "look which of them matters here, and judge by it: --judge time or --judge instructions"
	case useCount && i.outcome == Broken && t.outcome == Broken && t.bias == "":
		return Broken, ByTime, fmt.Sprintf("slower: %s; %s", t.says, executed), investigate
	case useCount && i.outcome == Broken:
		return Broken, ByInstructions, "more instructions: " + executed + "; " + t.says, investigate
	case t.bias != "" && !useCount:
		return Invalid, ByTime, t.bias, "measure on a quieter machine, or install valgrind: instructions have no such bias"
	case t.outcome == Broken && useCount && i.ratio.High < 1/boundary:
		return Inconclusive, ByTime, fmt.Sprintf("more time, and fewer instructions: %s; %s", t.says, executed), "look which of them matters here, and judge by it: --judge time or --judge instructions"
	case t.outcome == Broken:
		return Broken, ByTime, "slower: " + t.says, investigate
	case t.outcome == Held:
		return Held, ByTime, fmt.Sprintf("not slower by %.3g%%: %s", 100*j.Margin, t.says), "nothing to do"
	case useCount && i.outcome == Held && (t.bias != "" || !t.leans):
		return Held, ByInstructions, fmt.Sprintf("not more instructions by %.3g%%: %s; %s", 100*j.Margin, executed, t.says), "nothing to do"
	case j.By == ByInstructions && i.more:
		return Inconclusive, ByInstructions, i.not, "allow more time"
	case j.By == ByInstructions:
		return Inconclusive, ByInstructions, i.not, "judge by time: --judge time"
	case !useTime && !i.more && j.By != ByTime && len(d.Counts) > 0:
		return Held, ByCounts, fmt.Sprintf("it counts no more; its time is not judged: %s; %s", d.Untimed, i.not), "nothing to do"
	case !useTime:
		return Inconclusive, ByInstructions, fmt.Sprintf("its time is not judged: %s; %s", d.Untimed, i.not), "judge by counts: --judge counts"
	case t.test.n < j.fewest(d):
		return Inconclusive, "", fmt.Sprintf("too little was measured: %s of at least %d; %s", blocks(t.test.n), j.fewest(d), i.not), "allow more time"
	}
	return Inconclusive, ByTime, fmt.Sprintf("%s, which decides nothing; %s; %s", t.says, excluded(t.ratio, 1, ""), i.not),
		"measure on a quieter machine, or allow more time"
}

// fewest is the number of blocks below which no times decide, whatever they are.
func (j Judging) fewest(d *harness.Difference) (n int) {
	for n = 1; signEvidence(n, n) < min(j.toBreak(d), 1/beta); n++ {
	}
	return n
}

// toBreak is the evidence that each clock needs. Since two clocks are tested where there are
// two, each has half of the error rate.
func (j Judging) toBreak(d *harness.Difference) float64 {
	clocks := 1.0
	if cpu, _ := d.CPUColumn(); len(cpu) > 0 {
		clocks = 2
	}
	return float64(j.Family) * clocks / alpha
}

// patience is the number of blocks after which undecided times are judged by other layouts of the
// binaries. The difference is near the boundary then, where a layout can decide on which side it is, or
// the times vary much, and the t test of the layouts needs fewer processes than the sign test of the blocks.
const patience = 18

// time judges wall-clock times and, if they are undecided, CPU times. The tests assume nothing about
// the distribution of noise; only a failed A/A pair invalidates them. Where times say that Head is
// slower, or say nothing after many blocks, other layouts of the binaries decide. They also confirm
// that Head is not slower, where no instructions do, or where it executes more of them: the layout of its
// binary may hide a slow-down.
func (j Judging) time(d *harness.Difference, i counted, boundary float64) (t timed) {
	ratios, sessions := d.Column(func(b harness.DifferenceBlock) float64 { return b.Ratio })
	cpu, cpuSessions := d.CPUColumn()
	toBreak := j.toBreak(d)
	t.test = decideAt(ratios, sessions, boundary, toBreak, 1/beta)
	t.outcome, t.ratio = t.test.outcome, d.Ratio
	t.says = fmt.Sprintf("%d of %d blocks are above the boundary %.4g; ratio %v", t.test.above, t.test.n, boundary, d.Ratio)
	if len(cpu) > 0 {
		t.says += fmt.Sprintf(", of the processor's time %v", d.CPU)
		if c := decideAt(cpu, cpuSessions, boundary, toBreak, 1/beta); t.outcome == Inconclusive {
			waits := d.Instructions == nil || d.Instructions.Waits > mostWaiting
			longer := d.Ratio.Low > boundary || d.Ratio.Value > 1+j.Margin // it may wait for longer, or use fewer processors
			if c.outcome == Broken || c.outcome == Held && !waits && !longer {
				t.outcome = c.outcome
			}
		}
	}
	j.selfCheck(d, &t, sessions, boundary)
	t.leans = d.Ratio.Low > boundary
	t.slower = t.outcome == Broken
	alone := j.By == ByTime || i.outcome == Broken || i.outcome == Inconclusive && !i.more
	confirm := t.outcome == Held && alone && d.Ratio.High > 1/(1+max(j.Margin, mostByLayout))
	t.layouts = t.slower || confirm || t.outcome == Inconclusive && t.bias == "" && len(d.Blocks) >= patience
	if len(d.Layouts) > 0 && t.layouts {
		family, toHold := j.Family, layoutsHold
		switch {
		case t.slower:
			family = 1 // the times have shown a difference at the error rate of the family
		case confirm:
			toHold = layoutsConfirm
		}
		o, ratio := judgeLayouts(d.Layouts, j.Margin, family, toHold), ratioOfLayouts(d.Layouts)
		t.layouts = o == Inconclusive
		t.leans = machine.Median(d.Layouts) > boundary
		if !confirm || o != Inconclusive || t.leans {
			t.outcome = o
			if ratio.Bounded() {
				t.ratio = ratio
			}
		}
		near := ""
		if o == Inconclusive && len(d.Layouts) >= fewestLayouts {
			near = fmt.Sprintf(", too near the boundary %.4g to decide", boundary)
			if j.Family > 1 {
				near += fmt.Sprintf(" at the error rate that %d comparisons share", j.Family)
			}
		}
		t.says = fmt.Sprintf("in other orders of the functions the ratio is %v%s; in this order %s", ratio, near, t.says)
		if t.slower && t.outcome == Held {
			t.note = "slower in this layout of the binary only: " + t.says
		}
	}
	return t
}

// selfCheck judges the A/A pair and the injected slow-down, if they were measured.
func (j Judging) selfCheck(d *harness.Difference, t *timed, sessions []int, boundary float64) {
	if d.Blocks[0].Twin != 0 {
		twins, _ := d.Column(func(b harness.DifferenceBlock) float64 { return b.Twin })
		t.self = append(t.self, judgeTwins(twins, sessions, j.Margin))
	}
	if d.Blocks[0].Slow != 0 {
		slow, _ := d.Column(func(b harness.DifferenceBlock) float64 { return b.Slow })
		s := decide(slow, sessions, boundary)
		// If head is faster than base, its slowed copy can still be within the boundary, which
		// proves nothing.
		if t.test.outcome != Held || d.Ratio.High > 1/boundary {
			t.self = append(t.self, Check{Name: "the injected slow-down", Want: Broken, Got: s.outcome, Above: s.above, N: s.n,
				Explain: "a slowed copy of the subject must be told from the base: if it is not, the margin is too wide, or the clock too coarse"})
		}
	}
	for _, s := range t.self {
		switch {
		case s.Got == opposite(s.Want):
			t.bias, t.outcome = fmt.Sprintf("the self-check failed: %s was %s and must be %s: %s", s.Name, s.Got, s.Want, s.Explain), Inconclusive
			return
		case s.Got != s.Want:
			t.note = fmt.Sprintf("the self-check is undecided after %s: %s", blocks(len(d.Blocks)), s.Name)
			if t.outcome == Held && s.Want == Broken { // nothing proves that a slow-down would be detected
				t.outcome = Inconclusive
			}
		}
	}
}

// More returns which further data could change the verdict on a difference. It is the zero value
// if none could, or if it is not worth the time.
func (j Judging) More(d *harness.Difference) (m harness.More) {
	v := j.Judge(d)
	switch {
	case v.Outcome == Invalid && v.By == "" || d.HeadFails != "":
		return m
	case d.NotCompared != "" || v.By == ByCounts:
		m.Time = len(d.Counts) > 0 && d.Counts[0].Head < 3 // to see whether they vary
		return m
	case len(d.Blocks) == 0:
		m.Time = true
		return m
	}
	const enough = 12 // blocks, where instructions decide: they show a large difference of the times
	i := judgeInstructions(d.Instructions, j.Margin, j.Family)
	byCount := j.By != ByTime && i.not == "" && i.outcome != Inconclusive
	m.Instructions = j.By != ByTime && i.more && i.outcome == Inconclusive
	t := j.time(d, i, math.Sqrt(1+j.Margin))
	if d.Untimed != "" {
		m.Time = len(d.Counts) == 0 || d.Counts[0].Head < 3 // to see whether they vary
		return m
	}
	if j.By != ByInstructions && t.bias == "" {
		leans := i.outcome == Held && 3*t.test.above > 2*t.test.n && d.Ratio.Value > math.Sqrt(1+j.Margin)
		m.Time = t.outcome == Inconclusive && !t.slower && !(byCount && len(d.Blocks) >= enough && !leans)
		most := mostLayouts
		if byCount && i.outcome == Broken {
			most = enoughLayouts
		}
		m.Layouts = t.layouts && len(d.Layouts) < most && (m.Time || t.outcome == Held || t.slower && !(byCount && i.outcome == Broken))
	}
	if len(d.Blocks) < enough && j.By == "" && !m.Layouts {
		m.Time = true
	}
	return m
}

// counts judges the figures that benchmarks print in addition to their time. A figure that is
// equal in all processes of a side must not get worse at all. A figure that varies, and B/op,
// which is rounded, must not get worse by more than the margin. judged lists the figures that
// were judged.
func (j Judging) counts(counts []harness.Count) (more, judged, notes []string) {
	for _, c := range counts {
		lower := c.Unit == "allocs/op" || c.Unit == "B/op" || slices.Contains(j.Lower, c.Unit)
		higher := slices.Contains(j.Higher, c.Unit)
		constant := c.BaseLow == c.BaseHigh && c.HeadLow == c.HeadHigh
		worse := false
		switch {
		case lower && c.Unit == "allocs/op":
			worse = c.BaseLow == c.BaseHigh && c.HeadLow > c.BaseHigh
		case lower && c.Unit == "B/op":
			worse = c.HeadLow > c.BaseHigh*(1+j.Margin) && c.HeadLow >= c.BaseHigh+8 // the smallest object; less is rounding
		case lower && constant:
			worse = c.HeadLow > c.BaseLow
		case lower:
			worse = c.HeadLow > c.BaseHigh*(1+j.Margin)
		case higher && constant:
			worse = c.HeadLow < c.BaseLow
		case higher:
			worse = c.HeadHigh*(1+j.Margin) < c.BaseLow
		case constant && c.HeadLow != c.BaseLow:
			notes = append(notes, fmt.Sprintf("%v: not judged: --lower %s or --higher %s says which is better", c, c.Unit, c.Unit))
		}
		if lower || higher {
			judged = append(judged, c.String())
		}
		if worse {
			more = append(more, fmt.Sprintf("%v in each of %d processes", c, c.Head))
		}
	}
	return more, judged, notes
}
