package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// A results file of a run with failed suites is not green even if its measurements are. Here they
// are inconclusive, which gives exit code 0 without --strict.
func TestAGateSeesTheSuitesOfAFile(t *testing.T) {
	results, err := harness.ReadResults(filepath.Join("testdata", "results.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	spec := func(state reports.State) []*reports.Results {
		return []*reports.Results{{Specs: []reports.Spec{{Suite: "shop", Leaf: "sells", State: state}}}}
	}
	for name, tc := range map[string]struct {
		part any
		code int
		says string
	}{
		"none":        {nil, cli.ExitHeld, ""},
		"passed":      {records.Part{Shard: "1/1", Runs: spec(reports.Passed)}, cli.ExitHeld, ""},
		"failed":      {records.Part{Shard: "1/1", Runs: spec(reports.Failed)}, cli.ExitBroken, "its suites: 1 failed spec"},
		"outside":     {records.Part{Runs: []*reports.Results{{Suites: []reports.Suite{{Path: "shop", Failures: []reports.SuiteFailure{{Node: "build"}}}}}}}, cli.ExitBroken, "1 failure outside the specs"},
		"no results":  {records.Part{Problem: "Ginkgo wrote no report"}, cli.ExitFault, "Ginkgo wrote no report"},
		"interrupted": {records.Part{Interrupted: true, Runs: spec(reports.Passed)}, cli.ExitHeld, "were interrupted"}, // exit code 4 with --strict
		"unreadable":  {7, cli.ExitFault, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			r := *results
			if r.Suites, err = json.Marshal(tc.part); err != nil {
				t.Fatal(err)
			}
			if tc.part == nil {
				r.Suites = nil
			}
			f, err := os.Create("r.json")
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Write(f); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if code := run(t.Context(), []string{"gate", "r.json"}, strings.NewReader(""), &out, &out); code != tc.code || !strings.Contains(out.String(), tc.says) {
				t.Errorf("exit %d, want %d and %q: %s", code, tc.code, tc.says, out.String())
			}
		})
	}
}

// The results of "run --against" are in the file as verdicts. If gate ignored them, it would be
// green for a run that was not.
func TestAGateSeesWhatWasComparedWithARevision(t *testing.T) {
	results, err := harness.ReadResults(filepath.Join("testdata", "results.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for outcome, want := range map[thresholds.Outcome]int{
		thresholds.Held: cli.ExitHeld, thresholds.Broken: cli.ExitBroken, thresholds.Inconclusive: cli.ExitHeld, thresholds.Invalid: cli.ExitFault,
	} {
		r := *results
		recorded := []thresholds.Verdict{{Outcome: outcome, Workload: "default", Metric: thresholds.MetricAgainst, Against: "main", Reason: "default against main"}}
		if r.Verdicts, err = json.Marshal(recorded); err != nil {
			t.Fatal(err)
		}
		var text, out strings.Builder
		if err := r.Write(&text); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("results.json", []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if code := run(t.Context(), []string{"gate", "results.json"}, strings.NewReader(""), &out, &out); code != want || !strings.Contains(out.String(), "as recorded: default against main") {
			t.Errorf("%s: exit code %d, want %d\n%s", outcome, code, want, out.String())
		}
	}
}
