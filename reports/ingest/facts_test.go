package ingest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
	gocmp "github.com/google/go-cmp/cmp"
)

// readOne reads a text and returns its only failed spec, or the only one there is.
func readOne(t *testing.T, text string) (reports.Spec, *Reading) {
	t.Helper()
	r, err := Read(strings.NewReader(text), "/src")
	if err != nil {
		t.Fatal(err)
	}
	var found []reports.Spec
	for _, s := range r.Results.Specs {
		if s.State == reports.Failed || len(r.Results.Specs) == 1 {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%+v", r.Results.Specs)
	}
	return found[0], r
}

// The output of a failed spec is kept, in every format that has outputs; that of a passed spec is not.
func TestOutputOfFailedSpecs(t *testing.T) {
	const junit = `<testsuite name="s"><testcase name="a">%s<system-out>to out</system-out><system-err>to err</system-err></testcase></testsuite>`
	const ginkgo = `[{"SuitePath":"/src/a","SuiteSucceeded":%v,"PreRunStats":{"TotalSpecs":1},"SpecReports":[{"LeafNodeType":"It","LeafNodeText":"a","State":%q,"NumAttempts":1,"CapturedGinkgoWriterOutput":"to writer\n","CapturedStdOutErr":"to out\n","ReportEntries":[{"Name":"basket","Value":{"AsJSON":"{\"n\":1}","Representation":"n = 1"}},{"Name":"empty","Value":{"AsJSON":"null","Representation":""}}],"Failure":{"Message":"no"}}]}]`
	const ctrf = `{"results":{"tests":[{"name":"a","status":%q,"stdout":["to out"],"stderr":["to err"]}]}}`
	for _, test := range []struct{ failed, passed, want string }{
		{fmt.Sprintf(junit, "<failure/>"), fmt.Sprintf(junit, ""), "to out\nto err"},
		{fmt.Sprintf(junit, "<error/>"), fmt.Sprintf(junit, "<skipped/>"), "to out\nto err"},
		{fmt.Sprintf(ginkgo, false, "failed"), fmt.Sprintf(ginkgo, true, "passed"), "to writer\nto out\nreport entry: basket\nn = 1\nreport entry: empty"},
		{fmt.Sprintf(ctrf, "failed"), fmt.Sprintf(ctrf, "passed"), "to out\nto err"},
		{`<testsuite name="s" package="/src/a"><properties><property name="SuiteSucceeded" value="false"/></properties><testcase name="[It] a" status="failed"><failure message="no"/><system-out>to out</system-out><system-err>to writer</system-err></testcase></testsuite>`, "", "to out\nto writer"},
		{`<TestRun><Results><UnitTestResult testName="a" outcome="Failed"><Output><StdOut>to out</StdOut><StdErr>to err</StdErr><DebugTrace>to trace</DebugTrace><TextMessages><Message>told</Message></TextMessages></Output></UnitTestResult></Results></TestRun>`,
			`<TestRun><Results><UnitTestResult testName="a" outcome="Passed"><Output><StdOut>to out</StdOut></Output></UnitTestResult></Results></TestRun>`, "to out\nto err\nto trace\ntold"},
		{`<test-run><test-case name="a" result="Failed"><output>to out</output></test-case></test-run>`, `<test-run><test-case name="a" result="Passed"><output>to out</output></test-case></test-run>`, "to out"},
		{`<assembly><test name="a" result="Fail"><output>to out</output></test></assembly>`, `<assembly><test name="a" result="Pass"><output>to out</output></test></assembly>`, "to out"},
		{`<testsuites><testsuite name="p" id="0" tests="1" failures="1"><properties><property name="go.version" value="1"/></properties><testcase name="TestA" classname="p"><failure message="Failed">a_test.go:3: no</failure><system-out>to out</system-out></testcase></testsuite></testsuites>`, "", "to out"},
	} {
		if s, _ := readOne(t, test.failed); s.Output != test.want || s.State != reports.Failed {
			t.Errorf("%s\noutput %q, want %q", test.failed, s.Output, test.want)
		}
		if test.passed != "" {
			if s, _ := readOne(t, test.passed); s.Output != "" {
				t.Errorf("%s\noutput %q of a test that did not fail", test.passed, s.Output)
			}
		}
	}
}

// The message of a spec contains all failures of the test, and those of earlier attempts.
func TestAllFailuresOfASpec(t *testing.T) {
	const ginkgo = `[{"SuitePath":"/src/a","SuiteSucceeded":false,"PreRunStats":{"TotalSpecs":1},"SpecReports":[{"LeafNodeType":"It","LeafNodeText":"a","State":"failed","NumAttempts":1,"Failure":{"Message":"one","FailureNodeType":"It","Location":{"FileName":"/src/a_test.go","LineNumber":3}},"AdditionalFailures":[{"State":"failed","Failure":{"Message":"two","FailureNodeType":"AfterEach","Location":{"FileName":"/src/a_test.go","LineNumber":9}}}]}]}]`
	for text, want := range map[string]string{
		`<testsuite><testcase name="a"><failure message="one">text</failure><error message="two"/><failure message="one">text</failure></testcase></testsuite>`: "one\ntext\n\ntwo",
		`<testsuite><testcase name="a"><failure message="one"/><rerunFailure message="two">at x</rerunFailure></testcase></testsuite>`:                          "one\n\ntwo\nat x",
		ginkgo: "one\n\n[AfterEach] two\nat /src/a_test.go:9",
		`<test-run><test-case name="a" result="Failed"><failure><message>one</message></failure><assertions><assertion result="Failed"><message>two</message><stack-trace>at x</stack-trace></assertion></assertions></test-case></test-run>`: "one\n\ntwo\nat x",
		`<assembly><test name="a" result="Fail"><failure><message>one</message></failure><failure><message>two</message></failure></test></assembly>`:                                                                                         "one\n\ntwo",
		`{"results":{"tests":[{"name":"a","status":"failed","message":"one","trace":"at x"}]}}`:                                                                                                                                               "one\nat x",
	} {
		if s, _ := readOne(t, text); s.Message != want {
			t.Errorf("%s\nmessage %q, want %q", text, s.Message, want)
		}
	}
	many := strings.Builder{}
	for i := range 200 {
		fmt.Fprintf(&many, `<failure message="number %d."/>`, i)
	}
	s, _ := readOne(t, `<testsuite><testcase name="a">`+many.String()+`</testcase></testsuite>`)
	if !strings.Contains(s.Message, "number 0.") || !strings.HasSuffix(s.Message, fmt.Sprintf("… %d more failures of this test", 200-maxFaults)) {
		t.Errorf("message %q", s.Message)
	}
}

// Properties of a test become labels. Ignored data is named in a note.
func TestFactsAreKeptOrNamedAsDropped(t *testing.T) {
	const ctrf = `{"results":{"tests":[{"name":"a","status":"passed","tags":["slow"],"labels":{"owner":"ann","priority":1},"attachments":[{"name":"x"},{"name":"y"}],"extra":{"z":1}}]}}`
	for text, want := range map[string]struct {
		labels []string
		notes  []string
	}{
		`<testsuite><testcase name="a"><properties><property name="owner" value="ann"/><property name="issue" value="7"/><property name="smoke" value=""/></properties></testcase></testsuite>`: {[]string{"owner:ann", "issue:7", "smoke"}, nil},
		`<testsuite><properties><property name="java.version" value="21"/></properties><system-out>log</system-out><system-err> </system-err><testcase name="a"/></testsuite>`:                  {nil, []string{"properties of testsuites, which were ignored: 1", "outputs of testsuites, which were ignored: 1"}},
		ctrf: {[]string{"slow", "owner:ann", "priority:1"}, []string{"the file has no summary, so its totals could not be checked", "tests with members in \"extra\", which were ignored: 1", "attachments of tests without a path, which were ignored: 2"}},
	} {
		s, r := readOne(t, text)
		if diff := gocmp.Diff(want.labels, s.Labels) + gocmp.Diff(want.notes, r.Notes); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
	}
	s, r := readOne(t, `<testsuite><testcase name="a"><properties>`+strings.Repeat(`<property name="x" value="`+strings.Repeat("y", maxAttr)+`"/>`, 3)+`</properties></testcase></testsuite>`)
	if len(s.Labels) != 0 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "properties of tests that were ignored: 3") {
		t.Errorf("%v, notes %q", s.Labels, r.Notes)
	}
}
