package thresholds

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Two disturbed layouts do not hide a slow-down.
func TestDisturbedLayouts(t *testing.T) {
	var ratios []float64
	for i := range 40 {
		ratios = append(ratios, 1.05+0.03*float64(i%5-2)/2)
	}
	ratios[10], ratios[13] = 1.7, 0.6
	if got := judgeLayouts(ratios, 0.05, 1, layoutsHold); got != Broken {
		t.Errorf("%v", got)
	}
}

// Judging after each layout errs as rarely as judgeLayouts says, and confirming what times have
// held, too.
func TestLayoutsRarelyErr(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n, margin = 1000, 0.05
	for _, toHold := range []float64{layoutsHold, layoutsConfirm} {
		for _, sd := range []float64{0.02, 0.035, 0.06} {
			for _, tc := range []struct {
				slower                                       float64
				leastHeld, mostHeld, leastBroken, mostBroken int
			}{{0, n * 98 / 100, n, 0, n / 500}, {math.Sqrt(1+margin) - 1, 0, n, 0, n / 40}, {margin, 0, n * 4 / 100, n * 92 / 100, n}} {
				count := map[Outcome]int{}
				for range n {
					var ratios []float64
					o := Inconclusive
					for len(ratios) < mostLayouts && o == Inconclusive {
						ratios = append(ratios, (1+tc.slower)*math.Exp(sd*rng.NormFloat64()))
						o = judgeLayouts(ratios, margin, 1, toHold)
					}
					count[o]++
				}
				if h, b := count[Held], count[Broken]; h < tc.leastHeld || h > tc.mostHeld || b < tc.leastBroken || b > tc.mostBroken {
					t.Errorf("held at %.2g, sd %v, slower by %.3g%%: %v of %d", toHold, sd, 100*tc.slower, count, n)
				}
			}
		}
	}
}
