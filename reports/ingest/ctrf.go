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

// readCTRF reads the Common Test Report Format, https://ctrf.io, which many tools write. Each test is
// a spec. Its suite and containers come from its member "suite", or its suite is the name of the tool
// if that is missing. A test with status "other" is pending, with that word in its Detail. A status
// that the format does not define counts as a failure.
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
	seen    bool         // the file has an array of tests
	summary *ctrfSummary // as stated by the file
	places  []place      // locations of the specs
	found   ctrfSummary  // as counted

	// Numbers and examples for notes.
	badTimes int    // invalid durations
	badTime  string // first invalid duration
	extras   int    // tests with an "extra" of another tool
	dropped  int    // labels beyond the limit
	oddTags  int    // tests whose tags are not strings
	unknown  int    // tests with a status that the format does not define
	other    string // first such status

	exact   bool          // the file was written by WriteCTRF: see ExactName
	suites  []ExactSuite  // suites that such a file lists
	outside []outsideTest // failures outside the specs that such a file lists as tests
}

// outsideTest is a test in a file of WriteCTRF that represents a failure outside the specs.
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
	Suite     jsontext.Value `json:"suite"`    // a string, or an array of strings
	Message   jsontext.Value `json:"message"`
	Trace     jsontext.Value `json:"trace"`
	FilePath  jsontext.Value `json:"filePath"`
	Line      jsontext.Value `json:"line"`
	Tags      jsontext.Value `json:"tags"`
	Browser   jsontext.Value `json:"browser"`
	Device    jsontext.Value `json:"device"`
	Labels    jsontext.Value `json:"labels"` // an object with values of any type
	Stdout    jsontext.Value `json:"stdout"` // array of lines
	Stderr    jsontext.Value `json:"stderr"` // array of lines
	Retries   jsontext.Value `json:"retries"`
	Flaky     jsontext.Value `json:"flaky"`
	Attempts  jsontext.Value `json:"retryAttempts"`
	Attached  jsontext.Value `json:"attachments"`
	Extra     jsontext.Value `json:"extra"` // only the member of WriteCTRF is read
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
			BuildNumber jsontext.Value `json:"buildNumber"` // a string or a number
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
			spec.Attempts = max(spec.Attempts, 2) // the report may omit the number of attempts
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
		// Neither passed nor failed, unless rawStatus, the runner's own word, means a failure.
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
	if spec.State == reports.Failed && !r.exact { // files of WriteCTRF contain the location if it is known
		failedAt(&spec, "", r.c.relative)
		at.file, at.line = spec.File, spec.Line
	}
	spec.Occurrence = 1
	r.places = append(r.places, at)
	if err := r.c.keep(len(spec.Suite) + len(at.host)); err != nil { // decoded strings are not shared between tests
		return err
	}
	return r.c.add(spec)
}

// labels appends the members of the JSON object v as labels, in the order of the file.
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
		key := name.String() // a copy: name is valid only until the next token
		value, err := d.ReadValue()
		if err != nil {
			return all
		}
		all = appendLabel(all, key, textOf(value), &r.dropped)
	}
	return all
}

// ctrfAttachments returns the attachments of a test and of its attempts.
func (c *collector) ctrfAttachments(t *ctrfTest) (all []reports.Attachment) {
	var attempts []struct {
		Attached jsontext.Value `json:"attachments"`
	}
	lists := []jsontext.Value{t.Attached}
	if json.Unmarshal(t.Attempts, &attempts) == nil { // attempts of another form are ignored
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

// duration reads milliseconds. An invalid duration is a note rather than an error, because the
// outcome of the test is still known.
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

// isFlaky reports whether a passed test failed in an earlier attempt: as the report states it, or, if
// it does not, whether the test was retried.
func isFlaky(flaky jsontext.Value, retried bool) bool {
	switch flaky.Kind() {
	case 't':
		return true
	case 'f':
		return false
	}
	return retried
}

// beforePass returns the message of the first failed attempt, and whether an attempt failed. If the
// report does not list the attempts, any retry implies a failure.
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

// ctrfOutput joins the lines that a test wrote to stdout and stderr.
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

// textOf returns the value of a JSON string, or the JSON text of any other value. It returns "" for
// null and for a missing value.
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

// wholeNumber reads an integer, which may also be in a string. It returns 0, false for other values.
func wholeNumber(v jsontext.Value) (int, bool) {
	n, err := strconv.ParseFloat(textOf(v), 64)
	if err != nil || n != math.Trunc(n) || math.Abs(n) > math.MaxInt32 {
		return 0, false
	}
	return int(n), true
}

// oneOrMore reads a string or an array of strings.
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
		r.c.note("the file has no summary, so its totals could not be checked")
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

// span reads the time of the run from the summary. Invalid times are ignored with a note.
func (r *ctrfReader) span(s *ctrfSummary) {
	const latest = 1e14 // ms since 1970: year 5138
	var at [2]float64
	for i, v := range []jsontext.Value{s.Start, s.Stop} {
		if text := textOf(v); text != "" {
			ms, err := strconv.ParseFloat(text, 64)
			if err != nil || !(ms >= 0 && ms <= latest) {
				r.c.note("the time of the run is unknown: the summary starts at %s and stops at %s", shortText(string(s.Start)), shortText(string(s.Stop)))
				return
			}
			at[i] = ms
		}
	}
	if at[1] != 0 && at[1] < at[0] {
		r.c.note("the time of the run is unknown: the summary starts at %.0f and stops at %.0f ms since 1970", at[0], at[1])
		return
	}
	for _, ms := range at {
		if ms > 0 {
			r.c.reading.during(time.UnixMilli(int64(math.Floor(ms))).UTC())
		}
	}
}

// notes adds notes on data that was ignored or interpreted.
func (r *ctrfReader) notes() {
	if r.badTimes > 0 {
		r.c.note("invalid durations, read as 0: %d; the first is %s", r.badTimes, shortText(r.badTime))
	}
	if r.oddTags > 0 {
		r.c.note("tests whose tags are not strings and were ignored: %d", r.oddTags)
	}
	if r.extras > 0 {
		r.c.note("tests with members in \"extra\", which were ignored: %d", r.extras)
	}
	if r.dropped > 0 {
		r.c.note(droppedLabels, r.dropped)
	}
	if n := r.found.Other - r.unknown; n > 0 && !r.exact { // WriteCTRF writes it only for specs that count as pending
		r.c.note("tests with the status \"other\", which count as pending: %d", n)
	}
	if r.unknown > 0 {
		r.c.note("tests with a status other than passed, failed, skipped, pending and other, which count as failed: %d; the first has the status %q", r.unknown, shortText(r.other))
	}
}
