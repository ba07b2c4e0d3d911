package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// tileView is a figure of the overview in large type.
type tileView struct {
	Name, Value, Note, Tone string
	Spark                   string // points of a line in a box of 100 by 24 units, or ""
	SparkText               string
}

// tiles returns the figures of the overview.
func tiles(a *analysis.Analysis) (all []tileView) {
	if a.Run.Suites != nil {
		t := tileView{Name: "pass rate", Value: a.Rate.Percent(), Note: fmt.Sprintf("%s of %s that ran passed", text.Count(a.Rate.Good), text.Plural(a.Rate.Of, "spec")), Tone: "held"}
		if a.Rate.Of == 0 {
			t.Value, t.Note, t.Tone = "none", "no spec ran", "inconclusive"
		} else if a.Counts.Failed > 0 {
			t.Tone = "broken"
		}
		var shares []float64
		for _, p := range a.Trend.Points {
			if r := p.Counts.PassRate(); r.Of > 0 {
				shares = append(shares, r.Share())
			}
		}
		t.Spark, t.SparkText = spark(shares)
		all = append(all, t)
		failed := tileView{Name: "failures", Value: text.Count(a.Counts.Failed + a.Run.Suites.SuiteFailures()), Note: blame(a), Tone: "held"}
		if failed.Value != "0" {
			failed.Tone = "broken"
		}
		if n := len(a.Flakes); n > 0 && blameByWhose(a) == "" { // blameByWhose counts flaky specs
			failed.Note = joinWith(", ", failed.Note, text.Count(n)+" known flaky")
		}
		if n := outsideCount(a.Run); n > 0 {
			failed.Note = joinWith(", ", failed.Note, text.Plural(n, "failure")+" outside the specs")
		}
		all = append(all, failed)
	}
	if len(a.Run.Comparisons) > 0 {
		c := worstFirst(a.Run)[0]
		t := tileView{Name: "cost of durability", Value: "not estimated", Note: reports.Visible(c.Name()), Tone: "inconclusive"}
		if text.Estimated(c.Cost) {
			t.Value = signed(c.Cost.Value) + " µs"
			t.Note = "a run of " + reports.Visible(c.Name())
		}
		if v := a.Run.VerdictFor(c); v != nil {
			t.Tone = v.Outcome.String()
			if v.Limit != 0 && text.Estimated(c.CostRatio) {
				t.Note += fmt.Sprintf("; %sx the floor, limit %sx", text.Figure(c.CostRatio.Value), text.Figure(v.Limit))
			}
		}
		all = append(all, t)
	} else if len(a.Run.Benchmarks) > 0 {
		names := map[string]bool{}
		for _, b := range a.Run.Benchmarks {
			names[b.Name] = true
		}
		note := text.Plural(len(a.Run.Benchmarks), "figure") + benchmarksJudged(a)
		if outcomes := a.Run.ComparedOutcomes(); outcomes != "" {
			note = outcomes + "; " + note
		}
		all = append(all, tileView{Name: "benchmarks", Value: text.Count(len(names)), Note: note})
	}
	if a.Run.Seconds > 0 {
		t := tileView{Name: "duration", Value: text.Took(text.Seconds(a.Run.Seconds)), Note: "the whole run"}
		switch n := len(a.Slowing); {
		case n > 0:
			t.Note = text.Plural(n, "spec") + " slower than before"
		case len(a.Longer) > 0:
			l := &a.Longer[0]
			t.Note = fmt.Sprintf("%s: %s, was %s", text.Cut(text.OneLine(l.Spec.Leaf), 40), text.Took(l.Now), text.Took(l.Before))
		}
		var seconds []float64
		for _, p := range a.Trend.Points {
			if p.Seconds > 0 {
				seconds = append(seconds, p.Seconds)
			}
		}
		t.Spark, t.SparkText = spark(seconds)
		all = append(all, t)
	}
	return all
}

func joinWith(by string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), by)
}

// spark returns the points of a line through the values. Its height ranges from the smallest value to
// the largest.
func spark(values []float64) (points, words string) {
	if len(values) < 2 {
		return "", ""
	}
	low, high := slices.Min(values), slices.Max(values)
	var b strings.Builder
	for i, v := range values {
		y := 12.0
		if high > low {
			y = 22 - 20*(v-low)/(high-low)
		}
		fmt.Fprintf(&b, "%.1f,%.1f ", 1+98*float64(i)/float64(len(values)-1), y)
	}
	return strings.TrimSpace(b.String()), fmt.Sprintf("over the last %d runs", len(values))
}

// suiteRow is a suite in the table of suites.
type suiteRow struct {
	Name, Specs, Failed, Took, Tone string
}

// suiteRows returns the suites of a run in descending order of duration.
func suiteRows(r *reports.Results) (all []suiteRow) {
	counts := map[string]*reports.Counts{}
	for i := range r.Specs {
		s := &r.Specs[i]
		if counts[s.Suite] == nil {
			counts[s.Suite] = &reports.Counts{}
		}
		counts[s.Suite].Add(s)
	}
	order := slices.Clone(r.Suites)
	slices.SortStableFunc(order, func(x, y reports.Suite) int { return int(y.Duration/1e3 - x.Duration/1e3) })
	for _, s := range order[:min(len(order), maxListed)] {
		c := counts[s.Path]
		if c == nil {
			c = &reports.Counts{}
		}
		row := suiteRow{Name: reports.Visible(s.Path), Specs: text.Count(c.All()), Failed: text.Count(c.Failed + len(s.Failures)), Took: "unknown"}
		if s.Duration > 0 {
			row.Took = text.Took(s.Duration)
		}
		if row.Failed != "0" {
			row.Tone = "broken"
		}
		all = append(all, row)
	}
	return all
}
