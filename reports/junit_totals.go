package reports

import (
	"fmt"
	"strconv"
	"strings"
)

// claims are the totals that a file states; -1 where it does not.
type claims struct{ tests, failures, errors, skipped int }

// tally is what was counted.
type tally struct {
	tests, failed, skipped int // testcases
	elements               int // of failures: some runners write several for a testcase
	again                  int // testcases that are further attempts of a spec
	failedAgain            int // of those, and fail
}

func (t *tally) add(o tally) {
	t.tests += o.tests
	t.failed += o.failed
	t.skipped += o.skipped
	t.elements += o.elements
	t.again += o.again
	t.failedAgain += o.failedAgain
}

// claimed reads the totals of a testsuite or testsuites. Skipped and disabled are
// taken together: runners divide them differently.
func claimed(a map[string]string) (claims, error) {
	sum := func(names ...string) (int, error) {
		total := -1
		for _, name := range names {
			text := strings.TrimSpace(a[name])
			if text == "" {
				continue
			}
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				return 0, fmt.Errorf("%s=%q is no number of testcases", name, text)
			}
			total = max(0, total) + n
		}
		return total, nil
	}
	var c claims
	var err error
	if c.tests, err = sum("tests"); err != nil {
		return c, err
	}
	if c.failures, err = sum("failures"); err != nil {
		return c, err
	}
	if c.errors, err = sum("errors"); err != nil {
		return c, err
	}
	c.skipped, err = sum("skipped", "disabled")
	return c, err
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

// check compares the claims with what was counted, in any of the ways that runners
// count in. Failures and errors are one number: runners divide them differently too.
func (c claims) check(of string, counts ...tally) error {
	agrees := func(what string, said int, found func(tally) []int) error {
		if said < 0 {
			return nil
		}
		for _, t := range counts {
			for _, n := range found(t) {
				if n == said {
					return nil
				}
			}
		}
		return &TotalsError{Of: of, What: what, Said: said, Found: found(counts[0])[0]}
	}
	if err := agrees("tests", c.tests, func(t tally) []int { return []int{t.tests, t.tests - t.again} }); err != nil {
		return err
	}
	failed := c.failures
	if c.errors >= 0 {
		failed = max(0, failed) + c.errors
	}
	if err := agrees("failures and errors", failed, func(t tally) []int { return []int{t.failed, t.elements, t.failed - t.failedAgain} }); err != nil {
		return err
	}
	return agrees("skipped", c.skipped, func(t tally) []int { return []int{t.skipped} })
}
