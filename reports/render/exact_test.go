package render

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/internal/text"
	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// essence returns the part of results that must be the same after writing and reading. It does not
// depend on the order.
type essence struct {
	Counts   reports.Counts
	Focused  bool
	Failures []string
	Specs    []string
}

func essenceOf(r *reports.Results) essence {
	e := essence{Counts: r.Counts(), Focused: r.Focused()}
	for _, o := range analysis.OutsideOf(r.Suites) {
		e.Failures = append(e.Failures, fmt.Sprintf("%q %q %q:%d %q", o.Suite, o.Failure.Node, reports.Visible(o.Failure.File), o.Failure.Line, strings.TrimSpace(reports.VisibleBlock(o.Failure.Message))))
	}
	for i := range r.Specs {
		s := &r.Specs[i]
		e.Specs = append(e.Specs, fmt.Sprintf("%q %q %s %q attempts %d retried %v labels %q attached %q printed %q", s.Key(), s.Name(), s.State, s.Detail, s.Attempts, s.Retried, s.Labels, s.Attachments, strings.TrimSpace(reports.VisibleBlock(s.Output))))
	}
	slices.Sort(e.Failures)
	slices.Sort(e.Specs)
	return e
}

type failer interface {
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

// writtenAndRead writes the results in both formats, and twice, and compares what is read.
func writtenAndRead(t failer, name string, r *reports.Results) {
	a := analysis.AnalyzeSingleRun(reports.Run{Suites: r, Complete: true})
	want := essenceOf(a.Run.Suites)
	for _, form := range []string{"junit", "ctrf"} {
		from := a
		for range 2 {
			var b strings.Builder
			if err := outputs[form](&b, from); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			read, err := ingest.Read(strings.NewReader(b.String()), "")
			if err != nil {
				if errors.Is(err, ingest.ErrNoSpecs) && len(want.Specs)+len(want.Failures) == 0 {
					break
				}
				t.Fatalf("%s: %s: %v\n%s", name, form, err, text.Cut(b.String(), 3000))
			}
			if diff := gocmp.Diff(want, essenceOf(read.Results)); diff != "" {
				t.Errorf("%s: %s: %s", name, form, text.Cut(diff, 3000))
			}
			if len(read.Notes) > 0 {
				t.Errorf("%s: %s: notes %q", name, form, read.Notes)
			}
			from = analysis.AnalyzeSingleRun(reports.Run{Suites: read.Results, Complete: true})
		}
	}
}

// The results of every file in the test data are the same after they were written as JUnit XML or CTRF
// and read again.
func TestEverySampleIsReadBack(t *testing.T) {
	taken := 0
	err := filepath.WalkDir(filepath.Join("..", "ingest", "testdata"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		read, err := ingest.ReadFile(path, "")
		if err != nil || len(read.Results.Specs) == 0 && read.Results.SuiteFailures() == 0 {
			return nil // an invalid file, or one with benchmarks only
		}
		taken++
		writtenAndRead(t, path, read.Results)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if taken < 12 {
		t.Errorf("only %d files", taken)
	}
}

// oddTexts contains names with special meanings in formats, on screens or for readers.
var oddTexts = rapid.OneOf(
	rapid.SampledFrom([]string{"", " ", "a", "b", "GET /users", "a/b/c", "x [slow, owner:me]", "[a, b]", "[BeforeSuite]", "TestMain", "TestA/b", "two\nlines", "tab\there", "\x1b[31mred", "ünïcödé 日本",
		"<failure/>", "]]>", "&amp;", `"quoted"`, "a (2)", "(no text)", "\u202egnp", "\u2028", "::error::x", "suites/core", " spaced  twice ", "\ufffe", "no\x00zero"}),
	rapid.String(),
)

var messageTexts = rapid.SampledFrom([]string{"", "boom", "two\nlines", "a\ttab and \x1b[31mred", "]]> & <b>", "not run: the suite ended before"})

func drawResults(t *rapid.T) *reports.Results {
	r := &reports.Results{}
	paths := rapid.SliceOfN(oddTexts, 1, 3).Draw(t, "paths")
	for range rapid.IntRange(0, 4).Draw(t, "suites") {
		s := reports.Suite{Path: rapid.SampledFrom(paths).Draw(t, "path"), Description: oddTexts.Draw(t, "description"), Seed: rapid.Int64().Draw(t, "seed"), Focused: rapid.Bool().Draw(t, "focused")}
		for range rapid.IntRange(0, 2).Draw(t, "failures") {
			s.Failures = append(s.Failures, reports.SuiteFailure{Node: oddTexts.Draw(t, "node"), Message: messageTexts.Draw(t, "message"), File: rapid.SampledFrom([]string{"", "a_test.go"}).Draw(t, "file"), Line: rapid.IntRange(0, 9).Draw(t, "line")})
		}
		r.Suites = append(r.Suites, s)
	}
	times := map[string]int{}
	for range rapid.IntRange(0, 6).Draw(t, "specs") {
		s := reports.Spec{Suite: rapid.SampledFrom(paths).Draw(t, "suite"), Containers: rapid.SliceOfN(oddTexts, 0, 3).Draw(t, "containers"), Leaf: oddTexts.Draw(t, "leaf"),
			Attempts: 1, Occurrence: 1, Message: messageTexts.Draw(t, "message"), Labels: rapid.SliceOfN(oddTexts, 0, 2).Draw(t, "labels"), Line: rapid.IntRange(0, 99).Draw(t, "line")}
		times[s.Key()]++
		s.Occurrence = times[s.Key()]
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0:
			s.State, s.Attempts = reports.Passed, rapid.IntRange(1, 40).Draw(t, "attempts") // repeated, and passed each time
		case 1:
			s.State, s.Retried, s.Attempts = reports.Passed, true, rapid.IntRange(2, 5).Draw(t, "attempts")
		case 2:
			s.State, s.Detail = reports.Failed, rapid.SampledFrom([]string{"", "panicked", "timedout", "error", "odd \x1b"}).Draw(t, "detail")
			s.Attempts, s.Output = rapid.IntRange(0, 3).Draw(t, "attempts"), messageTexts.Draw(t, "output")
		case 3:
			s.State, s.Detail, s.Attempts = reports.Failed, reports.BothWays, 3
		case 4:
			s.State, s.Attempts = reports.Skipped, 0
		case 5:
			s.State, s.Attempts, s.Detail = reports.Pending, 0, rapid.SampledFrom([]string{"", reports.Other}).Draw(t, "detail")
		default:
			s.State = reports.Passed
		}
		for range rapid.IntRange(0, 2).Draw(t, "attachments") {
			s.Attachments = append(s.Attachments, rapid.SampledFrom([]reports.Attachment{{Name: "log", Type: "text/plain", Path: "out/a.log"}, {Name: "odd\x1b \u202ename", Type: "image/png", Path: "a b/c%.png"}, {Name: "outside"}, {Name: "page", Path: "https://example.com/?a=b&c"}}).Draw(t, "attachment"))
		}
		s.Attachments = slices.Compact(s.Attachments)
		r.Specs = append(r.Specs, s)
	}
	return r
}

func TestAnyResultsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { writtenAndRead(t, "drawn", drawResults(t)) })
}

// A property of WriteJUnit cannot make a failed test case pass.
func TestExactIsNoWayToGreen(t *testing.T) {
	const junit = `<testsuites name="flujo-harness"><testsuite name="a" tests="1" failures="1" errors="0" skipped="0"><testcase name="x" classname=""><properties><property name="flujo-harness" value="%s"/></properties>%s</testcase></testsuite></testsuites>`
	failure := `<failure message="no">no</failure>`
	for name, file := range map[string]string{
		"passed, and fails":     fmt.Sprintf(junit, `{&quot;leaf&quot;:&quot;x&quot;,&quot;occurrence&quot;:1,&quot;state&quot;:&quot;passed&quot;,&quot;attempts&quot;:1}`, failure),
		"skipped, and fails":    fmt.Sprintf(junit, `{&quot;leaf&quot;:&quot;x&quot;,&quot;occurrence&quot;:1,&quot;state&quot;:&quot;skipped&quot;}`, failure),
		"no JSON":               fmt.Sprintf(junit, `{`, failure),
		"no occurrence":         fmt.Sprintf(junit, `{&quot;leaf&quot;:&quot;x&quot;,&quot;state&quot;:&quot;failed&quot;}`, failure),
		"outside, and passes":   strings.Replace(fmt.Sprintf(junit, `{&quot;node&quot;:&quot;build&quot;}`, ""), `failures="1"`, `failures="0"`, 1),
		"CTRF: outside, passes": `{"reportFormat":"CTRF","results":{"tool":{"name":"flujo-harness"},"summary":{"tests":1,"passed":1,"failed":0,"pending":0,"skipped":0,"other":0,"start":0,"stop":0},"tests":[{"name":"x","status":"passed","duration":0,"suite":["a"],"extra":{"flujo-harness":{"node":"build"}}}]}}`,
		"CTRF: passed, fails":   `{"reportFormat":"CTRF","results":{"tool":{"name":"flujo-harness"},"summary":{"tests":1,"passed":0,"failed":1,"pending":0,"skipped":0,"other":0,"start":0,"stop":0},"tests":[{"name":"x","status":"failed","duration":0,"suite":["a"],"extra":{"flujo-harness":{"leaf":"x","occurrence":1,"state":"passed","attempts":1}}}]}}`,
	} {
		if read, err := ingest.Read(strings.NewReader(file), ""); err == nil {
			t.Errorf("%s: %+v", name, read.Results.Counts())
		}
	}
}
