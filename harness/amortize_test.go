package harness

import (
	"math"
	"testing"
)

// A cost that is not known, or below zero by noise, is a share from nothing to all.
func TestSharesAreShares(t *testing.T) {
	c := func(value, low, high float64) []Point {
		return Amortize("process", []Comparison{{Workload: "default", Durability: "process", Blocks: []Block{{}},
			Overhead: Estimate{Value: 10}, Cost: Estimate{Value: value, Low: low, High: high}}})
	}
	for _, tc := range []struct{ value, low, high, wantLow, wantHigh float64 }{
		{90, 80, 100, 80.0 / 89, 100.0 / 109}, // of a run of 9 us
		{90, -math.MaxFloat64, math.MaxFloat64, 0, 1},
		{90, -5, 100, 0, 100.0 / 109},
	} {
		if p := c(tc.value, tc.low, tc.high)[0]; math.Abs(p.Low-tc.wantLow) > 1e-12 || math.Abs(p.High-tc.wantHigh) > 1e-12 || p.Share != 90.0/99 {
			t.Errorf("of %v to %v: %+v", tc.low, tc.high, p)
		}
	}
}
