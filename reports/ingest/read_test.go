package ingest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/flujo/flujo-harness/reports"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The counts of the Gomega and perf files were counted by another program; those of
// the shop's and the library's are what their makers meant.
var sampleFiles = map[string]struct {
	format   string
	counts   reports.Counts
	suites   int
	failures int // that no spec carries
	notes    int
}{
	"gomega-2023-03-13-854f075.json.gz":         {reports.FormatGinkgo, reports.Counts{Passed: 884, Failed: 3}, 10, 0, 0},
	"gomega-2023-03-13-854f075.xml.gz":          {formatJUnit, reports.Counts{Passed: 884, Failed: 3}, 10, 0, 0},
	"gomega-2024-10-29-eeca931.json.gz":         {reports.FormatGinkgo, reports.Counts{Passed: 910, Failed: 1}, 10, 0, 0},
	"gomega-2024-10-29-eeca931.xml.gz":          {formatJUnit, reports.Counts{Passed: 910, Failed: 1}, 10, 0, 0}, // states 912 tests: one node is no spec
	"gomega-2024-10-29-eeca931.gotest.jsonl.gz": {reports.FormatGoTest, reports.Counts{Passed: 5, Failed: 1}, 5, 0, 0},
	"perf-2026-06-10-712aea8.gotest.jsonl.gz":   {reports.FormatGoTest, reports.Counts{Passed: 85}, 6, 0, 0}, // 94 tests, 9 of them with subtests
	"shelf.json.gz":                             {reports.FormatGinkgo, reports.Counts{Passed: 10, Failed: 5, Skipped: 1, Pending: 2, Retried: 1}, 1, 0, 0},
	"shelf.xml.gz":                              {formatJUnit, reports.Counts{Passed: 10, Failed: 5, Skipped: 1, Pending: 2, Retried: 1}, 1, 0, 0},
	"shop-gotest.jsonl":                         {reports.FormatGoTest, reports.Counts{Passed: 6, Failed: 4, Skipped: 1}, 4, 2, 0},
	"shop-gotestsum.xml":                        {formatJUnit, reports.Counts{Passed: 6, Failed: 4, Skipped: 1}, 4, 2, 0},             // of the same run
	"shop-surefire.xml":                         {formatJUnit, reports.Counts{Passed: 3, Failed: 2, Skipped: 1, Retried: 2}, 1, 0, 1}, // its properties
	"shop-pytest.xml":                           {formatJUnit, reports.Counts{Passed: 1, Failed: 2, Skipped: 2}, 1, 0, 1},             // 6 testcases of 5 tests
	"shop-jest.xml":                             {formatJUnit, reports.Counts{Passed: 3, Failed: 1, Skipped: 1}, 2, 0, 1},             // three tests of one name
	"shop-nested.xml":                           {formatJUnit, reports.Counts{Passed: 3, Failed: 1}, 3, 0, 0},
	"shop-retries.xml":                          {formatJUnit, reports.Counts{Passed: 4, Failed: 5}, 1, 0, 1}, // nothing says that they are retries
	"shop-ctrf.json":                            {formatCTRF, reports.Counts{Passed: 3, Failed: 2, Skipped: 1, Pending: 1, Retried: 1}, 3, 0, 2},
}

func sampleReading(t *testing.T, name string) *Reading {
	t.Helper()
	root := "/src/gomega"
	if strings.HasPrefix(name, "shelf") {
		root = "/src/library"
	}
	r, err := ReadFile(filepath.Join("testdata", name), root)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReadSampleFiles(t *testing.T) {
	for name, want := range sampleFiles {
		t.Run(name, func(t *testing.T) {
			r := sampleReading(t, name)
			if r.Format != want.format {
				t.Errorf("format %q, want %q", r.Format, want.format)
			}
			if diff := gocmp.Diff(want.counts, r.Results.Counts()); diff != "" {
				t.Error(diff)
			}
			if n := len(r.Results.Suites); n != want.suites {
				t.Errorf("%d suites, want %d", n, want.suites)
			}
			if n := r.Results.SuiteFailures(); n != want.failures {
				t.Errorf("%d failures outside the specs, want %d", n, want.failures)
			}
			if len(r.Notes) != want.notes {
				t.Errorf("notes %q, want %d", r.Notes, want.notes)
			}
			keys := map[string]bool{}
			for i := range r.Results.Specs {
				s := &r.Results.Specs[i]
				if keys[s.Key()] {
					t.Errorf("two specs are %s", s.Key())
				}
				keys[s.Key()] = true
				if ran := s.State == reports.Passed || s.State == reports.Failed; ran != (s.Attempts > 0) && s.State != reports.Skipped || s.Suite == "" || s.Occurrence == 0 {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}

// A run has the same identities in every form that it is kept in.
func TestIdentitiesAreTheSameInEveryFormat(t *testing.T) {
	for _, pair := range []struct {
		a, b          string
		sameLocations bool
	}{
		{a: "gomega-2023-03-13-854f075.json.gz", b: "gomega-2023-03-13-854f075.xml.gz", sameLocations: true},
		{a: "gomega-2024-10-29-eeca931.json.gz", b: "gomega-2024-10-29-eeca931.xml.gz", sameLocations: true},
		{a: "shelf.json.gz", b: "shelf.xml.gz"}, // with labels, and with texts that end as labels do
		{a: "shop-gotest.jsonl", b: "shop-gotestsum.xml", sameLocations: true},
	} {
		a := map[string]reports.Spec{}
		for _, s := range sampleReading(t, pair.a).Results.Specs {
			a[s.Key()] = s
		}
		for _, s := range sampleReading(t, pair.b).Results.Specs {
			was, both := a[s.Key()]
			if !both {
				t.Errorf("%s is in %s only", s.Key(), pair.b)
				continue
			}
			delete(a, s.Key())
			if was.State != s.State || was.Retried != s.Retried || pair.sameLocations && s.State == reports.Failed && (was.File != s.File || was.Line != s.Line) {
				t.Errorf("%s and %s: %+v, %+v", pair.a, pair.b, was, s)
			}
		}
		for key := range a {
			t.Errorf("%s is in %s only", key, pair.a)
		}
	}
}

// Ginkgo writes the labels of a spec behind its text. The log of a spec that ran says
// where the text ends; of one that did not, what stands in brackets is taken for labels.
func TestSplitLabels(t *testing.T) {
	for _, test := range []struct{ name, leaf, text, labels string }{
		{"a shelf holds [b, c]", "holds", "a shelf holds", "b, c"},
		{"a shelf takes [any] [b, c]", "takes [any]", "a shelf takes [any]", "b, c"},
		{"a shelf takes [any]", "takes [any]", "a shelf takes [any]", ""},
		{"a shelf runs [b] [>= 1.0]", "runs", "a shelf runs", "b"},
		{"a shelf waits [b, c]", "", "a shelf waits", "b, c"},
		{"a shelf waits [later] [b, c]", "", "a shelf waits [later]", "b, c"},
		{"a shelf waits [later]", "", "a shelf waits", "later"}, // cannot be told
		{"[b]", "", "[b]", ""},
	} {
		text, labels := splitLabels(test.name, test.leaf)
		if text != test.text || strings.Join(labels, ", ") != test.labels {
			t.Errorf("%q, leaf %q: %q %q", test.name, test.leaf, text, labels)
		}
	}
}

func TestReadTakesRetries(t *testing.T) {
	want := map[string]reports.Spec{
		"shop-surefire.xml removes": {State: reports.Failed, Attempts: 3, Duration: 12 * time.Millisecond,
			Message: "org.opentest4j.AssertionFailedError: expected: <2> but was: <3>\n\tat com.example.shop.CartTest.removes(CartTest.java:31)\n\norg.opentest4j.AssertionFailedError: expected: <2> but was: <3>\n      again"},
		"shop-surefire.xml pays":        {State: reports.Passed, Retried: true, Attempts: 2, Duration: 500 * time.Millisecond, Message: "java.io.IOException: connection reset"},
		"shop-surefire.xml ships":       {State: reports.Passed, Retried: true, Attempts: 3, Duration: 250 * time.Millisecond, Message: "no route\n\nno route, again"},
		"shelf.xml.gz a shelf is flaky": {State: reports.Passed, Retried: true, Attempts: 2},
	}
	for _, name := range []string{"shop-surefire.xml", "shelf.xml.gz"} {
		for _, s := range sampleReading(t, name).Results.Specs {
			w, asked := want[name+" "+string(s.AppendText(nil))]
			if !asked {
				continue
			}
			delete(want, name+" "+string(s.AppendText(nil)))
			got := reports.Spec{State: s.State, Retried: s.Retried, Attempts: s.Attempts, Duration: s.Duration, Message: s.Message}
			if strings.HasPrefix(name, "shelf") {
				got.Duration, got.Message = 0, ""
			}
			if diff := gocmp.Diff(w, got); diff != "" {
				t.Errorf("%s %s: %s", name, string(s.AppendText(nil)), diff)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
}

func TestReadTakesWhatAFileSaysOfItsRun(t *testing.T) {
	for name, want := range map[string]Reading{
		"shop-ctrf.json":  {Started: time.UnixMilli(1795432106000).UTC(), Took: 4500 * time.Millisecond, Commit: "9f3ab27c11d04e5f", Branch: "main", Build: "ci"},
		"shop-jest.xml":   {Started: time.Date(2026, 11, 23, 11, 8, 26, 0, time.UTC), Took: 1200 * time.Millisecond},
		"shop-pytest.xml": {Started: time.Date(2026, 11, 23, 10, 8, 26, 1002000, time.UTC), Took: 61 * time.Millisecond},
		"shop-nested.xml": {},
	} {
		r := sampleReading(t, name)
		got := Reading{Started: r.Started, Took: r.Took, Commit: r.Commit, Branch: r.Branch, Build: r.Build}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestReadIsTheSamePackedOrNotAndInUTF16(t *testing.T) {
	for _, name := range []string{"shop-jest.xml", "shop-ctrf.json", "shop-gotest.jsonl", "gomega-2023-03-13-854f075.json.gz"} {
		plain := testFile(t, name)
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(plain); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		first, err := Read(bytes.NewReader(plain), "")
		if err != nil {
			t.Fatal(err)
		}
		wide := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(string(plain))) {
			wide = append(wide, byte(u), byte(u>>8))
		}
		for how, text := range map[string][]byte{"packed": packed.Bytes(), "a mark": append([]byte("\xef\xbb\xbf"), plain...), "UTF-16": wide} {
			r, err := Read(bytes.NewReader(text), "")
			if err != nil {
				t.Errorf("%s, %s: %v", name, how, err)
				continue
			}
			if diff := gocmp.Diff(first.Results, r.Results); diff != "" {
				t.Errorf("%s, %s: %s", name, how, diff)
			}
			if other, err := Read(bytes.NewReader(append(bytes.Clone(plain), '\n')), ""); err != nil || other.Digest == first.Digest {
				t.Errorf("%s: other content has the same digest, or %v", name, err)
			}
			if how == "packed" && (r.Digest != first.Digest || len(r.Digest) != 64) {
				t.Errorf("%s: digests %q and %q", name, first.Digest, r.Digest)
			}
		}
	}
}

// testFile is a sample as it is unpacked.
func testFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(name, ".gz") {
		return data
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return data
}

func cased(attributes string, cases ...string) string {
	return fmt.Sprintf(`<testsuite name="s"%s>%s</testsuite>`, cmp.Or(attributes, ""), strings.Join(cases, ""))
}

// Each of these is refused, and the message says where, what and what to do.
func TestReadRefuses(t *testing.T) {
	const pass = `<testcase name="a"/>`
	event := func(more string) string { return `{"Action":"pass","Package":"p","Test":"A"` + more + "}\n" }
	for name, test := range map[string]struct {
		text string
		want string // in the message
		is   error
	}{
		"empty":                  {"", "the file is empty", ErrEmpty},
		"blank":                  {" \n\t\n", "the file is empty", ErrEmpty},
		"a mark alone":           {"\xef\xbb\xbf", "the file is empty", ErrEmpty},
		"text":                   {"all tests passed", "none of Ginkgo JSON", ErrUnknownFormat},
		"a web page":             {"<html><body>404</body></html>", "line 1: it is none of Ginkgo JSON, TRX, NUnit XML, xUnit.net XML, JUnit XML, CTRF JSON, go test -json and Go benchmark format: its root element is <html>", ErrUnknownFormat},
		"go test without -json":  {"=== RUN   TestA\n--- PASS: TestA (0.00s)\nok  \tp\t0.1s\n", "run go test -json", ErrUnknownFormat},
		"our own measurements":   {`{"schema":1,"comparisons":[]}`, "flujo-harness gate judges it", ErrUnknownFormat},
		"one suite of Ginkgo":    {`{"SuitePath":"/m"}`, "use the whole file", ErrUnknownFormat},
		"benchmarks that fail":   {"BenchmarkA 1 2 ns/op\n--- FAIL: BenchmarkB\nFAIL\n", "line 2: it contains a failure", nil},
		"benchmarks cut short":   {"BenchmarkA 1 2 ns/op\nBenchmarkB 1 2\n", "line 2", nil},
		"no testcase":            {cased(""), "there is no spec in it", ErrNoSpecs},
		"no suite":               {"<testsuites/>", "there is no spec in it", ErrNoSpecs},
		"no test files":          {`{"Action":"start","Package":"p"}` + "\n" + `{"Action":"skip","Package":"p"}`, "there is no spec in it", ErrNoSpecs},
		"packed and cut":         {string(packed("<testsuite><testcase/>")[:30]), "the gzip file is cut short", io.ErrUnexpectedEOF},
		"packed and damaged":     {"\x1f\x8b\x08\x00 nothing like it at all", "the gzip file is damaged", nil},
		"cut in a tag":           {`<testsuite><testcase na`, "line 1 in suite \"tests\": it is cut short", io.ErrUnexpectedEOF},
		"cut in an element":      {"<testsuite>\n<testcase>\n", "line 3 in suite \"tests\": it is cut short", io.ErrUnexpectedEOF},
		"cut in a comment":       {cased("", pass) + "<!-- ", "it is cut short", io.ErrUnexpectedEOF},
		"cut in text":            {`<testsuite><testcase><failure><![CDATA[no end`, "it is cut short", io.ErrUnexpectedEOF},
		"a second root":          {cased("", pass) + "\n" + cased("", pass), "line 2: a second root element <testsuite>", nil},
		"text behind":            {cased("", pass) + "\nDone.", "line 2: there is text outside the root", nil},
		"an attribute twice":     {cased("", `<testcase name="a" name="b"/>`), `<testcase> has the attribute "name" twice`, nil},
		"a document type":        {`<!DOCTYPE x [<!ENTITY a "b">]>` + cased("", pass), "document type", nil},
		"not nested":             {`<testsuite><testcase></testsuite></testcase>`, "line 1", nil},
		"an unknown entity":      {cased("", `<testcase name="&nbsp;"/>`), "line 1 in suite \"s\": invalid character entity", nil},
		"a testcase in another":  {cased("", "<testcase><testcase/></testcase>"), "a testcase is within another", nil},
		"unknown encoding":       {`<?xml version="1.0" encoding="klingon"?>` + cased("", pass), `encoding "klingon" is not known`, nil},
		"our own totals":         {`<testsuites name="flujo-harness" tests="2">` + cased(` tests="1"`, pass) + "</testsuites>", `testsuites "flujo-harness" states 2 tests and has 1: a difference of -1`, nil},
		"no number of failures":  {cased(` tests="1" failures="many"`, pass), `failures="many" is not a number`, nil},
		"no event":               {`{"Action":}` + "\n", "line 1: it contains no event", nil},
		"negative event":         {event("") + event(`,"Elapsed":-1`), "line 2: p A took -1 s", nil},
		"CTRF cut":               {`{"results":{"tests":[{"name":"a","status":"passed"`, "it is cut short", io.ErrUnexpectedEOF},
		"CTRF without tests":     {`{"results":{}}`, "it has no results.tests", nil},
		"CTRF and more":          {`{"results":{"tests":[{"name":"a","status":"passed"}]}} {}`, "there is text after its end", nil},
		"CTRF with a name twice": {`{"results":{"tests":[{"name":"a","status":"failed","status":"passed"}]}}`, "byte 59: /results/tests/0/status occurs twice", nil},
		"CTRF without a status":  {`{"results":{"tests":[{"name":"a"}]}}`, `test "a" has no status`, nil},
		"CTRF of another kind":   {`{"results":{"tests":[{"name":7,"status":"passed"}]}}`, "/results/tests/0/name has the wrong type: it is a JSON number", nil},
		"CTRF totals":            {`{"results":{"summary":{"tests":1,"passed":2},"tests":[{"name":"a","status":"passed"}]}}`, "the summary states 2 passed and has 1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Read(strings.NewReader(test.text), "")
			var format *FormatError
			if !errors.As(err, &format) || r != nil {
				t.Fatalf("reading %+v, err %v; want a FormatError", r, err)
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "no result was taken from it; ") {
				t.Errorf("%v\nwant %q in it, and what to do", err, test.want)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v is not %v", err, test.is)
			}
		})
	}
	_, err := ReadFile(filepath.Join("testdata", "none.xml"), "")
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "none.xml") {
		t.Errorf("err = %v", err)
	}
}

func TestReadBenchmarks(t *testing.T) {
	r, err := ReadFile(filepath.Join("testdata", "shop-bench.txt"), "")
	if err != nil {
		t.Fatal(err)
	}
	want := []reports.Benchmark{
		{Name: "example.com/shop/cart.Add-8", Unit: "sec/op", Values: []float64{1.042e-06, 1.039e-06}},
		{Name: "example.com/shop/cart.Add-8", Unit: "B/op", Values: []float64{64, 64}},
		{Name: "example.com/shop/cart.Add-8", Unit: "allocs/op", Values: []float64{1, 1}},
		{Name: "example.com/shop/cart.Pay/n=10-8", Unit: "sec/op", Values: []float64{6.0211e-05}},
	}
	if diff := gocmp.Diff(want, r.Benchmarks, cmpopts.EquateApprox(1e-12, 0)); diff != "" || r.Format != formatBenchmarks || len(r.Results.Specs) != 0 || r.Digest == "" {
		t.Errorf("%s, %s", diff, r.Format)
	}
	if all := CombineBenchmarks(r, r); len(all) != len(want) || len(all[0].Values) != 4 || len(r.Benchmarks[0].Values) != 2 {
		t.Errorf("of two files: %+v", all)
	}
}

func packed(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, text)
	if err := errors.Join(err, z.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestCombineTakesAFailureForAFailure(t *testing.T) {
	of := func(state reports.State, attempts int, retried bool, message string) *Reading {
		s := reports.Spec{Suite: "s", Leaf: "x", Occurrence: 1, State: state, Attempts: attempts, Retried: retried, Message: message, Duration: time.Duration(attempts) * time.Second}
		return &Reading{Results: &reports.Results{Suites: []reports.Suite{{Path: "s"}}, Specs: []reports.Spec{s}}}
	}
	passed, failed, skipped, pending := of(reports.Passed, 1, false, ""), of(reports.Failed, 2, false, "m"), of(reports.Skipped, 0, false, "not here"), of(reports.Pending, 0, false, "")
	retried := of(reports.Passed, 2, true, "first")
	for name, test := range map[string]struct {
		parts []*Reading
		want  *Reading
		n     int
	}{
		"failed later":    {[]*Reading{passed, failed}, of(reports.Failed, 3, false, "m"), 1},
		"failed first":    {[]*Reading{failed, passed}, of(reports.Failed, 3, false, "m"), 1},
		"failed, retried": {[]*Reading{failed, retried}, of(reports.Failed, 4, false, "m"), 1},
		"retried":         {[]*Reading{passed, retried}, of(reports.Passed, 3, true, "first"), 1},
		"retried first":   {[]*Reading{retried, passed}, of(reports.Passed, 3, true, "first"), 1},
		"not run first":   {[]*Reading{skipped, passed}, passed, 0},
		"not run later":   {[]*Reading{failed, pending}, failed, 0},
		"never run":       {[]*Reading{skipped, pending}, skipped, 0},
		"three":           {[]*Reading{passed, skipped, failed}, of(reports.Failed, 3, false, "m"), 1},
		"one":             {[]*Reading{failed}, failed, 0},
	} {
		all, n := Combine(test.parts...)
		if diff := gocmp.Diff(test.want.Results.Specs, all.Specs); diff != "" || n != test.n || len(all.Suites) != len(test.parts) {
			t.Errorf("%s: %d, %d suites, %s", name, n, len(all.Suites), diff)
		}
	}
}

// A file lists suites in any order; the start of the run is the start of the earliest.
func TestARunBeginsWithItsEarliestSuite(t *testing.T) {
	text := `<testsuites>` + strings.Repeat("%s", 3) + `</testsuites>`
	text = fmt.Sprintf(text, cased(` timestamp="2026-11-23T12:00:10Z" time="5"`, `<testcase name="a"/>`),
		cased(` timestamp="2026-11-23T12:00:00Z" time="1"`, `<testcase name="b"/>`),
		cased(` timestamp="1200-01-01T00:00:00Z"`, `<testcase name="c"/>`)) // a history cannot store it, so it is ignored
	r, err := Read(strings.NewReader(text), "")
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC); !r.Started.Equal(want) || r.Took != 15*time.Second {
		t.Errorf("from %v for %v, want %v for 15s", r.Started, r.Took, want)
	}
}

// .NET writes the first moment of the year 1 for an unknown time, in the time zone of the machine.
func TestUnknownTimesOfNET(t *testing.T) {
	for _, text := range []string{"0001-01-01T00:00:00", "0001-01-01T00:00:00.0000000+01:00", "0001-01-01T00:00:00.0000000-05:00"} {
		if got := junitTime(text); !got.IsZero() {
			t.Errorf("%s: %v, want the zero time", text, got)
		}
	}
}

// xUnit.net v3 writes the times of a run in the root, too; assemblies that ran nothing have none.
func TestXUnitRootHasTheTimeOfTheRun(t *testing.T) {
	r, err := Read(strings.NewReader(`<assemblies timestamp="2026-11-23T12:00:00" start-rtf="2026-11-23T12:00:01.0000000+00:00" finish-rtf="2026-11-23T12:00:05.0000000+00:00">`+
		`<assembly name="/src/Shop.dll" total="1" passed="1" failed="0" skipped="0" errors="0"><collection name="c" failed="0"><test name="Shop.A.B" type="Shop.A" method="B" result="Pass" time="0.1"/></collection></assembly></assemblies>`), "")
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC); !r.Started.Equal(want) || r.Took != 5*time.Second {
		t.Errorf("from %v for %v, want %v for 5s", r.Started, r.Took, want)
	}
}

// A note for each event that is not known would be longer than the results.
func TestUnknownActionsAreToldOnce(t *testing.T) {
	var text strings.Builder
	for i := range 6 {
		fmt.Fprintf(&text, `{"Action":"new-%d","Package":"p"}`+"\n", i%3)
	}
	text.WriteString(`{"Action":"run","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p"}` + "\n")
	r, err := Read(strings.NewReader(text.String()), "")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{`events with an unknown action, ignored: 6; the first is "new-0"`}; gocmp.Diff(want, r.Notes) != "" {
		t.Errorf("notes %q, want %q", r.Notes, want)
	}
}

// What a test said last is what it failed of.
func TestAnExcerptKeepsTheEnd(t *testing.T) {
	for _, size := range []int{100, reports.MaxMessage, reports.MaxMessage + 1, reports.MaxMessage * 5 / 4, reports.MaxMessage * 3 / 2, 4 * reports.MaxMessage} {
		var x excerpt
		text := "the beginning" + strings.Repeat("é", size/2) + "the end"
		for len(text) > 0 {
			n := min(len(text), 999)
			x.add(text[:n])
			text = text[n:]
		}
		got := reports.Shorten(x.String())
		if !strings.HasPrefix(got, "the beginning") || !strings.HasSuffix(got, "the end") || len(got) > reports.MaxMessage {
			t.Errorf("of %d bytes %d are left, the last ones %q", size, len(got), got[len(got)-20:])
		}
	}
}

func TestTooBigSaysHowBig(t *testing.T) {
	for m, want := range map[*meter]string{{n: maxUnpacked, allow: maxUnpacked}: "more than 1024 MiB", {n: maxUnpacked, allow: 2 * maxUnpacked}: "more than 1024 MiB", {n: 40 << 20, allow: 40 << 20}: "one value of more than 32 MiB"} {
		if _, err := m.Read(nil); !errors.Is(err, ErrTooBig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}
