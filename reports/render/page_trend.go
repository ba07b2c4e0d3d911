package render

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

// trendView is the pass rate over the runs.
type trendView struct {
	Chart      *trendChart // nil with fewer than two runs that have a rate
	Rows       []trendRow  // the newest first
	Branches   bool        // some row names a branch
	Jobs       bool        // some row names a job
	Note       string
	Changes    []string
	Limits     []limitView // changes of limits by position in the trend, the newest maxLetters of them
	MoreLimits int         // number of earlier positions
	Method     string
}

type trendRow struct {
	Run, Started, Branch, Subject, Outcome, Passed, Rate, Skipped, Took string
	Measured                                                            string // what a run without tests measured; it has no rate
	URL                                                                 string // address of the page of the run, or "" if no server runs
	Commit, Job                                                         link
}

type limitView struct{ Letter, Text string }

type trendChart struct {
	Width, Height float64
	Left, Right   float64
	Title, Desc   string
	Caption       string // visible text; Desc is for screen readers
	Line          string // path
	Band          string // path of an area
	Points        []trendPoint
	Levels        []tick // horizontal lines of the pass rate
	Runs          []tick
	RunsY, TextY  float64
	Bottom        float64
	Steps         []step // levels between change points
	Marks         []tick // changes of limits
	MarkY         float64
	Skips         []bar
	SkipBase      float64
	AxisText      string
}

type trendPoint struct {
	X, Y, Low, High float64
	Text            string
}

type step struct{ X1, X2, Y float64 }

type bar struct{ X, Y, Width, Height float64 }

const maxLetters = 26

func newTrend(t analysis.Trend) trendView {
	var v trendView
	if t.Older > 0 {
		v.Note = fmt.Sprintf("The last %d runs; %s are in the history.", len(t.Points), text.Plural(t.Older, "older one"))
	}
	for i := len(t.Points) - 1; i >= 0; i-- {
		v.Rows = append(v.Rows, newTrendRow(t.Points[i], t.Origins[t.Points[i].ID], t.Measured[t.Points[i].ID]))
	}
	for i := range v.Rows {
		v.Branches, v.Jobs = v.Branches || v.Rows[i].Branch != "", v.Jobs || v.Rows[i].Job.Text != ""
	}
	for _, c := range t.Changes {
		if c.At < 0 || c.At >= len(t.Points) {
			continue
		}
		word := "rose"
		if c.After.Share() < c.Before.Share() {
			word = "fell"
		}
		v.Changes = append(v.Changes, fmt.Sprintf("At run %s the pass rate %s from %s to %s (p = %s, n = %s and %s outcomes).", lineName(t.Points[c.At]), word, c.Before.Percent(), c.After.Percent(), text.Figure(c.P), text.Count(c.Before.Of), text.Count(c.After.Of)))
	}
	places := limitPlaces(t.Limits)
	v.MoreLimits = max(0, len(places)-maxLetters)
	places = places[v.MoreLimits:]
	for i, changes := range places {
		v.Limits = append(v.Limits, limitView{letter(i), limitsText(changes)})
	}
	v.Method = sentence(text.OneLine(t.Method))
	rated := 0
	for _, r := range t.Points {
		if r.Counts.PassRate().Of > 0 {
			rated++
		}
	}
	if rated >= 2 {
		v.Chart = newTrendChart(t, places)
	}
	return v
}

// limitPlaces groups changes of limits by their position in the trend, since a calibration changes many
// limits at the same time.
func limitPlaces(limits []analysis.LimitChange) (places [][]analysis.LimitChange) {
	for i, l := range limits {
		if i == 0 || l.At != limits[i-1].At {
			places = append(places, nil)
		}
		places[len(places)-1] = append(places[len(places)-1], l)
	}
	return places
}

// limitsText describes the changes at one position: a single change in full, several by their number.
func limitsText(changes []analysis.LimitChange) string {
	if len(changes) == 1 {
		return ledgerText(changes[0].Line)
	}
	first, last, loosened := reports.Visible(changes[0].Line.Entry.Date), reports.Visible(changes[len(changes)-1].Line.Entry.Date), 0
	for _, c := range changes {
		if c.Line.Entry.Change == thresholds.Loosened {
			loosened++
		}
	}
	when := "on " + first
	if last != first {
		when = "from " + first + " to " + last
	}
	return fmt.Sprintf("%d changes of limits %s, %s among them: see the ledger", len(changes), when, text.Plural(loosened, "loosening"))
}

func letter(i int) string { return string(rune('A' + i)) }

// newTrendRow returns the row of a run. measured says what a run without tests measured, or is "".
func newTrendRow(r history.RunLine, o reports.Origin, measured string) trendRow {
	row := trendRow{Run: lineName(r), Branch: text.Cut(reports.Visible(r.Branch), 60), Commit: link{text.ShortCommit(r.Commit), reports.WebAddress(o.CommitURL)},
		Subject: text.Cut(text.OneLine(o.Subject), 72), Outcome: r.Outcome.String(), Passed: "no results", Rate: "none", Skipped: "none"}
	row.Job = link{jobText(o), reports.WebAddress(o.JobURL)}
	if r.Seconds > 0 {
		row.Took = text.Took(text.Seconds(r.Seconds))
	}
	if !r.Started.IsZero() {
		row.Started = r.Started.UTC().Format("2006-01-02 15:04")
	}
	if !r.Rated {
		if r.Measured {
			row.Measured = cmp.Or(text.OneLine(measured), "measured, without tests")
		}
		return row
	}
	c := r.Counts
	rate := c.PassRate()
	row.Passed, row.Skipped = fmt.Sprintf("%s of %s", text.Count(rate.Good), text.Count(rate.Of)), text.Count(c.Skipped+c.Pending)
	if rate.Of > 0 {
		row.Rate = rate.Percent()
	}
	return row
}

// newTrendChart draws the runs at equal distances. Runs without a pass rate are a gap in the line.
func newTrendChart(t analysis.Trend, limits [][]analysis.LimitChange) *trendChart {
	const top, bottom, left, right = 40.0, 196.0, 76.0, chartWidth - 20
	runs := t.Points
	lowest, most := 1.0, 0
	for _, r := range runs {
		if rate := r.Counts.PassRate(); rate.Of > 0 {
			low, _ := rate.Band()
			lowest = min(lowest, low)
		}
		most = max(most, r.Counts.Skipped+r.Counts.Pending)
	}
	floor := trendFloor(lowest)
	y := func(share float64) float64 {
		return math.Round(10*(bottom-(max(share, floor)-floor)/(1-floor)*(bottom-top))) / 10
	}
	gap := (right - left - 40) / float64(max(1, len(runs)-1))
	x := func(i float64) float64 { return math.Round(10*(left+20+i*gap)) / 10 }
	c := &trendChart{Width: chartWidth, Height: 286, Left: left, Right: right, Bottom: bottom, RunsY: 248, TextY: 278,
		MarkY: 20, SkipBase: 228, Title: "Pass rate by run", AxisText: "run"}
	for _, share := range []float64{floor, (floor + 1) / 2, 1} {
		c.Levels = append(c.Levels, tick{X: left - 8, Y: y(share), Text: percent2(share) + "%"})
	}
	c.line(runs, x, y)
	for i, r := range runs {
		if n := r.Counts.Skipped + r.Counts.Pending; n > 0 {
			h := 24 * float64(n) / float64(most)
			width := min(8, gap*0.8)
			c.Skips = append(c.Skips, bar{X: x(float64(i)) - width/2, Y: c.SkipBase - h, Width: width, Height: h})
		}
		if every := (len(runs) + 7) / 8; (len(runs)-1-i)%every == 0 {
			c.Runs = append(c.Runs, tick{X: x(float64(i)), Text: strings.TrimSuffix(lineName(r), " run")})
		}
	}
	c.steps(t, x, y)
	for i, changes := range limits {
		c.Marks = append(c.Marks, tick{X: min(x(float64(changes[0].At)-0.5), c.Right), Text: letter(i)})
	}
	first, last := runs[0], runs[len(runs)-1]
	c.Caption = fmt.Sprintf("Line and area: pass rate and its 95%% band over %s; the axis starts at %s%%.", text.Plural(len(runs), "run"), percent2(floor))
	c.Desc = fmt.Sprintf("%s %s: %s. %s: %s.", c.Caption, c.name(first), first.Counts.PassRate(), c.name(last), last.Counts.PassRate())
	if most > 0 {
		c.Desc += fmt.Sprintf(" Bars below: skipped and pending specs, at most %s.", text.Count(most))
		c.Caption += " Bars: skipped and pending specs."
	}
	if len(limits) > 0 {
		c.Desc += " Letters: changes of limits, listed with the runs."
		c.Caption += " Letters: changes of limits."
	}
	return c
}

func (c *trendChart) name(r history.RunLine) string {
	if r.ID == 0 {
		return "This run"
	}
	return "Run " + lineName(r)
}

// line draws the rate and its band, with a separate piece for each sequence of runs that have a rate.
func (c *trendChart) line(runs []history.RunLine, x, y func(float64) float64) {
	var line, band strings.Builder
	var upper, lower []string
	closeArea := func() {
		if len(upper) > 1 {
			band.WriteString("M" + strings.Join(upper, "L"))
			for i := len(lower) - 1; i >= 0; i-- {
				band.WriteString("L" + lower[i])
			}
			band.WriteString("Z")
		}
		upper, lower = nil, nil
	}
	for i, r := range runs {
		rate := r.Counts.PassRate()
		if rate.Of == 0 {
			closeArea()
			continue
		}
		low, high := rate.Band()
		px, py := x(float64(i)), y(rate.Share())
		command := "L"
		if upper == nil {
			command = "M"
		}
		fmt.Fprintf(&line, "%s%g %g", command, px, py)
		upper, lower = append(upper, fmt.Sprintf("%g %g", px, y(high))), append(lower, fmt.Sprintf("%g %g", px, y(low)))
		if len(runs) <= 60 || i == len(runs)-1 {
			c.Points = append(c.Points, trendPoint{X: px, Y: py, Low: y(low), High: y(high), Text: fmt.Sprintf("run %s: %s", lineName(r), rate)})
		}
	}
	closeArea()
	c.Line, c.Band = line.String(), band.String()
}

// steps draws the levels between change points.
func (c *trendChart) steps(t analysis.Trend, x, y func(float64) float64) {
	from := 0
	for i, ch := range t.Changes {
		c.Steps = append(c.Steps, step{x(float64(from)), x(float64(ch.At) - 0.5), y(ch.Before.Share())})
		if from = ch.At; i == len(t.Changes)-1 {
			c.Steps = append(c.Steps, step{x(float64(ch.At) - 0.5), x(float64(len(t.Points) - 1)), y(ch.After.Share())})
		}
	}
}

// trendFloor returns the start of the axis: the highest one that shows every band.
func trendFloor(lowest float64) float64 {
	for _, floor := range []float64{0.99, 0.98, 0.95, 0.9, 0.8, 0.5} {
		if lowest >= floor {
			return floor
		}
	}
	return 0
}

// percent2 formats a share in percent with at most two decimals.
func percent2(share float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", 100*share), "0"), ".")
}
