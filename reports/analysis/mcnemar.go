package analysis

import (
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// newMcNemar tests whether the specs that changed between pass and fail in two runs changed in one
// direction more often than in the other. Because it uses only the specs that changed, it has more
// power than a comparison of the two counts: for 6 fixed and 0 broken of 59 failures p is 0.031,
// whereas an unpaired test of 59 against 53 failures of 2,275 gives 0.63.
//
// It is the exact two-sided binomial test; P is 1 if nothing changed. It assumes that specs change
// independently, which does not hold for several specs with one cause.
//
// Source: Q. McNemar, "Note on the sampling error of the difference between
// correlated proportions or percentages", Psychometrika 12 (1947), 153-157.
func newMcNemar(fixed, broke int) McNemar {
	m := McNemar{Fixed: fixed, Broke: broke, P: 1}
	if fixed != broke {
		half := distuv.Binomial{N: float64(fixed + broke), P: 0.5}
		m.P = min(1, 2*half.CDF(float64(min(fixed, broke))))
	}
	return m
}

// benjaminiHochberg returns adjusted p-values of several tests, in the order of ps, which it does
// not change. Rejecting all hypotheses with an adjusted p-value of at most q keeps the expected
// share of false rejections among the rejections (the false discovery rate) at q or below. It
// assumes independent or positively dependent tests.
//
// Source: Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", Journal
// of the Royal Statistical Society B 57 (1995), 289-300.
func benjaminiHochberg(ps []float64) []float64 {
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
