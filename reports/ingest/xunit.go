package ingest

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// xunitRoots are the root elements of xUnit.net 2 and 3, and of version 1, in this order.
var xunitRoots = []string{"assemblies", "assembly"}

// readXUnit reads the results of xUnit.net 2 and 3, and of version 1, which has elements "class"
// instead of "collection".
//
// A spec is a test. Errors of an assembly, for example in the clean-up of a class or collection, are
// failures outside the specs.
func readXUnit(in *input, c *collector) error {
	return readXML(in, formatXUnit, func(x *xmlReader) xmlHandler {
		return &xunitReader{netReader: newNetReader(x, c)}
	})
}

type xunitReader struct {
	netReader
	// The assembly being read.
	assembly string // file name
	open     bool
	said     totals // totals that it states
	errors   int    // number of errors that it states, -1 if it does not
	grouped  int    // number of failures that its collections state
	found1   tally  // r.found at its start
	listed   int    // number of errors that it contains

	test  *netTest // test being read
	fault *netTest // error being read
	node  string   // what the error is about
}

func (r *xunitReader) suiteName() string { return r.assembly }

func (r *xunitReader) start(name string, a map[string]string) error {
	if r.depth() == 1 && !slices.Contains(xunitRoots, name) {
		return noSuchRoot(name, "<assemblies> or <assembly>")
	}
	switch {
	case r.xmlReader.text != nil: // nested in an element whose text is being collected
	case name == "assemblies":
		r.during(a["timestamp"], a["start-rtf"], a["finish-rtf"])
	case name == "assembly" && r.depth() <= 2:
		return r.begin(a)
	case (name == "collection" || name == "class") && r.within("assembly"):
		n, err := count(a, "failed")
		r.grouped += max(0, n)
		return err
	case name == "test":
		if r.test != nil {
			return errCaseInCase
		}
		r.one(a)
	case name == "error" && r.test == nil:
		r.fault = &netTest{}
		r.node = strings.TrimSpace(a["type"] + " " + a["name"])
	case name == "trait" && r.test != nil:
		r.test.spec.Labels = r.label(r.test.spec.Labels, a["name"], a["value"])
	case r.test != nil:
		r.inTest(r.test, name)
	case name == "failure" && r.fault == nil: // failure of a class, in version 1
		r.fault = &netTest{}
		r.node = "class"
	case r.fault != nil:
		r.inTest(r.fault, name)
	}
	return nil
}

func (r *xunitReader) begin(a map[string]string) (err error) {
	r.assembly, r.open = cmp.Or(baseName(a["name"]), "tests"), true
	r.found1, r.listed, r.grouped, r.said = r.found, 0, 0, noTotals
	r.during(a["start-rtf"], a["finish-rtf"], strings.TrimSpace(a["run-date"]+" "+a["run-time"]))
	if r.said.tests, err = count(a, "total"); err != nil {
		return err
	}
	if r.said.failures, err = count(a, "failed"); err != nil {
		return err
	}
	if r.said.skipped, err = count(a, "skipped", "not-run"); err != nil {
		return err
	}
	r.errors, err = count(a, "errors")
	return err
}

// one handles the start of a test.
func (r *xunitReader) one(a map[string]string) {
	t := &netTest{outcome: a["result"]}
	t.spec.Suite, t.spec.Leaf = cmp.Or(r.assembly, "tests"), cmp.Or(a["name"], a["method"])
	if class := a["type"]; class != "" {
		t.spec.Containers = []string{class}
	}
	t.spec.File = r.c.relative(a["source-file"])
	if line, err := strconv.Atoi(a["source-line"]); err == nil { // otherwise the line is unknown
		t.spec.Line = max(0, line)
	}
	t.place.file, t.place.line = t.spec.File, t.spec.Line
	r.timed(t, a)
	r.during(a["start-rtf"], a["finish-rtf"])
	r.test = t
}

// inTest handles the start of an element in a test or an error.
func (r *xunitReader) inTest(t *netTest, name string) {
	switch {
	case name == "failure":
		t.failed()
		t.failures++
	case name == "message" && r.within("failure"):
		r.collect(&t.message)
	case name == "stack-trace":
		r.collect(&t.trace)
	case name == "reason", name == "warning":
		if t.reason.size() > 0 {
			t.reason.add("\n")
		}
		r.collect(&t.reason)
	case name == "output":
		r.collect(&t.out)
	case name == "attachment":
		r.attached++
	}
}

func (r *xunitReader) end(name string) error {
	if r.xmlReader.text != nil {
		if r.depth() == r.until {
			r.xmlReader.text = nil
		}
		return nil
	}
	switch {
	case name == "test":
		t := r.test
		r.test = nil
		r.decide(t)
		return r.add(t.spec, t.place, t.doubt)
	case r.fault != nil && (name == "error" || name == "failure" && !r.within("error")):
		t := r.fault
		r.fault = nil
		t.failed()
		r.listed++
		return r.outside(cmp.Or(r.assembly, "tests"), cmp.Or(r.node, "error"), cmp.Or(t.said.String(), "an error without a message"))
	case name == "assembly" && r.open:
		return r.close()
	}
	return nil
}

// close handles the end of an assembly: it compares the totals with the tests. If the totals of the
// collections state more failures than that of the assembly, they count.
func (r *xunitReader) close() error {
	found := r.found
	found.tests, found.failed, found.skipped = found.tests-r.found1.tests, found.failed-r.found1.failed, found.skipped-r.found1.skipped
	found.elements, found.skips = found.failed, found.skipped
	if r.said.failures < r.grouped && r.grouped > found.failed+r.listed {
		r.said.failures = r.grouped
	}
	if _, err := r.compare(r.said, r.assembly, "assembly "+quoted(r.assembly), found); err != nil {
		return err
	}
	if r.errors > r.listed {
		text := "the assembly states " + strconv.Itoa(r.errors) + " errors and lists " + strconv.Itoa(r.listed) + ": see the output of the runner"
		if err := r.outside(r.assembly, "error", text); err != nil {
			return err
		}
	}
	r.assembly, r.open = "", false
	return nil
}

func (r *xunitReader) finish() error { return r.handOn() }
