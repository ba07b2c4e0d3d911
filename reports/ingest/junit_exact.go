package ingest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// This file reads the JUnit XML of render.WriteJUnit. Facts that a test case cannot express are in
// a property, see [ExactName], so names are not split.

// exactElement handles an element in a testcase.
func (j *junitReader) exactElement(name string, a map[string]string) {
	t := j.test
	switch name {
	case "property":
		if a["name"] == ExactName {
			t.exact = a["value"]
		}
	case "failure", "error":
		t.Failures++
		t.kind, t.message, t.Detail = name, a["message"], a["type"]
		j.collect(&t.text)
	case "skipped":
		t.Skipped, t.message = true, a["message"]
		j.collect(&t.text)
	case "system-out":
		j.collect(&t.out)
	case "flakyFailure":
		t.Retries++
		t.message = a["message"]
		j.collect(&t.text)
	}
}

// PlainExact returns the spec and state that a testcase has without its property.
func PlainExact(t *JunitCase, suite string) (reports.Spec, reports.State) {
	s := reports.Spec{Suite: suite, Leaf: t.Name, Occurrence: 1, State: reports.Passed, Attempts: 1 + t.Retries, Retried: t.Retries > 0, Detail: t.Detail}
	if t.Class != "" {
		s.Containers = []string{t.Class}
	}
	switch {
	case t.Failures > 0:
		s.State, s.Retried = reports.Failed, false
	case t.Skipped:
		s.State, s.Attempts, s.Retried = reports.Skipped, 0, false
	}
	return s, s.State
}

// takeExact converts a testcase to a result.
func (j *junitReader) takeExact(s *junitSuite, t *JunitCase) error {
	spec, found := PlainExact(t, s.Path)
	spec.Duration, spec.File, spec.Line, spec.Output = t.took, j.c.relative(t.file), t.line, t.out.String()
	if spec.Message = t.text.String(); spec.Message == "" {
		spec.Message = t.message
	}
	n := tally{tests: 1, elements: t.Failures}
	switch found {
	case reports.Failed:
		n.failed = 1
	case reports.Skipped:
		n.skipped = 1
	}
	s.own.add(n)
	if t.exact == "" {
		return j.addExact(spec)
	}
	var e ExactSpec
	if err := json.Unmarshal([]byte(t.exact), &e); err != nil {
		return fmt.Errorf("property %s of testcase %q: %w", ExactName, t.Name, err)
	}
	if e.Node != nil {
		if found != reports.Failed {
			return errNoFailure
		}
		return j.c.fail(&s.Suite, *e.Node, spec.Message, t.file, t.line)
	}
	if err := e.fill(&spec, found); err != nil {
		return err
	}
	return j.addExact(spec)
}

// addExact adds a spec that already has its occurrence.
func (j *junitReader) addExact(s reports.Spec) error {
	if strings.TrimSpace(s.Message) == "" {
		s.Message = ""
	}
	return j.c.add(s)
}

// exactSuite handles the property of a testsuite.
func (j *junitReader) exactSuite(s *junitSuite, value string) error {
	var e ExactSuite
	if err := json.Unmarshal([]byte(value), &e); err != nil {
		return fmt.Errorf("property %s of testsuite %q: %w", ExactName, s.name, err)
	}
	s.Path, s.Description, s.Seed, s.Focused = e.Path, e.Description, e.Seed, e.Focused
	return nil
}
