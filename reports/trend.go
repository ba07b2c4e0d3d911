package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// maxTrend is the most runs in a trend: more do not fit a phone.
const maxTrend = 30

// trendView is the pass rate over the runs.
type trendView struct {
	Chart *trendChart // nil with fewer than two runs that have a rate
	Rows  []trendRow  // the newest first
	Note  string
}

type trendRow struct{ Run, Started, Commit, Outcome, Passed, Rate, Band, Skipped string }

type trendChart struct {
	Width, Height float64
	Left, Right   float64
	Title, Desc   string
	Line          string // path
	Points        []trendPoint
	Levels        []tick // of the rate
	Runs          []tick
	RunsY, TextY  float64
	Bottom        float64
	AxisText      string
}

type trendPoint struct {
	X, Y, Low, High float64
	Text            string
}

func newTrend(run Run, earlier []Run) *trendView {
	runs := []Run{run}
	for _, e := range earlier {
		if e.before(run) {
			runs = append(runs, e)
		}
	}
	slices.SortStableFunc(runs, func(a, b Run) int { // the oldest first, by the order of the history
		switch {
		case a.before(b):
			return -1
		case b.before(a):
			return 1
		}
		return 0
	})
	v := &trendView{}
	if left := len(runs) - maxTrend; left > 0 {
		v.Note = fmt.Sprintf("The last %d runs; %d older ones are in the history.", maxTrend, left)
		runs = runs[left:]
	}
	var rated []Run
	for _, r := range runs {
		v.Rows = append(v.Rows, newTrendRow(r))
		if r.Suites != nil && r.Suites.Counts().PassRate().Of > 0 {
			rated = append(rated, r)
		}
	}
	slices.Reverse(v.Rows)
	if len(rated) >= 2 {
		v.Chart = newTrendChart(rated)
	}
	return v
}

func newTrendRow(r Run) trendRow {
	row := trendRow{Run: runName(r), Commit: shortCommit(r.Commit), Outcome: r.Outcome.String(),
		Passed: "no results", Rate: "none", Band: "none", Skipped: "none"}
	if !r.Started.IsZero() {
		row.Started = r.Started.UTC().Format("2006-01-02 15:04")
	}
	if r.Suites == nil {
		return row
	}
	c := r.Suites.Counts()
	rate := c.PassRate()
	row.Passed, row.Skipped = fmt.Sprintf("%d of %d", rate.Good, rate.Of), fmt.Sprint(c.Skipped+c.Pending)
	if rate.Of > 0 {
		low, high := rate.Band()
		row.Rate, row.Band = rate.percent()+"%", fmt.Sprintf("%s to %s%%", percent(low), percent(high))
	}
	return row
}

func runName(r Run) string {
	if r.ID == 0 {
		return "this run"
	}
	return fmt.Sprint(r.ID)
}

func newTrendChart(runs []Run) *trendChart {
	const top, bottom, left, right = 24.0, 184.0, 72.0, chartWidth - 28
	lowest := 1.0
	for _, r := range runs {
		low, _ := r.Suites.Counts().PassRate().Band()
		lowest = min(lowest, low)
	}
	floor := trendFloor(lowest)
	y := func(share float64) float64 {
		return math.Round(10*(bottom-(share-floor)/(1-floor)*(bottom-top))) / 10
	}
	c := &trendChart{Width: chartWidth, Height: 244, Left: left, Right: right, Bottom: bottom, RunsY: 208, TextY: 236,
		Title:    "Pass rate by run",
		AxisText: "run"}
	for _, share := range []float64{floor, (floor + 1) / 2, 1} {
		c.Levels = append(c.Levels, tick{X: left - 8, Y: y(share), Text: percent2(share) + "%"})
	}
	var path strings.Builder
	for i, r := range runs {
		rate := r.Suites.Counts().PassRate()
		low, high := rate.Band()
		x := math.Round(10*(left+20+float64(i)*(right-left-40)/float64(len(runs)-1))) / 10
		c.Points = append(c.Points, trendPoint{X: x, Y: y(rate.Share()), Low: y(max(low, floor)), High: y(high),
			Text: fmt.Sprintf("run %s: %s", runName(r), rate)})
		fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], x, y(rate.Share()))
		if every := (len(runs) + 7) / 8; (len(runs)-1-i)%every == 0 {
			c.Runs = append(c.Runs, tick{X: x, Text: strings.TrimSuffix(runName(r), " run")})
		}
	}
	c.Line = path.String()
	c.Desc = fmt.Sprintf("Dots: share of the specs that ran and passed; bars: the 95%% band. Run %[2]s: %[1]s. Run %[4]s: %[3]s. The axis starts at %[5]s%%.",
		runs[0].Suites.Counts().PassRate(), runName(runs[0]), runs[len(runs)-1].Suites.Counts().PassRate(), runName(runs[len(runs)-1]), percent2(floor))
	return c
}

// trendFloor is where the axis starts: as high as it can with every band in view.
func trendFloor(lowest float64) float64 {
	for _, floor := range []float64{0.99, 0.98, 0.95, 0.9, 0.8, 0.5} {
		if lowest >= floor {
			return floor
		}
	}
	return 0
}

// percent2 is a share in percent with as many digits as it needs.
func percent2(share float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", 100*share), "0"), ".")
}
