package render

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

// Dimensions of a small chart and of the plot in it.
const (
	smallWidth, smallHeight       = 300.0, 96.0
	smallLeft, smallRight         = 8.0, 292.0
	smallTop, smallBottom         = 10.0, 84.0
	maxCharts, maxChartPoints     = 24, 30
	seriesTitle               int = 90 // characters
)

// seriesView is a small chart of a figure over the runs. Each point links to its run.
type seriesView struct {
	Name, Unit, Where string
	Counted           bool
	Now, Range        string // "1.53x the floor (1.51 to 1.55), limit 1.45"; "1.31 to 1.53 over 12 runs"
	Tone              string
	Label             string // description of the chart for screen readers
	Line, Band, Limit string // paths, or ""
	Marks             []tick // change points
	Points            []seriesPoint
}

type seriesPoint struct {
	X, Y             float64
	URL, Text, Class string
}

// addSeries adds the charts of the first series.
func (p *page) addSeries(a *analysis.Analysis) {
	for i := range a.Series[:min(len(a.Series), maxCharts)] {
		p.Series = append(p.Series, newSeries(&a.Series[i]))
	}
	p.MoreSeries = len(a.Series) - len(p.Series)
}

// FirstSeries returns the series that fit in the overview.
func (p page) FirstSeries() []seriesView { return p.Series[:min(len(p.Series), 4)] }

func newSeries(s *analysis.Series) seriesView {
	points := s.Points[max(0, len(s.Points)-maxChartPoints):]
	skipped := len(s.Points) - len(points)
	v := seriesView{Name: text.Cut(reports.Visible(s.Name), seriesTitle), Unit: text.Cut(reports.Visible(s.Unit), 40), Where: text.Cut(reports.Visible(s.Where), 60), Counted: s.Counted}
	low, high, worst := points[0].Low, points[0].High, points[0].Value
	least := worst
	for _, q := range points {
		low, high = min(low, q.Low), max(high, q.High)
		if q.Limit > 0 {
			low, high = min(low, q.Limit), max(high, q.Limit)
		}
		least, worst = min(least, q.Value), max(worst, q.Value)
	}
	if high-low <= 1e-12*math.Abs(high) { // the same in every run
		low, high = low-0.5*math.Abs(low)-1e-300, high+0.5*math.Abs(high)+1e-300
	}
	round := func(v float64) float64 { return math.Round(10*v) / 10 }
	x := func(i float64) float64 {
		return round(smallLeft + 4 + i*(smallRight-smallLeft-8)/float64(max(1, len(points)-1)))
	}
	y := func(value float64) float64 { return round(smallBottom - (value-low)/(high-low)*(smallBottom-smallTop)) }
	var line, limit strings.Builder
	var upper, lower []string
	pen, fenced := "M", "M"
	for i, q := range points {
		at := fmt.Sprintf("%g %g", x(float64(i)), y(q.Value))
		line.WriteString(pen + at)
		pen = "L"
		upper, lower = append(upper, fmt.Sprintf("%g %g", x(float64(i)), y(q.High))), append(lower, fmt.Sprintf("%g %g", x(float64(i)), y(q.Low)))
		if q.Limit > 0 {
			fmt.Fprintf(&limit, "%s%g %gL%g %g", fenced, x(max(0, float64(i)-0.5)), y(q.Limit), x(min(float64(len(points)-1), float64(i)+0.5)), y(q.Limit))
			fenced = "L"
		} else {
			fenced = "M"
		}
		class := "one"
		if q.Judged && q.Outcome == thresholds.Broken {
			class = "bad"
		}
		v.Points = append(v.Points, seriesPoint{X: x(float64(i)), Y: y(q.Value), URL: "#run-" + lineName(q.Run), Text: pointText(s, q), Class: class})
	}
	slices.Reverse(lower)
	v.Line, v.Limit = line.String(), limit.String()
	if !s.Counted {
		v.Band = "M" + strings.Join(upper, "L") + "L" + strings.Join(lower, "L") + "Z"
	}
	for _, at := range s.Changes {
		if at -= skipped; at > 0 {
			v.Marks = append(v.Marks, tick{X: x(float64(at) - 0.5)})
		}
	}
	last := points[len(points)-1]
	v.Now = pointValue(s, last)
	if last.Judged {
		v.Tone = last.Outcome.String()
	}
	v.Range = fmt.Sprintf("%s to %s over %s", inUnit(s, least), inUnit(s, worst), text.Plural(len(points), "run"))
	if least == worst {
		v.Range = "the same in " + text.Plural(len(points), "run")
	}
	if n := len(v.Marks); n > 0 {
		v.Range += ", " + text.Plural(n, "change") + " of level"
	}
	v.Label = fmt.Sprintf("%s, %s: %s; %s", v.Name, v.Unit, v.Now, v.Range)
	return v
}

// pointText returns a text such as "run 12 of 3 March, commit 1a2b3c: 1.53x (1.51 to 1.55), limit 1.45".
func pointText(s *analysis.Series, q analysis.SeriesPoint) string {
	name := "run " + lineName(q.Run)
	if !q.Run.Started.IsZero() {
		name += " of " + q.Run.Started.UTC().Format("2 January")
	}
	if q.Run.Commit != "" {
		name += ", commit " + text.ShortCommit(q.Run.Commit)
	}
	return name + ": " + pointValue(s, q)
}

func pointValue(s *analysis.Series, q analysis.SeriesPoint) string {
	value := inUnit(s, q.Value)
	if q.Low < q.High {
		value += fmt.Sprintf(" (%s to %s)", inUnit(s, q.Low), inUnit(s, q.High))
	}
	if q.Limit > 0 {
		value += ", limit " + text.Figure(q.Limit)
	}
	return value
}

// inUnit formats a value as on the rest of the page: times in suitable units, counts in full.
func inUnit(s *analysis.Series, v float64) string {
	if s.Unit == "x the floor" {
		return text.Figure(v) + "x"
	}
	return analysis.ValueIn(v, s.Unit)
}

// serveSeries makes the points link to the pages of runs, which only a server has.
func (p *page) serveSeries(lines []history.RunLine, prefix string) {
	digests := map[string]string{}
	for _, l := range lines {
		digests["#run-"+lineName(l)] = l.Digest
	}
	for i := range p.Series {
		for k := range p.Series[i].Points {
			if q := &p.Series[i].Points[k]; digests[q.URL] != "" {
				q.URL = prefix + "/run/" + digests[q.URL]
			}
		}
	}
}
