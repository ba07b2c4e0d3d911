package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/compare"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/measure"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/instructions"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// against holds the flags for comparing with another revision, with interleaved measurements in
// one job.
type against struct {
	ref    string  // revision to compare with; "" if none
	margin float64 // percent
	by     string  // figures to judge by, see thresholds.Judging.By
}

// check validates the flags.
func (a *against) check() error {
	switch {
	case !(a.margin > 0 && a.margin <= 100):
		return fmt.Errorf("--margin %v: a percentage above 0, up to 100", a.margin)
	case a.by != "" && a.by != thresholds.ByTime && a.by != thresholds.ByInstructions && a.by != thresholds.ByCounts:
		return fmt.Errorf("--judge %q: use time, instructions or counts", a.by)
	case a.ref == "" && a.by != "":
		return errors.New("--judge says how the comparison of --against is judged: give --against, or leave it out")
	}
	return nil
}

// checkouts are the base, checked out into a temporary folder, and the working tree.
type checkouts struct {
	sides [2]revisions.Checkout
	tmp   string
	close func() error
}

// open checks the base out.
func (a *against) open(ctx context.Context, p project.Project) (c checkouts, err error) {
	tmp, remove, err := workdir.Temporary(os.TempDir(), revisions.TreesPrefix)
	if err != nil {
		return c, cli.Fault(err)
	}
	if err := revisions.ForgetTrees(ctx, p); err != nil {
		return c, cli.Usage(errors.Join(err, remove()))
	}
	base, leave, err := revisions.CheckOut(ctx, p, a.ref, filepath.Join(tmp, "tree0"))
	if err != nil {
		return c, cli.Usage(fmt.Errorf("--against: %w", errors.Join(err, remove())))
	}
	c = checkouts{sides: [2]revisions.Checkout{base, revisions.WorkingTree(ctx, p)}, tmp: tmp}
	c.close = func() error { return errors.Join(leave(), remove()) }
	return c, nil
}

// programs builds the programs of both revisions that run the sessions of a workload: the test
// program of the suite that has it or, in the module of flujo-harness, the command itself.
func (c *checkouts) programs(ctx context.Context, spec harness.Spec) (sides [2]harness.Revision, err error) {
	for i, side := range c.sides {
		sides[i].Name = side.Name
		if spec.Suite != "" {
			at := project.Project{Root: side.Dir, Module: true}
			program := filepath.Join(c.tmp, fmt.Sprintf("suite%d.test%s", i, child.Suffix()))
			if err := at.BuildSuite(ctx, spec.Suite, program); err != nil {
				return sides, fmt.Errorf("at %s: %w", side.Name, err)
			}
			sides[i].Run = harness.ExecTest(program, filepath.Join(side.Dir, filepath.FromSlash(spec.Suite)), spec.Workload)
			continue
		}
		program := filepath.Join(c.tmp, fmt.Sprintf("program%d%s", i, child.Suffix()))
		if _, err := os.Stat(program); err != nil {
			build := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/flujo-harness")
			build.Dir = side.Dir
			if out, err := child.CombinedOutput(build); err != nil {
				return sides, fmt.Errorf("build this program at %s: %w\n%s", side.Name, err, out)
			}
		}
		sides[i].Run = harness.Exec(program, "session")
	}
	return sides, nil
}

// durability compares the cost of durability for a workload. family is the number of comparisons
// that are judged together.
func (a *against) durability(ctx context.Context, p project.Project, c *checkouts, spec harness.Spec, family int, progress *cli.Progress) (v thresholds.Verdict, head *harness.Comparison, err error) {
	stage := fmt.Sprintf("comparing %s at %s with %s", spec.Workload, spec.Durability, a.ref)
	progress.Set(stage, "building both programs")
	judging := thresholds.Judging{Margin: a.margin / 100, Family: family, By: a.by, Lower: harness.AgainstUnits()}
	of := harness.AgainstSpec{Spec: spec}
	of.Plan.SlowBy = judging.Margin // the injected slow-down is as large as the margin
	sides, err := c.programs(ctx, spec)
	switch {
	case ctx.Err() != nil:
		return v, nil, nil
	case err != nil && sides[1].Name == "": // the cost at the base cannot be known
		v = a.failed(spec.Workload, thresholds.MetricAgainst, err)
		v.Outcome, v.Durability, v.Next = thresholds.Inconclusive, string(spec.Durability), "compare with a revision that builds and has the workload"
		return v, nil, nil
	case err != nil:
		return v, nil, err
	}
	of.Base, of.Head = sides[0], sides[1]
	dir, remove, err := workdir.Scratch(p.Root)
	if err != nil {
		return v, nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	of.Dir = dir
	if a.by != thresholds.ByTime && a.by != thresholds.ByCounts {
		if of.Counter, err = instructions.Find(ctx); err != nil {
			progress.Say(fmt.Sprintf("judged by time and counts alone: %v", err))
		}
	}
	began := time.Now()
	d, head, err := harness.Against(ctx, of, func(d *harness.Difference) harness.More {
		progress.Set(stage, fmt.Sprintf("%d blocks, %.0f s", len(d.Blocks), time.Since(began).Seconds()))
		return judging.More(d)
	})
	if err != nil {
		return v, nil, err
	}
	v = judging.Judge(d)
	v.Workload, v.Metric, v.Durability = spec.Workload, thresholds.MetricAgainst, string(spec.Durability)
	if base := c.sides[0].Of.Commit; base != "" {
		v.Source = fmt.Sprintf("%s, commit %.12s", a.ref, base)
	}
	return v, head, nil
}

// compare compares with another revision and adds the results to a run: the cost of durability
// for the workloads and, if tests were run, the benchmarks of their packages.
func (j *job) compare(ctx context.Context, p project.Project, specs []harness.Spec, r *reports.Run, progress *cli.Progress) (err error) {
	a := &j.against
	c, err := a.open(ctx, p)
	if err != nil {
		return err
	}
	r.Facts = append(r.Facts, compare.Facts(c.sides)...)
	defer func() { err = errors.Join(err, c.close()) }()
	type compared struct {
		verdict thresholds.Verdict
		head    *harness.Comparison
	}
	all := make([]compared, len(specs))
	j.measure.Each(ctx, specs, progress, func(ctx context.Context, spec harness.Spec) (measure.Need, error) {
		spec.Plan.SlowBy = a.margin / 100
		n, err := measure.NeedOf(ctx, p, spec, nil, false)
		return measure.Need{Least: 3 * n.Least, Most: 3 * n.Most}, err // three measurements, because the base is measured twice
	}, func(within context.Context, i int, spec harness.Spec) {
		v, head, err := a.durability(within, p, &c, spec, len(specs), progress)
		if err != nil && within.Err() == nil {
			v = a.failed(spec.Workload, thresholds.MetricAgainst, err)
			v.Durability = string(spec.Durability)
		}
		if within.Err() != nil && ctx.Err() == nil {
			if v.Notes = append(v.Notes, cutOff); v.Metric == "" {
				v = a.late(spec, measure.ErrNoTime)
			}
		}
		all[i] = compared{v, head}
	}, func(i int, why error) { all[i].verdict = a.late(specs[i], why) })
	for _, one := range all { // in the order of the flags
		if one.verdict.Metric != "" {
			r.Verdicts = append(r.Verdicts, one.verdict)
		}
		if one.head != nil {
			r.Comparisons = append(r.Comparisons, *one.head)
		}
	}
	if j.packages == nil || ctx.Err() != nil {
		return nil
	}
	result, _, err := compare.Benchmarks(ctx, p, c.tmp, c.sides, compare.Options{Packages: j.packages, Margin: a.margin, Judge: a.by, Budget: againstBudget}, progress)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.Verdicts = append(r.Verdicts, a.failed("benchmarks", thresholds.MetricRatio, err))
	case result.Empty() && len(specs) == 0:
		r.Verdicts = append(r.Verdicts, thresholds.Verdict{Outcome: thresholds.Inconclusive, Workload: "benchmarks", Metric: thresholds.MetricRatio, Against: a.ref,
			Reason: "nothing was compared with " + a.ref + ": the packages have no benchmarks, and no --suite was named", Next: "write a benchmark, or leave out --against"})
	default:
		figures, verdicts := result.Record(a.ref)
		r.Benchmarks, r.Verdicts = append(r.Benchmarks, figures...), append(r.Verdicts, verdicts...)
	}
	return nil
}

// againstBudget is the time for comparing benchmarks in run. The compare command has a flag for
// it.
const againstBudget = 2 * time.Minute

// late returns the verdict if there was no time to measure.
func (a *against) late(spec harness.Spec, why error) thresholds.Verdict {
	return thresholds.Verdict{Outcome: thresholds.Inconclusive, Workload: spec.Workload, Metric: thresholds.MetricAgainst, Durability: spec.Durability, Against: a.ref,
		Reason: fmt.Sprintf("%s at %s against %s: %v", spec.Workload, spec.Durability, a.ref, why), Next: moreTime}
}

// failed returns the verdict if nothing could be measured.
func (a *against) failed(workload, metric string, err error) thresholds.Verdict {
	return thresholds.Verdict{Outcome: thresholds.Invalid, Workload: workload, Metric: metric, Against: a.ref, Reason: err.Error(), Next: "mend what the message says, then run again"}
}
