package selftest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/thresholds"
)

// lie is something that a gate may be told, with the mutant that tells it.
type lie struct {
	lie    string
	mutant harness.Mutant // of a measurement; none where try says what is done
	told   string         // what the mutant does
	want   thresholds.Outcome
	says   string // part of the reason, or of a note
	try    func(context.Context, *lab) (thresholds.Verdict, error)
}

// lies is the whole table. The order is that of what they corrupt: the gate, the work,
// the figures, the place, the limits, the history.
var lies = []lie{
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

// lab is what the lies are told to.
type lab struct {
	project  project.Project
	spec     harness.Spec
	limits   *thresholds.File
	progress *cli.Progress
	honest   *harness.Comparison // of the unchanged program
}

func Command() *cobra.Command {
	var flags measure.Flags
	var campaigns proofFlags
	cmd := &cobra.Command{
		Use: "selftest", Args: cobra.NoArgs,
		Short: "Break every guard on purpose and show that it notices",
		Long: `Tells the gate every lie that there is, one after the other, and shows that it notices.

With --campaign NAME it tries to lose data instead: by loss of power, kill -9, faults of the
disk, rivals, flipped bits, hostile input. The campaigns are tests of flujo-harness itself
and run in a checkout of it: each prints N, its seed (1, or --seed), the line that runs it,
and its figures. "--campaign list" says what each does, what must come of it and of its
control, and its line.

Exit codes: 0 all was noticed, the campaign held; 1 a campaign failed; 2 usage, or no
checkout for a campaign; 3 a lie was not noticed, or a campaign could not be run; 130
interrupted.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if campaigns.name != "" {
				return campaigns.run(flags.Seed)
			}
			if campaigns.n != 0 || campaigns.long {
				return cli.Usage(errors.New("--n and --long belong to --campaign: name one"))
			}
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
			l := &lab{project: p, spec: spec, limits: limits, progress: progress}
			missed, began := 0, time.Now()
			var out bytes.Buffer
			table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "\tlie\tmutant\tbecame\tbecause")
			for _, lie := range lies {
				v, err := lie.tell(cmd.Context(), l)
				if err != nil {
					return err
				}
				if cmd.Context().Err() != nil {
					return &cli.ExitError{Code: cli.ExitInterrupted, Err: nil}
				}
				mark := "ok"
				if !lie.noticed(v) {
					mark = "MISSED"
					missed++
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", mark, lie.lie, lie.told, v.Outcome, shortened(lie.because(v), 90))
				if mark != "ok" {
					fmt.Fprintf(table, "\t\tmust become %s and say %q\t\t\n", lie.want, lie.says)
				}
			}
			progress.End()
			if err := table.Flush(); err != nil {
				return cli.Fault(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s%d of %d lies noticed, in %.0f s\n", out.String(), len(lies)-missed, len(lies), time.Since(began).Seconds())
			if missed > 0 {
				return &cli.ExitError{Code: cli.ExitFault}
			}
			return nil
		},
	}
	flags.Register(cmd, harness.DefaultPlan().Sessions)
	campaigns.register(cmd)
	return cmd
}

// tell tells the lie and returns what is made of it.
func (l lie) tell(ctx context.Context, lab *lab) (thresholds.Verdict, error) {
	if l.try != nil {
		return l.try(ctx, lab)
	}
	spec := lab.spec
	spec.Mutant = l.mutant
	m, err := measure.Run(ctx, lab.project, spec, lab.limits, lab.progress)
	if l.mutant == harness.MutantNone {
		lab.honest = m.Comparison
	}
	return m.Verdict, err
}

// noticed says whether the verdict is the one that there must be, for its reason.
func (l lie) noticed(v thresholds.Verdict) bool {
	return v.Outcome == l.want && strings.Contains(strings.Join(append([]string{v.Reason}, v.Notes...), "\n"), l.says)
}

// because is the line of the verdict that speaks of the lie.
func (l lie) because(v thresholds.Verdict) string {
	for _, text := range append(slices.Clone(v.Notes), v.Reason) {
		if i := strings.Index(text, l.says); i >= 0 && l.says != "" {
			text, _, _ = strings.Cut(text[max(0, strings.LastIndexAny(text[:i], ":\n")+1):], "\n")
			return strings.TrimSpace(text)
		}
	}
	line, _, _ := strings.Cut(v.Reason, "\n")
	return line
}

// shortened cuts a text to so many characters.
func shortened(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

// slower is the honest comparison with every block dearer by the factor.
func (l *lab) slower(factor float64) *harness.Comparison {
	c := *l.honest
	c.Blocks = slices.Clone(c.Blocks)
	for i := range c.Blocks {
		c.Blocks[i].CostRatio *= factor
	}
	return &c
}

var errNoLimit = errors.New("selftest needs a limit: make one with flujo-harness calibrate --write")

// slowed judges a program that is slower by twice the margin of its limit.
func slowed(_ context.Context, l *lab) (thresholds.Verdict, error) {
	limit := l.limit()
	if limit == nil {
		return thresholds.Verdict{}, cli.Usage(errNoLimit)
	}
	return thresholds.Judge(l.slower(1+2*limit.Margin), l.limits, time.Now()), nil
}

func (l *lab) limit() *thresholds.Limit {
	if l.limits == nil {
		return nil
	}
	return l.limits.Find(l.spec.Workload, thresholds.MetricCostRatio, string(l.spec.Durability))
}

// smuggled judges a slower program by the limits of the base branch, where the change
// brings looser ones along.
func smuggled(_ context.Context, l *lab) (thresholds.Verdict, error) {
	if l.limit() == nil {
		return thresholds.Verdict{}, cli.Usage(errNoLimit)
	}
	loose := *l.limit()
	loose.Baseline, loose.Limit = 3*loose.Baseline, 3*loose.Limit
	v := thresholds.Judge(l.slower(1+2*loose.Margin), l.limits, time.Now())
	v.Notes = append(v.Notes, l.limits.Compare(loose).String())
	return v, nil
}

// foreign judges by the limits of another class of machine.
func foreign(_ context.Context, l *lab) (thresholds.Verdict, error) {
	if l.limits == nil {
		return thresholds.Verdict{}, cli.Usage(errNoLimit)
	}
	limits := *l.limits
	limits.Class = "plan9-mips-1cpu"
	return thresholds.Judge(l.honest, &limits, time.Now()), nil
}

// rerun appends a run that broke and one that held at the same commit to a history of
// its own.
func rerun(ctx context.Context, l *lab) (v thresholds.Verdict, err error) {
	dir, remove, err := harness.Temporary(os.TempDir(), "flujo-harness-selftest-")
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

// truncated reads a report of Ginkgo that ends in the middle.
func truncated(_ context.Context, l *lab) (thresholds.Verdict, error) {
	const report = `[{"SuitePath":"/suite","SuiteDescription":"Suite","SuiteSucceeded":true,"SpecReports":[{"LeafNodeType":"It","LeafNodeText":"works","State":"passed"`
	if _, err := ingest.ReadGinkgo(strings.NewReader(report), l.project.Root); err != nil {
		return thresholds.Verdict{Outcome: thresholds.Invalid, Reason: err.Error()}, nil
	}
	return thresholds.Verdict{Outcome: thresholds.Held, Reason: "half a report was taken for a whole one"}, nil
}
