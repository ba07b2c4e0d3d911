package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/publish"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/thresholds"
)

// Command returns the gate command.
func Command() *cobra.Command {
	var limits, base string
	var strict bool
	var specs specGate
	var comment publish.Comment
	cmd := &cobra.Command{
		Use:   "gate [FILE...]",
		Short: "Judge recorded results by limits and a target pass rate, without measuring",
		Example: `  flujo-harness gate --no-new-failures
  flujo-harness gate results.json --limits-from origin/main --strict
  flujo-harness gate --target 98.5 --max-flaky 5
  flujo-harness gate --no-new-failures --comment github`,
		Long: `Judges results that "flujo-harness bench --json FILE" wrote, by the present limits. Every figure is
computed again from the raw samples in the file; a file that is empty, truncated, edited or of
another version is a fault. This detects mistakes but not forgery, because whoever can write the
file can also make it consistent: use the file of the job that measured. Verdicts of --against are
used as recorded, since the file has no samples of the other revision. The commit, age and class of
machines of the file are printed.

With --target, --no-new-failures, --max-flaky or --min-specs the specs of a run in the history are
judged too: the newest run of tests, or that of --run; runs that only compared or measured are
passed over, with a note. The default target is the plan's (--plan): that of the phase of the run,
otherwise the plan's own. A target that is missed is inconclusive until its phase has ended, and
then broken. If the plan has a target, gate uses it even without any argument. With --limits-from
the plan comes from that revision, too.

--no-new-failures compares with the run of the merge base with the base branch or, if that commit
has no run, with its nearest ancestor that has one. Without git it is the newest run of another
commit on the base branch, otherwise on the same branch. Runs of one commit are attempts of one
run: a failure in one does not excuse another. gate prints which run it compares with, and why;
--against selects another. Each failure is caused by this change, red on main, known flaky,
quarantined or unknown. Only the first kind breaks the gate, and all are listed. Unknown ones are
inconclusive, with exit code 4 even without --strict. Specs that were removed or did not run are
listed; removed ones that had failed count as failed for the target.

With --store the runs of other machines are fetched first. The run that is judged is still the
newest of those that were here before. If the store cannot be reached, that is reported.

It is a fault if the history is missing, damaged or empty, and if the run has no results, has
programmatic focus or was interrupted.

If a file of "run --json" has specs in addition to measurements, these must not have failed either.
gate prints a line for each verdict, and one for each limit without a result; the worst verdict
decides. Results of another commit than the present one are judged, with a note.

Exit codes: 0 held; 1 a limit broke, or the specs do not meet the demands; 2 usage error, or
unusable limits; 3 a fault of a file, the history or a measurement; 4 inconclusive with --strict,
or failures of unknown cause.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			p, err := project.Find()
			if err != nil {
				return cli.Fault(err)
			}
			if err := comment.Check(); err != nil {
				return err
			}
			var lines []string
			if base != "" {
				of, err := p.CommitOf(cmd.Context(), base)
				if err != nil {
					return cli.Usage(fmt.Errorf("--limits-from %s: %w", base, err))
				}
				lines = append(lines, fmt.Sprintf("limits and plan from %s", of))
			}
			asked, err := specs.check(cmd, p, len(paths) == 0, base)
			if err != nil {
				return cli.Usage(err)
			}
			if len(paths) == 0 && !asked {
				return cli.Usage(errors.New("gate: name a file of results, or say what the specs of the history must be: --target, --no-new-failures, --max-flaky or --min-specs, or a target in thresholds/plan.toml"))
			}
			worst, unknown := thresholds.Held, false
			var judged *analysis.Analysis
			if len(paths) > 0 {
				of, outcome, err := gateFiles(cmd, p, paths, limits, base)
				if err != nil {
					return err
				}
				lines, worst = append(lines, of...), outcome
			}
			if asked {
				a, of, outcome, nobodyKnows, err := specs.judge(cmd.Context(), p)
				if err != nil {
					return cli.AsFault(err)
				}
				judged, lines, worst, unknown = a, append(lines, of...), cli.Worse(worst, outcome), nobodyKnows
			}
			fmt.Fprintln(cmd.OutOrStdout(), strings.Join(lines, "\n"))
			for _, line := range comment.Post(cmd.Context(), publish.Lines("gate", worst, lines, judged)) {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			if code := cli.ExitCode(worst, strict || unknown); code != cli.ExitHeld {
				return &cli.ExitError{Code: code}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&limits, "limits", "", "folder of the limits files (default thresholds/limits of the module)")
	revisions.RegisterLimitsFrom(cmd, &base)
	comment.Register(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 4 where a verdict is inconclusive")
	specs.register(cmd)
	return cmd
}

// gateFiles judges results files. Its error has an exit code.
func gateFiles(cmd *cobra.Command, p project.Project, paths []string, limits, base string) (lines []string, worst thresholds.Outcome, err error) {
	rules, err := revisions.FindRules(cmd.Context(), p, limits, base)
	if err != nil {
		return nil, worst, err
	}
	var all []harness.Comparison
	var failed error
	suites := thresholds.Held
	var ofSuites []string
	for _, path := range paths {
		r, err := harness.ReadResults(path)
		if failed = errors.Join(failed, err); err != nil {
			continue
		}
		outcome, text, err := suitesOf(r)
		if failed = errors.Join(failed, err); err != nil {
			continue
		}
		if outcome != thresholds.Held {
			suites, ofSuites = cli.Worse(suites, outcome), append(ofSuites, verdictLine(outcome, path+": "+text))
		}
		compared, outcome, err := against(r)
		if failed = errors.Join(failed, err); err != nil {
			continue
		}
		suites, ofSuites = cli.Worse(suites, outcome), append(ofSuites, compared...)
		all = append(all, r.Comparisons...)
		lines = append(lines, reports.Visible(fmt.Sprintf("%s: %s", path, origin(r, time.Now()))))
		if other := p.OtherCommit(cmd.Context(), r.Commit); other != "" {
			lines = append(lines, reports.Visible(fmt.Sprintf("note: %s: %s", path, other)))
		}
	}
	if failed != nil {
		return nil, worst, cli.Fault(failed)
	}
	verdicts, worst, err := gate(all, rules, time.Now())
	return slices.Concat(lines, verdicts, ofSuites), cli.Worse(worst, suites), err
}

// against returns the recorded verdicts of a results file on comparisons with another revision.
// They cannot be computed again, because the file has no samples of the other revision.
func against(r *harness.Results) (lines []string, worst thresholds.Outcome, err error) {
	worst = thresholds.Held
	var verdicts []thresholds.Verdict
	if len(r.Verdicts) > 0 {
		if err := json.Unmarshal(r.Verdicts, &verdicts); err != nil {
			return nil, thresholds.Invalid, fmt.Errorf("the verdicts cannot be read: %w: run again", err)
		}
	}
	for _, v := range verdicts {
		if v.Against != "" {
			lines, worst = append(lines, verdictLine(v.Outcome, "as recorded: "+v.Reason)), cli.Worse(worst, v.Outcome)
		}
	}
	return lines, worst, nil
}

// suitesOf judges the specs in a results file. A file of a failed run must not hold only because
// its measurements did.
func suitesOf(r *harness.Results) (outcome thresholds.Outcome, text string, err error) {
	var p *records.Part
	if len(r.Suites) > 0 {
		if err := json.Unmarshal(r.Suites, &p); err != nil {
			return thresholds.Invalid, "", fmt.Errorf("the results of the suites cannot be read: %w: run again", err)
		}
	}
	if p == nil {
		return thresholds.Held, "", nil
	}
	failed, outside := 0, 0
	for _, run := range p.Runs {
		if run != nil {
			failed, outside = failed+run.Counts().Failed, outside+run.SuiteFailures()
		}
	}
	switch {
	case failed+outside > 0:
		return thresholds.Broken, fmt.Sprintf("its suites: %s, %s outside the specs", cli.Plural(int64(failed), "failed spec"), cli.Plural(int64(outside), "failure")), nil
	case p.Problem != "":
		return thresholds.Invalid, "its suites: " + p.Problem, nil
	case p.Interrupted:
		return thresholds.Inconclusive, "its suites were interrupted: run again and let them finish", nil
	}
	return thresholds.Held, "", nil
}

// origin describes what a results file states about its own origin, which cannot be verified.
func origin(r *harness.Results, now time.Time) string {
	text := "commit not known"
	if r.Commit != "" {
		text = fmt.Sprintf("commit %.12s", r.Commit)
	}
	if r.Dirty {
		text += ", with changes that are in no commit"
	}
	var classes []string
	oldest := r.Comparisons[0].Started
	for _, c := range r.Comparisons {
		if !slices.Contains(classes, c.Environment.Class) {
			classes = append(classes, c.Environment.Class)
		}
		if c.Started.Before(oldest) {
			oldest = c.Started
		}
	}
	age := "which is in the future: a clock is wrong"
	if d := now.Sub(oldest); d >= 0 {
		age = fmt.Sprintf("%s ago", d.Round(time.Second))
		if days := int64(d.Hours() / 24); days > 1 {
			age = cli.Plural(days, "day") + " ago"
		}
	}
	text += fmt.Sprintf("; measured %s, %s, on %s", oldest.UTC().Format("2006-01-02 15:04 UTC"), age, strings.Join(classes, ", "))
	if r.Digest == "" {
		text += "; it has no digest: an earlier version wrote it, or somebody edited it"
	}
	return text
}

// gate judges recorded comparisons, each by the limits for the class of machine that it was
// measured on, and returns what to print.
func gate(all []harness.Comparison, rules revisions.Rules, now time.Time) (lines []string, worst thresholds.Outcome, err error) {
	worst = thresholds.Held
	add := func(o thresholds.Outcome, what string) {
		lines, worst = append(lines, verdictLine(o, what)), cli.Worse(worst, o)
	}
	anyMachine, err := rules.For(thresholds.AnyClass)
	if err != nil {
		return nil, worst, err
	}
	classes := map[string]revisions.Ruled{}
	var order []revisions.Ruled
	for i := range all {
		c := &all[i]
		r, known := classes[c.Environment.Class]
		if !known {
			if r, err = rules.For(c.Environment.Class); err != nil {
				return nil, worst, err
			}
			classes[c.Environment.Class], order = r, append(order, r)
			var diff strings.Builder
			r.PrintChanges(&diff)
			if diff.Len() > 0 {
				lines = append(lines, strings.TrimSuffix(diff.String(), "\n"))
			}
		}
		v := r.Judge(c, now)
		if f := anyMachine.Limits; c.Instructions != nil && f != nil && f.Find(c.Workload, thresholds.MetricInstructions, c.Durability) != nil {
			v = thresholds.OnAnyMachine(c, v, r.Limits, anyMachine.Note(thresholds.JudgeInstructions(c, f)))
		}
		text := v.Reason
		if !c.Complete && c.Valid() {
			v.Notes = append(v.Notes, fmt.Sprintf("the measurement was interrupted after %d sessions", c.Sessions()))
		}
		for _, n := range v.Notes {
			text += "; " + n
		}
		add(v.Outcome, text)
	}
	said := map[string]bool{} // classes can share a file
	for _, r := range order {
		if r.Limits == nil || said[r.Limits.Path] {
			continue
		}
		said[r.Limits.Path] = true
		for _, l := range r.Limits.Limits {
			if !slices.ContainsFunc(all, func(c harness.Comparison) bool { return c.Workload == l.Workload && c.Durability == l.Durability }) {
				add(thresholds.Inconclusive, fmt.Sprintf("%s at %s: there is a limit in %s, and no result", l.Workload, l.Durability, r.Limits.Path))
			}
		}
	}
	return lines, worst, nil
}

// verdictLine formats a verdict as one line that begins with the outcome.
func verdictLine(o thresholds.Outcome, what string) string {
	return fmt.Sprintf("%-12s %s", strings.ToUpper(o.String()), reports.Visible(strings.Join(strings.Fields(what), " ")))
}
