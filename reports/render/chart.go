package render

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

// Dimensions of charts in units of their viewBox, which the page scales. The font is larger on narrow
// screens, so the rows have room for the larger size.
const (
	chartWidth = 640.0
	chartLeft  = 24.0
	chartRight = 24.0
)

// plotView is the dot plot of the blocks: two rows of dots over one axis.
type plotView struct {
	Width, Height   float64
	Title, Desc     string
	Left, Right     float64 // edges of the plot itself
	Top, Bottom     float64
	Backend, Slow   []dot
	Null            *segment // the null band: the range of blocks if only chance varies them
	BackendY, SlowY float64  // positions of the names of the rows
	BackendText     string
	SlowText        string
	Lines           []line
	Ticks           []tick
	TickY           float64
	AxisText        string
	AxisY           float64
}

type dot struct{ X, Y float64 }

// Path returns the outline of a diamond around the dot.
func (d dot) Path() string {
	const r = 5.5
	return fmt.Sprintf("M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fz", d.X, d.Y-r, r, r, -r, r, -r, -r)
}

type tick struct {
	X, Y float64
	Text string
}

// line is a vertical line at a value, with its name next to it.
type line struct {
	X, TextX, TextY float64
	Class, Text     string
	Anchor          string // "start" or "end"
}

// newPlot returns nil if there is nothing to draw.
func newPlot(c *harness.Comparison, v *thresholds.Verdict) *plotView {
	var backend, slow []float64
	for _, b := range c.Blocks {
		if text.Finite(b.CostRatio) && text.Finite(b.Slow) {
			backend = append(backend, b.CostRatio)
			slow = append(slow, b.Slow)
		}
	}
	if len(backend) == 0 {
		return nil
	}
	all := append(slices.Clone(backend), slow...)
	if v != nil && v.Limit > 0 {
		all = append(all, v.Limit, v.Boundary)
		if low, high, ok := nullRange(c); ok {
			all = append(all, v.Baseline*low, v.Baseline*high)
		}
	}
	a := newAxis(slices.Min(all), slices.Max(all), chartLeft, chartWidth-chartRight)
	p := &plotView{
		Width: chartWidth, Height: 300, Left: chartLeft, Right: chartWidth - chartRight, Top: 56, Bottom: 244,
		Title:       "Blocks of " + reports.Visible(c.Workload) + " on the scale of (W-N)/F",
		BackendText: fmt.Sprintf("● with backend, n=%s", text.Plural(len(backend), "block")),
		SlowText:    fmt.Sprintf("◆ the same, slowed down by %s%%: the self-check", reports.Percent(c.Plan.SlowBy)),
		BackendY:    78, SlowY: 168, TickY: 264, AxisY: 292,
		AxisText: "(W-N)/F: cost over the floor, ratio",
		Ticks:    a.ticks(),
	}
	p.Backend, p.Slow = strip(backend, a, 110), strip(slow, a, 200)
	p.Desc = fmt.Sprintf("Each dot is one block. With backend: %s to %s. Slowed down: %s to %s.",
		text.Figure(slices.Min(backend)), text.Figure(slices.Max(backend)), text.Figure(slices.Min(slow)), text.Figure(slices.Max(slow)))
	if v != nil && v.Limit > 0 {
		p.Desc += fmt.Sprintf(" Boundary %s, limit %s. The table below has every block.", text.Figure(v.Boundary), text.Figure(v.Limit))
		p.Lines = []line{
			a.line(v.Boundary, 20, "boundary", "boundary "+text.Figure(v.Boundary)),
			a.line(v.Limit, 44, "limit", "limit "+text.Figure(v.Limit)),
		}
		if low, high, ok := nullRange(c); ok {
			p.Null = &segment{X: a.at(v.Baseline * low), Width: a.at(v.Baseline*high) - a.at(v.Baseline*low)}
			p.Desc += " The grey area is the null band around the baseline: the range of the ratio of two identical arms."
		}
	}
	return p
}

// strip places the dots at four heights in turn, so that blocks with equal values do not hide each
// other.
func strip(values []float64, a axis, y float64) []dot {
	dots := make([]dot, len(values))
	for i, v := range values {
		dots[i] = dot{X: a.at(v), Y: y + 8*float64(i%4)}
	}
	return dots
}

// axis maps values to positions. Its ends are multiples of the step.
type axis struct {
	from, to   float64 // values at the ends
	left, size float64 // position of the left end, and length
	step       float64 // distance of ticks, in values
}

// newAxis chooses a step of 1, 2 or 5 times a power of ten that results in 3 to 6 steps.
func newAxis(low, high, left, right float64) axis {
	low, high = max(low, -1e300), min(high, 1e300) // so that high-low cannot overflow
	if high-low < max(1e-300, 1e-9*math.Abs(high)) {
		low, high = low-0.5*cmp.Or(math.Abs(low), 1), high+0.5*cmp.Or(math.Abs(high), 1)
	}
	step := math.Pow10(int(math.Floor(math.Log10(high - low))))
	for _, f := range []float64{0.1, 0.2, 0.5, 1} {
		if (high-low)/(step*f) <= 5 {
			step *= f
			break
		}
	}
	return axis{from: math.Floor(low/step) * step, to: math.Ceil(high/step) * step, left: left, size: right - left, step: step}
}

func (a axis) at(v float64) float64 {
	return math.Round(10*(a.left+(v-a.from)/(a.to-a.from)*a.size)) / 10
}

func (a axis) ticks() []tick {
	var all []tick
	digits := max(0, -int(math.Floor(math.Log10(a.step)+1e-9)))
	for i := 0; ; i++ {
		v := a.from + float64(i)*a.step
		if v > a.to+a.step/2 {
			return all
		}
		all = append(all, tick{X: a.at(v), Text: fmt.Sprintf("%.*f", digits, v)})
	}
}

// line returns a line at a value, with its name on the side that has more room.
func (a axis) line(v, y float64, class, text string) line {
	l := line{X: a.at(v), TextX: a.at(v) + 6, TextY: y, Class: class, Text: text, Anchor: "start"}
	if l.X > a.left+a.size/2 {
		l.TextX, l.Anchor = l.X-6, "end"
	}
	return l
}
