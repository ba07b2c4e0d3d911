package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// outputFlags say where results go.
type outputFlags struct {
	db  string
	out string
}

func (f *outputFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.db, "db", "", "history database (default .flujo/history.db of the module)")
	cmd.Flags().StringVar(&f.out, "out", "", "folder of the HTML report (default reports/out of the module)")
}

func runCommand() *cobra.Command {
	var j job
	cmd := &cobra.Command{
		Use:   "run [packages]",
		Short: "Run the suites, measure, judge, and report",
		Long: `Runs the Ginkgo suites of the packages (./... by default) as a child process,
measures what durability costs, judges it by the committed limits, writes all
to the history and the HTML report, and says in at most 12 lines what came of it.`,
		RunE: func(cmd *cobra.Command, packages []string) error {
			if len(packages) == 0 {
				packages = []string{"./..."}
			}
			j.cmd, j.packages = cmd, packages
			return j.run()
		},
	}
	j.register(cmd)
	return cmd
}

func benchCommand() *cobra.Command {
	var j job
	cmd := &cobra.Command{
		Use: "bench", Args: cobra.NoArgs,
		Short: "Measure, judge and report, without the suites",
		RunE: func(cmd *cobra.Command, _ []string) error {
			j.cmd = cmd
			return j.run()
		},
	}
	j.register(cmd)
	return cmd
}

// job is one call of run or bench.
type job struct {
	cmd      *cobra.Command
	measure  measureFlags
	output   outputFlags
	results  resultFlags
	strict   bool
	packages []string // nil: no suites
	about    reports.AccountOptions
}

func (j *job) register(cmd *cobra.Command) {
	j.measure.register(cmd, harness.DefaultPlan().Sessions)
	registerBase(cmd, &j.measure.base)
	j.output.register(cmd)
	j.results.register(cmd)
	cmd.Flags().BoolVar(&j.strict, "strict", false, "exit with 4 where the verdict is inconclusive")
}

// run looks at everything that can be wrong before it does any work, works, and
// keeps what it has whatever happens.
func (j job) run() error {
	ctx := j.cmd.Context()
	p, specs, err := j.measure.prepareAll(ctx)
	if err != nil {
		return err
	}
	if err := j.results.check(); err != nil {
		return err
	}
	rules, err := j.measure.rules(ctx, p)
	if err != nil {
		return err
	}
	ruled, err := rules.of(harness.Class())
	if err != nil {
		return err
	}
	ruled.say(j.results.talk(j.cmd))
	var dirs []string
	if j.packages != nil {
		if !p.module {
			return usage(errors.New("there is no go.mod here or above: call run inside a Go module, or use flujo-harness bench"))
		}
		if dirs, err = p.ginkgoSuites(ctx, j.packages); err != nil {
			return usage(err)
		}
	}
	if j.about, err = (&accountFlags{window: reports.DefaultWindow}).options(p); err != nil {
		return err
	}
	history, err := reports.OpenHistory(ctx, p.path(j.output.db, ".flujo/history.db"))
	if err != nil {
		return fault(err)
	}
	defer history.Close()
	out := p.path(j.output.out, "reports/out")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fault(fmt.Errorf("make the folder of the report: %w", err))
	}

	r := reports.Run{Started: time.Now().UTC(), Command: commandLine(j.cmd, j.packages)}
	r.Commit, r.Dirty = p.revision(ctx)
	progress := newProgress(j.cmd.ErrOrStderr())
	defer progress.end()
	var suites suitesRun
	if dirs != nil {
		progress.set(fmt.Sprintf("running %d Ginkgo suite(s)", len(dirs)), "")
		if suites, err = p.runSuites(ctx, dirs, filepath.Join(p.root, ".flujo", "ginkgo.log")); err != nil {
			return fault(err)
		}
		r.Suites, r.SuiteError = suites.results, suites.problem
	}
	if r.Suites != nil && len(r.Suites.Measured) > 0 {
		for _, m := range r.Suites.Measured {
			if rules.base != "" {
				m.Verdict = thresholds.Judge(m.Comparison, ruled.limits, time.Now())
			}
			r.Comparisons, r.Verdicts = append(r.Comparisons, *m.Comparison), append(r.Verdicts, ruled.note(m.Verdict))
		}
		r.Suites.Measured = nil
		if !j.cmd.Flags().Changed("workload") {
			specs = nil // the module measures what is its own
		}
	}
	for _, spec := range specs {
		if ctx.Err() != nil {
			break
		}
		m, err := measure(ctx, p, spec, ruled.limits, progress)
		if m.Comparison != nil {
			r.Comparisons, r.Verdicts = append(r.Comparisons, *m.Comparison), append(r.Verdicts, ruled.note(m.Verdict))
		}
		if err != nil && ctx.Err() == nil {
			r.Verdicts = append(r.Verdicts, thresholds.Verdict{Outcome: thresholds.Invalid, Workload: spec.Workload, Metric: thresholds.MetricCostRatio,
				Durability: string(spec.Durability), Reason: err.Error(), Next: "mend what the message says, then run again"})
		}
	}
	progress.end()
	r.Complete, r.Seconds = ctx.Err() == nil, time.Since(r.Started).Seconds()
	r.Outcome, r.ExitCode = conclude(r, suites.focused, j.strict)
	return j.keep(context.WithoutCancel(ctx), p, history, r, out)
}

// conclude gives the outcome of all and the exit code.
func conclude(r reports.Run, focused, strict bool) (thresholds.Outcome, int) {
	outcome := thresholds.Inconclusive
	for i, v := range r.Verdicts {
		if i == 0 {
			outcome = v.Outcome
		}
		outcome = worse(outcome, v.Outcome)
	}
	failed := r.Suites != nil && !r.Suites.Green()
	switch {
	case !r.Complete:
		return thresholds.Inconclusive, exitInterrupted
	case r.SuiteError != "":
		return thresholds.Invalid, exitFault
	case failed:
		return thresholds.Broken, exitBroken
	case focused || r.Suites != nil && r.Suites.Focused():
		return thresholds.Inconclusive, exitFocused
	case outcome == thresholds.Invalid:
		return outcome, exitFault
	case outcome == thresholds.Broken:
		return outcome, exitBroken
	case outcome == thresholds.Inconclusive && strict:
		return outcome, exitInconclusive
	}
	return outcome, exitHeld
}

// keep writes the history and the report and prints the summary. The summary comes
// whatever fails; where the history cannot take the run, a file does.
func (j job) keep(ctx context.Context, p project, history *reports.History, r reports.Run, out string) error {
	added, failed := history.Append(ctx, r)
	if failed != nil {
		failed = fmt.Errorf("%w\n%s", failed, rescue(r))
	}
	r.ID = added.ID
	account := reports.Alone(r)
	if failed == nil {
		told, err := new(accountFlags).tell(ctx, history, j.about, r.ID)
		if failed = err; err == nil {
			account = told
		}
	}
	page, err := reports.WriteReport(out, account)
	failed = errors.Join(failed, err, j.results.write(r, j.cmd.OutOrStdout()))
	if err != nil {
		page = "not written"
	}
	for _, line := range reports.Summary(account, short(page)) {
		fmt.Fprintln(j.results.talk(j.cmd), line)
	}
	switch {
	case failed != nil:
		return fault(failed)
	case r.ExitCode != exitHeld:
		return &exitError{code: r.ExitCode}
	}
	return nil
}

// rescue writes a run that the history could not take to a file of its own.
func rescue(r reports.Run) string {
	data, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp("", "flujo-harness-run-*.json"); err == nil {
			_, err = f.Write(data)
			if err = errors.Join(err, f.Close()); err == nil {
				return "the results of this run are in " + f.Name()
			}
		}
	}
	return fmt.Sprintf("the results of this run could not be written to a file either: %v", err)
}

// commandLine is the call as it can be typed again: only the flags that were given.
func commandLine(cmd *cobra.Command, packages []string) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(f *pflag.Flag) { words = append(words, fmt.Sprintf("--%s=%s", f.Name, f.Value)) })
	return strings.Join(append(words, packages...), " ")
}
