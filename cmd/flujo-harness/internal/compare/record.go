package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

// Figures returns the measurements of the head by benchmark and unit, for charts over the commits
// of a history.
func (r *Result) Figures() (all []reports.Benchmark) {
	for _, d := range r.Differences {
		units := map[string][]float64{}
		for _, s := range d.Samples {
			if !s.Head {
				continue
			}
			if s.NS > 0 {
				units["sec/op"] = append(units["sec/op"], s.NS/1e9)
			}
			for unit, v := range s.Counts {
				units[unit] = append(units[unit], v)
			}
		}
		if i := d.Instructions; i != nil && len(i.Head) > 0 {
			units["instructions/op"] = i.Head
		}
		for _, unit := range slices.Sorted(maps.Keys(units)) {
			all = append(all, reports.Benchmark{Name: d.Name, Unit: unit, Values: units[unit]})
		}
	}
	return all
}

// Record returns what a history records of the comparison: the figures of the head, and verdicts
// also on benchmarks that were not measured. base is the name of the base as given.
func (r *Result) Record(base string) (figures []reports.Benchmark, verdicts []thresholds.Verdict) {
	verdicts = slices.Clone(r.Verdicts)
	of := func(o thresholds.Outcome, reason, next string) {
		verdicts = append(verdicts, thresholds.Verdict{Outcome: o, Workload: reports.NotMeasured, Metric: thresholds.MetricRatio, Against: base, Reason: reason, Next: next})
	}
	if n := len(r.Identical); n > 0 {
		of(thresholds.Held, fmt.Sprintf("packages that need no measurement, because their test binaries and files are the same as at %s: %d", base, n), "nothing to do")
	}
	if missing := slices.Concat(r.Gone, r.NotBuilt); len(missing) > 0 {
		of(thresholds.Inconclusive, fmt.Sprintf("gone, renamed or not built at %s: %s", base, strings.Join(missing, ", ")), "look what became of them")
	}
	return r.Figures(), verdicts
}

// Facts returns what a history records of the two revisions of a comparison.
func Facts(sides [2]revisions.Checkout) (all []reports.Fact) {
	for i, name := range []string{reports.ComparedBase, reports.ComparedHead} {
		all = append(all, reports.Fact{Name: name, Value: sides[i].String()})
	}
	return all
}

// record appends the comparison to the history of the module.
func (c *comparing) record(ctx context.Context, p project.Project, command string, began time.Time, sides [2]revisions.Checkout, r *Result, outcome thresholds.Outcome) (err error) {
	interrupted := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx)
	path := p.History(c.db)
	if c.db == "" {
		if _, err := workdir.Folder(p.Root); err != nil {
			return fmt.Errorf("keep the comparison in the history: %w", err)
		}
	}
	run := reports.Run{Started: began.UTC(), Seconds: time.Since(began).Seconds(), Command: command, Complete: !interrupted, Outcome: outcome}
	run.Benchmarks, run.Verdicts = r.Record(sides[0].Name)
	if run.ExitCode = cli.ExitCode(outcome, c.strict); interrupted {
		run.Outcome, run.ExitCode = thresholds.Inconclusive, cli.ExitInterrupted
	}
	if run.Commit = sides[1].Of.Commit; run.Commit == "" {
		run.Commit, run.Dirty = p.Revision(ctx, path, path+"-wal", path+"-shm", c.out.JSON, c.out.Benchfmt)
		run.Branch = p.Branch(ctx)
	}
	run.Facts = Facts(sides)
	p.Locate(ctx, &run, project.CIIdentity(os.Getenv))
	project.Platform(&run.Origin)
	h, err := history.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	_, err = h.Append(ctx, run)
	return err
}
