package render

import (
	"fmt"
	"slices"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// section is a part of an analysis in words, for text outputs.
type section struct {
	Title string
	Items []item
}

// item is a line and its details. Name and the fields after it are texts of tests with control
// characters escaped.
type item struct {
	Before, Name, After string
	Block               string // several lines
	Command             string
}

const needsAttention = "Needs attention"

const maxInSection = 50 // items; the page contains all

// sections returns the nonempty sections, most urgent first.
func sections(a *analysis.Analysis) []section {
	all := []section{
		{needsAttention, attentionItems(a)},
		{"What moved", movedItems(a)},
		{"What stopped failing, and why", greenItems(a)},
		{"Failures with the same message", clusterItems(a)},
		{"Phases", phaseItems(a)},
		{"What durability costs", costItems(a)},
		{"Go benchmarks", benchmarkItems(a)},
		{"Trend", trendItems(a)},
		{"Flakes", flakeItems(a)},
		{"Ledger of limits", ledgerItems(a)},
		{"Slowest specs", slowItems(a)},
	}
	all = slices.DeleteFunc(all, func(s section) bool { return len(s.Items) == 0 })
	for i, s := range all {
		more := len(s.Items) - maxInSection
		if s.Title == needsAttention {
			more = len(a.Attention) - maxInSection
		}
		if more > 0 {
			all[i].Items = append(s.Items[:maxInSection:maxInSection], item{Before: fmt.Sprintf("and %d more: see the page", more)})
		}
	}
	return all
}

// attentionItems returns the items of the attention list, up to the limit of a section, because each
// contains a message.
func attentionItems(a *analysis.Analysis) (all []item) {
	by := failuresOf(a)
	for i, t := range a.Attention[:min(len(a.Attention), maxInSection)] {
		v := newAttention(by, "", i, t)
		it := item{Before: string(t.Kind) + ": ", Name: v.Name, Block: v.Message, Command: v.Rerun}
		if v.Where.Text != "" {
			it.After += " at " + v.Where.Text
		}
		if v.Owner != "" {
			it.After += ", owner " + v.Owner
		}
		if v.Age != "" {
			it.After += ". " + v.Age
		}
		all = append(all, it)
	}
	return all
}

func movedItems(a *analysis.Analysis) (all []item) {
	if !a.Matrix.Compared {
		return nil
	}
	for _, kind := range reports.Kinds {
		for _, name := range movedNames(a, kind) {
			all = append(all, item{Before: string(kind) + ": ", Name: reports.Visible(name)})
		}
	}
	for i := range a.Longer {
		l := &a.Longer[i]
		all = append(all, item{Before: "took longer: ", Name: reports.Visible(l.Spec.Name()), After: ": " + longerText(l)})
	}
	return all
}

func greenItems(a *analysis.Analysis) (all []item) {
	for _, g := range a.Green {
		all = append(all, item{Before: string(g.Cause) + ": ", Name: reports.Visible(g.Name()), After: " (" + text.OneLine(g.Evidence) + ")"})
	}
	return all
}

func clusterItems(a *analysis.Analysis) (all []item) {
	for _, c := range a.Clusters {
		it := item{Before: text.Plural(len(c.Specs), "spec") + ": ", Name: text.Cut(text.OneLine(c.Message), 200)}
		if c.Place != "" {
			it.After = " at " + reports.Visible(c.Place)
		}
		all = append(all, it)
	}
	return all
}

func phaseItems(a *analysis.Analysis) (all []item) {
	add := func(p analysis.Phase) {
		v := newPhase(p)
		it := item{Name: v.Name, After: fmt.Sprintf(" (%s): %s failed, failures %s, passed %s, of all %s", v.Runs, v.Failed, v.Fewer, v.Rate, v.RateAll)}
		if p.Target != nil {
			it.After += "; " + v.Target
		}
		all = append(all, it)
	}
	for _, p := range a.Phases {
		add(p)
	}
	if a.Overall != nil {
		add(*a.Overall)
	}
	return all
}

func costItems(a *analysis.Analysis) (all []item) {
	for _, c := range worstFirst(a.Run) {
		for _, line := range costDetails(a.Run, c) {
			all = append(all, item{Before: line})
		}
	}
	if line := analysis.CurveText(a.Curve); line != "" {
		all = append(all, item{Before: line})
	}
	if line := analysis.PartsText(a.Attribution); line != "" {
		all = append(all, item{Before: line})
	}
	return all
}

func trendItems(a *analysis.Analysis) (all []item) {
	for _, c := range newTrend(a.Trend).Changes {
		all = append(all, item{Before: c})
	}
	if f := forecast(a); f != "" {
		all = append(all, item{Before: f})
	}
	return all
}

func flakeItems(a *analysis.Analysis) (all []item) {
	for _, f := range a.Flakes {
		all = append(all, item{Name: reports.Visible(f.Spec.Name()), After: fmt.Sprintf(" in %d of %s (95%% band %s to %s%%), %d certain, last in run %s",
			f.Flaked.Good, text.Plural(f.Flaked.Of, "run"), reports.Percent(f.Low), reports.Percent(f.High), f.Certain, lineName(f.Last))})
	}
	return all
}

func ledgerItems(a *analysis.Analysis) (all []item) {
	for _, l := range a.Ledger {
		all = append(all, item{Name: ledgerText(l)})
	}
	return all
}

func slowItems(a *analysis.Analysis) (all []item) {
	for _, s := range a.Slowest {
		all = append(all, item{Before: text.Took(s.Spec.Duration) + " ", Name: reports.Visible(s.Spec.Name()), After: fmt.Sprintf(" (%s%% of all)", reports.Percent(s.Share))})
	}
	for _, s := range a.Slowing {
		all = append(all, item{Before: "slowing: ", Name: reports.Visible(s.Spec.Name()), After: fmt.Sprintf(" %s to %s (%sx, adjusted p %s)", text.Took(s.Before), text.Took(s.Now), text.Figure(s.Ratio), text.Figure(s.Significance))})
	}
	return all
}
