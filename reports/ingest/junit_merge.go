package ingest

import (
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// merge joins testcases of a testsuite if there is evidence that they are attempts of one test.
// Equal names are no evidence: rows of a data-driven test, projects and machines have them, too.
//
// There are two kinds of evidence. Either the totals of the suite are wrong for separate testcases
// and right if each test that both failed and passed counts once, as a pass. Or pytest wrote a
// second testcase for a test that failed and whose teardown failed as well.
func (j *junitReader) merge(s *junitSuite) {
	groups := map[string][]int{}
	var order []string
	for i := range s.cases {
		r := &s.cases[i]
		name := string(r.spec.AppendName(nil)) + "\n" + r.place.file
		if groups[name] == nil {
			order = append(order, name)
		}
		groups[name] = append(groups[name], i)
	}
	if len(order) == len(s.cases) {
		return
	}
	gone := make([]bool, len(s.cases))
	join := func(group []int, attempts bool) {
		first := &s.cases[group[0]]
		for _, i := range group[1:] {
			o := &s.cases[i]
			again(&first.spec, o.spec, attempts)
			gone[i] = true
			j.c.kept -= o.size
			j.rescued++
			s.own.again++
		}
	}
	for _, name := range order {
		if group := groups[name]; len(group) == 2 && s.teardown(group) {
			first, second := &s.cases[group[0]].spec, s.cases[group[1]].spec.Message
			message := both(first.Message, second)
			join(group, false)
			first.Message, first.Attempts = reports.Shorten(message), 1
			groups[name] = group[:1]
		}
	}
	if collapsed := s.retried(order, groups); collapsed != nil {
		for _, name := range collapsed {
			group := groups[name]
			for _, i := range group {
				if s.cases[i].spec.State == reports.Failed {
					s.own.failedAgain++
				}
			}
			join(group, true)
			if s.cases[group[0]].spec.State == reports.Failed {
				s.own.failedAgain--
			}
		}
	}
	for _, name := range order {
		if group := groups[name]; len(group) > 1 && !gone[group[1]] && s.mixed(group) {
			j.repeated += len(group)
		}
	}
	kept := s.cases[:0]
	for i, r := range s.cases {
		if !gone[i] {
			kept = append(kept, r)
		}
	}
	s.cases = kept
}

// mixed reports whether some of a group failed and some passed.
func (s *junitSuite) mixed(group []int) bool {
	has := func(state reports.State) bool {
		return slices.ContainsFunc(group, func(i int) bool { return s.cases[i].spec.State == state })
	}
	return has(reports.Failed) && has(reports.Passed)
}

// teardown reports whether a group consists of a failure and the failure of its teardown.
func (s *junitSuite) teardown(group []int) bool {
	failed := !slices.ContainsFunc(group, func(i int) bool { return s.cases[i].spec.State != reports.Failed })
	return failed && slices.ContainsFunc(group, func(i int) bool {
		return s.cases[i].spec.Detail == "error" && strings.HasPrefix(s.cases[i].fault, "failed on teardown")
	})
}

// retried returns the names of the groups that are attempts of one test according to the totals of
// the suite, or nil.
func (s *junitSuite) retried(order []string, groups map[string][]int) []string {
	said := s.totals
	n := s.own
	if said.failures < 0 { // errors="0" alone does not count failures
		return nil
	}
	if s.inner || said.tests < 0 || said.tests == n.tests || said.failed() == n.failed || said.failed() == n.elements {
		return nil
	}
	var mixed, all []string // groups with failures and passes; these and groups with failures only
	testsMixed, testsAll, failed := n.tests-n.again, n.tests-n.again, n.failed
	failedAll := 0
	for _, name := range order {
		group := groups[name]
		fails, passes := 0, 0
		for _, i := range group {
			switch s.cases[i].spec.State {
			case reports.Failed:
				fails++
			case reports.Passed:
				passes++
			}
		}
		switch {
		case len(group) < 2 || fails == 0:
		case passes > 1 || fails+passes < len(group): // a retry stops at the first pass
			return nil
		case passes == 1:
			mixed, all = append(mixed, name), append(all, name)
			testsMixed, testsAll, failed = testsMixed-len(group)+1, testsAll-len(group)+1, failed-fails
		default:
			all = append(all, name)
			testsAll, failedAll = testsAll-len(group)+1, failedAll+fails-1
		}
	}
	switch {
	case len(mixed) == 0:
		return nil
	case said.tests == testsMixed && said.failed() == failed:
		return mixed
	case said.tests == testsAll && said.failed() == failed-failedAll:
		return all
	}
	return nil
}

// noteRepeats adds notes on how results with the same texts were interpreted.
func (j *junitReader) noteRepeats() {
	if j.rescued > 0 {
		j.c.note("results that are further attempts of the same spec: %d", j.rescued)
	}
	if j.counted > 0 {
		j.c.note("results of tests that go test repeated (-count), all of which must pass, beyond the first of each: %d", j.counted)
	}
	if j.repeated > 0 {
		j.c.note("results of one name, some of which passed and some failed: %d; each is a spec of its own, as nothing says that they are retries (for Gradle, set mergeReruns)", j.repeated)
	}
}
