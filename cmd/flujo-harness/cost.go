package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/harness"
)

// costs is what the command writes as JSON.
type costs struct {
	Schema    int                `json:"schema"` // 1
	Curve     []harness.Point    `json:"amortization"`
	Waterfall *harness.Waterfall `json:"attribution"`
}

// readCosts reads them again, compressed or not.
func readCosts(path string) (c costs, err error) {
	file, err := os.Open(path)
	if err != nil {
		return c, usage(err)
	}
	defer file.Close()
	text, err := harness.ResultsText(file)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	switch {
	case err != nil:
	case c.Schema != 1:
		err = fmt.Errorf("schema %d, and this program reads 1", c.Schema)
	case c.Waterfall == nil:
		err = errors.New("there is no attribution in it")
	}
	if err != nil {
		return c, fault(fmt.Errorf("--cost %s: it is not what flujo-harness cost --json wrote: %w", path, err))
	}
	return c, nil
}

func costCommand() *cobra.Command {
	var flags measureFlags
	var file string
	cmd := &cobra.Command{
		Use: "cost", Args: cobra.NoArgs,
		Short: "Show what durability costs a run of slow steps, and what the cost is made of",
		Long: `Measures the default workload, and the same with slower steps, and shows the share of
a run that durability takes; then measures, one thing added after the other, what a run
of the workload is made of. Judges nothing.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			p, spec, err := flags.prepare(cmd.Context())
			if err != nil {
				return err
			}
			if err := checkOutputs(file); err != nil {
				return err
			}
			if w, err := harness.WorkloadNamed(spec.Workload); err == nil && w.Pauses > 0 {
				return usage(fmt.Errorf("workload %q pauses, which an engine that keeps nothing cannot: name another one", w.Name))
			}
			run, _, err := sessions(p, spec)
			if err != nil {
				return fault(err)
			}
			ours, _, err := sessions(p, harness.Spec{})
			if err != nil {
				return fault(err)
			}
			dir, remove, err := harness.Scratch(p.root)
			if err != nil {
				return fault(err)
			}
			defer func() { err = errors.Join(err, remove()) }()
			spec.Dir = dir
			ctx, progress := cmd.Context(), newProgress(cmd.ErrOrStderr())
			defer progress.end()
			all, err := harness.Workloads()
			if err != nil {
				return fault(err)
			}
			var measured []harness.Comparison
			for _, w := range all {
				if w.Latency == 0 && w.Name != "default" {
					continue
				}
				one := spec
				one.Workload, one.Suite = w.Name, ""
				if w.Latency > 0 {
					one.Plan.Blocks, one.Plan.Rounds = 4, 10 // they take long, and nothing is judged
				}
				progress.set("measuring "+w.Name, "")
				c, err := harness.Measure(ctx, one, ours, func(*harness.Comparison) bool { return false })
				if err != nil {
					return fault(err)
				}
				if !c.Valid() {
					return fault(fmt.Errorf("measure %s: %s", w.Name, c.Problem))
				}
				measured = append(measured, *c)
			}
			result := costs{Schema: 1, Curve: harness.Amortize(string(spec.Durability), measured)}
			stage := "attributing " + spec.Workload
			progress.set(stage, "")
			result.Waterfall, err = harness.Attribute(ctx, spec, run, func(n int) {
				progress.set(stage, fmt.Sprintf("session %d of %d", n, spec.Plan.Sessions))
			})
			if err != nil {
				return fault(err)
			}
			if ctx.Err() != nil {
				return &exitError{exitInterrupted, errors.New("interrupted: nothing was shown")}
			}
			progress.end()
			if result.Waterfall.Problem != "" {
				return fault(errors.New(result.Waterfall.Problem))
			}
			if file != "" {
				if err := writeJSON(file, result, cmd.OutOrStdout()); err != nil {
					return fault(err)
				}
			}
			return result.show(talk(cmd, file))
		},
	}
	flags.register(cmd, 4)
	cmd.Flags().StringVar(&file, "json", "", `write the figures and the raw samples to this file ("-": standard output; .gz: compressed)`)
	return cmd
}

// show prints the curve and the waterfall.
func (c costs) show(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "step takes\trun without\tdurability adds\tshare of the run\t")
	for _, p := range c.Curve {
		how := ""
		if !p.Measured {
			how = "computed, not measured"
		}
		fmt.Fprintf(table, "%v\t%s\t%s\t%.2g%% (%.2g to %.2g)\t%s\n", p.Latency, micros(p.Run), micros(p.Cost), 100*p.Share, 100*p.Low, 100*p.High, how)
	}
	if err := table.Flush(); err != nil {
		return fault(err)
	}
	w := c.Waterfall
	fmt.Fprintf(to, "\na run of %s at %s takes %s (%s to %s, 95%%, n=%d %s), of which\n", w.Workload, w.Durability,
		micros(w.Total.Value), micros(w.Total.Low), micros(w.Total.High), w.Total.N, w.Total.Of)
	table = tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, i := range w.Increments {
		width := int(math.Round(40 * max(0, i.Cost.Value) / w.Total.Value))
		fmt.Fprintf(table, "  %s\t%s\t(%s to %s)\t%s\t%s\n", i.Category, micros(i.Cost.Value), micros(i.Cost.Low), micros(i.Cost.High), strings.Repeat("#", width), i.Adds)
	}
	if err := table.Flush(); err != nil {
		return fault(err)
	}
	sum := "the increments add up to the total"
	if !w.AddsUp {
		sum = "the increments do NOT add up to the total: take them for the order of things, not for figures"
	}
	fmt.Fprintf(to, "%s: their sum less the total is %s (%s to %s)\nonce for a process: opening the database takes %s (%s to %s, n=%d)\n", sum,
		micros(w.Gap.Value), micros(w.Gap.Low), micros(w.Gap.High), micros(w.Open.Value), micros(w.Open.Low), micros(w.Open.High), w.Open.N)
	return nil
}
