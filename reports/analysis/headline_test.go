package analysis

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/sample"
	"github.com/flujo/flujo-harness/thresholds"
)

// The headline starts with what decided the outcome.
func TestHeadline(t *testing.T) {
	failing := func(r *reports.Run) { r.Suites = sample.Results(3, sample.Spec("x", reports.Failed)) }
	for name, tt := range map[string]struct {
		outcome      thresholds.Outcome
		change       func(*reports.Run)
		reason, next string
	}{
		"broken by a spec":     {thresholds.Broken, failing, "1 of 4 specs failed; slower", "fix the failed specs and suites, then run again|find the change"},
		"invalid measurement":  {thresholds.Invalid, failing, "1 of 4 specs failed; saves are missing", "fix the failed specs and suites, then run again|mend the audit"},
		"held, and specs fail": {thresholds.Held, failing, "within its limit; 1 of 4 specs failed", "fix the failed specs and suites, then run again|nothing"},
		"held":                 {thresholds.Held, func(r *reports.Run) { r.Suites = sample.Results(3) }, "within its limit; every spec that ran passed", "nothing"},
		"no spec ran":          {thresholds.Invalid, func(r *reports.Run) { r.Suites = &reports.Results{} }, "no spec ran; saves are missing", "find out why no spec ran, then run again|mend the audit"},
		"no results":           {thresholds.Invalid, func(r *reports.Run) { r.SuiteError = "cut\nshort" }, "the suites gave no results: cut short; saves are missing", "find out why the suites did not finish, then run again|mend the audit"},
		"outside the specs": {thresholds.Broken, func(r *reports.Run) {
			r.Suites = sample.Results(3)
			r.Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: "AfterSuite"}}
		}, "1 failure outside the specs; slower", "fix the failed specs and suites, then run again|find the change"},
		"interrupted": {thresholds.Held, func(r *reports.Run) { r.Complete, r.Verdicts = false, nil }, "the run was interrupted: the results are incomplete", "nothing to do"},
		"interrupted, inconclusive": {thresholds.Inconclusive, func(r *reports.Run) { r.Complete, r.Verdicts = false, nil }, "the run was interrupted: the results are incomplete",
			"run again and let it finish"},
		"inconclusive":    {thresholds.Inconclusive, func(r *reports.Run) { r.Verdicts = nil }, "nothing was judged", "see the report"},
		"two limits held": {thresholds.Held, func(r *reports.Run) { r.Verdicts = append(r.Verdicts, r.Verdicts[2]) }, "all 2 limits held", "nothing"},
		"four limits broke": {thresholds.Broken, func(r *reports.Run) {
			for _, reason := range []string{"b", "c", "d", "d"} {
				r.Verdicts = append(r.Verdicts, thresholds.Verdict{Outcome: thresholds.Broken, Reason: reason})
			}
		}, "slower; b; and 2 more", "find the change"},
	} {
		r := reports.Run{Outcome: tt.outcome, Complete: true, Verdicts: []thresholds.Verdict{{Outcome: thresholds.Broken, Reason: "slower", Next: "find the change"},
			{Outcome: thresholds.Invalid, Reason: "saves are missing", Next: "mend the audit"}, {Outcome: thresholds.Held, Reason: "within its limit", Next: "nothing"}}}
		tt.change(&r)
		h := AnalyzeSingleRun(r).Headline
		if h.Reason != tt.reason || strings.Join(h.Next, "|") != tt.next || h.Outcome != tt.outcome || h.Word != strings.ToUpper(tt.outcome.String()) {
			t.Errorf("%s: %s: %q, next %q", name, h.Word, h.Reason, strings.Join(h.Next, "|"))
		}
	}
}

// On a branch other than the base branch, notes name failures that the change did not cause.
func TestNotesOfFailuresThatAreNotOfTheChange(t *testing.T) {
	runs := []string{"main a0:.F", "main b0:.F <a0 ^main", "x c0:.F <b0,a0 ^main"}
	for n, want := range map[int]string{2: "", 3: "the first run of branch x: it is compared with run 2 of branch main; red on main: shop > an order > bbbbbbbb: it fails on branch main since run 1, commit a0, and did in run 2"} {
		if got := strings.Join(analysisOf(t, Options{}, runsOf(t, runs[:n]...)...).Notes, "; "); got != want {
			t.Errorf("of run %d: %q", n, got)
		}
	}
}

func TestNotesOfTheTree(t *testing.T) {
	r := sample.CellsRun(0, "a+:.")
	r.Suites.Suites[0].Focused = true
	r.Verdicts = []thresholds.Verdict{{Notes: []string{"few\nblocks", ""}}, {Notes: []string{"few blocks"}}}
	want := []string{"programmatic focus: not every spec was asked for; remove it (ginkgo unfocus)", "the working tree had uncommitted changes", "few blocks"}
	if diff := cmp.Diff(want, AnalyzeSingleRun(r).Notes); diff != "" {
		t.Error(diff)
	}
}

// Facts of the run itself come first, and none occurs twice.
func TestFactsOfARun(t *testing.T) {
	r := sample.CellsRun(0, "a:.")
	r.Command, r.Facts = "flujo-harness run", []reports.Fact{{Name: "Go", Value: "go1.26.0"}, {Name: "CI", Value: "yes"}}
	r.Suites.Suites = []reports.Suite{{Path: "shop", Seed: 7}, {Path: "cart"}}
	r.Comparisons = sample.Comparisons(1)
	r.Comparisons[0].Environment.Kernel = ""
	want := []reports.Fact{{Name: "Go", Value: "go1.26.0"}, {Name: "CI", Value: "yes"}, {Name: "command", Value: "flujo-harness run"}, {Name: "results", Value: "Ginkgo JSON"},
		{Name: "seed of shop", Value: "7"}, {Name: "seed of the measurement of three-steps at process", Value: "7130992"}, {Name: "machine class", Value: "linux-amd64-2cpu"},
		{Name: "machine", Value: "AMD EPYC 7B13, 2 cores, linux/amd64, ext4"}, {Name: "SQLite driver", Value: "v1.62.0"}}
	if diff := cmp.Diff(want, AnalyzeSingleRun(r).Facts); diff != "" {
		t.Error(diff)
	}
}
