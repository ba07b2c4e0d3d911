package ingest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// readCTRF reads the Common Test Report Format, https://ctrf.io: times in
// milliseconds, the test runs of all tools in one shape. A spec is a test; its suite
// and containers are its "suite", or the name of the tool where it has none. A test
// of status "other" is pending, with that word in its Detail; a status that the format
// does not have is a failure.
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

	badTimes int    // durations that are none, and
	badTime  string // the first of them
	extras   int    // tests with an "extra" of others
	dropped  int    // labels
	oddTags  int    // tests with tags that are no texts
	unknown  int    // tests with a status that the format does not have, and
	other    string // the first of them

	exact   bool         // we have written it: see exactName
	suites  []ExactSuite // of it
	outside []outsideTest
}

// outsideTest is a test of our own files that stands for a failure outside the specs.
type outsideTest struct {
	suite string
	reports.SuiteFailure
}

type ctrfSummary struct {
	Tests   int            `json:"tests"`
	Passed  int            `json:"passed"`
	Failed  int            `json:"failed"`
	Pending int            `json:"pending"`
	Skipped int            `json:"skipped"`
	Other   int            `json:"other"`
	Start   jsontext.Value `json:"start"` // ms since 1970
	Stop    jsontext.Value `json:"stop"`
}

type ctrfTest struct {
	Name      string         `json:"name"`
	Status    string         `json:"status"`
	RawStatus jsontext.Value `json:"rawStatus"`
	Duration  jsontext.Value `json:"duration"` // ms
	Suite     jsontext.Value `json:"suite"`    // a text, or several
	Message   jsontext.Value `json:"message"`
	Trace     jsontext.Value `json:"trace"`
	FilePath  jsontext.Value `json:"filePath"`
	Line      jsontext.Value `json:"line"`
	Tags      jsontext.Value `json:"tags"`
	Browser   jsontext.Value `json:"browser"`
	Device    jsontext.Value `json:"device"`
	Labels    jsontext.Value `json:"labels"` // an object of texts, numbers and the like
	Stdout    jsontext.Value `json:"stdout"` // lines
	Stderr    jsontext.Value `json:"stderr"` // lines
	Retries   jsontext.Value `json:"retries"`
	Flaky     jsontext.Value `json:"flaky"`
	Attempts  jsontext.Value `json:"retryAttempts"`
	Attached  jsontext.Value `json:"attachments"`
	Extra     jsontext.Value `json:"extra"` // of others passed over
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
	case "extra":
		extra, err := r.d.value()
		if err != nil {
			return err
		}
		return r.ownSuites(extra)
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
	}
	retries, _ := wholeNumber(t.Retries)
	if retries < 0 {
		return fmt.Errorf("test %q has %d retries", t.Name, retries)
	}
	line, _ := wholeNumber(t.Line)
	tags, err := oneOrMore(t.Tags)
	if err != nil {
		r.oddTags++
		tags = nil
	}
	spec := reports.Spec{Leaf: t.Name, Duration: r.duration(t.Duration), Attempts: 1 + retries, Message: both(textOf(t.Message), textOf(t.Trace)),
		File: r.c.relative(textOf(t.FilePath)), Line: max(0, line), Labels: tags}
	spec.Labels = r.labels(spec.Labels, t.Labels)
	spec.Attachments = r.c.ctrfAttachments(&t)
	at := place{host: strings.TrimSpace(textOf(t.Browser) + " " + textOf(t.Device)), file: spec.File, line: spec.Line}
	r.found.Tests++
	switch t.Status {
	case "passed":
		r.found.Passed++
		spec.State = reports.Passed
		before, failed := beforePass(t.Attempts, retries)
		if spec.Retried = isFlaky(t.Flaky, failed); spec.Retried {
			spec.Attempts = max(spec.Attempts, 2) // flaky, and the report does not say how often it was tried
			spec.Message = cmp.Or(spec.Message, before)
		}
	case "failed":
		r.found.Failed++
		spec.State = reports.Failed
	case "skipped":
		r.found.Skipped++
		spec.State, spec.Attempts = reports.Skipped, 0
	case "pending":
		r.found.Pending++
		spec.State, spec.Attempts = reports.Pending, 0
	case reports.Other:
		r.found.Other++
		// Neither passed nor failed, unless the runner's own word is one of failure.
		if raw := textOf(t.RawStatus); slices.Contains(failingWords, strings.ToLower(raw)) {
			spec.State, spec.Detail = reports.Failed, raw
		} else {
			spec.State, spec.Detail, spec.Attempts = reports.Pending, reports.Other, 0
		}
	default:
		r.found.Other++
		r.unknown++
		spec.State, spec.Detail = reports.Failed, cmp.Or(textOf(t.RawStatus), t.Status)
		r.other = cmp.Or(r.other, t.Status)
	}
	if spec.State == reports.Failed {
		spec.Output = ctrfOutput(t.Stdout, t.Stderr)
	}
	suites, err := oneOrMore(t.Suite)
	if err != nil {
		return fmt.Errorf("the suite of test %q: %w", t.Name, err)
	}
	if len(suites) > 0 {
		spec.Suite, spec.Containers = suites[0], suites[1:]
	}
	if own, err := exactOf(t.Extra); err != nil {
		return fmt.Errorf("test %q: %w", t.Name, err)
	} else if own != nil {
		return r.own(own, spec, at)
	} else if t.Extra.Kind() == '{' {
		r.extras++
	}
	if spec.State == reports.Failed && !r.exact { // our own files say where, or do not know
		failedAt(&spec, "", r.c.relative)
		at.file, at.line = spec.File, spec.Line
	}
	spec.Occurrence = 1
	r.places = append(r.places, at)
	if err := r.c.keep(len(spec.Suite) + len(at.host)); err != nil { // each has its own
		return err
	}
	return r.c.add(spec)
}

// labels appends the members of the object of labels, in the order of the file.
func (r *ctrfReader) labels(all []string, v jsontext.Value) []string {
	if v.Kind() != '{' {
		return all
	}
	d := jsontext.NewDecoder(bytes.NewReader(v))
	for _, _ = d.ReadToken(); d.PeekKind() == '"'; {
		name, err := d.ReadToken()
		if err != nil {
			return all
		}
		key := name.String() // valid until the next token only
		value, err := d.ReadValue()
		if err != nil {
			return all
		}
		all = appendLabel(all, key, textOf(value), &r.dropped)
	}
	return all
}

// ctrfAttachments are those of a test and of its attempts.
func (c *collector) ctrfAttachments(t *ctrfTest) (all []reports.Attachment) {
	var attempts []struct {
		Attached jsontext.Value `json:"attachments"`
	}
	lists := []jsontext.Value{t.Attached}
	if json.Unmarshal(t.Attempts, &attempts) == nil { // which may be of another shape
		for _, a := range attempts {
			lists = append(lists, a.Attached)
		}
	}
	for _, list := range lists {
		var some []struct {
			Name jsontext.Value `json:"name"`
			Type jsontext.Value `json:"contentType"`
			Path jsontext.Value `json:"path"`
		}
		if json.Unmarshal(list, &some) != nil {
			continue
		}
		for _, a := range some {
			all = c.attach(all, textOf(a.Name), textOf(a.Type), textOf(a.Path))
		}
	}
	return all
}

// duration reads milliseconds. What is no duration costs a note, not the file.
func (r *ctrfReader) duration(v jsontext.Value) time.Duration {
	if !v.IsValid() || v.Kind() == 'n' {
		return 0
	}
	ms, err := strconv.ParseFloat(textOf(v), 64)
	if err != nil || !sane(ms/1000) {
		if r.badTimes++; r.badTimes == 1 {
			r.badTime = string(v)
		}
		return 0
	}
	return text.Seconds(ms / 1000)
}

// isFlaky reports whether a test that passed failed before: the word of the report
// where it has one, and else that it was retried.
func isFlaky(flaky jsontext.Value, retried bool) bool {
	switch flaky.Kind() {
	case 't':
		return true
	case 'f':
		return false
	}
	return retried
}

// beforePass returns what the first attempt that failed said, and whether one failed.
// Retries of which the report says no more are taken to follow failures.
func beforePass(v jsontext.Value, retries int) (message string, failed bool) {
	var attempts []struct {
		Status  string         `json:"status"`
		Message jsontext.Value `json:"message"`
		Trace   jsontext.Value `json:"trace"`
	}
	if json.Unmarshal(v, &attempts) != nil || len(attempts) == 0 {
		return "", retries > 0
	}
	for _, a := range attempts {
		if a.Status != "passed" {
			return both(textOf(a.Message), textOf(a.Trace)), true
		}
	}
	return "", false
}

// ctrfOutput joins the lines that a test wrote to its two streams.
func ctrfOutput(streams ...jsontext.Value) string {
	var all excerpt
	for _, v := range streams {
		lines, err := oneOrMore(v)
		if err != nil {
			continue
		}
		for _, line := range lines {
			all.add(strings.TrimSuffix(line, "\n"))
			all.add("\n")
		}
	}
	return strings.TrimSpace(all.String())
}

// textOf is a JSON string, or the JSON of anything else; "" for null and for nothing.
func textOf(v jsontext.Value) string {
	switch v.Kind() {
	case jsontext.KindInvalid, 'n':
		return ""
	case '"':
		var text string
		if json.Unmarshal(v, &text) == nil {
			return text
		}
	}
	return string(v)
}

// wholeNumber reads a number, also one in a string; 0 for what is none.
func wholeNumber(v jsontext.Value) (int, bool) {
	n, err := strconv.ParseFloat(textOf(v), 64)
	if err != nil || n != math.Trunc(n) || math.Abs(n) > math.MaxInt32 {
		return 0, false
	}
	return int(n), true
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
	r.notes()
	if r.exact {
		return r.endExact()
	}
	specs := r.c.results.Specs
	suites := map[string]int{}
	for i := range specs {
		specs[i].Suite = cmp.Or(specs[i].Suite, r.tool, "tests")
		at, known := suites[specs[i].Suite]
		if !known {
			at = len(r.c.results.Suites)
			suites[specs[i].Suite] = at
			r.c.results.Suites = append(r.c.results.Suites, reports.Suite{Path: specs[i].Suite, Started: r.c.reading.Started})
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
	r.span(s)
	return nil
}

// span takes the time of the run from the summary, if it is one.
func (r *ctrfReader) span(s *ctrfSummary) {
	const latest = 1e14 // ms: beyond the year 5000
	var at [2]float64
	for i, v := range []jsontext.Value{s.Start, s.Stop} {
		if text := textOf(v); text != "" {
			ms, err := strconv.ParseFloat(text, 64)
			if err != nil || !(ms >= 0 && ms <= latest) {
				r.c.note("the time of the run is not taken: the summary starts at %s and stops at %s", shortText(string(s.Start)), shortText(string(s.Stop)))
				return
			}
			at[i] = ms
		}
	}
	if at[1] != 0 && at[1] < at[0] {
		r.c.note("the time of the run is not taken: the summary starts at %.0f and stops at %.0f ms since 1970", at[0], at[1])
		return
	}
	for _, ms := range at {
		if ms > 0 {
			r.c.reading.during(time.UnixMilli(int64(math.Floor(ms))).UTC())
		}
	}
}

// notes says what was passed over or decided.
func (r *ctrfReader) notes() {
	if r.badTimes > 0 {
		r.c.note("times that are no duration, taken as none: %d; the first is %s", r.badTimes, shortText(r.badTime))
	}
	if r.oddTags > 0 {
		r.c.note("tests with tags that are no texts, which are passed over: %d", r.oddTags)
	}
	if r.extras > 0 {
		r.c.note("tests with members in \"extra\", which are not kept: %d", r.extras)
	}
	if r.dropped > 0 {
		r.c.note(droppedLabels, r.dropped)
	}
	if n := r.found.Other - r.unknown; n > 0 && !r.exact { // of our own files it is no news
		r.c.note("tests with the status \"other\", which count as pending: %d", n)
	}
	if r.unknown > 0 {
		r.c.note("tests with a status that is none of passed, failed, skipped, pending and other count as failed: %d; the first has the status %q", r.unknown, shortText(r.other))
	}
}
