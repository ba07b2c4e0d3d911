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
	// leastSpread is the standard deviation of the logarithm of a count that is assumed where
	// the counts vary less: the difference of two starts of a program has it.
	leastSpread = 0.0007
	// leastToHold and leastToBreak counts of each side are needed. A program that by chance
	// does its work in one of two ways shows one of them in all counts of a side, and the
	// other in all of the other side, with probability 2 x 2^-10 where there are 5.
	leastToHold, leastToBreak = 2, 5
	// looks is how many times a verdict on the counts may be asked for while they grow from 2
	// to 9: each has its share of the chance of an error.
	looks = 8
	// mostWaiting is the share of its time that an operation may wait where the processor's
	// time is to decide that it has held.
	mostWaiting = 0.2
)

// counted is the judgement of instructions.
type counted struct {
	outcome Outcome
	ratio   harness.Estimate // Head/Base
	spread  float64          // (most - least)/median, the more of both sides
	not     string           // why the instructions do not decide
	more    bool             // more counts may
}

// judgeInstructions compares the counts of both sides with the boundary by a t test on
// their logarithms, with the spread that they have themselves. A benchmark whose counts
// spread by more than the margin is not judged by them.
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

// mostCounts of each side are made.
const mostCounts = 9

func logs(v []float64) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = math.Log(x)
	}
	return w
}

func spread(v []float64) float64 { return (slices.Max(v) - slices.Min(v)) / machine.Median(v) }

// judgeLayouts says whether a difference of the times is still there where both binaries
// are built with other orders of their functions: a t test over the layouts, each of which
// is one observation. An order of functions alone can make a program several percent slower.
func judgeLayouts(ratios []float64, margin float64) Outcome {
	if len(ratios) < 4 {
		return Inconclusive
	}
	v := logs(ratios)
	k := float64(len(v))
	se := max(stat.StdDev(v, nil), leastSpread) / math.Sqrt(k)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: k - 1}
	distance := (stat.Mean(v, nil) - math.Log(1+margin)/2) / se
	const falsely = 0.01 / 3 // three looks have an effect: the ratios of one look are most of the next one's
	switch {
	case t.Survival(distance) < falsely:
		return Broken
	case t.Survival(-distance) < beta/3:
		return Held
	}
	return Inconclusive
}
