package compare

import (
	"context"
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/harness"
)

// measure first finds all benchmarks, so that failures of benchmarks are reported even if the
// time runs out, and then measures one after the other. Each may use its share of the time that
// is left, but at least what a verdict needs. Everything stops when the total time is over.
func (c *comparing) measure(ctx context.Context, targets []*target, result *Result, progress *cli.Progress) {
	end := time.Now().Add(c.budget)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	all := 0
	for i, t := range targets {
		progress.Set("looking for the benchmarks", fmt.Sprintf("%s.%s, %d of %d", t.pkg, t.name, i+1, len(targets)))
		c.find(ctx, t)
		all += len(t.bench.Names)
		for k, names := range []*[]string{&result.Gone, &result.New} {
			for _, name := range t.bench.Only[k] {
				*names = append(*names, t.pkg+"."+name)
			}
		}
	}
	left, said := all, false
	for _, t := range targets {
		began := time.Now()
		budget := max(time.Millisecond, time.Until(end)*time.Duration(len(t.bench.Names))/time.Duration(max(1, left)))
		if t.bench.Facts == nil {
			progress.Set("measuring "+t.pkg+"."+t.name, "")
		}
		t.found = t.bench.Measure(ctx, budget, func(d *harness.Difference, _ int) harness.More {
			progress.Set("measuring "+t.pkg+"."+t.name, fmt.Sprintf("%s: %d blocks, %s left of --time", d.Name, len(d.Blocks), time.Until(end).Round(time.Second)))
			// The probability of a false alarm is divided among the benchmarks.
			return c.judging(all).More(d)
		})
		if left -= len(t.bench.Names); len(t.bench.Names) > 0 && left > 0 && !said {
			said = true
			c.estimate(time.Since(began)/time.Duration(len(t.bench.Names)), all, left, time.Until(end), progress)
		}
	}
}

// estimate prints, after the first benchmarks, that the time is too short for all, if it is.
func (c *comparing) estimate(each time.Duration, all, left int, remains time.Duration, progress *cli.Progress) {
	if needs := each * time.Duration(left); needs > remains {
		fits := all - left + max(0, int(remains/max(each, time.Millisecond)))
		total := c.budget - remains + needs // also of finding them
		progress.Say(fmt.Sprintf("%d benchmarks at about %v each take %v in all: in --time %v about %d fit. Give --time %v, or choose with --bench, --skip and --pkg",
			all, each.Round(100*time.Millisecond), total.Round(time.Second), c.budget, fits, (total * 6 / 5).Round(time.Second)))
	}
}

// find finds the benchmarks of a target. If they fail, a reason may be that they look for files
// by the path that the compiler saw, which is trimmed. Then both sides are built again with whole
// paths.
func (c *comparing) find(ctx context.Context, t *target) {
	t.bench = harness.FindBenchmarks(ctx, t.spec)
	if f := t.bench.Facts; f == nil || !f.FailsAtBase && f.HeadFails == "" || ctx.Err() != nil {
		return
	}
	if base, head, twin, err := t.build.untrimmed(ctx); err == nil {
		t.spec.Base, t.spec.Head, t.spec.Twin = base, head, twin
		t.bench = harness.FindBenchmarks(ctx, t.spec)
	}
}
