package reports

import (
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

const (
	maxLines = 12 // of a summary: what is longer is not read
	maxNames = 3  // of specs in one line
)

// Summary is the run in at most 12 lines of plain text, without line ends: the
// verdict first, then specs, what broke, durability, notes, the report and what to
// do. previous is the run to compare specs with ([Previous]), or nil; reportPath may
// be empty.
func Summary(run Run, previous *Run, reportPath string) []string {
	word, reason := headline(run)
	head := []string{word + ": " + reason}
	head = append(head, specLines(run, previous)...)

	var tail []string
	if all := notes(run); len(all) > 0 {
		tail = append(tail, "notes: "+strings.Join(all, "; "))
	}
	if reportPath != "" {
		tail = append(tail, "report: "+Visible(reportPath))
	}
	tail = append(tail, "next: "+strings.Join(next(run), "; "))

	lines := append(head, costLines(run, maxLines-len(head)-len(tail))...)
	return append(lines, tail...)
}

// specLines are at most three.
func specLines(run Run, previous *Run) []string {
	switch {
	case run.SuiteError != "":
		return []string{"specs: no results"} // why is in the first line
	case run.Suites == nil:
		return []string{"specs: not run"}
	}
	c := run.Suites.Counts()
	line := "specs: " + passLine(c)
	lines := []string{line}
	if n := run.Suites.SuiteFailures(); n > 0 {
		lines = append(lines, "outside the specs: "+names(suiteFailureNames(run.Suites)))
	}
	return append(lines, movedLine(run, previous))
}

// passLine is "41 of 41 specs passed (100%, 95% band 91.4 to 100%); 0 skipped".
func passLine(c Counts) string {
	r := c.PassRate()
	if r.Of == 0 {
		return fmt.Sprintf("none of %s ran: no pass rate", plural(c.All(), "spec")) + leftOut(c)
	}
	low, high := r.Band()
	return fmt.Sprintf("%d of %s passed (%s%%, 95%% band %s to %s%%)%s", r.Good, plural(r.Of, "spec"),
		r.percent(), percent(low), percent(high), leftOut(c))
}

func leftOut(c Counts) string {
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
func movedLine(run Run, previous *Run) string {
	var earlier *Results
	if previous != nil {
		earlier = previous.Suites
	}
	moves := Transitions(earlier, run.Suites)
	if earlier == nil {
		line := "no earlier run to compare with"
		if failing := ofKind(moves, Failing); len(failing) > 0 {
			line = "failing: " + names(specNames(failing)) + " (" + line + ")"
		}
		return line
	}
	line := "nothing newly broken"
	if broke := ofKind(moves, Broke, NewFailing); len(broke) > 0 {
		line = "newly broken: " + names(specNames(broke))
	}
	for _, kind := range []Kind{StillFailing, Fixed, NewlySkipped, New, Gone} {
		if n := len(ofKind(moves, kind)); n > 0 {
			line += fmt.Sprintf("; %d %s", n, kind)
		}
	}
	if previous.ID != 0 {
		line += fmt.Sprintf(" (since run %d)", previous.ID)
	}
	return line
}

func specNames(ts []Transition) []string {
	out := make([]string, len(ts))
	for i := range ts {
		out[i] = ts[i].Spec.Name()
	}
	return out
}

func suiteFailureNames(r *Results) []string {
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
		shown = append(shown, cut(Visible(n), 160))
	}
	s := strings.Join(shown, ", ")
	if more := len(all) - len(shown); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// cut keeps at most n runes.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// costLines tells of the measurements in at most room lines: the first, the one that
// went worst, in three.
func costLines(run Run, room int) []string {
	if len(run.Comparisons) == 0 {
		return []string{"durability: not measured"}
	}
	order := worstFirst(run)
	lines := measured(run, order[0], len(order) > 1)
	for i, c := range order[1:] {
		if left := len(order) - 1 - i; len(lines) == room-1 && left > 1 {
			return append(lines, fmt.Sprintf("%s more: see the report", plural(left, "workload")))
		}
		lines = append(lines, brief(run, c))
	}
	return lines
}

// worstFirst puts the comparisons whose verdict is the run's before the others.
func worstFirst(run Run) []*harness.Comparison {
	var first, rest []*harness.Comparison
	for i := range run.Comparisons {
		c := &run.Comparisons[i]
		if v := run.verdictFor(c); v != nil && v.Outcome == run.Outcome {
			first = append(first, c)
		} else {
			rest = append(rest, c)
		}
	}
	return append(first, rest...)
}

func measured(run Run, c *harness.Comparison, several bool) []string {
	cost := CostSentence(*c)
	if several {
		cost = Visible(c.Name()) + ": " + cost
	}
	v := run.verdictFor(c)
	scripts := ""
	if estimated(c.Scripts) {
		scripts = fmt.Sprintf("; the scripts alone %s us a run", figure(c.Scripts.Value))
	}
	return []string{
		cost,
		ratioLine(c, v) + "; overhead (W-N)/N " + overheadText(c.Overhead) + ", not gated" + scripts,
		selfLine(v),
	}
}

// ratioLine is "(W-N)/F 1.31 (1.29 to 1.33, 95%, n=15 blocks), limit 1.45".
func ratioLine(c *harness.Comparison, v *thresholds.Verdict) string {
	line := "(W-N)/F not estimated"
	if estimated(c.CostRatio) {
		line = fmt.Sprintf("(W-N)/F %s (%s)", figure(c.CostRatio.Value), within(c.CostRatio, 1))
	}
	switch {
	case v == nil:
		return line + ", not judged"
	case v.Limit == 0:
		return line + ", no limit"
	}
	return fmt.Sprintf("%s, limit %s, %d of %d blocks above the boundary %s", line, figure(v.Limit), v.Above, v.N, figure(v.Boundary))
}

// selfLine is "self-check: A/A pair held (2 of 15 above), +25% injected broken (15 of 15 above)".
func selfLine(v *thresholds.Verdict) string {
	if v == nil || len(v.Self) == 0 {
		return "self-check: none"
	}
	parts := make([]string, len(v.Self))
	for i, s := range v.Self {
		parts[i] = fmt.Sprintf("%s %s (%d of %d above)", Visible(s.Name), s.Got, s.Above, s.N)
		if s.Got != s.Want {
			parts[i] += fmt.Sprintf(", must be %s", s.Want)
		}
	}
	return "self-check: " + strings.Join(parts, ", ")
}

func brief(run Run, c *harness.Comparison) string {
	v := run.verdictFor(c)
	word := "not judged"
	if v != nil {
		word = v.Outcome.String()
	}
	return fmt.Sprintf("%s: %s: %s", Visible(c.Name()), word, ratioLine(c, v))
}
