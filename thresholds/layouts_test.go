package thresholds

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Judging after each layout errs as rarely as judgeLayouts says.
func TestLayoutsRarelyErr(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n, most, margin = 2000, 128, 0.05 // most is that of package harness
	for _, sd := range []float64{0.02, 0.035, 0.06} {
		for _, tc := range []struct {
			slower                             float64
			leastHeld, leastBroken, mostBroken int
		}{{0, n * 99 / 100, 0, n / 500}, {math.Sqrt(1+margin) - 1, 0, 0, n / 40}, {margin, 0, n * 95 / 100, n}} {
			count := map[Outcome]int{}
			for range n {
				var ratios []float64
				o := Inconclusive
				for len(ratios) < most && o == Inconclusive {
					ratios = append(ratios, (1+tc.slower)*math.Exp(sd*rng.NormFloat64()))
					o = judgeLayouts(ratios, margin, 1)
				}
				count[o]++
			}
			if count[Held] < tc.leastHeld || count[Broken] < tc.leastBroken || count[Broken] > tc.mostBroken {
				t.Errorf("sd %v, slower by %.3g%%: %v of %d", sd, 100*tc.slower, count, n)
			}
		}
	}
}
