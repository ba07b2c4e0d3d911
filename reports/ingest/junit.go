package ingest

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

// readJUnit reads the JUnit XML of test runners of many languages: one testsuite, or several in
// testsuites, nested or not.
//
// A testcase is a spec. Its suite is the name of the outermost testsuite (with Ginkgo, its
// package), its containers are the names of the inner ones, and the class name unless it is
// redundant. Testcases with the same texts are separate specs, numbered by [collector.number],
// unless there is evidence that they are attempts of one spec: elements such as flakyFailure, or
// the evidence of [junitReader.merge].
//
// Testcases take precedence over totals. A total that differs from the testcases is a note, and if
// the file states more failures than it lists, the rest is a [reports.SuiteFailure]. Only in files
// of render.WriteJUnit is a different total an error.
func readJUnit(in *input, c *collector) error {
	return readXML(in, formatJUnit, func(x *xmlReader) xmlHandler {
		j := &junitReader{xmlReader: x, c: c, root: noTotals, builds: map[string]string{}}
		x.clean.noted = j.comment
		return j
	})
}

// dialect is the variant of the format that one producer writes.
type dialect int

const (
	plainJUnit dialect = iota
	ginkgoJUnit
	goJUnit  // gotestsum or go-junit-report
	ownJUnit // render.WriteJUnit, see junit_exact.go
)

type junitReader struct {
	*xmlReader
	c         *collector
	dialect   dialect
	rootName  string // attribute name of the root
	fault     string // attribute message of a failure in the root
	verdict   string // attribute of the root that marks the run as failed
	project   bool   // the root has the attributes of Playwright, which writes the project as host
	root      totals
	found     tally
	suites    []*junitSuite // open suites, outermost first
	test      *JunitCase    // open testcase; its memory is reused
	spare     JunitCase
	clock     clock
	differing differing
	badTotal  string            // first total that is not a number
	places    []place           // places of all specs
	cases     int               // number of testcases in the open suites
	builds    map[string]string // output of builds in files of go-junit-report, by package
	bench     []junitResult     // benchmarks that passed
	gotestsum bool

	output                       excerpt // output of a testsuite
	properties, outputs, dropped int     // numbers of properties etc. that are not kept
	repeated                     int     // results of names with both passes and failures
	rescued                      int     // testcases that are attempts of another one
	counted                      int     // testcases that are repeats of a Go test by -count
	words, strange               int     // unknown statuses and unknown elements of testcases
	oddWord, oddElement          string  // first of each
	commented                    int     // failed tests according to the comments at the end of the file
}

// junitSuite is an open testsuite.
type junitSuite struct {
	reports.Suite
	name     string
	implicit bool // has the testcases that are in no testsuite
	totals   totals
	found    tally // testcases, including those of inner suites
	own      tally // testcases, excluding those of inner suites
	inner    bool  // whether it has inner suites
	place    place
	doubt    string // text of an ambiguous duration, see clock
	verdict  string // attribute that marks it as failed
	cases    []junitResult
	props    map[string]string // properties that determine the dialect
	fault    string            // message of the open failure
}

// junitResult is a complete testcase of an open testsuite.
type junitResult struct {
	spec  reports.Spec
	place place
	doubt string // text of an ambiguous duration, see clock
	class string
	fault string // attribute message of its first failure
	text  string // goJUnit: unchanged message
	size  int
}

func (j *junitReader) suiteName() string {
	if len(j.suites) == 0 {
		return ""
	}
	return j.suites[len(j.suites)-1].name
}

// finish compares the totals of the root and numbers the specs.
func (j *junitReader) finish() error {
	if err := j.closeImplicit(); err != nil {
		return err
	}
	if err := j.finishGo(); err != nil {
		return err
	}
	name := "the file"
	if j.rootName != "" {
		name = "testsuites " + strconv.Quote(shortText(j.rootName))
	}
	excess, err := j.compare(j.root, name, j.found)
	if err != nil {
		return err
	}
	if excess == "" && j.commented > 0 && j.found.failed == 0 && j.c.results.SuiteFailures() == 0 {
		excess = fmt.Sprintf("the comments at the end say that %d of the tests failed or were cancelled, and none is listed: see the output of the runner", j.commented)
	}
	if excess == "" && j.verdict != "" && j.found.failed == 0 && j.found.elements == 0 && j.c.results.SuiteFailures() == 0 {
		excess = saidAlone(name, j.verdict)
	}
	if excess != "" {
		s := reports.Suite{Path: cmp.Or(j.rootName, "tests")}
		if err := errors.Join(j.c.fail(&s, "suite", excess, "", 0), j.c.suite(s)); err != nil {
			return err
		}
	}
	if j.dialect != ownJUnit { // whose occurrences are known
		j.c.number(0, j.places)
	}
	j.clock.settle(j.c.note)
	j.differing.note(j.c.note)
	if j.badTotal != "" {
		j.c.note("totals that are not numbers were ignored; the first is %s", j.badTotal)
	}
	j.noteRepeats()
	j.noteDropped()
	return nil
}

// nodeTotal matches a total of Node's test runner. It is needed because Node writes no element for
// a test with subtests that fails by itself.
var nodeTotal = regexp.MustCompile(`^ (?:fail|cancelled) (\d{1,9}) $`)

func (j *junitReader) comment(text string) {
	if m := nodeTotal.FindStringSubmatch(text); m != nil && j.dialect == plainJUnit {
		n, _ := strconv.Atoi(m[1]) // digits
		j.commented += n
	}
}

// noteDropped adds notes about the contents of the file that are not kept.
func (j *junitReader) noteDropped() {
	if j.dialect == ginkgoJUnit { // its properties are settings of Ginkgo
		j.properties = 0
	}
	for _, fact := range []struct {
		n    int
		what string
	}{
		{j.properties, "properties of testsuites"}, {j.outputs, "outputs of testsuites"},
	} {
		if fact.n > 0 {
			j.c.note("%s, which were ignored: %d", fact.what, fact.n)
		}
	}
	if j.dropped > 0 {
		j.c.note(droppedLabels, j.dropped)
	}
	if j.strange > 0 {
		j.c.note("unknown elements of tests, which are ignored: %d; the first is <%s>", j.strange, shortText(j.oddElement))
	}
	if j.words > 0 {
		j.c.note("unknown statuses of tests, which are ignored: %d; the first is %q", j.words, shortText(j.oddWord))
	}
}

// compare compares stated totals with the counts. If the file states more failures than it lists,
// it returns the message of a suite failure.
func (j *junitReader) compare(said totals, of string, counts ...tally) (excess string, err error) {
	for _, e := range said.differences(of, counts...) {
		if j.dialect == ownJUnit {
			return "", e
		}
		most := max(counts[0].failed, counts[0].elements)
		if e.What == failuresAndErrors && e.Said > most {
			excess = fmt.Sprintf("%s says %d %s and lists %d: see the output of the runner", of, e.Said, e.What, most)
			continue
		}
		j.differing.add(e)
	}
	return excess, nil
}

func (j *junitReader) start(name string, a map[string]string) error {
	if j.depth() == 1 && !slices.Contains(junitRoots, name) {
		return noSuchRoot(name, "<testsuites> or <testsuite>")
	}
	switch {
	case (name == "testsuites" || name == "testrun") && j.depth() == 1:
		return j.readRoot(a)
	case name == "testsuite" && j.test == nil:
		if err := j.closeImplicit(); err != nil {
			return err
		}
		return j.open(a)
	case name == "testcase":
		return j.begin(a)
	case name == "property" && len(j.suites) > 0 && j.test == nil && j.dialect == ownJUnit && a["name"] == ExactName:
		return j.exactSuite(j.suites[len(j.suites)-1], a["value"])
	case name == "property" && len(j.suites) > 0 && j.test == nil:
		j.property(a["name"], a["value"])
	case (name == "system-out" || name == "system-err") && len(j.suites) > 0 && j.test == nil:
		j.collect(&j.output)
	case j.test != nil:
		j.inCase(name, a)
	case (name == "failure" || name == "error") && j.text == nil:
		if len(j.suites) > 0 {
			j.suites[len(j.suites)-1].fault = a["message"]
		} else { // of the root
			j.fault = a["message"]
		}
		j.collect(&excerpt{})
	}
	return nil
}

// junitRoots are the root elements of the format. Eclipse writes testrun.
var junitRoots = []string{"testsuites", "testsuite", "testcase", "testrun"}

// readRoot reads the attributes of the root.
func (j *junitReader) readRoot(a map[string]string) (err error) {
	if j.root, err = j.totals(a); err != nil {
		return err
	}
	j.rootName, j.verdict = a["name"], saidToFail(a)
	_, id := a["id"]
	_, name := a["name"]
	if j.project = id && name; a["name"] == ExactName {
		j.dialect = ownJUnit
	}
	took, _ := j.clock.read(a)
	j.during(a, took)
	return nil
}

func (j *junitReader) totals(a map[string]string) (totals, error) {
	c, bad, err := statedTotals(a)
	j.badTotal = cmp.Or(j.badTotal, bad)
	return c, err
}

// during extends the time span of the run by that of a suite or of the root, and returns its start.
func (j *junitReader) during(a map[string]string, took time.Duration) time.Time {
	at := j.c.reading.stamp(a["timestamp"])
	if !at.IsZero() {
		j.c.reading.during(at)
		j.c.reading.during(at.Add(took))
	}
	return at
}

// stamped matches suite names to which unittest-xml-reporting has appended the time of the run.
var stamped = regexp.MustCompile(`^(.+)-20\d{12}$`)

func (j *junitReader) open(a map[string]string) error {
	s := &junitSuite{verdict: saidToFail(a), name: cmp.Or(a["name"], a["package"], "tests"), props: map[string]string{"package": a["package"]}}
	if m := stamped.FindStringSubmatch(s.name); m != nil && j.dialect != ownJUnit {
		s.name = m[1]
	}
	s.Path, s.Description = s.name, a["name"]
	s.place.host, s.place.file = a["hostname"], a["file"]
	s.place.id, _ = strconv.Atoi(a["id"]) // 0 if it is not a number
	var err error
	if s.totals, err = j.totals(a); err != nil {
		return err
	}
	if len(j.suites) > 0 {
		s.Path = j.suites[0].Path
		j.suites[len(j.suites)-1].inner = true
		s.place.host = cmp.Or(s.place.host, j.suites[0].place.host)
	}
	if id, numbered := a["id"]; numbered {
		s.props["id"] = id
	}
	j.suites = append(j.suites, s)
	s.Duration, s.doubt = j.clock.read(a)
	s.Started = j.during(a, s.Duration)
	return nil
}

// closeImplicit closes the suite of testcases that are in no testsuite.
func (j *junitReader) closeImplicit() error {
	if len(j.suites) == 1 && j.suites[0].implicit {
		return j.close()
	}
	return nil
}

// property handles a property of a suite. Some properties identify a dialect.
func (j *junitReader) property(name, value string) {
	s := j.suites[len(j.suites)-1]
	switch name {
	case "go.version":
		j.dialect = goJUnit
		_, numbered := s.props["id"] // written by go-junit-report, not by gotestsum
		j.gotestsum = !numbered
	case "SuiteSucceeded", "SuiteHasProgrammaticFocus", "SpecialSuiteFailureReason", "RandomSeed", "DryRun":
		s.props[name] = value
		if name == "SuiteSucceeded" {
			j.dialect = ginkgoJUnit
			s.Path = j.c.relative(s.props["package"])
		}
	default:
		j.properties++
	}
}

func (j *junitReader) begin(a map[string]string) error {
	if j.test != nil {
		return errors.New("a testcase is within another one")
	}
	if len(j.suites) == 0 {
		if err := j.open(map[string]string{"name": j.rootName}); err != nil {
			return err
		}
		j.suites[0].implicit = true
	}
	j.test = &j.spare
	j.test.reset()
	t := j.test
	t.Name, t.Class, t.file = a["name"], a["classname"], a["file"]
	t.verdict = saidToFail(a)
	t.status, t.result = strings.ToLower(a["status"]), strings.ToLower(a["result"])
	t.took, t.doubt = j.clock.read(a)
	if line, err := strconv.Atoi(a["line"]); err == nil {
		t.line = max(0, line)
	}
	return nil
}

// inCase handles an element in a testcase.
func (j *junitReader) inCase(name string, a map[string]string) {
	if j.dialect == ownJUnit {
		j.exactElement(name, a)
		return
	}
	t := j.test
	if j.text != nil {
		return // part of the text of its parent
	}
	switch strings.ToLower(name) {
	case "failure", "error":
		t.fail(strings.ToLower(name), a)
		j.collect(&t.text)
	case "skipped", "ignored", "disabled":
		t.Skipped = true
		t.skip, t.skipType = cmp.Or(t.skip, a["message"]), cmp.Or(t.skipType, a["type"])
		j.collect(&t.skipText)
	case "rerunfailure", "rerunerror", "flakyfailure", "flakyerror":
		t.Retries++
		t.retryMessage = a["message"]
		j.collect(&t.retryText)
	case "system-out":
		j.collect(&t.out)
	case "system-err":
		j.collect(&t.log)
	case "property":
		if attaches(a["name"]) && a["value"] != "" {
			t.attached = j.c.attach(t.attached, "", "", a["value"])
			return
		}
		t.labels = appendLabel(t.labels, a["name"], a["value"], &j.dropped)
	case "attachment":
		t.attached = j.c.attach(t.attached, a["name"], a["type"], cmp.Or(a["path"], a["href"], a["url"], a["src"], a["file"]))
	default:
		switch name = strings.ToLower(name); {
		case slices.Contains(failingElements, name):
			t.fail("failure", a)
			j.collect(&t.text)
		case !slices.Contains(plainElements, name):
			if j.strange++; j.strange == 1 {
				j.oddElement = name
			}
		}
	}
}

func (j *junitReader) end(name string) error {
	at := j.depth()
	switch {
	case name == "testcase":
		t := j.test
		j.test, j.text = nil, nil
		return j.take(t)
	case j.test != nil && j.dialect == ownJUnit:
		j.text = nil
	case name == "testsuite" && j.test == nil:
		return j.close()
	case j.text != nil && at == j.until:
		text := j.text
		j.text = nil
		switch {
		case j.test != nil:
			j.test.ended(text)
			return nil
		case text == &j.output:
			if strings.TrimSpace(text.String()) != "" {
				j.outputs++
			}
			j.output = j.output.empty()
			return nil
		}
		if len(j.suites) == 0 {
			j.found.elements++
			s := reports.Suite{Path: cmp.Or(j.rootName, "tests")}
			return errors.Join(j.c.fail(&s, "suite", both(j.fault, text.String()), "", 0), j.c.suite(s))
		}
		s := j.suites[len(j.suites)-1]
		s.own.elements++
		return j.c.fail(&s.Suite, "suite", both(s.fault, text.String()), "", 0)
	}
	return nil
}

// both joins a message and the text of its element, unless one contains the other.
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
