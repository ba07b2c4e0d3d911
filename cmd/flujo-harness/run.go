package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/measure"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/publish"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/runner"
	"github.com/flujo/flujo-harness/thresholds"
)

func runCommand() *cobra.Command {
	var j job
	cmd := &cobra.Command{
		Use:   "run [packages] [-- flags]",
		Short: "Run all tests, compare with earlier runs, and report",
		Example: `  flujo-harness run
  flujo-harness run ./orders -- -race -count=1
  flujo-harness run --against main
  flujo-harness run --failed
  flujo-harness run --since origin/main --flaky 10
  flujo-harness run --runs 10 ./flaky`,
		Long: `Runs the tests of the packages (default ./...; at the root of a go.work, those of all its
modules), compares the results with earlier runs, writes them to the history and to an HTML
report, and prints a summary: what failed, who caused it, and how to run it again.

With --workload, --suite, --durability or --backend it also measures what durability costs and
judges that by the committed limits. In this program's own module it does so by default, unless
--no-measure is given. If there is no limit for this class of machines, the limit for any
machine is used, in instructions; that needs valgrind.

With --against REF no limits are used. The same workload is measured at REF and here, in turns
in this job, and the benchmarks of the packages are compared as the command compare does. A
slow-down of --margin breaks, and so does an additional transaction or allocation.

Ginkgo suites are run by the Ginkgo that go.mod requires, with the flags after "--":

  flujo-harness run ./orders -- -p --race --label-filter '!slow'

All other tests are run by go test, with those of the flags that it shares with Ginkgo (-race,
-tags, -timeout …). If no package has a Ginkgo suite, all flags are passed to go test. A test in
the source that go test neither runs nor reports is a failure outside the specs, unless flags
select tests (-run, -skip). ./... does not include nested modules: the summary and the report
name them. If the process of a suite is killed, the specs that had ended are kept; the suite
is marked as truncated, and the run fails.

--runs K runs all specs K times, each time in new processes, whatever their results. A spec that
passed and failed is flaky and counts as failed. Unlike retries, this does not stop at the first
result, so the failure rate of a spec is unbiased.

--shard I/N runs the I-th of N parts. Parts consist of whole packages, because the specs of a
suite share set-up, order and processes. Packages are distributed by the time that they took in
earlier runs, so that all parts end at about the same time; if there are none, in turns.
flujo-harness merge combines the parts into one run, from files of --json or from a --store.

--failed runs what failed in the last run of the branch; with --store, that may be a run of
another machine. --since REF runs the packages that depend on files which differ from the merge
base with REF: files of their folders, including testdata and embedded files, and of all packages
that they import. Both are compared only with results of the same specs. --flaky N runs known
flaky specs that failed N more times, each in a new process, and prints whether they are flaky or
broken, and by which rule. --watch runs the packages that depend on changed files, until Ctrl-C.

--store names a place that machines share, such as git:origin. Runs of other machines are fetched
before the tests, and this run is sent after them. If the store cannot be reached, the exit code
does not change, the summary says so, and the run is sent the next time. --outbox writes the run
to a folder instead, for a later job that may write to the store but does not run the code of the
change.

On GitHub Actions the summary is added to the page of the job, and failures are shown on the
lines of the change. --comment writes the result as a comment on the pull request, which later
runs update. If that fails, it is reported, and the exit code does not change. The tests could
read the token of --comment: use report --comment instead, which runs no tests.

Exit codes: 0 held; 1 specs failed or a limit broke; 2 usage error; 3 fault of the harness;
4 inconclusive, with --strict; 130 interrupted; 197 a focused spec.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			j.packages = args
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				j.packages, j.flags = args[:dash], args[dash:]
			}
			if j.everything = len(j.packages) == 0; j.everything {
				j.packages = []string{"./..."}
			}
			j.cmd = cmd
			if j.choice.watch {
				return j.watch()
			}
			return j.run()
		},
	}
	j.register(cmd)
	j.choice.register(cmd)
	j.ci.RegisterFormat(cmd)
	cmd.Flags().IntVar(&j.runs, "runs", 1, "number of times to run all specs, each time in new processes")
	cmd.Flags().BoolVar(&j.noMeasure, "no-measure", false, "run only the tests; do not measure what durability costs")
	cmd.Flags().Var(&j.share, "shard", "run one part of the suites, such as 2/3; see merge")
	return cmd
}

func benchCommand() *cobra.Command {
	var j job
	cmd := &cobra.Command{
		Use: "bench", Args: cobra.NoArgs,
		Short: "Measure, judge and report, without the suites",
		Long: `Measures what durability costs and judges it by the committed limits: those of this class of
machines or, if there are none, those for any machine, in instructions.

With --against REF no limit is needed: the workload is measured at REF and here, in turns in
this job. A slow-down of --margin breaks, and so does an additional transaction or allocation.

For several workloads a plan is printed first: their order, the shortest first, how long each is
expected to take, and which fit into --time. Measuring ends after --time; workloads that were not
measured are inconclusive.`,
		Example: `  flujo-harness bench --workload all --time 10m --json results.json
  flujo-harness bench --against main --suite ./flows --workload review`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			j.cmd = cmd
			return j.run()
		},
	}
	j.register(cmd)
	return cmd
}

// job is the state of one run or bench command.
type job struct {
	cmd        *cobra.Command
	measure    measure.Flags
	output     outputFlags
	results    resultFlags
	ci         publish.Flags
	store      records.StoreFlags
	shared     *records.Shared
	strict     bool
	limitsFrom string // judge by the limits of this revision
	against    against
	packages   []string // nil means to run no suites
	everything bool     // no package was named
	about      analysis.Options
	flags      []string // flags for Ginkgo or go test
	runs       int
	noMeasure  bool
	share      runner.Share
	choice     choice
}

func (j *job) register(cmd *cobra.Command) {
	j.measure.Register(cmd, harness.DefaultPlan().Sessions)
	revisions.RegisterLimitsFrom(cmd, &j.limitsFrom)
	j.measure.RegisterInstructions(cmd, "count instructions (valgrind) and judge them by the limits for any machine; default if this class of machines has no limit")
	cmd.Flags().StringVar(&j.against.ref, "against", "", "compare with this git revision, measured in turns in this job, instead of judging by limits")
	cmd.Flags().Float64Var(&j.against.margin, "margin", 5, "for --against: slow-down to detect, in percent; up to half of it passes")
	cmd.Flags().StringVar(&j.against.by, "judge", "", `for --against: judge only by "time", "instructions" or "counts"`)
	j.output.register(cmd)
	j.results.register(cmd)
	j.ci.Register(cmd)
	j.store.RegisterOutbox(cmd)
	cmd.Flags().BoolVar(&j.strict, "strict", false, "exit with 4 if a verdict is inconclusive")
}

// run checks everything before it does any work, and stores the results that it has whatever
// fails.
func (j job) run() error {
	ctx := j.cmd.Context()
	if j.noMeasure && j.measure.Asked(j.cmd) {
		return cli.Usage(errors.New("--no-measure and one of --workload, --suite, --durability and --backend, which ask for a measurement: use one of the two"))
	}
	p, specs, err := j.measure.PrepareAll(ctx)
	if err != nil {
		return err
	}
	if j.everything {
		if j.packages, err = p.Everything(); err != nil {
			return cli.Fault(err)
		}
	}
	if j.noMeasure || j.packages != nil && !j.measure.Asked(j.cmd) && !p.IsHarness() {
		specs = nil // other modules measure the built-in workloads only on request
	}
	if err := errors.Join(j.results.Check(), j.ci.Check()); err != nil {
		return err
	}
	if err := errors.Join(j.against.check(), j.choice.check(j.share)); err != nil {
		return cli.Usage(err)
	}
	if j.against.ref != "" && j.limitsFrom != "" {
		return cli.Usage(errors.New("--against and --limits-from: a comparison is judged by its margin, not by limits: use one of the two"))
	}
	if j.against.ref != "" && j.packages == nil && !p.IsHarness() && specs[0].Suite == "" {
		return cli.Usage(errors.New("bench --against: name the pipeline of this module that is compared: --suite PACKAGE --workload NAME; its benchmarks are compared by: flujo-harness compare " + child.ShellLine(j.against.ref)))
	}
	rules, err := revisions.FindRules(ctx, p, j.measure.Limits, j.limitsFrom)
	if err != nil {
		return err
	}
	ruled, err := rules.For(machine.Class())
	if err != nil {
		return err
	}
	anyMachine, err := rules.For(thresholds.AnyClass)
	if err != nil {
		return err
	}
	rules.PrintBase(j.results.Messages(j.cmd))
	ruled.PrintChanges(j.results.Messages(j.cmd))
	progress := cli.NewProgress(j.cmd.ErrOrStderr())
	defer progress.End()
	var tests *runner.Tests
	if j.packages != nil && !p.Module {
		return cli.Usage(errors.New("there is no go.mod and no go.work here or above: call run inside a Go module"))
	}
	if err := j.output.check(p); err != nil {
		return err
	}
	if j.packages != nil {
		progress.Set("finding the tests", "")
		if tests, err = j.find(ctx, p); err != nil {
			return err
		}
	}
	if j.about, err = (&records.AnalysisFlags{Limits: j.measure.Limits, Window: analysis.DefaultWindow}).Options(p); err != nil {
		return err
	}
	history, out, err := j.output.open(ctx, p)
	if err != nil {
		return cli.Fault(err)
	}
	defer history.Close()
	if j.shared, err = j.store.Connect(ctx, p, history); err != nil {
		return err
	}
	defer j.shared.Close()
	j.shared.Pull(ctx) // before the code under test runs, which could change what is pulled
	tests, nothing, err := j.choose(ctx, p, history, tests, j.results.Messages(j.cmd))
	if err != nil || nothing {
		return err
	}

	r := j.begin(ctx, p, tests)
	var suites runner.Outcome
	if tests != nil {
		follower, stop := records.Follow(ctx, p, j.output.db, history, r, tests, progress, j.cmd.ErrOrStderr())
		follower.Groups = j.ci.Groups()
		var every []*reports.Results
		every, suites, err = tests.Repeat(ctx, j.runs, follower.Tell)
		stop()
		if err != nil {
			return asRequest(err)
		}
		r.Suites, r.SuiteError, r.Format = suites.Results, suites.Problem, tests.Format
		if gone := j.choice.selected.NotRun(r.Suites); j.choice.failed && len(gone) > 0 && ctx.Err() == nil {
			suites.Hints = append(suites.Hints, "red before, and not there any more: "+records.ListNames(len(gone), func(i int) string { return gone[i] }))
		}
		again, err := j.rerun(ctx, p, history, r.Suites, r.Format, progress)
		if err != nil {
			return err
		}
		suites.Hints = append(suites.Hints, again...)
		j.results.part = &records.Part{Shard: j.share.String(), Suites: tests.All, Dealt: tests.Dealt, Format: tests.Format, Runs: every, Problem: suites.Problem}
		if j.share.Index > 1 && !j.cmd.Flags().Changed("workload") {
			specs = nil // the first shard measures
		}
	}
	if r.Suites != nil && len(r.Suites.Measured) > 0 {
		for _, m := range r.Suites.Measured {
			if rules.Base != nil {
				m.Verdict = thresholds.Judge(m.Comparison, ruled.Limits, time.Now())
			}
			r.Comparisons, r.Verdicts = append(r.Comparisons, *m.Comparison), append(r.Verdicts, ruled.Note(m.Verdict))
		}
		r.Suites.Measured = nil
		if !j.cmd.Flags().Changed("workload") {
			specs = nil // the module measures its own workloads
		}
	}
	if j.against.ref != "" {
		if err := j.compare(ctx, p, specs, &r, progress); err != nil {
			return err
		}
		specs = nil
	}
	j.measureAll(ctx, p, specs, &r, ruled, anyMachine.Limits, progress)
	progress.End()
	r.Complete, r.Seconds = ctx.Err() == nil, time.Since(r.Started).Seconds()
	if j.results.part != nil {
		j.results.part.Interrupted = !r.Complete
	}
	r.Outcome, r.ExitCode = conclude(r, suites.Focused, j.strict, j.about.Quarantine)
	return j.keep(context.WithoutCancel(ctx), p, history, r, out, suites.Hints)
}

// begin returns the run before its tests: its time, commit and environment, and the requested
// selection.
func (j job) begin(ctx context.Context, p project.Project, tests *runner.Tests) reports.Run {
	r := reports.Run{Started: time.Now().UTC(), Command: commandLine(j.cmd, j.packages, j.flags)}
	r.Branch = p.Branch(ctx)
	r.Commit, r.Dirty = p.Revision(ctx, j.own()...)
	if r.Commit == "" {
		if problem := p.RepositoryProblem(ctx); problem != "" {
			r.Facts = append(r.Facts, reports.Fact{Name: "no commit", Value: problem})
			fmt.Fprintln(j.cmd.ErrOrStderr(), "note: the run is kept without its commit: "+problem)
		}
	}
	if tests != nil {
		r.Origin.Selection = j.selection()
		r.Origin.Selection.Dealt = tests.Dealt
	}
	p.Locate(ctx, &r, project.CIIdentity(os.Getenv))
	project.Platform(&r.Origin)
	if j.share.N > 1 {
		r.Origin.Shard = j.share.String()
	}
	if tests != nil {
		if line := tests.LeftOut(); line != "" {
			r.Facts = append(r.Facts, reports.Fact{Name: reports.LeftOut, Value: line})
		}
	}
	if line := j.shared.OutOfReach(); line != "" {
		r.Facts = append(r.Facts, reports.Fact{Name: "shared store", Value: line})
	}
	return r
}

// Parts of a verdict on a measurement that --time ended or prevented.
const (
	moreTime = "give more --time, or name fewer workloads"
	cutOff   = "--time ended the measurement"
)

// measureAll measures the workloads and adds the comparisons and their verdicts to the run.
func (j *job) measureAll(ctx context.Context, p project.Project, specs []harness.Spec, r *reports.Run, ruled revisions.Ruled, anyMachine *thresholds.File, progress *cli.Progress) {
	type result struct {
		comparison *harness.Comparison
		verdicts   []thresholds.Verdict
	}
	all := make([]result, len(specs))
	failed := func(i int, o thresholds.Outcome, reason, next string) {
		all[i].verdicts = append(all[i].verdicts, thresholds.Verdict{Outcome: o, Workload: specs[i].Workload, Metric: thresholds.MetricCostRatio, Durability: specs[i].Durability, Reason: reason, Next: next})
	}
	late := func(i int, why error) {
		failed(i, thresholds.Inconclusive, fmt.Sprintf("%s at %s: %v", specs[i].Workload, specs[i].Durability, why), moreTime)
	}
	j.measure.Each(ctx, specs, progress, func(ctx context.Context, spec harness.Spec) (measure.Need, error) {
		return measure.NeedOf(ctx, p, spec, ruled.Limits, j.measure.Instructions || thresholds.CountDecides(spec.Workload, spec.Durability, ruled.Limits, anyMachine))
	}, func(within context.Context, i int, spec harness.Spec) {
		m, err := measure.Run(within, p, spec, ruled.Limits, progress)
		if err == nil {
			err = measure.Count(within, p, spec, &m, ruled.Limits, anyMachine, j.measure.Instructions, progress)
		}
		over := within.Err() != nil && ctx.Err() == nil
		switch {
		case m.Comparison != nil:
			if m.Verdict = ruled.Note(m.Verdict); over {
				m.Verdict.Notes = append(m.Verdict.Notes, cutOff)
			}
			all[i] = result{m.Comparison, []thresholds.Verdict{m.Verdict}}
		case over:
			late(i, measure.ErrNoTime)
		}
		if err != nil && within.Err() == nil {
			failed(i, thresholds.Invalid, err.Error(), "mend what the message says, then run again")
		}
	}, late)
	for _, one := range all { // in the order of the flags
		if one.comparison != nil {
			r.Comparisons = append(r.Comparisons, *one.comparison)
		}
		r.Verdicts = append(r.Verdicts, one.verdicts...)
	}
}

// find finds the tests to run.
func (j job) find(ctx context.Context, p project.Project) (*runner.Tests, error) {
	if j.runs < 1 {
		return nil, cli.Usage(fmt.Errorf("--runs %d: use 1 or more", j.runs))
	}
	o, err := j.options(p)
	if err != nil {
		return nil, err
	}
	tests, err := runner.Find(ctx, o)
	return tests, asRequest(err)
}

func (j job) options(p project.Project) (runner.Options, error) {
	guard, err := cli.GuardLine()
	if err != nil {
		return runner.Options{}, cli.Fault(err)
	}
	return runner.Options{Root: p.Root, Packages: j.packages, Flags: j.flags, Share: j.share, Guard: guard, Elsewhere: j.output.out}, nil
}

// asRequest converts an error of the runner to a usage error if the runner refused the request,
// and otherwise to a fault.
func asRequest(err error) error {
	var refused *runner.RequestError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return cli.Usage(err)
	}
	return cli.Fault(err)
}

// own returns the files and folders that the run itself writes.
func (j job) own() []string {
	return []string{j.output.db, j.output.db + "-wal", j.output.db + "-shm", j.output.out, j.results.JSON, j.results.Benchfmt, j.ci.Summary, j.store.Outbox}
}
