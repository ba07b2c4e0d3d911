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

// TrimmedMean returns the mean of v without the given share of its values, from 0 to below 0.5, at
// each end, the number of values that it kept, and their standard deviation for the standard error
// of the mean: that of v winsorized, where the nearest kept value replaces each one cut off.
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
