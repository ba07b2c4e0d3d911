package ingest

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// This file reads the results of go test in the JUnit XML of gotestsum and go-junit-report. It
// yields the same specs as [readGoTest] for the same run: tests without subtests, identified by the
// package and their full name.

// goNoTest maps testcases of go-junit-report that are not tests to nodes of suite failures.
var goNoTest = map[string]string{"[build failed]": "build", "[setup failed]": "build", "Failure": "package"}

var goName = regexp.MustCompile(`^(Test|Benchmark|Example|Fuzz)([^\p{Ll}]|$)`)

// goNames recognises suites of go-junit-report without the property go.version: every testcase has
// the class of its suite and the name of a Go test.
func goNames(s *junitSuite) bool {
	if _, numbered := s.props["id"]; !numbered || len(s.cases) == 0 {
		return false
	}
	return !slices.ContainsFunc(s.cases, func(r junitResult) bool {
		noTest := goNoTest[r.spec.Leaf] != "" || r.spec.Leaf == ""
		return r.class != s.name || !goName.MatchString(r.spec.Leaf) && !(noTest && r.spec.Detail == "error")
	})
}

// goSuite converts the testcases of a package as the reader of go test -json does: tests without
// subtests are specs; a failed parent without a failed subtest, a failed build and a failure of the
// package itself are failures of the suite.
func (j *junitReader) goSuite(s *junitSuite) error {
	all := s.cases
	s.cases = nil
	names, failed := make([]string, 0, len(all)), map[string]bool{}
	tests := all[:0:0]
	for _, r := range all {
		spec := &r.spec
		r.text = spec.Message
		spec.Containers, spec.Message, spec.Output = nil, goMessage(spec.Message), goMessage(spec.Output)
		if r.fault == "Failed" || r.fault == "Skipped" { // written for every failed or skipped test, so it says nothing
			spec.Message = strings.TrimPrefix(strings.TrimPrefix(spec.Message, r.fault), "\n")
		}
		if strings.Contains(spec.Message, spec.Output) {
			spec.Output = ""
		}
		node := goNoTest[spec.Leaf]
		switch {
		case spec.Leaf == "TestMain" && r.class == "": // gotestsum counts it only in the totals of the root
			s.own.tests, s.own.failed, s.own.elements = s.own.tests-1, s.own.failed-1, s.own.elements-1
			j.found.failed, j.found.elements = j.found.failed+1, j.found.elements+1
			node = "package"
			if strings.Contains(spec.Message, " failed]") {
				node = "build"
			}
		case spec.Leaf == "" && r.fault == "Build error":
			j.builds[strings.Trim(s.name, "[]")] = strings.TrimPrefix(spec.Message, r.fault+"\n")
			s.name = ""
			continue
		case spec.State != reports.Failed || spec.Detail != "error":
			node = ""
		}
		if node != "" {
			message := strings.TrimPrefix(strings.TrimPrefix(spec.Message, r.fault), "\n")
			at := reports.Spec{Suite: s.Path, Message: message}
			j.c.goWhere(&at)
			if err := j.c.fail(&s.Suite, node, message, at.File, at.Line); err != nil {
				return err
			}
			continue
		}
		if spec.Detail == "error" { // a test without an end
			spec.Detail, spec.Message = "unfinished", cmp.Or(strings.TrimPrefix(strings.TrimPrefix(spec.Message, r.fault), "\n"), "its result is missing: the test program stopped while it ran")
		}
		spec.File, spec.Line = "", 0
		j.c.goWhere(spec)
		spec.File = j.c.relative(spec.File)
		names = append(names, spec.Leaf)
		failed[spec.Leaf] = failed[spec.Leaf] || spec.State == reports.Failed
		tests = append(tests, r)
	}
	family := subtestsOf(names, failed)
	var leaves []junitResult
	told := map[string]bool{}
	for _, r := range tests {
		name := r.spec.Leaf
		benchmark := strings.HasPrefix(name, "Benchmark")
		switch {
		case benchmark && r.spec.State != reports.Failed:
			if !family.parent[name] {
				j.bench = append(j.bench, r)
			}
		case !benchmark && !family.parent[name]:
			leaves = append(leaves, r)
		case r.spec.State == reports.Failed && (benchmark || !family.failed[name]) && !told[name]:
			told[name] = true
			if err := j.c.fail(&s.Suite, name, r.spec.Message, r.spec.File, r.spec.Line); err != nil {
				return err
			}
		}
	}
	s.cases = j.goRepeats(leaves, names, family.up)
	return nil
}

// goRepeats joins the results of a test, keeping the order of first occurrence, if they are repeats
// by -count, all of which must pass, or reruns by gotestsum. Otherwise, for example if the file has
// results of two platforms, they stay separate.
func (j *junitReader) goRepeats(cases []junitResult, names []string, up func(string) string) []junitResult {
	rerun := rerunByGotestsum(cases)
	counted := !rerun && repeatedByCount(cases, names, up)
	if !rerun && !counted {
		return cases
	}
	at := map[string]int{}
	var all []junitResult
	for _, r := range cases {
		i, known := at[r.spec.Leaf]
		if !known {
			at[r.spec.Leaf] = len(all)
			all = append(all, r)
			continue
		}
		j.c.kept -= r.size
		if counted {
			j.counted++
		} else {
			j.rescued++
		}
		again(&all[i].spec, r.spec, rerun)
	}
	return all
}

// again adds another result of the same spec. If one passed and one failed, the spec passed when
// retried if they are attempts; otherwise it failed.
func again(s *reports.Spec, o reports.Spec, attempts bool) {
	was := *s
	better := s.State == reports.Skipped && o.State != reports.Skipped || s.State == reports.Passed && o.State == reports.Failed
	if better {
		*s = o
	}
	s.Attempts, s.Duration = was.Attempts+o.Attempts, was.Duration+o.Duration
	s.Attachments = bothAttached(was.Attachments, o.Attachments)
	s.Retried = was.Retried || o.Retried
	passed := was.State == reports.Passed || o.State == reports.Passed || s.Retried
	if s.State == reports.Failed && attempts && passed {
		s.State, s.Detail, s.Output, s.Retried = reports.Passed, "", "", true
	}
	if s.State == reports.Passed && s.Retried {
		s.Message = cmp.Or(was.Message, o.Message)
	}
	if s.State == reports.Failed {
		s.Retried = false
	}
}

// repeatedByCount reports whether the tests of a package were repeated by -count or -cpu, which
// repeat all tests except examples equally often. If the process died, tests are missing from the
// last repeat, and there is a failure without an end.
func repeatedByCount(cases []junitResult, names []string, up func(string) string) bool {
	times := map[string]int{}
	for _, name := range names {
		if up(name) == "" && !strings.HasPrefix(name, "Example") {
			times[name]++
		}
	}
	least, most := 0, 0
	for _, n := range times {
		if most = max(most, n); least == 0 || n < least {
			least = n
		}
	}
	ended := slices.ContainsFunc(cases, func(r junitResult) bool {
		return r.spec.State == reports.Failed && !strings.Contains(r.text, "--- FAIL: ")
	})
	return most == least || most == least+1 && ended
}

// rerunByGotestsum reports whether tests occur several times in a package because gotestsum
// --rerun-fails ran them again rather than because of -count. In that case each of them passed at
// most once, after failures, and other tests occur once, whereas -count repeats all tests except
// examples. After a crash this cannot be decided, because tests may be missing.
func rerunByGotestsum(cases []junitResult) bool {
	type results struct{ passed, failed, all int }
	tests := map[string]*results{}
	for i := range cases {
		s := &cases[i].spec
		t := tests[s.Leaf]
		if t == nil {
			t = &results{}
			tests[s.Leaf] = t
		}
		t.all++
		switch s.State {
		case reports.Failed:
			t.failed++
			if s.Detail != "" || !strings.Contains(cases[i].text, "--- FAIL: ") {
				return false
			}
		case reports.Passed:
			t.passed++
		}
	}
	once := false
	for name, t := range tests {
		switch {
		case t.all > 1 && (t.failed == 0 || t.passed > 1 || t.passed+t.failed < t.all):
			return false
		case t.all == 1 && t.passed == 1 && !strings.HasPrefix(name, "Example"):
			once = true
		}
	}
	return once
}

// finishGo handles the parts of a file of go test's results that do not belong to one package.
func (j *junitReader) finishGo() error {
	if j.dialect != goJUnit {
		return nil
	}
	if err := j.takeBuilds(); err != nil {
		return err
	}
	if len(j.c.results.Specs) == 0 && j.c.results.SuiteFailures() == 0 && len(j.bench) > 0 {
		j.c.note("it has benchmarks and no tests: each benchmark counts as a spec; their figures are in the output of go test")
		s := &junitSuite{cases: j.goRepeats(j.bench, nil, nil)}
		for i := range s.cases {
			if n := len(j.c.results.Suites); n == 0 || j.c.results.Suites[n-1].Path != s.cases[i].spec.Suite {
				if err := j.c.suite(reports.Suite{Path: s.cases[i].spec.Suite}); err != nil {
					return err
				}
			}
			if err := j.c.add(s.cases[i].spec); err != nil {
				return err
			}
			j.places = append(j.places, s.cases[i].place)
		}
	}
	// gotestsum counts the lines of failed builds as errors of the root.
	if extra := j.root.errors; extra > 0 && j.gotestsum && j.c.results.SuiteFailures() == 0 {
		s := reports.Suite{Path: "go build"}
		message := fmt.Sprintf("gotestsum counts %d errors that no test carries: see its own output", extra)
		if err := j.c.fail(&s, "build", message, "", 0); err != nil {
			return err
		}
		if err := j.c.suite(s); err != nil {
			return err
		}
	}
	if j.gotestsum {
		j.root.errors = -1
	}
	return nil
}

// takeBuilds adds the output of a build, which go-junit-report writes into a separate suite "[p]",
// to the failure of the package p.
func (j *junitReader) takeBuilds() error {
	for _, name := range slices.Sorted(maps.Keys(j.builds)) {
		text := j.builds[name]
		path, _, _ := strings.Cut(name, " ")
		found := false
		for i := range j.c.results.Suites {
			s := &j.c.results.Suites[i]
			for k := range s.Failures {
				if s.Path == path && s.Failures[k].Node == "build" {
					found = true
					if s.Failures[k].Message == "" {
						s.Failures[k].Message = reports.Shorten(text)
					}
				}
			}
		}
		if !found {
			s := reports.Suite{Path: path}
			if err := j.c.fail(&s, "build", text, "", 0); err != nil {
				return err
			}
			if err := j.c.suite(s); err != nil {
				return err
			}
		}
	}
	return nil
}
