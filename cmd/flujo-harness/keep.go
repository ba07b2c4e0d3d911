package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/quarantine"
	"github.com/flujo/flujo-harness/reports/render"
	"github.com/flujo/flujo-harness/thresholds"
)

// conclude returns the outcome of a run and the exit code.
func conclude(r reports.Run, focused, strict bool, ledger *quarantine.Ledger) (thresholds.Outcome, int) {
	outcome := thresholds.Inconclusive
	for i, v := range r.Verdicts {
		if i == 0 {
			outcome = v.Outcome
		}
		outcome = cli.Worse(outcome, v.Outcome)
	}
	if len(r.Verdicts) == 0 && r.Suites != nil {
		outcome = thresholds.Held // only specs were requested; they decide below
	}
	failed := r.Suites != nil && !greenBut(r.Suites, ledger)
	switch {
	case !r.Complete:
		return thresholds.Inconclusive, cli.ExitInterrupted
	case r.SuiteError != "":
		return thresholds.Invalid, cli.ExitFault
	case failed:
		return thresholds.Broken, cli.ExitBroken
	case focused || r.Suites != nil && r.Suites.Focused():
		return thresholds.Inconclusive, cli.ExitFocused
	}
	return outcome, cli.ExitCode(outcome, strict)
}

// greenBut reports whether specs ran and all failures are quarantined.
func greenBut(r *reports.Results, ledger *quarantine.Ledger) bool {
	now := time.Now()
	for i := range r.Specs {
		if s := &r.Specs[i]; s.State != reports.Passed && s.State != reports.Skipped && s.State != reports.Pending && ledger.Covers(s, now) == nil {
			return false
		}
	}
	for _, o := range analysis.OutsideOf(r.Suites) {
		if s := o.Spec(); ledger.Covers(&s, now) == nil {
			return false
		}
	}
	return r.Counts().PassRate().Of > 0
}

// keep writes the history and the report, and prints the summary. It prints the summary even if
// writing fails. If the history cannot store the run, keep writes it to a file.
func (j job) keep(ctx context.Context, p project.Project, history *history.History, r reports.Run, out string, hints []string) error {
	if j.choice.watch {
		if err := summarize(j.results.Messages(j.cmd), analysis.AnalyzeSingleRun(r), "", hints); err != nil {
			return cli.Fault(err)
		}
		if r.ExitCode == cli.ExitHeld {
			return nil
		}
		return &cli.ExitError{Code: r.ExitCode}
	}
	added, failed := history.Append(ctx, r)
	if failed != nil {
		failed = fmt.Errorf("%w\n%s", failed, rescue(analysis.AnalyzeSingleRun(r).Run))
	}
	r.ID = added.ID
	if failed == nil && r.Complete { // an interrupted run is sent by a later command
		j.shared.Push(ctx, r)
	}
	account := analysis.AnalyzeSingleRun(r)
	if failed == nil {
		told, err := new(records.AnalysisFlags).Analyze(ctx, history, j.about, r.ID)
		if failed = err; err == nil {
			account = told
		}
	}
	page, err := render.WriteReport(out, account)
	failed = errors.Join(failed, err, j.results.write(r, j.cmd.OutOrStdout()))
	if err != nil {
		page = "not written"
	}
	if err := summarize(j.results.Messages(j.cmd), account, workdir.ShortPath(page), j.shared.Lines()); err != nil {
		failed = errors.Join(failed, err)
	}
	for _, hint := range hints {
		fmt.Fprintln(j.cmd.ErrOrStderr(), "hint: "+hint)
	}
	failed = errors.Join(failed, j.ci.Write(ctx, p, account, j.results.Messages(j.cmd)))
	switch {
	case failed != nil:
		return cli.Fault(failed)
	case r.ExitCode != cli.ExitHeld:
		return &cli.ExitError{Code: r.ExitCode}
	}
	return nil
}

// rescue writes a run that the history could not store to a temporary file.
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
