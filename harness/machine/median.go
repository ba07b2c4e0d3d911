package machine

import (
	"math"
	"slices"
)

// Median of v, the mean of the middle two for an even number, NaN for none; v is
// left as it is.
func Median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	if n == 0 {
		return math.NaN()
	}
	return (s[(n-1)/2] + s[n/2]) / 2
}
