package harness

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/flujo/flujo-harness/harness/machine"
)

const (
	level = 0.95 // confidence level of all intervals
	trim  = 0.2  // share of the values that is cut off at each end
)

// estimate returns the 20% trimmed mean of positive ratios or times, on the log scale,
// with the interval of Yuen (1974): trimmed mean ± t(h-1) * s_w / ((1-2*trim)*sqrt(n)),
// where s_w is the winsorized standard deviation and h the number of values that were kept.
//
// Ratios and times are multiplicative, so their logs are closer to symmetric than they are.
// Blocks of one session that differ less from each other than from other sessions are not
// independent; then the means of the sessions are the sample. With fewer than 5 values the
// interval is infinite. Equal values need no special treatment. If a value is not positive,
// which happens only if the noise is as large as the figure, no logs are taken, as in
// [estimateSum].
func estimate(v []float64, sessions []int, unit string) Estimate {
	logs := make([]float64, len(v))
	for i, x := range v {
		if !(x > 0) {
			return estimateSum(v, sessions, unit)
		}
		logs[i] = math.Log(x)
	}
	e := estimateSum(logs, sessions, unit)
	e.Method = "20% trimmed mean of logs, Yuen's interval"
	e.Value = math.Exp(e.Value)
	if e.High == math.MaxFloat64 {
		e.Low = 0
		return e
	}
	e.Low, e.High = math.Exp(e.Low), math.Exp(e.High)
	return e
}

// estimateSum is like estimate without logs, for values that are added up or may be negative.
func estimateSum(v []float64, sessions []int, unit string) Estimate {
	e := Estimate{Level: level, N: len(v), Of: "blocks", Unit: unit, Method: "20% trimmed mean, Yuen's interval"}
	if means := sessionMeans(v, sessions); sessionsDiffer(v, sessions) && len(means) >= 5 {
		v, e.N, e.Of = means, len(means), "sessions"
	}
	mid, half := yuen(v)
	e.Value, e.Low, e.High = mid, mid-half, mid+half
	if math.IsInf(half, 0) {
		e.Low, e.High = -math.MaxFloat64, math.MaxFloat64 // JSON has no infinity
	}
	return e
}

// yuen returns the trimmed mean and half the width of its interval. Source: Yuen,
// Biometrika 61 (1974), with the one-sample form of Tukey and McLaughlin (1963).
func yuen(v []float64) (mid, half float64) {
	mid, sd, kept := machine.TrimmedMean(v, trim)
	if len(v) < 5 || kept < 3 {
		return mid, math.Inf(1)
	}
	se := sd / ((1 - 2*trim) * math.Sqrt(float64(len(v))))
	return mid, distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(kept - 1)}.Quantile(1-(1-level)/2) * se
}

// sessionMeans returns the mean of the values of each session, in the order of the sessions.
func sessionMeans(v []float64, sessions []int) []float64 {
	sum, n := map[int]float64{}, map[int]float64{}
	for i, s := range sessions {
		sum[s] += v[i]
		n[s]++
	}
	var means []float64
	for s := range slices.Max(sessions) + 1 {
		if n[s] > 0 {
			means = append(means, sum[s]/n[s])
		}
	}
	return means
}

// sessionsDiffer reports whether the sessions differ by more than the variance of their blocks
// explains: the F test of a one-way analysis of variance, at 5%.
func sessionsDiffer(v []float64, sessions []int) bool {
	groups := map[int][]float64{}
	for i, s := range sessions {
		groups[s] = append(groups[s], v[i])
	}
	k, n := float64(len(groups)), float64(len(v))
	if k < 2 || n <= k {
		return false
	}
	grand := stat.Mean(v, nil)
	var between, within float64
	for _, g := range groups {
		m := stat.Mean(g, nil)
		between += float64(len(g)) * (m - grand) * (m - grand)
		for _, x := range g {
			within += (x - m) * (x - m)
		}
	}
	if within == 0 {
		return between > 0
	}
	f := (between / (k - 1)) / (within / (n - k))
	return distuv.F{D1: k - 1, D2: n - k}.Survival(f) < 0.05
}
