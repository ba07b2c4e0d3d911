package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/live"
	"github.com/flujo/flujo-harness/reports/runner"
)

// follow shows the tests of a run while they run, here and to serve; stop ends that. What an
// earlier run says of them is a help: without it, or without the file, the tests run as well.
func (j job) follow(ctx context.Context, p project.Project, h *history.History, r reports.Run, tests *runner.Tests, progress *cli.Progress) (f *cli.Follower, stop func()) {
	run := live.Run{History: historyOf(p, j.output.db), Command: r.Command, Branch: r.Branch, Commit: r.Commit, Started: r.Started}
	file := (*live.File)(nil)
	if base, err := harness.Folder(p.Root); err == nil {
		file, _ = live.Create(base)
	}
	f = &cli.Follower{Tracker: live.NewTracker(run, j.expected(ctx, h, tests), time.Now), File: file, Progress: progress,
		Screen: cli.NewScreen(j.cmd.ErrOrStderr()), Module: r.Origin.Module, Clean: clean, Now: time.Now, Groups: j.ci.Groups()}
	return f, func() {
		f.End()
		if file != nil {
			_ = file.Close() // or the next run removes it
		}
	}
}

// historyOf is the whole path of the history that --db names.
func historyOf(p project.Project, db string) string {
	path := p.Path(db, ".flujo/history.db")
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// expected is what the newest complete run says of the tests. Of a selection by flags nothing is
// expected.
func (j job) expected(ctx context.Context, h *history.History, tests *runner.Tests) live.Expected {
	const newest = 20
	if j.selection().Filtered {
		return live.Expected{}
	}
	lines, _, err := h.Lines(ctx, newest)
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

// clean takes secrets out of specs that are shown before the run is kept.
func clean(specs []reports.Spec) []reports.Spec {
	return analysis.Redacted(reports.Run{Suites: &reports.Results{Specs: specs}}).Suites.Specs
}
