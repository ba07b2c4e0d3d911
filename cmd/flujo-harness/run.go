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
		Long: `Runs the tests of the packages (./... by default; at the root of a go.work those of all
its modules), compares the results with earlier runs, writes them to the history and to an
HTML report, and prints a summary: what failed, whose failure it is, how to run it again.

Where --workload, --suite, --durability or --backend is given, it also measures what
durability costs and judges that by the committed limits. In this program's own module it
does so without them, unless --no-measure is given. A class of machines without limits of its
own is judged by the limits for any machine, in instructions, where there are some and
valgrind is.

With --against REF nothing is judged by limits. The same workload is measured at REF and
here, in turns in this job, and the benchmarks of the packages are compared as by the command
compare: a slow-down of --margin is broken, and so is a transaction or an allocation more.

Ginkgo suites are run by the Ginkgo that go.mod requires, with the flags after "--":

  flujo-harness run ./orders -- -p --race --label-filter '!slow'

All other tests of the packages are run by go test, with the flags that it has in common
with Ginkgo (-race, -tags, -timeout …). Where none of the packages has a Ginkgo suite, all
flags are for go test. A test that is in the source and that go test neither runs nor
reports is a failure outside the specs, unless the flags choose tests (-run, -skip).
Modules below this one are not reached by ./...: the summary and the report name them.
A suite whose process is killed keeps the specs that had ended; it is
marked as truncated, and the run is never green.

--runs K runs all specs K times, each time in new processes and whatever comes of
them. A spec that passed and failed is flaky: it counts as failed, with all that it
did, so that its rate is not cut off at the first pass or failure, as retries are.

--shard I/N runs the I-th of N parts, by package: specs of one suite share set-up,
order and processes, so a suite is never split. The parts are dealt out by the seconds that
the suites took in runs before the commit, so that they end at about the same time; without
such runs in turns. What each wrote with --json, or sent to a --store, makes one run again:
flujo-harness merge.

--failed runs what was red in the last run of the branch, with --store also one of another
machine; --since REF the packages that depend on files that differ from the merge base with
REF: those of their folders, with testdata and embedded files, and of all that they import.
Such a run is compared within what it ran. --flaky N runs known flakes that are red N times
more, each in a new process, and prints by what rule they are flaky or broken. --watch runs
the packages that depend on files that change until Ctrl-C.

--store names a place that machines share, such as git:origin: the runs of others are taken in
before the tests run, and this one is sent after. A store out of reach changes no exit code; the
summary says so, and the run is sent the next time. With --outbox the run is written to a folder,
for a job that may write to the store and does not run the code of the change.

On GitHub Actions the summary goes to the page of the job, and what failed to the lines
of the change. With --comment the result is one comment on the pull request, which later
runs update; a comment that cannot be made is said and changes no exit code. The tests could
read the token: better give it to report --comment, which runs none.

Exit codes: 0 held; 1 specs failed or a limit broke; 2 usage; 3 a fault of the harness;
4 inconclusive, under --strict; 130 interrupted; 197 a focused spec.`,
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
	cmd.Flags().IntVar(&j.runs, "runs", 1, "how often to run the specs, each time in new processes")
	cmd.Flags().BoolVar(&j.noMeasure, "no-measure", false, "run the tests only: do not measure what durability costs")
	cmd.Flags().Var(&j.share, "shard", "run one part of the suites, as 2/3; see merge")
	return cmd
}

func benchCommand() *cobra.Command {
	var j job
	cmd := &cobra.Command{
		Use: "bench", Args: cobra.NoArgs,
		Short: "Measure, judge and report, without the suites",
		Long: `Measures what durability costs and judges it by the committed limits: those of this class
of machines or, where it has none, those for any machine, in instructions.

With --against REF no limit is needed: the workload is measured at REF and here, in turns in
this job. A slow-down of --margin is broken, and so is a transaction or an allocation more.

Several workloads, or all of them, are measured by a plan, which is printed first: the order, the
shortest first, how long each is expected to take, and which fit into --time. Nothing goes on
after --time; what was not begun is inconclusive.`,
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

// job is one call of run or bench.
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
	packages   []string // nil: no suites
	everything bool     // no package was named
	about      analysis.Options
	flags      []string // for Ginkgo, or go test
	runs       int
	noMeasure  bool
	share      runner.Share
	choice     choice
}

func (j *job) register(cmd *cobra.Command) {
	j.measure.Register(cmd, harness.DefaultPlan().Sessions)
	revisions.RegisterLimitsFrom(cmd, &j.limitsFrom)
	j.measure.RegisterInstructions(cmd, "count instructions (valgrind), and judge them by the limits for any machine; default where this class of machine has no limit of its own")
	cmd.Flags().StringVar(&j.against.ref, "against", "", "compare with this git revision, measured in turns in this job, instead of judging by limits")
	cmd.Flags().Float64Var(&j.against.margin, "margin", 5, "of --against: slow-down that is too much, in percent: it is found; up to half of it passes")
	cmd.Flags().StringVar(&j.against.by, "judge", "", `of --against: judge by "time", "instructions" or "counts" alone`)
	j.output.register(cmd)
	j.results.register(cmd)
	j.ci.Register(cmd)
	j.store.RegisterOutbox(cmd)
	cmd.Flags().BoolVar(&j.strict, "strict", false, "exit with 4 where the verdict is inconclusive")
}

// run looks at everything that can be wrong before it does any work, works, and
// keeps what it has whatever happens.
func (j job) run() error {
	ctx := j.cmd.Context()
	if j.noMeasure && j.measure.Asked(j.cmd) {
		return cli.Usage(errors.New("--no-measure beside --workload, --suite, --durability or --backend, which ask for a measurement: leave out one of them"))
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
		specs = nil // what our engine costs is no concern of a module that has not asked
	}
	if err := errors.Join(j.results.Check(), j.ci.Check()); err != nil {
		return err
	}
	if err := errors.Join(j.against.check(), j.choice.check(j.share)); err != nil {
		return cli.Usage(err)
	}
	if j.against.ref != "" && j.limitsFrom != "" {
		return cli.Usage(errors.New("--against beside --limits-from: a comparison is judged by its margin, not by limits: leave out one of them"))
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
			specs = nil // the module measures what is its own
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

// begin is the run before anything of it has run: when, of what, where, and what was asked for.
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

// What a verdict says of a measurement that --time ended or kept from being begun.
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
	for _, one := range all { // in the order that was asked for
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

// asRequest makes a usage error of what the runner refuses, and a fault of any other error.
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

// own are the files and folders that the run itself writes.
func (j job) own() []string {
	return []string{j.output.db, j.output.db + "-wal", j.output.db + "-shm", j.output.out, j.results.JSON, j.results.Benchfmt, j.ci.Summary, j.store.Outbox}
}
