package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

const (
	maxLines = 12 // of a summary: what is longer is not read
	maxNames = 3  // of specs in one line
)

// Summary is the account in at most 12 lines of plain text, without line ends: the
// verdict first, then specs, what broke, durability, notes, the report and what to do.
// reportPath may be empty.
func Summary(a *analysis.Analysis, reportPath string) []string {
	head := []string{a.Headline.Word + ": " + text.OneLine(a.Headline.Reason)}
	head = append(head, specLines(a)...)
	if all := a.Run.Benchmarks; len(all) > 0 {
		head = append(head, "benchmarks: "+analysis.FiguresText(all)+", not judged")
	}

	var tail []string
	if all := saidBeside(a); len(all) > 0 {
		tail = append(tail, "notes: "+strings.Join(all, "; "))
	}
	if reportPath != "" {
		tail = append(tail, "report: "+reports.Visible(reportPath))
	}
	var steps []string
	for _, s := range a.Headline.Next {
		steps = append(steps, text.OneLine(s))
	}
	tail = append(tail, "next: "+strings.Join(steps, "; "))

	lines := append(head, costLines(a.Run, maxLines-len(head)-len(tail))...)
	return append(lines, tail...)
}

// saidBeside are the notes, and before them the loosenings that helped to judge the run.
func saidBeside(a *analysis.Analysis) []string {
	var all []string
	for _, l := range a.InForce() {
		all = append(all, ledgerText(l))
	}
	for _, n := range a.Notes {
		all = append(all, text.OneLine(n))
	}
	return all
}

// specLines are at most four.
func specLines(a *analysis.Analysis) []string {
	switch {
	case a.Run.SuiteError != "":
		return []string{"specs: no results"} // why is in the first line
	case a.Run.Suites == nil:
		return []string{"specs: not run"}
	}
	line := "specs: " + passLine(a.Counts)
	if t := a.Target; t != nil {
		line += "; " + text.OneLine(lowerFirst(targetText(*t)))
	}
	lines := []string{line}
	if n := a.Run.Suites.SuiteFailures(); n > 0 {
		lines = append(lines, "outside the specs: "+names(suiteFailureNames(a.Run.Suites)))
	}
	lines = append(lines, movedLine(a))
	if line := phaseLine(a); line != "" {
		lines = append(lines, line)
	}
	return lines
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// phaseLine is "phase 4: 10.2% fewer (6 of 59); over all 19.7% fewer (13 of 66)".
func phaseLine(a *analysis.Analysis) string {
	if len(a.Phases) == 0 {
		return ""
	}
	last := a.Phases[len(a.Phases)-1]
	for i := len(a.Phases) - 1; last.To == nil && i >= 0; i-- {
		last = a.Phases[i]
	}
	if last.To == nil || last.Fewer.Of == 0 {
		return ""
	}
	failures, _ := fewer(last.Fewer)
	line := fmt.Sprintf("phase %s: %s failures", text.Cut(reports.Visible(last.Name), 60), failures)
	if a.Overall != nil && a.Overall.Fewer.Of > 0 {
		failures, _ := fewer(a.Overall.Fewer)
		line += "; over all phases " + failures
	}
	return line
}

// passLine is "41 of 41 specs passed (100%, 95% band 91.4 to 100%); 0 skipped".
func passLine(c reports.Counts) string {
	r := c.PassRate()
	if r.Of == 0 {
		return fmt.Sprintf("none of %s ran: no pass rate", text.Plural(c.All(), "spec")) + leftOut(c)
	}
	low, high := r.Band()
	all := ""
	if whole := c.PassRateOfAll(); whole.Of != r.Of {
		all = ", " + whole.Percent() + " of all"
	}
	return fmt.Sprintf("%s of %s passed (%s%s, 95%% band %s to %s%%)%s", text.Count(r.Good), text.Plural(r.Of, "spec"),
		r.Percent(), all, reports.Percent(low), reports.Percent(high), leftOut(c))
}

func leftOut(c reports.Counts) string {
	s := fmt.Sprintf("; %d skipped", c.Skipped)
	if c.Pending > 0 {
		s += fmt.Sprintf(", %d pending", c.Pending)
	}
	if c.Retried > 0 {
		s += fmt.Sprintf("; %d passed only when retried", c.Retried)
	}
	return s
}

// movedLine is what changed for the worse, then how much for the better.
func movedLine(a *analysis.Analysis) string {
	if !a.Matrix.Compared {
		line := "no earlier run to compare with"
		if failing := movedNames(a, reports.Failing, reports.Broke, reports.NewFailing); len(failing) > 0 {
			line = "failing: " + names(failing) + " (" + line + ")"
		}
		if n := len(movedNames(a, reports.Flaky)); n > 0 {
			line += fmt.Sprintf("; %d %s", n, reports.Flaky)
		}
		return line
	}
	line := "nothing newly broken"
	if broke := movedNames(a, reports.Broke, reports.NewFailing); len(broke) > 0 {
		line = "newly broken: " + names(broke)
	}
	for _, kind := range []reports.Kind{reports.StillFailing, reports.NotRun, reports.Flaky, reports.Fixed, reports.NewlySkipped, reports.Renamed, reports.New, reports.Gone} {
		if n := len(movedNames(a, kind)); n > 0 {
			line += fmt.Sprintf("; %d %s", n, kind)
		}
	}
	if a.Previous != nil {
		line += fmt.Sprintf(" (since run %s)", lineName(*a.Previous))
	}
	return line
}

// movedNames are the failures outside the specs, then the specs, that moved in one of
// these ways.
func movedNames(a *analysis.Analysis, kinds ...reports.Kind) []string {
	var out []string
	for i := range a.Outside {
		if slices.Contains(kinds, a.Outside[i].Kind) {
			out = append(out, a.Outside[i].Name())
		}
	}
	for i := range a.Moves {
		if slices.Contains(kinds, a.Moves[i].Kind) {
			out = append(out, a.Moves[i].Spec.Name())
		}
	}
	return out
}

func suiteFailureNames(r *reports.Results) []string {
	var out []string
	for _, s := range r.Suites {
		for _, f := range s.Failures {
			out = append(out, fmt.Sprintf("%s: %s: %s", s.Path, f.Node, firstLine(f.Message)))
		}
	}
	return out
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// names shows the first few; each is cut where it would fill the screen.
func names(all []string) string {
	shown := make([]string, 0, maxNames)
	for _, n := range all[:min(len(all), maxNames)] {
		shown = append(shown, text.Cut(reports.Visible(n), 160))
	}
	s := strings.Join(shown, ", ")
	if more := len(all) - len(shown); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// costLines tells of the measurements in at most room lines, three at least: the first,
// the one that went worst, in three where there is room.
func costLines(run reports.Run, room int) []string {
	if len(run.Comparisons) == 0 {
		return []string{"durability: not measured"}
	}
	order := worstFirst(run)
	lines := measured(run, order[0], len(order) > 1)
	for i, c := range order[1:] {
		if left := len(order) - 1 - i; len(lines) == room || len(lines) == room-1 && left > 1 {
			return append(lines[:room-1], fmt.Sprintf("%s more: see the report", text.Plural(left, "workload")))
		}
		lines = append(lines, brief(run, c))
	}
	return lines
}

// worstFirst puts the comparisons whose verdict is the run's before the others.
func worstFirst(run reports.Run) []*harness.Comparison {
	var first, rest []*harness.Comparison
	for i := range run.Comparisons {
		c := &run.Comparisons[i]
		if v := run.VerdictFor(c); v != nil && v.Outcome == run.Outcome {
			first = append(first, c)
		} else {
			rest = append(rest, c)
		}
	}
	return append(first, rest...)
}

func measured(run reports.Run, c *harness.Comparison, several bool) []string {
	cost := text.CostSentence(*c)
	if several {
		cost = reports.Visible(c.Name()) + ": " + cost
	}
	v := run.VerdictFor(c)
	scripts := ""
	if text.Estimated(c.Scripts) {
		scripts = fmt.Sprintf("; the scripts alone %s us a run", text.Figure(c.Scripts.Value))
	}
	return []string{
		cost,
		ratioLine(c, v) + "; overhead (W-N)/N " + text.OverheadText(c.Overhead) + ", not gated" + scripts,
		selfLine(v),
	}
}

// ratioLine is "(W-N)/F 1.31 (1.29 to 1.33, 95%, n=15 blocks), limit 1.45".
func ratioLine(c *harness.Comparison, v *thresholds.Verdict) string {
	line := "(W-N)/F not estimated"
	if text.Estimated(c.CostRatio) {
		line = fmt.Sprintf("(W-N)/F %s (%s)", text.Figure(c.CostRatio.Value), text.Within(c.CostRatio, 1))
	}
	switch {
	case v == nil:
		return line + ", not judged"
	case v.Limit == 0:
		return line + ", no limit"
	}
	return fmt.Sprintf("%s, limit %s, %d of %d blocks above the boundary %s", line, text.Figure(v.Limit), v.Above, v.N, text.Figure(v.Boundary))
}

// selfLine is "self-check: the A/A pair held (2 of 15 above), the injected +25% broken (15 of 15 above)".
func selfLine(v *thresholds.Verdict) string {
	if v == nil || len(v.Self) == 0 {
		return "self-check: none"
	}
	parts := make([]string, len(v.Self))
	for i, s := range v.Self {
		parts[i] = fmt.Sprintf("%s %s (%d of %d above)", reports.Visible(s.Name), s.Got, s.Above, s.N)
		if s.Got != s.Want {
			parts[i] += fmt.Sprintf(", must be %s", s.Want)
		}
	}
	return "self-check: " + strings.Join(parts, ", ")
}

func brief(run reports.Run, c *harness.Comparison) string {
	v := run.VerdictFor(c)
	word := "not judged"
	if v != nil {
		word = v.Outcome.String()
	}
	return fmt.Sprintf("%s: %s: %s", reports.Visible(c.Name()), word, ratioLine(c, v))
}

// Details is all of the account in plain text, without line ends, to stand behind its
// [Summary].
func Details(a *analysis.Analysis) []string {
	var lines []string
	for _, s := range sections(a) {
		lines = append(lines, "", s.Title)
		for _, it := range s.Items {
			lines = append(lines, "  "+it.Before+it.Name+it.After)
			if it.Command != "" {
				lines = append(lines, "    run it again: "+it.Command)
			}
			if it.Block != "" {
				for _, l := range strings.Split(it.Block, "\n") {
					lines = append(lines, "    | "+l)
				}
			}
		}
	}
	return lines
}
