package harness

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitebench"
)

// attributed returns a runner whose arms take 1, 3, 6, 10 … µs, each with a constant excess over
// the one before it of 1, 2, 3, 4 … µs. The arm with everything takes total µs.
func attributed(total func(sum float64, session int) float64) Runner {
	return func(_ context.Context, s Session) (res SessionResult, err error) {
		if s.Fit != nil {
			res.Batch = map[string]int{}
			for _, name := range s.Fit {
				res.Batch[name] = 1
			}
			return res, nil
		}
		sum := 0.0
		slots := map[string][]float64{ArmBackend: {1, 1}, ArmFloor: {1, 1}}
		for i, bar := range increments(sqlitebench.Backend{}.Levels(), s.Durability) {
			sum += float64(i + 1)
			slots[bar.Arm] = []float64{1e3 * sum, 1e3 * sum}
		}
		slots[ArmTotal] = []float64{1e3 * total(sum, s.Number), 1e3 * total(sum, s.Number)}
		res.Audit = []Finding{{checkWork, true, "fine"}}
		for range 5 {
			res.Slots = append(res.Slots, slots)
		}
		return res, nil
	}
}

func TestPartsOfTheCostAddUp(t *testing.T) {
	for _, tc := range []struct {
		durability string
		parts      string
	}{
		{"process", "copies, none, encoded, unsynced, process, traced"},
		{"power", "copies, none, encoded, unsynced, process, power, traced"},
	} {
		for excess, addsUp := range map[float64]bool{0: true, 5: false, -5: false} {
			spec := specOf(t)
			spec.Durability = tc.durability
			sessions := 0
			f, err := Attribute(t.Context(), spec, attributed(func(sum float64, _ int) float64 { return sum + excess }), func(n int) { sessions = n })
			if err != nil || f.Problem != "" || !f.Complete || sessions != spec.Plan.Sessions {
				t.Fatalf("%d sessions, complete %v, problem %q, error %v", sessions, f.Complete, f.Problem, err)
			}
			var arms []string
			sum := 0.0
			for i, bar := range f.Increments {
				arms = append(arms, bar.Arm)
				if bar.Cost.Value != float64(i+1) || bar.Cost.N != 5*spec.Plan.Sessions || bar.Cost.Unit != "us/run" {
					t.Errorf("%s: part %d costs %+v, want %d µs", tc.durability, i, bar.Cost, i+1)
				}
				sum += bar.Cost.Value
			}
			if got := strings.Join(arms, ", "); got != tc.parts {
				t.Errorf("parts %s, want %s", got, tc.parts)
			}
			if f.Total.Value != sum+excess || f.Gap.Value != -excess || f.AddsUp != addsUp {
				t.Errorf("%s, %v µs too much: total %v, gap %v, adds up %v; the parts sum up to %v", tc.durability, excess, f.Total, f.Gap, f.AddsUp, sum)
			}
			if !(f.Open.Value > 0) || f.Open.N != 20 || f.Open.Of != "openings" {
				t.Errorf("opening %+v", f.Open)
			}
		}
	}
}

// If sessions differ more than their blocks, the sessions are the sample of the total.
func TestSessionsOfAnAttributionMayDiffer(t *testing.T) {
	spec := specOf(t)
	spec.Plan.Sessions = 6
	f, err := Attribute(t.Context(), spec, attributed(func(sum float64, session int) float64 { return sum + float64(session) }), func(int) {})
	if err != nil || f.Total.Of != "sessions" || f.Total.N != 6 || f.Gap.N != 6 || f.Gap.Value != -3.5 {
		t.Errorf("total %v, gap %v, error %v", f.Total, f.Gap, err)
	}
}

func TestAttributionNeedsWholeSessions(t *testing.T) {
	spec := specOf(t)
	if _, err := Attribute(t.Context(), spec, attributed(func(float64, int) float64 { return 0 }), func(int) {}); !errors.Is(err, errNotPositive) {
		t.Errorf("a total of 0 µs: error %v", err)
	}
	right := attributed(func(sum float64, _ int) float64 { return sum })
	f, err := Attribute(t.Context(), spec, func(ctx context.Context, s Session) (SessionResult, error) {
		res, err := right(ctx, s)
		if s.Number == 2 {
			res.Audit = []Finding{{checkSaves, false, "one is missing"}}
		}
		return res, err
	}, func(int) {})
	if err != nil || f.Complete || f.Problem != "saves counted: session 2: one is missing" || len(f.Sessions) != 1 {
		t.Errorf("%d sessions, complete %v, problem %q, error %v", len(f.Sessions), f.Complete, f.Problem, err)
	}
	spec.Workload = "pause"
	if _, err := Attribute(t.Context(), spec, right, func(int) {}); err == nil || !strings.Contains(err.Error(), "attribute another one") {
		t.Errorf("a workload that pauses: error %v", err)
	}
}
