package main

import (
	"testing"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/reports"
)

// A shard with a fault of its suites makes the whole run a fault, even if all its results are
// green.
func TestAProblemOfAPartIsOneOfTheWhole(t *testing.T) {
	green := func(shard, problem string) records.PartFile {
		return records.PartFile{Suites: &records.Part{Shard: shard, Problem: problem, Runs: []*reports.Results{{Specs: []reports.Spec{{Suite: shard, Leaf: "passes", State: reports.Passed}}}}}}
	}
	r := records.Together([]records.PartFile{green("1/2", ""), green("2/2", "Ginkgo failed, but its report has no failure")})
	if outcome, code := conclude(r, false, false, nil); code != cli.ExitFault {
		t.Errorf("%v, exit code %d, want %d", outcome, code, cli.ExitFault)
	}
	if want := "part 2/2: Ginkgo failed, but its report has no failure"; r.SuiteError != want {
		t.Errorf("problem %q, want %q", r.SuiteError, want)
	}
	if _, code := conclude(records.Together([]records.PartFile{green("1/2", ""), green("2/2", "")}), false, false, nil); code != cli.ExitHeld {
		t.Errorf("without a problem: exit code %d", code)
	}
}
