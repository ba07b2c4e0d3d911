package render

import (
	"fmt"
	"math"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// curveView is the share of a run that durability takes, by the duration of a step.
type curveView struct {
	Width, Height float64
	Left, Right   float64
	Bottom, TickY float64
	TextY         float64
	Title, Desc   string
	Line          string
	Points        []curvePoint
	Levels        []tick
	Steps         []tick
	Rows          []curveRow
}

type curvePoint struct {
	X, Y, Low, High float64
	Measured        bool
	Text            string
}

type curveRow struct{ Step, Run, Cost, Share, Interval, How string }

// newCurve draws the latencies at equal distances and the shares on a log scale.
func newCurve(curve []harness.Point) *curveView {
	const top, bottom, left, right = 24.0, 200.0, 76.0, chartWidth - 24
	lowest := 1.0
	for _, p := range curve {
		for _, share := range []float64{p.Share, p.Low} {
			if share > 0 {
				lowest = min(lowest, share)
			}
		}
	}
	floor := math.Floor(math.Log10(max(lowest, 1e-6)))
	if floor == 0 {
		floor = -1
	}
	y := func(share float64) float64 {
		l := math.Log10(max(share, math.Pow10(int(floor))))
		return math.Round(10*(bottom-(l-floor)/-floor*(bottom-top))) / 10
	}
	v := &curveView{Width: chartWidth, Height: 266, Left: left, Right: right, Bottom: bottom, TickY: 222, TextY: 256, Title: "Share of a run that durability takes, by the duration of a step"}
	for l := 0.0; l >= floor; l-- {
		v.Levels = append(v.Levels, tick{X: left - 8, Y: y(math.Pow10(int(l))), Text: fmt.Sprintf("%g%%", 100*math.Pow10(int(l)))})
	}
	var line strings.Builder
	for i, p := range curve {
		x := math.Round(10*(left+24+float64(i)*(right-left-48)/float64(max(1, len(curve)-1)))) / 10
		how := "computed"
		if p.Measured {
			how = "measured"
		}
		row := curveRow{Step: text.StepText(p.Latency), Run: text.Figure(p.Run), Cost: text.Figure(p.Cost), Share: text.Share(p.Share), Interval: text.Share(p.Low) + " to " + text.Share(p.High), How: how}
		v.Rows = append(v.Rows, row)
		v.Points = append(v.Points, curvePoint{X: x, Y: y(p.Share), Low: y(p.Low), High: y(p.High), Measured: p.Measured,
			Text: fmt.Sprintf("%s a step: %s (%s), %s", row.Step, row.Share, row.Interval, how)})
		v.Steps = append(v.Steps, tick{X: x, Text: row.Step})
		fmt.Fprintf(&line, "%s%g %g", map[bool]string{true: "M", false: "L"}[i == 0], x, y(p.Share))
	}
	v.Line = line.String()
	first, last := v.Rows[0], v.Rows[len(v.Rows)-1]
	v.Desc = fmt.Sprintf("Steps of %s: %s of the run; of %s: %s. Full dots were measured, hollow ones computed; bars are 95%% intervals.", first.Step, first.Share, last.Step, last.Share)
	return v
}

// fallView is a waterfall chart of the cost of a run, with a bar for each increment.
type fallView struct {
	Width, Height float64
	Left          float64
	Title, Desc   string
	Bars          []fallBar
	Ticks         []tick
	TickY, Bottom float64
	AxisY         float64
	Rows          []fallRow
	Sum           string
	AddsUp        bool
	Open          string
}

type fallBar struct {
	X, Y, Width, TextY, Mid float64
	Total                   bool
	Text                    string
	Low, High               float64
}

type fallRow struct{ Name, Cost, Interval, N, Adds string }

func newFall(w *harness.Waterfall) *fallView {
	total, sum := w.Total.Value, 0.0
	if w.Total.Bounded() {
		total = max(total, w.Total.High)
	}
	for _, i := range w.Increments {
		sum += max(0, i.Cost.Value)
	}
	a := newAxis(0, max(total, sum, 1e-9), chartLeft, chartWidth-chartRight)
	v := &fallView{Width: chartWidth, Left: chartLeft, Title: "What a run of " + reports.Visible(w.Workload) + " at " + reports.Visible(w.Durability) + " is made of", AddsUp: w.AddsUp, Ticks: a.ticks()}
	at, y := 0.0, 8.0
	add := func(name string, from, size float64, e harness.Estimate, whole bool, adds string) {
		low, high := from+size, from+size
		if e.Bounded() {
			low, high = from+e.Low, from+e.High
		}
		v.Bars = append(v.Bars, fallBar{X: a.at(max(0, from)), Y: y + 22, Width: max(1.5, a.at(max(0, from+size))-a.at(max(0, from))), TextY: y + 16, Mid: y + 29, Total: whole,
			Text: fmt.Sprintf("%s %s µs", name, text.Figure(size)), Low: a.at(max(0, low)), High: a.at(max(0, high))})
		r := fallRow{Name: name, Cost: text.Figure(e.Value), Interval: "none", N: fmt.Sprintf("%d %s", e.N, reports.Visible(e.Of)), Adds: adds}
		if e.Bounded() {
			r.Interval = text.Figure(e.Low) + " to " + text.Figure(e.High)
		}
		v.Rows = append(v.Rows, r)
		y += 44
	}
	for _, i := range w.Increments {
		add(reports.Visible(i.Category), at, i.Cost.Value, i.Cost, false, reports.Visible(i.Adds))
		at += i.Cost.Value
	}
	add("all at once", 0, w.Total.Value, w.Total, true, "everything, measured in one arm")
	v.Bottom, v.TickY, v.AxisY, v.Height = y+2, y+22, y+48, y+56
	verb := "The increments add up to the total"
	if !w.AddsUp {
		verb = "The increments do NOT add up to the total: only their order is reliable, not their values"
	}
	v.Sum = "The parts are differences of arms within each block, so they add up; flujo-harness cost measures them one by one."
	if text.Estimated(w.Gap) {
		v.Sum = fmt.Sprintf("%s: their sum less the total is %s µs (%s).", verb, text.Figure(w.Gap.Value), text.Within(w.Gap, 1))
	}
	if text.Estimated(w.Open) {
		v.Open = fmt.Sprintf("Once for a process: opening the database takes %s µs (%s).", text.Figure(w.Open.Value), text.Within(w.Open, 1))
	}
	v.Desc = fmt.Sprintf("A run takes %s µs (%s).", text.Figure(w.Total.Value), text.Within(w.Total, 1))
	return v
}
