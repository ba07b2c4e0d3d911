package analysis

import (
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// NewMcNemar tests whether specs that changed sides between two runs went one way
// more than chance would have it. It looks at the changed ones only, and that is why
// it sees what a comparison of the two counts cannot: 6 fixed and 0 broke of 59
// failures is p = 0.031, 59 against 53 failures of 2,275 taken as unpaired is 0.63.
// The test is the exact two-sided binomial one; with nothing changed P is 1. It
// assumes that specs change sides independently of each other, which ten specs with
// one cause do not.
//
// Source: Q. McNemar, "Note on the sampling error of the difference between
// correlated proportions or percentages", Psychometrika 12 (1947), 153-157.
func NewMcNemar(fixed, broke int) McNemar {
	m := McNemar{Fixed: fixed, Broke: broke, P: 1}
	if fixed != broke {
		half := distuv.Binomial{N: float64(fixed + broke), P: 0.5}
		m.P = min(1, 2*half.CDF(float64(min(fixed, broke))))
	}
	return m
}

// BenjaminiHochberg adjusts p-values of tests that are made together: rejecting those
// that come out at most q keeps the expected share of false ones among the rejected
// at q or below. It assumes tests that are independent or positively dependent. The
// result is in the order of ps, which stays as it is.
//
// Source: Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", Journal
// of the Royal Statistical Society B 57 (1995), 289-300.
func BenjaminiHochberg(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case ps[a] < ps[b]:
			return -1
		case ps[a] > ps[b]:
			return 1
		}
		return 0
	})
	adjusted := make([]float64, len(ps))
	least := 1.0
	for rank := len(ps); rank > 0; rank-- {
		at := order[rank-1]
		least = min(least, ps[at]*float64(len(ps))/float64(rank))
		adjusted[at] = least
	}
	return adjusted
}
