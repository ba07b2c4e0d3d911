package thresholds

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Error rates of a decision at the boundary, each valid however often one looks.
const (
	alpha = 0.001 // of calling a program broken whose blocks are as often below the boundary as above
	beta  = 0.05  // of calling one held
)

// certain is the weight of the alternative p = 1 in the mixture, on which a verdict
// over plainly different programs falls with the fewest blocks: 12 instead of 13 where all
// are above. The price where they are not is a quarter of the evidence.
const certain = 0.25

// signEvidence is the one-sided sign e-value of k among n blocks above a boundary,
// mixed over the alternatives p > 1/2: uniformly, and with some weight at p = 1.
//
//	E(k, n) = 3/4 * 2^(n+1) * integral from 1/2 to 1 of p^k (1-p)^(n-k) dp + 1/4 * 2^n [k = n]
//
// It assumes only that blocks are exchangeable around their median. By Ville's
// inequality it exceeds 1/alpha at any time with probability at most alpha while
// the median is not above the boundary. Ties with the boundary count as not above.
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

// decision of a sequential test, with the counts at which it fell.
type decision struct {
	outcome  Outcome
	above, n int
}

// decide looks at the blocks after every session from the second on and stops at
// the first that decides: Broken (above the boundary), Held (below), or, after
// all of them, Inconclusive. sessions[i] is the session of values[i], ascending.
func decide(values []float64, sessions []int, boundary float64) decision {
	return decideAt(values, sessions, boundary, 1/alpha, 1/beta)
}

// decideAt is decide with other evidence asked for.
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
