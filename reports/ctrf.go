package reports

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// readCTRF reads the Common Test Report Format, https://ctrf.io: times in
// milliseconds, the test runs of all tools in one shape. A spec is a test; its suite
// and containers are its "suite", or the name of the tool where it has none. A status
// that is none of passed, failed, skipped and pending is a failure.
func readCTRF(in *input, c *collector) error {
	r := ctrfReader{c: c, d: newValues(in, formatCTRF)}
	err := r.d.whole('{', func() error {
		return r.d.rest(func() error { return r.d.name(r.member) })
	})
	if err != nil {
		return err
	}
	return r.end()
}

type ctrfReader struct {
	c       *collector
	d       *values
	tool    string
	seen    bool // the array of tests
	summary *ctrfSummary
	places  []place
	found   ctrfSummary
}

type ctrfSummary struct {
	Tests   int     `json:"tests"`
	Passed  int     `json:"passed"`
	Failed  int     `json:"failed"`
	Pending int     `json:"pending"`
	Skipped int     `json:"skipped"`
	Other   int     `json:"other"`
	Start   float64 `json:"start"` // ms since 1970
	Stop    float64 `json:"stop"`
}

type ctrfTest struct {
	Name      string         `json:"name"`
	Status    string         `json:"status"`
	RawStatus string         `json:"rawStatus"`
	Duration  float64        `json:"duration"` // ms
	Suite     jsontext.Value `json:"suite"`    // a text, or several
	Message   string         `json:"message"`
	Trace     string         `json:"trace"`
	FilePath  string         `json:"filePath"`
	Line      int            `json:"line"`
	Tags      []string       `json:"tags"`
	Labels    jsontext.Value `json:"labels"` // passed over
	Retries   int            `json:"retries"`
	Flaky     bool           `json:"flaky"`
}

func (r *ctrfReader) member(name string) error {
	if name == "results" {
		return r.d.object(r.results)
	}
	return r.d.skip()
}

func (r *ctrfReader) results(name string) error {
	switch name {
	case "tests":
		r.seen = true
		return r.d.array(r.test)
	case "summary":
		r.summary = &ctrfSummary{}
		return r.d.decode(r.summary)
	case "tool":
		var tool struct {
			Name string `json:"name"`
		}
		err := r.d.decode(&tool)
		r.tool = tool.Name
		return err
	case "environment":
		var e struct {
			Commit      string         `json:"commit"`
			BranchName  string         `json:"branchName"`
			BuildName   string         `json:"buildName"`
			BuildNumber jsontext.Value `json:"buildNumber"` // a text, or a number
		}
		if err := r.d.decode(&e); err != nil {
			return err
		}
		number := ""
		if json.Unmarshal(e.BuildNumber, &number) != nil {
			number = string(e.BuildNumber)
		}
		r.c.reading.Commit, r.c.reading.Branch, r.c.reading.Build = e.Commit, e.BranchName, cmp.Or(e.BuildName, number)
		return nil
	}
	return r.d.skip()
}

func (r *ctrfReader) test() error {
	var t ctrfTest
	if err := r.d.decode(&t); err != nil {
		return err
	}
	switch {
	case t.Name == "":
		return errors.New("a test has no name")
	case t.Status == "":
		return fmt.Errorf("test %q has no status", t.Name)
	case !sane(t.Duration / 1000):
		return fmt.Errorf("test %q took %v ms", t.Name, t.Duration)
	case t.Retries < 0:
		return fmt.Errorf("test %q has %d retries", t.Name, t.Retries)
	}
	spec := Spec{Leaf: t.Name, Duration: seconds(t.Duration / 1000), Attempts: 1 + t.Retries, Message: both(t.Message, t.Trace),
		File: r.c.relative(t.FilePath), Line: max(0, t.Line), Labels: t.Tags}
	r.found.Tests++
	switch t.Status {
	case "passed":
		r.found.Passed++
		spec.State, spec.Retried = Passed, t.Flaky || t.Retries > 0
		if spec.Retried {
			spec.Attempts = max(spec.Attempts, 2) // flaky, and the report does not say how often it was tried
		}
	case "failed":
		r.found.Failed++
		spec.State = Failed
	case "skipped":
		r.found.Skipped++
		spec.State, spec.Attempts = Skipped, 0
	case "pending":
		r.found.Pending++
		spec.State, spec.Attempts = Pending, 0
	default:
		r.found.Other++
		spec.State, spec.Detail = Failed, cmp.Or(t.RawStatus, t.Status)
	}
	suites, err := oneOrMore(t.Suite)
	if err != nil {
		return fmt.Errorf("the suite of test %q: %w", t.Name, err)
	}
	if len(suites) > 0 {
		spec.Suite, spec.Containers = suites[0], suites[1:]
	}
	r.places = append(r.places, place{})
	if err := r.c.keep(len(spec.Suite)); err != nil { // each has its own
		return err
	}
	return r.c.add(spec)
}

// oneOrMore reads a text, or an array of them.
func oneOrMore(v jsontext.Value) ([]string, error) {
	switch v.Kind() {
	case jsontext.KindInvalid, 'n':
		return nil, nil
	case '"':
		var one string
		if err := json.Unmarshal(v, &one); err != nil || one == "" {
			return nil, err
		}
		return []string{one}, nil
	}
	var all []string
	err := json.Unmarshal(v, &all)
	return all, err
}

func (r *ctrfReader) end() error {
	if !r.seen {
		return r.d.fault(errors.New("it has no results.tests"))
	}
	if err := r.check(); err != nil {
		return r.d.fault(err)
	}
	specs := r.c.results.Specs
	suites := map[string]int{}
	for i := range specs {
		specs[i].Suite = cmp.Or(specs[i].Suite, r.tool, "tests")
		at, known := suites[specs[i].Suite]
		if !known {
			at = len(r.c.results.Suites)
			suites[specs[i].Suite] = at
			r.c.results.Suites = append(r.c.results.Suites, Suite{Path: specs[i].Suite, Started: r.c.reading.Started})
		}
		r.c.results.Suites[at].Duration += specs[i].Duration
	}
	r.c.number(0, r.places)
	return nil
}

// check compares the summary with the tests.
func (r *ctrfReader) check() error {
	s := r.summary
	if s == nil {
		r.c.note("it has no summary: its totals could not be checked")
		return nil
	}
	for _, of := range []struct {
		what        string
		said, found int
	}{
		{"tests", s.Tests, r.found.Tests}, {"passed", s.Passed, r.found.Passed}, {"failed", s.Failed, r.found.Failed},
		{"pending", s.Pending, r.found.Pending}, {"skipped", s.Skipped, r.found.Skipped}, {"other", s.Other, r.found.Other},
	} {
		if of.said != of.found {
			return &TotalsError{Of: "the summary", What: of.what, Said: of.said, Found: of.found}
		}
	}
	const latest = 1e14 // ms: beyond the year 5000
	if s.Start < 0 || s.Stop < 0 || s.Start > latest || s.Stop > latest || s.Stop != 0 && s.Stop < s.Start {
		return fmt.Errorf("the summary starts at %.0f and stops at %.0f ms since 1970", s.Start, s.Stop)
	}
	for _, ms := range []float64{s.Start, s.Stop} {
		if ms > 0 {
			r.c.reading.during(time.UnixMilli(int64(math.Floor(ms))).UTC())
		}
	}
	return nil
}
