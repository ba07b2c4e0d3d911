package main

import (
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/reports"
)

func TestOnlyAllPartsOfOneRunFit(t *testing.T) {
	file := func(shard, commit string, runs int, suites ...string) partFile {
		return partFile{Commit: commit, Suites: &records.Part{Shard: shard, Suites: suites, Runs: make([]*reports.Results, runs)}}
	}
	good := file("1/2", "abc", 1, "a", "b")
	for _, test := range []struct {
		other partFile
		want  string
	}{
		{file("2/2", "abc", 1, "a", "b"), ""},
		{good, "both part 1/2: name each once"},
		{file("2/3", "abc", 1, "a", "b"), "y is part 2/3, and there are 2 files"},
		{file("2/2", "def", 1, "a", "b"), "run the parts of one commit"},
		{file("2/2", "abc", 1, "a"), "different lists of suites"},
		{file("2/2", "abc", 2, "a", "b"), "with the same --runs"},
		{file("2-2", "abc", 1, "a", "b"), `shard "2-2": use I/N`},
		{partFile{Commit: "abc", Suites: &records.Part{Shard: "2/2", Suites: []string{"a", "b"}, Runs: make([]*reports.Results, 1), Interrupted: true}}, "y was interrupted: run that part again"},
	} {
		err := fit([]string{"x", "y"}, []partFile{good, test.other})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.other.Suites, err, test.want)
		}
	}
}

// A part whose suites were at fault, though all that it reports is green, makes the whole so.
func TestAProblemOfAPartIsOneOfTheWhole(t *testing.T) {
	green := func(shard, problem string) partFile {
		return partFile{Suites: &records.Part{Shard: shard, Problem: problem, Runs: []*reports.Results{{Specs: []reports.Spec{{Suite: shard, Leaf: "passes", State: reports.Passed}}}}}}
	}
	r := together([]partFile{green("1/2", ""), green("2/2", "Ginkgo failed, but its report has no failure")})
	if outcome, code := conclude(r, false, false, nil); code != cli.ExitFault {
		t.Errorf("%v, exit code %d, want %d", outcome, code, cli.ExitFault)
	}
	if want := "part 2/2: Ginkgo failed, but its report has no failure"; r.SuiteError != want {
		t.Errorf("problem %q, want %q", r.SuiteError, want)
	}
	if _, code := conclude(together([]partFile{green("1/2", ""), green("2/2", "")}), false, false, nil); code != cli.ExitHeld {
		t.Errorf("without a problem: exit code %d", code)
	}
}
