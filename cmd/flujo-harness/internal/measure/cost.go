package measure

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

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/harness"
)

// costs is the content of the file that --json names.
type costs struct {
	Schema    int                `json:"schema"` // 1
	Curve     []harness.Point    `json:"amortization"`
	Waterfall *harness.Waterfall `json:"attribution"`
}

// ReadCosts reads such a file, compressed or not.
func ReadCosts(path string) (c costs, err error) {
	file, err := os.Open(path)
	if err != nil {
		return c, cli.Usage(err)
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
		return c, cli.Fault(fmt.Errorf("--cost %s: it is not what flujo-harness cost --json wrote: %w", path, err))
	}
	return c, nil
}

func CostCommand() *cobra.Command {
	var flags Flags
	var file string
	cmd := &cobra.Command{
		Use: "cost", Args: cobra.NoArgs,
		Short: "Show what durability costs runs with slow steps, and the parts of that cost",
		Example: `  flujo-harness cost
  flujo-harness cost --workload large-10k --durability power`,
		Long: `Measures the default workload and the same workload with slower steps, and shows the share of a run
that durability takes. Then it measures the parts of which the cost of a run consists, adding one
part after the other. It judges nothing.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			p, spec, err := flags.Prepare(cmd.Context())
			if err != nil {
				return err
			}
			if err := cli.CheckOutputs(file); err != nil {
				return err
			}
			if w, err := harness.WorkloadNamed(spec.Workload); err == nil && w.Pauses > 0 {
				return cli.Usage(fmt.Errorf("workload %q pauses, which an engine that keeps nothing cannot: name another one", w.Name))
			}
			ours, _, err := Sessions(p, harness.Spec{})
			if err != nil {
				return cli.Fault(err)
			}
			spec, run, remove, err := Ready(p, spec)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, remove()) }()
			ctx, progress := cmd.Context(), cli.NewProgress(cmd.ErrOrStderr())
			defer progress.End()
			all, err := harness.Workloads()
			if err != nil {
				return cli.Fault(err)
			}
			result := costs{Schema: 1}
			stage := "attributing " + spec.Workload
			progress.Set(stage, "")
			result.Waterfall, err = harness.Attribute(ctx, spec, run, func(n int) {
				progress.Set(stage, fmt.Sprintf("session %d of %d", n, spec.Plan.Sessions))
			})
			if err != nil {
				return cli.Fault(err)
			}
			if result.Waterfall.Problem != "" {
				return cli.Fault(errors.New(result.Waterfall.Problem))
			}
			var measured []harness.Comparison
			for _, w := range all {
				if ctx.Err() != nil || w.Latency == 0 && w.Name != "default" {
					continue
				}
				one := spec
				one.Workload, one.Suite = w.Name, ""
				if w.Latency > 0 {
					one.Plan.Blocks, one.Plan.Rounds = 4, 10 // these take long and are not judged
				}
				progress.Set("measuring "+w.Name, "")
				c, err := harness.Measure(ctx, one, ours, func(*harness.Comparison) bool { return false })
				if err != nil {
					return cli.Fault(err)
				}
				if !c.Valid() {
					return cli.Fault(fmt.Errorf("measure %s: %s", w.Name, c.Problem))
				}
				measured = append(measured, *c)
			}
			result.Curve = harness.Amortize(string(spec.Durability), measured)
			if ctx.Err() != nil {
				return &cli.ExitError{Code: cli.ExitInterrupted, Err: errors.New("interrupted: nothing was shown")}
			}
			progress.End()
			if file != "" {
				if err := cli.WriteJSON(file, result, cmd.OutOrStdout()); err != nil {
					return cli.Fault(err)
				}
			}
			return result.show(cli.Talk(cmd, file))
		},
	}
	flags.Register(cmd, 4)
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
		fmt.Fprintf(table, "%v\t%s\t%s\t%s (%s to %s)\t%s\n", p.Latency, cli.Micros(p.Run), cli.Micros(p.Cost), percent(p.Share), percent(p.Low), percent(p.High), how)
	}
	if err := table.Flush(); err != nil {
		return cli.Fault(err)
	}
	w := c.Waterfall
	fmt.Fprintf(to, "\na run of %s at %s takes %s (%s to %s, 95%%, n=%d %s), of which\n", w.Workload, w.Durability,
		cli.Micros(w.Total.Value), cli.Micros(w.Total.Low), cli.Micros(w.Total.High), w.Total.N, w.Total.Of)
	table = tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, i := range w.Increments {
		if i.Cost.Low <= 0 { // a value below zero means that the noise is as large as the part
			fmt.Fprintf(table, "  %s\tnone measurable\t(up to %s)\t\t%s\n", i.Category, cli.Micros(max(0, i.Cost.High)), i.Adds)
			continue
		}
		width := int(math.Round(40 * i.Cost.Value / w.Total.Value))
		fmt.Fprintf(table, "  %s\t%s\t(%s to %s)\t%s\t%s\n", i.Category, cli.Micros(i.Cost.Value), cli.Micros(i.Cost.Low), cli.Micros(i.Cost.High), strings.Repeat("#", width), i.Adds)
	}
	if err := table.Flush(); err != nil {
		return cli.Fault(err)
	}
	sum := "the increments add up to the total"
	if !w.AddsUp {
		sum = "the increments do NOT add up to the total: take them for the order of things, not for figures"
	}
	fmt.Fprintf(to, "%s: their sum less the total is %s (%s to %s)\nonce for a process: opening the database takes %s (%s to %s, n=%d)\n", sum,
		cli.Micros(w.Gap.Value), cli.Micros(w.Gap.Low), cli.Micros(w.Gap.High), cli.Micros(w.Open.Value), cli.Micros(w.Open.Low), cli.Micros(w.Open.High), w.Open.N)
	return nil
}

// percent formats a share with two digits, but never as 100%.
func percent(share float64) string {
	if share >= 0.995 {
		return ">99%"
	}
	return fmt.Sprintf("%.2g%%", 100*share)
}
