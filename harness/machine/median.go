package machine

import (
	"math"
	"slices"
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
