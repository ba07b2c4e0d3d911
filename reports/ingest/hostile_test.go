package ingest

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
)

// streamed is a text n times over, as a stream.
type streamed struct {
	head, text, tail string
	n                int
	rest             string
	begun            bool
}

func (r *streamed) Read(p []byte) (int, error) {
	for r.rest == "" {
		switch {
		case !r.begun:
			r.rest, r.begun = r.head, true
		case r.n > 0:
			r.rest = r.text
			r.n--
		case r.tail != "":
			r.rest, r.tail = r.tail, ""
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// What would cost much is refused early, whatever it is.
func TestReadRefusesBombs(t *testing.T) {
	const million = 1 << 20
	for name, bomb := range map[string]streamed{
		"a million elements in each other":       {head: "<testsuite><testcase/>", text: "<a>", n: million},
		"a million testsuites in each other":     {text: "<testsuite>", n: million},
		"a million results in each other":        {head: "<TestRun><Results>", text: "<UnitTestResult><InnerResults>", n: million},
		"a million test-suites in each other":    {head: "<test-run>", text: "<test-suite>", n: million},
		"a million collections in each other":    {head: "<assemblies><assembly>", text: "<collection>", n: million},
		"a million attributes":                   {head: "<testsuite", text: " a='b'", n: million, tail: "/>"},
		"a million attributes in a testcase":     {head: "<testsuite><testcase", text: " a='b'", n: million, tail: "/></testsuite>"},
		"a tag without end":                      {head: "<testsuite name='", text: strings.Repeat("x", 1<<10), n: 16 << 10},
		"an instruction without end":             {head: "<?xml ", text: strings.Repeat("x", 1<<10), n: 16 << 10},
		"a million arrays in each other":         {head: `{"results":{"tests":`, text: "[", n: million},
		"a million unknown arrays in each other": {head: `{"results":{"tests":[],"x":`, text: "[", n: million},
		"a million objects in each other":        {head: `[`, text: `{"SuitePath":`, n: million},
		"a name without end":                     {head: `{"results":{"`, text: strings.Repeat("x", 1<<10), n: 64 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			r := &bomb
			_, err := Read(r, "")
			var refused *FormatError
			if !errors.As(err, &refused) {
				t.Fatalf("err = %v, want a FormatError", err)
			}
			if strings.Contains(name, "each other") && r.n < million*9/10 {
				t.Errorf("refused only after %d of %d: %v", million-r.n, million, err)
			}
		})
	}
}

// Many small things are refused when they are too many together.
func TestReadIsBounded(t *testing.T) {
	const many = 3000
	for name, files := range map[string]map[string]streamed{
		"specs": {
			formatJUnit:          {head: "<testsuite>", text: "<testcase name='a%d'/>", n: many, tail: "</testsuite>"},
			reports.FormatGoTest: {text: `{"Action":"pass","Package":"p","Test":"A%d"}` + "\n", n: many},
			formatTRX:            {head: "<TestRun><Results>", text: `<UnitTestResult testName="a%d" outcome="Passed"/>`, n: many, tail: "</Results></TestRun>"},
			formatNUnit:          {head: "<test-run><test-suite>", text: `<test-case name="a%d" result="Passed"/>`, n: many, tail: "</test-suite></test-run>"},
			formatXUnit:          {head: "<assembly><collection>", text: `<test name="a%d" result="Pass"/>`, n: many, tail: "</collection></assembly>"},
		},
		"texts": {
			"failures":    {head: "<testsuite>", text: "<testcase name='a%d'><failure>" + strings.Repeat("x", 1000) + "</failure></testcase>", n: many, tail: "</testsuite>"},
			"suites":      {head: "<testsuites>", text: "<testsuite><failure/></testsuite>", n: many, tail: "</testsuites>"},
			"faults":      {head: "<testsuite>", text: "<error/>", n: many, tail: "</testsuite>"},
			"packages":    {text: `{"Action":"start","Package":"p%d"}` + "\n", n: many},
			"output":      {text: `{"Action":"output","Package":"p","Test":"A%d","Output":"` + strings.Repeat("x", 1000) + `"}` + "\n", n: many},
			"builds":      {text: `{"Action":"build-output","ImportPath":"p%d","Output":"x"}` + "\n", n: many},
			"Its":         {head: `[{"SuitePath":"a","SpecReports":[` + node("It", "x", "passed", ""), text: "," + node("It", "x%d", "failed", `,"Failure":{"Message":"`+strings.Repeat("x", 1000)+`"}`), n: many, tail: "]}]"},
			"Ginkgo":      {head: `[{"SuitePath":"a","SpecReports":[` + node("It", "x", "passed", ""), text: "," + node("BeforeEach", "x", "failed", ""), n: many, tail: "]}]"},
			"CTRF":        {head: `{"results":{"tests":[{"name":"a","status":"passed"}`, text: `,{"name":"a","status":"failed","message":"` + strings.Repeat("x", 1000) + `"}`, n: many, tail: "]}}"},
			"labels":      {head: `{"results":{"tests":[{"name":"a","status":"passed"}`, text: `,{"name":"a","status":"passed","tags":["` + strings.Repeat("x", 1000) + `"]}`, n: many, tail: "]}}"},
			"files":       {head: `{"results":{"tests":[{"name":"a","status":"passed"}`, text: `,{"name":"a","status":"passed","filePath":"` + strings.Repeat("x", 1000) + `"}`, n: many, tail: "]}}"},
			"suites of":   {head: `{"results":{"tests":[{"name":"a","status":"passed"}`, text: `,{"name":"a","status":"passed","suite":"` + strings.Repeat("x", 1000) + `"}`, n: many, tail: "]}}"},
			"benchmarks":  {text: "BenchmarkA%d 1 2 ns/op\n", n: many},
			"TRX":         {head: "<TestRun><Results>", text: `<UnitTestResult testName="a%d" outcome="Failed"/>`, n: many, tail: "</Results></TestRun>"},
			"definitions": {head: "<TestRun><TestDefinitions>", text: `<UnitTest id="%d"/>`, n: many, tail: "</TestDefinitions></TestRun>"},
			"run infos":   {head: "<TestRun><ResultSummary><RunInfos>", text: `<RunInfo/>`, n: many, tail: "</RunInfos></ResultSummary></TestRun>"},
			"categories":  {head: "<test-run><test-suite><properties>" + strings.Repeat(`<property name="Category" value="`+strings.Repeat("x", 200)+`%d"/>`, 9) + "</properties>", text: `<test-case name="a%d" result="Passed"/>`, n: many, tail: "</test-suite></test-run>"},
			"test-suites": {head: "<test-run>", text: `<test-suite type="Assembly" name="%d" result="Failed"/>`, n: many, tail: "</test-run>"},
			"assemblies":  {head: "<assemblies>", text: `<assembly name="%d" errors="1"/>`, n: many, tail: "</assemblies>"},
			"gotestsum":   {head: `<testsuite><properties><property name="go.version"/></properties>`, text: "<testcase name='A/%d'/>", n: many, tail: "</testsuite>"},
		},
	} {
		for what, file := range files {
			t.Run(name+" "+what, func(t *testing.T) {
				var b strings.Builder
				b.WriteString(file.head)
				for i := range file.n {
					b.WriteString(strings.ReplaceAll(file.text, "%d", fmt.Sprint(i)))
				}
				b.WriteString(file.tail)
				in, err := unpack(strings.NewReader(b.String()))
				if err != nil {
					t.Fatal(err)
				}
				format, err := in.detect()
				if err != nil {
					t.Fatal(err)
				}
				c := newCollector(&Reading{Results: &reports.Results{}}, "")
				if c.most.specs, c.most.kept = many/2, maxKept; name == "texts" {
					c.most.specs, c.most.kept = maxSpecs, many*overhead/2
				}
				if what == "gotestsum" || what == "CTRF" || what == "TRX" || what == "failures" || what == "output" || what == "Its" {
					c.most.kept = 300 << 10
				}
				if err := format.read(in, c); !errors.Is(err, ErrTooBig) {
					t.Errorf("err = %v, want ErrTooBig", err)
				}
			})
		}
	}
}

// One test more than the limit is an error as soon as it occurs, before its package ends and its
// tests become specs.
func TestReadGoTestUpToTheLimit(t *testing.T) {
	for n, want := range map[int]string{3: "<nil>", 4: "more than 3 tests"} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `{"Action":"run","Package":"p","Test":"Test%d"}`+"\n"+`{"Action":"pass","Package":"p","Test":"Test%d"}`+"\n", i, i)
		}
		in, err := unpack(strings.NewReader(b.String() + `{"Action":"pass","Package":"p"}` + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		format, err := in.detect()
		if err != nil {
			t.Fatal(err)
		}
		c := newCollector(&Reading{Results: &reports.Results{}}, "")
		c.most.specs = 3
		if err := format.read(in, c); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%d tests: %v, want %v", n, err, want)
		}
	}
}

// A small file that unpacks to more than the limit.
func TestReadRefusesWhatUnpacksToTooMuch(t *testing.T) {
	in, err := unpack(&streamed{head: "<testsuite>", text: "<testcase/>" + strings.Repeat(" ", 1<<10), n: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	in.meter.allow = 1 << 20 // as if the bound were lower
	err = readJUnit(in, newCollector(&Reading{Results: &reports.Results{}}, ""))
	if !errors.Is(err, ErrTooBig) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("err = %v, want ErrTooBig", err)
	}
}

// Control characters are what tests print: they stay out of names and do not stop a file.
func TestReadTakesControlCharacters(t *testing.T) {
	const text = "<testsuite name='s'><testcase name='a&#x1b;b\x07'><failure>\x1b[31mred&#27;</failure></testcase></testsuite>"
	r, err := Read(strings.NewReader(text), "")
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Results.Specs[0]; s.Leaf != "a\ufffdb\ufffd" || s.Message != "\ufffd[31mred\ufffd" {
		t.Errorf("%+v", s)
	}
	_, err = Read(strings.NewReader(`{"results":{"tests":[{"name":"a","status":"passed"}],"x\u001b":{"y\u001b":1,"y\u001b":2}}}`), "")
	if err == nil || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), `\x1b`) {
		t.Errorf("err = %v", err)
	}
}

func TestReadTakesOldEncodings(t *testing.T) {
	for text, want := range map[string]string{
		"<?xml version='1.0' encoding='ISO-8859-1'?><testsuite name='s'><testcase name='caf\xe9'/></testsuite>": "café",
		"<?xml version=\"1.0\" encoding=\"windows-1252\"?><testsuite><testcase name='\x80'/></testsuite>":       "€",
		"<?xml version='1.0' encoding='UTF-8'?><testsuite><testcase name='caf\xe9'/></testsuite>":               "caf\ufffd",
	} {
		r, err := Read(strings.NewReader(text), "")
		if err != nil || r.Results.Specs[0].Leaf != want {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
	}
}

// One bad line does not stop go test's output, and what it may have said is not lost.
func TestReadGoTestBadLines(t *testing.T) {
	const good = `{"Action":"run","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p","Test":"A"}` + "\n"
	for name, test := range map[string]struct {
		text     string
		counts   reports.Counts
		failures int
		notes    int
	}{
		"whole":                   {good + `{"Action":"pass","Package":"p"}`, reports.Counts{Passed: 1}, 0, 0},
		"noise before":            {"go: downloading x\n" + good + `{"Action":"pass","Package":"p"}`, reports.Counts{Passed: 1}, 0, 1},
		"noise between":           {good + "warning\n\n{\"Action\":\n" + `{"Action":"pass","Package":"p"}`, reports.Counts{Passed: 1}, 0, 1},
		"a member twice":          {`{"Action":"run","Package":"p","Test":"A"}` + "\n" + `{"Action":"fail","Action":"pass","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p"}`, reports.Counts{}, 2, 0},
		"the end is missing":      {good, reports.Counts{Passed: 1}, 1, 0},
		"cut in a line":           {good + `{"Action":"pa`, reports.Counts{Passed: 1}, 1, 1},
		"cut in a test":           {`{"Action":"run","Package":"p","Test":"A"}`, reports.Counts{Failed: 1}, 1, 0},
		"a line of 2 MiB":         {good + `{"Action":"output","Package":"p","Output":"` + strings.Repeat("x", 2<<20) + "\"}\n" + `{"Action":"pass","Package":"p"}`, reports.Counts{Passed: 1}, 0, 1},
		"an unknown action":       {good + `{"Action":"dream","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p"}`, reports.Counts{Passed: 1}, 0, 1},
		"the package fails":       {good + `{"Action":"fail","Package":"p"}`, reports.Counts{Passed: 1}, 1, 0},
		"begun again without end": {good + `{"Action":"start","Package":"p"}` + "\n" + good + `{"Action":"pass","Package":"p"}`, reports.Counts{Passed: 2}, 1, 1},
		"two platforms":           {strings.ReplaceAll(good, "pass", "fail") + `{"Action":"fail","Package":"p"}` + "\n" + good + `{"Action":"pass","Package":"p"}`, reports.Counts{Passed: 1, Failed: 1}, 0, 1},
		"streamed by -count":      {strings.ReplaceAll(good, "pass", "fail") + good + `{"Action":"fail","Package":"p"}`, reports.Counts{Failed: 1}, 0, 0},
		"a benchmark":             {good + `{"Action":"run","Package":"p","Test":"BenchmarkA"}` + "\n" + `{"Action":"pass","Package":"p"}`, reports.Counts{Passed: 1}, 0, 0},
		"a benchmark fails":       {good + `{"Action":"fail","Package":"p","Test":"BenchmarkA"}` + "\n" + `{"Action":"fail","Package":"p"}`, reports.Counts{Passed: 1}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Read(strings.NewReader(test.text), "")
			if err != nil {
				t.Fatal(err)
			}
			if c := r.Results.Counts(); c != test.counts || r.Results.SuiteFailures() != test.failures || len(r.Notes) != test.notes {
				t.Errorf("%+v, %d failures outside the specs, notes %q\nwant %+v, %d, %d notes", c, r.Results.SuiteFailures(), r.Notes, test.counts, test.failures, test.notes)
			}
		})
	}
}
