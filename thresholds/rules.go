package thresholds

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

// Rule is a rule that other tools use to judge measurements, for comparison with [Judge] on the
// same blocks. Alarm reports whether the rule raises an alarm.
type Rule struct {
	Name  string
	Alarm func(before, now *harness.Comparison, margin float64) bool
}

// rulesSample is the number of measurements per side that the rules use.
const rulesSample = 10

// Rules returns the rules of other tools. before is an earlier measurement of the unchanged
// program.
func Rules() []Rule {
	return []Rule{
		{"benchstat's test: 10 then 10, Mann-Whitney p < .05, slower", func(before, now *harness.Comparison, _ float64) bool {
			a, b := backendTimes(before), backendTimes(now)
			return mannWhitney(a, b) < 0.05 && machine.Median(b) > machine.Median(a)
		}},
		{"benchstat's test and a threshold of the margin", func(before, now *harness.Comparison, margin float64) bool {
			a, b := backendTimes(before), backendTimes(now)
			return mannWhitney(a, b) < 0.05 && machine.Median(b) > (1+margin)*machine.Median(a)
		}},
		{"flujo's rule: overhead of 10 iterations, limit = the last one and the margin", func(before, now *harness.Comparison, margin float64) bool {
			return flujoOverhead(now) > (1+margin)*flujoOverhead(before)
		}},
		{"percentage against the last run, the margin", func(before, now *harness.Comparison, margin float64) bool {
			return stat.Mean(backendTimes(now), nil) > (1+margin)*stat.Mean(backendTimes(before), nil)
		}},
	}
}

// backendTimes returns the medians of the backend arm in the first blocks, in ns per run.
func backendTimes(c *harness.Comparison) (times []float64) {
	for _, b := range c.Blocks[:min(rulesSample, len(c.Blocks))] {
		times = append(times, machine.Median(b.Slots[harness.ArmBackend]))
	}
	return times
}

// flujoOverhead returns (mean W - mean N)/mean N of the first rounds of the first block, without
// the smallest and the largest value of each arm.
func flujoOverhead(c *harness.Comparison) float64 {
	trimmed := func(arm string) float64 {
		s := c.Blocks[0].Slots[arm]
		s = slices.Sorted(slices.Values(s[:min(rulesSample, len(s))]))
		return stat.Mean(s[1:len(s)-1], nil)
	}
	n := trimmed(harness.ArmNone)
	return (trimmed(harness.ArmBackend) - n) / n
}

// mannWhitney returns the two-sided p-value of the Mann-Whitney U test. It uses the normal
// approximation with corrections for continuity and ties, and assumes independent samples. If all
// values are equal, p is 1.
//
// Source: H. B. Mann and D. R. Whitney, "On a test of whether one of two random variables is
// stochastically larger than the other", Annals of Mathematical Statistics 18 (1947), 50-60.
func mannWhitney(a, b []float64) float64 {
	n, m := float64(len(a)), float64(len(b))
	u, all := 0.0, append(slices.Clone(a), b...)
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += 0.5
			}
		}
	}
	ties, total := 0.0, n+m
	slices.Sort(all)
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j] == all[i] {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	sd := math.Sqrt(n * m / 12 * (total + 1 - ties/(total*(total-1))))
	if sd == 0 {
		return 1
	}
	z := max(0, math.Abs(u-n*m/2)-0.5) / sd
	return 2 * distuv.UnitNormal.Survival(z)
}
