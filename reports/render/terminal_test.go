package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

func TestSummaryGolden(t *testing.T) {
	for name, sample := range sample.Samples {
		t.Run(name, func(t *testing.T) {
			run, earlier := sample()
			lines := Summary(told(run, earlier), ".flujo/report/index.html")
			if len(lines) > 12 {
				t.Errorf("%d lines, at most 12 are read", len(lines))
			}
			for _, l := range lines {
				if l != reports.Visible(l) {
					t.Errorf("line acts on the terminal: %q", l)
				}
			}
			golden(t, "summary-"+name+".txt", strings.Join(lines, "\n")+"\n")
		})
	}
}

// Everything there can be at once still fits.
func TestSummaryIsNeverLongerThan12Lines(t *testing.T) {
	run, earlier := sample.HostileRun()
	for range 20 {
		run.Comparisons = append(run.Comparisons, sample.Comparison("another", 1.2))
	}
	lines := Summary(told(run, earlier), "x")
	if len(lines) != 12 {
		t.Errorf("%d lines, want 12:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	withAll := told(run, earlier)
	withAll.Run.Benchmarks = []reports.Benchmark{{Name: "Add", Unit: "sec/op"}}
	withAll.Phases = []analysis.Phase{{Name: "one", To: &history.RunLine{ID: 1}, Fewer: reports.Rate{Good: 1, Of: 2}}}
	for n := range 4 {
		withAll.Run.Comparisons = run.Comparisons[:n]
		if all := Summary(withAll, "x"); len(all) > 12 || n > 1 && !strings.Contains(strings.Join(all, "\n"), "more: see the report") {
			t.Errorf("%d lines of %d workloads:\n%s", len(all), n, strings.Join(all, "\n"))
		}
	}
	if want := "20 workloads more: see the report"; !strings.Contains(strings.Join(lines, "\n"), "workloads more") {
		t.Errorf("workloads left out without a word, want something like %q", want)
	}
}

func TestSummaryNamesAtMostThree(t *testing.T) {
	run, _ := sample.HeldRun()
	run.Outcome = thresholds.Broken
	before := reports.Run{ID: 3, Suites: sample.Results(10)}
	run.Suites = sample.Results(5)
	for _, s := range sample.Results(10).Specs[5:] {
		s.State = reports.Failed
		run.Suites.Specs = append(run.Suites.Specs, s)
	}
	line := specLines(told(run, []reports.Run{before}))[1]
	want := "newly broken: core > a pipeline > after a crash > resumes at step 6, core > a pipeline > after a crash > resumes at step 7, " +
		"core > a pipeline > after a crash > resumes at step 8 and 2 more (since run 3)"
	if diff := cmp.Diff(want, line); diff != "" {
		t.Error(diff)
	}
}

func TestNothingRanIsNotGood(t *testing.T) {
	run := reports.Run{Suites: sample.Results(0, sample.Spec("talks to Postgres", reports.Skipped)), Complete: true}
	text := strings.Join(Summary(analysis.Alone(run), ""), "\n")
	for _, want := range []string{"INCONCLUSIVE: no spec ran", "none of 1 spec ran: no pass rate", "next: find out why no spec ran"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "100%") {
		t.Errorf("a rate of nothing:\n%s", text)
	}
}

func TestCostSentence(t *testing.T) {
	open := sample.Estimate(212, 0.02, "us/run")
	open.Low, open.High = 0, 1.7976931348623157e308
	for name, test := range map[string]struct {
		cost harness.Estimate
		want string
	}{
		"whole":         {sample.Estimate(212, 0.02, "us/run"), `durability ("process") costs 212 us a run (208 to 216, 95%, n=15 blocks): under 1% of any run longer than 21.2 ms`},
		"no more digit": {sample.Estimate(61, 0.1, "us/run"), `durability ("process") costs 61.0 us a run (54.9 to 67.1, 95%, n=15 blocks): under 1% of any run longer than 6.1 ms`},
		"rounds up":     {sample.Estimate(212.31, 0, "us/run"), `durability ("process") costs 212 us a run (212 to 212, 95%, n=15 blocks): under 1% of any run longer than 21.3 ms`},
		"seconds":       {sample.Estimate(12345, 0.1, "us/run"), `durability ("process") costs 12,300 us a run (11,100 to 13,600, 95%, n=15 blocks): under 1% of any run longer than 1.24 s`},
		"open interval": {open, `durability ("process") costs 212 us a run (no interval: too few, n=15 blocks): under 1% of any run longer than 21.2 ms`},
		"negative":      {sample.Estimate(-3, 0, "us/run"), `durability ("process") costs nothing that could be measured (-3.00 us a run, -3.00 to -3.00, 95%, n=15 blocks)`},
		"none":          {harness.Estimate{}, `durability ("process"): its cost was not estimated`},
	} {
		t.Run(name, func(t *testing.T) {
			got := text.CostSentence(harness.Comparison{Durability: "process", Cost: test.cost})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1.3147: "1.31", 212.4: "212", 7981.4: "7,980", 1234567: "1,230,000", 0.0021349: "0.00213",
		99.96: "100.0", -1.5: "-1.50", 79.8: "79.8"} {
		if got := text.Figure(v); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *sample.Update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run go test ./reports -update and look at the difference", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (go test ./reports -update writes it anew):\n%s", path, diff)
	}
}

func TestShareIsPlain(t *testing.T) {
	for s, want := range map[float64]string{1: "100%", 0.9999: "99.99%", 0.99999: "99.99%", 0.996: "99.6%", 0.98: "98%", 0.00071: "0.071%", 0: "0%"} {
		if got := text.Share(s); got != want {
			t.Errorf("share(%v) = %q, want %q", s, got, want)
		}
	}
}
