package ingest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

// This file contains what the readers of TRX, NUnit XML and xUnit.net XML have in common. The suite of
// a spec is the file name of its assembly, its container is its class, and its leaf is its name
// without the class. So a run has the same specs in each of the formats.

// netOutcomes maps outcomes of tests to states: the words of the three formats, from their
// documentation, in lower case. Other words count as failures.
var netOutcomes = map[string]struct {
	state  reports.State
	detail string
}{
	"passed": {reports.Passed, ""}, "pass": {reports.Passed, ""}, "success": {reports.Passed, ""},
	"warning": {reports.Passed, "warning"}, // the runners do not count it as a failure

	"failed": {reports.Failed, ""}, "fail": {reports.Failed, ""}, "failure": {reports.Failed, ""},
	"error":               {reports.Failed, "error"},
	"invalid":             {reports.Failed, "invalid"},
	"notrunnable":         {reports.Failed, "not runnable"}, // the definition of the test is invalid
	"timeout":             {reports.Failed, "timeout"},
	"aborted":             {reports.Failed, "aborted"},
	"cancelled":           {reports.Failed, "cancelled"},
	"passedbutrunaborted": {reports.Failed, "passed, but the run was aborted"},
	"disconnected":        {reports.Failed, "disconnected"},
	"inprogress":          {reports.Failed, "unfinished"},

	"inconclusive": {reports.Skipped, "inconclusive"},
	"notexecuted":  {reports.Skipped, ""}, "notrun": {reports.Skipped, ""}, "skipped": {reports.Skipped, ""}, "skip": {reports.Skipped, ""},
	"ignored": {reports.Skipped, ""}, "explicit": {reports.Skipped, ""},

	"pending":   {reports.Pending, ""},
	"completed": {reports.Pending, reports.Other}, // neither passed nor failed
}

var errCaseInCase = errors.New("a test inside of another test")

// netReader collects the tests of a file. The readers of the three formats embed it.
type netReader struct {
	*xmlReader
	c         *collector
	clock     clock
	differing differing // totals that differ from the tests
	places    []place   // locations of the specs
	suites    map[string]*reports.Suite
	order     []string // paths of the suites, in the order of the file
	found     tally    // count of tests
	beyond    int      // number of failures outside the tests

	unknown, contradicted, warned, inconclusive, undecided, attached, dropped int    // numbers for notes
	word                                                                      string // first unknown outcome
}

// netTest is a test being read.
type netTest struct {
	spec                        reports.Spec
	place                       place
	outcome                     string
	failures                    int    // number of elements that mean a failure
	doubt                       string // ambiguous duration: see clock
	message, trace, reason, out excerpt
	said                        faults  // messages of the failures
	files                       excerpt // attached files, one per line
}

func newNetReader(x *xmlReader, c *collector) netReader {
	return netReader{xmlReader: x, c: c, suites: map[string]*reports.Suite{}}
}

// timed reads the duration of an element.
func (n *netReader) timed(t *netTest, a map[string]string) {
	t.spec.Duration, t.doubt = n.clock.read(a)
}

// failed adds the message and the stack that were collected, as one failure of the test.
func (t *netTest) failed() {
	t.said.add(both(strings.TrimSpace(t.message.String()), t.trace.String()))
	t.message, t.trace = t.message.empty(), t.trace.empty()
}

// decide sets the state, the message, the output and the attachments of the spec, and counts it. A
// test that contains a failure has failed, whatever its outcome.
func (n *netReader) decide(t *netTest) {
	s := &t.spec
	outcome, known := netOutcomes[strings.ToLower(strings.ReplaceAll(strings.TrimSpace(t.outcome), " ", ""))]
	if s.State, s.Detail = outcome.state, outcome.detail; !known {
		s.State, s.Detail = reports.Failed, cmp.Or(shortText(t.outcome), "no outcome")
		n.unknown++
		n.word = cmp.Or(n.word, s.Detail)
	}
	if t.failures > 0 && s.State != reports.Failed {
		s.State, s.Detail = reports.Failed, ""
		n.contradicted++
	}
	n.found.tests++
	switch {
	case s.State == reports.Failed:
		n.found.failed++
	case s.State != reports.Passed:
		n.found.skipped++
	}
	switch {
	case s.Detail == "inconclusive":
		n.inconclusive++
	case s.Detail == "warning":
		n.warned++
	case s.Detail == reports.Other:
		n.undecided++
	}
	n.found.elements, n.found.skips = n.found.failed, n.found.skipped
	t.failed()
	s.Message = reports.Shorten(both(t.said.String(), t.reason.String()))
	if s.State == reports.Failed {
		s.Output = reports.Shorten(strings.TrimSpace(t.out.String()))
	}
	if t.files.size() > 0 {
		for file := range strings.Lines(strings.TrimSpace(t.files.String())) {
			s.Attachments = n.c.attach(s.Attachments, "", "", file)
		}
	}
	if s.State == reports.Passed || s.State == reports.Failed {
		s.Attempts = 1
	}
}

// add adds the spec of a test after decide, and its duration to that of its suite.
func (n *netReader) add(s reports.Spec, at place, doubt string) error {
	class := strings.Join(s.Containers, ".")
	if class == "" {
		s.Containers = nil
	}
	if rest, ok := strings.CutPrefix(s.Leaf, class+"."); ok && class != "" && rest != "" {
		s.Leaf = rest
	}
	if s.State == reports.Failed {
		failedAt(&s, class, n.c.relative)
	}
	at.file = cmp.Or(at.file, s.File)
	i := len(n.c.results.Specs)
	n.suite(s.Suite).Duration += s.Duration
	n.clock.later(doubt, func(took time.Duration) { n.c.results.Specs[i].Duration = took })
	n.places = append(n.places, at)
	if err := n.c.keep(len(s.Suite) + len(at.host)); err != nil {
		return err
	}
	return n.c.add(s)
}

// suite returns the suite with the given path, and adds it if it is new.
func (n *netReader) suite(path string) *reports.Suite {
	s := n.suites[path]
	if s == nil {
		s = &reports.Suite{Path: path}
		n.suites[path], n.order = s, append(n.order, path)
	}
	return s
}

// outside adds a failure outside the tests.
func (n *netReader) outside(path, node, message string) error {
	at := reports.Spec{State: reports.Failed, Message: message}
	failedAt(&at, "", n.c.relative)
	n.beyond++
	return n.c.fail(n.suite(path), node, message, at.File, at.Line)
}

// failures returns the number of failures so far, in tests and outside of them.
func (n *netReader) failures() int { return n.found.failed + n.beyond }

// compare compares totals that the file states with the count of tests. counts has one count for each
// way in which runners count; the totals must agree with one of them. More failures than the file
// lists are one more failure, outside the tests; excess is how many are missing.
func (n *netReader) compare(said totals, path, of string, counts ...tally) (excess int, err error) {
	most := 0
	for _, t := range counts {
		most = max(most, t.failed)
	}
	for _, e := range said.differences(of, counts...) {
		if e.What != failuresAndErrors || e.Said <= most {
			n.differing.add(e)
			continue
		}
		excess = e.Said - most
		if err := n.outside(path, "suite", fmt.Sprintf("%s says %d %s and lists %d: see the output of the runner", of, e.Said, e.What, most)); err != nil {
			return 0, err
		}
	}
	return excess, nil
}

// count returns the sum of the named totals, or -1 if none is stated. A total that is not a number is
// an error, because it could hide failures.
func count(a map[string]string, names ...string) (int, error) {
	total := -1
	for _, name := range names {
		text := strings.ToLower(strings.TrimSpace(a[name]))
		if slices.Contains(noCount, text) {
			continue
		}
		k, err := strconv.Atoi(text)
		if err != nil || k < 0 || k > 1e9 {
			return 0, fmt.Errorf("%s=%q is not a number of tests", name, shortText(a[name]))
		}
		total = max(0, total) + k
	}
	return total, nil
}

// label adds a trait, property or category of a test as a label. The key "category" is dropped,
// because a category is what Ginkgo calls a label.
func (n *netReader) label(labels []string, key, value string) []string {
	if strings.EqualFold(key, "category") {
		key = ""
	}
	return appendLabel(labels, key, value, &n.dropped)
}

// during adds times to those of the run; texts that are not times are ignored.
func (n *netReader) during(texts ...string) {
	for _, text := range texts {
		if at := n.c.reading.stamp(text); !at.IsZero() {
			n.c.reading.during(at)
		}
	}
}

// handOn adds the suites to the results, numbers the specs and adds the notes.
func (n *netReader) handOn() error {
	for _, path := range n.order {
		s := n.suites[path]
		s.Started = n.c.reading.Started
		if err := n.c.suite(*s); err != nil {
			return err
		}
	}
	n.c.number(0, n.places)
	n.clock.settle(n.c.note)
	n.differing.note(n.c.note)
	for _, note := range []struct {
		n    int
		text string
	}{
		{n.unknown, "tests with an outcome that the format does not define, which count as failed: %d; the first is " + strconv.Quote(n.word)},
		{n.contradicted, "tests that contain a failure although their outcome is another one, which count as failed: %d"},
		{n.warned, "tests that passed with a warning: %d"},
		{n.inconclusive, "inconclusive tests, which count as skipped: %d"},
		{n.undecided, "tests with the outcome completed, neither passed nor failed, which count as pending: %d"},
		{n.attached, "attachments of tests, which were ignored: %d"},
		{n.dropped, droppedLabels},
	} {
		if note.n > 0 {
			n.c.note("%s", strings.Replace(note.text, "%d", strconv.Itoa(note.n), 1))
		}
	}
	return nil
}

// baseName returns the last element of a path of Windows or Unix.
func baseName(path string) string {
	path = strings.TrimRight(strings.TrimSpace(path), `/\`)
	return path[strings.LastIndexAny(path, `/\`)+1:]
}

// quoted shortens and quotes the name of an element for a message.
func quoted(name string) string { return strconv.Quote(shortText(name)) }
