package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
)

func replayCommand() *cobra.Command {
	var flags storeFlags
	cmd := &cobra.Command{
		Use: "replay ID", Args: cobra.ExactArgs(1),
		Short: "Run a recorded run again from its recorded outputs, and compare every scope",
		Long: `Runs a recorded run again, from the recorded outputs of its agents and answers of its
people, and compares the scope behind every step with the recorded one. No agent is
called and nothing is saved. It knows the pipelines of the built-in workloads; for one of
your own it shows the test that does the same.

` + strings.Replace(aboutStore, "0 shown; 2 usage, or no such run;",
			"0 every step made the recorded scope; 1 one did not;\n2 usage, no such run, or a pipeline of your own;", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := flags.open()
			if err != nil {
				return err
			}
			defer s.Close()
			snap, err := s.load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			status, err := harness.Replay(cmd.Context(), snap)
			if errors.Is(err, harness.ErrForeignPipeline) {
				return usage(errors.New(goTest(s.path, snap)))
			}
			if cmd.Context().Err() != nil {
				return &exitError{exitInterrupted, nil}
			}
			text, same := compared(snap, status, err)
			if err := print(cmd.OutOrStdout(), text); err != nil || same {
				return err
			}
			return &exitError{code: exitBroken}
		},
	}
	flags.register(cmd)
	return cmd
}

// compared tells how a replay ended that came to the given status and error.
func compared(snap core.Snapshot, status core.Status, err error) (text string, same bool) {
	key := reports.Visible(snap.Start.Key.String())
	var differs *core.ReplayError
	if errors.As(err, &differs) {
		want, got := apart(differs.Want, differs.Got)
		return fmt.Sprintf("DIFFERENT: run %s: step %q makes another scope than the recorded one\n  recorded %s\n  replayed %s\n",
			key, differs.Path, reports.Visible(want), reports.Visible(got)), false
	}
	// A run that was cut off ends where its records do.
	unfinished := (snap.Status == core.Running || snap.Status == core.Stopped) && errors.Is(err, core.ErrNotRecorded)
	recorded := snap.Status == status && (err == nil || snap.Status == core.Failed && err.Error() == snap.Error || snap.Status == core.Stopped)
	if !unfinished && !recorded {
		end := func(s core.Status, why string) string {
			if why == "" {
				return s.String()
			}
			return s.String() + ": " + reports.Visible(why)
		}
		why := ""
		if err != nil {
			why = err.Error()
		}
		return fmt.Sprintf("DIFFERENT: run %s ends in another way than the recorded one\n  recorded %s\n  replayed %s\n",
			key, end(snap.Status, snap.Error), end(status, why)), false
	}
	counts := map[core.Status]int64{}
	for _, s := range snap.Steps {
		counts[s.Status]++
	}
	n := counts[core.Completed]
	text = fmt.Sprintf("SAME: run %s: %d of %s made the recorded scope", key, n, plural(n, "completed step"))
	if n := counts[core.Failed]; n > 0 {
		text += fmt.Sprintf("; %s taken as recorded", plural(n, "failed step"))
	}
	return text + fmt.Sprintf("; %s as recorded\n", snap.Status), true
}

// apart cuts two texts to where they begin to differ.
func apart(a, b []byte) (string, string) {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	from := max(0, n-24)
	window := func(p []byte) string {
		text := cut(string(p[min(from, len(p)):]), 64)
		if from > 0 {
			text = "…" + text
		}
		return text
	}
	return window(a), window(b)
}

// goTest says how to replay a run of the user's own pipeline.
func goTest(path string, snap core.Snapshot) string {
	key := fmt.Sprintf("core.RunKey{Run: %q}", snap.Start.Key.Run)
	if snap.Start.Key.Tenant != "" {
		key = fmt.Sprintf("core.RunKey{Tenant: %q, Run: %q}", snap.Start.Key.Tenant, snap.Start.Key.Run)
	}
	return fmt.Sprintf(`the pipeline %q is no built-in one: only your program knows it. Replay the run in a test of yours:

	db, err := sqlite.OpenReader(t.Context(), %q)
	snap, err := db.Load(t.Context(), %s)
	res, err := core.Replay(t.Context(), pipeline, snap)
	// res.Status must be snap.Status; where it is not, err names the first step that differs`, snap.Start.Pipeline, path, key)
}
