package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// ErrNoTime is the cause of a measurement that was not started or not finished because of --time.
var ErrNoTime = errors.New("--time is over")

// Need is an estimate of how long one measurement takes. The zero value means unknown.
type Need struct {
	Least time.Duration // shortest measurement that can give a result
	Most  time.Duration // longest measurement
	After time.Duration // part of Least that follows the sessions: counts of instructions
}

// leastSessions is the minimum number of sessions.
const leastSessions = 2

// NeedOf estimates how long a verdict takes on this machine. count means that instructions are
// counted too.
func NeedOf(ctx context.Context, p project.Project, spec harness.Spec, limits *thresholds.File, count bool) (Need, error) {
	spec = thresholds.AsCalibrated(spec, limits)
	f, err := forecast(ctx, p, spec)
	n := Need{Least: leastSessions * f.Session, Most: time.Duration(spec.Plan.Sessions) * f.Session}
	if count {
		n.After = f.Counts(thresholds.LeastCounts)
		n.Least, n.Most = n.Least+n.After, n.Most+f.Counts(thresholds.MostCounts)
	}
	return n, err
}

// forecast times single operations.
func forecast(ctx context.Context, p project.Project, spec harness.Spec) (f harness.Forecast, err error) {
	spec, run, remove, err := Ready(p, spec)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	return spec.Forecast(ctx, run)
}

// Each runs several measurements in sequence, within --time. Before the first one it prints a
// plan: the order, which begins with the shortest, how long each takes, and which fit. It calls
// need only if there are several measurements.
//
// one measures the i-th spec. The budget in the spec's plan is its share of the time that is
// left, in proportion to what the measurements need at least. When --time is over, the context of
// one ends with the cause [ErrNoTime]. If a measurement needs more time than is left, Each does
// not start it, but calls late with an error that wraps ErrNoTime.
func (f *Flags) Each(ctx context.Context, specs []harness.Spec, progress *cli.Progress, need func(context.Context, harness.Spec) (Need, error), one func(ctx context.Context, i int, spec harness.Spec), late func(i int, why error)) {
	if len(specs) == 0 {
		return
	}
	began := time.Now()
	if f.Budget > 0 {
		within, cancel := context.WithDeadlineCause(ctx, began.Add(f.Budget), ErrNoTime)
		defer cancel()
		ctx = within
	}
	needs := make([]Need, len(specs))
	if len(specs) > 1 {
		for i, spec := range specs {
			progress.Set("planning the measurements", fmt.Sprintf("%s at %s", spec.Workload, spec.Durability))
			var err error
			if needs[i], err = need(ctx, spec); err != nil {
				needs[i] = Need{} // the measurement itself will report the problem
			}
		}
		progress.End()
	}
	q := newQueue(specs, needs, f.Budget)
	if len(specs) > 1 && ctx.Err() == nil {
		for _, line := range q.lines(f.Budget - time.Since(began)) {
			progress.Say(line)
		}
	}
	q.each(ctx, began, one, late)
}

// queue has the order of several measurements, and the time that they share.
type queue struct {
	specs []harness.Spec
	needs []Need        // by spec
	order []int         // indexes of specs, the shortest measurement first
	whole time.Duration // 0 means no limit
}

func newQueue(specs []harness.Spec, needs []Need, whole time.Duration) *queue {
	q := &queue{specs: specs, needs: needs, whole: whole}
	for i := range specs {
		q.order = append(q.order, i)
	}
	slices.SortStableFunc(q.order, func(a, b int) int { return cmp.Compare(needs[a].Least, needs[b].Least) })
	return q
}

// lines returns the plan, given the time that is left.
func (q *queue) lines(left time.Duration) (lines []string) {
	var all Need
	for _, n := range q.needs {
		all.Least, all.Most = all.Least+n.Least, all.Most+n.Most
	}
	lines = append(lines, fmt.Sprintf("plan: %s, %v in all, in this order:", cli.Plural(int64(len(q.specs)), "measurement"), all))
	fit, sum := 0, time.Duration(0)
	for _, i := range q.order {
		line := fmt.Sprintf("  %s at %s: %s", q.specs[i].Workload, q.specs[i].Durability, q.needs[i])
		if sum += q.needs[i].Least; q.whole == 0 || sum <= left {
			fit++
		} else {
			line += fmt.Sprintf("; does not fit into --time %v", q.whole)
		}
		lines = append(lines, line)
	}
	if fit < len(q.order) {
		lines = append(lines, fmt.Sprintf("%d of %d fit: --time %v is enough for all", fit, len(q.order), rounded((all.Least+q.whole-left)*6/5)))
	}
	return lines
}

// String returns "about 12s", "about 2s to 24s", or "an unknown time".
func (n Need) String() string {
	least, most := rounded(n.Least), rounded(n.Most)
	switch {
	case n == Need{}:
		return "an unknown time"
	case least >= most:
		return "about " + least.String()
	}
	return fmt.Sprintf("about %v to %v", least, most)
}

// rounded rounds a duration to the precision of a forecast.
func rounded(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

// each runs the measurements. ctx ends when the time is over.
func (q *queue) each(ctx context.Context, began time.Time, one func(ctx context.Context, i int, spec harness.Spec), late func(i int, why error)) {
	for k, i := range q.order {
		spec, need := q.specs[i], q.needs[i]
		if q.whole > 0 {
			left, all := q.whole-time.Since(began), time.Duration(0) // all: of those that fit
			for _, j := range q.order[k:] {
				if all+q.needs[j].Least > left {
					break
				}
				all += q.needs[j].Least
			}
			if context.Cause(ctx) == ErrNoTime || left < need.Least {
				late(i, fmt.Errorf("%w: it takes %v, and of %v there are %v left", ErrNoTime, need, q.whole, rounded(max(0, left))))
				continue
			}
			mine := left
			if all > 0 {
				mine = time.Duration(float64(left) * float64(need.Least) / float64(all))
			}
			spec.Plan.Budget = max(1, mine-need.After)
		}
		if ctx.Err() != nil {
			return
		}
		one(ctx, i, spec)
	}
}
