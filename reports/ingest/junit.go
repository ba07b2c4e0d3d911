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

// readJUnit reads JUnit XML as the runners of several languages write it: one
// testsuite or many in testsuites, nested or not.
//
// A spec is a testcase. Its suite is the name of the outermost testsuite (with Ginkgo,
// its package), its containers are the names of the inner ones and the class name
// where it says more. Testcases of the same texts are specs of their own, numbered by
// [collector.number], unless there is evidence that they are attempts of one: elements
// such as flakyFailure in the testcase, or what [junitReader.merge] looks for.
//
// The testcases are what counts. A total that differs from them is a note, and failures
// that the file states beyond those that it lists are a [SuiteFailure]. The output of
// render.WriteJUnit must agree with its own totals.
func readJUnit(in *input, c *collector) error {
	return readXML(in, formatJUnit, func(x *xmlReader) xmlHandler {
		j := &junitReader{xmlReader: x, c: c, root: noClaims, builds: map[string]string{}}
		x.clean.noted = j.comment
		return j
	})
}

// dialect is what one producer does in its own way.
type dialect int

const (
	plainJUnit dialect = iota
	ginkgoJUnit
	goJUnit  // gotestsum or go-junit-report
	ownJUnit // WriteJUnit: see junit_exact.go
)

type junitReader struct {
	*xmlReader
	c         *collector
	dialect   dialect
	rootName  string // its attribute name
	verdict   string // attribute of the root by which the run failed
	project   bool   // its attributes are those that Playwright writes, whose hosts are projects
	root      claims
	found     tally
	suites    []*junitSuite // that are open, the outermost first
	test      *JunitCase    // that is open: one, used again
	spare     JunitCase
	clock     clock
	differing differing
	badTotal  string            // the first total that is no number
	places    []place           // of all specs
	cases     int               // of the suites that are open
	builds    map[string]string // what go-junit-report prints of a build, by package
	bench     []junitResult     // benchmarks that passed
	gotestsum bool

	output                                 excerpt // of a testsuite
	properties, outputs, dropped, attached int     // of testsuites, and of testcases, that are not kept
	repeated                               int     // results of one name of which some passed and some failed
	rescued                                int     // testcases that are attempts of another one
	counted                                int     // testcases that are further repeats of a Go test by -count
	words, strange                         int     // of testcases: words for their end, and elements, that are not known
	oddWord, oddElement                    string  // the first of each
	commented                              int     // tests that failed by the comments at the end of the file
}

// junitSuite is a testsuite while it is read.
type junitSuite struct {
	reports.Suite
	name     string
	implicit bool // testcases outside of any testsuite
	claims   claims
	found    tally // with those of the suites in it
	own      tally // without
	inner    bool  // it has suites in it
	place    place
	doubt    string // of its duration
	verdict  string // attribute by which it failed
	cases    []junitResult
	props    map[string]string // what decides the dialect
	fault    string            // message of the failure that is open
}

// junitResult is a testcase that was read, until its testsuite ends.
type junitResult struct {
	spec  reports.Spec
	place place
	doubt string // of its duration
	class string
	fault string // attribute message of its first failure
	text  string // of goJUnit: the message as it was written
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
		j.c.note("totals that are no number are passed over; the first is %s", j.badTotal)
	}
	j.noteRepeats()
	j.noteDropped()
	return nil
}

// nodeTotal is a total of Node's test runner, which has no element for a test with subtests
// that fails by itself.
var nodeTotal = regexp.MustCompile(`^ (?:fail|cancelled) (\d{1,9}) $`)

func (j *junitReader) comment(text string) {
	if m := nodeTotal.FindStringSubmatch(text); m != nil && j.dialect == plainJUnit {
		n, _ := strconv.Atoi(m[1]) // digits
		j.commented += n
	}
}

// noteDropped says which facts of the file are not kept.
func (j *junitReader) noteDropped() {
	if j.dialect == ginkgoJUnit { // whose properties are its own settings
		j.properties = 0
	}
	for _, fact := range []struct {
		n    int
		what string
	}{
		{j.properties, "properties of testsuites"}, {j.outputs, "outputs of testsuites"}, {j.attached, "attachments of tests"},
	} {
		if fact.n > 0 {
			j.c.note("%s, which are not kept: %d", fact.what, fact.n)
		}
	}
	if j.dropped > 0 {
		j.c.note(droppedLabels, j.dropped)
	}
	if j.strange > 0 {
		j.c.note("elements of tests that are not known, which are not kept: %d; the first is <%s>", j.strange, shortText(j.oddElement))
	}
	if j.words > 0 {
		j.c.note("words for the end of a test that are not known, and that say nothing here: %d; the first is %q", j.words, shortText(j.oddWord))
	}
}

// compare looks for differences between what is stated and what was counted. It returns
// the message of a failure for failures that are stated and not listed.
func (j *junitReader) compare(said claims, of string, counts ...tally) (excess string, err error) {
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
			s := j.suites[len(j.suites)-1]
			s.fault = a["message"]
			j.collect(&excerpt{})
		}
	}
	return nil
}

// junitRoots are the root elements of the format; testrun is that of Eclipse.
var junitRoots = []string{"testsuites", "testsuite", "testcase", "testrun"}

// readRoot takes the attributes of the root.
func (j *junitReader) readRoot(a map[string]string) (err error) {
	if j.root, err = j.claims(a); err != nil {
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

func (j *junitReader) claims(a map[string]string) (claims, error) {
	c, bad, err := claimed(a)
	j.badTotal = cmp.Or(j.badTotal, bad)
	return c, err
}

// during takes the time of something into the time of the run.
func (j *junitReader) during(a map[string]string, took time.Duration) time.Time {
	at := j.c.reading.stamp(a["timestamp"])
	if !at.IsZero() {
		j.c.reading.during(at)
		j.c.reading.during(at.Add(took))
	}
	return at
}

// stamped is a suite name with the time of the run, as unittest-xml-reporting writes it.
var stamped = regexp.MustCompile(`^(.+)-20\d{12}$`)

func (j *junitReader) open(a map[string]string) error {
	s := &junitSuite{verdict: saidToFail(a), name: cmp.Or(a["name"], a["package"], "tests"), props: map[string]string{"package": a["package"]}}
	if m := stamped.FindStringSubmatch(s.name); m != nil && j.dialect != ownJUnit {
		s.name = m[1]
	}
	s.Path, s.Description = s.name, a["name"]
	s.place.host, s.place.file = a["hostname"], a["file"]
	s.place.id, _ = strconv.Atoi(a["id"]) // 0 where it is none
	var err error
	if s.claims, err = j.claims(a); err != nil {
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

// closeImplicit ends the suite of testcases that stand outside of any.
func (j *junitReader) closeImplicit() error {
	if len(j.suites) == 1 && j.suites[0].implicit {
		return j.close()
	}
	return nil
}

// property tells more of a suite; some are a dialect's own.
func (j *junitReader) property(name, value string) {
	s := j.suites[len(j.suites)-1]
	switch name {
	case "go.version":
		j.dialect = goJUnit
		_, numbered := s.props["id"] // by go-junit-report alone
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
		return errors.New("a testcase stands in another")
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
	if line, err := strconv.Atoi(a["line"]); err == nil { // where it is no number, there is none
		t.line = max(0, line)
	}
	return nil
}

// inCase takes over an element in a testcase.
func (j *junitReader) inCase(name string, a map[string]string) {
	if j.dialect == ownJUnit {
		j.exactElement(name, a)
		return
	}
	t := j.test
	if j.text != nil {
		return // it is part of the element around it
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
		t.labels = appendLabel(t.labels, a["name"], a["value"], &j.dropped)
	case "attachment":
		j.attached++
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
		s := j.suites[len(j.suites)-1]
		s.own.elements++
		return j.c.fail(&s.Suite, "suite", both(s.fault, text.String()), "", 0)
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
