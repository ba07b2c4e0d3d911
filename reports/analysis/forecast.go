package analysis

import (
	"fmt"
	"math"

	"github.com/flujo/flujo-harness/reports/internal/text"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

const (
	forecastChanges = 5   // minimum number of differences between runs
	forecastLongest = 200 // runs; longer forecasts are useless
)

// newForecast estimates the number of further runs after which failures have decreased by toGo.
// failed holds the numbers of failures of runs, oldest first.
//
// The model is a random walk with independent, normal steps of constant mean and variance. After k
// further runs the 95% prediction interval of the decrease is k·mean ± t·s·sqrt(k + k²/n), with
// Student's t with n-1 degrees of freedom for n steps. The forecast interval extends between the
// runs at which the two ends of that interval reach toGo. If the lower end never does, there is
// no forecast, and why is the reason.
func newForecast(failed []int, toGo int) (f *Forecast, why string) {
	if toGo <= 0 {
		return nil, "the target is reached"
	}
	var steps []float64
	for i := 1; i < len(failed); i++ {
		steps = append(steps, float64(failed[i-1]-failed[i]))
	}
	if len(steps) < forecastChanges {
		return nil, fmt.Sprintf("%s between runs, and a forecast needs %d", text.Plural(len(steps), "change"), forecastChanges)
	}
	n := float64(len(steps))
	mean, s := stat.MeanStdDev(steps, nil)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975)
	reach := func(sign float64) int {
		for k := 1; k <= forecastLongest; k++ {
			way := float64(k)*mean + sign*t*s*math.Sqrt(float64(k)+float64(k*k)/n)
			if way >= float64(toGo) {
				return k
			}
		}
		return 0
	}
	low, high := reach(1), reach(-1)
	if high == 0 {
		return nil, fmt.Sprintf("the last %s allow no forecast: the 95%% interval is unbounded", text.Plural(len(steps), "change"))
	}
	return &Forecast{Runs: float64(toGo) / mean, Low: low, High: high, N: len(steps),
		Method: "walk with the mean step of the runs so far, 95% prediction interval by Student's t"}, ""
}
