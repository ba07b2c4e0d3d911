package analysis

import (
	"slices"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

const (
	plainUnit   = "µs a run without saves"
	slowerSteps = 1.5 // smallest reported ratio to the median of earlier runs; the load of a machine may cause smaller ones
	mostShown   = 3   // notes on slower steps
)

// plainTime returns the duration of a run of the workload without saves, in µs, or 0 if nothing was
// timed. It is the lower quartile, which depends less on the load of the machine than the median.
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

// noteSlowerSteps adds notes on workloads whose steps take longer than in earlier runs. A limit on the
// cost of durability does not detect that, because it judges only the time that saving adds.
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
