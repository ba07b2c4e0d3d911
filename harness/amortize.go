package harness

import (
	"slices"
	"time"
)

// Point is a point of an amortization curve: the share of a run's time that durability takes
// when every step takes Latency.
type Point struct {
	Latency  time.Duration `json:"latency_ns"` // nominal time of a step
	Run      float64       `json:"run_us"`     // a run without durability, µs
	Cost     float64       `json:"cost_us"`    // W-N, µs per run
	Share    float64       `json:"share"`      // Cost/(Run+Cost)
	Low      float64       `json:"low"`        // lower end of the share's interval, from that of the cost
	High     float64       `json:"high"`       // upper end
	Measured bool          `json:"measured"`   // false: computed from the cost at the longest measured latency
}

// Amortize returns the curve of one durability, from comparisons of the default workload,
// whose steps take no time, and of the same workload with slower steps. The points at 10 and
// 100 ms are computed, since measuring them would take long and show nothing new. Amortize
// returns nil if there is no such comparison.
func Amortize(durability string, comparisons []Comparison) []Point {
	var curve []Point
	steps, slowest := 3, Estimate{}
	for _, c := range comparisons {
		w, err := WorkloadNamed(c.Workload)
		if err != nil || c.Durability != durability || len(c.Blocks) == 0 || !c.Valid() || w.Latency == 0 && w.Name != "default" {
			continue
		}
		steps = len(w.plan.Paths())
		run := c.Cost.Value / c.Overhead.Value // (W-N) / ((W-N)/N)
		curve = append(curve, point(w.Latency, run, c.Cost, true))
	}
	if curve == nil {
		return nil
	}
	slices.SortFunc(curve, func(a, b Point) int { return int(a.Latency - b.Latency) })
	for _, c := range comparisons {
		if w, err := WorkloadNamed(c.Workload); err == nil && c.Durability == durability && w.Latency == curve[len(curve)-1].Latency &&
			(w.Latency > 0 || w.Name == "default") {
			slowest = c.Cost
		}
	}
	for _, latency := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond} {
		curve = append(curve, point(latency, float64(steps)*float64(latency)/1e3, slowest, false))
	}
	return curve
}

func point(latency time.Duration, run float64, cost Estimate, measured bool) Point {
	share := func(c float64) float64 { return max(0, c) / (run + max(0, c)) } // 0 to 1; an end at ±MaxFloat64 means that there is none
	return Point{Latency: latency, Run: run, Cost: cost.Value, Share: share(cost.Value), Low: share(cost.Low), High: share(cost.High), Measured: measured}
}
