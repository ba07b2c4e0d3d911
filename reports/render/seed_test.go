package render

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/sample"
	"github.com/google/go-cmp/cmp"
)

// SeedHistory returns a new history with the runs.
func SeedHistory(ctx context.Context, path string) (*history.History, error) {
	h, err := history.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	for _, r := range sample.SeedRuns() {
		if _, err := h.Append(ctx, r); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func TestSeedsReport(t *testing.T) {
	h, err := SeedHistory(t.Context(), filepath.Join(t.TempDir(), "seed.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	a, err := analysis.Analyze(t.Context(), h, analysis.Options{Plan: sample.SeedPlan(), Limits: sample.SeedLimits(), Source: sample.SeedSource{}})
	if err != nil {
		t.Fatal(err)
	}
	if want := (reports.Counts{Passed: 2222, Failed: 53, Skipped: 8}); a.Counts != want {
		t.Errorf("counts %+v, want %+v", a.Counts, want)
	}
	if a.Rate != (reports.Rate{Good: 2222, Of: 2275}) || a.Rate.Percent() != "97.67%" || a.RateAll != (reports.Rate{Good: 2222, Of: 2283}) || a.RateAll.Percent() != "97.33%" {
		t.Errorf("rates %v %v", a.Rate, a.RateAll)
	}
	var failed []int
	for _, p := range a.Phases {
		failed = append(failed, p.Counts.Failed)
	}
	if diff := cmp.Diff(sample.SeedFailures, failed); diff != "" {
		t.Error(diff)
	}
	last := a.Phases[3]
	if got := reports.Percent(last.Fewer.Share()); last.Fewer != (reports.Rate{Good: 6, Of: 59}) || got != "10.2" {
		t.Errorf("this phase: %+v, %s%%", last.Fewer, got)
	}
	if got := reports.Percent(a.Overall.Fewer.Share()); a.Overall.Fewer != (reports.Rate{Good: 13, Of: 66}) || got != "19.7" {
		t.Errorf("all phases: %+v, %s%%", a.Overall.Fewer, got)
	}
	if a.Target.ToGo != 19 || a.Target.MaxFail != 34 || a.Target.Reached {
		t.Errorf("target: %+v", a.Target)
	}
	if p := fmt.Sprintf("%.3f", a.Paired.P); a.Paired.Fixed != 6 || a.Paired.Broke != 0 || p != "0.031" || a.Paired.Repeated {
		t.Errorf("McNemar: %+v", a.Paired)
	}
	causes := map[analysis.Cause]int{}
	for _, g := range a.Green {
		causes[g.Cause]++
	}
	if diff := cmp.Diff(map[analysis.Cause]int{analysis.LimitLoosened: 2, analysis.BodyChanged: 4}, causes); diff != "" {
		t.Errorf("the six that turned green: %s", diff)
	}
	if a.Forecast != nil || !strings.Contains(a.NoForecast, "3 changes") {
		t.Errorf("a forecast from three changes: %+v, %q", a.Forecast, a.NoForecast)
	}
	for i, want := range []int{25, 20, 8} {
		if got := a.Categories[i].Counts.Failed; got != want {
			t.Errorf("category %q has %d failures, want %d", a.Categories[i].Name, got, want)
		}
	}
	// The 20 that only a matcher explains fail at 20 places: no two are one failure, and none makes a group.
	if len(a.Clusters) != 2 || len(a.Clusters[0].Specs) != 25 || len(a.Clusters[1].Specs) != 8 || a.Clusters[0].Since != 4 {
		t.Errorf("%d clusters, the first: %+v", len(a.Clusters), a.Clusters[0])
	}
	if len(a.Attention) != 53 || a.Attention[0].Kind != analysis.LongFailing || a.Attention[0].Age.Runs != 4 || a.Attention[0].Age.Known {
		t.Errorf("attention: %d, %+v", len(a.Attention), a.Attention[0])
	}
	for name, parts := range map[string][]string{
		"terminal": {"2,222 passed · 53 failed · 8 skipped     97.67% (97.33% of all)", "target       98.5%: 19 fixes to go; at most 34 may fail", "phase        Phase 4: failures 10.2% fewer (6 of 59); over all phases 19.7% fewer (13 of 66)", "LOOSENED"},
		"html":     {"97.67%", "97.33%", "10.2% fewer (6 of 59)", "19.7% fewer (13 of 66)", "19 fixes to go", "6 fixed, 0 broke", "0.500 to 12.0"},
		"md":       {"97.67%", "97.33% of all", "10.2% fewer (6 of 59)", "19.7% fewer (13 of 66)", "19 fixes to go"},
		"json":     {`"pass_rate_all": 0.9732`, `"fixes_to_go": 19`, `"fewer_failures": 6`, `"fewer_failures": 13`, `"mcnemar_p": 0.03125`},
	} {
		text := output(t, name, a)
		for _, part := range parts {
			if part = strings.ReplaceAll(part, "LOOSENED", "loosened, 0.500 to 12.0, until 2025-09-09"); !strings.Contains(text, part) {
				t.Errorf("%s does not say %q", name, part)
			}
		}
	}
}
