package ingest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// claims are the totals that a file states; -1 where it does not.
type claims struct{ tests, failures, errors, skipped int }

var noClaims = claims{-1, -1, -1, -1}

// failed is the number of failures and errors, which runners divide differently.
func (c claims) failed() int {
	if c.errors < 0 {
		return c.failures
	}
	return max(0, c.failures) + c.errors
}

// tally is what was counted.
type tally struct {
	tests, failed, skipped int // testcases
	elements               int // of failures: some runners write several for a testcase
	skips                  int // testcases with an element that says so, also those that failed
	again                  int // testcases that are further attempts of a spec
	failedAgain            int // failing testcases that are no failing spec of their own
	stated                 int // tests, where a testsuite states another number than it lists
	tries, failedTries     int // attempts of all testcases, with those that a retry followed
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

// noCount are words that writers use where they have no number.
var noCount = []string{"", "none", "null", "nil", "undefined", "nan", "n/a", "-"}

// claimed reads the totals of a testsuite or testsuites. Skipped and disabled are
// taken together: runners divide them differently. A total that is no number is not
// stated; bad is the first of those. Failures that are no number are an error: nobody
// knows whether there are some.
func claimed(a map[string]string) (c claims, bad string, err error) {
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
		return noClaims, bad, fmt.Errorf("%s is no number of testcases", bad)
	}
	c.tests, c.skipped = sum("tests"), sum("skipped", "disabled")
	return c, bad, nil
}

// otherTotals are names that some writers give to a total. They count only where they hold
// a number: failed="false" is a verdict.
var otherTotals = map[string]string{"failures": "failed", "errors": "errored", "skipped": "skips"}

func isCount(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}

// TotalsError is a file whose own totals are not those of the results in it.
type TotalsError struct {
	Of          string // what states it: `testsuite "Internal Suite"`
	What        string // "tests", "failures and errors"
	Said, Found int
}

func (e *TotalsError) Error() string {
	return fmt.Sprintf("%s states %d %s and has %d: a difference of %+d", e.Of, e.Said, e.What, e.Found, e.Found-e.Said)
}

// differences compares the claims with what was counted, in any of the ways that
// runners count in, the first of which is that of the results. It returns an error for
// each claim that is none of them.
func (c claims) differences(of string, counts ...tally) (all []*TotalsError) {
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

// ofAttempts reports whether the claims count each attempt as a test, as some versions of
// Surefire do: a test that passed at the third attempt is 3 tests and 2 failures. Both
// totals must say so: failures alone may be ones that the file does not list.
func (c claims) ofAttempts(t tally) bool {
	return t.tries > t.tests && c.tests == t.tries && c.failed() == t.failedTries
}

const failuresAndErrors = "failures and errors"

// differing collects where a file states other totals than it lists.
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
		d.first = append(d.first, fmt.Sprintf("%s says %d %s and lists %d", e.Of, e.Said, what, e.Found))
	}
}

// note says what differs, once for the file.
func (d *differing) note(note func(string, ...any)) {
	if d.n == 0 {
		return
	}
	more := ""
	if d.n > len(d.first) {
		more = fmt.Sprintf("; %d more differences", d.n-len(d.first))
	}
	note("the totals of the file are not those of its testcases, which are taken: %s%s", strings.Join(d.first, "; "), more)
}
