package analysis

import (
	"math"
	"slices"
)

// changeAlpha is the significance level of one test. At this level a change has at least seven runs
// on either side: with s of n runs on one side, |U| is at most s(n-s), and for s up to 6 the p-value
// 2 exp(-6 U²/(n³+n²)) is above 0.0127 for every n.
const changeAlpha = 0.01

// changeMethod describes the method in reports.
const changeMethod = "Pettitt's rank test on the pass rates of runs (Applied Statistics 28, 1979, 126-135), at p < 0.01, again in each part; it assumes that without a change the runs could stand in any order"

// changePoints finds changes of the level of values by Pettitt's test, applied again to both parts
// (binary segmentation). An observation is one run, however many specs it has, because specs of
// one run are not independent. The test assumes exchangeable runs without a change. P is Pettitt's
// approximation, which is conservative for few runs and for ties; with fewer than about 12 runs
// it finds nothing.
//
// Source: A. N. Pettitt, "A non-parametric approach to the change-point problem", Applied
// Statistics 28 (1979), 126-135.
func changePoints(values []float64) (at []int, ps []float64) {
	type found struct {
		at int
		p  float64
	}
	var all []found
	var split func(from, to int)
	split = func(from, to int) {
		k, p := pettitt(values[from:to])
		if p >= changeAlpha {
			return
		}
		all = append(all, found{from + k, p})
		split(from, from+k)
		split(from+k, to)
	}
	split(0, len(values))
	slices.SortFunc(all, func(a, b found) int { return a.at - b.at })
	for _, f := range all {
		at, ps = append(at, f.at), append(ps, f.p)
	}
	return at, ps
}

// pettitt returns the first index of the newer part and P, which is 1 for too few values.
func pettitt(values []float64) (k int, p float64) {
	n := len(values)
	best, u := 0.0, 0.0
	// U(t) = U(t-1) + sum over j of sign(x[t] - x[j]).
	for t := range n {
		for j := range n {
			switch {
			case values[t] > values[j]:
				u++
			case values[t] < values[j]:
				u--
			}
		}
		if math.Abs(u) > best {
			best, k = math.Abs(u), t+1
		}
	}
	if best == 0 {
		return 0, 1
	}
	m := float64(n)
	return k, min(1, 2*math.Exp(-6*best*best/(m*m*m+m*m)))
}
