package analysis

import (
	"fmt"
	"math"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// NewTarget returns the distance of a run from a pass rate in percent.
func NewTarget(percent float64, c reports.Counts) *Target {
	ran := c.Passed + c.Failed
	t := &Target{Share: percent / 100}
	// 98.5% of 2,275 are 2,240.875 specs, so 2,241 must pass. An excess below 1e-9 is a rounding
	// error of the product.
	t.MaxFail = ran - int(math.Ceil(t.Share*float64(ran)-1e-9))
	t.ToGo = max(0, c.Failed-t.MaxFail)
	t.Reached = ran > 0 && t.ToGo == 0
	low, _ := c.PassRate().Band()
	t.Certain = t.Reached && low >= t.Share
	return t
}

// String returns a text such as "19 fixes to go (at most 34 may fail)".
func (t *Target) String() string {
	if t.Reached {
		return fmt.Sprintf("reached (at most %d may fail)", t.MaxFail)
	}
	return fmt.Sprintf("%s to go (at most %d may fail)", text.Fixes(t.ToGo), t.MaxFail)
}

func (a *analyzer) addTarget() {
	if a.o.Plan == nil || a.o.Plan.Target == 0 || !a.row.Rated {
		return
	}
	t := NewTarget(a.o.Plan.Target, a.a.Counts)
	var failed []int
	for _, l := range a.w.Runs {
		failed = append(failed, l.Counts.Failed)
	}
	if first := NewTarget(a.o.Plan.Target, a.w.Runs[0].Counts); first.ToGo > 0 {
		t.Progress = reports.Rate{Good: first.ToGo - t.ToGo, Of: first.ToGo}
	}
	a.a.Target = t
	a.a.Forecast, a.a.NoForecast = newForecast(failed, t.ToGo)
}
