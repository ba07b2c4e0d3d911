package thresholds

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Error rates of a sequential decision. They hold for any number of interim analyses.
const (
	alpha = 0.001 // probability of "broken" for a program whose median is at the boundary
	beta  = 0.05  // probability of "held" for such a program
)

// certain is the weight of the alternative p = 1 in the mixture of signEvidence. With it, clearly
// different programs are decided with the fewest blocks, 12 in place of 13 if all are above the
// boundary. If they are not, it costs a quarter of the evidence.
const certain = 0.25

// signEvidence returns the one-sided e-value of the sign test for k of n blocks above a boundary.
// The alternative is a mixture of p > 1/2, uniformly, and p = 1.
//
//	E(k, n) = 3/4 * 2^(n+1) * integral from 1/2 to 1 of p^k (1-p)^(n-k) dp + 1/4 * 2^n [k = n]
//
// It assumes that each block lies above the boundary with probability at most 1/2, given the
// previous blocks, if the program's median is not above the boundary. By Ville's inequality the
// probability that it ever exceeds 1/alpha is then at most alpha. Blocks equal to the boundary
// count as not above.
//
// Source: Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49 (2021).
func signEvidence(k, n int) float64 {
	a, b := float64(k+1), float64(n-k+1)
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	tail := distuv.Beta{Alpha: a, Beta: b}.Survival(0.5)
	e := (1 - certain) * math.Exp(float64(n+1)*math.Ln2+la+lb-lab) * tail
	if k == n {
		e += certain * math.Exp2(float64(n))
	}
	return e
}

// decision is the result of a sequential test, with the counts at the time of the decision.
type decision struct {
	outcome  Outcome
	above, n int
}

// blocks is "1 block" or "5 blocks".
func blocks(n int) string {
	if n == 1 {
		return "1 block"
	}
	return fmt.Sprintf("%d blocks", n)
}

// decide tests the blocks after every session from the second on, and returns the first decision:
// Broken (above the boundary) or Held (below). If no session decides, the outcome is
// Inconclusive. sessions[i] is the session of values[i], in ascending order.
func decide(values []float64, sessions []int, boundary float64) decision {
	return decideAt(values, sessions, boundary, 1/alpha, 1/beta)
}

// decideAt is decide with the given e-values as thresholds.
func decideAt(values []float64, sessions []int, boundary, toBreak, toHold float64) decision {
	d := decision{}
	for i, v := range values {
		d.n++
		if v > boundary {
			d.above++
		}
		last := i+1 == len(values) || sessions[i+1] != sessions[i]
		if !last || sessions[i] == sessions[0] {
			continue
		}
		switch {
		case signEvidence(d.above, d.n) >= toBreak:
			d.outcome = Broken
			return d
		case signEvidence(d.n-d.above, d.n) >= toHold:
			d.outcome = Held
			return d
		}
	}
	return d
}
