package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/ingest"
)

func TestIdentityOfACIRun(t *testing.T) {
	for name, test := range map[string]struct {
		env  string
		want ciRun
	}{
		"none":                {"", ciRun{}},
		"CI=false":            {"CI=false BUILD_ID=3", ciRun{}},
		"CI without a number": {"CI=true GIT_COMMIT=c", ciRun{}},
		"GitHub": {"CI=true GITHUB_ACTIONS=true GITHUB_REPOSITORY=a/b GITHUB_RUN_ID=7 GITHUB_RUN_ATTEMPT=2 GITHUB_JOB=test GITHUB_SHA=c GITHUB_REF_NAME=main GITHUB_SERVER_URL=https://github.com",
			ciRun{id: "github/a/b/7/2/test", commit: "c", branch: "main", facts: []reports.Fact{{Name: "CI service", Value: "github"}, {Name: "CI job", Value: "test"},
				{Name: "CI page", Value: "https://github.com/a/b/actions/runs/7"}}}},
		"GitHub, a pull request": {"GITHUB_ACTIONS=true GITHUB_RUN_ID=7 GITHUB_HEAD_REF=fix GITHUB_REF_NAME=9/merge",
			ciRun{id: "github/7", commit: "", branch: "fix", facts: []reports.Fact{{Name: "CI service", Value: "github"}}}},
		"GitLab": {"CI=true GITLAB_CI=true CI_PROJECT_PATH=a/b CI_PIPELINE_ID=5 CI_JOB_ID=6 CI_JOB_NAME=test CI_COMMIT_SHA=c CI_COMMIT_REF_NAME=main",
			ciRun{id: "gitlab/a/b/5/6", commit: "c", branch: "main", facts: []reports.Fact{{Name: "CI service", Value: "gitlab"}, {Name: "CI job", Value: "test"}}}},
		"another": {"CI=1 JOB_NAME=shop BUILD_NUMBER=12 GIT_COMMIT=c GIT_BRANCH=main",
			ciRun{id: "ci/shop/12", commit: "c", branch: "main", facts: []reports.Fact{{Name: "CI service", Value: "CI"}, {Name: "CI job", Value: "shop"}}}},
	} {
		env := map[string]string{}
		for _, pair := range strings.Fields(test.env) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		got := ciIdentity(func(name string) string { return env[name] })
		got.origin = reports.Origin{} // package ci tests it
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(ciRun{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Flags go before what the file says, and that before what CI says.
func TestWhatIsKnownOfAnIngestedRun(t *testing.T) {
	began := time.Date(2026, 11, 23, 11, 8, 26, 0, time.UTC)
	results := &reports.Results{Specs: []reports.Spec{{State: reports.Passed}}}
	parts := []*ingest.Reading{
		{Format: "JUnit XML", Digest: "2", Started: began.Add(time.Minute), Took: time.Minute, Results: results},
		{Format: "CTRF JSON", Digest: "1", Started: began, Took: time.Second, Commit: "file", Branch: "file", Build: "file", Results: results},
	}
	i := ingestion{cmd: ingestCommand(), ci: ciRun{id: "ci/7", commit: "ci", branch: "ci", facts: []reports.Fact{{Name: "CI job", Value: "ci"}}}}
	r := i.describe(parts, results, nil)
	if r.Commit != "file" || r.Branch != "file" || r.Started != began || r.Seconds != 120 || r.Format != "JUnit XML, CTRF JSON" || !r.Complete || r.ExitCode != exitHeld {
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
	i = ingestion{cmd: ingestCommand(), ci: ciRun{commit: "ci", branch: "ci"}}
	if r = i.describe(parts[1:], results, nil); r.Commit != "ci" || r.Branch != "ci" {
		t.Errorf("by CI: %+v", r)
	}
	failed := &reports.Results{Specs: []reports.Spec{{State: reports.Failed}}}
	if r = i.describe(parts, failed, nil); r.ExitCode != exitBroken {
		t.Errorf("failed: %+v", r)
	}
}

// Each of many runs keeps the command of its own file: all names in every row would grow
// with the square of their number.
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
	if code := run(t.Context(), args, strings.NewReader(""), &out, &errs); code != exitHeld {
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

// The formats that the README and the help name are those that the readers know.
func TestFormatsAreNamedFromOneTable(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
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
		if !slices.Contains(readerTargets(), f.Fuzz) {
			t.Errorf("no campaign fuzzes %s", f.Name)
		}
	}
	if table := strings.Join(rows, "\n") + "\n"; !strings.Contains(string(readme), table) {
		t.Errorf("the README has another table of formats than\n%s", table)
	}
}
