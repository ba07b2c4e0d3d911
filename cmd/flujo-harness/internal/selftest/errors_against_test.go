package selftest

import (
	"testing"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// The study reports a slow-down as broken, never as held, and depends on the recorded values.
func TestResamplingJudgesTheRecordedSessions(t *testing.T) {
	study := func(bias float64) *againstErrors {
		a := &againstErrors{resample: 50, seed: 1, judging: thresholds.Judging{Margin: 0.05, Family: 1, Lower: harness.AgainstUnits()}}
		a.spec.Plan.Sessions = 24
		for i := range 20 {
			noise := 1 + 0.004*float64(i%5-2)
			b := harness.DifferenceBlock{Ratio: bias * noise, Twin: 1 / noise, Slow: bias * noise * 1.05, BaseNS: 100, HeadNS: 100 * bias}
			a.recorded = append(a.recorded, recorded{b, b, b, b, b})
		}
		return a
	}
	for _, tc := range []struct {
		bias, change float64
		want         thresholds.Outcome
	}{{1, 0, thresholds.Held}, {1, 5, thresholds.Broken}, {1.06, 0, thresholds.Broken}} {
		k := study(tc.bias).resampled(tc.change)
		if k.count[tc.want] != 50 {
			t.Errorf("recorded at %v, %+v%%: %v, want all %v: %s", tc.bias, tc.change, k.count, tc.want, k.other)
		}
	}
}

func TestBlocksAreGroupedBySession(t *testing.T) {
	all := sessionsOf([]harness.DifferenceBlock{{Session: 1}, {Session: 1}, {Session: 2}, {Session: 4}, {Session: 4}})
	if len(all) != 3 || len(all[0]) != 2 || len(all[1]) != 1 || len(all[2]) != 2 {
		t.Errorf("%v", all)
	}
}
