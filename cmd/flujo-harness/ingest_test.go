package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/ingest"
)

// Flags take precedence over the file, and the file over CI.
func TestWhatIsKnownOfAnIngestedRun(t *testing.T) {
	began := time.Date(2026, 11, 23, 11, 8, 26, 0, time.UTC)
	results := &reports.Results{Specs: []reports.Spec{{State: reports.Passed}}}
	parts := []*ingest.Reading{
		{Format: "JUnit XML", Digest: "2", Started: began.Add(time.Minute), Took: time.Minute, Results: results},
		{Format: "CTRF JSON", Digest: "1", Started: began, Took: time.Second, Commit: "file", Branch: "file", Build: "file", Results: results},
	}
	i := ingestion{cmd: ingestCommand(), ci: project.CIRun{ID: "ci/7", Commit: "ci", Branch: "ci", Facts: []reports.Fact{{Name: "CI job", Value: "ci"}}}}
	r := i.describe(parts, results, nil)
	if r.Commit != "file" || r.Branch != "file" || r.Started != began || r.Seconds != 120 || r.Format != "JUnit XML, CTRF JSON" || !r.Complete || r.ExitCode != cli.ExitHeld {
		t.Errorf("by its files: %+v", r)
	}
	if diff := cmp.Diff([]reports.Fact{{Name: "CI job", Value: "file"}}, r.Facts); diff != "" {
		t.Error(diff)
	}
	parts[0], parts[1] = parts[1], parts[0]
	if again := i.describe(parts, results, nil); again.Key != r.Key || !strings.HasPrefix(r.Key, "ci/7/") {
		t.Errorf("keys %q and %q", r.Key, again.Key)
	}
	i.commit, i.branch, i.id, i.at, i.job = "flag", "flag", "mine", began.Add(-time.Hour), "flag"
	if r = i.describe(parts, results, nil); r.Commit != "flag" || r.Branch != "flag" || r.Key != "mine" || r.Started != i.at || r.Facts[0].Value != "flag" {
		t.Errorf("by flags: %+v", r)
	}
	i = ingestion{cmd: ingestCommand(), ci: project.CIRun{Commit: "ci", Branch: "ci"}}
	if r = i.describe(parts[1:], results, nil); r.Commit != "ci" || r.Branch != "ci" {
		t.Errorf("by CI: %+v", r)
	}
	failed := &reports.Results{Specs: []reports.Spec{{State: reports.Failed}}}
	if r = i.describe(parts, failed, nil); r.ExitCode != cli.ExitBroken {
		t.Errorf("failed: %+v", r)
	}
}

// With --each, every run records the command for its own file. With all names in every row, the
// size would be quadratic.
func TestEachRunKeepsItsOwnCommand(t *testing.T) {
	t.Chdir(t.TempDir())
	args := []string{"ingest", "--db", "h.db", "--each"}
	for k := range 30 {
		name := fmt.Sprintf("result-%d.xml", k)
		text := fmt.Sprintf(`<testsuites><testsuite name="shop" tests="1"><testcase name="takes an order %d"/></testsuite></testsuites>`, k)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), args, strings.NewReader(""), &out, &errs); code != cli.ExitHeld {
		t.Fatalf("exit %d: %s%s", code, out.String(), errs.String())
	}
	h, err := history.Open(t.Context(), "h.db")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	runs, err := h.Latest(t.Context(), 100)
	if err != nil || len(runs) != 30 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for _, r := range runs {
		if n := strings.Count(r.Command, ".xml"); n != 1 || !strings.Contains(r.Command, fmt.Sprintf("result-%d.xml", 30-1)) && r.ID == 30 {
			t.Errorf("run %d: %d files in %q", r.ID, n, r.Command)
		}
	}
}

// The README and the help list exactly the formats that the readers know.
func TestFormatsAreNamedFromOneTable(t *testing.T) {
	readme, err := os.ReadFile("../../reports/README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{"| format | written by | files |", "|---|---|---|"}
	help := ingestCommand().Long
	for _, f := range ingest.Formats() {
		files := strings.Join(f.Extensions, ", ")
		if files == "" {
			files = "any, named"
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s |", f.Name, f.Writers, files))
		if !strings.Contains(help, f.Name) || !strings.Contains(help, f.Writers) {
			t.Errorf("the help does not name %s", f.Name)
		}
	}
	if table := strings.Join(rows, "\n") + "\n"; !strings.Contains(string(readme), table) {
		t.Errorf("the README has another table of formats than\n%s", table)
	}
}
