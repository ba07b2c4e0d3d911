package analysis

import (
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// addCost derives the curve and the parts of the time from the measurements of the run.
// flujo-harness cost measures more points and more parts.
func (a *analyzer) addCost() {
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

// CurveText returns a text such as "share of a run by the duration of a step: no time 98% (97% to 99%), …".
func CurveText(curve []harness.Point) string {
	if len(curve) < 2 {
		return ""
	}
	parts := make([]string, len(curve))
	for i, p := range curve {
		parts[i] = fmt.Sprintf("%s %s (%s to %s)", text.StepText(p.Latency), text.Share(p.Share), text.Share(p.Low), text.Share(p.High))
		if !p.Measured {
			parts[i] += " computed"
		}
	}
	return "share of a run that durability takes, by the duration of a step: " + strings.Join(parts, ", ")
}

// PartsText returns a text such as "a run of default at process takes 114 µs (…): engine 1.4, saves 92, …".
func PartsText(w *harness.Waterfall) string {
	if w == nil || w.Problem != "" {
		return ""
	}
	parts := make([]string, len(w.Increments))
	for i, p := range w.Increments {
		parts[i] = fmt.Sprintf("%s %s µs", reports.Visible(p.Category), text.Figure(p.Cost.Value))
	}
	return fmt.Sprintf("a run of %s at %s takes %s µs (%s): %s", reports.Visible(w.Workload), reports.Visible(w.Durability), text.Figure(w.Total.Value), text.Within(w.Total, 1), strings.Join(parts, ", "))
}
