package reports

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// place is where a spec stands in the source.
type place struct {
	file string
	line int
}

// take makes a result of a testcase.
func (j *junitReader) take(t *junitCase) error {
	s := j.suites[len(j.suites)-1]
	n := tally{tests: 1, elements: t.failures}
	spec := Spec{Suite: s.Path, Leaf: t.name, State: Passed, Attempts: 1 + t.retries, Duration: t.took,
		File: j.c.relative(t.file), Line: t.line, Message: both(t.message, t.text.String())}
	switch {
	case t.failures > 0, t.status == "failed", t.status == "error":
		n.failed, spec.State = 1, Failed
		if t.kind == "error" {
			spec.Detail = "error"
		}
	case t.skipped:
		n.skipped, spec.State, spec.Attempts = 1, Skipped, 0
	case t.status == "notrun", t.status == "disabled", t.status == "skipped", t.status == "pending": // GoogleTest has no element for it
		n.skipped, spec.State, spec.Attempts = 1, Skipped, 0
	case t.retries > 0:
		spec.Retried, spec.Message = true, t.rescued
	}
	for _, inner := range j.suites[1:] {
		spec.Containers = append(spec.Containers, inner.name)
	}
	if t.class != "" && t.class != t.name && !slices.ContainsFunc(j.suites, func(s *junitSuite) bool { return s.name == t.class }) {
		spec.Containers = append(spec.Containers, t.class)
	}
	switch j.dialect {
	case ginkgoJUnit:
		s.own.add(n)
		return j.ginkgo(s, t, spec)
	case goJUnit:
		if t.name == "TestMain" && t.class == "" { // what gotestsum calls the failure of a package; it counts it at the root only
			j.found.failed++
			j.found.elements++
			s.Failures = append(s.Failures, SuiteFailure{Node: "package", Message: shorten(goMessage(t.text.String()))})
			return nil
		}
		spec.Message, spec.Containers = goMessage(spec.Message), nil
		if spec.State == Failed {
			spec.Message = goMessage(t.text.String())
		}
		goWhere(&spec)
		s.own.add(n)
		s.cases = append(s.cases, spec)
		return j.c.keep(len(spec.Message) + len(spec.Leaf))
	case jestJUnit:
		s.own.add(n)
		s.places = append(s.places, place{})
		return j.c.add(spec)
	}
	before := j.c.repeats
	err := j.c.attempt(spec)
	if n.again = j.c.repeats - before; n.again > 0 && n.failed > 0 {
		n.failedAgain = 1
	}
	s.own.add(n)
	return err
}

// ginkgo takes a testcase that Ginkgo wrote: an It, or another node of the suite.
// Ginkgo joins the texts of the containers, the text of the spec and its labels in
// one name; where the spec ran, its own log says where the text ends.
func (j *junitReader) ginkgo(s *junitSuite, t *junitCase, spec Spec) error {
	node, name := "It", strings.TrimSpace(t.name)
	if m := ginkgoNode.FindStringSubmatch(name); m != nil {
		node, name = m[1], name[len(m[0]):]
	} else if name == "" {
		node = "suite"
	}
	spec.Containers, spec.Message = nil, t.message
	if spec.Message == "" {
		spec.Message = strings.TrimSpace(t.text.String())
	}
	if at := ginkgoPlace.FindStringSubmatch(t.text.String()); at != nil {
		spec.File = j.c.relative(at[1])
		spec.Line, _ = strconv.Atoi(at[2]) // digits
	}
	if node != "It" {
		if spec.State == Failed {
			s.Failures = append(s.Failures, SuiteFailure{Node: node, Message: shorten(spec.Message), File: spec.File, Line: spec.Line})
		}
		return nil
	}
	if spec.Detail = ""; spec.State == Failed && t.detail != "failed" {
		spec.Detail = t.detail
	}
	if spec.State == Skipped {
		if t.status == "pending" {
			spec.State = Pending
		}
		spec.Message = strings.TrimPrefix(strings.TrimPrefix(spec.Message, t.status), " - ")
	}
	var at place
	leaf := ""
	if m := ginkgoEntered.FindStringSubmatch(t.log.String()); m != nil {
		leaf, at.file = m[1], m[2]
		at.line, _ = strconv.Atoi(m[3]) // digits
		if spec.File == "" {
			spec.File, spec.Line = j.c.relative(at.file), at.line
		}
	}
	spec.Leaf, spec.Labels = splitLabels(name, leaf)
	if tries := len(ginkgoRetry.FindAllString(t.log.String(), -1)); tries > 0 {
		spec.Attempts, spec.Retried = 1+tries, spec.State == Passed
	}
	s.places = append(s.places, at)
	return j.c.add(spec)
}

var (
	ginkgoNode    = regexp.MustCompile(`^\[(It|BeforeSuite|AfterSuite|SynchronizedBeforeSuite|SynchronizedAfterSuite|ReportBeforeSuite|ReportAfterSuite|DeferCleanup \((?:Suite|AfterSuite)\)|DeferCleanup)\] ?`)
	ginkgoEntered = regexp.MustCompile(`(?m)^> Enter \[It\] (.*) - (.+):(\d+) @ `)
	ginkgoPlace   = regexp.MustCompile(`(?m)^\s*In \[[^\]]+\] at: (.+):(\d+) @ `)
	ginkgoRetry   = regexp.MustCompile(`(?m)^\s*Attempt #\d+ Failed\.`)
	ginkgoLabels  = regexp.MustCompile(` \[([^\[\]]*)\]$`)
)

// splitLabels takes the labels off the end of a name. leaf is the text of the spec,
// "" where it is not known: then one pair of brackets at the end is taken for labels,
// also where it is part of the text. Version constraints stand in brackets of their own.
func splitLabels(name, leaf string) (text string, labels []string) {
	text = name
	least := 0
	if i := strings.LastIndex(name, leaf); leaf != "" && i >= 0 {
		least = i + len(leaf)
	}
	for {
		m := ginkgoLabels.FindStringSubmatchIndex(text)
		if m == nil || m[0] < least || m[0] == 0 {
			return text, labels
		}
		labels = strings.Split(text[m[2]:m[3]], ", ")
		if text = text[:m[0]]; leaf == "" {
			return text, labels
		}
	}
}

// close ends a testsuite: its totals must be those of its testcases.
func (j *junitReader) close() error {
	s := j.suites[len(j.suites)-1]
	if err := j.settle(s); err != nil {
		return err
	}
	s.found.add(s.own)
	if err := s.claims.check("testsuite "+strconv.Quote(s.name), s.found, s.own); err != nil {
		return err
	}
	j.suites = j.suites[:len(j.suites)-1]
	if len(j.suites) > 0 {
		j.suites[len(j.suites)-1].found.add(s.found)
	} else {
		j.found.add(s.found)
	}
	if s.own.tests > 0 || len(s.Failures) > 0 {
		j.c.results.Suites = append(j.c.results.Suites, s.Suite)
	}
	return nil
}

// settle does at the end of a testsuite what needs all of its testcases.
func (j *junitReader) settle(s *junitSuite) error {
	switch j.dialect {
	case ginkgoJUnit:
		j.c.number(s.first, s.places)
		return j.ginkgoSuite(s)
	case jestJUnit:
		j.c.number(s.first, s.places)
	case goJUnit:
		names, failed := make([]string, len(s.cases)), map[string]bool{}
		for i, spec := range s.cases {
			names[i] = spec.Leaf
			failed[spec.Leaf] = failed[spec.Leaf] || spec.State == Failed
		}
		family := subtestsOf(names, failed)
		for _, spec := range s.cases {
			if !family.parent[spec.Leaf] {
				if err := j.c.attempt(spec); err != nil {
					return err
				}
			} else if spec.State == Failed && !family.failed[spec.Leaf] {
				s.Failures = append(s.Failures, SuiteFailure{Node: spec.Leaf, Message: shorten(spec.Message), File: spec.File, Line: spec.Line})
			}
		}
		s.cases = nil
	}
	return nil
}

// ginkgoSuite takes over what Ginkgo says of a suite in properties.
func (j *junitReader) ginkgoSuite(s *junitSuite) error {
	s.Focused = s.ginkgo["SuiteHasProgrammaticFocus"] == "true"
	s.Seed, _ = strconv.ParseInt(cmp.Or(s.ginkgo["RandomSeed"], "0"), 10, 64) // 0 where it is none
	fail := func(message string) {
		s.Failures = append(s.Failures, SuiteFailure{Node: "suite", Message: shorten(message)})
	}
	if reason := s.ginkgo["SpecialSuiteFailureReason"]; reason != "" {
		fail(reason)
	}
	if s.ginkgo["DryRun"] == "true" {
		fail(dryRun)
	}
	if s.ginkgo["SuiteSucceeded"] == "false" && s.own.failed == 0 && len(s.Failures) == 0 {
		fail(failedUntold)
	}
	return nil
}
