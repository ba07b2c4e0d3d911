package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

// againstView is the table of comparisons with another revision.
type againstView struct {
	Base string
	Rows []againstRow
}

type againstRow struct{ What, Word, Tone, Time, Instructions, Reason string }

func newAgainst(a *analysis.Analysis) *againstView {
	compared, _ := comparedOf(a)
	if len(compared) == 0 {
		return nil
	}
	view := &againstView{Base: text.OneLine(compared[0].Against)}
	for _, v := range compared {
		row := againstRow{What: againstName(v), Word: v.Outcome.String(), Tone: v.Outcome.String(), Time: "not measured", Instructions: "not counted", Reason: text.OneLine(v.Reason)}
		if v.Outcome == thresholds.Held && v.By != "" {
			row.Reason = "decided by " + text.OneLine(v.By)
		}
		if v.Ratio != nil {
			row.Time = percentChange(*v.Ratio)
		}
		if v.Instructions != nil {
			row.Instructions = percentChange(*v.Instructions)
		}
		view.Rows = append(view.Rows, row)
	}
	return view
}

func (p *page) addCosts(a *analysis.Analysis) {
	p.Against = newAgainst(a)
	for _, c := range worstFirst(a.Run) {
		p.Costs = append(p.Costs, newCost(c, a.Run.VerdictFor(c)))
	}
	if len(a.Curve) > 1 {
		p.Curve = newCurve(a.Curve)
	}
	if a.Attribution != nil && a.Attribution.Problem == "" {
		p.Fall = newFall(a.Attribution)
	}
}

// costView is one measurement.
type costView struct {
	Workload string
	Sentence string
	Word     string // outcome of the verdict
	Tone     string
	Reason   string
	Figures  []figureRow
	Limit    string // a sentence on the limit and the boundary
	Plot     *plotView
	Self     []selfRow
	Audit    []harness.Finding
	Blocks   []blockRow
	Facts    []fact
}

type figureRow struct{ Name, Value, Unit, Interval, N, Durability, Note string }

type selfRow struct {
	Name, Want, Got, Blocks, Explain, Tone string
}

type blockRow struct{ Block, Session, Ratio, Slow, Overhead, Cost, Twin string }

func newCost(c *harness.Comparison, v *thresholds.Verdict) costView {
	view := costView{
		Workload: reports.Visible(c.Name()),
		Sentence: sentence(text.CostSentence(*c)),
		Word:     "not judged",
		Tone:     "inconclusive",
		Figures: []figureRow{
			row("(W-N)/F", c.CostRatio, "ratio", c.Durability, "the cost of durability relative to the floor; the limit applies to this figure"),
			row("(W-N)/N", text.Scaled(c.Overhead, 100), "%", c.Durability, "overhead over the pipeline without a backend; has no limit"),
			nullBand(c),
			row("W-N", c.Cost, "µs/run", c.Durability, "what durability adds to one run"),
			row("scripts", c.Scripts, "µs/run", c.Durability, "the calls of the scripted agents alone; they are part of both N and W, so the differences do not contain them"),
			row("(S-N)/(W-N)", c.Injected, "ratio", c.Durability, "the measured effect of the injected slow-down"),
		},
		Limit: "There is no limit for this workload: nothing was judged. Derive one with flujo-harness calibrate.",
		Plot:  newPlot(c, v),
		Facts: costFacts(c, v),
	}
	for _, f := range c.Audit {
		view.Audit = append(view.Audit, harness.Finding{Check: reports.Visible(f.Check), OK: f.OK, Detail: text.OneLine(f.Detail)})
	}
	for i, b := range c.Blocks {
		view.Blocks = append(view.Blocks, blockRow{fmt.Sprint(i + 1), fmt.Sprint(b.Session), text.Figure(b.CostRatio), text.Figure(b.Slow),
			text.Figure(100 * b.Overhead), text.Figure(b.CostUS), text.Figure(b.Twin)})
	}
	if v == nil {
		return view
	}
	view.Word, view.Tone, view.Reason = v.Outcome.String(), v.Outcome.String(), sentence(text.OneLine(v.Reason))
	if v.Limit != 0 {
		view.Limit = fmt.Sprintf("Limit %s: baseline %s and a margin of %s%%. Blocks are compared with the boundary %s, half-way between the two on the log scale; %d of %s above it.",
			text.Figure(v.Limit), text.Figure(v.Baseline), reports.Percent(v.Margin), text.Figure(v.Boundary), v.Above, text.Plural(v.N, "block"))
	}
	for _, s := range v.Self {
		tone := thresholds.Broken
		switch s.Got {
		case s.Want:
			tone = thresholds.Held
		case thresholds.Inconclusive:
			tone = thresholds.Inconclusive
		}
		view.Self = append(view.Self, selfRow{reports.Visible(s.Name), s.Want.String(), s.Got.String(), fmt.Sprintf("%d of %d", s.Above, s.N),
			text.OneLine(s.Explain), tone.String()})
	}
	return view
}

// nullBand returns the row of the null band: the ratio of two identical arms.
func nullBand(c *harness.Comparison) figureRow {
	r := figureRow{Name: "(T-N)/(W-N)", Unit: "ratio", Durability: reports.Visible(c.Durability), Value: "not measured", Interval: "none", N: "0 blocks",
		Note: "the null band: median and range of the ratio of two identical arms, which should be 1"}
	twins := twins(c)
	if len(twins) == 0 {
		return r
	}
	median := (twins[(len(twins)-1)/2] + twins[len(twins)/2]) / 2
	r.Value, r.Interval, r.N = fmt.Sprintf("%.4g", median), fmt.Sprintf("%.4g to %.4g", twins[0], twins[len(twins)-1]), text.Plural(len(twins), "block")
	return r
}

// twins returns the ratios of the A/A pair in the blocks, sorted.
func twins(c *harness.Comparison) []float64 {
	var all []float64
	for _, b := range c.Blocks {
		if text.Finite(b.Twin) && b.Twin > 0 {
			all = append(all, b.Twin)
		}
	}
	slices.Sort(all)
	return all
}

// nullRange returns the range of the ratios of the A/A pair.
func nullRange(c *harness.Comparison) (low, high float64, ok bool) {
	all := twins(c)
	if len(all) == 0 {
		return 0, 0, false
	}
	return all[0], all[len(all)-1], true
}

func row(name string, e harness.Estimate, unit, durability, note string) figureRow {
	r := figureRow{Name: name, Unit: unit, Durability: reports.Visible(durability), Note: note, Value: "not estimated", Interval: "none", N: fmt.Sprintf("%d %s", e.N, reports.Visible(e.Of))}
	if !text.Estimated(e) {
		return r
	}
	r.Value, r.Interval = text.Figure(e.Value), "none: too few"
	if e.Bounded() {
		r.Interval = fmt.Sprintf("%s to %s", text.Figure(e.Low), text.Figure(e.High))
	}
	return r
}

func costFacts(c *harness.Comparison, v *thresholds.Verdict) []fact {
	p, e := c.Plan, c.Environment
	all := []fact{
		{"durability", reports.Visible(c.Durability)},
		{"measured", fmt.Sprintf("%s of %s, in %s", text.Plural(len(c.Blocks), "block"), text.Plural(c.Sessions(), "session"), text.Took(text.Seconds(c.Seconds)))},
		{"plan", fmt.Sprintf("at most %s of %s; a block: %s of each arm, then %s with %s; slow arm slowed down by %s%%",
			text.Plural(p.Sessions, "session"), text.Plural(p.Blocks, "block"), text.Plural(p.Warmups, "warm-up run"), text.Plural(p.Rounds, "round"), batches(p), reports.Percent(p.SlowBy))},
		{"seed", fmt.Sprint(c.Seed)},
		{"method", text.OneLine(c.CostRatio.Method)},
		{"machine class", reports.Visible(e.Class)},
		{"machine", join(e.CPU, fmt.Sprintf("%s in use", text.Plural(e.Cores, "core")), e.OS+"/"+e.Arch, e.Kernel, e.Filesystem)},
		{"software", join(e.Go, prefixed("SQLite driver ", e.SQLite))},
		{"problem", text.OneLine(c.Problem)},
	}
	if v != nil {
		all = append(all, fact{"limit from", reports.Visible(v.Source)})
	}
	return slices.DeleteFunc(all, func(f fact) bool { return f.Value == "" })
}

// batches describes the sizes of batches, which are 0 until they are fitted to the machine.
func batches(p harness.Plan) string {
	if len(p.Batch) == 0 {
		return "batches fitted to the machine"
	}
	return fmt.Sprintf("batches of %s (without a backend %s)", text.Plural(p.Batch[harness.ArmBackend], "run"), text.Count(p.Batch[harness.ArmNone]))
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func join(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" || s == "/" })
	for i := range parts {
		parts[i] = reports.Visible(parts[i])
	}
	return strings.Join(parts, ", ")
}
