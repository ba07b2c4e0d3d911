package ingest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports"
	gocmp "github.com/google/go-cmp/cmp"
)

// dotnetSamples contain the same run in each of the formats of .NET.
var dotnetSamples = map[string]string{
	"shop.trx": formatTRX, "shop-nunit3.xml": formatNUnit, "shop-nunit2.xml": formatNUnit, "shop-xunit2.xml": formatXUnit,
}

func TestDotNetFormatsGiveTheSameSpecs(t *testing.T) {
	const suite = "Shop.Tests.dll"
	class := []string{"Shop.Tests.CartTests"}
	for name, format := range dotnetSamples {
		t.Run(name, func(t *testing.T) {
			r, err := ReadFile("testdata/dotnet/"+name, "/src/shop")
			if err != nil {
				t.Fatal(err)
			}
			began := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
			if r.Format != format || !r.Started.Equal(began) || r.Results.SuiteFailures() != 0 {
				t.Errorf("%s, %v, %+v", r.Format, r.Started, r.Results.Suites)
			}
			message, output := "Assert.Equal() Failure: Expected 1, actual 2", "till opened\ntill jammed"
			if format == formatNUnit {
				message = "Expected: 1\n  But was:  2"
			}
			if name == "shop-nunit2.xml" {
				output = "" // the format has no outputs
			}
			want := []reports.Spec{
				{Suite: suite, Containers: class, Leaf: "Adds(n: 1)", Occurrence: 1, State: reports.Passed, Attempts: 1, Duration: 250 * time.Millisecond},
				{Suite: suite, Containers: class, Leaf: "Adds(n: 2)", Occurrence: 1, State: reports.Passed, Attempts: 1, Duration: time.Millisecond},
				{Suite: suite, Containers: class, Leaf: "Prints", Occurrence: 1, State: reports.Skipped, Message: "no printer"},
				{Suite: suite, Containers: class, Leaf: "Removes", Occurrence: 1, State: reports.Failed, Attempts: 1, Duration: 1500 * time.Millisecond,
					File: "tests/CartTests.cs", Line: 17, Labels: []string{"slow", "owner:ann", "Area:till"}, Output: output},
			}
			specs := slices.Clone(r.Results.Specs)
			slices.SortFunc(specs, func(a, b reports.Spec) int { return strings.Compare(a.Leaf, b.Leaf) })
			for i := range specs {
				if s := &specs[i]; s.State == reports.Failed {
					if !strings.HasPrefix(s.Message, message) || !strings.Contains(s.Message, "CartTests.cs:line 17") {
						t.Errorf("message %q", s.Message)
					}
					s.Message = ""
				}
			}
			if name == "shop-nunit3.xml" {
				want[3].Attachments = []reports.Attachment{{Name: "till.png", Type: "image/png", Path: "till.png"}}
			}
			if diff := gocmp.Diff(want, specs); diff != "" {
				t.Error(diff)
			}
			attached := slices.ContainsFunc(r.Notes, func(note string) bool { return strings.Contains(note, "attachments of tests, which were ignored: 1") })
			if has := name == "shop.trx"; attached != has || len(r.Notes) > 1 {
				t.Errorf("notes %q", r.Notes)
			}
			sound(t, r)
		})
	}
}

// A file with one test in each format; %q is its outcome.
const (
	trxOne    = `<TestRun><Results><UnitTestResult testName="a" testId="t" outcome=%q/></Results><ResultSummary outcome="Completed"/></TestRun>`
	nunitOne  = `<test-run><test-suite type="Assembly" name="a.dll"><test-case name="a" fullname="C.a" result=%q/></test-suite></test-run>`
	nunit2One = `<test-results name="a.dll"><test-suite type="Assembly" name="a.dll"><results><test-case name="C.a" executed="True" result=%q/></results></test-suite></test-results>`
	xunitOne  = `<assemblies><assembly name="a.dll"><collection><test name="C.a" type="C" result=%q/></collection></assembly></assemblies>`
)

func TestDotNetOutcomes(t *testing.T) {
	passed, failed, skipped, pending := reports.Passed, reports.Failed, reports.Skipped, reports.Pending
	for form, outcomes := range map[string]map[string]reports.State{
		trxOne: {"Passed": passed, "Warning": passed, "Failed": failed, "Error": failed, "Timeout": failed, "Aborted": failed, "PassedButRunAborted": failed,
			"NotRunnable": failed, "Disconnected": failed, "InProgress": failed, "Inconclusive": skipped, "NotExecuted": skipped, "Pending": pending, "Completed": pending,
			"": failed, "Great": failed, "passed": passed},
		nunitOne:  {"Passed": passed, "Warning": passed, "Failed": failed, "Inconclusive": skipped, "Skipped": skipped, "": failed, "Bogus": failed},
		nunit2One: {"Success": passed, "Failure": failed, "Error": failed, "NotRunnable": failed, "Cancelled": failed, "Inconclusive": skipped, "Skipped": skipped, "Ignored": skipped, "Bogus": failed},
		xunitOne:  {"Pass": passed, "Fail": failed, "Skip": skipped, "NotRun": skipped, "": failed, "Passing": failed},
	} {
		for outcome, want := range outcomes {
			text := fmt.Sprintf(form, outcome)
			r, err := Read(strings.NewReader(text), "")
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if len(r.Results.Specs) != 1 || r.Results.Specs[0].State != want || r.Results.Green() != (want == passed) {
				t.Errorf("%s: %+v, want it %s", text, r.Results, want)
			}
			_, known := netOutcomes[strings.ToLower(outcome)]
			said := len(r.Notes) > 0
			if must := !known || outcome == "Inconclusive" || outcome == "Warning" || outcome == "Completed"; must != said {
				t.Errorf("%s: notes %q, want one: %v", text, r.Notes, must)
			}
			sound(t, r)
		}
	}
}

// Any sign of a failure counts, in whatever part of the file it is.
func TestDotNetIsNeverBetterThanItsFile(t *testing.T) {
	trx := func(results, more string) string {
		return `<TestRun><Results><UnitTestResult testName="a" testId="t" outcome="Passed"/>` + results + `</Results>` + more + `</TestRun>`
	}
	summary := func(outcome, counters, more string) string {
		return `<ResultSummary outcome="` + outcome + `"><Counters ` + counters + `/>` + more + `</ResultSummary>`
	}
	nunit := func(run, suite, more string) string {
		return `<test-run ` + run + `><test-suite type="Assembly" name="a.dll" ` + suite + `><test-case name="a" result="Passed"/>` + more + `</test-suite></test-run>`
	}
	xunit := func(assembly, more string) string {
		return `<assemblies><assembly name="a.dll" ` + assembly + `>` + more + `<collection><test name="a" result="Pass"/></collection></assembly></assemblies>`
	}
	for name, test := range map[string]struct {
		text            string
		failed, outside int
	}{
		"TRX: passed":                            {trx("", summary("Completed", `total="1" failed="0"`, "")), 0, 0},
		"TRX: failures stated":                   {trx("", summary("Completed", `total="2" failed="1"`, "")), 0, 1},
		"TRX: timeouts stated":                   {trx("", summary("Completed", `total="1" timeout="1"`, "")), 0, 1},
		"TRX: outcome Failed":                    {trx("", summary("Failed", "", "")), 0, 1},
		"TRX: aborted":                           {trx("", summary("Aborted", "", "")), 0, 1},
		"TRX: unknown outcome":                   {trx("", summary("Exploded", "", "")), 0, 1},
		"TRX: an error of the run":               {trx("", summary("Completed", "", `<RunInfos><RunInfo outcome="Error"><Text>host crashed</Text></RunInfo></RunInfos>`)), 0, 1},
		"TRX: a message on a test that passed":   {trx("", summary("Completed", "", `<RunInfos><RunInfo outcome="Error"><Text>[xUnit.net 00:01] a [FAIL]</Text></RunInfo></RunInfos>`)), 0, 1},
		"TRX: a message on a failed test":        {trx(`<UnitTestResult testName="b" outcome="Failed"/>`, summary("Failed", "", `<RunInfos><RunInfo outcome="Error"><Text>[xUnit.net 00:01] b [FAIL]</Text></RunInfo></RunInfos>`)), 1, 0},
		"TRX: a crash and a failure":             {trx(`<UnitTestResult testName="b" outcome="Failed"/>`, summary("Failed", "", `<RunInfos><RunInfo outcome="Error"><Text>host crashed</Text></RunInfo></RunInfos>`)), 1, 1},
		"TRX: a warning":                         {trx("", summary("Completed", "", `<RunInfos><RunInfo outcome="Warning"><Text>slow</Text></RunInfo></RunInfos>`)), 0, 0},
		"TRX: a test without a result":           {trx("", `<TestDefinitions><UnitTest id="t" name="a"/><UnitTest id="u" name="b" storage="c:\x\b.dll"/></TestDefinitions>`), 0, 1},
		"TRX: a row fails":                       {trx(`<UnitTestResult testName="r" outcome="Failed"><InnerResults><UnitTestResult testName="r" dataRowInfo="0" outcome="Passed"/><UnitTestResult testName="r" dataRowInfo="1" outcome="Failed"/></InnerResults></UnitTestResult>`, summary("Failed", `total="2" failed="1"`, "")), 1, 0},
		"TRX: rows are counted":                  {trx(`<UnitTestResult testName="r" outcome="Failed"><InnerResults><UnitTestResult testName="r" dataRowInfo="0" outcome="Failed"/><UnitTestResult testName="r" dataRowInfo="1" outcome="Failed"/></InnerResults></UnitTestResult>`, summary("Failed", `total="4" failed="3"`, "")), 2, 0},
		"TRX: only the test of rows fails":       {trx(`<UnitTestResult testName="r" outcome="Failed"><InnerResults><UnitTestResult testName="r" outcome="Passed"/></InnerResults></UnitTestResult>`, summary("Failed", "", "")), 0, 1},
		"TRX: passed, with a stack":              {trx(`<UnitTestResult testName="b" outcome="Passed"><Output><ErrorInfo><StackTrace>at b</StackTrace></ErrorInfo></Output></UnitTestResult>`, ""), 1, 0},
		"TRX: skipped, with a stack":             {trx(`<UnitTestResult testName="b" outcome="NotExecuted"><Output><ErrorInfo><StackTrace>at b</StackTrace></ErrorInfo></Output></UnitTestResult>`, ""), 0, 0},
		"NUnit: passed":                          {nunit(`result="Passed" total="1" failed="0"`, `result="Passed"`, ""), 0, 0},
		"NUnit: failures stated":                 {nunit(`total="2" failed="1"`, "", ""), 0, 1},
		"NUnit: stated twice":                    {nunit(`total="2" failed="1"`, `failed="1"`, ""), 0, 1},
		"NUnit: result Failed":                   {nunit(`result="Failed"`, "", ""), 0, 1},
		"NUnit: a suite with result Failed":      {nunit(`result="Failed"`, `result="Failed" site="Child"`, ""), 0, 1},
		"NUnit: a tear-down":                     {nunit(`result="Failed" failed="0"`, `result="Failed" site="TearDown"`, `<failure><message>TearDown : no</message></failure>`), 0, 1},
		"NUnit: a tear-down and a test":          {nunit(`result="Failed" failed="1"`, `result="Failed" site="TearDown"`, `<failure><message>TearDown : no</message></failure><test-case name="b" result="Failed"/>`), 1, 1},
		"NUnit: a set-up and its tests":          {nunit(`result="Failed" failed="1"`, `result="Failed" site="Child"`, `<test-suite type="TestFixture" name="F" result="Failed" site="SetUp"><failure><message>no</message></failure><test-case name="b" result="Failed" site="Parent"/></test-suite>`), 1, 0},
		"NUnit: an invalid suite":                {nunit(`result="Failed" failed="0"`, `result="Failed" site="Child"`, `<test-suite type="TestFixture" name="F" result="Failed" label="Invalid" runstate="NotRunnable"><reason><message>no constructor</message></reason></test-suite>`), 0, 1},
		"NUnit: passed, with a failure":          {nunit("", "", `<test-case name="b" result="Passed"><failure><message>m</message></failure></test-case>`), 1, 0},
		"NUnit: contradicting attributes":        {nunit("", "", `<test-case name="b" executed="True" result="Success" success="False"/>`), 1, 0},
		"NUnit: success, and not executed":       {nunit("", "", `<test-case name="b" executed="False" result="Success" success="True"/>`), 0, 0},
		"NUnit: passed, and an assertion failed": {nunit("", "", `<test-case name="b" result="Passed"><assertions><assertion result="Passed"/><assertion result="Failed"><message>m</message></assertion></assertions></test-case>`), 1, 0},
		"NUnit: a warning of an assertion":       {nunit("", "", `<test-case name="b" result="Warning"><assertions><assertion result="Warning"><message>m</message></assertion></assertions></test-case>`), 0, 0},
		"NUnit: passed, with a label":            {nunit("", "", `<test-case name="b" result="Passed" label="Error"/>`), 1, 0},
		"NUnit: a skipped suite is invalid":      {nunit("", "", `<test-suite type="TestFixture" name="F" result="Skipped" label="Invalid"/>`), 0, 1},
		"NUnit: errors of version 2":             {`<test-results name="a.dll" total="1" errors="1" failures="0"><test-suite name="s"><results><test-case name="a" executed="True" success="True"/></results></test-suite></test-results>`, 0, 1},
		"NUnit: executed, without a result":      {nunit("", "", `<test-case name="b" executed="True"/>`), 0, 0},
		"NUnit: executed, an unknown success":    {nunit("", "", `<test-case name="b" executed="True" success="odd"/>`), 1, 0},
		"xUnit: passed":                          {xunit(`total="1" failed="0" errors="0"`, ""), 0, 0},
		"xUnit: failures stated":                 {xunit(`total="2" failed="1"`, ""), 0, 1},
		"xUnit: a collection states failures":    {`<assemblies><assembly name="a.dll" total="1" failed="0"><collection failed="1"><test name="a" result="Pass"/></collection></assembly></assemblies>`, 0, 1},
		"xUnit: a collection lists failures":     {`<assemblies><assembly name="a.dll" total="1" failed="1"><collection failed="1"><test name="a" result="Fail"/></collection></assembly></assemblies>`, 1, 0},
		"xUnit: errors stated":                   {xunit(`errors="2"`, `<errors><error type="assembly-cleanup"><failure><message>m</message></failure></error></errors>`), 0, 2},
		"xUnit: passed, with a failure":          {xunit("", `<collection><test name="b" result="Pass"><failure><message>m</message></failure></test></collection>`), 1, 0},
		"xUnit: a class of version 1 fails":      {xunit("", `<class name="C"><failure><message>m</message></failure></class>`), 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Read(strings.NewReader(test.text), "")
			if err != nil {
				t.Fatal(err)
			}
			if c := r.Results.Counts(); c.Failed != test.failed || r.Results.SuiteFailures() != test.outside || r.Results.Green() != (test.failed+test.outside == 0) {
				t.Errorf("%+v, outside %+v; want %d failed and %d outside\n%q", c, r.Results.Suites, test.failed, test.outside, r.Notes)
			}
			sound(t, r)
		})
	}
}

// A failure outside the tests has a message, with the stack and the reason if there are any.
func TestMessagesOutsideOfTheTests(t *testing.T) {
	for text, want := range map[string]reports.SuiteFailure{
		`<assemblies><assembly name="a.dll"><errors><error type="assembly-cleanup" name="db"><failure><message>no disk</message><stack-trace>at x</stack-trace></failure></error></errors></assembly></assemblies>`: {Node: "assembly-cleanup db", Message: "no disk\nat x"},
		`<assembly name="a.dll"><class name="C"><failure><message>no disk</message></failure></class></assembly>`:                                                                                                   {Node: "class", Message: "no disk"},
		`<assembly name="a.dll"><errors><error type="assembly-cleanup"/></errors></assembly>`:                                                                                                                       {Node: "assembly-cleanup", Message: "an error without a message"},
		`<test-run><test-suite type="TestFixture" name="F" fullname="N.F" result="Failed" site="SetUp"><failure><message>no disk</message><stack-trace>at x</stack-trace></failure></test-suite></test-run>`:        {Node: "N.F OneTimeSetUp", Message: "no disk\nat x"},
		`<test-run><test-suite type="TestFixture" name="F" result="Failed" site="TearDown"><reason><message>no disk</message></reason><output>closed</output></test-suite></test-run>`:                              {Node: "F OneTimeTearDown", Message: "no disk\nclosed"},
		`<TestRun><ResultSummary outcome="Completed"><RunInfos><RunInfo><Text>host crashed</Text></RunInfo></RunInfos></ResultSummary></TestRun>`:                                                                   {Node: "run", Message: "host crashed"},
	} {
		r, err := Read(strings.NewReader(text), "")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []reports.SuiteFailure
		for _, s := range r.Results.Suites {
			got = append(got, s.Failures...)
		}
		if diff := gocmp.Diff([]reports.SuiteFailure{want}, got); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
	}
}

// A wrong total is only a note if it hides no failure, and so is an invalid duration.
func TestDotNetNotes(t *testing.T) {
	for text, want := range map[string]string{
		fmt.Sprintf(trxOne, "Passed"): "",
		`<TestRun><Results><UnitTestResult testName="a" outcome="Passed" duration="soon"/></Results><ResultSummary outcome="Completed"><Counters total="7"/></ResultSummary></TestRun>`:                   `the summary states 7 tests and lists 1|the first is "soon"`,
		`<TestRun><Results><UnitTestResult testName="a" outcome="Passed"/></Results></TestRun>`:                                                                                                           `the file has no ResultSummary`,
		`<TestRun><Results><UnitTestResult testName="a" outcome="Passed"/></Results><ResultSummary><RunInfos><RunInfo outcome="Warning"><Text>slow</Text></RunInfo></RunInfos></ResultSummary></TestRun>`: `warnings of the run: 1; the first is "slow"`,
		`<test-run total="3"><test-suite name="s"><test-case name="a" result="Passed" duration="-1"/></test-suite></test-run>`:                                                                            `the file states 3 tests and lists 1|the first is "-1"`,
		`<assembly name="a" total="3"><collection><test name="a" result="Pass" time="NaN"/></collection></assembly>`:                                                                                      `assembly "a" states 3 tests and lists 1|the first is "NaN"`,
	} {
		r, err := Read(strings.NewReader(text), "")
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(r.Notes, "\n")
		for part := range strings.SplitSeq(want, "|") {
			if !strings.Contains(notes, part) || (want == "") != (notes == "") || !r.Results.Green() {
				t.Errorf("%s: notes %q, want %q", text, r.Notes, part)
			}
		}
	}
}

func TestDotNetRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`<TestRun><Results><UnitTestResult testName="a" outcome="Passed"/>`: "(TRX), line 1: it is cut short",
		`<TestRun><Results/></TestRun>`:                                     "there is no spec in it",
		`<TestRun><Results><UnitTestResult testName="a" outcome="Passed"/></Results><ResultSummary><Counters failed="x"/></ResultSummary></TestRun>`: `failed="x" is not a number of tests`,
		`<test-run failed="-1"><test-case name="a" result="Passed"/></test-run>`:                                                                     `failed="-1" is not a number of tests`,
		`<test-run><test-suite name="F"><test-case name="a" result="Passed"/>`:                                                                       `in suite "F": it is cut short`,
		`<test-run><test-case name="a" result="Passed"><test-case name="b"/></test-case></test-run>`:                                                 "a test inside of another test",
		`<assembly name="x.dll"><collection><test name="a" result="Pass"><test name="b"/></test></collection></assembly>`:                            "a test inside of another test",
		`<assembly name="x.dll"><collection><test name="a" result="Pass"/></collection></assembly><assembly/>`:                                       "a second root element",
		`<assemblies><assembly failed="many"/></assemblies>`:                                                                                         `failed="many" is not a number of tests`,
	} {
		r, err := Read(strings.NewReader(text), "")
		var refused *FormatError
		if !errors.As(err, &refused) || !strings.Contains(strings.ReplaceAll(err.Error(), "read TRX", "read (TRX)"), want) {
			t.Errorf("%s: %+v, %v, want %q", text, r, err, want)
		}
	}
}

// Rows with the same name are distinguished by their number, regardless of their order.
func TestRowsOfTRX(t *testing.T) {
	row := func(n int, outcome string) string {
		return fmt.Sprintf(`<UnitTestResult testName="r" dataRowInfo="%d" outcome=%q/>`, n, outcome)
	}
	var all []string
	for _, rows := range [][]string{{row(0, "Passed"), row(1, "Failed")}, {row(1, "Failed"), row(0, "Passed")}} {
		r, err := Read(strings.NewReader(`<TestRun><Results><UnitTestResult testName="r" testId="t" outcome="Failed"><InnerResults>`+strings.Join(rows, "")+`</InnerResults></UnitTestResult></Results><TestDefinitions><UnitTest id="t" name="r" storage="b\s.dll"><TestMethod className="N.C"/></UnitTest></TestDefinitions></TestRun>`), "")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Join(outline(r), "\n"))
		for _, s := range r.Results.Specs {
			if want := map[int]reports.State{1: reports.Passed, 2: reports.Failed}[s.Occurrence]; s.State != want || s.Suite != "s.dll" || s.Containers[0] != "N.C" {
				t.Errorf("%+v, want %s", s, want)
			}
		}
	}
	if all[0] != all[1] {
		t.Errorf("the result depends on the order:\n%s\n\n%s", all[0], all[1])
	}
}

func TestExtensions(t *testing.T) {
	if diff := gocmp.Diff([]string{".json", ".trx", ".xml", ".jsonl", ".ndjson"}, Extensions()); diff != "" {
		t.Error(diff)
	}
}

// Every format has a name, writers and a fuzz target.
func TestTableOfFormats(t *testing.T) {
	source, err := os.ReadFile("read_fuzz_test.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range Formats() {
		if f.Name == "" || f.Writers == "" || f.sniff == nil || f.read == nil || seen[f.Name] || seen[f.Fuzz] {
			t.Errorf("%+v", f)
		}
		seen[f.Name], seen[f.Fuzz] = true, true
		if !strings.Contains(string(source), "func "+f.Fuzz+"(f *testing.F)") {
			t.Errorf("%s has no fuzz target %q", f.Name, f.Fuzz)
		}
		if !strings.Contains(ErrUnknownFormat.Error(), f.Name) {
			t.Errorf("%v: does not name %s", ErrUnknownFormat, f.Name)
		}
	}
}
