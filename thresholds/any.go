package thresholds

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/instructions"
	"github.com/flujo/flujo-harness/harness/machine"
)

// AnyClass is the class of limits that apply to every machine. Their metric is
// [MetricInstructions]: valgrind simulates the same processor everywhere, so its counts depend on
// the versions of Go and SQLite and on the architecture, but not on the machine.
const AnyClass = "any"

// MetricInstructions is the number of instructions that durability adds to one run: the backend
// arm minus the none arm (W-N).
const MetricInstructions = "instructions"

// Numbers of turns in which instructions are counted, see [harness.RunInstructions].
const (
	CalibrationCounts = 7           // that a limit is derived from
	LeastCounts       = leastToHold // that can decide a verdict
	MostCounts        = mostCounts  // of a verdict
)

// CountsForLimit reports whether a calibration needs another count.
func CountsForLimit(r *harness.RunInstructions) bool { return len(r.With) < CalibrationCounts }

// ErrSpread reports that counts vary by more than the requested margin.
var ErrSpread = errors.New("the counts vary by more than the margin")

// CalibrateInstructions derives the limit for any machine from the counts of a comparison. The
// baseline is the largest count. Counts that vary by more than the margin are [ErrSpread].
func CalibrateInstructions(c *harness.Comparison, order Order) (Limit, error) {
	r := c.Instructions
	switch {
	case !(order.Margin > 0 && order.Margin <= 1):
		return Limit{}, fmt.Errorf("margin %v: use a share above 0, up to 1 (0.1 is 10%%)", order.Margin)
	case r == nil || r.Problem != "":
		return Limit{}, fmt.Errorf("instructions were not counted: %s", problemOfCounts(r))
	case len(r.With) < CalibrationCounts:
		return Limit{}, fmt.Errorf("%d counts of instructions: a limit is made from %d", len(r.With), CalibrationCounts)
	}
	cost := r.Cost()
	if s := spread(cost); s > order.Margin {
		return Limit{}, fmt.Errorf("%w: by %.2g%% from process to process: use a margin of %.3g%% or more", ErrSpread, 100*s, 100*s)
	}
	l := Limit{Workload: c.Workload, Metric: MetricInstructions, Durability: c.Durability, Margin: order.Margin, Baseline: round(slices.Max(cost))}
	l.Limit = round(l.Baseline * (1 + l.Margin))
	l.Provenance = provenanceOf(c, order, "counts by "+r.Tool)
	l.Provenance.Sessions = len(cost)
	return l, nil
}

func problemOfCounts(r *harness.RunInstructions) string {
	if r == nil {
		return "the count was not requested"
	}
	return r.Problem
}

// JudgeInstructions judges the counts of a comparison by the limits for any machine. It is
// inconclusive if the limit is stale, or was derived with another version of Go or SQLite or for
// another architecture.
//
// The test is a one-sample t test on the logarithms of the counts, which assumes that the counts
// of separate processes are independent and log-normal around their mean. Their standard
// deviation is estimated from the counts themselves, but taken as at least leastSpread.
func JudgeInstructions(c *harness.Comparison, limits *File) Verdict {
	v := Verdict{Workload: c.Workload, Metric: MetricInstructions, Durability: c.Durability, By: ByInstructions}
	end := func(o Outcome, reason, next string) Verdict { return v.end(o, c.Name()+": "+reason, next) }
	calibrate := "create one: " + calibrateCommand(c, "--instructions")
	var l *Limit
	if limits != nil {
		v.Source, l = limits.Path, limits.Find(c.Workload, MetricInstructions, c.Durability)
	}
	if l == nil {
		return end(Inconclusive, "no limit of instructions exists for it", calibrate)
	}
	v.Limit, v.Boundary, v.Baseline, v.Margin = l.Limit, l.Boundary(), l.Baseline, l.Margin
	r := c.Instructions
	if r == nil || r.Problem != "" {
		return end(Inconclusive, "its instructions were not counted: "+problemOfCounts(r), "install valgrind, or measure on a machine that has its own limits")
	}
	made := l.Provenance.Environment
	for _, differs := range [][3]string{{"Go", made.Go, c.Environment.Go}, {"the architecture", made.Arch, c.Environment.Arch}, {"SQLite", made.SQLite, c.Environment.SQLite}, {"backend", made.Backend, c.Environment.Backend}} {
		if differs[1] != differs[2] {
			return end(Inconclusive, fmt.Sprintf("its limit of instructions was made with another %s: %s, and this is %s", strings.TrimPrefix(differs[0], "the "), differs[1], differs[2]), calibrate)
		}
	}
	cost := r.Cost()
	v.N = len(cost)
	for _, n := range cost {
		if !(n > 0) || math.IsInf(n, 0) {
			return end(Invalid, fmt.Sprintf("a count of %v instructions", n), "run again")
		}
		if n > v.Boundary {
			v.Above++
		}
	}
	if len(cost) < leastToHold {
		return end(Inconclusive, fmt.Sprintf("%d counts of instructions: too few", len(cost)), "run again and let it finish")
	}
	if s := spread(cost); s > l.Margin {
		return end(Inconclusive, fmt.Sprintf("its instructions vary by %.2g%% from process to process, more than the margin of %.3g%%", 100*s, 100*l.Margin), "judge by time")
	}
	w := logs(cost)
	k := float64(len(w))
	se := max(stat.StdDev(w, nil), leastSpread) / math.Sqrt(k)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: k - 1}
	d := stat.Mean(w, nil) - math.Log(v.Baseline)
	half := t.Quantile(1-(1-0.95)/2) * se
	v.Instructions = &harness.Estimate{Value: math.Exp(d), Low: math.Exp(d - half), High: math.Exp(d + half), Level: 0.95, N: len(w), Of: "counts", Unit: "ratio", Method: "mean of logs, t interval"}
	v.Notices = v.Boundary/math.Exp(stat.Mean(w, nil)) - 1
	distance := (d - math.Log(1+l.Margin)/2) / se
	says := fmt.Sprintf("durability executes %.0f instructions a run, %v of the calibrated baseline, limit %.0f", math.Exp(stat.Mean(w, nil)), *v.Instructions, l.Limit)
	v.Stale = limitIsStale(v.Instructions.High, v.Margin)
	switch {
	case t.Survival(-distance) < beta/looks && v.Stale:
		return end(Inconclusive, fmt.Sprintf("its limit is stale: %s, so that %s", says, v.noticesOnly()), v.tighten(c, "--instructions"))
	case t.Survival(-distance) < beta/looks:
		return end(Held, says, "nothing to do")
	case t.Survival(distance) < alpha/looks && len(w) >= leastToBreak:
		return end(Broken, "more instructions: "+says, "find the change that added instructions since the last passing run")
	}
	return end(Inconclusive, says+": undecided", "run again")
}

// CountInstructions counts the instructions of a run of what was measured, until more wants no further
// count. Where no program counts, the comparison says how to get one.
func CountInstructions(ctx context.Context, spec harness.Spec, c *harness.Comparison, run harness.Runner, more func(*harness.RunInstructions) bool) {
	// Counts of perf depend on the processor: its instructions for copying and hashing.
	tool, err := instructions.FindPortable(ctx)
	if err != nil {
		c.Instructions = &harness.RunInstructions{Problem: err.Error()}
		return
	}
	c.Instructions = harness.CountRun(ctx, spec, run, tool, more)
}

// CountDecides reports whether the limit for any machine judges a workload: this class of machine has no
// limit of its own. The files may be nil.
func CountDecides(workload, durability string, own, anyMachine *File) bool {
	return anyMachine != nil && anyMachine.Find(workload, MetricInstructions, durability) != nil && own.Own(machine.Class(), workload, durability) == nil
}

// NeedsCount reports whether the instructions of what was measured are to be counted: always, or
// where they decide. The files may be nil.
func (j *Judged) NeedsCount(own, anyMachine *File, always bool) bool {
	c := j.Comparison
	return c != nil && j.Verdict.Outcome != Invalid && j.Verdict.Outcome != Broken && (always || CountDecides(c.Workload, c.Durability, own, anyMachine))
}

// Count counts the instructions of a run of what was measured, and judges them by the limit for any
// machine, if there is one. The files may be nil.
func (j *Judged) Count(ctx context.Context, spec harness.Spec, own, anyMachine *File, run harness.Runner) {
	c := j.Comparison
	CountInstructions(ctx, spec, c, run, func(r *harness.RunInstructions) bool {
		c.Instructions = r
		return MoreInstructions(c, anyMachine)
	})
	if ctx.Err() == nil && anyMachine != nil && anyMachine.Find(c.Workload, MetricInstructions, c.Durability) != nil {
		j.Verdict = OnAnyMachine(c, j.Verdict, own, JudgeInstructions(c, anyMachine))
	}
}

// MoreInstructions reports whether another count could make an inconclusive verdict decided.
func MoreInstructions(c *harness.Comparison, limits *File) bool {
	v := JudgeInstructions(c, limits)
	return v.Outcome == Inconclusive && !v.Stale && len(c.Instructions.With) < mostCounts && (v.N < leastToHold || v.Instructions != nil)
}

// OnAnyMachine combines the verdict by the limit of this class of machine with the verdict on
// instructions, whose limit applies to any machine. If the counts broke their limit, the result
// is broken. If this class has no limit of its own, the counts decide, or say that their limit is
// stale. Otherwise they are a note.
func OnAnyMachine(c *harness.Comparison, byClass Verdict, own *File, counted Verdict) Verdict {
	with := func(v Verdict, of Verdict) Verdict {
		v.Notes = append(slices.Clone(v.Notes), of.Reason)
		v.Self = byClass.Self
		return v
	}
	unknown := own.Own(c.Environment.Class, c.Workload, c.Durability) == nil
	switch {
	case byClass.Outcome == Invalid || byClass.Outcome == Broken:
		return byClass
	case counted.Outcome == Broken:
		return with(counted, byClass)
	case unknown && (counted.Outcome == Held || counted.Stale) && byClass.Outcome == Inconclusive:
		return with(counted, byClass)
	}
	return with(byClass, counted)
}
