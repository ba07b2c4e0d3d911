package ingest

import (
	"bytes"
	"errors"
	"io"
	"regexp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/go-json-experiment/json/jsontext"
)

// detect tells the format by the first 64 KiB.
func (in *input) detect() (string, error) {
	head, err := in.Peek(in.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return "", &FormatError{Err: err}
	}
	text := bytes.TrimLeft(head, " \t\r\n")
	switch {
	case len(text) == 0:
		return "", &FormatError{Err: ErrEmpty}
	case text[0] == '<':
		return formatJUnit, nil
	case text[0] == '[':
		return reports.FormatGinkgo, nil
	case text[0] == '{':
		if format := formatOf(memberNames(text)); format != "" {
			return format, nil
		}
	}
	for line := range bytes.Lines(text) {
		if goTestLine.Match(line) {
			return reports.FormatGoTest, nil // behind lines of something else
		}
		if benchmarkLine.Match(line) {
			return formatBenchmarks, nil
		}
	}
	return "", &FormatError{Err: ErrUnknownFormat, Next: advice(text)}
}

var (
	goTestLine    = regexp.MustCompile(`^\{.*"Action":"`)
	benchmarkLine = regexp.MustCompile(`^Benchmark[^a-z]\S*\s+\d+\s`)
	goTestText    = regexp.MustCompile(`(?m)^(=== RUN |--- (PASS|FAIL): |(ok|FAIL|\?) +\t\S+\t)`)
)

// memberNames are the names in the first object of a text, as far as they are there.
func memberNames(text []byte) []string {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	if _, err := d.ReadToken(); err != nil {
		return nil
	}
	var names []string
	for {
		name, err := d.ReadToken()
		if err != nil || name.Kind() != '"' {
			return names
		}
		names = append(names, name.String())
		if d.SkipValue() != nil {
			return names
		}
	}
}

func formatOf(names []string) string {
	for _, name := range names {
		switch name {
		case "Action":
			return reports.FormatGoTest
		case "results", "reportFormat":
			return formatCTRF
		}
	}
	return ""
}

// advice guesses what the file is, to say what to do with it.
func advice(text []byte) string {
	switch {
	case goTestText.Match(text):
		return "it looks like what go test prints: run go test -json"
	case bytes.Contains(text, []byte(`"comparisons"`)):
		return "it looks like what flujo-harness bench --json writes: flujo-harness gate judges it"
	case text[0] == '{' && bytes.Contains(text, []byte(`"SuitePath"`)):
		return "it looks like one suite of a Ginkgo report: use the whole file that --json-report writes, an array"
	}
	return "name the file that your test runner wrote in one of these formats"
}

// otherXML says how to make JUnit XML of what other tools write, by root element.
var otherXML = map[string]string{
	"TestRun":        "it looks like TRX: have dotnet test write JUnit XML, by the package JunitXml.TestLogger and --logger junit",
	"test-run":       "it looks like NUnit 3: have it write JUnit XML, by the package JunitXml.TestLogger and --logger junit",
	"test-results":   "it looks like NUnit 2: convert it to JUnit XML, or use JunitXml.TestLogger",
	"assemblies":     "it looks like xUnit.net: have it write JUnit XML, by -junit FILE, or by the package JunitXml.TestLogger and --logger junit",
	"assembly":       "it looks like xUnit.net: have it write JUnit XML, by -junit FILE, or by the package JunitXml.TestLogger and --logger junit",
	"testng-results": "it looks like the results of TestNG: use the files of its folder junitreports",
	"robot":          "it looks like output of Robot Framework: run rebot --xunit FILE",
	"Site":           "it looks like Test.xml of CTest: run ctest --output-junit FILE",
	"checkstyle":     "it looks like Checkstyle: have the linter write JUnit XML",
	"coverage":       "it looks like a report of coverage, which has no results of tests",
	"Catch2TestRun":  "it looks like XML of Catch2: run it with --reporter junit",
	"Catch":          "it looks like XML of Catch2: run it with --reporter junit",
	"doctest":        "it looks like XML of doctest: run it with --reporters=junit",
	"TestLog":        "it looks like XML of Boost.Test: run it with --log_format=JUNIT",
	"TestResult":     "it looks like XML of Boost.Test: run it with --log_format=JUNIT",
	"testExecutions": "it looks like generic test data of SonarQube: have the runner write JUnit XML",
}
