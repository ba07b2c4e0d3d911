package thresholds

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/flujo/flujo-harness/harness"
)

// MetricRatio is Head/Base of a difference: how much longer the one takes.
const MetricRatio = "ratio"

// MetricAgainst is (W-N)/F of one revision over that of another: how much more durability costs.
const MetricAgainst = "cost_against"

// What a difference can be judged by, see [Judging.By].
const (
	ByCounts       = "counts"
	ByTime         = "time"
	ByInstructions = "instructions"
)

// Judging says how differences are judged.
//
// Counts that do not vary come first: one object more has broken, whatever the time is.
// Then time, where it is decided, and instructions, where it is not. Where time and
// instructions contradict each other, the verdict is inconclusive and shows both.
type Judging struct {
	Margin float64  // slow-down that is found, a share: 0.05 is 5%. Up to sqrt(1.05), 2.5%, passes; chance decides between them
	Family int      // differences that are judged together: an alarm in any of them has the chance that an alarm in one has alone (Bonferroni)
	By     string   // "": all; or one of ByCounts, ByTime and ByInstructions alone
	Lower  []string // units of figures of which less is better, besides allocs/op and B/op
	Higher []string // units of figures of which more is better
}

// JudgeDifference judges by everything: see [Judging].
func JudgeDifference(d *harness.Difference, margin float64, family int) Verdict {
	return Judging{Margin: margin, Family: family}.Judge(d)
}

// timed is the judgement of the times.
type timed struct {
	outcome Outcome
	test    decision
	self    []Check
	bias    string // a self-check that failed, so that the times decide nothing
	says    string
	layouts bool // other layouts of the binaries may decide
	leans   bool // undecided, and what is known speaks for a slow-down
	note    string
}

// Judge says whether Head is slower than Base by the margin. The difference may still be
// growing: [Judging.More] says what could change anything. That Head is faster is a note,
// not an outcome.
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
		return end(Broken, ByCounts, "it counts more: "+strings.Join(more, "; "), "counts have no noise: find what does more, or say why it may")
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
	}
	t := j.time(d, v.Boundary)
	v.Above, v.N, v.Self = t.test.above, t.test.n, t.self
	if t.note != "" {
		v.Notes = append(v.Notes, t.note)
	}
	if d.Ratio.High < 1/(1+j.Margin) {
		v.Notes = append(v.Notes, fmt.Sprintf("%s is faster: %v", d.Head, d.Ratio))
	}
	o, by, reason, next := j.combine(d, t, i, v.Boundary)
	return end(o, by, reason, next)
}

// problemOf is why a difference must not be judged, "" where it may.
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

// combine makes one verdict of time and instructions.
func (j Judging) combine(d *harness.Difference, t timed, i counted, boundary float64) (o Outcome, by, reason, next string) {
	const investigate = "find what takes longer, or say why it may"
	executed := fmt.Sprintf("it executes %v of the instructions", i.ratio)
	useTime, useCount := j.By != ByInstructions, j.By != ByTime && i.not == ""
	if j.By == ByInstructions {
		t = timed{says: t.says}
	}
	switch {
	case useCount && i.outcome == Broken && useTime && t.bias == "" && (t.outcome == Held || d.Ratio.High < 1/boundary):
		return Inconclusive, ByInstructions, fmt.Sprintf("more instructions, and no more time: %s; %s", executed, t.says), "look which of them matters here, and judge by it: --judge time or --judge instructions"
	case useCount && i.outcome == Broken:
		return Broken, ByInstructions, "more instructions: " + executed + "; " + t.says, investigate
	case t.bias != "" && (!useCount || i.outcome != Held):
		return Invalid, ByTime, t.bias, "measure on a quieter machine, or install valgrind: instructions have no such bias"
	case useTime && t.outcome == Broken && useCount && i.ratio.High < 1/boundary:
		return Inconclusive, ByTime, fmt.Sprintf("more time, and fewer instructions: %s; %s", t.says, executed), "look which of them matters here, and judge by it: --judge time or --judge instructions"
	case useTime && t.outcome == Broken:
		return Broken, ByTime, "slower: " + t.says, investigate
	case useTime && t.outcome == Held:
		return Held, ByTime, fmt.Sprintf("not slower by %.3g%%: %s", 100*j.Margin, t.says), "nothing to do"
	case useCount && i.outcome == Held && (!useTime || t.bias != "" || !t.leans):
		return Held, ByInstructions, fmt.Sprintf("not more instructions by %.3g%%: %s; %s", 100*j.Margin, executed, t.says), "nothing to do"
	case j.By == ByInstructions:
		return Inconclusive, ByInstructions, i.not, "judge by time: --judge time"
	}
	return Inconclusive, ByTime, fmt.Sprintf("%s, which decides nothing; %s; %s", t.says, excluded(d.Ratio, 1, ""), i.not),
		"measure on a quieter machine, or allow more time"
}

// time judges the times: the wall clock's, and where they decide nothing the processor's. Only
// a pair of equal arms that differ makes them useless: the tests assume nothing about noise.
func (j Judging) time(d *harness.Difference, boundary float64) (t timed) {
	ratios, sessions := d.Column(func(b harness.DifferenceBlock) float64 { return b.Ratio })
	cpu, cpuSessions := d.CPUColumn()
	clocks := 1.0
	if len(cpu) > 0 {
		clocks = 2
	}
	toBreak := float64(j.Family) * clocks / alpha
	t.test = decideAt(ratios, sessions, boundary, toBreak, 1/beta)
	t.outcome = t.test.outcome
	t.says = fmt.Sprintf("%d of %d blocks are above the boundary %.4g; ratio %v", t.test.above, t.test.n, boundary, d.Ratio)
	if len(cpu) > 0 {
		t.says += fmt.Sprintf(", of the processor's time %v", d.CPU)
		if c := decideAt(cpu, cpuSessions, boundary, toBreak, 1/beta); t.outcome == Inconclusive {
			waits := d.Instructions == nil || d.Instructions.Waits > mostWaiting
			if c.outcome == Broken || c.outcome == Held && !waits {
				t.outcome = c.outcome
			}
		}
	}
	j.selfCheck(d, &t, sessions, boundary)
	t.leans = d.Ratio.Low > boundary
	if len(d.Layouts) > 0 && t.outcome == Broken {
		over := judgeLayouts(d.Layouts, j.Margin)
		t.says += fmt.Sprintf("; with %d other orders of the functions %v: %.3g", len(d.Layouts), over, d.Layouts)
		t.layouts, t.leans = over == Inconclusive, stat.Mean(logs(d.Layouts), nil) > math.Log(boundary)
		t.outcome = over
		if over == Held {
			t.note = "slower in this layout of the binary only: " + t.says
		}
	} else {
		t.layouts = t.outcome == Broken
	}
	return t
}

// selfCheck judges the A/A pair and the injected slow-down, where they were measured.
func (j Judging) selfCheck(d *harness.Difference, t *timed, sessions []int, boundary float64) {
	if d.Blocks[0].Twin != 0 {
		twins, _ := d.Column(func(b harness.DifferenceBlock) float64 { return b.Twin })
		t.self = append(t.self, judgeTwins(twins, sessions, j.Margin))
	}
	if d.Blocks[0].Slow != 0 {
		slow, _ := d.Column(func(b harness.DifferenceBlock) float64 { return b.Slow })
		s := decide(slow, sessions, boundary)
		// A copy of a subject that is faster than the base may be slowed down and still be
		// within: it says nothing then.
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
			t.note = fmt.Sprintf("the self-check is undecided after %d blocks: %s", len(d.Blocks), s.Name)
			if t.outcome == Held && s.Want == Broken { // nothing shows that a slow-down would be seen
				t.outcome = Inconclusive
			}
		}
	}
}

// More says what a judge needs of a difference that still grows: the zero value where
// nothing could change the verdict, or what could is not worth its time.
func (j Judging) More(d *harness.Difference) (m harness.More) {
	v := j.Judge(d)
	switch {
	case v.Outcome == Invalid && v.By == "" || d.HeadFails != "":
		return m
	case d.NotCompared != "" || v.By == ByCounts:
		m.Time = len(d.Counts) > 0 && d.Counts[0].Head < 3 // to see whether they vary
		return m
	}
	const enough = 12 // blocks, where instructions decide: they show a large difference of the times
	i := judgeInstructions(d.Instructions, j.Margin, j.Family)
	byCount := j.By != ByTime && i.not == "" && i.outcome != Inconclusive
	m.Instructions = j.By != ByTime && i.more && i.outcome == Inconclusive
	t := j.time(d, math.Sqrt(1+j.Margin))
	if j.By != ByInstructions && t.bias == "" {
		leans := i.outcome == Held && 3*t.test.above > 2*t.test.n && d.Ratio.Value > math.Sqrt(1+j.Margin)
		m.Time = t.test.outcome == Inconclusive && !(byCount && len(d.Blocks) >= enough && !leans)
		m.Layouts = t.layouts && !(byCount && i.outcome == Broken)
	}
	if len(d.Blocks) < enough && j.By == "" && !m.Layouts {
		m.Time = true
	}
	return m
}

// counts judges the figures that the benchmarks printed besides their time. A count that is
// the same in every process of a side may not get worse at all; one that varies, and bytes,
// which are rounded, not beyond the margin. judged are those that were looked at.
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
