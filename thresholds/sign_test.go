package thresholds

import (
	"math"
	"math/rand/v2"
	"testing"
)

// slowEvidence computes the integral numerically by Simpson's rule, as a reference.
func slowEvidence(k, n int) float64 {
	const steps = 2000 // an error of 5e-9 of the value at the steepest integrand, (2p)^120
	f := func(p float64) float64 { return math.Pow(2*p, float64(k)) * math.Pow(2*(1-p), float64(n-k)) }
	h := 0.5 / steps
	sum := f(0.5) + f(1)
	for i := 1; i < steps; i++ {
		sum += float64(2+2*(i%2)) * f(0.5+float64(i)*h)
	}
	e := 0.75 * 2 * sum * h / 3
	if k == n {
		e += 0.25 * math.Pow(2, float64(n))
	}
	return e
}

func TestSignEvidenceIsItsIntegral(t *testing.T) {
	for n := 1; n <= 120; n += 7 {
		for k := 0; k <= n; k++ {
			got, want := signEvidence(k, n), slowEvidence(k, n)
			if math.Abs(got-want) > 1e-6*want {
				t.Fatalf("E(%d, %d) = %v, the integral is %v", k, n, got, want)
			}
		}
	}
	// All n above, by hand: three quarters of 2^(n+1)/(n+1) * (1 - 2^-(n+1)), a quarter of 2^n.
	if got, want := signEvidence(13, 13), 0.75*math.Exp2(14)/14*(1-math.Exp2(-14))+0.25*math.Exp2(13); math.Abs(got-want) > 1e-9*want {
		t.Errorf("E(13, 13) = %v, want %v", got, want)
	}
}

func TestDecisionsAtTheirSmallest(t *testing.T) {
	series := func(n int, v float64) (values []float64, sessions []int) {
		for i := range n {
			values, sessions = append(values, v), append(sessions, 1+i/6)
		}
		return values, sessions
	}
	for _, tc := range []struct {
		n    int
		v    float64
		want Outcome
	}{
		{6, 2, Inconclusive}, {11, 2, Inconclusive}, {12, 2, Broken}, // E(12, 12) is the first above 1,000
		{6, 0.5, Inconclusive}, {12, 0.5, Held}, // never before the second session
		{100, 1, Held}, // ties with the boundary are not above it
		{0, 1, Inconclusive},
	} {
		values, sessions := series(tc.n, tc.v)
		if d := decide(values, sessions, 1); d.outcome != tc.want {
			t.Errorf("%d blocks at %v: %v, want %v", tc.n, tc.v, d.outcome, tc.want)
		}
	}
}

// A program whose median is at the boundary is broken with probability at most 0.001 and held
// with probability at most 0.05, over all interim analyses.
func TestErrorRatesAtTheBoundary(t *testing.T) {
	const trials = 5000
	rng := rand.New(rand.NewPCG(1, 2))
	count := map[Outcome]int{}
	values, sessions := make([]float64, 120), make([]int, 120)
	for range trials {
		for i := range values {
			values[i], sessions[i] = rng.NormFloat64(), i/5
		}
		count[decide(values, sessions, 0).outcome]++
	}
	broken, held := float64(count[Broken])/trials, float64(count[Held])/trials
	t.Logf("seed 1,2, n=%d: broken %.4f (nominal at most %v), held %.4f (at most %v)", trials, broken, alpha, held, beta)
	// Four standard errors above nominal: with this seed it either holds or does not.
	if limit := alpha + 4*math.Sqrt(alpha/trials); broken > limit {
		t.Errorf("broken in %.4f, more than %.4f", broken, limit)
	}
	if limit := beta + 4*math.Sqrt(beta/trials); held > limit || held == 0 {
		t.Errorf("held in %.4f, more than %.4f or never", held, limit)
	}
}
