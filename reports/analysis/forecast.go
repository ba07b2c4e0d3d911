package analysis

import (
	"fmt"
	"math"

	"github.com/flujo/flujo-harness/reports/internal/text"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

const (
	forecastChanges = 5   // between runs, at least
	forecastLongest = 200 // runs: beyond it a forecast helps nobody
)

// newForecast says after how many more runs failures come down by toGo, if the
// changes from run to run go on as they were. failed is the number of failures of
// runs, the oldest first.
//
// Failures are taken as a walk with steps of one mean and spread, independent of each
// other. After k more runs the 95% prediction interval of the way down is
// k·mean ± t·s·sqrt(k + k²/n), with Student's t of n-1 degrees for n steps. The
// interval of the forecast is where its two ends reach toGo; where the lower end never
// does, there is no forecast, and why says so.
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
		return nil, fmt.Sprintf("from the last %s nothing can be said: the 95%% interval has no end", text.Plural(len(steps), "change"))
	}
	return &Forecast{Runs: float64(toGo) / mean, Low: low, High: high, N: len(steps),
		Method: "walk with the mean step of the runs so far, 95% prediction interval by Student's t"}, ""
}
