package thresholds

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/harness"
)

// count is a counter with its name in the limits file.
type count struct {
	name string
	of   func(*harness.Counters) *float64
}

var counts = []count{
	{"allocs", func(c *harness.Counters) *float64 { return &c.Allocs }},
	{"alloc_bytes", func(c *harness.Counters) *float64 { return &c.AllocBytes }},
	{"commits", func(c *harness.Counters) *float64 { return &c.Commits }},
	{"statements", func(c *harness.Counters) *float64 { return &c.Statements }},
	{"pages", func(c *harness.Counters) *float64 { return &c.Pages }},
	{"bytes", func(c *harness.Counters) *float64 { return &c.Bytes }},
	{"syncs", func(c *harness.Counters) *float64 { return &c.Syncs }},
}

// limitCounters derives limits from the lowest and the highest counts of a calibration's
// sessions: the highest count plus the range.
func limitCounters(least, most harness.Counters) *harness.Counters {
	var limits harness.Counters
	for _, n := range counts {
		few, many := *n.of(&least), *n.of(&most)
		*n.of(&limits) = round(many + (many - few))
	}
	return &limits
}

// CountsText lists the lowest and the highest counts of a run: "allocs 110, commits 1.25 to 1.5".
func CountsText(least, most harness.Counters) string {
	var all []string
	for _, n := range counts {
		few, many := round(*n.of(&least)), round(*n.of(&most))
		text := fmt.Sprintf("%s %.6g", n.name, few)
		if few != many {
			text += fmt.Sprintf(" to %.6g", many)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// checkCounters returns an error for negative and infinite counts.
func checkCounters(c *harness.Counters) error {
	if c == nil {
		return nil
	}
	for _, n := range counts {
		if v := *n.of(c); !(v >= 0) || math.IsInf(v, 0) {
			return fmt.Errorf("counter %s is %v: use a finite number, zero or more", n.name, v)
		}
	}
	return nil
}

// moved lists the counters whose limits rose and fell. A new limit counts as a fall, a removed
// limit as a rise.
func moved(from, to *harness.Counters) (rose, fell []string) {
	switch {
	case from == nil && to == nil:
		return nil, nil
	case from == nil:
		return nil, []string{"counters are limited now"}
	case to == nil:
		return []string{"counters are no longer limited"}, nil
	}
	for _, n := range counts {
		a, b := *n.of(from), *n.of(to)
		line := fmt.Sprintf("%s %.6g -> %.6g", n.name, a, b)
		switch {
		case b > a:
			rose = append(rose, line)
		case b < a:
			fell = append(fell, line)
		}
	}
	return rose, fell
}

// sayMoved formats the result of moved for the end of a line, "" if nothing changed.
func sayMoved(rose, fell []string) string {
	text := ""
	if len(rose) > 0 {
		text += "; rose: " + strings.Join(rose, ", ")
	}
	if len(fell) > 0 {
		text += "; fell: " + strings.Join(fell, ", ")
	}
	return text
}

// CountsPlan returns a plan whose sessions are as short as may be: what a run counts does not
// depend on how long it is timed.
func CountsPlan(p harness.Plan) harness.Plan {
	p.Blocks, p.Rounds = 1, 4
	return p
}

// limitOfCounts derives a limit of counters alone.
func limitOfCounts(c *harness.Comparison, order Order) (Limit, error) {
	least, ok := c.Counters[harness.ArmBackend]
	if !ok {
		return Limit{}, errors.New("nothing was counted")
	}
	l := Limit{Workload: c.Workload, Metric: MetricCounts, Durability: c.Durability, Counters: limitCounters(least, c.Most[harness.ArmBackend]), Provenance: provenanceOf(c, order, MetricCounts)}
	l.Provenance.Seed, l.Provenance.Sessions, l.Provenance.Blocks = c.Seed, c.Sessions(), len(c.Blocks)
	return l, nil
}

// CalibrateCounts derives the counters of a limit anew, in short sessions, and leaves the limit of the time
// as it is: counts do not depend on what else the machine does. old is the limit so far, or
// nil, for a workload whose time is not judged.
func CalibrateCounts(ctx context.Context, spec harness.Spec, old *Limit, order Order, run harness.Runner, progress func(*harness.Comparison)) (Limit, *harness.Comparison, error) {
	if spec.Plan.Sessions < leastSession {
		return Limit{}, nil, fmt.Errorf("%d sessions: a calibration needs at least %d", spec.Plan.Sessions, leastSession)
	}
	spec.Plan = CountsPlan(spec.Plan)
	c, err := harness.Measure(ctx, spec, run, func(c *harness.Comparison) bool { progress(c); return false })
	if err == nil {
		err = completed(c)
	}
	if err != nil {
		return Limit{}, c, err
	}
	switch {
	case c.Untimed != "":
		l, err := limitOfCounts(c, order)
		return l, c, err
	case old == nil:
		return Limit{}, c, fmt.Errorf("there is no limit for this class of machine whose counters could be derived again: make one: %s", calibrateCommand(c))
	case old.Provenance.Environment.Go != c.Environment.Go:
		return Limit{}, c, fmt.Errorf("the limit was derived with %s, and this is %s, which allocates otherwise: calibrate the time, too", old.Provenance.Environment.Go, c.Environment.Go)
	}
	counts, err := limitOfCounts(c, order)
	l := *old
	l.Counters, l.Provenance.CountsDate, l.Provenance.CountsOf = counts.Counters, counts.Provenance.Date, order.Commit
	return l, c, err
}

// judgeCountsAlone judges a workload whose time is not judged.
func judgeCountsAlone(c *harness.Comparison, limits *File, limit *Limit, source string, notes []string, now time.Time) Verdict {
	v := Verdict{Workload: c.Workload, Metric: MetricCounts, Durability: c.Durability, N: len(c.Blocks), By: ByCounts, Source: source, Notes: notes}
	end := func(o Outcome, reason, next string) Verdict { return v.end(o, c.Name()+": "+reason, next) }
	v.Notes = append(v.Notes, "its time is not judged: "+c.Untimed)
	if limit == nil {
		return end(Inconclusive, "no limit exists for it", "create one: "+calibrateCommand(c))
	}
	rose, more := judgeCounters(c, limit, limits.Class != c.Environment.Class)
	v.Notes = append(v.Notes, more...)
	if c.Sessions() < 2 { // a single process may have allocated for its own reasons
		return end(Inconclusive, "one session: too few", "run again and let it finish")
	}
	if len(rose) > 0 {
		return end(Broken, moreThanAllowed(rose), findMoreWork)
	}
	if e := limits.expired(limit, now); e != nil {
		return end(Broken, expiredSince(e), expiredNext)
	}
	return end(Held, "a run counts no more than its limit allows", "nothing to do")
}

const (
	findMoreWork = "counts have no noise: find the change that added work since the last passing run"
	expiredNext  = "reduce the cost, or calibrate again with a reason and an expiry date"
)

func moreThanAllowed(rose []string) string {
	return "a run does more than its limit allows: " + strings.Join(rose, ", ")
}

func expiredSince(e *Entry) string {
	return fmt.Sprintf("the loosening of this limit expired on %s (reason given: %s)", e.Expires, e.Reason)
}
