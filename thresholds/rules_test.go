package thresholds

import (
	"math"
	"testing"

	"github.com/flujo/flujo-harness/harness"
)

// The exact two-sided p of complete separation of 10 and 10 is 2/C(20,10) = 1.08e-5; the
// normal approximation gives 1.8e-4. Identical samples have p = 1.
func TestMannWhitney(t *testing.T) {
	var a, b []float64
	for i := range 10 {
		a, b = append(a, float64(i)), append(b, float64(i+10))
	}
	if p := mannWhitney(a, b); math.Abs(p-1.83e-4) > 1e-6 {
		t.Errorf("separated: %v", p)
	}
	if p := mannWhitney(a, a); p != 1 {
		t.Errorf("equal: %v", p)
	}
	if p := mannWhitney([]float64{1, 1}, []float64{1, 1}); p != 1 {
		t.Errorf("all tied: %v", p)
	}
}

func TestRulesSeeADoubledCost(t *testing.T) {
	of := func(w float64) *harness.Comparison {
		c := &harness.Comparison{}
		for i := range 12 {
			b := harness.Block{Slots: map[string][]float64{}}
			for r := range 16 {
				off := 1 + 0.001*float64((i*7+r*5)%11)
				b.Slots[harness.ArmBackend] = append(b.Slots[harness.ArmBackend], w*off)
				b.Slots[harness.ArmNone] = append(b.Slots[harness.ArmNone], 1000*off)
			}
			c.Blocks = append(c.Blocks, b)
		}
		return c
	}
	for _, r := range Rules() {
		if !r.Alarm(of(1e5), of(2e5), 0.05) || r.Alarm(of(1e5), of(1e5), 0.05) {
			t.Errorf("%s: does not tell twice the cost from the same", r.Name)
		}
	}
}
