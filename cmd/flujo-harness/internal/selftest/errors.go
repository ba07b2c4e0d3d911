package selftest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/measure"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/thresholds"
)

// errorRates measures how often the gate errs. It judges the unchanged program and one that is
// slowed down on purpose, and uses new processes for each verdict.
type errorRates struct {
	flags       measure.Flags
	n           int
	changes     []float64 // percent
	margin      float64   // percent
	burners     []int
	calibration int
	raw         string
	format      string    // format of the tables
	scales      []float64 // factors for the limit
	compare     bool
	comparing   compareErrors
	against     bool
	resample    int
}

// errorsCommand is "selftest errors".
func errorsCommand() *cobra.Command {
	var c errorRates
	cmd := &cobra.Command{
		Use: "errors", Args: cobra.NoArgs,
		Short: "Measure how often the gate errs on this machine",
		Long: `Calibrates a limit for --margin without writing it. Then it judges the unchanged program, and
programs slowed down by each --change, --n times each: on an idle machine, and while --burners
processes keep cores busy. It prints how many verdicts were broken, held, inconclusive and invalid,
how long they took, and how often simpler rules would have raised an alarm on the same measurements.

--scale 0.9,1.1 uses limits that are 10% too low and 10% too high, as a limit made on another
machine of the class may be. Verdicts that call such a limit stale are counted.

--against judges bench --against instead, which needs no limit: the unchanged program, and slower
ones, against the unchanged program. Then --resample verdicts are computed from the recorded
sessions of the unchanged program, drawn with replacement. That is a study of the rule and no
measurement, and has a table of its own.

--compare judges compare instead. Benchmarks of public modules are compared with copies that were
changed on purpose: only in comments, only in the layout of the binary, or so that each benchmark
does some percent more work than it reports. Each --row is such a change and the margin of the
verdict: 2@1 is +2% with a margin of 1%. It gets --n verdicts on each benchmark. Benchstat's rule
and a threshold on the means are applied too, with the same binaries and as much time. --time limits
the whole command.`,
		Example: `  flujo-harness selftest errors --n 300 --change 0,5 --margin 5 --calibration 40
  flujo-harness selftest errors --scale 0.9,1.1 --margin 10 --change 0,10
  flujo-harness selftest errors --against --n 300
  flujo-harness selftest errors --compare --n 20 --judge instructions
  flujo-harness selftest errors --compare --from raw.jsonl --format markdown
  flujo-harness selftest errors --compare --module ./mymodule --row 5@5 --burners 0,4`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.flags.Register(cmd, harness.DefaultPlan().Sessions)
	cmd.Flags().IntVar(&c.n, "n", 20, "number of verdicts of each kind")
	cmd.Flags().Float64SliceVar(&c.changes, "change", []float64{0, 5}, "slow-downs to inject, in percent; 0: the unchanged program")
	cmd.Flags().Float64Var(&c.margin, "margin", 5, "slow-down that the limit must detect, in percent")
	cmd.Flags().IntSliceVar(&c.burners, "burners", []int{0}, "numbers of processes that keep a core busy during the measurement")
	cmd.Flags().IntVar(&c.calibration, "calibration", 30, "number of sessions of the calibration")
	cmd.Flags().StringVar(&c.raw, "raw", "", "file for the comparisons with all their blocks, as JSON lines")
	cmd.Flags().StringSliceVar(&c.comparing.from, "from", nil, "print the tables of the verdicts in this file, which --raw wrote, and measure nothing; give --compare if they were made with it; may be given several times")
	cmd.Flags().StringVar(&c.format, "format", "text", `format of the tables: "text" or "markdown"`)
	cmd.Flags().Float64SliceVar(&c.scales, "scale", []float64{1}, "factors by which the limit is multiplied")
	cmd.Flags().BoolVar(&c.against, "against", false, "judge the comparison with another revision instead of the gate by limits")
	cmd.Flags().IntVar(&c.resample, "resample", 2000, "with --against, number of verdicts of the resampling study; 0: none")
	of := &c.comparing
	cmd.Flags().BoolVar(&c.compare, "compare", false, "judge the comparison of benchmarks instead of the gate")
	cmd.Flags().StringSliceVar(&of.rows, "row", []string{"comments@5", "layout@5", "10@5", "5@5", "2@2", "1@1"}, "with --compare, a change and its margin in percent; may be given several times")
	cmd.Flags().StringSliceVar(&of.modules, "module", nil, "with --compare, a module, PATH@VERSION or a folder (default five public ones)")
	cmd.Flags().StringVar(&of.judge, "judge", "", `with --compare, judge only by "time", "instructions" or "counts"`)
	cmd.Flags().BoolVar(&of.rules, "rules", true, "with --compare, also apply benchstat's rule and a threshold, for the same time")
	cmd.MarkFlagsMutuallyExclusive("against", "compare")
	cmd.MarkFlagsMutuallyExclusive("against", "scale")
	cmd.MarkFlagsMutuallyExclusive("compare", "scale")
	cmd.MarkFlagsMutuallyExclusive("from", "against")
	cmd.MarkFlagsMutuallyExclusive("from", "raw")
	return cmd
}

// provisional calibrates a limit for this machine without writing it. margin is a share, such as
// 0.25. It returns the limits and, if calibrate would refuse to write them, why.
func provisional(ctx context.Context, spec harness.Spec, margin float64, sessions int, run harness.Runner, progress *cli.Progress) (*thresholds.File, *thresholds.MarginError, error) {
	progress.Set("calibrating", "")
	spec.Plan.Sessions, spec.Plan.Budget = sessions, 0
	order := thresholds.Order{Margin: margin, Replays: 2000, Commit: "not written"}
	limit, _, err := thresholds.Calibrate(ctx, spec, order, run, func(*harness.Comparison) {})
	var refused *thresholds.MarginError
	if err != nil && !errors.As(err, &refused) {
		return nil, nil, cli.Fault(err)
	}
	return &thresholds.File{Schema: 1, Class: machine.Class(), Limits: []thresholds.Limit{limit}, Path: "a limit made for this call"}, refused, nil
}

// scaled returns limits as if they came from a machine on which the cost ratio is by times as
// high.
func scaled(limits *thresholds.File, by float64) *thresholds.File {
	other := *limits
	other.Limits = slices.Clone(limits.Limits)
	for i := range other.Limits {
		other.Limits[i].Baseline *= by
		other.Limits[i].Limit *= by
	}
	return &other
}

// outcomes holds the verdicts of one kind: those with the same change, number of burners and
// scale.
type outcomes struct {
	burners int
	scale   float64
	change  float64
	stale   int
	count   map[thresholds.Outcome]int
	seconds []float64
	all     []*harness.Comparison
	invalid string // reason of the first invalid verdict
}

func (c *errorRates) run(cmd *cobra.Command) (err error) {
	ctx := cmd.Context()
	switch c.format {
	case "text", "markdown":
		c.comparing.markdown = c.format == "markdown"
	default:
		return cli.Usage(fmt.Errorf("--format %q: use text or markdown", c.format))
	}
	if len(c.comparing.from) > 0 && !c.compare {
		return c.recorded(cmd.OutOrStdout())
	}
	var raw *os.File
	if c.raw != "" {
		if raw, err = os.Create(c.raw); err != nil {
			return cli.Usage(err)
		}
		defer func() { err = errors.Join(err, raw.Close()) }()
	}
	if c.n < 1 || !(c.margin > 0 && c.margin <= 100) || slices.Min(c.burners) < 0 || slices.Min(c.changes) < 0 || !(slices.Min(c.scales) > 0) || c.resample < 0 {
		return cli.Usage(errors.New("--n is 1 or more, --margin and --scale above 0, --burners, --change and --resample 0 or more"))
	}
	if c.compare {
		of := &c.comparing
		if raw != nil {
			of.raw = raw
		}
		of.n, of.burners, of.budget, of.seed = c.n, c.burners, c.flags.Budget, cmp.Or(c.flags.Seed, uint64(rand.Uint32()))
		return of.run(cmd)
	}
	if c.against {
		a := againstErrors{n: c.n, changes: c.changes, margin: c.margin, burners: c.burners, resample: c.resample, budget: c.flags.Budget, seed: cmp.Or(c.flags.Seed, uint64(rand.Uint32()))}
		if raw != nil {
			a.raw = raw
		}
		return a.measure(cmd, &c.flags)
	}
	p, spec, err := c.flags.Prepare(ctx)
	if err != nil {
		return err
	}
	if spec.Durability != harness.DefaultDurability {
		return cli.Usage(errors.New("a slow-down on purpose is made at durability \"process\" only"))
	}
	spec, run, remove, err := measure.Ready(p, spec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	progress := cli.NewProgress(cmd.ErrOrStderr())
	defer progress.End()
	limits, refused, err := provisional(ctx, spec, c.margin/100, c.calibration, run, progress)
	if err != nil {
		return err
	}
	limit := limits.Limits[0]

	var kinds []*outcomes
	for _, burners := range c.burners {
		for _, scale := range c.scales {
			for _, change := range c.changes {
				o := &outcomes{burners: burners, scale: scale, change: change, count: map[thresholds.Outcome]int{}}
				kinds = append(kinds, o)
				if err := c.measure(ctx, o, spec, scaled(limits, scale), run, progress, raw); err != nil {
					return err
				}
			}
		}
	}
	progress.End()
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s at %s, margin %.3g%%: baseline %.4g, boundary %.4g, from %d sessions; replays: unchanged held %.2f%%, broke %.2f%%; slowed broke %.2f%% (n=%d)\n",
		spec.Workload, spec.Durability, c.margin, limit.Baseline, limit.Boundary(), limit.Provenance.Sessions,
		100*limit.Provenance.NullHeld, 100*limit.Provenance.NullBroken, 100*limit.Provenance.SlowBroken, limit.Provenance.Replays)
	if refused != nil {
		fmt.Fprintf(out, "calibrate would refuse this limit: %v\n", refused)
	}
	if err := c.table(out, kinds); err != nil {
		return cli.Fault(err)
	}
	for _, o := range kinds {
		if o.invalid != "" {
			fmt.Fprintf(out, "invalid (%+.3g%%, %d burners), the first: %s\n", o.change, o.burners, o.invalid)
		}
	}
	if err := c.compareRules(cmd, kinds); err != nil {
		return cli.Fault(err)
	}
	if ctx.Err() != nil {
		return &cli.ExitError{Code: cli.ExitInterrupted, Err: errors.New("interrupted: the table has what was judged before")}
	}
	return nil
}

// table prints the outcomes of each kind.
func (c *errorRates) table(to io.Writer, kinds []*outcomes) error {
	table := rows{{"change", "busy processes", "limit", "n", "broken", "held", "inconclusive", "invalid", "said stale", "seconds: median, p95", "sessions: median"}}
	for _, o := range kinds {
		if len(o.seconds) == 0 {
			continue
		}
		table.add(fmt.Sprintf("%+.3g%%", o.change), fmt.Sprint(o.burners), fmt.Sprintf("x%.3g", o.scale), fmt.Sprint(len(o.seconds)), fmt.Sprint(o.count[thresholds.Broken]), fmt.Sprint(o.count[thresholds.Held]),
			fmt.Sprint(o.count[thresholds.Inconclusive]), fmt.Sprint(o.count[thresholds.Invalid]), fmt.Sprint(o.stale), fmt.Sprintf("%.2f, %.2f", quantile(o.seconds, 0.5), quantile(o.seconds, 0.95)), fmt.Sprintf("%.3g", machine.Median(o.sessions())))
	}
	return table.write(to, c.comparing.markdown)
}

// gateRow is a verdict of the gate as written by --raw.
type gateRow struct {
	Change  float64
	Burners int
	Scale   float64
	thresholds.Judged
}

// recorded prints the table of verdicts read from files.
func (c *errorRates) recorded(to io.Writer) error {
	var kinds []*outcomes
	err := eachLine(c.comparing.from, func(r gateRow) error {
		if r.Comparison == nil {
			return errors.New("no comparison of a workload")
		}
		var o *outcomes
		for _, known := range kinds {
			if known.change == r.Change && known.burners == r.Burners && known.scale == r.Scale {
				o = known
			}
		}
		if o == nil {
			o = &outcomes{burners: r.Burners, scale: r.Scale, change: r.Change, count: map[thresholds.Outcome]int{}}
			kinds = append(kinds, o)
		}
		o.add(r.Judged)
		return nil
	})
	if err == nil && len(kinds) == 0 {
		err = cli.Usage(errors.New("--from: no verdicts in it"))
	}
	if err != nil {
		return err
	}
	return c.table(to, kinds)
}

// add adds a verdict.
func (o *outcomes) add(j thresholds.Judged) {
	m, v := j.Comparison, j.Verdict
	if o.count[v.Outcome]++; v.Stale {
		o.stale++
	}
	o.seconds, o.all = append(o.seconds, m.Seconds), append(o.all, m)
	if v.Outcome == thresholds.Invalid && o.invalid == "" {
		o.invalid = v.Reason
	}
}

// measure makes the verdicts of one kind.
func (c *errorRates) measure(ctx context.Context, o *outcomes, spec harness.Spec, limits *thresholds.File, run harness.Runner, progress *cli.Progress, raw *os.File) (err error) {
	stop, err := burn(o.burners)
	if err != nil {
		return cli.Fault(err)
	}
	defer stop()
	spec.Slower = o.change / 100
	began := time.Now()
	for i := range c.n {
		spec.Seed++
		progress.Set(fmt.Sprintf("judging %+.3g%% with %d burners", o.change, o.burners), fmt.Sprintf("%d of %d, %s", i, c.n, cli.SecondsLeft(began, i, c.n)))
		j, err := thresholds.Measure(ctx, spec, limits, run, func(*harness.Comparison) {})
		if err != nil {
			return cli.Fault(err)
		}
		if ctx.Err() != nil {
			return nil // the table prints n
		}
		o.add(j)
		if raw != nil {
			row := gateRow{o.change, o.burners, o.scale, j}
			if err := json.NewEncoder(raw).Encode(row); err != nil {
				return cli.Fault(err)
			}
		}
	}
	return nil
}

// compareRules prints how often simpler rules raise an alarm on the same blocks. Each measurement
// is compared with the previous one of the unchanged program.
func (c *errorRates) compareRules(cmd *cobra.Command, kinds []*outcomes) error {
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nalarms of simpler rules on the same blocks\tchange\tburners\talarms\tn")
	for _, rule := range thresholds.Rules() {
		for _, o := range kinds {
			var null *outcomes
			for _, k := range kinds {
				if k.burners == o.burners && k.scale == o.scale && k.change == 0 {
					null = k
				}
			}
			if null == nil {
				continue
			}
			alarms, n := 0, 0
			for i := 1; i < min(len(o.all), len(null.all)); i++ {
				if len(null.all[i-1].Blocks) < 10 || len(o.all[i].Blocks) < 10 {
					continue
				}
				n++
				if rule.Alarm(null.all[i-1], o.all[i], c.margin/100) {
					alarms++
				}
			}
			fmt.Fprintf(table, "%s\t%+.3g%%\t%d\t%d\t%d\n", rule.Name, o.change, o.burners, alarms, n)
		}
	}
	return table.Flush()
}

func (o *outcomes) sessions() (n []float64) {
	for _, c := range o.all {
		n = append(n, float64(c.Sessions()))
	}
	return n
}

// quantile returns the q-quantile of v by nearest rank.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return s[max(0, int(math.Ceil(q*float64(len(s))))-1)]
}

// burn starts n processes that keep one core busy each, until stop is called.
func burn(n int) (stop func(), err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var stops []func()
	stop = func() {
		for _, one := range stops {
			one()
		}
	}
	for range n {
		cmd := exec.Command(exe, "burn")
		err := child.Tie(cmd, nil)
		wait := cmd.Wait
		if err == nil {
			wait, err = child.Start(cmd)
		}
		if err != nil {
			stop()
			return nil, fmt.Errorf("start a process that keeps a core busy: %w", err)
		}
		stops = append(stops, func() {
			_ = cmd.Process.Kill()
			_ = wait() // the error is that it was killed
		})
	}
	return stop, nil
}

// BurnCommand returns the hidden command that keeps a core busy until its standard input ends,
// which happens at the latest when the parent process ends.
func BurnCommand() *cobra.Command {
	return &cobra.Command{
		Use: "burn", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var over atomic.Bool
			go func() {
				_, _ = io.Copy(io.Discard, cmd.InOrStdin())
				over.Store(true)
			}()
			x := uint64(1)
			for !over.Load() {
				for range 1 << 24 {
					x ^= x << 13
					x ^= x >> 7
					x ^= x << 17
				}
			}
			if x == 0 {
				return errors.New("unreachable: the sequence has no zero")
			}
			return nil
		},
	}
}
