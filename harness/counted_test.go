package harness

import (
	"context"
	"slices"
	"testing"

	"github.com/flujo/flujo-harness/harness/instructions"
)

// All arms are counted in each turn, in the reverse order of the turn before. A turn in which a
// count fails is left out.
func TestArmsAreCountedInTurns(t *testing.T) {
	count := map[string]float64{ArmNone: 1000, ArmFloor: 2000, ArmBackend: 3400}
	var order []string
	made := func(_ context.Context, s Session) (res SessionResult, err error) {
		res.Instructions = 1e7 + float64(s.Count.Ops)*count[s.Count.Arm]
		if s.Count.Ops == countedSmall {
			order = append(order, s.Count.Arm)
		}
		return res, nil
	}
	spec := Spec{Workload: "default", Durability: "process"}
	r := CountRun(t.Context(), spec, made, &instructions.Tool{Name: "made up"}, func(r *RunInstructions) bool {
		count[ArmNone], count[ArmFloor] = 1400, 2500
		if len(r.With) == 2 {
			count[ArmBackend] = 1400
		}
		return true
	})
	if want := []string{ArmNone, ArmFloor, ArmBackend, ArmBackend, ArmFloor, ArmNone, ArmNone, ArmFloor, ArmBackend}; !slices.Equal(order, want) {
		t.Errorf("counted %v, want %v", order, want)
	}
	if r.Problem != "a run with the backend executes no more than one without" || !slices.Equal(r.Cost(), []float64{2400, 2000}) ||
		!slices.Equal(r.CostRatio(), []float64{1.2, 0.8}) {
		t.Errorf("%+v: cost %v, ratio %v", r, r.Cost(), r.CostRatio())
	}
	all := CountRun(t.Context(), spec, func(context.Context, Session) (SessionResult, error) {
		return SessionResult{Problem: "made up"}, nil
	}, &instructions.Tool{}, nil)
	if all.Problem == "" || len(all.Cost()) != 0 || len(all.CostRatio()) != 0 {
		t.Errorf("%+v", all)
	}
}
