package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Z95 is the 0.975 quantile of the standard normal distribution, for two-sided 95% intervals.
const Z95 = 1.959963984540054

// Rate is a proportion with its denominator: Good of Of.
type Rate struct {
	Good int
	Of   int
}

// PassRate is passed / (passed + failed). Skipped and pending specs did not run and do not
// count.
func (c Counts) PassRate() Rate { return Rate{Good: c.Passed, Of: c.Passed + c.Failed} }

// PassRateOfAll is passed / (passed + failed + skipped + pending). Unlike [Counts.PassRate] it
// falls when specs are skipped.
func (c Counts) PassRateOfAll() Rate { return Rate{Good: c.Passed, Of: c.All()} }

// Share returns the rate as a number from 0 to 1, or NaN if Of is 0.
func (r Rate) Share() float64 { return float64(r.Good) / float64(r.Of) }

// Band returns the 95% interval of the rate by [Wilson], from 0 to 1.
func (r Rate) Band() (low, high float64) { return Wilson(r.Good, r.Of, Z95) }

// Wilson returns the score interval for the success probability of a binomial distribution, from
// 0 to 1, given k successes in n trials and the normal quantile z (1.96 for 95%).
//
// It assumes independent trials with equal success probability. Specs of one run are neither, so
// the interval expresses how much a pass rate over n specs can say about further specs, not the
// run-to-run noise. For n = 0 the interval is 0 to 1. Unlike the Wald interval
// p ± z·sqrt(p(1-p)/n), it has a positive width for k = 0 and k = n, and its coverage stays
// close to nominal for small n.
//
// Source: E. B. Wilson, "Probable inference, the law of succession, and statistical
// inference", Journal of the American Statistical Association 22 (1927), 209-212.
func Wilson(k, n int, z float64) (low, high float64) {
	if n <= 0 {
		return 0, 1
	}
	p, m, zz := float64(k)/float64(n), float64(n), z*z
	center := (p + zz/(2*m)) / (1 + zz/m)
	half := z / (1 + zz/m) * math.Sqrt(p*(1-p)/m+zz/(4*m*m))
	low, high = max(0, center-half), min(1, center+half)
	if k == 0 {
		low = 0 // exact in theory, but not in floating point
	}
	if k == n {
		high = 1
	}
	return low, high
}

// String formats the rate with its interval, such as
// "41 of 42 (97.6%, 95% band 87.7 to 99.6%)".
func (r Rate) String() string {
	if r.Of == 0 {
		return "0 of 0"
	}
	low, high := r.Band()
	return fmt.Sprintf("%d of %d (%s%%, 95%% band %s to %s%%)", r.Good, r.Of,
		r.percent(), Percent(low), Percent(high))
}

// Percent formats the rate with two decimals, such as "97.67%", or without decimals if they are
// zero. It is "none" if Of is 0. A rate below 100% is never rounded up to 100%.
func (r Rate) Percent() string {
	if r.Of == 0 {
		return "none"
	}
	text := strconv.FormatFloat(100*r.Share(), 'f', 2, 64)
	if r.Good < r.Of && text == "100.00" {
		text = "99.99"
	}
	return strings.TrimSuffix(text, ".00") + "%"
}

// percent formats the rate with one decimal and without the sign. A rate below 100% is never
// rounded up to 100.
func (r Rate) percent() string {
	if r.Good < r.Of && r.Share() > 0.999 {
		return strconv.FormatFloat(math.Floor(r.Share()*1e4)/100, 'f', -1, 64)
	}
	return Percent(r.Share())
}

// Percent formats a share from 0 to 1 in percent, with one decimal unless it is 0, and without
// the sign.
func Percent(share float64) string {
	s := strconv.FormatFloat(100*share, 'f', 1, 64)
	if n := len(s); s[n-2:] == ".0" {
		return s[:n-2]
	}
	return s
}
