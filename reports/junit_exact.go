package reports

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The reader of JUnit XML that WriteJUnit has written: what a test case does not say is
// in its property, see exactName, and no name is taken apart.

// exactElement takes over an element in a testcase of our own.
func (j *junitReader) exactElement(name string, a map[string]string) {
	t := j.test
	switch name {
	case "property":
		if a["name"] == exactName {
			t.exact = a["value"]
		}
	case "failure", "error":
		t.failures++
		t.kind, t.message, t.detail = name, a["message"], a["type"]
		j.collect(&t.text)
	case "skipped":
		t.skipped, t.message = true, a["message"]
		j.collect(&t.text)
	case "system-out":
		j.collect(&t.out)
	case "flakyFailure":
		t.retries++
		t.message = a["message"]
		j.collect(&t.text)
	}
}

// plainExact is what a testcase of our own says without a property.
func plainExact(t *junitCase, suite string) (Spec, State) {
	s := Spec{Suite: suite, Leaf: t.name, Occurrence: 1, State: Passed, Attempts: 1 + t.retries, Retried: t.retries > 0, Detail: t.detail}
	if t.class != "" {
		s.Containers = []string{t.class}
	}
	switch {
	case t.failures > 0:
		s.State, s.Retried = Failed, false
	case t.skipped:
		s.State, s.Attempts, s.Retried = Skipped, 0, false
	}
	return s, s.State
}

// takeExact makes a result of a testcase of our own.
func (j *junitReader) takeExact(s *junitSuite, t *junitCase) error {
	spec, found := plainExact(t, s.Path)
	spec.Duration, spec.File, spec.Line, spec.Output = t.took, j.c.relative(t.file), t.line, t.out.String()
	if spec.Message = t.text.String(); spec.Message == "" {
		spec.Message = t.message
	}
	n := tally{tests: 1, elements: t.failures}
	switch found {
	case Failed:
		n.failed = 1
	case Skipped:
		n.skipped = 1
	}
	s.own.add(n)
	if t.exact == "" {
		return j.addExact(spec)
	}
	var e exactSpec
	if err := json.Unmarshal([]byte(t.exact), &e); err != nil {
		return fmt.Errorf("property %s of testcase %q: %w", exactName, t.name, err)
	}
	if e.Node != nil {
		if found != Failed {
			return errNoFailure
		}
		return j.c.fail(&s.Suite, *e.Node, spec.Message, t.file, t.line)
	}
	if err := e.fill(&spec, found); err != nil {
		return err
	}
	return j.addExact(spec)
}

// addExact adds a spec whose occurrence is known already.
func (j *junitReader) addExact(s Spec) error {
	if strings.TrimSpace(s.Message) == "" {
		s.Message = ""
	}
	return j.c.add(s)
}

// exactSuite takes over the property of a testsuite of our own.
func (j *junitReader) exactSuite(s *junitSuite, value string) error {
	var e exactSuite
	if err := json.Unmarshal([]byte(value), &e); err != nil {
		return fmt.Errorf("property %s of testsuite %q: %w", exactName, s.name, err)
	}
	s.Path, s.Description, s.Seed, s.Focused = e.Path, e.Description, e.Seed, e.Focused
	return nil
}
