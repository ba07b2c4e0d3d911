package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// table prints one row per arm.
func (p plan) table(out io.Writer, sessions []session) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "durability\tat once\tarm\truns/s: median\tmin - max\tp50 ms\tp99 ms\tKiB/run\tcore/row: median\t95% interval\tn")
	for _, d := range p.durabilities {
		for _, workers := range p.workers {
			for i, a := range arms(d) {
				var rates, sizes, medians, latencies []float64
				for _, s := range sessions {
					mine := s[cell{d, workers, arms(d)[0].name}]
					var ratios []float64
					for r, b := range s[cell{d, workers, a.name}] {
						rates, sizes = append(rates, b.Rate), append(sizes, b.Bytes/1024)
						ratios = append(ratios, mine[r].Rate/b.Rate)
						latencies = append(latencies, b.Latencies...)
					}
					medians = append(medians, median(ratios))
				}
				slices.Sort(latencies)
				fmt.Fprintf(w, "%s\t%d\t%s\t%.0f\t%.0f - %.0f\t%.3f\t%.3f\t%.1f\t", d, workers, a.name, median(rates),
					slices.Min(rates), slices.Max(rates), quantile(latencies, 0.50), quantile(latencies, 0.99), median(sizes))
				if i == 0 {
					fmt.Fprintf(w, "\t\t%d\n", len(sessions))
					continue
				}
				low, high := interval(medians)
				fmt.Fprintf(w, "%.2f\t%.2f - %.2f\t%d\n", median(medians), low, high, len(medians))
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "\nLatencies: over all rounds. Ratios: runs/s of core divided by runs/s of the row, in the same round; first the median over the rounds of each session, then over the n sessions; interval over sessions, from order statistics.")
	return err
}

// median returns the median of v, which is the mean of the middle two for an even number of values.
// It does not change v.
func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// quantile returns the smallest of the sorted values that is not exceeded by at least the share q
// of them.
func quantile(sorted []float64, q float64) float64 {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// interval returns a confidence interval for the median that holds in at least 95% of cases for any
// distribution: the values of rank k and n+1-k, with the largest k for which 2 P(Binomial(n, 1/2) <
// k) <= 5% (Conover, Practical Nonparametric Statistics, 3.2). The values must be independent. Ties
// only make it wider. For n < 6 there is no such k, and the interval is unbounded.
func interval(v []float64) (low, high float64) {
	s := slices.Sorted(slices.Values(v))
	n, k := len(s), 0
	term := math.Pow(0.5, float64(n)) // P(Binomial = k)
	for tail := term; 2*tail <= 0.05; tail += term {
		term *= float64(n-k) / float64(k+1)
		k++
	}
	if k == 0 {
		return math.Inf(-1), math.Inf(1)
	}
	return s[k-1], s[n-k]
}
