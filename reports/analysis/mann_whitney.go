package analysis

import (
	"math"
	"slices"
)

// mannWhitney is the exact one-sided Mann-Whitney test of whether newer values tend to be larger than
// older ones. A tie counts as if the older value were larger, so that ties can only increase P. It
// assumes that all orders are equally likely without a change.
//
// Source: H. B. Mann, D. R. Whitney, "On a test of whether one of two random
// variables is stochastically larger than the other", Annals of Mathematical
// Statistics 18 (1947), 50-60.
type mannWhitney struct {
	tails map[[2]int][]float64 // P(U >= u) by sample sizes, which many specs share
}

func (t *mannWhitney) larger(older, newer []float64) float64 {
	older = slices.Sorted(slices.Values(older))
	u := 0
	for _, v := range newer {
		below, _ := slices.BinarySearch(older, v)
		u += below
	}
	return t.tail(len(newer), len(older))[u]
}

// tail returns P(U >= u) for every u by the recurrence of Mann and Whitney: the largest value is
// either a newer one, which exceeds all m older ones, or an older one.
func (t *mannWhitney) tail(n, m int) []float64 {
	if have, ok := t.tails[[2]int{n, m}]; ok {
		return have
	}
	// ways[j][u] of i newer and j older values, as shares so that nothing overflows.
	ways := make([][]float64, m+1)
	for j := range ways {
		ways[j] = []float64{1}
	}
	for i := 1; i <= n; i++ {
		next := make([][]float64, m+1)
		next[0] = []float64{1}
		for j := 1; j <= m; j++ {
			next[j] = make([]float64, i*j+1)
			isNewer := float64(i) / float64(i+j)
			for u, p := range ways[j] {
				next[j][u+j] += isNewer * p
			}
			for u, p := range next[j-1] {
				next[j][u] += (1 - isNewer) * p
			}
		}
		ways = next
	}
	tail := ways[m]
	for u := len(tail) - 2; u >= 0; u-- {
		tail[u] += tail[u+1]
	}
	if t.tails == nil {
		t.tails = map[[2]int][]float64{}
	}
	t.tails[[2]int{n, m}] = tail
	return tail
}

// median returns the median of values, which it sorts, or NaN if there are none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
