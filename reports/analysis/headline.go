package analysis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

// headline returns the outcome of a run in words. It does not judge: the outcome is that of the
// run, and the reasons are those of the verdicts and suites with the same outcome.
func headline(r reports.Run, notRun int) (word, reason string) {
	word = strings.ToUpper(r.Outcome.String())
	reasons := verdictReasons(r)
	specs := specsReason(r, notRun)
	switch {
	case specs != "" && (r.Outcome == thresholds.Broken || r.Outcome == thresholds.Invalid):
		reasons = append([]string{specs}, reasons...)
	case specs != "":
		reasons = append(reasons, specs)
	case r.Outcome == thresholds.Held && r.Suites != nil:
		reasons = append(reasons, "every spec that ran passed")
	}
	if !r.Complete {
		reasons = append(reasons, "the run was interrupted: the results are incomplete")
	}
	if len(reasons) == 0 {
		reasons = []string{"nothing was judged"}
	}
	return word, strings.Join(reasons, "; ")
}

// maxReasons is the maximum number of reasons of verdicts in a headline.
const maxReasons = 2

// verdictReasons returns the reasons of the verdicts with the outcome of the run.
func verdictReasons(r reports.Run) []string {
	var reasons []string
	sharing := 0
	for _, v := range r.Verdicts {
		if v.Outcome != r.Outcome {
			continue
		}
		sharing++
		if reason := text.OneLine(v.Reason); reason != "" && !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	if sharing > 1 && r.Outcome == thresholds.Held {
		return []string{fmt.Sprintf("all %d limits held", sharing)}
	}
	if more := len(reasons) - maxReasons; more > 0 {
		reasons = append(reasons[:maxReasons], fmt.Sprintf("and %d more", more))
	}
	return reasons
}

// specsReason returns the problems of the suites, or "". notRun is [Analysis.Blocked].
func specsReason(r reports.Run, notRun int) string {
	if r.SuiteError != "" {
		return "the suites gave no results: " + text.OneLine(r.SuiteError)
	}
	if r.Suites == nil {
		return ""
	}
	var parts []string
	c := r.Suites.Counts()
	if c.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s failed", c.Failed, text.Plural(c.Passed+c.Failed, "spec")))
	}
	if n := r.Suites.SuiteFailures(); n > 0 {
		parts = append(parts, text.Plural(n, "failure")+" outside the specs")
	}
	if notRun > 0 {
		parts = append(parts, text.Plural(notRun, "spec")+" not run")
	}
	if c.Passed+c.Failed == 0 {
		parts = append(parts, "no spec ran")
	}
	return strings.Join(parts, "; ")
}

// next returns what to do: first about the specs, then the advice of the verdicts that decided the
// run. There is always at least one step.
func next(r reports.Run) []string {
	var steps []string
	switch {
	case r.SuiteError != "":
		steps = append(steps, "find out why the suites did not finish, then run again")
	case r.Suites != nil && r.Suites.SuiteFailures() == 0 && r.Suites.Counts().PassRate().Of == 0:
		steps = append(steps, "find out why no spec ran, then run again")
	case r.Suites != nil && !r.Suites.Green():
		steps = append(steps, "fix the failed specs and suites, then run again")
	}
	for _, v := range r.Verdicts {
		if step := text.OneLine(v.Next); v.Outcome == r.Outcome && step != "" && !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
	}
	switch {
	case len(steps) > 0:
	case r.Outcome == thresholds.Held:
		steps = []string{"nothing to do"}
	case !r.Complete:
		steps = []string{"run again and let it finish"}
	default:
		steps = []string{"see the report"}
	}
	return steps
}

// notes returns the distinct notes of all verdicts, after those on the run itself.
func notes(r reports.Run) []string {
	var all []string
	if r.Suites != nil && r.Suites.Focused() {
		all = append(all, "programmatic focus: not every spec was asked for; remove it (ginkgo unfocus)")
	}
	if r.Dirty {
		all = append(all, "the working tree had uncommitted changes")
	}
	for _, v := range r.Verdicts {
		for _, n := range v.Notes {
			if n = text.OneLine(n); n != "" && !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
	}
	return all
}
