package machine

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// hands is a fake clock that advances by a fixed step with each reading, and on request.
type hands struct {
	at   time.Time
	read time.Duration
}

func newHands(read time.Duration) *hands { return &hands{time.Unix(1e9, 0), read} }

func (h *hands) now() time.Time {
	h.at = h.at.Add(h.read)
	return h.at
}

// coarse returns the readings of the clock, truncated to a tick.
func (h *hands) coarse(tick time.Duration) func() time.Time {
	return func() time.Time { return h.now().Truncate(tick) }
}

func TestEvenness(t *testing.T) {
	for name, tc := range map[string]struct {
		took []float64
		want CanaryResult
	}{
		"even": {[]float64{100, 100, 100, 100}, CanaryResult{Loops: 4, LoopUS: 100}},
		// By hand: p10 is the 1st of 10, p90 the 9th; they sum up to 1950.
		"uneven": {[]float64{100, 150, 100, 100, 900, 100, 100, 100, 200, 100},
			CanaryResult{Loops: 10, LoopUS: 100, Spread: 1, Outliers: 0.1, Away: 1 - 1000./1950}},
		"nothing":   {nil, CanaryResult{Away: 1}},
		"unseen":    {[]float64{0, 0, 0, 10000}, CanaryResult{Loops: 4, Away: 1}},
		"one":       {[]float64{100}, CanaryResult{Loops: 1, LoopUS: 100}},
		"quick few": {[]float64{100, 100, 100, 50, 100, 100, 100, 100, 100, 100}, CanaryResult{Loops: 10, LoopUS: 100, Spread: 0.5, Away: 1 - 500./950}},
	} {
		if got := evenness(tc.took); !cmp.Equal(got, tc.want, cmpopts.EquateApprox(0, 1e-12)) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestCanaryStops(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx   context.Context
		loop  time.Duration
		tick  time.Duration
		loops int
		away  float64
	}{
		"after its time":            {t.Context(), 100 * time.Microsecond, 1, 200, 0},
		"with enough for a p10":     {t.Context(), 41 * time.Millisecond, 1, canaryLeast, 0},
		"where the clock is coarse": {t.Context(), 100 * time.Microsecond, 10 * time.Millisecond, 200, 1},
		"where the clock stands":    {t.Context(), 0, 1, canaryMost, 1},
		"when it is cancelled":      {cancelled, time.Microsecond, 1, 0, 1},
	} {
		h := newHands(0)
		got := canary(tc.ctx, h.coarse(tc.tick), func(seed uint64) uint64 { h.at = h.at.Add(tc.loop); return seed })
		if got.Loops != tc.loops || got.Away != tc.away {
			t.Errorf("%s: %d loops, away %v; want %d and %v", name, got.Loops, got.Away, tc.loops, tc.away)
		}
	}
}

// Simulates a fair scheduler with slices of 3 ms. The bound must allow as many busy processes
// as the paired statistic tolerates, and reject a process that gets almost no CPU.
func TestAwayBoundLiesBetweenTwoAndEightBurners(t *testing.T) {
	const slice = 3 * time.Millisecond
	median := func(share float64) float64 {
		var away []float64
		for phase := time.Duration(0); phase < slice; phase += slice / 30 {
			h, left := newHands(0), slice-phase
			away = append(away, canary(t.Context(), h.now, func(seed uint64) uint64 {
				loop := 100 * time.Microsecond
				h.at = h.at.Add(loop)
				if left -= loop; left <= 0 {
					left += slice
					h.at = h.at.Add(time.Duration(float64(slice) * (1/share - 1)))
				}
				return seed
			}).Away)
		}
		return Median(away)
	}
	for _, tc := range []struct {
		name  string
		share float64 // of a core
		above bool
	}{
		{"idle", 1, false},
		{"one burner on the same core", 1. / 2, false},
		{"two burners on 2 cores", 2. / 3, false},
		{"three burners on 2 cores", 2. / 4, false},
		{"eight burners on 2 cores", 2. / 9, true},
		{"a tenth of a core", 1. / 10, true},
	} {
		away := median(tc.share)
		if above := away > AwayBound; above != tc.above {
			t.Errorf("%s: away %.2f, above %v: %v, want %v", tc.name, away, AwayBound, above, tc.above)
		}
		if tc.share == 1 && away > 1e-9 {
			t.Errorf("%s: away %v", tc.name, away)
		}
	}
}

// The compiler must not remove the loop, and its result must not be 0, which xorshift maps to
// itself.
func TestCanaryRuns(t *testing.T) {
	if r := Canary(t.Context()); r.Loops < canaryLeast || !(r.LoopUS > 0) || math.IsNaN(r.Spread) {
		t.Errorf("%+v", r)
	}
	if a, b := spin(1), spin(2); a == 0 || b == 0 || a == b {
		t.Errorf("spin(1) = %d, spin(2) = %d", a, b)
	}
	if rate := spinRate(t.Context(), 2); !(rate > 0) {
		t.Errorf("%v loops a second", rate)
	}
}
