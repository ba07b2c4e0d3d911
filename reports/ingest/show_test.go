package ingest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
)

var showFiles = flag.String("show", "", "folder or file whose results TestShow prints, as a table: what each file is, says and holds")

// TestShow prints what the readers make of every file below -show:
//
//	go test ./reports/ingest -run '^TestShow$' -v -show FOLDER
func TestShow(t *testing.T) {
	if *showFiles == "" {
		t.Skip("needs -show FOLDER")
	}
	fmt.Printf("%-50s %-14s %-9s %-9s %s\n", "file", "format", "it says", "it lists", "we count (tests/failed where there is a slash)")
	err := filepath.WalkDir(*showFiles, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(*showFiles, name)
		r, err := ReadFile(name, "")
		if err != nil {
			says, lists := saidAndListed(t, name)
			fmt.Printf("%-50s %-14s %-9s %-9s refused: %v\n", rel, "", says, lists, err)
			return nil
		}
		c := r.Results.Counts()
		says, lists := saidAndListed(t, name)
		fmt.Printf("%-50s %-14s %-9s %-9s %5d = %d passed, %d failed, %d skipped, %d pending; retried %d; outside %d; benchmarks %d\n", rel, r.Format, says, lists, c.All(), c.Passed, c.Failed, c.Skipped, c.Pending, c.Retried, r.Results.SuiteFailures(), len(r.Benchmarks))
		for _, s := range r.Results.Specs {
			if s.State == reports.Failed && (s.File == "" || s.Line == 0) {
				fmt.Printf("    failed, and no place is known: %s: %.100q\n", s.Name(), s.Message)
			}
		}
		for _, note := range r.Notes {
			fmt.Printf("    note: %s\n", note)
		}
		for _, s := range r.Results.Suites {
			for _, f := range s.Failures {
				fmt.Printf("    outside: %q %q %.150q\n", s.Path, f.Node, f.Message)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// saidAndListed are the tests and failures that a file states in its totals, and those of the tests
// that it lists: "5/1". They are counted here without the readers, by the names of elements,
// members and events; "-" is a file that states none, or that this does not understand.
func saidAndListed(t *testing.T, name string) (says, lists string) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if z, err := gzip.NewReader(f); err == nil {
		in = z
	} else if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return "-", "-"
	}
	switch text = bytes.TrimSpace(text); {
	case bytes.HasPrefix(text, []byte("<")):
		return countXML(text)
	case bytes.HasPrefix(text, []byte("[")):
		return countGinkgo(text)
	case bytes.Contains(text, []byte(`"results"`)):
		return countCTRF(text)
	}
	return countEvents(text)
}

func slashed(tests, failed int) string { return fmt.Sprintf("%d/%d", tests, failed) }

// countXML takes the totals of the outermost elements that have them.
func countXML(text []byte) (says, lists string) {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = false
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	tests, failed, saidTests, saidFailed, saidAny := 0, 0, 0, 0, false
	depth, stated := 0, 0 // stated: depth of the element whose totals were taken, 0: none
	inTest := false
	for {
		token, err := d.RawToken()
		if err != nil {
			break
		}
		switch e := token.(type) {
		case xml.StartElement:
			depth++
			attrs := map[string]string{}
			for _, a := range e.Attr {
				attrs[a.Name.Local] = a.Value
			}
			switch name := e.Name.Local; {
			case stated == 0 && (name == "testsuites" || name == "testsuite" || name == "assembly" || name == "Counters" || name == "test-run" || name == "test-results"):
				total := cmp.Or(attrs["tests"], attrs["total"], attrs["testcasecount"])
				if n, err := strconv.Atoi(total); err == nil {
					saidTests, saidAny, stated = saidTests+n, true, depth
					for _, key := range []string{"failures", "errors", "failed"} {
						n, _ := strconv.Atoi(attrs[key]) // absent: none
						saidFailed += n
					}
				}
			case name == "testcase", name == "UnitTestResult", name == "test-case", name == "test":
				tests, inTest = tests+1, true
				if outcome := strings.ToLower(cmp.Or(attrs["outcome"], attrs["result"])); strings.HasPrefix(outcome, "fail") || outcome == "error" {
					failed, inTest = failed+1, false
				}
			case inTest && (name == "failure" || name == "error"):
				failed, inTest = failed+1, false
			}
		case xml.EndElement:
			if depth == stated {
				stated = 0
			}
			depth--
		}
	}
	if lists = slashed(tests, failed); saidAny {
		return slashed(saidTests, saidFailed), lists
	}
	return "-", lists
}

func countGinkgo(text []byte) (says, lists string) {
	var all []struct {
		PreRunStats struct{ TotalSpecs int }
		SpecReports []struct{ LeafNodeType, State string }
	}
	if json.Unmarshal(text, &all) != nil {
		return "-", "-"
	}
	said, tests, failed := 0, 0, 0
	for _, r := range all {
		said += r.PreRunStats.TotalSpecs
		for _, s := range r.SpecReports {
			if s.LeafNodeType == "It" {
				tests++
				if !slices.Contains([]string{"passed", "skipped", "pending"}, s.State) {
					failed++
				}
			}
		}
	}
	return fmt.Sprintf("%d/-", said), slashed(tests, failed)
}

func countCTRF(text []byte) (says, lists string) {
	var f struct {
		Results struct {
			Summary struct{ Tests, Failed *int }
			Tests   []struct{ Status string }
		}
	}
	if json.Unmarshal(text, &f) != nil {
		return "-", "-"
	}
	failed := 0
	for _, t := range f.Results.Tests {
		if t.Status == "failed" {
			failed++
		}
	}
	says = "-"
	if s := f.Results.Summary; s.Tests != nil && s.Failed != nil {
		says = slashed(*s.Tests, *s.Failed)
	}
	return says, slashed(len(f.Results.Tests), failed)
}

// countEvents counts the ends of tests in the events of go test, parents as well.
func countEvents(text []byte) (says, lists string) {
	tests, failed := 0, 0
	for line := range bytes.Lines(text) {
		var e struct{ Action, Test string }
		if json.Unmarshal(line, &e) == nil && e.Test != "" && slices.Contains([]string{"pass", "fail", "skip"}, e.Action) {
			tests++
			if e.Action == "fail" {
				failed++
			}
		}
	}
	if tests == 0 {
		return "-", "-"
	}
	return "-", slashed(tests, failed)
}

// The columns of TestShow are counted without the readers that they are compared with.
func TestSaidAndListed(t *testing.T) {
	for text, want := range map[string]string{
		`<testsuites tests="5" failures="1" errors="1"><testsuite tests="2"><testcase/><testcase><failure/><failure/></testcase></testsuite></testsuites>`: "5/2 2/1",
		`<testsuite tests="1"><testcase/></testsuite><testsuite tests="2" failures="1"><testcase><error/></testcase></testsuite>`:                          "3/1 2/1",
		`<testsuite><testcase/></testsuite>`: "- 1/0",
		`<TestRun><Results><UnitTestResult outcome="Failed"/></Results><ResultSummary><Counters total="1" failed="1"/></ResultSummary></TestRun>`:     "1/1 1/1",
		`[{"PreRunStats":{"TotalSpecs":3},"SpecReports":[{"LeafNodeType":"It","State":"panicked"},{"LeafNodeType":"BeforeSuite","State":"failed"}]}]`: "3/- 1/1",
		`{"results":{"summary":{"tests":2,"failed":0},"tests":[{"status":"failed"}]}}`:                                                                "2/0 1/1",
		"{\"Action\":\"run\",\"Test\":\"A\"}\n{\"Action\":\"fail\",\"Test\":\"A\"}\n{\"Action\":\"fail\",\"Package\":\"p\"}\nFAIL\n":                  "- 1/1",
		"goos: linux\n": "- -",
	} {
		path := filepath.Join(t.TempDir(), "results")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if says, lists := saidAndListed(t, path); says+" "+lists != want {
			t.Errorf("%s: %s %s, want %s", text, says, lists, want)
		}
	}
}
