package ingest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// nunitRoots are the root elements of NUnit 3 and of NUnit 2.5, and of an excerpt of either.
var nunitRoots = []string{"test-run", "test-results", "test-suite"}

// readNUnit reads the results of NUnit 3 and of NUnit 2.5, which has other attributes on the same
// elements.
//
// A spec is a test-case. A test-suite that failed although none of its tests did, in its set-up or
// tear-down or because it is invalid, is a failure outside the specs. Tests that did not run because
// of it are failed specs if the file lists them.
func readNUnit(in *input, c *collector) error {
	return readXML(in, formatNUnit, func(x *xmlReader) xmlHandler {
		return &nunitReader{netReader: newNetReader(x, c)}
	})
}

type nunitReader struct {
	netReader
	root   string        // file name of the tested assembly
	result string        // result of the run
	said   totals        // totals that the root element states
	suites []*nunitSuite // suites being read, outermost first
	test   *netTest      // test being read
}

// nunitSuite is a test-suite: an assembly, a namespace, a class, or a method with several cases.
type nunitSuite struct {
	kind, name, full string
	result, site     string // site is where it failed: SetUp, TearDown, Parent, Child or Test
	said             totals // totals that it states
	labels           []string
	before           int   // number of failures at its start
	found            tally // count of tests at its start
	assembly         string
	netTest          // its own failure
}

func (r *nunitReader) suiteName() string {
	if len(r.suites) == 0 {
		return ""
	}
	return r.suites[len(r.suites)-1].name
}

func (r *nunitReader) start(name string, a map[string]string) (err error) {
	if r.depth() == 1 {
		if !slices.Contains(nunitRoots, name) {
			return noSuchRoot(name, "<test-run>, <test-results> or <test-suite>")
		}
		if name != "test-suite" {
			r.root, r.result = baseName(a["name"]), a["result"]
			r.during(a["start-time"], a["end-time"], strings.TrimSpace(a["date"]+" "+a["time"]))
			r.said, err = nunitTotals(a)
			return err
		}
		r.said = noTotals
	}
	switch {
	case r.xmlReader.text != nil: // nested in an element whose text is being collected
	case name == "test-suite" && r.test == nil:
		return r.open(a)
	case name == "test-case":
		if r.test != nil {
			return errCaseInCase
		}
		return r.begin(a)
	case name == "property" && r.within("properties"):
		if key := a["name"]; !strings.HasPrefix(key, "_") { // internal properties of the framework start with _
			r.note(key, a["value"])
		}
	case name == "category" && r.within("categories"):
		r.note("category", a["name"])
	case r.test != nil:
		if r.inTest(r.test, name); name == "assertion" && netOutcomes[strings.ToLower(a["result"])].state == reports.Failed {
			r.test.failures++
		}
	case len(r.suites) > 0:
		r.inTest(&r.suites[len(r.suites)-1].netTest, name)
	}
	return nil
}

// note adds a property to the test being read, or to the suite if there is no test.
func (r *nunitReader) note(key, value string) {
	labels := new([]string)
	switch {
	case r.test != nil:
		labels = &r.test.spec.Labels
	case len(r.suites) > 0:
		labels = &r.suites[len(r.suites)-1].labels
	}
	*labels = r.label(*labels, key, value)
}

// nunitTotals reads the totals of an element. NUnit 2.5 counts errors and invalid tests separately
// from failures.
func nunitTotals(a map[string]string) (c totals, err error) {
	c = noTotals
	if c.tests, err = count(a, "total"); err != nil {
		return c, err
	}
	c.failures, err = count(a, "failed", "failures", "errors", "invalid")
	return c, err
}

func (r *nunitReader) open(a map[string]string) (err error) {
	s := &nunitSuite{kind: a["type"], name: a["name"], full: cmp.Or(a["fullname"], a["name"]), result: a["result"], site: a["site"], before: r.failures(), found: r.found}
	if s.said, err = nunitTotals(a); err != nil {
		return err
	}
	if n := len(r.suites); n > 0 {
		s.labels, s.assembly = slices.Clone(r.suites[n-1].labels), r.suites[n-1].assembly
	}
	if s.assembly == "" || strings.EqualFold(s.kind, "Assembly") {
		s.assembly = cmp.Or(baseName(s.name), r.root, "tests")
		if !strings.EqualFold(s.kind, "Assembly") && r.root != "" {
			s.assembly = r.root
		}
	}
	if failingLabel(a) {
		s.result = a["label"]
	}
	if s.result == "" && strings.EqualFold(a["success"], "false") {
		s.result = "Failure"
	}
	r.suites = append(r.suites, s)
	r.during(a["start-time"], a["end-time"])
	return nil
}

// failingLabel reports whether the label of an element is a failure: Error, Invalid or Cancelled.
func failingLabel(a map[string]string) bool {
	return netOutcomes[strings.ToLower(a["label"])].state == reports.Failed
}

func (r *nunitReader) begin(a map[string]string) error {
	t := &netTest{outcome: a["result"]}
	r.test = t
	executed, success := strings.ToLower(a["executed"]), strings.ToLower(a["success"])
	switch outcome := strings.ToLower(t.outcome); {
	case t.outcome == "" && executed == "false":
		t.outcome = "NotRun"
	case t.outcome == "" && (success == "true" || success == "" && executed == "true"): // decide makes it a failure if it contains one
		t.outcome = "Success"
	case t.outcome == "" && success == "false":
		t.outcome = "Failure"
	case outcome == "failed" && a["label"] != "":
		t.outcome = a["label"] // Error, Invalid, Cancelled
		if _, known := netOutcomes[strings.ToLower(t.outcome)]; !known {
			t.outcome = "Failed"
		}
	case (outcome == "success" || outcome == "passed") && (success == "false" || failingLabel(a)):
		t.failures++ // contradicting attributes: a failure
	}
	if netOutcomes[strings.ToLower(t.outcome)].state == reports.Passed && executed == "false" {
		t.outcome = "NotRun"
	}
	r.timed(t, a)
	r.during(a["start-time"], a["end-time"])
	name, full := a["name"], cmp.Or(a["fullname"], a["name"])
	class, ok := strings.CutSuffix(full, "."+name)
	if !ok {
		class = a["classname"]
	}
	if class == "" { // in NUnit 2.5, name is the full name
		class = classOf(name)
	}
	t.spec.Suite, t.spec.Leaf = cmp.Or(r.root, "tests"), name
	if n := len(r.suites); n > 0 {
		s := r.suites[n-1]
		t.spec.Suite, t.spec.Labels = s.assembly, slices.Clone(s.labels)
		if class == "" {
			class = s.full
		}
	}
	if class != "" {
		t.spec.Containers = []string{class}
	}
	return nil
}

// classOf returns the class in the full name of a method. Arguments of the method may contain dots.
func classOf(full string) string {
	name, _, _ := strings.Cut(full, "(")
	return name[:max(0, strings.LastIndexByte(name, '.'))]
}

// inTest handles the start of an element in a test-case, or in a test-suite but in no test-case.
func (r *nunitReader) inTest(t *netTest, name string) {
	switch {
	case name == "failure", name == "assertion":
		if t.failed(); name == "failure" {
			t.failures++
		}
	case name == "message" && (r.within("failure") || r.within("assertion")):
		r.collect(&t.message)
	case name == "stack-trace":
		r.collect(&t.trace)
	case name == "message" && r.within("reason"):
		r.collect(&t.reason)
	case name == "output":
		r.collect(&t.out)
	case name == "filePath" && r.within("attachment"):
		t.files.add("\n")
		r.collect(&t.files)
	}
}

func (r *nunitReader) end(name string) error {
	if r.xmlReader.text != nil {
		if r.depth() == r.until {
			r.xmlReader.text = nil
		}
		return nil
	}
	switch {
	case name == "test-case":
		t := r.test
		r.test = nil
		r.decide(t)
		return r.add(t.spec, t.place, t.doubt)
	case name == "test-suite" && r.test == nil:
		s := r.suites[len(r.suites)-1]
		r.suites = r.suites[:len(r.suites)-1]
		return r.close(s)
	}
	return nil
}

// close handles the end of a test-suite. Its failure counts unless it repeats that of a test in it or
// of the suite around it. A failed tear-down always counts, since it is never that of a test.
func (r *nunitReader) close(s *nunitSuite) error {
	found := r.found
	found.tests, found.failed, found.skipped = found.tests-s.found.tests, found.failed-s.found.failed, found.skipped-s.found.skipped
	found.elements, found.skips = found.failed, found.skipped
	excess, err := r.compare(s.said, s.assembly, "test-suite "+quoted(s.name), nunitCounts(found)...)
	if err != nil {
		return err
	}
	r.found.failed, r.found.elements = r.found.failed+excess, r.found.elements+excess
	said := r.failures() > s.before
	failed := netOutcomes[strings.ToLower(s.result)].state == reports.Failed
	switch {
	case !failed && s.failures == 0, said && s.site != "TearDown", strings.EqualFold(s.site, "Parent"):
		return nil
	}
	t := &s.netTest
	t.failed()
	text := both(t.said.String(), t.reason.String())
	node := cmp.Or(s.full, s.name, "suite")
	switch s.site {
	case "SetUp":
		node += " OneTimeSetUp"
	case "TearDown":
		node += " OneTimeTearDown"
	}
	return r.outside(s.assembly, node, both(cmp.Or(text, "the test-suite failed without a message: see the output of the runner"), t.out.String()))
}

// nunitCounts returns the two ways in which NUnit counts tests: versions differ in whether the total
// includes tests that did not run.
func nunitCounts(t tally) []tally {
	ran := t
	ran.tests -= t.skipped
	return []tally{t, ran}
}

func (r *nunitReader) finish() error {
	path := cmp.Or(r.root, "tests")
	outside := r.found // versions differ in whether they count failures outside the tests
	outside.failed = r.failures()
	if _, err := r.compare(r.said, path, "the file", append(nunitCounts(r.found), outside)...); err != nil {
		return err
	}
	if netOutcomes[strings.ToLower(r.result)].state == reports.Failed && r.failures() == 0 {
		if err := r.outside(path, "run", "the result of the run is "+r.result+", but the file contains no reason: see the output of the runner"); err != nil {
			return err
		}
	}
	return r.handOn()
}
