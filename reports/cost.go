package reports

import (
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/harness"
)

// tellCost makes of what the run has measured the curve and the parts that it can:
// flujo-harness cost measures more points and more parts.
func (a *accountant) tellCost() {
	for i := range a.a.Run.Comparisons {
		c := &a.a.Run.Comparisons[i]
		if a.a.Curve == nil {
			a.a.Curve = harness.Amortize(c.Durability, a.a.Run.Comparisons)
		}
		if a.a.Attribution == nil {
			a.a.Attribution = partsOf(c)
		}
	}
}

// partsOf is what a run with a backend is made of, as far as the arms of a comparison
// tell: each is a difference of two of them in the same block, so they add up. It is nil
// where the measurement says nothing.
func partsOf(c *harness.Comparison) *harness.Waterfall {
	if !c.Valid() || !estimated(c.Cost) || !estimated(c.Overhead) || !estimated(c.CostRatio) {
		return nil
	}
	without := func(b harness.Block) float64 { return b.CostUS / b.Overhead } // (W-N) / ((W-N)/N)
	floor := func(b harness.Block) float64 { return b.CostUS / b.CostRatio }
	of := func(value func(harness.Block) float64) harness.Estimate {
		var finiteOnes []float64
		for _, b := range c.Blocks {
			if v := value(b); finite(v) {
				finiteOnes = append(finiteOnes, v)
			}
		}
		return medianOf(finiteOnes, "us/run", "blocks")
	}
	w := &harness.Waterfall{Workload: c.Workload, Durability: c.Durability, AddsUp: true, Total: of(func(b harness.Block) float64 { return without(b) + b.CostUS })}
	for _, part := range []struct {
		arm, name, adds string
		value           func(harness.Block) float64
	}{
		{harness.ArmStubs, "scripts", "the calls of the scripted agents", func(b harness.Block) float64 { return b.ScriptsUS }},
		{harness.ArmNone, "engine", "the walk over the plan, copies of the scope, the result", func(b harness.Block) float64 { return without(b) - b.ScriptsUS }},
		{harness.ArmFloor, "floor", "the same bytes in the same transactions, by bare driver calls", floor},
		{harness.ArmBackend, "over the floor", "encoding, keys and times of the records, the way to the driver", func(b harness.Block) float64 { return b.CostUS - floor(b) }},
	} {
		if part.arm == harness.ArmStubs && !estimated(c.Scripts) {
			continue // not measured: the engine has them
		}
		e := of(part.value)
		if !estimated(e) {
			return nil
		}
		w.Increments = append(w.Increments, harness.Increment{Arm: part.arm, Category: part.name, Adds: part.adds, Cost: e})
	}
	return w
}

// curveText is "share of a run by the length of a step: no time 98% (97% to 99%), …".
func curveText(curve []harness.Point) string {
	if len(curve) < 2 {
		return ""
	}
	parts := make([]string, len(curve))
	for i, p := range curve {
		parts[i] = fmt.Sprintf("%s %s (%s to %s)", stepText(p.Latency), share(p.Share), share(p.Low), share(p.High))
		if !p.Measured {
			parts[i] += " computed"
		}
	}
	return "share of a run that durability takes, by the length of a step: " + strings.Join(parts, ", ")
}

// partsText is "a run of default at process takes 114 us (…): engine 1.4, saves 92, …".
func partsText(w *harness.Waterfall) string {
	if w == nil || w.Problem != "" {
		return ""
	}
	parts := make([]string, len(w.Increments))
	for i, p := range w.Increments {
		parts[i] = fmt.Sprintf("%s %s us", Visible(p.Category), figure(p.Cost.Value))
	}
	return fmt.Sprintf("a run of %s at %s takes %s us (%s): %s", Visible(w.Workload), Visible(w.Durability), figure(w.Total.Value), within(w.Total, 1), strings.Join(parts, ", "))
}
