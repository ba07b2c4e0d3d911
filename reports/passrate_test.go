package reports

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// R. G. Newcombe, "Two-sided confidence intervals for the single proportion",
// Statistics in Medicine 17 (1998), 857-872, table I, method 3.
func TestWilsonAgainstNewcombesTable(t *testing.T) {
	for _, row := range []struct {
		k, n      int
		low, high float64
	}{
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0.0000, 0.1611},
		{1, 29, 0.0061, 0.1718},
	} {
		low, high := Wilson(row.k, row.n, Z95)
		if math.Abs(low-row.low) > 0.00005 || math.Abs(high-row.high) > 0.00005 {
			t.Errorf("%d of %d: %.4f to %.4f, printed %.4f to %.4f", row.k, row.n, low, high, row.low, row.high)
		}
	}
}

// A slow reference: the interval contains every rate p that the score test does not reject,
// |k/n - p| <= z sqrt(p(1-p)/n). Its ends are found by bisection.
func TestWilsonAgainstTheScoreTest(t *testing.T) {
	rejected := func(k, n int, p float64) bool {
		return math.Abs(float64(k)/float64(n)-p) > Z95*math.Sqrt(p*(1-p)/float64(n))
	}
	edge := func(k, n int, out, in float64) float64 {
		if !rejected(k, n, out) {
			return out
		}
		for range 60 {
			if mid := (out + in) / 2; rejected(k, n, mid) {
				out = mid
			} else {
				in = mid
			}
		}
		return in
	}
	for _, n := range []int{1, 2, 5, 41, 912, 10000} {
		for k := 0; k <= n; k += max(1, n/7) {
			p := float64(k) / float64(n)
			low, high := Wilson(k, n, Z95)
			if a, b := edge(k, n, 0, p), edge(k, n, 1, p); math.Abs(low-a) > 1e-9 || math.Abs(high-b) > 1e-9 {
				t.Errorf("%d of %d: %v to %v, slowly %v to %v", k, n, low, high, a, b)
			}
		}
	}
}

func TestWilsonAtTheEnds(t *testing.T) {
	if low, high := Wilson(0, 0, Z95); low != 0 || high != 1 {
		t.Errorf("of nothing: %v to %v", low, high)
	}
	if low, _ := Wilson(0, 7, Z95); low != 0 {
		t.Errorf("none of 7 from %v", low)
	}
	if _, high := Wilson(7, 7, Z95); high != 1 {
		t.Errorf("7 of 7 to %v", high)
	}
}

func TestPassRates(t *testing.T) {
	c := Counts{Passed: 36, Failed: 2, Skipped: 1, Pending: 1}
	if diff := cmp.Diff([]string{"36 of 38 (94.7%, 95% band 82.7 to 98.5%)", "36 of 40 (90%, 95% band 76.9 to 96%)"},
		[]string{c.PassRate().String(), c.PassRateOfAll().String()}); diff != "" {
		t.Error(diff)
	}
	for r, want := range map[Rate]string{{9999, 10000}: "99.99", {99999, 100000}: "99.99", {41, 41}: "100", {2, 3}: "66.7", {0, 3}: "0", {1999, 2000}: "99.95"} {
		if got := r.percent(); got != want {
			t.Errorf("%d of %d: %s%%, want %s%%", r.Good, r.Of, got, want)
		}
	}
	if got := (Rate{}).String(); got != "0 of 0" {
		t.Errorf("of nothing: %q", got)
	}
}
