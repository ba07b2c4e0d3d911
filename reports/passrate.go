package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Z95 is the 97.5% point of the standard normal distribution: 95% two-sided.
const Z95 = 1.959963984540054

// Rate is a share with its denominator.
type Rate struct {
	Good int
	Of   int
}

// PassRate is passed / (passed + failed): skipped and pending specs say nothing
// either way and stay outside.
func (c Counts) PassRate() Rate { return Rate{Good: c.Passed, Of: c.Passed + c.Failed} }

// PassRateOfAll is passed / (passed + failed + skipped + pending): what leaving
// specs out does to the rate shows here.
func (c Counts) PassRateOfAll() Rate { return Rate{Good: c.Passed, Of: c.All()} }

// Share is the rate between 0 and 1; NaN of nothing.
func (r Rate) Share() float64 { return float64(r.Good) / float64(r.Of) }

// Band is the 95% band of the rate by [Wilson].
func (r Rate) Band() (low, high float64) { return Wilson(r.Good, r.Of, Z95) }

// Wilson returns the score interval of k successes in n trials for the normal
// quantile z (1.96 for 95%), between 0 and 1. It assumes independent trials with
// one chance of success; for deterministic specs read it as "how far this many
// specs can speak for the next one", not as noise. With n = 0 it is 0 to 1: nothing
// is known. It never collapses to a point at k = 0 or k = n, as the textbook
// interval p ± z·sqrt(p(1-p)/n) does.
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
		low = 0 // exactly, not by rounding
	}
	if k == n {
		high = 1
	}
	return low, high
}

// String is "41 of 41", and the percentage with its band where there is one.
func (r Rate) String() string {
	if r.Of == 0 {
		return "0 of 0"
	}
	low, high := r.Band()
	return fmt.Sprintf("%d of %d (%s%%, 95%% band %s to %s%%)", r.Good, r.Of,
		r.percent(), Percent(low), Percent(high))
}

// Percent is the rate to a hundredth of a percent, "97.67%", without the hundredths
// where they are 0; "none" of nothing. It never rounds up to 100 what is below it.
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

// percent is the same to a tenth, without the sign: it never rounds up to 100 what is below it.
func (r Rate) percent() string {
	if r.Good < r.Of && r.Share() > 0.999 {
		return strconv.FormatFloat(math.Floor(r.Share()*1e4)/100, 'f', -1, 64)
	}
	return Percent(r.Share())
}

// Percent is a share in percent, with one digit behind the point unless it is 0.
func Percent(share float64) string {
	s := strconv.FormatFloat(100*share, 'f', 1, 64)
	if n := len(s); s[n-2:] == ".0" {
		return s[:n-2]
	}
	return s
}
