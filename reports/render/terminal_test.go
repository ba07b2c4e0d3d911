package render

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

func TestSummaryGolden(t *testing.T) {
	for name, sample := range sample.Samples {
		t.Run(name, func(t *testing.T) {
			run, earlier := sample()
			lines := Summary(analyzed(run, earlier), Screen{Width: 100, Program: "go tool flujo-harness", Report: "reports/out/index.html"})
			for _, l := range lines {
				if l != reports.Visible(l) {
					t.Errorf("line acts on the terminal: %q", l)
				}
			}
			golden(t, "summary-"+name+".txt", strings.Join(lines, "\n")+"\n")
		})
	}
}

// No line is wider than the screen, and colours do not change the text.
func TestSummaryFitsTheScreen(t *testing.T) {
	for name, make := range sample.Samples {
		for _, width := range []int{40, 80, 133} {
			run, earlier := make()
			a := analyzed(run, earlier)
			a.Notes = append(a.Notes, strings.Repeat("w", 300), "日本語 "+strings.Repeat("語", 200))
			on := Screen{Width: width, Report: "r.html"}
			lines := Summary(a, on)
			for _, l := range lines {
				command := strings.HasPrefix(l, "  next") || strings.HasPrefix(l, "  report") || strings.HasPrefix(l, "    again")
				if w := ansi.StringWidth(l); w > width && !command {
					t.Errorf("%s: %d columns of %d: %q", name, w, width, l)
				}
			}
			on.Color = true
			painted := Summary(a, on)
			for i, l := range painted {
				if ansi.Strip(l) != lines[i] {
					t.Errorf("%s: colour changes %q to %q", name, lines[i], ansi.Strip(l))
				}
			}
			if strings.Join(painted, "") == strings.Join(lines, "") {
				t.Errorf("%s: no colour", name)
			}
		}
	}
}

// Without a limit on the width, as for a file, nothing is shortened.
func TestSummaryOfAPipeIsWhole(t *testing.T) {
	bad := sample.Spec(strings.Repeat("a very long name ", 30)+"end", reports.Failed)
	bad.Message = strings.Repeat("b", 500)
	text := strings.Join(Summary(analysis.AnalyzeSingleRun(reports.Run{Suites: sample.Results(1, bad)}), Screen{}), "\n")
	for _, want := range []string{strings.Repeat("a very long name ", 30) + "end", bad.Message} {
		if !strings.Contains(text, want) {
			t.Errorf("cut:\n%s", text)
		}
	}
}

func TestSummaryShowsFiveFailuresAndCountsTheRest(t *testing.T) {
	run, _ := sample.HeldRun()
	run.Suites, run.Comparisons, run.Verdicts, run.Outcome = sample.Results(3), nil, nil, thresholds.Broken
	for i := range 7 {
		s := sample.Spec(fmt.Sprintf("fails %d", i), reports.Failed)
		s.Message = strings.Repeat("line\n", 14)
		s.Output = "one\ntwo\nthree\nfour\nfive\nsix\n"
		run.Suites.Specs = append(run.Suites.Specs, s)
	}
	text := strings.Join(Summary(analyzed(run, []reports.Run{{ID: 3, Suites: sample.Results(3)}}), Screen{}), "\n")
	for want, n := range map[string]int{"  ✗ ": 5, "\n  and 2 more\n": 1, "suites/core/resume_test.go:41": 5, "      … 4 more lines": 5,
		"    output (last 4 of 6 lines)\n      three\n      four\n      five\n      six\n": 5, "✗ BROKEN   7 of 10 specs failed: 7 newly broken": 1} {
		if got := strings.Count(text, want); got != n {
			t.Errorf("%q is there %d times, want %d:\n%s", want, got, n, text)
		}
	}
	for _, banned := range []string{"durability", "limit", "self-check", "not measured"} {
		if strings.Contains(text, banned) {
			t.Errorf("%q was not measured:\n%s", banned, text)
		}
	}
}

// Facts that were not measured have no row, and a run without a history has no row for changes.
func TestNothingRanIsNotGood(t *testing.T) {
	run := reports.Run{Suites: sample.Results(0, sample.Spec("talks to Postgres", reports.Skipped)), Complete: true}
	text := strings.Join(Summary(analysis.AnalyzeSingleRun(run), Screen{}), "\n")
	for _, want := range []string{"? INCONCLUSIVE   no spec ran", "no pass rate: none ran", "next         find out why no spec ran"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "100%") || strings.Contains(text, "moved") {
		t.Errorf("a rate of nothing:\n%s", text)
	}
}

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0 ns", 212: "212 ns", 87 * time.Microsecond: "87.0 µs", 999999: "1.00 ms", 12500 * time.Microsecond: "12.5 ms",
		999999999: "1.00 s", 8430 * time.Millisecond: "8.43 s", 94 * time.Second: "94.0 s", 100 * time.Second: "1 min 40 s", 125 * time.Minute: "2 h 5 min", 3599999 * time.Millisecond: "60 min 0 s"} {
		if got := text.Took(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
}

func TestCostSentence(t *testing.T) {
	open := sample.Estimate(212, 0.02, "us/run")
	open.Low, open.High = 0, 1.7976931348623157e308
	for name, test := range map[string]struct {
		cost harness.Estimate
		want string
	}{
		"whole":         {sample.Estimate(212, 0.02, "us/run"), `durability ("process") costs 212 µs a run (208 to 216, 95%, n=15 blocks): under 1% of any run longer than 21.2 ms`},
		"no more digit": {sample.Estimate(61, 0.1, "us/run"), `durability ("process") costs 61.0 µs a run (54.9 to 67.1, 95%, n=15 blocks): under 1% of any run longer than 6.1 ms`},
		"rounds up":     {sample.Estimate(212.31, 0, "us/run"), `durability ("process") costs 212 µs a run (212 to 212, 95%, n=15 blocks): under 1% of any run longer than 21.3 ms`},
		"seconds":       {sample.Estimate(12345, 0.1, "us/run"), `durability ("process") costs 12,300 µs a run (11,100 to 13,600, 95%, n=15 blocks): under 1% of any run longer than 1.24 s`},
		"open interval": {open, `durability ("process") costs 212 µs a run (no interval: too few, n=15 blocks): under 1% of any run longer than 21.2 ms`},
		"negative":      {sample.Estimate(-3, 0, "us/run"), `durability ("process") has no measurable cost (-3.00 µs a run, -3.00 to -3.00, 95%, n=15 blocks)`},
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
		99.96: "100", 999.6: "1,000", 9.996: "10.0", -1.5: "-1.50", 79.8: "79.8"} {
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
