package render

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

const maxWorkloads = 4 // workloads that have their own rows in a summary

// costRows returns the rows of the cost of durability, its distance from the limit, and the
// self-checks of the gate. The workloads that decided the run come first.
func costRows(a *analysis.Analysis) (all []summaryRow) {
	order := worstFirst(a.Run)
	if len(order) == 1 {
		return costOfOne(a, order[0])
	}
	label := "durability"
	for i, c := range order {
		if i == maxWorkloads {
			all = append(all, summaryRow{Text: text.More(len(order)-i, "workload") + " in the report"})
			break
		}
		all, label = append(all, summaryRow{Label: label, Text: briefCost(c, a.Run.VerdictFor(c))}), ""
	}
	failed := 0
	for _, c := range order {
		v := a.Run.VerdictFor(c)
		if v == nil || selfHeld(v) {
			continue
		}
		if failed++; failed == 1 {
			all = append(all, summaryRow{Label: "self-check", Text: reports.Visible(c.Name()) + ": " + selfRowText(v)})
		}
	}
	return all
}

// costOfOne returns the rows of the only measurement of a run.
func costOfOne(a *analysis.Analysis, c *harness.Comparison) []summaryRow {
	all := []summaryRow{{Label: "durability", Text: costRow(c)}}
	v := a.Run.VerdictFor(c)
	if s := limitRow(c, v); s != "" {
		all = append(all, summaryRow{Label: "limit", Text: s})
	}
	if s := instructionsRow(a, c); s != "" {
		all = append(all, summaryRow{Label: "instructions", Text: s})
	}
	if s := selfRowText(v); s != "" {
		all = append(all, summaryRow{Label: "self-check", Text: s})
	}
	return all
}

// instructionsRow returns a text such as "+449,000 a run, 1.31x the floor (1.29 to 1.32 in 5 counts);
// +0.2% (0.1% to 0.4%) against the baseline for any machine: held", or "" if instructions were not counted.
func instructionsRow(a *analysis.Analysis, c *harness.Comparison) string {
	r := c.Instructions
	if r == nil || len(r.With) == 0 && r.Problem == "" {
		return ""
	}
	if len(r.With) == 0 {
		return "not counted: " + text.OneLine(r.Problem)
	}
	ratio := r.CostRatio()
	line := fmt.Sprintf("+%s a run, %sx the floor (%s to %s in %s)", text.Count(int(machine.Median(r.Cost()))), text.Figure(machine.Median(ratio)),
		text.Figure(slices.Min(ratio)), text.Figure(slices.Max(ratio)), text.Plural(len(ratio), "count"))
	for i := range a.Run.Verdicts {
		if v := &a.Run.Verdicts[i]; v.Metric == thresholds.MetricInstructions && v.Workload == c.Workload && v.Durability == c.Durability && v.Instructions != nil {
			line += fmt.Sprintf("; %s against the baseline for any machine: %s", percentChange(*v.Instructions), v.Outcome)
		}
	}
	return line
}

// briefCost returns a text such as "default at process: +212 µs a run, 1.31x the floor, limit 1.45x:
// held".
func briefCost(c *harness.Comparison, v *thresholds.Verdict) string {
	line := reports.Visible(c.Name()) + ": "
	if text.Estimated(c.Cost) {
		line += signed(c.Cost.Value) + " µs a run, "
	}
	if text.Estimated(c.CostRatio) {
		line += text.Figure(c.CostRatio.Value) + "x the floor"
	} else {
		line += "not estimated"
	}
	switch {
	case v == nil:
		return line + ": not judged"
	case v.Metric == thresholds.MetricCounts:
		return line + ", judged by counts: " + v.Outcome.String()
	case v.Limit == 0:
		return line + ", no limit yet"
	}
	return line + fmt.Sprintf(", limit %sx: %s", text.Figure(v.Limit), v.Outcome)
}

// costRow returns a text such as "+87.0 µs a run (86.5 to 87.6) at "process": <1% of runs over 8.7 ms".
func costRow(c *harness.Comparison) string {
	at := ""
	if c.Durability != "" {
		at = " at \"" + reports.Visible(c.Durability) + "\""
	}
	if !text.Estimated(c.Cost) {
		return "not estimated" + at
	}
	interval := "no interval: too few blocks"
	if c.Cost.Bounded() {
		interval = fmt.Sprintf("%s to %s", text.Figure(c.Cost.Low), text.Figure(c.Cost.High))
	}
	line := fmt.Sprintf("%s µs a run (%s)%s", signed(c.Cost.Value), interval, at)
	switch {
	case !c.Valid():
		return line + ": unreliable, because the measurement is invalid"
	case c.Cost.Value <= 0:
		return line + ": not measurable"
	}
	return line + ": <1% of runs over " + text.HundredTimes(c.Cost.Value)
}

func signed(v float64) string {
	if v > 0 {
		return "+" + text.Figure(v)
	}
	return text.Figure(v)
}

// limitRow returns a text such as "cost is 1.10x the floor, limit 1.26x  [######---------]  13% left".
func limitRow(c *harness.Comparison, v *thresholds.Verdict) string {
	if !text.Estimated(c.CostRatio) {
		return ""
	}
	line := fmt.Sprintf("cost is %sx the floor", text.Figure(c.CostRatio.Value))
	switch {
	case v == nil:
		return line + ", not judged"
	case v.Metric == thresholds.MetricCounts:
		return line + "; judged by counts alone"
	case v.Limit == 0:
		return line + "; no limit yet"
	}
	left := 1 - c.CostRatio.Value/v.Limit
	line += fmt.Sprintf(", limit %sx  %s  ", text.Figure(v.Limit), gauge(c.CostRatio.Value, v.Limit))
	if left < 0 {
		return line + fmt.Sprintf("%.0f%% over", -100*left)
	}
	return line + fmt.Sprintf("%.0f%% left", 100*left)
}

// gauge draws the used share of the range from the floor to the limit.
func gauge(ratio, limit float64) string {
	const cells = 15
	share := 1.0
	if limit > 1 && !math.IsNaN(ratio) {
		share = min(1, max(0, (ratio-1)/(limit-1)))
	}
	n := int(math.Round(share * cells))
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", cells-n) + "]"
}

func selfHeld(v *thresholds.Verdict) bool {
	for _, s := range v.Self {
		if s.Got != s.Want {
			return false
		}
	}
	return true
}

// selfRowText returns a text such as "the A/A pair held · the injected +10% noticed". Numbers of
// blocks are only in the details, except for those of a failed check.
func selfRowText(v *thresholds.Verdict) string {
	if v == nil || len(v.Self) == 0 {
		return ""
	}
	parts := make([]string, len(v.Self))
	for i, s := range v.Self {
		name := reports.Visible(s.Name)
		switch {
		case s.Got != s.Want:
			parts[i] = fmt.Sprintf("%s %s, %d of %d blocks above (must be %s)", name, s.Got, s.Above, s.N, s.Want)
		case s.Want == thresholds.Broken:
			parts[i] = name + " noticed"
		default:
			parts[i] = name + " " + s.Got.String()
		}
	}
	return strings.Join(parts, " · ")
}

// worstFirst moves the comparisons whose verdict decided the run to the front.
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

// comparisonOf returns the comparison that a verdict judged, or nil.
func comparisonOf(run *reports.Run, v *thresholds.Verdict) *harness.Comparison {
	for i := range run.Comparisons {
		c := &run.Comparisons[i]
		if v.Against == "" && v.Workload == c.Workload && (v.Durability == c.Durability || v.Durability == "") {
			return c
		}
	}
	return nil
}

// ratioLine returns a text such as "(W-N)/F 1.31 (1.29 to 1.33, 95%, n=15 blocks), limit 1.45".
func ratioLine(c *harness.Comparison, v *thresholds.Verdict) string {
	line := "(W-N)/F not estimated"
	if text.Estimated(c.CostRatio) {
		line = fmt.Sprintf("(W-N)/F %s (%s)", text.Figure(c.CostRatio.Value), text.Within(c.CostRatio, 1))
	}
	switch {
	case v == nil:
		return line + ", not judged"
	case v.Metric == thresholds.MetricCounts:
		return line + ", judged by counts alone"
	case v.Limit == 0:
		return line + ", no limit"
	}
	return fmt.Sprintf("%s, limit %s, %d of %d blocks above the boundary %s", line, text.Figure(v.Limit), v.Above, v.N, text.Figure(v.Boundary))
}

// costDetails returns the lines that only [Details] has: the ratio with its interval and number of
// blocks, the overhead, and the time of the scripts.
func costDetails(run reports.Run, c *harness.Comparison) []string {
	v := run.VerdictFor(c)
	word := "not judged"
	if v != nil {
		word = v.Outcome.String()
	}
	lines := []string{fmt.Sprintf("%s: %s: %s", reports.Visible(c.Name()), word, ratioLine(c, v)), text.CostSentence(*c),
		"overhead (W-N)/N " + text.OverheadText(c.Overhead) + ", not gated"}
	if text.Estimated(c.Scripts) {
		lines = append(lines, fmt.Sprintf("the scripts alone take %s µs a run", text.Figure(c.Scripts.Value)))
	}
	if v != nil {
		for _, s := range v.Self {
			lines = append(lines, fmt.Sprintf("self-check: %s %s, as it must: %d of %d blocks above the boundary", reports.Visible(s.Name), s.Got, s.Above, s.N))
			if s.Got != s.Want {
				lines[len(lines)-1] = fmt.Sprintf("self-check: %s %s, must be %s: %d of %d blocks above the boundary", reports.Visible(s.Name), s.Got, s.Want, s.Above, s.N)
			}
		}
	}
	return lines
}

// runName returns a text such as "run 41 (main, 1a2b3c4)". Unknown parts are omitted.
func runName(r history.RunLine) string {
	var in []string
	if r.Branch != "" {
		in = append(in, text.Cut(reports.Visible(r.Branch), 40))
	}
	if r.Commit != "" {
		in = append(in, text.ShortCommit(r.Commit)[:min(7, len(text.ShortCommit(r.Commit)))])
	}
	name := "run " + lineName(r)
	if r.ID == 0 {
		name = lineName(r)
	}
	if len(in) == 0 {
		return name
	}
	return name + " (" + strings.Join(in, ", ") + ")"
}
