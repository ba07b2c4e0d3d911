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
		if !r.Alarm(of(1e5), of(2e5), 0.05) || r.Alarm(of(1e5), of(1e5), 0.05) || r.Alarm(of(1e5), of(1e5), 0) {
			t.Errorf("%s: does not tell twice the cost from the same", r.Name)
		}
	}
}

// Reference values are from an independent implementation by rank sums (midranks, erfc).
func TestMannWhitneyWithTies(t *testing.T) {
	for _, tc := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4, 5}, []float64{3, 4, 5, 6, 7}, 0.11384629800665812},
		{[]float64{1, 1, 2, 2, 2, 9}, []float64{2, 2, 3, 3}, 0.30274514804278896},
		{[]float64{5, 1, 4}, []float64{2, 2, 8, 7, 3}, 0.7642282177641773},
	} {
		for _, p := range []float64{mannWhitney(tc.a, tc.b), mannWhitney(tc.b, tc.a)} {
			if math.Abs(p-tc.want) > 1e-9 {
				t.Errorf("%v and %v: %.10g, want %.10g", tc.a, tc.b, p, tc.want)
			}
		}
	}
}

// The first ten blocks count, and of the first block the first ten rounds without their
// smallest and largest: (mean of 3 to 10) / (mean of 2) - 1 here.
func TestRulesLookAtTheFirstTen(t *testing.T) {
	c := &harness.Comparison{}
	for i := range 12 {
		b := harness.Block{Slots: map[string][]float64{harness.ArmNone: {2, 2, 2, 1, 9}, harness.ArmBackend: {float64(i), float64(i), float64(i)}}}
		c.Blocks = append(c.Blocks, b)
	}
	c.Blocks[0].Slots[harness.ArmBackend] = []float64{10, 3, 4, 5, 6, 7, 8, 9, 1, 90, 1e6, 1e6}
	if got := flujoOverhead(c); math.Abs(got-(6.5/2-1)) > 1e-12 {
		t.Errorf("overhead %v", got)
	}
	if got := backendTimes(c); len(got) != 10 || got[9] != 9 || got[0] != 7.5 {
		t.Errorf("times %v", got)
	}
}

// Each rule raises an alarm above its boundary, but not at it and not for a faster program.
func TestRulesKeepTheirBoundary(t *testing.T) {
	of := func(w, n float64) *harness.Comparison {
		c := &harness.Comparison{}
		for i := range 10 {
			c.Blocks = append(c.Blocks, harness.Block{Slots: map[string][]float64{harness.ArmBackend: {w + float64(i), w + float64(i), w + float64(i)}, harness.ArmNone: {n, n, n}}})
		}
		return c
	}
	want := map[float64][4]bool{ // by the times after 1,000 ns: above by more than the margin of 5%, by less, not at all, quicker
		1100: {true, true, true, true}, 1040: {true, false, false, false}, 1000: {}, 900: {},
	}
	for w, alarms := range want {
		for i, r := range Rules() {
			if got := r.Alarm(of(1000, 1), of(w, 1), 0.05); got != alarms[i] {
				t.Errorf("%s: from 1000 to %v: alarm %v", r.Name, w, got)
			}
		}
	}
}
