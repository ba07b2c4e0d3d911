package ingest

import (
	"bytes"
	"cmp"
	"hash/fnv"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

// JunitCase is an open testcase.
type JunitCase struct {
	Name, Class, file string
	status, result    string // in lower case
	verdict           string // attribute that marks it as failed
	line              int
	took              time.Duration
	doubt             string // text of an ambiguous duration, see clock
	Failures          int    // number of failure elements
	kind, Detail      string // name and type of the first failure element
	message           string // message of the open failure element
	faults            faults
	first             string  // attribute message of the first failure
	text              excerpt // text of the open failure element
	Skipped           bool
	skip, skipType    string
	skipText          excerpt
	Retries           int
	retryMessage      string // message of the open element of an earlier attempt
	retryText         excerpt
	rescued           faults  // messages of earlier attempts
	out, log          excerpt // system-out and system-err
	labels            []string
	exact             string // property of files of render.WriteJUnit, see ExactName
	attached          []reports.Attachment
}

// reset clears t for another testcase and keeps its buffers.
func (t *JunitCase) reset() {
	was := *t
	*t = JunitCase{faults: faults{texts: was.faults.texts[:0]}, text: was.text.empty(), skipText: was.skipText.empty(), retryText: was.retryText.empty(),
		rescued: faults{texts: was.rescued.texts[:0]}, out: was.out.empty(), log: was.log.empty()}
}

// fail begins a failure or error element.
func (t *JunitCase) fail(kind string, a map[string]string) {
	t.Failures++
	t.message = a["message"]
	if t.Failures == 1 {
		t.kind, t.Detail, t.first = kind, a["type"], t.message
	}
}

// ended handles the end of an element whose text was collected.
func (t *JunitCase) ended(text *excerpt) {
	switch text {
	case &t.text:
		t.faults.add(both(t.message, t.text.String()))
		t.text = t.text.empty()
	case &t.retryText:
		t.rescued.add(both(t.retryMessage, t.retryText.String()))
		t.retryText = t.retryText.empty()
	}
}

var (
	failingWords = []string{"failed", "fail", "failure", "failing", "error", "errored", "broken", "crashed", "timeout", "timedout", "timed out", "aborted", "interrupted",
		"ko", "nok", "not ok", "notok", "unsuccessful", "fatal", "panic", "panicked", "killed", "cancelled", "canceled"}
	skippedWords = []string{"notrun", "not run", "disabled", "skipped", "pending", "ignored", "untested", "suppressed"}
	passingWords = []string{"passed", "pass", "passing", "success", "successful", "succeeded", "ok", "run", "completed", "complete", "done", "executed", "finished", "fixed", "flaky"}

	// failingElements mark a testcase as failed in files that do not use <failure> and <error>.
	failingElements = []string{"failed", "fail", "fatal", "fatalerror", "crash", "timeout"}
	// plainElements group other elements, or are counted by another note.
	plainElements = []string{"properties", "attachments", "failures", "errors", "results"}
)

// saidToFail returns the attribute that marks a testcase, testsuite or testsuites as failed, such
// as status="FAILED", or "".
func saidToFail(a map[string]string) string {
	for _, name := range []string{"status", "result"} {
		if slices.Contains(failingWords, strings.ToLower(a[name])) {
			return name + "=" + strconv.Quote(a[name])
		}
	}
	for name, bad := range map[string]string{"success": "false", "passed": "false", "failed": "true"} {
		if strings.EqualFold(a[name], bad) {
			return name + "=" + strconv.Quote(a[name])
		}
	}
	return ""
}

// word counts unknown statuses of testcases.
func (j *junitReader) word(t *JunitCase) {
	for _, word := range []string{t.status, t.result} {
		if word == "" || slices.Contains(failingWords, word) || slices.Contains(skippedWords, word) || slices.Contains(passingWords, word) {
			continue
		}
		if j.words++; j.words == 1 {
			j.oddWord = word
		}
	}
}

// mayFail is the message with which Catch2 marks a failed test that is allowed to fail. Catch2 does
// not count it as a failure.
const mayFail = "TEST_CASE tagged with !mayfail"

// todo is the type of <skipped> with which Node's test runner marks a test that may fail. Node
// counts it among the failures of its testsuite and exits with 0.
const todo = "todo"

// ctestFailed reports whether CTest could not run a test because its program or a file is missing
// or its fixture failed. CTest writes such a test as skipped and exits with an error. Tests that
// were skipped on purpose have a reason such as SKIP_RETURN_CODE, or the status "disabled".
func (t *JunitCase) ctestFailed() bool {
	return t.status == "notrun" && t.result == "" && t.Skipped && t.Failures == 0 && t.Class == t.Name && t.skip != "" && t.skip != "Disabled" && !strings.HasPrefix(t.skip, "SKIP_")
}

// take converts a complete testcase to a result.
func (j *junitReader) take(t *JunitCase) error {
	s := j.suites[len(j.suites)-1]
	if j.dialect == ownJUnit {
		return j.takeExact(s, t)
	}
	n := tally{tests: 1, elements: t.Failures}
	spec := reports.Spec{Suite: s.Path, Leaf: t.Name, State: reports.Passed, Attempts: 1 + t.Retries, Duration: t.took, File: j.c.relative(t.file), Line: t.line, Labels: t.labels}
	if t.Skipped {
		n.skips = 1
	}
	j.word(t)
	spec.Attachments = j.attachedTo(t)
	is := func(words []string) bool { return slices.Contains(words, t.status) || slices.Contains(words, t.result) }
	switch {
	case t.Skipped && (t.skip == mayFail || t.skipType == todo) && t.Failures > 0:
		n = tally{tests: 1, skipped: 1}
		if t.skipType == todo {
			n.elements, n.skips = t.Failures, 1
		}
		spec.State, spec.Attempts, spec.Message = reports.Skipped, 0, both(t.skip, t.faults.String())
	case t.ctestFailed():
		n.failed, n.skipped, n.skips = 1, 1, 1 // it counts them as skipped
		spec.State, spec.Detail, spec.Message = reports.Failed, "not run", both(t.skip, outputOf(&t.out, &t.log))
	case t.Failures > 0, t.verdict != "":
		n.failed, n.skipped, spec.State, spec.Message = 1, 0, reports.Failed, t.faults.String()
		if t.kind == "error" {
			spec.Detail = "error"
		}
		if t.Failures == 0 {
			spec.Message = cmp.Or(t.skip, "the file says that it failed, and not why: "+t.verdict)
		}
		for _, other := range t.rescued.texts { // usually they are all equal
			t.faults.add(other)
		}
		if len(t.rescued.texts) > 0 {
			spec.Message = cmp.Or(t.faults.String(), spec.Message)
		}
		spec.Output = strings.TrimSpace(attachedOnly.ReplaceAllString(outputOf(&t.out, &t.log), ""))
		failedAt(&spec, t.Class, j.c.relative)
	case t.Skipped, is(skippedWords): // GoogleTest has no element for the latter
		n.skipped, spec.State, spec.Attempts, spec.Message = 1, reports.Skipped, 0, both(t.skip, t.skipText.String())
	case t.Retries > 0:
		spec.Retried, spec.Message = true, t.rescued.String()
	}
	for _, inner := range j.suites[1:] {
		spec.Containers = append(spec.Containers, inner.name)
	}
	if t.Class != "" && t.Class != t.Name && !slices.ContainsFunc(j.suites, func(s *junitSuite) bool { return s.name == t.Class || s.Description == t.Class }) {
		spec.Containers = append(spec.Containers, t.Class)
	}
	n.tries, n.failedTries = 1+t.Retries, n.failed+t.Retries
	s.own.add(n)
	at := s.place
	at.file, at.line = j.c.relative(t.file), t.line
	if t.file == "" {
		at.file = s.place.file
	}
	r := junitResult{spec: spec, place: at, doubt: t.doubt, class: t.Class, fault: cmp.Or(t.first, t.skip)}
	if j.dialect == ginkgoJUnit {
		var keep bool
		var err error
		if keep, err = j.ginkgo(s, t, &r); err != nil || !keep {
			return err
		}
	}
	r.spec.Message = reports.Shorten(r.spec.Message)
	r.size = len(r.spec.Message) + len(r.spec.Output) + len(r.spec.Leaf) + len(r.class) + len(r.spec.File) + overhead
	if j.cases++; j.cases+len(j.c.results.Specs) > j.c.most.specs {
		return j.c.tooMany()
	}
	s.cases = append(s.cases, r)
	return j.c.keep(r.size)
}

// attachedLine attaches a file by a line of the output, as the plugin for attachments of Jenkins and
// GitLab have it, and Playwright writes it.
var attachedLine = regexp.MustCompile(`\[\[ATTACHMENT\|([^\]\n]+)\]\]`)

// attachedOnly is a line with nothing else in it, which says nothing beside the attachment.
var attachedOnly = regexp.MustCompile(`(?m)^[ \t]*\[\[ATTACHMENT\|[^\]\n]+\]\][ \t\r]*\n?`)

// attachedTo are the attachments of a testcase, those of elements and properties first.
func (j *junitReader) attachedTo(t *JunitCase) []reports.Attachment {
	all := t.attached
	texts := slices.Clone(t.rescued.texts) // attempts have what they wrote in their texts
	for _, x := range []*excerpt{&t.out, &t.log} {
		if bytes.Contains(x.head, []byte("[[")) || len(x.tail) > 0 { // most tests need no copy
			texts = append(texts, x.String())
		}
	}
	for _, text := range texts {
		if !strings.Contains(text, "[[") {
			continue
		}
		for _, m := range attachedLine.FindAllStringSubmatch(text, -1) {
			all = j.c.attach(all, "", "", m[1])
		}
	}
	return all
}

// attaches reports whether a property of a test names a file, as "attachment" or
// "testrail_attachment".
func attaches(property string) bool {
	return strings.HasSuffix("_"+strings.ToLower(property), "_attachment")
}

// outputOf joins the outputs of a test to its two streams, up to the size limit of a message.
func outputOf(out, log *excerpt) string {
	a, b := strings.TrimSpace(out.String()), strings.TrimSpace(log.String())
	if a == "" || b == "" {
		return reports.Shorten(a + b)
	}
	var all excerpt
	all.add(a)
	all.add("\n")
	all.add(b)
	return all.String()
}

// close handles the end of a testsuite: it decides which of its testcases are attempts of one spec,
// and compares the totals.
func (j *junitReader) close() error {
	s := j.suites[len(j.suites)-1]
	j.cases -= len(s.cases)
	if err := j.settle(s); err != nil {
		return err
	}
	s.found.add(s.own)
	excess, err := j.compare(s.totals, "testsuite "+strconv.Quote(shortText(s.name)), s.found, s.own)
	if err != nil {
		return err
	}
	if excess != "" {
		if err := j.c.fail(&s.Suite, "suite", excess, "", 0); err != nil {
			return err
		}
		more := s.totals.failed() - max(s.found.failed, s.found.elements)
		s.found.failed, s.found.elements = s.found.failed+more, s.found.elements+more
	}
	if s.verdict != "" && s.found.failed == 0 && s.found.elements == 0 && len(s.Failures) == 0 {
		if err := j.c.fail(&s.Suite, "suite", saidAlone("testsuite "+strconv.Quote(shortText(s.name)), s.verdict), "", 0); err != nil {
			return err
		}
		s.found.elements++ // outer suites count this suite as a failure
	}
	if s.totals.tests >= 0 && !s.inner {
		s.found.stated = s.totals.tests - s.found.tests
	}
	j.suites = j.suites[:len(j.suites)-1]
	if len(j.suites) > 0 {
		j.suites[len(j.suites)-1].found.add(s.found)
	} else {
		j.found.add(s.found)
	}
	if s.own.tests == 0 && len(s.Failures) == 0 && j.dialect != ownJUnit {
		return nil
	}
	i := len(j.c.results.Suites)
	j.clock.later(s.doubt, func(d time.Duration) { j.c.results.Suites[i].Duration = d })
	return j.c.suite(s.Suite)
}

// saidAlone returns the message of a suite that is marked as failed although none of its testcases
// failed.
func saidAlone(of, verdict string) string {
	return of + " says " + verdict + ", and lists nothing that failed: see the output of the runner"
}

// settle adds the testcases of a suite that has ended to the results.
func (j *junitReader) settle(s *junitSuite) error {
	if j.dialect == plainJUnit && goNames(s) {
		j.dialect = goJUnit
	}
	var err error
	switch {
	case j.dialect == ginkgoJUnit:
		err = j.ginkgoSuite(s)
	case j.dialect == goJUnit:
		err = j.goSuite(s)
	default:
		j.projects(s)
		j.merge(s)
	}
	if err != nil {
		return err
	}
	kin := kin(s.cases)
	for i := range s.cases {
		r := &s.cases[i]
		j.c.kept -= r.size
		r.place.kin = kin
		at := len(j.c.results.Specs)
		j.clock.later(r.doubt, func(d time.Duration) { j.c.results.Specs[at].Duration += d })
		if err := j.c.add(r.spec); err != nil {
			return err
		}
		j.places = append(j.places, r.place)
	}
	s.cases = nil
	return nil
}

// kin returns a digest of the names of the testcases of one suite element that does not depend on
// their order.
func kin(cases []junitResult) (sum uint64) {
	var name []byte
	for i := range cases {
		name = cases[i].spec.AppendName(name[:0])
		h := fnv.New64a() // unlike the hash of the collector, it is the same in every process
		h.Write(name)
		sum += h.Sum64()
	}
	return sum
}

// projects adds the project to the names of Playwright's tests, which would otherwise be equal.
// Playwright writes a testsuite for each file and project, with the project as its host.
func (j *junitReader) projects(s *junitSuite) {
	project := s.place.host
	if !j.project || project == "" || slices.ContainsFunc(s.cases, func(r junitResult) bool { return r.class != s.name }) {
		return
	}
	for i := range s.cases {
		if spec := &s.cases[i].spec; !strings.HasPrefix(spec.Leaf, "["+project+"] ") { // unless its option includeProjectInTestName did
			spec.Containers = append([]string{project}, spec.Containers...)
		}
	}
}
