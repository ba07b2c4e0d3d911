package selftest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/measure"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/thresholds"
)

// corruption is a deliberate defect that the gate must notice.
type corruption struct {
	name   string
	mutant harness.Mutant // corrupts a measurement; MutantNone if try does something else
	does   string         // description of the defect
	want   thresholds.Outcome
	says   string // must occur in the reason or in a note
	try    func(context.Context, *lab) (thresholds.Verdict, error)
}

// corruptions lists all corruptions, grouped by their target: the gate, the work, the figures,
// the machine, the limits, the history.
var corruptions = []corruption{
	{"the gate fires on nothing", harness.MutantNone, "nothing: the unchanged program", thresholds.Held, "", nil},
	{"the gate cannot fail", harness.MutantNone, "the backend arm is slower by the margin and more", thresholds.Broken, "above its limit", slowed},
	{"the self-check is blind", harness.MutantUnequalAA, "one arm of the A/A pair is slowed down", thresholds.Invalid, "A/A pair was broken", nil},
	{"the self-check is idle", harness.MutantNoSlowdown, "the injected slow-down is not injected", thresholds.Invalid, "was held and must be broken", nil},
	{"persistence silently off", harness.MutantNoSave, "step saves are dropped", thresholds.Invalid, "saves counted", nil},
	{"durability silently off", harness.MutantUnsynced, "synchronous=OFF", thresholds.Invalid, "durability", nil},
	{"arms do unequal work", harness.MutantSkip, "an arm gets other work", thresholds.Invalid, "equal work", nil},
	{"script too short", harness.MutantShort, "one output is removed", thresholds.Invalid, "ran dry", nil},
	{"script too long", harness.MutantLong, "one output is never asked for", thresholds.Invalid, "scripts", nil},
	{"a planned run is not made", harness.MutantLeftover, "the backend arm makes one run less", thresholds.Invalid, "runs accounted for", nil},
	{"dead code", harness.MutantEmptied, "the timed runs do nothing", thresholds.Invalid, "below the floor", nil},
	{"dropped samples", harness.MutantDrop, "one sample is removed", thresholds.Invalid, "samples", nil},
	{"survivor bias", harness.MutantSurvivors, "a run that failed is left out", thresholds.Invalid, "runs accounted for", nil},
	{"coarse clock", harness.MutantCoarse, "a clock with ticks of 10 ms", thresholds.Invalid, "a clock with ticks of 10ms cannot measure", nil},
	{"noisy place", harness.MutantNoisy, "the process is away for 90% of the time, and the self-check decides all the same", thresholds.Held, "away from the processor for 90%", nil},
	{"storage that lies", harness.MutantLyingDisk, "a sync takes 5 us", thresholds.Held, "a sync takes 5µs here", nil},
	{"loosened limit smuggled in", harness.MutantNone, "the limits file of the change allows three times as much", thresholds.Broken, "loosened", smuggled},
	{"foreign calibration", harness.MutantNone, "a limit of another class of machine", thresholds.Held, "another class of machine", foreign},
	{"rerun until green", harness.MutantNone, "the run that broke is made again and holds", thresholds.Broken, "both are in the history", rerun},
	{"truncated report", harness.MutantNone, "the report of the suites ends in the middle", thresholds.Invalid, "cut short", truncated},
}

// lab holds what the corruptions need.
type lab struct {
	project  project.Project
	spec     harness.Spec
	limits   *thresholds.File // has a limit for the spec
	progress *cli.Progress
	honest   *harness.Comparison // comparison of the unchanged program
}

// Command returns the selftest command.
func Command() *cobra.Command {
	var flags measure.Flags
	cmd := &cobra.Command{
		Use: "selftest", Args: cobra.NoArgs,
		Short: "Corrupt measurements on purpose and check that every guard notices",
		Example: `  flujo-harness selftest
  flujo-harness selftest errors --n 20
  flujo-harness selftest durability power-loss`,
		Long: `Corrupts a measurement in twenty ways and checks that the gate rejects each, for the right reason.
If the machine is too noisy for a verdict, the row is "undecided": run selftest again when the
machine is less busy. If there is no committed limit for this machine, a temporary one is made.

"selftest errors" measures how often the gate errs on this machine; "selftest durability" tries to
lose data.

Exit codes: 0 every corruption was noticed; 2 usage error; 3 one was missed; 4 none was missed, but
at least one was undecided; 130 interrupted.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, spec, err := flags.Prepare(cmd.Context())
			if err != nil {
				return err
			}
			limits, err := flags.ReadLimits(p)
			if err != nil {
				return err
			}
			progress := cli.NewProgress(cmd.ErrOrStderr())
			defer progress.End()
			if limits.Own(machine.Class(), spec.Workload, string(spec.Durability)) == nil {
				if limits, err = here(cmd, p, spec, progress); err != nil {
					return err
				}
			}
			return corrupt(cmd.Context(), cmd.OutOrStdout(), &lab{project: p, spec: spec, limits: limits, progress: progress})
		},
	}
	flags.Register(cmd, harness.DefaultPlan().Sessions)
	cmd.AddCommand(errorsCommand(), durabilityCommand())
	return cmd
}

// here calibrates temporary limits for a machine that has none.
func here(cmd *cobra.Command, p project.Project, spec harness.Spec, progress *cli.Progress) (limits *thresholds.File, err error) {
	spec, run, remove, err := measure.Ready(p, spec)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	const margin, sessions = 0.25, 12 // a wide margin is enough: the corruptions are far larger
	if limits, _, err = provisional(cmd.Context(), spec, margin, sessions, run, progress); err == nil {
		l := limits.Limits[0]
		fmt.Fprintf(cmd.OutOrStdout(), "no limit of %s at %s is committed for %s: judged by one made for this call, %.3g with a margin of %.3g%%\n",
			spec.Workload, spec.Durability, limits.Class, l.Limit, 100*l.Margin)
	}
	return limits, err
}

// corrupt tries every corruption and prints the table of results.
func corrupt(ctx context.Context, to io.Writer, l *lab) error {
	marks, began := map[mark]int{}, time.Now()
	var out bytes.Buffer
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tcorruption\twhat is done\tverdict\tbecause")
	for _, c := range corruptions {
		v, err := c.make(ctx, l)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return &cli.ExitError{Code: cli.ExitInterrupted, Err: nil}
		}
		m := c.mark(v)
		marks[m]++
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", m, c.name, c.does, v.Outcome, cli.Cut(c.because(v), 90))
		if m != noticed {
			fmt.Fprintf(table, "\t\tmust become %s and say %q\t\t\n", c.want, c.says)
		}
	}
	l.progress.End()
	if err := table.Flush(); err != nil {
		return cli.Fault(err)
	}
	fmt.Fprintf(to, "%s%d of %d corruptions noticed, %d missed, %d undecided, in %.0f s\n",
		out.String(), marks[noticed], len(corruptions), marks[missed], marks[undecided], time.Since(began).Seconds())
	switch {
	case marks[missed] > 0:
		return &cli.ExitError{Code: cli.ExitFault}
	case marks[undecided] > 0:
		return &cli.ExitError{Code: cli.ExitInconclusive}
	}
	return nil
}

// make applies the corruption and returns the verdict of the gate.
func (c corruption) make(ctx context.Context, lab *lab) (thresholds.Verdict, error) {
	if c.try != nil {
		return c.try(ctx, lab)
	}
	spec := lab.spec
	spec.Mutant = c.mutant
	m, err := measure.Run(ctx, lab.project, spec, lab.limits, lab.progress)
	if c.mutant == harness.MutantNone {
		lab.honest = m.Comparison
	}
	return m.Verdict, err
}

// mark is the result of a corruption.
type mark string

const (
	noticed   mark = "ok"
	missed    mark = "MISSED"
	undecided mark = "undecided" // the gate was inconclusive
)

// mark compares the verdict and its reason with those required.
func (c corruption) mark(v thresholds.Verdict) mark {
	says := strings.Contains(strings.Join(append([]string{v.Reason}, v.Notes...), "\n"), c.says)
	switch {
	case v.Outcome == c.want && says:
		return noticed
	case v.Outcome == thresholds.Inconclusive && c.want != thresholds.Inconclusive:
		return undecided
	}
	return missed
}

// because returns the line of the verdict that mentions the corruption.
func (c corruption) because(v thresholds.Verdict) string {
	for _, text := range append(slices.Clone(v.Notes), v.Reason) {
		if i := strings.Index(text, c.says); i >= 0 && c.says != "" {
			text, _, _ = strings.Cut(text[max(0, strings.LastIndexAny(text[:i], ":\n")+1):], "\n")
			return strings.TrimSpace(text)
		}
	}
	line, _, _ := strings.Cut(v.Reason, "\n")
	return line
}

// slower returns the honest comparison with the cost ratio of every block multiplied by factor.
func (l *lab) slower(factor float64) *harness.Comparison {
	c := *l.honest
	c.Blocks = slices.Clone(c.Blocks)
	for i := range c.Blocks {
		c.Blocks[i].CostRatio *= factor
	}
	return &c
}

// slowed judges a program that is slower by twice the margin of its limit.
func slowed(_ context.Context, l *lab) (thresholds.Verdict, error) {
	limit := l.limit()
	return thresholds.Judge(l.slower(1+2*limit.Margin), l.limits, time.Now()), nil
}

// limit returns the limit for the spec, which always exists.
func (l *lab) limit() *thresholds.Limit {
	return l.limits.Find(l.spec.Workload, thresholds.MetricCostRatio, string(l.spec.Durability))
}

// smuggled judges a slower program by the limits of the base branch, although the change includes
// looser limits.
func smuggled(_ context.Context, l *lab) (thresholds.Verdict, error) {
	loose := *l.limit()
	loose.Baseline, loose.Limit = 3*loose.Baseline, 3*loose.Limit
	v := thresholds.Judge(l.slower(1+2*loose.Margin), l.limits, time.Now())
	v.Notes = append(v.Notes, l.limits.Compare(loose).String())
	return v, nil
}

// foreign judges by the limits of another class of machine.
func foreign(_ context.Context, l *lab) (thresholds.Verdict, error) {
	limits := *l.limits
	limits.Class = "plan9-mips-1cpu"
	return thresholds.Judge(l.honest, &limits, time.Now()), nil
}

// rerun appends a broken run and a held run of the same commit to a temporary history.
func rerun(ctx context.Context, l *lab) (v thresholds.Verdict, err error) {
	dir, remove, err := workdir.Temporary(os.TempDir(), "flujo-harness-selftest-")
	if err != nil {
		return v, cli.Fault(err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	h, err := history.Open(ctx, filepath.Join(dir, "history.db"))
	if err != nil {
		return v, cli.Fault(err)
	}
	defer h.Close()
	now := time.Now()
	for i, outcome := range []thresholds.Outcome{thresholds.Broken, thresholds.Held} {
		r := reports.Run{Started: now.Add(time.Duration(i) * time.Minute), Commit: "same", Command: "run", Outcome: outcome, Complete: true}
		if _, err := h.Append(ctx, r); err != nil {
			return v, cli.Fault(err)
		}
	}
	runs, err := h.Latest(ctx, 10)
	if err != nil {
		return v, cli.Fault(err)
	}
	for _, r := range runs {
		if r.Outcome == thresholds.Broken && len(runs) == 2 {
			return thresholds.Verdict{Outcome: thresholds.Broken, Reason: "the attempt that broke was not replaced: both are in the history"}, nil
		}
	}
	return thresholds.Verdict{Outcome: thresholds.Held, Reason: fmt.Sprintf("%d of 2 attempts are in the history", len(runs))}, nil
}

// truncated reads a Ginkgo report that ends in the middle.
func truncated(_ context.Context, l *lab) (thresholds.Verdict, error) {
	const report = `[{"SuitePath":"/suite","SuiteDescription":"Suite","SuiteSucceeded":true,"SpecReports":[{"LeafNodeType":"It","LeafNodeText":"works","State":"passed"`
	if _, err := ingest.ReadGinkgo(strings.NewReader(report), l.project.Root); err != nil {
		return thresholds.Verdict{Outcome: thresholds.Invalid, Reason: err.Error()}, nil
	}
	return thresholds.Verdict{Outcome: thresholds.Held, Reason: "half a report was taken for a whole one"}, nil
}
