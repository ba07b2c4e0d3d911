package ingest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
	gocmp "github.com/google/go-cmp/cmp"
)

// routes has a subtest "GET /users/1" beside "GET /users": which of two such names is the
// parent of the other, JUnit XML does not say.
const routes = "TestRoutes"

// goOutline is what every form of the results of go test must say of one run.
func goOutline(t *testing.T, name string) []string {
	t.Helper()
	r, err := ReadFile(filepath.Join("testdata/gotest", name), "")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range r.Results.Specs {
		s := &r.Results.Specs[i]
		if strings.HasPrefix(s.Leaf, routes) {
			continue
		}
		line := 0
		if s.State == reports.Failed && s.Detail == "" {
			line = s.Line
		}
		all = append(all, fmt.Sprintf("%q %s %v %d attempts, line %d", s.Key(), s.State, s.Retried, s.Attempts, line))
	}
	for _, s := range r.Results.Suites {
		for _, f := range s.Failures {
			if strings.HasPrefix(f.Node, routes) {
				continue
			}
			all = append(all, "failure outside the specs: "+s.Path+" "+f.Node)
		}
	}
	slices.Sort(all)
	return all
}

// A run of go test has the same specs, whichever program wrote its results.
func TestGoResultsAreTheSameByEveryProgram(t *testing.T) {
	for first, others := range map[string][]string{
		"run.jsonl":   {"gotestsum.xml", "go-junit-report.xml", "go-junit-report-text.xml"},
		"count.jsonl": {"gotestsum-count.xml", "go-junit-report-count.xml"},
		"rerun.jsonl": {"gotestsum-rerun.xml"},
	} {
		want := goOutline(t, first)
		for _, other := range others {
			if diff := gocmp.Diff(want, goOutline(t, other)); diff != "" {
				t.Errorf("%s and %s: %s", first, other, diff)
			}
		}
	}
}

// Repeats of -count must all pass; what gotestsum ran again must pass once.
func TestRepeatsOfGoTests(t *testing.T) {
	const head = `<testsuites><testsuite name="p"><properties><property name="go.version" value="go1.26"/></properties>`
	failed := func(name, text string) string {
		return fmt.Sprintf(`<testcase name="%s" classname="p"><failure message="Failed">%s</failure></testcase>`, name, text)
	}
	passed := func(name string) string { return fmt.Sprintf(`<testcase name="%s" classname="p"/>`, name) }
	ended := "--- FAIL: TestA (0.00s)"
	for name, test := range map[string]struct {
		cases []string
		want  reports.Counts
	}{
		"rerun":                 {[]string{failed("TestA", ended), passed("TestB"), passed("TestA")}, reports.Counts{Passed: 2, Retried: 1}},
		"rerun twice":           {[]string{failed("TestA", ended), failed("TestA", ended), passed("TestB"), passed("TestA")}, reports.Counts{Passed: 2, Retried: 1}},
		"rerun in vain":         {[]string{failed("TestA", ended), failed("TestA", ended), passed("TestB")}, reports.Counts{Passed: 1, Failed: 1}},
		"count":                 {[]string{failed("TestA", ended), passed("TestB"), passed("TestA"), passed("TestB")}, reports.Counts{Passed: 1, Failed: 1}},
		"count, one test":       {[]string{failed("TestA", ended), passed("TestA")}, reports.Counts{Failed: 1}},
		"count, and an example": {[]string{failed("TestA", ended), passed("TestA"), passed("Example")}, reports.Counts{Passed: 1, Failed: 1}},
		"count, three times":    {[]string{failed("TestA", ended), passed("TestB"), passed("TestA"), passed("TestB"), passed("TestA"), passed("TestB")}, reports.Counts{Passed: 1, Failed: 1}},
		"count, all passed":     {[]string{passed("TestA"), passed("TestA"), passed("TestA")}, reports.Counts{Passed: 1}},
		"neither":               {[]string{failed("TestA", ended), passed("TestA"), passed("TestA"), passed("TestB")}, reports.Counts{Passed: 3, Failed: 1}},
		"neither, all passed":   {[]string{passed("TestA"), passed("TestA"), passed("TestA"), passed("TestB")}, reports.Counts{Passed: 4}},
		"count that died":       {[]string{failed("TestA", ended), failed("TestB", "panic: x"), passed("TestA"), passed("TestB"), passed("TestC")}, reports.Counts{Passed: 1, Failed: 2}},
		"count that was ended":  {[]string{failed("TestA", ended), failed("TestB", "=== RUN   TestB"), passed("TestA"), passed("TestB"), passed("TestC")}, reports.Counts{Passed: 1, Failed: 2}},
	} {
		for _, cases := range [][]string{test.cases, reversed(test.cases)} {
			r, err := Read(strings.NewReader(head+strings.Join(cases, "")+"</testsuite></testsuites>"), "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(test.want, r.Results.Counts()); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}

func reversed(all []string) []string {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

// go-junit-report prints what vet found in a suite of its own.
func TestGoBuildsOfGoJUnitReport(t *testing.T) {
	const suite = `<testsuite name="%[1]s" tests="1" failures="0" errors="1" id="%[2]s" hostname="ci"><testcase name="%[3]s" classname="%[1]s"><error message="Build error">%[4]s</error></testcase></testsuite>`
	a, b := fmt.Sprintf(suite, "example.com/m/a", "0", "[build failed]", ""), fmt.Sprintf(suite, "[example.com/m/a]", "1", "", "a/a_test.go:7:1: vet: x")
	for _, text := range []string{a + b, b + a} {
		r, err := Read(strings.NewReader("<testsuites tests=\"2\" errors=\"2\">"+text+"</testsuites>"), "")
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Results.Specs) != 0 || r.Results.SuiteFailures() != 1 || len(r.Notes) != 0 {
			t.Fatalf("%+v, notes %q", r.Results, r.Notes)
		}
		for _, s := range r.Results.Suites {
			if len(s.Failures) > 0 && (s.Path != "example.com/m/a" || s.Failures[0].Node != "build" || s.Failures[0].Message != "a/a_test.go:7:1: vet: x") {
				t.Errorf("%+v", s)
			}
		}
	}
}

// What vet found in one package is not the message of another one whose build failed, too.
func TestGoBuildsOfTwoPackages(t *testing.T) {
	const suite = `<testsuite name="%[1]s" tests="1" errors="1"><properties><property name="go.version" value="1"/></properties><testcase name="%[2]s" classname="%[1]s"><error message="Build error">%[3]s</error></testcase></testsuite>`
	text := fmt.Sprintf(suite, "m/a", "[build failed]", "") + fmt.Sprintf(suite, "m/b", "[build failed]", "") + fmt.Sprintf(suite, "[m/a]", "", "a_test.go:7:1: vet: x")
	r, err := Read(strings.NewReader("<testsuites>"+text+"</testsuites>"), "")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range r.Results.Suites {
		for _, f := range s.Failures {
			got[s.Path+" "+f.Node] = f.Message
		}
	}
	if diff := gocmp.Diff(map[string]string{"m/a build": "a_test.go:7:1: vet: x", "m/b build": ""}, got); diff != "" {
		t.Error(diff)
	}
}

// Benchmarks count as specs only if a file contains nothing else, and a note says so.
func TestGoBenchmarksInJUnit(t *testing.T) {
	const file = `<testsuite name="p/q" tests="%d" failures="0" errors="0" id="0" hostname="ci"><testcase name="BenchmarkA" classname="p/q"/>%s</testsuite>`
	for more, want := range map[string]reports.Counts{"": {Passed: 1}, `<testcase name="TestA" classname="p/q"/>`: {Passed: 1}, `<testcase name="BenchmarkB" classname="p/q"><failure message="Failed"/></testcase>`: {}} {
		r, err := Read(strings.NewReader(fmt.Sprintf(file, 1+strings.Count(more, "<testcase"), more)), "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, r.Results.Counts()); diff != "" || r.Results.SuiteFailures() != strings.Count(more, "<failure") {
			t.Errorf("%s: %+v, %s", more, r.Results, diff)
		}
		if noted := strings.Contains(strings.Join(r.Notes, "\n"), "it has benchmarks and no tests"); noted != (more == "") {
			t.Errorf("%s: notes %q", more, r.Notes)
		}
	}
}
