package ingest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

const trxRoot = "TestRun"

// readTRX reads the results of Visual Studio and dotnet test (TRX).
//
// A spec is a result without inner results. A result with inner results, such as a data-driven test
// with a result for each row, is not a spec; if it failed although none of the inner results did, it
// is a failure outside the specs. Names of classes and labels come from the definitions, which may
// come before or after the results. Errors of the run, an unfinished run and definitions without a
// result are failures outside the specs, too.
func readTRX(in *input, c *collector) error {
	return readXML(in, formatTRX, func(x *xmlReader) xmlHandler {
		return &trxReader{netReader: newNetReader(x, c), defined: map[string]*trxDefinition{}, total: noTotals}
	})
}

// trxReader reads one file. Results are collected until its end, because their definitions may follow.
type trxReader struct {
	netReader
	open    []*trxOpen // results being read, outermost first
	results []trxResult
	defined map[string]*trxDefinition // by ID
	ids     []string                  // IDs of the definitions, in the order of the file
	one     *trxDefinition            // definition being read
	key     excerpt                   // name of the property being read
	value   excerpt                   // value of the property being read
	outcome string                    // outcome of the run, "" if it is not stated
	summary bool                      // the file has a ResultSummary
	total   totals                    // totals that it states
	info    string                    // outcome of the RunInfo being read
	text    excerpt                   // text of the RunInfo being read
	errors  []string                  // messages of the run
	warning []string                  // warnings of the run
	all     tally                     // count of all results
	top     tally                     // count of results that are not inner results
}

// trxOpen is a result being read.
type trxOpen struct {
	netTest
	trxPart
}

// trxResult is a result whose definition may not have been read yet.
type trxResult struct {
	trxPart
	spec  reports.Spec
	place place
	doubt string // ambiguous duration: see clock
	size  int    // memory in bytes, for the limit of the collector
}

type trxPart struct {
	id    string // ID of the definition
	inner int    // number of inner results
	lost  int    // number of failed inner results, of all levels
}

// trxDefinition is the definition of a test: its name and its class.
type trxDefinition struct {
	name, class, assembly string
	labels                []string
	used                  bool
}

func (r *trxReader) suiteName() string { return "" }

func (r *trxReader) start(name string, a map[string]string) error {
	switch {
	case r.depth() == 1:
		if name != trxRoot {
			return noSuchRoot(name, "<"+trxRoot+">")
		}
	case r.depth() == 2 && name == "Times":
		r.during(a["start"], a["finish"])
	case r.depth() == 2 && name == "ResultSummary":
		r.summary, r.outcome = true, a["outcome"]
	case name == "Counters" && r.within("ResultSummary"):
		return r.counters(a)
	case name == "RunInfo":
		r.info = cmp.Or(a["outcome"], "Error")
	case name == "Text" && r.within("RunInfo"):
		r.text = r.text.empty()
		r.collect(&r.text)
	case r.within("Results") || r.within("InnerResults"):
		return r.begin(a)
	case len(r.open) > 0:
		r.inResult(name)
	case r.within("TestDefinitions"):
		return r.define(a)
	case r.one != nil:
		r.inDefinition(name, a)
	}
	return nil
}

func (r *trxReader) counters(a map[string]string) (err error) {
	if r.total.tests, err = count(a, "total"); err != nil {
		return err
	}
	r.total.failures, err = count(a, "failed", "error", "timeout", "aborted", "passedButRunAborted", "notRunnable", "disconnected", "inProgress")
	return err
}

// begin starts a result.
func (r *trxReader) begin(a map[string]string) error {
	t := &trxOpen{trxPart: trxPart{id: a["testId"]}}
	t.spec.Leaf, t.outcome, t.place.host = a["testName"], a["outcome"], a["computerName"]
	t.place.line, _ = strconv.Atoi(a["dataRowInfo"]) // number of the row of a data-driven test; 0 if there is none
	if a["duration"] != "" {
		r.timed(&t.netTest, a)
	} else if began, ended := junitTime(a["startTime"]), junitTime(a["endTime"]); !began.IsZero() && ended.After(began) {
		t.spec.Duration = ended.Sub(began)
	}
	r.during(a["startTime"], a["endTime"])
	r.open = append(r.open, t)
	return nil
}

// inResult handles the start of an element in a result.
func (r *trxReader) inResult(name string) {
	t := r.open[len(r.open)-1]
	switch {
	case r.xmlReader.text != nil: // nested in an element whose text is being collected
	case name == "Message" && r.within("ErrorInfo"):
		r.collect(&t.message)
	case name == "StackTrace" && r.within("ErrorInfo"):
		r.collect(&t.trace)
	case name == "StdOut", name == "StdErr", name == "DebugTrace", name == "Message" && r.within("TextMessages"):
		if t.out.size() > 0 {
			t.out.add("\n")
		}
		r.collect(&t.out)
	case name == "ResultFile":
		r.attached++
	}
}

func (r *trxReader) define(a map[string]string) error {
	id := a["id"]
	r.one = r.defined[id]
	if r.one == nil {
		r.one = &trxDefinition{name: a["name"], assembly: a["storage"]}
		r.defined[id], r.ids = r.one, append(r.ids, id)
	}
	return r.c.keep(len(id) + len(a["name"]) + len(a["storage"]) + overhead)
}

// inDefinition handles the start of an element in a definition.
func (r *trxReader) inDefinition(name string, a map[string]string) {
	d := r.one
	switch {
	case name == "TestMethod":
		class, _, _ := strings.Cut(a["className"], ",") // an assembly-qualified name: "Class, Assembly, Version=…"
		d.class, d.assembly = strings.TrimSpace(class), cmp.Or(a["codeBase"], d.assembly)
		r.c.kept += len(d.class)
	case name == "TestCategoryItem":
		d.labels = r.label(d.labels, "category", a["TestCategory"])
	case name == "Owner":
		d.labels = r.label(d.labels, "owner", a["name"])
	case name == "Key" && r.within("Property"):
		r.key = r.key.empty()
		r.collect(&r.key)
	case name == "Value" && r.within("Property"):
		r.value = r.value.empty()
		r.collect(&r.value)
	}
}

func (r *trxReader) end(name string) error {
	if r.xmlReader.text != nil && r.depth() == r.until {
		r.xmlReader.text = nil
	}
	switch {
	case name == "RunInfo":
		r.message()
	case r.within("Results") || r.within("InnerResults"):
		return r.result()
	case r.within("TestDefinitions"):
		r.one = nil
	case name == "Property" && r.one != nil:
		r.one.labels = r.label(r.one.labels, strings.TrimSpace(r.key.String()), strings.TrimSpace(r.value.String()))
		r.key, r.value = r.key.empty(), r.value.empty()
	}
	return nil
}

// ofTests matches messages of the run that only repeat results of tests: those of the xUnit.net
// adapter, and of Microsoft.Testing.Platform, whose exit code 2 means that tests failed.
var ofTests = regexp.MustCompile(`^\[xUnit\.net .*\[(FAIL|SKIP)\]$|^Exit code indicates failure: '2'`)

// message handles the end of a RunInfo.
func (r *trxReader) message() {
	text := strings.TrimSpace(r.text.String())
	r.text = r.text.empty()
	into := &r.errors
	if strings.EqualFold(r.info, "Warning") {
		into = &r.warning
	}
	if ofTests.MatchString(text) && (into == &r.warning || strings.HasSuffix(text, "[SKIP]")) {
		return
	}
	r.c.kept += len(text) + overhead
	*into = append(*into, text)
}

// result handles the end of a result.
func (r *trxReader) result() error {
	t := r.open[len(r.open)-1]
	r.open = r.open[:len(r.open)-1]
	before := r.found
	if t.trace.size() > 0 && netOutcomes[strings.ToLower(t.outcome)].state == reports.Passed {
		t.failures++ // a passed test with the stack of an uncaught exception (skipped tests have a stack, too)
	}
	r.decide(&t.netTest)
	one := tally{tests: 1, failed: r.found.failed - before.failed}
	one.elements = one.failed
	r.all.add(one)
	if len(r.open) == 0 {
		r.top.add(one)
	}
	if t.inner > 0 {
		r.found = before // not a spec, so not counted as a test
	}
	if len(r.open) > 0 {
		up := r.open[len(r.open)-1]
		up.inner++
		up.lost += t.lost + one.failed
		t.id = cmp.Or(t.id, up.id)
	}
	kept := trxResult{t.trxPart, t.spec, t.place, t.doubt, len(t.spec.Message) + len(t.spec.Output) + len(t.spec.Leaf) + len(t.id) + overhead}
	r.results = append(r.results, kept)
	return r.c.keep(kept.size)
}

// finish adds all results with the names of their definitions, and checks the run as a whole.
func (r *trxReader) finish() error {
	for i := range r.results {
		t := &r.results[i]
		r.c.kept -= t.size
		d := r.defined[t.id]
		if d == nil {
			d = &trxDefinition{}
		}
		d.used = true
		t.spec.Suite, t.spec.Labels = cmp.Or(baseName(d.assembly), "tests"), d.labels
		if d.class != "" {
			t.spec.Containers = []string{d.class}
		}
		t.spec.Leaf = cmp.Or(t.spec.Leaf, d.name)
		var err error
		switch {
		case t.inner == 0:
			err = r.add(t.spec, t.place, t.doubt)
		case t.spec.State == reports.Failed && t.lost == 0:
			err = r.outside(t.spec.Suite, cmp.Or(t.spec.Leaf, "suite"), t.spec.Message)
		}
		if err != nil {
			return err
		}
	}
	for _, id := range r.ids {
		if d := r.defined[id]; !d.used {
			if err := r.outside(cmp.Or(baseName(d.assembly), "tests"), cmp.Or(d.name, "test"), "the file defines the test but contains no result of it"); err != nil {
				return err
			}
		}
	}
	if err := r.judge(); err != nil {
		return err
	}
	return r.handOn()
}

// trxRun is the path of the suite for failures of the run as a whole.
const trxRun = "test run"

// judge adds the failures and warnings of the run as a whole, and compares its totals with the
// results.
func (r *trxReader) judge() error {
	failed := r.found.failed > 0
	for _, text := range r.errors {
		if failed && ofTests.MatchString(text) {
			continue
		}
		if err := r.outside(trxRun, "run", cmp.Or(text, "the run has an error without a message")); err != nil {
			return err
		}
	}
	if n := len(r.warning); n > 0 {
		r.c.note("warnings of the run: %d; the first is %q", n, shortText(r.warning[0]))
	}
	if !r.summary {
		r.c.note("the file has no ResultSummary, so its totals could not be checked")
	}
	if _, err := r.compare(r.total, trxRun, "the summary", r.found, r.all, r.top); err != nil {
		return err
	}
	switch word := strings.ToLower(r.outcome); {
	case slices.Contains([]string{"", "completed", "passed", "warning", "inconclusive"}, word):
	case (word == "failed" || word == "error") && r.failures() > 0:
	case word == "failed", word == "error":
		return r.outside(trxRun, "run", fmt.Sprintf("the outcome of the run is %s, but the file contains no reason: see the output of the runner", r.outcome))
	default:
		return r.outside(trxRun, "run", fmt.Sprintf("the run did not finish: its outcome is %q", shortText(r.outcome)))
	}
	return nil
}
