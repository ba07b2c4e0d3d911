package records

import (
	"context"
	"io"
	"path/filepath"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/live"
	"github.com/flujo/flujo-harness/reports/runner"
)

// Follow displays the tests of a run while they run, in the log and on the page of serve, until
// stop is called. It estimates progress from an earlier run; without one, or if the file for
// serve cannot be created, the tests run all the same.
//
// db is the value of --db.
func Follow(ctx context.Context, p project.Project, db string, h *history.History, r reports.Run, tests *runner.Tests, progress *cli.Progress, out io.Writer) (f *cli.Follower, stop func()) {
	run := live.Run{History: HistoryPath(p, db), Command: r.Command, Branch: r.Branch, Commit: r.Commit, Started: r.Started}
	file := (*live.File)(nil)
	if base, err := workdir.Folder(p.Root); err == nil {
		file, _ = live.Create(base)
	}
	f = &cli.Follower{Tracker: live.NewTracker(run, expected(ctx, h, r, tests), time.Now), File: file, Progress: progress,
		Screen: cli.NewScreen(out), Module: r.Origin.Module, Clean: clean, Now: time.Now}
	return f, func() {
		f.End()
		if file != nil {
			_ = file.Close() // if it fails, the next run removes the file
		}
	}
}

// HistoryPath returns the absolute path of the history that --db names.
func HistoryPath(p project.Project, db string) string {
	path := p.History(db)
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// expected returns the tests that the newest complete run had. It returns none if flags select
// tests.
func expected(ctx context.Context, h *history.History, r reports.Run, tests *runner.Tests) live.Expected {
	const newest = 20
	if r.Origin.Selection.Filtered {
		return live.Expected{}
	}
	lines, err := h.LinesOfTests(ctx, newest)
	if err != nil {
		return live.Expected{}
	}
	for _, line := range lines {
		if !line.Rated || !line.Complete {
			continue
		}
		if run, err := h.Load(ctx, line.ID); err == nil {
			if e := live.Expect(run.Suites, tests.Suites); e.Specs > 0 {
				return e
			}
		}
	}
	return live.Expected{}
}

// clean removes secrets from specs that are shown before the run is recorded.
func clean(specs []reports.Spec) []reports.Spec {
	return analysis.Redacted(reports.Run{Suites: &reports.Results{Specs: specs}}).Suites.Specs
}
