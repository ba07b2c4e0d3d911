package thresholds

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

// Measure uses the blocks of the calibration if the limit is for this class and its arms are
// those measured today, and fitted ones otherwise.
func TestMeasuredAsItWasCalibrated(t *testing.T) {
	slots := map[string]int{"none": 6, "backend": 2, "floor": 2, "twin": 2, "slow": 2, "stubs": 6}
	fitted := map[string]int{"none": 7, "backend": 1, "floor": 1, "twin": 1, "slow": 1, "stubs": 7}
	for name, c := range map[string]struct {
		class string
		batch map[string]int
		want  map[string]int
	}{
		"own class":       {machine.Class(), slots, slots},
		"another class":   {"plan9-mips-1cpu", slots, fitted},
		"older arms":      {machine.Class(), map[string]int{"none": 6, "backend": 2}, fitted},
		"no plan is kept": {machine.Class(), nil, fitted},
	} {
		t.Run(name, func(t *testing.T) {
			limit := Limit{Workload: "default", Metric: MetricCostRatio, Durability: "process", Baseline: 1.3, Margin: 0.1, Limit: 1.43}
			limit.Provenance.Plan = harness.Plan{Sessions: 9, Blocks: 5, Warmups: 3, Rounds: 11, Batch: c.batch, SlowBy: 0.1}
			spec := harness.Spec{Workload: "default", Durability: "process", Plan: harness.DefaultPlan(), Seed: 1, Dir: t.TempDir()}
			run := func(_ context.Context, s harness.Session) (harness.SessionResult, error) {
				if s.Fit != nil {
					return harness.SessionResult{Batch: fitted}, nil
				}
				return measured(s), nil
			}
			reported := 0
			j, err := Measure(t.Context(), spec, &File{Schema: 1, Class: c.class, Limits: []Limit{limit}}, run, func(*harness.Comparison) { reported++ })
			if reported == 0 || reported != j.Comparison.Sessions() {
				t.Errorf("progress was reported %d times", reported)
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := Judge(j.Comparison, &File{Schema: 1, Class: c.class, Limits: []Limit{limit}}, time.Now()); j.Verdict.Reason == "" || j.Verdict.Reason != want.Reason {
				t.Errorf("verdict %q, want %q", j.Verdict.Reason, want.Reason)
			}
			got, blocks := j.Comparison.Plan, spec.Plan.Blocks
			if maps.Equal(c.want, slots) || name == "older arms" {
				blocks = 5
			}
			slowBy := spec.Plan.SlowBy
			if c.class == machine.Class() {
				slowBy = limit.Margin
			}
			if !maps.Equal(got.Batch, c.want) || got.Blocks != blocks || got.Sessions != spec.Plan.Sessions || got.SlowBy != slowBy {
				t.Errorf("measured with %+v, want slots %v and %d blocks", got, c.want, blocks)
			}
		})
	}
}

func TestOnlyAnAmountIsNoticed(t *testing.T) {
	for notices, want := range map[float64]bool{0.05: true, 0: false, -0.1: false} {
		if got := (Judged{Verdict: Verdict{Boundary: 1.1, Notices: notices}}).String(); strings.Contains(got, "notices here") != want {
			t.Errorf("notices %v:\n%s", notices, got)
		}
	}
}
