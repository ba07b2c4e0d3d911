package render

import (
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

// symbols are printed before the words of outcomes.
var symbols = map[thresholds.Outcome]string{thresholds.Held: "✓", thresholds.Broken: "✗", thresholds.Inconclusive: "?", thresholds.Invalid: "!"}

// verdictSentence returns the result of the run in words, without a full stop: the specs, then the
// limits, as far as the run was asked for them.
func verdictSentence(a *analysis.Analysis) string {
	var parts []string
	for _, part := range []string{specsSentence(a), limitsSentence(a)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if !a.Run.Complete {
		parts = append(parts, "the run was interrupted: the results are incomplete")
	}
	if len(parts) == 0 {
		return text.OneLine(a.Headline.Reason)
	}
	if a.Run.Outcome == thresholds.Broken && a.Counts.Failed == 0 && a.Run.Suites != nil && a.Run.Suites.SuiteFailures() == 0 {
		parts[0], parts[len(parts)-1] = parts[len(parts)-1], parts[0] // the limits decided
	}
	return strings.Join(parts, "; ")
}

// specsSentence returns a text such as "2 of 18 specs failed: 1 newly broken, 1 still failing".
func specsSentence(a *analysis.Analysis) string {
	if a.Run.SuiteError != "" {
		return "the suites gave no results: " + text.OneLine(a.Run.SuiteError)
	}
	if a.Run.Suites == nil {
		return ""
	}
	c := a.Counts
	ran := c.Passed + c.Failed
	var parts []string
	n, notRun := a.Run.Suites.SuiteFailures(), text.Plural(a.Blocked, "spec")+" not run"
	outside := text.Plural(n, "failure") + " outside the specs"
	if n == unbuilt(a.Run.Suites) {
		outside = text.Plural(n, "package") + " did not build"
	}
	switch {
	case n > 0 && a.Blocked > 0:
		parts = append(parts, outside+": "+notRun)
	case n > 0:
		parts = append(parts, outside)
	case a.Blocked > 0:
		parts = append(parts, notRun)
	}
	switch {
	case c.Failed > 0:
		part := fmt.Sprintf("%s of %s failed", text.Count(c.Failed), text.Plural(ran, "spec"))
		if why := blame(a); why != "" {
			part += ": " + why
		}
		parts = append([]string{part}, parts...)
	case ran == 0:
		parts = append(parts, "no spec ran")
	case ran == 1:
		parts = append(parts, "1 spec passed")
	default:
		parts = append(parts, text.Plural(ran, "spec")+" passed")
	}
	if a.Run.Suites.Focused() {
		parts = append(parts, "only focused specs ran")
	}
	return strings.Join(parts, "; ")
}

// unbuilt counts the packages that did not compile.
func unbuilt(r *reports.Results) (n int) {
	for _, s := range r.Suites {
		for _, f := range s.Failures {
			if f.Node == "build" || strings.HasPrefix(f.Message, "does not compile: ") {
				n++
			}
		}
	}
	return n
}

// blame counts the failures by origin or, if no origin is known, by transition.
func blame(a *analysis.Analysis) string {
	if !a.Matrix.Compared {
		return ""
	}
	if line := blameByWhose(a); line != "" {
		return line
	}
	var order []string
	n := map[string]int{}
	for i := range a.Moves {
		m := &a.Moves[i]
		if m.Now != reports.Failed {
			continue
		}
		kind := string(m.Kind)
		if m.Kind == reports.Broke || m.Kind == reports.NewFailing {
			kind = "newly broken"
		}
		if n[kind] == 0 {
			order = append(order, kind)
		}
		n[kind]++
	}
	parts := make([]string, len(order))
	for i, kind := range order {
		parts[i] = fmt.Sprintf("%s %s", text.Count(n[kind]), kind)
	}
	return strings.Join(parts, ", ")
}

// blameByWhose returns a text such as "1 by this change, 1 red on main", or "" if no origin is known.
func blameByWhose(a *analysis.Analysis) string {
	n := map[analysis.Whose]int{}
	known := false
	for i := range a.Failures {
		f := &a.Failures[i]
		if f.Outside == nil && f.Spec.State == reports.Failed {
			n[f.Whose]++
			known = known || f.Whose != analysis.Unknown
		}
	}
	if !known {
		return ""
	}
	var parts []string
	for _, w := range analysis.AllWhose {
		if n[w] > 0 {
			parts = append(parts, text.Count(n[w])+" "+string(w))
		}
	}
	return strings.Join(parts, ", ")
}

// whose returns the origin of a failure or, if it is unknown, how long it has been failing.
func whose(by failures, t *analysis.Attention) string {
	if f := by[t.Spec.Digest()]; f != nil && t.Outside == nil {
		switch {
		case f.Whose == analysis.RedOnMain && f.Since != nil:
			return fmt.Sprintf("%s since run %s", f.Whose, lineName(*f.Since))
		case f.Whose != analysis.Unknown:
			return string(f.Whose)
		}
	}
	switch t.Kind {
	case analysis.NewlyBroken:
		return "newly broken"
	case analysis.FailingNow:
		return "failing" // there is no earlier run to compare with
	case analysis.SuiteBroken:
		if t.Outside.Kind == reports.Broke {
			return "newly broken"
		}
		return string(t.Outside.Kind)
	case analysis.FlakyNow:
		if f := t.Flake; f != nil {
			return fmt.Sprintf("flaky in %d of %s", f.Flaked.Good, text.Plural(f.Flaked.Of, "run"))
		}
		return "flaky"
	}
	if t.Age.Runs < 2 {
		return "still failing"
	}
	return fmt.Sprintf("failing since run %s (%s)", lineName(*t.Age.Since), text.Plural(t.Age.Runs, "run"))
}

// failures are the failures of specs by key.
type failures map[reports.Digest]*analysis.Failure

func failuresOf(a *analysis.Analysis) failures {
	by := make(failures, len(a.Failures))
	for i := range a.Failures {
		if f := &a.Failures[i]; f.Outside == nil {
			by[f.Spec.Digest()] = f
		}
	}
	return by
}

// limitsSentence returns the result of the measurements in words.
func limitsSentence(a *analysis.Analysis) string {
	verdicts := a.Run.Verdicts
	var of [4]int
	worst := -1
	for i := range verdicts {
		of[verdicts[i].Outcome]++
		if worst < 0 || severity(verdicts[i].Outcome) > severity(verdicts[worst].Outcome) {
			worst = i
		}
	}
	if worst < 0 {
		return ""
	}
	v := &verdicts[worst]
	var sentence string
	switch {
	case v.Outcome == thresholds.Held && len(verdicts) > 1 && v.Against != "":
		return fmt.Sprintf("all %d comparisons with %s held", len(verdicts), text.OneLine(v.Against))
	case v.Outcome == thresholds.Held && len(verdicts) > 1:
		return fmt.Sprintf("all %d limits held", len(verdicts))
	case v.Against != "":
		sentence = againstSentence(v)
	case v.Outcome == thresholds.Held && v.Metric == thresholds.MetricCostRatio:
		return "durability within its limit"
	case v.Outcome == thresholds.Held && v.Metric == thresholds.MetricInstructions:
		return "durability within its limit for any machine"
	case v.Outcome == thresholds.Held && v.Metric == thresholds.MetricCounts:
		return "the counts of a run are within their limit"
	case v.Outcome == thresholds.Held && v.Against == "":
		return "within its limit"
	case overLimit(v):
		sentence = fmt.Sprintf("durability of %s is above its limit", text.OneLine(v.Workload))
		if c := comparisonOf(&a.Run, v); c != nil && text.Estimated(c.CostRatio) {
			sentence = fmt.Sprintf("durability of %s costs %sx the floor, above its limit %sx", text.OneLine(v.Workload), text.Figure(c.CostRatio.Value), text.Figure(v.Limit))
		}
	default:
		sentence = strings.ReplaceAll(text.OneLine(v.Reason), "(W-N)/F", "cost")
	}
	if more := of[v.Outcome] - 1; more > 0 {
		what := "limit"
		if v.Against != "" {
			what = "comparison"
		}
		sentence += "; " + text.More(more, what) + " " + v.Outcome.String()
	}
	return sentence
}

// severity orders outcomes, the worst last.
func severity(o thresholds.Outcome) int {
	switch o {
	case thresholds.Held:
		return 0
	case thresholds.Inconclusive:
		return 1
	case thresholds.Broken:
		return 2
	}
	return 3
}

// overLimit reports whether a verdict is broken because the cost exceeds its limit. Other reasons
// are already in words.
func overLimit(v *thresholds.Verdict) bool {
	return v.Outcome == thresholds.Broken && v.Metric == thresholds.MetricCostRatio && v.Limit != 0 && strings.Contains(v.Reason, "(W-N)/F is above its limit")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
