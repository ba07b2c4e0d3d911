package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/choose"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/live"
	"github.com/flujo/flujo-harness/reports/runner"
)

// choice holds the flags that select tests.
type choice struct {
	failed bool
	since  string
	flaky  int
	watch  bool

	selected choose.Selection // tests selected by failed and since
	changed  []string         // files that changed, in rounds of watch after the first
}

func (c *choice) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.failed, "failed", false, "run only what was red in the last run of the branch, also one of another machine (--store)")
	cmd.Flags().StringVar(&c.since, "since", "", "run only the packages that depend on what changed since this git revision")
	cmd.Flags().IntVar(&c.flaky, "flaky", 0, "run known flakes that are red so many times more, to tell broken from flaky")
	cmd.Flags().BoolVar(&c.watch, "watch", false, "run again what depends on files that change, until Ctrl-C; nothing is kept in the history")
}

func (c *choice) check(share runner.Share) error {
	switch {
	case c.flaky < 0:
		return cli.Usage(fmt.Errorf("--flaky %d: use 1 or more", c.flaky))
	case c.failed && c.since != "":
		return cli.Usage(errors.New("--failed and --since both select tests: use one of the two"))
	case share.N > 1 && (c.failed || c.since != ""):
		return cli.Usage(errors.New("--shard splits all tests, and --failed and --since select some: use one of the two"))
	case c.watch && (c.failed || c.flaky > 0 || share.N > 0):
		return cli.Usage(errors.New("--watch selects tests by changed files, and --failed, --flaky and --shard otherwise: use one of the two"))
	}
	return nil
}

// asks reports whether the selection depends on the history or on changed files.
func (c *choice) asks(share runner.Share) bool {
	return c.failed || c.since != "" || c.changed != nil || share.N > 1
}

// choose applies the flags to the tests. nothing means that no tests are left to run.
func (j *job) choose(ctx context.Context, p project.Project, h *history.History, all *runner.Tests, say io.Writer) (tests *runner.Tests, nothing bool, err error) {
	if all == nil || !j.choice.asks(j.share) {
		return all, false, nil
	}
	o, err := j.options(p)
	if err != nil {
		return nil, false, err
	}
	c := &j.choice
	switch {
	case c.failed:
		if c.selected, err = choose.Failed(ctx, h, p.Branch(ctx)); err != nil {
			return nil, false, cli.Fault(err)
		}
		if c.selected.Text == "" {
			return nil, false, cli.Fault(errors.New("--failed: the history has no run of tests yet: make one with flujo-harness run"))
		}
		fmt.Fprintf(say, "failed: %s red in %s\n", cli.Plural(int64(len(c.selected.Specs)), "spec"), c.selected.Text)
	case c.changed != nil:
		if c.selected, err = choose.Affected(ctx, p.Root, j.packages, j.flags, c.changed); err != nil {
			return nil, false, cli.Fault(err)
		}
		fmt.Fprintf(say, "changed: %s\n", c.selected.Text)
	case c.since != "":
		if c.selected, err = choose.Since(ctx, p, c.since, j.packages, j.flags); err != nil {
			return nil, false, cli.Usage(fmt.Errorf("--since %s: %w", c.since, err))
		}
		fmt.Fprintf(say, "since: %s\n", c.selected.Text)
	default:
		at, err := p.Git(ctx, "show", "--no-patch", "--format=%cI", "HEAD")
		if err != nil {
			return all, false, nil // without a commit, shards could read different runs, so no durations are used
		}
		committed, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return nil, false, cli.Fault(fmt.Errorf("the time of the commit: %w", err))
		}
		if o.Seconds, err = choose.Seconds(ctx, h, committed); err != nil {
			return nil, false, cli.Fault(err)
		}
	}
	if o.Only = c.selected.Only; o.Only != nil && len(o.Only) == 0 {
		fmt.Fprintln(say, "nothing to run")
		return nil, true, nil
	}
	tests, err = runner.Find(ctx, o)
	return tests, false, asRequest(err)
}

// rerun reruns known flaky specs that failed, and adds the outcome to the results. It returns
// lines that report it and the rule.
func (j *job) rerun(ctx context.Context, p project.Project, h *history.History, r *reports.Results, format string, progress *cli.Progress) (lines []string, err error) {
	if j.choice.flaky == 0 || r == nil || ctx.Err() != nil {
		return nil, nil
	}
	newest, err := h.LinesOfTests(ctx, 1)
	if err != nil {
		return nil, cli.Fault(err)
	}
	if len(newest) == 0 {
		return []string{"flaky: the history has no run of tests yet, so no flake is known"}, nil
	}
	known, err := new(records.AnalysisFlags).Analyze(ctx, h, j.about, newest[0].ID)
	if err != nil {
		return nil, err
	}
	s := choose.Flaky(r, format, known.Flakes)
	if len(known.Flakes) == 0 {
		return []string{"flaky: no spec is known to be flaky"}, nil
	}
	if len(s.Specs) == 0 {
		return []string{fmt.Sprintf("flaky: none of %s is red", cli.Plural(int64(len(known.Flakes)), "known flake"))}, nil
	}
	o, err := j.options(p)
	if err != nil {
		return nil, err
	}
	o.Only, o.Share = s.Only, runner.Share{}
	tests, err := runner.Find(ctx, o)
	if err != nil {
		return nil, asRequest(err)
	}
	every, _, err := tests.Repeat(ctx, j.choice.flaky, func(n live.News) { progress.Set("known flakes: "+n.Stage, "") })
	if err != nil {
		return nil, asRequest(err)
	}
	lines = append(lines, fmt.Sprintf("flaky: %s ran %d times more; one that passed is flaky, one that did not is by this change where that many failures have a chance below %v at the upper end of its known rate",
		cli.Plural(int64(len(s.Specs)), "known flake"), j.choice.flaky, analysis.MaxChance))
	return append(lines, s.Rerun(r, every)...), nil
}

// watch runs the tests, and then, whenever files change, those that depend on them.
func (j job) watch() error {
	p, err := project.Find()
	if err != nil {
		return cli.Fault(err)
	}
	ctx := j.cmd.Context()
	err = choose.Watch(ctx, p.Root, func(changed []string) error {
		j.choice.changed = changed
		err := j.run()
		if changed == nil && err != nil && cli.CodeOf(err) == cli.ExitUsage {
			return err // changing files cannot fix it
		}
		if err != nil && err.Error() != "" && cli.CodeOf(err) != cli.ExitBroken {
			fmt.Fprintf(j.cmd.ErrOrStderr(), "flujo-harness: %s\n", cli.VisibleLines(err.Error()))
		}
		if ctx.Err() == nil {
			fmt.Fprintln(j.cmd.OutOrStdout(), "waiting for changes; Ctrl-C ends")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return &cli.ExitError{Code: cli.ExitInterrupted}
}
