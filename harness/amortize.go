package harness

import (
	"slices"
	"time"
)

// Point of an amortization curve: the share of a run that durability takes where
// every step takes so long.
type Point struct {
	Latency  time.Duration `json:"latency_ns"` // of a step, as asked for
	Run      float64       `json:"run_us"`     // a run without durability, us
	Cost     float64       `json:"cost_us"`    // W-N, us per run
	Share    float64       `json:"share"`      // cost/(run+cost)
	Low      float64       `json:"low"`        // of the share, from the interval of the cost
	High     float64       `json:"high"`
	Measured bool          `json:"measured"` // false: computed from the cost at the longest latency measured
}

// Amortize makes the curve of the comparisons of one durability: of the default
// workload, whose steps take no time, and of the same with slower steps. Latencies of
// 10 and 100 ms are computed: there is nothing to learn from waiting for them. It
// returns nil where there is no such comparison.
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
	share := func(c float64) float64 { return max(0, c) / (run + max(0, c)) } // 0 to 1, of an interval without ends too
	return Point{Latency: latency, Run: run, Cost: cost.Value, Share: share(cost.Value), Low: share(cost.Low), High: share(cost.High), Measured: measured}
}
