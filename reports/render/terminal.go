package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

const (
	labelWidth  = 13 // columns of the label of a row, without the indentation
	maxFailures = 5  // failures with their messages
	maxMessage  = 10 // lines of a message
	maxOutput   = 4  // last lines of the output of a failed spec
	maxPaths    = 3  // attachments of a failed spec
	maxNotes    = 4
)

// Summary returns the analysis as lines of text without line breaks: the verdict in words, up to five
// failures with their messages, and one row per fact. Facts that were not measured have no row. No line
// is wider than the screen, except commands, which are never shortened so that they can be pasted.
func Summary(a *analysis.Analysis, on Screen) []string {
	lines := verdictLines(a, on)
	lines = append(lines, failureLines(a, on)...)
	lines = append(lines, "")
	for _, r := range rows(a, on) {
		lines = append(lines, r.lines(on)...)
	}
	return lines
}

// verdictLines returns a line such as "✗ BROKEN   2 of 18 specs failed: 1 newly broken            8.43 s".
func verdictLines(a *analysis.Analysis, on Screen) []string {
	return VerdictLines(a.Run.Outcome, a.Headline.Word, verdictSentence(a), text.Seconds(a.Run.Seconds), on)
}

// VerdictLines returns the first line of a summary: a symbol and the word of the outcome, a sentence,
// and at the right the duration, if it is not 0. A sentence that is too long for the screen continues
// on further lines.
func VerdictLines(outcome thresholds.Outcome, word, sentence string, took time.Duration, on Screen) []string {
	style := ansi.NewStyle().Bold().ForegroundColor(ansi.Yellow)
	switch outcome {
	case thresholds.Held:
		style = ansi.NewStyle().Bold().ForegroundColor(ansi.Green)
	case thresholds.Broken, thresholds.Invalid:
		style = ansi.NewStyle().Bold().ForegroundColor(ansi.Red)
	}
	word = symbols[outcome] + " " + word
	right := ""
	if took > 0 {
		right = text.Took(took)
	}
	lead := ansi.StringWidth(word) + 3
	all := on.wrap(sentence, lead+len(right)+3, lead)
	all[0] = on.Paint(style, word) + "   " + on.Paint(styleBold, all[0])
	if right != "" {
		all[0] = on.spread(all[0], on.Paint(styleDim, right))
	}
	return all
}

// failureLines returns the failures of this run, unknown ones first.
func failureLines(a *analysis.Analysis, on Screen) (lines []string) {
	failed, by := failedNow(a), failuresOf(a)
	for i, t := range failed {
		if i == maxFailures {
			lines = append(lines, "", fmt.Sprintf("  and %s more", text.Count(len(failed)-i)))
			break
		}
		lines = append(lines, "")
		lines = append(lines, failure(by, t, on)...)
	}
	return lines
}

// failedNow returns the entries of the attention list that failed in this run.
func failedNow(a *analysis.Analysis) (all []*analysis.Attention) {
	for i := range a.Attention {
		if t := &a.Attention[i]; t.Outside != nil || t.Spec.State == reports.Failed {
			all = append(all, t)
		}
	}
	return all
}

// failure returns the lines of a failure: name and attribution, location, message, output, attachments,
// and the command that runs the test again.
func failure(by failures, t *analysis.Attention, on Screen) (lines []string) {
	name := t.Spec.Name()
	if t.Outside != nil {
		name = t.Outside.Name()
	}
	name, right := reports.Visible(name), attribution(by, t)
	width := on.columns()
	const mark, indent = "  ✗ ", "    "
	if on.Width != 0 && ansi.StringWidth(mark+name)+3+ansi.StringWidth(right) > width {
		lines = append(lines, on.Paint(styleRed, "  ✗")+" "+on.Paint(styleBold, on.cut(name, width-4)))
		if right != "" {
			lines = append(lines, indent+on.Paint(styleDim, on.cut(right, width-4)))
		}
	} else {
		lines = append(lines, on.spread(on.Paint(styleRed, "  ✗")+" "+on.Paint(styleBold, name), on.Paint(styleDim, right)))
	}
	if where := text.Where(t.Spec.File, t.Spec.Line); where != "" {
		lines = append(lines, indent+on.Paint(ansi.NewStyle().ForegroundColor(ansi.Cyan), on.cut(where, width-4)))
	}
	lines = append(lines, messageLines(t.Message, on)...)
	if out := strings.TrimRight(reports.VisibleBlock(t.Spec.Output), "\n "); out != "" && !strings.Contains(t.Message, strings.TrimSpace(t.Spec.Output)) {
		all := strings.Split(out, "\n")
		lines = append(lines, indent+on.Paint(styleDim, "output"+lastOf(len(all), maxOutput)))
		for _, l := range all[max(0, len(all)-maxOutput):] {
			lines = append(lines, "      "+on.Paint(styleDim, on.cut(l, width-6)))
		}
	}
	paths := attachedPaths(t.Spec)
	for i, path := range paths {
		if i == maxPaths {
			lines = append(lines, indent+on.Paint(styleDim, fmt.Sprintf("and %s more attached", text.Count(len(paths)-i))))
			break
		}
		lines = append(lines, indent+on.Paint(styleDim, "attached  ")+on.cut(path, width-14))
	}
	if t.Rerun != "" {
		lines = append(lines, indent+on.Paint(styleDim, "again  ")+reports.Visible(t.Rerun))
	}
	return lines
}

// lastOf returns a heading if only the last lines follow, else "".
func lastOf(all, shown int) string {
	if all <= shown {
		return ""
	}
	return fmt.Sprintf(" (last %d of %s)", shown, text.Plural(all, "line"))
}

// attribution returns the origin of a failure, its owner and its category.
func attribution(by failures, t *analysis.Attention) string {
	var parts []string
	if w := whose(by, t); w != "failing" { // the cross before the name means the same
		parts = append(parts, w)
	}
	if d := t.Spec.Detail; d != "" && d != reports.BothWays {
		parts = append(parts, text.Cut(text.OneLine(d), 40))
	}
	if t.Owner != "" {
		parts = append(parts, "@"+strings.TrimPrefix(text.OneLine(t.Owner), "@"))
	}
	if c, ok := reports.Label(t.Spec, "category:"); ok {
		parts = append(parts, "category:"+text.OneLine(c))
	}
	if t.Outside != nil && t.Outside.NotRun > 0 {
		parts = append(parts, text.Plural(t.Outside.NotRun, "spec")+" not run")
	}
	return strings.Join(parts, " · ")
}

// messageLines returns the first lines of a message, with comparisons as differences.
func messageLines(message string, on Screen) (lines []string) {
	all := compareMessage(strings.TrimSpace(reports.VisibleBlock(message)))
	shown := all[:min(len(all), maxMessage)]
	widest := 0
	for _, l := range shown {
		if l.Note != "" {
			widest = max(widest, ansi.StringWidth(l.Text()))
		}
	}
	width := on.columns()
	for _, l := range shown {
		if l.Op == ' ' {
			indent := "      "
			if l.Same {
				indent = "        " // aligned with the lines that differ
			}
			lines = append(lines, strings.TrimRight(indent+on.cut(l.Text(), width-len(indent)), " "))
			continue
		}
		style := styleGreen
		if l.Op == '+' {
			style = styleRed
		}
		line := l.Text()
		if ansi.StringWidth(line) <= width-8 || on.Width == 0 {
			line = on.difference(l, style)
		} else {
			line = on.Paint(style, on.cut(line, width-8))
		}
		line = "      " + on.Paint(style, string(l.Op)) + " " + line
		if l.Note != "" && (on.Width == 0 || 8+widest+4+len(l.Note) <= width) {
			line += strings.Repeat(" ", widest-ansi.StringWidth(l.Text())+4) + on.Paint(styleDim, l.Note)
		}
		lines = append(lines, line)
	}
	if more := len(all) - len(shown); more > 0 {
		lines = append(lines, on.Paint(styleDim, "      … "+text.More(more, "line")))
	}
	return lines
}

// difference formats one side of a comparison, and emphasizes the parts that differ.
func (s Screen) difference(l messageLine, style ansi.Style) string {
	var b strings.Builder
	for _, p := range l.Parts {
		if p.Marked {
			b.WriteString(s.Paint(slices.Concat(style, styleMark), p.Text))
		} else {
			b.WriteString(s.Paint(style, p.Text))
		}
	}
	return b.String()
}

// summaryRow is a fact of a summary. A command is never shortened.
type summaryRow struct {
	Label, Text string
	Command     bool
}

func (r summaryRow) lines(on Screen) []string {
	label := "  " + on.Paint(styleDim, fmt.Sprintf("%-*s", labelWidth, r.Label))
	if r.Command {
		return []string{label + r.Text}
	}
	all := on.wrap(r.Text, 2+labelWidth, 2+labelWidth)
	all[0] = label + all[0]
	for i, l := range all {
		if on.Width > 0 && ansi.StringWidth(l) > on.columns() { // one long word
			all[i] = ansi.Truncate(l, on.columns(), "…")
		}
	}
	return all
}

// rows returns the known facts of the run.
func rows(a *analysis.Analysis, on Screen) (all []summaryRow) {
	add := func(label, s string) {
		if s != "" {
			all = append(all, summaryRow{Label: label, Text: s})
		}
	}
	if a.Run.Suites != nil {
		add("specs", specsRow(a))
		if t := a.Target; t != nil {
			add("target", strings.TrimPrefix(text.OneLine(targetText(*t)), "Target "))
		}
		add("moved", movedRow(a))
		add("flaky", flakyRow(a))
		add("slower", slowerRow(a))
		add("phase", phaseLine(a))
	}
	all = append(all, costRows(a)...)
	all = append(all, againstRows(a)...)
	if len(a.Run.Benchmarks) > 0 {
		add("benchmarks", analysis.FiguresText(a.Run.Benchmarks)+benchmarksJudged(a))
	}
	for _, l := range a.InForce() {
		add("loosened", text.Cut(ledgerText(l), 160)) // -v prints the ledger in full
	}
	for _, n := range a.Notes[:min(len(a.Notes), maxNotes)] {
		add("note", text.OneLine(n))
	}
	if more := len(a.Notes) - maxNotes; more > 0 {
		add("note", text.Count(more)+" more in the report")
	}
	add("left out", reports.Visible(a.Run.LeftOut()))
	for _, step := range advice(a) {
		all = append(all, summaryRow{Label: "next", Text: on.program(step), Command: true})
	}
	if on.Report != "" {
		all = append(all, summaryRow{Label: "report", Text: reports.Visible(on.Report), Command: true})
	}
	return all
}

// advice returns what to do, apart from steps that are obvious from the failures above.
func advice(a *analysis.Analysis) (steps []string) {
	for _, v := range a.Run.Verdicts {
		if step := text.OneLine(v.Next); v.Outcome == a.Run.Outcome && v.Outcome != thresholds.Held && step != "" && !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
	}
	if len(steps) == 0 && len(failedNow(a)) == 0 && a.Run.Outcome != thresholds.Held {
		for _, step := range a.Headline.Next {
			if step != "see the report" { // it has a row of its own
				steps = append(steps, text.OneLine(step))
			}
		}
	}
	return steps
}

// specsRow returns a text such as "16 passed · 2 failed · 1 skipped     88.89% (84.21% of all)". The
// first rate is that of the specs that ran. Pending, blocked and retried specs are omitted if there are
// none.
func specsRow(a *analysis.Analysis) string {
	c := a.Counts
	parts := []string{text.Count(c.Passed) + " passed", text.Count(c.Failed) + " failed", text.Count(c.Skipped) + " skipped"}
	for _, p := range []struct {
		n    int
		what string
	}{{c.Pending, "pending"}, {a.Blocked, "not run"}, {c.Retried, "passed only when retried"}} {
		if p.n > 0 {
			parts = append(parts, text.Count(p.n)+" "+p.what)
		}
	}
	line := strings.Join(parts, " · ")
	switch {
	case a.Rate.Of == 0:
		return line + "     (no pass rate: none ran)"
	case a.Run.Suites.SuiteFailures() > 0 && a.Blocked > 0:
		return line + "     (no pass rate: a suite is missing)"
	}
	line += "     " + a.Rate.Percent()
	if a.RateAll.Of != a.Rate.Of {
		line += " (" + a.RateAll.Percent() + " of all)" // must fit 80 columns
	}
	return line
}

// movedRow counts what changed since the run that specs are compared with.
func movedRow(a *analysis.Analysis) string {
	if !a.Matrix.Compared {
		return ""
	}
	var parts []string
	add := func(name string, kinds ...reports.Kind) {
		if n := len(movedNames(a, kinds...)); n > 0 {
			parts = append(parts, text.Count(n)+" "+name)
		}
	}
	add("newly broken", reports.Broke, reports.NewFailing)
	for _, kind := range []reports.Kind{reports.StillFailing, reports.NotRun, reports.Flaky, reports.Fixed, reports.NewlySkipped, reports.Renamed, reports.New, reports.Gone} {
		add(string(kind), kind)
	}
	line := "nothing changed"
	if len(parts) > 0 {
		line = strings.Join(parts, " · ")
	}
	if p := a.Previous; p != nil {
		line += "     since " + runName(*p)
	}
	return line
}

// flakyRow names the flaky specs that passed this time.
func flakyRow(a *analysis.Analysis) string {
	var all []string
	for _, t := range a.Attention {
		if t.Kind == analysis.FlakyNow && t.Spec.State != reports.Failed && t.Outside == nil {
			all = append(all, text.Cut(reports.Visible(t.Spec.Name()), 80))
		}
	}
	if len(all) == 0 {
		return ""
	}
	line := all[0]
	if len(all) > 1 {
		line += fmt.Sprintf(" and %s more", text.Count(len(all)-1))
	}
	return line
}

// slowerRow names the spec that slowed down most, or took far longer in this run alone.
func slowerRow(a *analysis.Analysis) string {
	name, change, more := "", "", len(a.Slowing)+len(a.Longer)-1
	switch {
	case len(a.Slowing) > 0:
		s := &a.Slowing[0]
		name, change = s.Spec.Name(), fmt.Sprintf("%s, was %s", text.Took(s.Now), text.Took(s.Before))
	case len(a.Longer) > 0:
		l := &a.Longer[0]
		name, change = l.Spec.Name(), fmt.Sprintf("%s in this run, was %s", text.Took(l.Now), text.Took(l.Before))
	default:
		return ""
	}
	line := text.Cut(reports.Visible(name), 80) + ": " + change
	if more > 0 {
		line += fmt.Sprintf(", and %s more", text.Count(more))
	}
	return line
}

// phaseLine returns a text such as "4: failures 10.2% fewer (6 of 59); over all phases 19.7% fewer (13
// of 66)".
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
	line := fmt.Sprintf("%s: failures %s", text.Cut(reports.Visible(last.Name), 60), failures)
	if a.Overall != nil && a.Overall.Fewer.Of > 0 {
		failures, _ := fewer(a.Overall.Fewer)
		line += "; over all phases " + failures
	}
	return line
}

// movedNames returns the names of the failures outside the specs, then of the specs, with one of
// these kinds of transitions.
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

// Details returns the complete analysis as lines of plain text, to be printed after [Summary].
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
