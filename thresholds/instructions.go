package thresholds

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

const (
	// leastSpread is the least standard deviation of the logarithm of a count that the tests
	// assume. Repeated starts of one program differ by about this much (0.07%).
	leastSpread = 0.0007
	// leastToHold and leastToBreak are the numbers of counts per side that the outcomes need. If
	// a program randomly executes one of two variants, all 5 counts of one side show one variant
	// and all 5 of the other side the other with probability 2 x 2^-10.
	leastToHold, leastToBreak = 2, 5
	// looks is the number of interim analyses while the counts grow from 2 to 9. Each has an
	// equal share of the error rate (Bonferroni correction).
	looks = 8
	// mostWaiting is the largest share of its time that an operation may wait for its CPU time to
	// decide that it held.
	mostWaiting = 0.2
)

// counted is the result of judging instructions.
type counted struct {
	outcome Outcome
	ratio   harness.Estimate // Head/Base
	spread  float64          // (max - min)/median, the larger of both sides
	not     string           // why the instructions do not decide, or ""
	more    bool             // further counts could decide
}

// judgeInstructions tests the ratio of the counts of both sides against the boundary by Student's
// two-sample t test on their logarithms. It assumes independent processes and equal variances,
// which are pooled and taken as at least leastSpread squared. If the counts vary by more than the
// margin, they do not decide.
func judgeInstructions(c *harness.Instructions, margin float64, family int) (j counted) {
	switch {
	case c == nil:
		return counted{not: "instructions were not counted"}
	case c.Problem != "":
		j.not = "instructions are not counted: " + c.Problem
		return j
	case len(c.Base) < leastToHold || len(c.Head) < leastToHold:
		return counted{not: "too few counts of instructions", more: true}
	}
	base, head := logs(c.Base), logs(c.Head)
	k := float64(min(len(base), len(head)))
	s := math.Sqrt((stat.Variance(base, nil) + stat.Variance(head, nil)) / 2)
	s = max(s, leastSpread)
	d, se, nu := stat.Mean(head, nil)-stat.Mean(base, nil), s*math.Sqrt(2/k), 2*k-2
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: nu}
	half := t.Quantile(1-(1-0.95)/2) * se
	j.ratio = harness.Estimate{Value: math.Exp(d), Low: math.Exp(d - half), High: math.Exp(d + half), Level: 0.95, N: int(k), Of: "counts", Unit: "ratio", Method: "mean of logs, t interval"}
	j.spread = max(spread(c.Base), spread(c.Head))
	j.more = len(base) < mostCounts
	boundary := math.Log(1+margin) / 2
	over := t.Survival((d - boundary) / se)
	under := t.Survival((boundary - d) / se)
	switch {
	case j.spread > margin:
		j.not = fmt.Sprintf("its instructions vary by %.2g%% from process to process, more than the margin of %.3g%%", 100*j.spread, 100*margin)
		j.more = false
	case under < beta/looks:
		j.outcome = Held
	case over < alpha/looks/float64(family):
		if j.outcome = Broken; int(k) < leastToBreak {
			j.outcome = Inconclusive
		}
	}
	if j.outcome == Inconclusive && j.not == "" {
		j.not = fmt.Sprintf("the instructions decide nothing after %d counts", int(k))
	}
	return j
}

// tooFine returns a note if one instruction is more than the margin: then every change of the code
// of an operation is. The counts themselves have no such grain, because they are means over many operations.
func tooFine(base []float64, margin float64) string {
	n := machine.Median(base)
	if n*margin >= 1 {
		return ""
	}
	return fmt.Sprintf("an operation executes %.3g instructions, so that one more is +%.2g%%, beyond the margin of %.3g%%: make an operation of the benchmark longer, or the margin larger", n, 100/n, 100*margin)
}

// mostCounts is the maximum number of counts per side.
const mostCounts = 9

func logs(v []float64) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = math.Log(x)
	}
	return w
}

func spread(v []float64) float64 { return (slices.Max(v) - slices.Min(v)) / machine.Median(v) }

const (
	// mostLayouts is the maximum number of other layouts, and enoughLayouts that where instructions have
	// shown that Head does more.
	mostLayouts, enoughLayouts = 128, 16
	// mostByLayout is the share by which the layout of a binary may hide a slow-down: two to three standard
	// deviations of the ratio of unchanged programs, with functions aligned as the linker does (n=10 layouts).
	mostByLayout = 0.1
)

// layoutsHold is the toHold of judgeLayouts, and layoutsConfirm the one where times have held
// already: layouts need not show it again from nothing. With layouts whose standard deviation is
// 2%, 5 of them confirm an unchanged program, where 7 would be needed to judge it.
const (
	layoutsHold    = beta / 3
	layoutsConfirm = beta
)

// judgeLayouts judges whether a difference in time persists if both binaries are linked with
// other orders of their functions, because code layout alone can slow a program down by several
// percent (Mytkowicz et al., "Producing wrong data without doing anything obviously wrong!",
// ASPLOS 2009). It is a t test on the logarithms of the ratios; each layout is one observation. The
// mean is trimmed by a tenth at both ends (Yuen 1974), because a busy machine can disturb a layout.
// It can be called after every layout: with up to mostLayouts of them, a program at the boundary of a
// margin of 5% is broken in 1 to 2% of simulated measurements, an unchanged one in at most 0.1%, and
// one slower by the margin in 99.9% where the layouts have a standard deviation of 2 to 3.5%, and in
// 94% where it is 6%. family is the number of differences that are judged together. toHold is the
// probability that one call says "held" of a program at the boundary.
func judgeLayouts(ratios []float64, margin float64, family int, toHold float64) Outcome {
	if len(ratios) < fewestLayouts {
		return Inconclusive
	}
	mean, se, t := meanOfLayouts(ratios)
	distance := (mean - math.Log(1+margin)/2) / se
	falsely := 0.01 / 8 / float64(family) // for interim analyses, of which consecutive ones share most ratios
	switch {
	case t.Survival(distance) < falsely:
		return Broken
	case t.Survival(-distance) < toHold:
		return Held
	}
	return Inconclusive
}

// fewestLayouts is the least number of layouts that decide or have an interval.
const fewestLayouts = 4

// meanOfLayouts returns the trimmed mean of the logarithms of the ratios, its standard error, and the
// distribution of its distance from the true value in standard errors.
func meanOfLayouts(ratios []float64) (mean, se float64, t distuv.StudentsT) {
	mean, sd, kept := machine.TrimmedMean(logs(ratios), 0.1)
	se = max(sd, leastSpread) * math.Sqrt(float64(len(ratios))) / float64(kept)
	return mean, se, distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(kept - 1)}
}

// ratioOfLayouts estimates the ratio over the layouts, with the interval of one test at the end. Fewer than
// fewestLayouts have no interval.
func ratioOfLayouts(ratios []float64) harness.Estimate {
	e := harness.Estimate{Value: machine.Median(ratios), High: math.MaxFloat64, Level: 0.95, N: len(ratios), Of: "layouts", Unit: "ratio", Method: "10% trimmed mean of logs, Yuen's interval"}
	if len(ratios) >= fewestLayouts {
		mean, se, t := meanOfLayouts(ratios)
		half := t.Quantile(1-(1-e.Level)/2) * se
		e.Value, e.Low, e.High = math.Exp(mean), math.Exp(mean-half), math.Exp(mean+half)
	}
	return e
}
