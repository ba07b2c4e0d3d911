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
			a.a.Attribution = c.Parts()
		}
	}
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
