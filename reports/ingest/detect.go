package ingest

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// detect recognises the format by the first 64 KiB.
func (in *input) detect() (Format, error) {
	start, err := in.Peek(in.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return Format{}, &FormatError{Err: err}
	}
	h := headOf(start)
	if len(h.text) == 0 {
		return Format{}, &FormatError{Err: ErrEmpty}
	}
	for _, f := range formats {
		if f.sniff(h) {
			return f, nil
		}
	}
	return Format{}, &FormatError{Err: ErrUnknownFormat, Next: advice(h.text)}
}

// head is the beginning of a file.
type head struct {
	text    []byte
	root    string   // XML: name of the root element, "" if it was not found
	members []string // JSON: names of the members of the first object
}

func headOf(start []byte) head {
	h := head{text: bytes.TrimLeft(start, " \t\r\n")}
	switch {
	case len(h.text) == 0:
	case h.text[0] == '<':
		h.root = rootElement(h.text)
	case h.text[0] == '{':
		h.members = memberNames(h.text)
	}
	return h
}

// xml reports whether the text is XML with one of these root elements.
func (h head) xml(roots ...string) bool { return slices.Contains(roots, h.root) }

// starts reports whether the text starts with this character.
func (h head) starts(c byte) bool { return h.text[0] == c }

// line reports whether a line matches form and no line before it matches one of others. It is
// false for XML and JSON arrays.
func (h head) line(form *regexp.Regexp, others ...*regexp.Regexp) bool {
	if h.starts('<') || h.starts('[') {
		return false
	}
	for line := range bytes.Lines(h.text) {
		if form.Match(line) {
			return true
		}
		if slices.ContainsFunc(others, func(other *regexp.Regexp) bool { return other.Match(line) }) {
			return false
		}
	}
	return false
}

var (
	goTestLine    = regexp.MustCompile(`^\{.*"Action":"`)
	goBuildLine   = regexp.MustCompile(`^FAIL\t\S+ \[(build|setup) failed\]`) // before Go 1.24 the only line about a failed build
	benchmarkLine = regexp.MustCompile(`^Benchmark[^a-z]\S*\s+\d+\s`)
	goTestText    = regexp.MustCompile(`(?m)^(=== RUN |--- (PASS|FAIL): |(ok|FAIL|\?) +\t\S+\t)`)
)

// rootElement returns the name of the root element of an XML text without its prefix, or "" if
// there is none.
func rootElement(text []byte) string {
	for {
		text = bytes.TrimLeft(text, " \t\r\n")
		var end string
		switch {
		case bytes.HasPrefix(text, []byte("<?")):
			end = "?>"
		case bytes.HasPrefix(text, []byte("<!--")):
			end = "-->"
		case bytes.HasPrefix(text, []byte("<!")):
			end = ">"
		case bytes.HasPrefix(text, []byte("<")):
			name := string(text[1:])
			if i := strings.IndexAny(name, " \t\r\n/>"); i >= 0 {
				name = name[:i]
			}
			return name[strings.LastIndexByte(name, ':')+1:]
		default:
			return ""
		}
		_, rest, found := bytes.Cut(text, []byte(end))
		if !found {
			return ""
		}
		text = rest
	}
}

// memberNames returns the member names of the first object of a text, which may be truncated.
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

// first returns the first member of the object that is one of names, or "".
func (h head) first(names ...string) string {
	i := slices.IndexFunc(h.members, func(name string) bool { return slices.Contains(names, name) })
	if i < 0 {
		return ""
	}
	return h.members[i]
}

// advice guesses what a file of no known format is, and advises what to do.
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

// otherXML maps the root elements of other tools' files to advice how to get JUnit XML from them.
var otherXML = map[string]string{
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
