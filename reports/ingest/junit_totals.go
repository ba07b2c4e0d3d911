package ingest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// totals are totals that a file states, or -1 for those that it does not state.
type totals struct{ tests, failures, errors, skipped int }

var noTotals = totals{-1, -1, -1, -1}

// failed returns the sum of failures and errors, because runners distinguish them differently.
func (c totals) failed() int {
	if c.errors < 0 {
		return c.failures
	}
	return max(0, c.failures) + c.errors
}

// tally counts the contents of a file in all the ways in which runners count them.
type tally struct {
	tests, failed, skipped int // testcases
	elements               int // failure elements: some runners write several for a testcase
	skips                  int // testcases with a skipped element, including failed ones
	again                  int // testcases that are further attempts of a spec
	failedAgain            int // failed testcases that are not separate failed specs
	stated                 int // tests that testsuites state minus those that they list
	tries, failedTries     int // attempts of all testcases, including those that were retried
}

func (t *tally) add(o tally) {
	t.tests += o.tests
	t.failed += o.failed
	t.skipped += o.skipped
	t.elements += o.elements
	t.skips += o.skips
	t.again += o.again
	t.failedAgain += o.failedAgain
	t.stated += o.stated
	t.tries += o.tries
	t.failedTries += o.failedTries
}

// noCount are texts that writers use for missing numbers.
var noCount = []string{"", "none", "null", "nil", "undefined", "nan", "n/a", "-"}

// statedTotals reads the totals of a testsuite or testsuites. It adds skipped and disabled, because
// runners distinguish them differently. A total that is not a number counts as not stated; bad is
// the first of those. If the number of failures is not a number, it is an error, because there may
// be failures.
func statedTotals(a map[string]string) (c totals, bad string, err error) {
	sum := func(names ...string) int {
		total := -1
		for _, name := range names {
			if other := otherTotals[name]; a[name] == "" && isCount(a[other]) {
				name = other
			}
			text := strings.ToLower(strings.TrimSpace(a[name]))
			if slices.Contains(noCount, text) {
				continue
			}
			n, err := strconv.ParseFloat(text, 64)
			if err != nil || n < 0 || n > 1e15 || n != float64(int(n)) {
				if bad == "" {
					bad = fmt.Sprintf("%s=%q", name, shortText(a[name]))
				}
				continue
			}
			total = max(0, total) + int(n)
		}
		return total
	}
	c.failures, c.errors = sum("failures"), sum("errors")
	if bad != "" {
		return noTotals, bad, fmt.Errorf("%s is not a number of testcases", bad)
	}
	c.tests, c.skipped = sum("tests"), sum("skipped", "disabled")
	return c, bad, nil
}

// otherTotals are alternative names of totals. They count only if their value is a number, because
// failed="false" is a verdict.
var otherTotals = map[string]string{"failures": "failed", "errors": "errored", "skipped": "skips"}

func isCount(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}

// TotalsError reports a total of a file that differs from the results in it.
type TotalsError struct {
	Of          string // element that states the total, such as `testsuite "Internal Suite"`
	What        string // "tests", "failures and errors"
	Said, Found int
}

func (e *TotalsError) Error() string {
	return fmt.Sprintf("%s states %d %s and has %d: a difference of %+d", e.Of, e.Said, e.What, e.Found, e.Found-e.Said)
}

// differences compares the totals with counts in all the ways in which runners count. It returns an
// error for each total that equals none of them. The first count is that of the results.
func (c totals) differences(of string, counts ...tally) (all []*TotalsError) {
	agree := func(what string, said int, found func(tally) []int) {
		if said < 0 {
			return
		}
		for _, t := range counts {
			if slices.Contains(found(t), said) {
				return
			}
		}
		all = append(all, &TotalsError{Of: of, What: what, Said: said, Found: found(counts[0])[0]})
	}
	if slices.ContainsFunc(counts, c.ofAttempts) {
		c.tests, c.failures, c.errors = -1, -1, -1
	}
	agree("tests", c.tests, func(t tally) []int { return []int{t.tests, t.tests - t.again, t.tests + t.stated} })
	agree(failuresAndErrors, c.failed(), func(t tally) []int { return []int{t.failed, t.elements, t.failed - t.failedAgain} })
	agree("skipped", c.skipped, func(t tally) []int { return []int{t.skipped, t.skips} })
	return all
}

// ofAttempts reports whether the totals count each attempt as a test, as some versions of Surefire
// do: a test that passed at the third attempt counts as 3 tests and 2 failures. Both totals must
// match, because additional failures alone may be failures that the file does not list.
func (c totals) ofAttempts(t tally) bool {
	return t.tries > t.tests && c.tests == t.tries && c.failed() == t.failedTries
}

const failuresAndErrors = "failures and errors"

// differing collects the totals of a file that differ from its contents.
type differing struct {
	n     int
	first []string
}

func (d *differing) add(e *TotalsError) {
	if d.n++; d.n <= 3 {
		what := e.What
		switch {
		case e.Said == 1 && what == failuresAndErrors:
			what = "failure or error"
		case e.Said == 1:
			what = strings.TrimSuffix(what, "s")
		}
		d.first = append(d.first, fmt.Sprintf("%s states %d %s and lists %d", e.Of, e.Said, what, e.Found))
	}
}

// note adds one note on all differences of the file.
func (d *differing) note(note func(string, ...any)) {
	if d.n == 0 {
		return
	}
	more := ""
	if d.n > len(d.first) {
		more = fmt.Sprintf("; %d more differences", d.n-len(d.first))
	}
	note("the totals of the file differ from its testcases, which are used: %s%s", strings.Join(d.first, "; "), more)
}
