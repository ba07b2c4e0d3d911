package ingest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/reports"
	"github.com/google/go-cmp/cmp"
)

// The numbers were counted by another program.
func TestReadGinkgoCountsRealReports(t *testing.T) {
	for commit, want := range map[string]reports.Counts{
		sample.March:   {Passed: 884, Failed: 3},
		sample.October: {Passed: 910, Failed: 1},
	} {
		r := sample.Gomega(t, commit, ReadGinkgo)
		if diff := cmp.Diff(want, r.Counts()); diff != "" {
			t.Errorf("%s: %s", commit, diff)
		}
		if len(r.Suites) != 10 || r.SuiteFailures() != 0 || r.Focused() || r.Green() {
			t.Errorf("%s: %d suites, %d failures outside the specs, focused %v, green %v", commit, len(r.Suites), r.SuiteFailures(), r.Focused(), r.Green())
		}
		keys := map[string]bool{}
		for i := range r.Specs {
			if key := r.Specs[i].Key(); keys[key] {
				t.Errorf("%s: two specs are %s", commit, key)
			} else {
				keys[key] = true
			}
		}
	}
}

func TestReadGinkgoFailedSpec(t *testing.T) {
	var failed []reports.Spec
	for _, s := range sample.Gomega(t, sample.October, ReadGinkgo).Specs {
		if s.State == reports.Failed {
			s.Duration = 0
			failed = append(failed, s)
		}
	}
	want := []reports.Spec{{
		Suite: "internal",
		Containers: []string{"Asynchronous Assertions", "Basic Eventually support", "with a passed-in context",
			"the interaction between the context and the timeout"},
		Leaf:       "only relies on context cancellation when no explicit timeout is specified",
		Occurrence: 1, State: reports.Failed, Attempts: 1, Labels: []string{},
		Message: "Expected\n    <time.Duration>: 10102554\nto be within 100ms of ~\n    <time.Duration>: 200000000",
		File:    "internal/async_assertion_test.go", Line: 344,
	}}
	if diff := cmp.Diff(want, failed); diff != "" {
		t.Error(diff)
	}
}

func node(kind, text, state, more string) string {
	if !strings.Contains(more, "NumAttempts") {
		more += `,"NumAttempts":1`
	}
	return fmt.Sprintf(`{"ContainerHierarchyTexts":["a"],"LeafNodeType":%q,"LeafNodeText":%q,"LeafNodeLocation":{"FileName":"/m/a_test.go","LineNumber":7},"State":%q%s}`,
		kind, text, state, more)
}

func suite(succeeded bool, total int, more string, nodes ...string) string {
	return fmt.Sprintf(`{"SuitePath":"/m/a","SuiteSucceeded":%v,"PreRunStats":{"TotalSpecs":%d}%s,"SpecReports":[%s]}`,
		succeeded, total, more, strings.Join(nodes, ","))
}

func TestReadGinkgoRefusesOtherFiles(t *testing.T) {
	good := suite(true, 1, "", node("It", "x", "passed", ""))
	for name, text := range map[string]string{
		"empty":            "",
		"blank":            " \n",
		"no suite":         "[]",
		"not JSON":         "Running Suite: a",
		"null":             "null",
		"object":           good,
		"ends in a suite":  "[" + good[:len(good)-20],
		"ends after one":   "[" + good,
		"ends after comma": "[" + good + ",",
		"trailing garbage": "[" + good + "] oops",
		"second report":    "[" + good + "][" + good + "]",
		"another format":   `[{"Package":"a","Action":"pass"}]`,
		"null suite":       "[null]",
		"unknown state":    "[" + suite(true, 1, "", node("It", "x", "splendid", "")) + "]",
		"no state":         "[" + suite(true, 1, "", node("It", "x", "", "")) + "]",
		"unknown node":     "[" + suite(true, 1, "", node("Ti", "x", "passed", "")) + "]",
		"negative time":    "[" + suite(true, 1, "", node("It", "x", "passed", `,"RunTime":-5`)) + "]",
		"wrong type":       `[{"SuitePath":7}]`,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ReadGinkgo(strings.NewReader(text), "/m")
			var format *FormatError
			if !errors.As(err, &format) || r != nil {
				t.Fatalf("results %v, err %v; want a FormatError", r, err)
			}
			if !strings.Contains(err.Error(), "run the suites again") {
				t.Errorf("the error names no remedy: %v", err)
			}
		})
	}
	if _, err := ReadGinkgo(strings.NewReader("[]"), ""); !errors.Is(err, ErrNoSuites) {
		t.Errorf("err = %v, want ErrNoSuites", err)
	}
	if _, err := ReadGinkgo(strings.NewReader("["+good+"]\n"), ""); err != nil {
		t.Errorf("a valid report: %v", err)
	}
}

// Each of these reports has failed although no spec failed.
func TestReadGinkgoFindsFailuresOutsideTheSpecs(t *testing.T) {
	pass := node("It", "x", "passed", "")
	failure := `,"Failure":{"Message":"no database","Location":{"FileName":"/m/a_suite_test.go","LineNumber":9}}`
	for name, test := range map[string]struct {
		suite string
		want  reports.SuiteFailure
	}{
		"BeforeSuite": {suite(false, 4, "", node("BeforeSuite", "", "failed", failure)),
			reports.SuiteFailure{Node: "BeforeSuite", Message: "no database", File: "a_suite_test.go", Line: 9}},
		"AfterSuite panics": {suite(false, 1, "", pass, node("AfterSuite", "", "panicked", `,"Failure":{"Message":"Test Panicked","ForwardedPanic":"nil map"}`)),
			reports.SuiteFailure{Node: "AfterSuite", Message: "Test Panicked\nnil map"}},
		"timeout": {suite(false, 1, `,"SpecialSuiteFailureReasons":["Suite Timeout Elapsed"]`, pass),
			reports.SuiteFailure{Node: "suite", Message: "Suite Timeout Elapsed"}},
		"no reason": {suite(false, 1, "", pass),
			reports.SuiteFailure{Node: "suite", Message: "the suite failed, but the report contains no reason: see the output of the suite"}},
		"fewer than announced": {suite(true, 5, "", pass),
			reports.SuiteFailure{Node: "suite", Message: "the suite announced 5 specs and reports 1"}},
		"dry run": {suite(true, 1, `,"SuiteConfig":{"DryRun":true}`, pass),
			reports.SuiteFailure{Node: "suite", Message: "a dry run: Ginkgo reports specs as passed without running them; run it without --dry-run"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ReadGinkgo(strings.NewReader("["+test.suite+"]"), "/m")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]reports.SuiteFailure{test.want}, r.Suites[0].Failures); diff != "" {
				t.Error(diff)
			}
			if r.Green() {
				t.Error("it is green")
			}
		})
	}
}

func TestReadGinkgoStates(t *testing.T) {
	var nodes []string
	for i, state := range []string{"passed", "failed", "panicked", "timedout", "aborted", "interrupted", "skipped", "pending"} {
		nodes = append(nodes, node("It", fmt.Sprint(i), state, ""))
	}
	nodes = append(nodes, node("BeforeSuite", "", "passed", ""), node("ReportAfterSuite", "", "passed", ""),
		node("It", "retried", "passed", `,"NumAttempts":3,"MaxFlakeAttempts":5,"AdditionalFailures":[{"State":"failed","Failure":{"Message":"first try"}}]`),
		node("It", "repeated", "passed", `,"NumAttempts":3,"MaxMustPassRepeatedly":3`))
	r, err := ReadGinkgo(strings.NewReader("["+suite(false, 10, `,"SuiteHasProgrammaticFocus":true`, nodes...)+"]"), "/m")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reports.Counts{Passed: 3, Failed: 5, Skipped: 1, Pending: 1, Retried: 1}, r.Counts()); diff != "" {
		t.Error(diff)
	}
	var details []string
	for _, s := range r.Specs {
		details = append(details, s.Detail)
	}
	if diff := cmp.Diff([]string{"", "", "panicked", "timedout", "aborted", "interrupted", "", "", "", ""}, details); diff != "" {
		t.Error(diff)
	}
	if !r.Focused() || r.Suites[0].Path != "a" || r.Specs[8].Message != "first try" || !r.Specs[8].Retried || r.Specs[9].Retried {
		t.Errorf("focused %v, path %q, retried %+v, repeated %+v", r.Focused(), r.Suites[0].Path, r.Specs[8], r.Specs[9])
	}
}

// Specs with equal texts keep their numbers if they run in another order, have other labels, or fail
// at another location.
func TestSpecsOfTheSameTextsStayApart(t *testing.T) {
	at := func(line int, state, more string) string {
		return fmt.Sprintf(`{"LeafNodeType":"It","LeafNodeText":"x","LeafNodeLocation":{"FileName":"/m/a_test.go","LineNumber":%d},"State":%q,"NumAttempts":1%s}`, line, state, more)
	}
	read := func(nodes ...string) *reports.Results {
		r, err := ReadGinkgo(strings.NewReader("["+suite(false, 2, "", nodes...)+"]"), "/m")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := read(at(10, "passed", ""), at(20, "passed", ""))
	second := read(at(20, "passed", `,"LeafNodeLabels":["slow"]`),
		at(10, "failed", `,"Failure":{"Message":"m","Location":{"FileName":"/m/z_test.go","LineNumber":99}}`))
	states := map[int]reports.State{}
	for _, r := range []*reports.Results{first, second} {
		for _, s := range r.Specs {
			states[s.Occurrence] = s.State
			if s.State == reports.Failed && s.File != "z_test.go" {
				t.Errorf("the failure is in %s, want z_test.go", s.File)
			}
		}
	}
	if diff := cmp.Diff(map[int]reports.State{1: reports.Failed, 2: reports.Passed}, states); diff != "" || len(second.Specs) != 2 {
		t.Errorf("the first of the two should have failed in the second report (-want +got):\n%s", diff)
	}
}

func TestPathsOutsideOfTheRootAreUnchanged(t *testing.T) {
	for root, want := range map[string]string{"/m": "a", "/m/": "a", "/other": "/m/a", "": "/m/a", "/m/a": ".", "/m/a/b": "/m/a"} {
		r, err := ReadGinkgo(strings.NewReader("["+suite(true, 1, "", node("It", "x", "passed", ""))+"]"), root)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Suites[0].Path; got != want {
			t.Errorf("below %q: %q, want %q", root, got, want)
		}
	}
}

func TestLongMessagesAreCutBetweenRunes(t *testing.T) {
	got := reports.Shorten("x" + strings.Repeat("é", reports.MaxMessage))
	if head := got[:reports.MaxMessage-1]; !strings.HasSuffix(head, "é") || !strings.HasSuffix(got, " more bytes") || strings.Contains(got, "\ufffd") {
		t.Errorf("it ends with %q", got[len(got)-40:])
	}
}

// The location of a panic that the runtime raised is the line of the module that caused it.
func TestPanicsAreWhereTheModuleIs(t *testing.T) {
	const stack = `/usr/local/go/src/internal/runtime/maps/runtime_faststr.go:265 +0x1c5\nexample.com/shop/lib.Put(...)\n\t/go/pkg/mod/example.com/lib@v1/lib.go:3 +0x1\nexample.com/shop.pay()\n\t/m/shop/pay.go:12 +0x1c\nexample.com/shop_test.init.func1()\n\t/m/shop/a_test.go:21 +0x1c`
	for name, test := range map[string]struct {
		root, state, file, stack string
		wantFile                 string
		wantLine                 int
	}{
		"raised by the runtime":  {"/m", "panicked", "/usr/local/go/src/internal/runtime/maps/runtime_faststr.go", stack, "shop/pay.go", 12},
		"without a module":       {"", "panicked", "/usr/local/go/src/internal/runtime/maps/runtime_faststr.go", stack, "/go/pkg/mod/example.com/lib@v1/lib.go", 3},
		"no frame of the module": {"/m", "panicked", "/usr/local/go/src/runtime/panic.go", "/x/y.go:3 +0x1", "shop/a_test.go", 20},
		"no stack":               {"/m", "panicked", "/usr/local/go/src/runtime/panic.go", "", "shop/a_test.go", 20},
		"raised by the spec":     {"/m", "panicked", "/m/shop/a_test.go", stack, "shop/a_test.go", 265},
		"a failure, not a panic": {"/m", "failed", "/usr/local/go/src/runtime/panic.go", stack, "/usr/local/go/src/runtime/panic.go", 265},
		"an overflowing line":    {"/m", "panicked", "/usr/local/go/src/runtime/panic.go", "/m/shop/b.go:99999999999999999999999 +0x1", "shop/a_test.go", 20},
	} {
		text := fmt.Sprintf(`[{"SuitePath":"/m/shop","SpecReports":[{"LeafNodeType":"It","LeafNodeText":"pays","LeafNodeLocation":{"FileName":"/m/shop/a_test.go","LineNumber":20},
			"State":%q,"NumAttempts":1,"Failure":{"Message":"Test Panicked","Location":{"FileName":%q,"LineNumber":265,"FullStackTrace":"%s"}}}]}]`, test.state, test.file, test.stack)
		r, err := ReadGinkgo(strings.NewReader(text), test.root)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s := r.Specs[0]; s.File != test.wantFile || s.Line != test.wantLine {
			t.Errorf("%s: %s:%d, want %s:%d", name, s.File, s.Line, test.wantFile, test.wantLine)
		}
	}
}
