package render

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

// againstRows returns the rows of comparisons with another revision, worst first. Several held
// comparisons are only counted.
func againstRows(a *analysis.Analysis) (rows []summaryRow) {
	compared, held := comparedOf(a)
	if len(compared) == 0 {
		return nil
	}
	label, base := "against", text.OneLine(compared[0].Against)+": "
	if len(compared) > maxWorkloads {
		rows = append(rows, summaryRow{Label: label, Text: fmt.Sprintf("%s%d of %d comparisons held", base, held, len(compared))})
		label, base = "", ""
	}
	for i, v := range compared {
		if len(compared) > maxWorkloads && v.Outcome == thresholds.Held {
			break
		}
		if i == 2*maxWorkloads {
			rows = append(rows, summaryRow{Text: text.More(len(compared)-held-i, "comparison") + " in the report"})
			break
		}
		rows = append(rows, summaryRow{Label: label, Text: base + againstText(v)})
		label, base = "", ""
	}
	return rows
}

// comparedOf returns the verdicts on comparisons with another revision, worst first, and the number
// of held ones.
func comparedOf(a *analysis.Analysis) (compared []*thresholds.Verdict, held int) {
	for i := range a.Run.Verdicts {
		if v := &a.Run.Verdicts[i]; v.Against != "" {
			compared = append(compared, v)
			if v.Outcome == thresholds.Held {
				held++
			}
		}
	}
	slices.SortStableFunc(compared, func(x, y *thresholds.Verdict) int { return severity(y.Outcome) - severity(x.Outcome) })
	return compared, held
}

// comparedFacts returns the two revisions of a comparison, its time, and the number of benchmarks by
// outcome, or nil if nothing was compared. Runs of earlier versions do not have the revisions: then
// the base is the name as given, and the head is the commit of the run.
func comparedFacts(a *analysis.Analysis) []fact {
	compared, _ := comparedOf(a)
	if len(compared) == 0 {
		return nil
	}
	run := &a.Run
	head := "unknown"
	if run.Commit != "" {
		head = "commit " + text.ShortCommit(run.Commit)
		if run.Dirty {
			head = "working tree, " + head + " with uncommitted changes"
		}
	}
	all := []fact{
		{"base", text.OneLine(cmp.Or(run.Fact(reports.ComparedBase), compared[0].Against))},
		{"head", text.OneLine(cmp.Or(run.Fact(reports.ComparedHead), head))},
	}
	if !run.Started.IsZero() {
		all = append(all, fact{"time", run.Started.UTC().Format("2 January 2006, 15:04 UTC")})
	}
	var what []string // benchmarks and workloads that were measured
	benchmarks, workloads := 0, 0
	for _, v := range compared {
		switch {
		case v.Workload == reports.NotMeasured:
		case v.Metric == thresholds.MetricAgainst:
			workloads++
		default:
			benchmarks++
		}
	}
	if benchmarks > 0 {
		what = append(what, text.Plural(benchmarks, "benchmark"))
	}
	if workloads > 0 {
		what = append(what, text.Plural(workloads, "workload"))
	}
	if len(what) > 0 {
		all = append(all, fact{"compared", strings.Join(what, " and ") + ": " + run.ComparedOutcomes()})
	}
	for _, v := range compared {
		if v.Workload == reports.NotMeasured {
			all = append(all, fact{"not measured", v.Outcome.String() + ": " + text.OneLine(v.Reason)})
		}
	}
	return all
}

// benchmarksJudged returns ", not judged" for recorded figures of benchmarks, or "" if benchmarks were
// compared with another revision: their verdicts are shown with the comparisons.
func benchmarksJudged(a *analysis.Analysis) string {
	compared, _ := comparedOf(a)
	if slices.ContainsFunc(compared, func(v *thresholds.Verdict) bool { return v.Metric == thresholds.MetricRatio }) {
		return ""
	}
	return ", not judged"
}

// againstName returns a text such as "durability of default", or the name of a benchmark.
func againstName(v *thresholds.Verdict) string {
	if v.Metric == thresholds.MetricAgainst {
		return "durability of " + text.OneLine(v.Workload)
	}
	return text.OneLine(v.Workload)
}

// againstText returns a text such as "durability of default held: time +0.41% (-0.80% to +1.6%),
// instructions +0.02% (-0.30% to +0.34%)". The figure that decided comes first.
func againstText(v *thresholds.Verdict) string {
	line := againstName(v)
	var figures []string
	if v.Ratio != nil {
		figures = append(figures, "time "+percentChange(*v.Ratio))
	}
	if v.Instructions != nil {
		figures = append(figures, "instructions "+percentChange(*v.Instructions))
	}
	if v.By == thresholds.ByInstructions {
		slices.Reverse(figures)
	}
	if len(figures) == 0 || v.By == thresholds.ByCounts {
		figures = []string{againstReason(v)}
	}
	return line + " " + v.Outcome.String() + ": " + strings.Join(figures, ", ")
}

// againstSentence returns the sentence on a comparison for the first line, such as "durability of
// default costs more than at main: +7.1% (6.9% to 7.4%)".
func againstSentence(v *thresholds.Verdict) string {
	what, base := text.OneLine(v.Workload), text.OneLine(v.Against)
	verb := " takes"
	if v.Metric == thresholds.MetricAgainst {
		what, verb = "durability of "+what, " costs"
	}
	by := v.Ratio
	if v.By == thresholds.ByInstructions {
		verb, by = " executes", v.Instructions
	}
	switch {
	case v.Outcome == thresholds.Held && by != nil:
		return what + verb + " no more than at " + base
	case v.Outcome == thresholds.Broken && by != nil && v.By != thresholds.ByCounts && v.By != "":
		return fmt.Sprintf("%s%s more than at %s: %s", what, verb, base, percentChange(*by))
	case v.Outcome == thresholds.Inconclusive && by != nil && v.By != "":
		return fmt.Sprintf("undecided whether %s%s more than at %s: %s", what, verb, base, percentChange(*by))
	}
	reason := againstReason(v)
	if reason != text.OneLine(v.Reason) {
		return what + ": " + reason
	}
	return reason
}

// againstReason returns the reason of a verdict without its beginning, which names what was compared
// with what: "shop.Add-2: working tree against main: ".
func againstReason(v *thresholds.Verdict) string {
	reason := text.OneLine(v.Reason)
	if rest, ok := strings.CutPrefix(reason, text.OneLine(v.Workload)+": "); ok {
		if _, after, ok := strings.Cut(rest, " against "+text.OneLine(v.Against)+": "); ok {
			return after
		}
	}
	return reason
}

// percentChange returns "+3.1% (2.5% to 3.6%)" for a ratio of 1.031.
func percentChange(e harness.Estimate) string {
	change := func(ratio float64) string {
		percent := 100 * (ratio - 1)
		digits := 0
		switch a := math.Abs(percent); {
		case a < 1:
			digits = 2
		case a < 10:
			digits = 1
		}
		return fmt.Sprintf("%+.*f%%", digits, percent)
	}
	if !text.Estimated(e) {
		return "not estimated"
	}
	if !e.Bounded() {
		return change(e.Value)
	}
	return fmt.Sprintf("%s (%s to %s)", change(e.Value), change(e.Low), change(e.High))
}
