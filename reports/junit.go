package reports

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"
)

// Bounds on the shape of a file: real ones have some 5 levels and 15 attributes.
const (
	maxDepth      = 64
	maxAttributes = 256
)

// readJUnit reads JUnit XML as the runners of several languages write it: one
// testsuite or many in testsuites, nested or not.
//
// A spec is a testcase. Its suite is the name of the outermost testsuite (with Ginkgo,
// its package), its containers are the names of the inner ones and the class name
// where it says more. Testcases of one identity are attempts of one spec: see
// [collector.attempt]; with Ginkgo and jest they are several specs of the same texts.
// A pass with a flakyFailure or the like is a pass that was retried.
//
// What the runner says of its totals must be true of the testcases.
func readJUnit(in *input, c *collector) error {
	src, err := declared(in)
	if err != nil {
		return &FormatError{Format: formatJUnit, Line: 1, Err: err, Next: "write the file in UTF-8"}
	}
	clean := newCleanXML(src.Reader)
	j := junitReader{a: map[string]string{}, c: c, d: xml.NewDecoder(clean), root: claims{-1, -1, -1, -1}}
	j.d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is UTF-8 by now
	if err := j.read(); err != nil {
		line, _ := j.d.InputPos()
		f := &FormatError{Format: formatJUnit, Line: line + clean.lines, Suite: j.suiteName(), Err: err}
		if syntax := (*xml.SyntaxError)(nil); errors.As(err, &syntax) {
			f.Line, f.Err = syntax.Line+clean.lines, errors.New(syntax.Msg)
			if syntax.Msg == "unexpected EOF" {
				f.Err = cutShort(io.ErrUnexpectedEOF)
			}
		}
		return f
	}
	c.told()
	return nil
}

var encodingName = regexp.MustCompile(`^\s*<\?xml[^>]*\sencoding\s*=\s*["']([^"']+)["']`)

// declared undoes the encoding that the first line names.
func declared(in *input) (*input, error) {
	head, _ := in.Peek(256)
	name := encodingName.FindSubmatch(head)
	if name == nil {
		return in, nil
	}
	switch label := strings.ToLower(string(name[1])); {
	case label == "utf-8", label == "utf8", strings.HasPrefix(label, "utf-16"): // the last was undone by its mark
		return in, nil
	default:
		encoding, err := htmlindex.Get(label)
		if err != nil {
			return nil, fmt.Errorf("its encoding %q is not known", label)
		}
		return &input{newBuffer(transform.NewReader(in, encoding.NewDecoder())), in.meter}, nil
	}
}

// dialect is what one runner does in its own way.
type dialect int

const (
	plainJUnit dialect = iota
	ginkgoJUnit
	goJUnit   // gotestsum
	jestJUnit // names need not differ
)

type junitReader struct {
	c       *collector
	d       *xml.Decoder
	dialect dialect
	depth   int
	seen    bool // a root
	root    claims
	found   tally
	suites  []*junitSuite // that are open, the outermost first
	test    *junitCase    // that is open: one, used again
	spare   junitCase
	a       map[string]string // attributes of the element, used again
	text    *excerpt          // what the text here belongs to
}

// junitSuite is a testsuite while it is read.
type junitSuite struct {
	Suite
	name   string
	line   int
	claims claims
	found  tally   // with those of the suites in it
	own    tally   // without
	first  int     // of its specs in the results
	places []place // of its specs, wherever they failed
	cases  []Spec  // of gotestsum: parents are taken out of them at the end
	ginkgo map[string]string
	fault  string // message of the failure that is open
}

// junitCase is a testcase while it is read.
type junitCase struct {
	name, class, status, file string
	line                      int
	took                      time.Duration
	kind, message             string // of the failure: the name of its element
	text                      excerpt
	detail                    string // the type of the failure
	failures                  int    // elements
	skipped                   bool
	retries                   int
	rescued                   string // message of an attempt before
	log                       excerpt
}

func (j *junitReader) suiteName() string {
	if len(j.suites) == 0 {
		return ""
	}
	return j.suites[len(j.suites)-1].name
}

func (j *junitReader) read() error {
	for {
		token, err := j.d.Token()
		if err == io.EOF && j.seen {
			return j.finish()
		}
		if err != nil {
			return cutShort(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			err = j.start(&t)
		case xml.EndElement:
			j.depth--
			err = j.end(t.Name.Local)
		case xml.CharData:
			if j.text != nil {
				j.text.add(string(t))
			} else if j.depth == 0 && strings.TrimSpace(string(t)) != "" {
				err = errors.New("there is text outside of the root element")
			}
		}
		if err != nil {
			return err
		}
	}
}

// finish compares the totals of the root. The errors that gotestsum counts there are
// lines of the build, not testcases.
func (j *junitReader) finish() error {
	if j.dialect == goJUnit {
		if j.root.errors > 0 && j.c.results.SuiteFailures() == 0 {
			s := Suite{Path: "go build"}
			message := fmt.Sprintf("gotestsum counts %d errors that no test carries: see its own output", j.root.errors)
			if err := errors.Join(j.c.fail(&s, "build", message, "", 0), j.c.suite(s)); err != nil {
				return err
			}
		}
		j.root.errors = -1
	}
	return j.root.check("testsuites", j.found)
}

func (j *junitReader) start(t *xml.StartElement) error {
	if err := j.attributes(t); err != nil {
		return err
	}
	a := j.a
	name := t.Name.Local
	if j.depth++; j.depth > maxDepth {
		return fmt.Errorf("%w: elements stand %d deep in each other", ErrTooBig, j.depth)
	}
	if j.depth == 1 {
		switch {
		case j.seen:
			return fmt.Errorf("a second root element <%s> begins behind the end of the first", name)
		case name != "testsuites" && name != "testsuite":
			return fmt.Errorf("%w: its root element is <%s> where <testsuites> or <testsuite> is needed", ErrUnknownFormat, name)
		}
		j.seen = true
	}
	switch {
	case name == "testsuites" && j.depth == 1:
		var err error
		if j.root, err = claimed(a); err != nil {
			return err
		}
		j.recognise(a["name"])
		return j.times(a, nil)
	case name == "testsuite" && j.test == nil:
		return j.open(a)
	case name == "testcase":
		return j.begin(a)
	case name == "property" && len(j.suites) > 0 && j.test == nil:
		j.property(a["name"], a["value"])
	case j.test != nil:
		j.within(name, a)
	case name == "failure" || name == "error":
		if len(j.suites) > 0 {
			s := j.suites[len(j.suites)-1]
			s.fault = a["message"]
			j.text = &excerpt{}
		}
	}
	return nil
}

// attributes takes those of an element, and refuses what encoding/xml accepts.
func (j *junitReader) attributes(t *xml.StartElement) error {
	clear(j.a)
	if len(t.Attr) > maxAttributes {
		return fmt.Errorf("%w: <%s> has %d attributes", ErrTooBig, t.Name.Local, len(t.Attr))
	}
	for _, attr := range t.Attr {
		name := attr.Name.Local
		if attr.Name.Space != "" {
			name = attr.Name.Space + ":" + name
		}
		if _, twice := j.a[name]; twice {
			return fmt.Errorf("<%s> has the attribute %q twice", t.Name.Local, name)
		}
		j.a[name] = attr.Value
	}
	return nil
}

// recognise tells a dialect by the name of the root.
func (j *junitReader) recognise(name string) {
	if strings.HasPrefix(name, "jest ") || strings.HasPrefix(name, "vitest ") {
		j.dialect = jestJUnit
	}
}

// times reads when something was, and how long it took, into the reading and a suite.
func (j *junitReader) times(a map[string]string, s *junitSuite) error {
	took, err := junitSeconds(a["time"])
	if err != nil {
		return err
	}
	at := junitTime(a["timestamp"])
	if s != nil {
		s.Duration, s.Started = took, at
	}
	if !at.IsZero() {
		j.c.reading.during(at)
		j.c.reading.during(at.Add(took))
	}
	return nil
}

func (j *junitReader) open(a map[string]string) error {
	line, _ := j.d.InputPos()
	s := &junitSuite{name: a["name"], line: line, first: len(j.c.results.Specs)}
	if s.name == "" {
		s.name = a["package"]
	}
	if s.name == "" {
		s.name = "tests"
	}
	s.Path, s.Description = s.name, a["name"]
	var err error
	if s.claims, err = claimed(a); err != nil {
		return err
	}
	s.ginkgo = map[string]string{"package": a["package"]}
	if len(j.suites) == 0 {
		j.recognise(a["name"])
	} else {
		s.Path = j.suites[0].Path
	}
	j.suites = append(j.suites, s)
	return j.times(a, s)
}

// property tells more of a suite; some are a dialect's own.
func (j *junitReader) property(name, value string) {
	s := j.suites[len(j.suites)-1]
	switch name {
	case "go.version":
		j.dialect = goJUnit
	case "SuiteSucceeded", "SuiteHasProgrammaticFocus", "SpecialSuiteFailureReason", "RandomSeed", "DryRun":
		s.ginkgo[name] = value
		if name == "SuiteSucceeded" {
			j.dialect = ginkgoJUnit
			s.Path = j.c.relative(s.ginkgo["package"])
		}
	}
}

func (j *junitReader) begin(a map[string]string) error {
	switch {
	case j.test != nil:
		return errors.New("a testcase stands in another")
	case len(j.suites) == 0:
		return errors.New("a testcase stands outside of a testsuite")
	}
	took, err := junitSeconds(a["time"])
	if err != nil {
		return fmt.Errorf("testcase %q: %w", a["name"], err)
	}
	j.test = &j.spare
	*j.test = junitCase{name: a["name"], class: a["classname"], status: a["status"], file: a["file"], took: took}
	if text := a["line"]; text != "" {
		line, _ := strconv.Atoi(text) // where it is no number, there is none
		j.test.line = max(0, line)
	}
	return nil
}

// within takes over an element in a testcase.
func (j *junitReader) within(name string, a map[string]string) {
	t := j.test
	switch name {
	case "failure", "error":
		t.failures++
		if t.kind == "" {
			t.kind, t.message, t.detail = name, a["message"], a["type"]
			j.text = &t.text
		}
	case "skipped":
		t.skipped = true
		if t.message == "" {
			t.message = a["message"]
			j.text = &t.text
		}
	case "rerunFailure", "rerunError", "flakyFailure", "flakyError":
		t.retries++
		if t.rescued == "" {
			t.rescued = a["message"]
		}
	case "system-err":
		if j.dialect == ginkgoJUnit {
			j.text = &t.log
		}
	}
}

func (j *junitReader) end(name string) error {
	switch {
	case name == "testcase":
		t := j.test
		j.test, j.text = nil, nil
		return j.take(t)
	case name == "testsuite" && j.test == nil:
		return j.close()
	case j.test == nil && j.text != nil && (name == "failure" || name == "error"):
		s := j.suites[len(j.suites)-1]
		text := j.text.String()
		j.text = nil
		return j.c.fail(&s.Suite, "suite", both(s.fault, text), "", 0)
	case j.text != nil && (name == "failure" || name == "error" || name == "skipped" || name == "system-err"):
		j.text = nil
	}
	return nil
}

// both is a message and the text with it, where the one does not say the other.
func both(message, text string) string {
	text = strings.TrimSpace(text)
	switch {
	case text == "" || strings.Contains(message, text):
		return message
	case strings.Contains(text, message):
		return text
	}
	return message + "\n" + text
}

// thousands are commas as surefire writes them, and none that stands for a point.
var thousands = regexp.MustCompile(`^[1-9]\d{0,2}(,\d{3})+(\.\d*)?$`)

// junitSeconds reads "0.25", and "1,234.5".
func junitSeconds(text string) (time.Duration, error) {
	number := strings.TrimSpace(text)
	if number == "" {
		return 0, nil
	}
	if thousands.MatchString(number) {
		number = strings.ReplaceAll(number, ",", "")
	}
	s, err := strconv.ParseFloat(number, 64)
	if err != nil || !sane(s) {
		return 0, fmt.Errorf("the time %q is no number of seconds from 0 up", text)
	}
	return seconds(s), nil
}

// junitTime reads a time stamp; one without a zone is taken as UTC. It is zero where
// there is none, or one of another form.
func junitTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05Z0700"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1 {
			return t.UTC()
		}
	}
	return time.Time{}
}
