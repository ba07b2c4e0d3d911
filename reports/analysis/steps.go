package analysis

import (
	"slices"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

const (
	plainUnit   = "µs a run without saves"
	slowerSteps = 1.5 // times the median of the runs before: below, the load of a machine may be the cause
	mostShown   = 3   // notes on slower steps
)

// plainTime is what a run of the workload takes without saves, in µs: the lower quartile of all
// that was timed, which the load of the machine moves least. 0 where nothing was timed.
func plainTime(c *harness.Comparison) float64 {
	var times []float64
	for _, b := range c.Blocks {
		times = append(times, b.Slots[harness.ArmNone]...)
	}
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[len(times)/4] / 1e3
}

// noteSlowerSteps notes the workloads whose steps take longer than in the runs before: a limit of
// durability judges what saving adds, so that it holds while the steps themselves slow down.
func (a *analyzer) noteSlowerSteps() error {
	shown := 0
	for i := range a.a.Series {
		s := &a.a.Series[i]
		last := s.Points[len(s.Points)-1]
		if s.Unit != plainUnit || last.Run.ID != a.a.Run.ID || shown == mostShown {
			continue
		}
		var before []float64
		for _, p := range s.Points[:len(s.Points)-1] {
			before = append(before, p.Value)
		}
		was := median(before)
		if last.Value < slowerSteps*was {
			continue
		}
		shown++
		against := "REVISION"
		if c := s.Points[len(s.Points)-2].Run.Commit; c != "" && c != a.a.Run.Commit {
			against = c[:min(12, len(c))]
		}
		a.note("the steps of %s take %s a run without saves, %s before (n=%d): limits of durability judge what saving adds, not this; compare the benchmarks of the steps: flujo-harness compare %s",
			text.OneLine(s.Name), micros(last.Value), micros(was), len(before), against)
	}
	return nil
}

func micros(us float64) string { return text.Took(time.Duration(us * float64(time.Microsecond))) }
