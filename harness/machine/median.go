package machine

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Median returns the median of v, the mean of the middle two values if their number is even,
// and NaN for an empty slice. It does not change v.
func Median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	if n == 0 {
		return math.NaN()
	}
	return (s[(n-1)/2] + s[n/2]) / 2
}

// TrimmedMean returns the mean of v without its smallest and its largest values, and how many values
// it kept. share, from 0 to below 0.5, is the share of the values that it cuts off at each end. sd
// is the standard deviation from which the standard error of this mean is computed: that of v
// winsorized, which means that each value cut off is replaced by the nearest one kept.
func TrimmedMean(v []float64, share float64) (mean, sd float64, kept int) {
	s := slices.Sorted(slices.Values(v))
	cut := int(share * float64(len(s)))
	inner := s[cut : len(s)-cut]
	mean = stat.Mean(inner, nil)
	for i := range cut {
		s[i], s[len(s)-1-i] = inner[0], inner[len(inner)-1]
	}
	return mean, stat.StdDev(s, nil), len(inner)
}
