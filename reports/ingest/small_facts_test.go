package ingest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
)

// Properties of a spec that a reader could lose although the totals still agree.
func TestSmallFactsOfSpecs(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want reports.Spec // only some fields are compared
	}{
		"the line of a test in xUnit.net": {`<assembly name="a.dll"><collection><test name="N.C.adds" type="N.C" method="adds" result="Pass" source-file="c.cs" source-line="12"/></collection></assembly>`,
			reports.Spec{Containers: []string{"N.C"}, Leaf: "adds", File: "c.cs", Line: 12}},
		"a name that begins with a dot": {`<assembly name="a.dll"><collection><test name=".adds" result="Pass"/></collection></assembly>`,
			reports.Spec{Leaf: ".adds"}},
		"a name that is that of the class": {`<assembly name="a.dll"><collection><test name="C." type="C" result="Pass"/></collection></assembly>`,
			reports.Spec{Containers: []string{"C"}, Leaf: "C."}},
		"brackets without Ginkgo": {`<testsuite name="s"><properties><property name="RandomSeed" value="7"/></properties><testcase name="adds [fast]"/></testsuite>`,
			reports.Spec{Leaf: "adds [fast]"}},
		"labels of Ginkgo": {`<testsuites><testsuite name="s" package="/p"><properties><property name="SuiteSucceeded" value="true"/></properties><testcase name="[It] adds [fast]" classname="s" status="passed"/></testsuite></testsuites>`,
			reports.Spec{Leaf: "adds", Labels: []string{"fast"}}},
		"a failure of Ginkgo": {`<testsuites><testsuite name="s" package="/p"><properties><property name="SuiteSucceeded" value="false"/></properties><testcase name="[It] adds" classname="s" status="failed"><failure message="m" type="failed">m</failure></testcase></testsuite></testsuites>`,
			reports.Spec{Leaf: "adds", Message: "m"}},
		"a panic of Ginkgo": {`<testsuites><testsuite name="s" package="/p"><properties><property name="SuiteSucceeded" value="false"/></properties><testcase name="[It] adds" classname="s" status="panicked"><error message="m" type="panicked">m</error></testcase></testsuite></testsuites>`,
			reports.Spec{Leaf: "adds", Message: "m", Detail: "panicked"}},
		"the first of several frames": {`<testsuite name="s"><testcase name="adds"><failure>` + "at a.B.c(One.java:3)\nat d.E.f(Two.java:4)\nat g.H.i(Three.java:5)" + `</failure></testcase></testsuite>`,
			reports.Spec{Leaf: "adds", File: "One.java", Line: 3, Message: "at a.B.c(One.java:3)\nat d.E.f(Two.java:4)\nat g.H.i(Three.java:5)"}},
		"a host is not a project": {`<testsuites><testsuite name="cart" hostname="ci-1"><testcase classname="cart" name="adds"/></testsuite></testsuites>`,
			reports.Spec{Leaf: "adds"}},
		"a project of Playwright": {`<testsuites id="" name=""><testsuite name="cart" hostname="chromium"><testcase classname="cart" name="adds"/></testsuite></testsuites>`,
			reports.Spec{Containers: []string{"chromium"}, Leaf: "adds"}},
		"text after a failure": {`<testsuite name="s"><testcase name="adds"><failure message="m">at x</failure>stray<skip/></testcase></testsuite>`,
			reports.Spec{Leaf: "adds", Message: "m\nat x"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Read(strings.NewReader(tt.text), "")
			if err != nil {
				t.Fatal(err)
			}
			s := r.Results.Specs[0]
			got := reports.Spec{Containers: s.Containers, Leaf: s.Leaf, File: s.File, Line: s.Line, Labels: s.Labels, Message: s.Message, Detail: s.Detail}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Totals that agree with the tests cause no note, in each of the formats of .NET.
func TestTotalsOfDotNetThatAgree(t *testing.T) {
	for name, text := range map[string]string{
		"NUnit":                 `<test-run total="3" passed="1" failed="1" skipped="1"><test-suite name="s"><test-case name="a" result="Passed"/><test-case name="b" result="Skipped"/><test-case name="c" result="Failed"/></test-suite></test-run>`,
		"xUnit":                 `<assembly name="a" total="3" passed="1" failed="1" skipped="1"><collection><test name="a" result="Pass"/><test name="b" result="Skip"/><test name="c" result="Fail"/></collection></assembly>`,
		"TRX":                   `<TestRun><Results><UnitTestResult testName="a" outcome="Passed"/><UnitTestResult testName="b" outcome="NotExecuted"/><UnitTestResult testName="c" outcome="Failed"/></Results><ResultSummary outcome="Failed"><Counters total="3" passed="1" failed="1" notExecuted="1"/></ResultSummary></TestRun>`,
		"NUnit, two suites":     `<test-run total="3" failed="1" skipped="1"><test-suite name="s" total="1" failed="0"><test-case name="a" result="Passed"/></test-suite><test-suite name="t" total="2" failed="1" skipped="1"><test-case name="b" result="Skipped"/><test-case name="c" result="Failed"/></test-suite></test-run>`,
		"xUnit, two assemblies": `<assemblies><assembly name="a" total="1" failed="1" skipped="0"><collection><test name="a" result="Fail"/></collection></assembly><assembly name="b" total="2" failed="1" skipped="1"><collection><test name="b" result="Skip"/><test name="c" result="Fail"/></collection></assembly></assemblies>`,
	} {
		r, err := Read(strings.NewReader(text), "")
		if err != nil || r.Notes != nil || r.Results.SuiteFailures() != 0 {
			t.Errorf("%s: notes %q, %v", name, r.Notes, err)
		}
	}
	other := `<assembly name="a" total="1" passed="1" failed="0" skipped="1"><collection><test name="a" result="Pass"/></collection></assembly>`
	if r, err := Read(strings.NewReader(other), ""); err != nil || len(r.Notes) != 1 {
		t.Errorf("another total: notes %q, %v", r.Notes, err)
	}
}

// Text in a file for other programs contains no control sequences for a terminal or a CI service.
func TestExactTextHasNoControlCharacters(t *testing.T) {
	got := ExactText([]string{"plain", "\x1b[31mred", "over\u202eride", "##vso[task.complete]x", "a\tb\nc"})
	want := `["plain","\u001b[31mred","over\u202eride","##vso\u005btask.complete]x","a\tb\nc"]`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// All stored texts of a spec count towards the limit of a file.
func TestMemoryOfASpecIsCounted(t *testing.T) {
	s := reports.Spec{Message: "1", Output: "22", Leaf: "333", Detail: "4444", File: "55555", Containers: []string{"666666"}, Labels: []string{"7777777"}}
	c := newCollector(&Reading{Results: &reports.Results{}}, "")
	if err := c.add(s); err != nil || c.kept != 28 {
		t.Errorf("%d bytes, %v", c.kept, err)
	}
	c.kept = 0
	s.Attachments = []reports.Attachment{{Name: "1", Type: "22", Path: "333"}, {Name: "4444"}}
	if err := c.add(s); err != nil || c.kept != 28+10+2*48 {
		t.Errorf("with attachments %d bytes, %v", c.kept, err)
	}
}

// Results of TRX wait in memory for their definitions. All their texts count towards the limit of a file
// before the end of the file, which here never comes.
func TestMemoryOfResultsWithoutDefinitions(t *testing.T) {
	const result = `<UnitTestResult testName="%[1]s" testId="%[2]s" outcome="Failed"><Output><StdOut>%[3]s</StdOut><ErrorInfo><Message>%[4]s</Message></ErrorInfo></Output></UnitTestResult>`
	long := strings.Repeat("x", 1000)
	for at, name := range []string{"name", "ID", "output", "message"} {
		texts := []any{"a", "b", "c", "d"}
		texts[at] = long
		in, err := unpack(strings.NewReader(`<TestRun><Results>` + strings.Repeat(fmt.Sprintf(result, texts...), 30)))
		if err != nil {
			t.Fatal(err)
		}
		c := newCollector(&Reading{Results: &reports.Results{}}, "")
		c.most.kept = 20_000 // 30 results have 12,000 bytes of overhead
		if err := readTRX(in, c); !errors.Is(err, ErrTooBig) {
			t.Errorf("30 results with a %s of 1,000 bytes: %v", name, err)
		}
	}
}

func TestNotesOfBenchmarksAndCTRF(t *testing.T) {
	for text, want := range map[string]string{
		"goos: linux\nBenchmarkAdd 10 5 ns/op\n":                   "",
		"--- SKIP: TestA (0.00s)\nBenchmarkAdd 10 5 ns/op\nPASS\n": "tests of which only the last line is in the file, ignored: 1; use go test -json for them",
		`{"reportFormat":"CTRF","results":{"tool":{"name":"t"},"summary":{"tests":2,"passed":2,"failed":0,"skipped":0,"pending":0,"other":0,"start":1,"stop":100000000000000},"tests":[{"name":"a","status":"passed","duration":1,"tags":[1]},{"name":"b","status":"passed","duration":1,"tags":{}}]}}`: "tests whose tags are not strings and were ignored: 2",
	} {
		r, err := Read(strings.NewReader(text), "")
		if err != nil || strings.Join(r.Notes, "; ") != want {
			t.Errorf("%s: notes %q, %v", text, r.Notes, err)
		}
	}
}
