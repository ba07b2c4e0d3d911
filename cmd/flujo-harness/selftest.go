package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// lies are the mutants with what each must become.
var lies = []struct {
	mutant harness.Mutant
	lie    string
	want   thresholds.Outcome
	says   string // part of the verdict's reason
}{
	{harness.MutantNone, "none: the unchanged program", thresholds.Held, ""},
	{harness.MutantUnequalAA, "one arm of the A/A pair is slowed down", thresholds.Invalid, "A/A pair was broken"},
	{harness.MutantNoSlowdown, "the injected slow-down is not injected", thresholds.Invalid, "injected +25% was held"},
	{harness.MutantNoSave, "step saves are dropped", thresholds.Invalid, "saves counted"},
	{harness.MutantShort, "a script is one output short", thresholds.Invalid, "ran dry"},
	{harness.MutantLeftover, "a planned run is not made", thresholds.Invalid, "runs accounted for"},
	{harness.MutantSkip, "an arm gets other work", thresholds.Invalid, "equal work"},
	{harness.MutantDrop, "a sample is dropped", thresholds.Invalid, "samples"},
}

func selftestCommand() *cobra.Command {
	var flags measureFlags
	cmd := &cobra.Command{
		Use: "selftest", Args: cobra.NoArgs,
		Short: "Break every guard on purpose and show that it notices",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, spec, err := flags.prepare()
			if err != nil {
				return err
			}
			limits, err := flags.readLimits(p)
			if err != nil {
				return err
			}
			progress := newProgress(cmd.ErrOrStderr())
			defer progress.end()
			missed := 0
			var rows []string
			for _, l := range lies {
				spec.Mutant = l.mutant
				m, err := measure(cmd.Context(), p, spec, limits, progress)
				if err != nil {
					return err
				}
				if cmd.Context().Err() != nil {
					return &exitError{exitInterrupted, nil}
				}
				result := "caught"
				if m.verdict.Outcome != l.want || !strings.Contains(m.verdict.Reason, l.says) {
					result = fmt.Sprintf("MISSED: must be %s and say %q", l.want, l.says)
					missed++
				}
				reason, _, _ := strings.Cut(m.verdict.Reason, "\n")
				rows = append(rows, fmt.Sprintf("%s  %s\n        %s: %s", result, l.lie, m.verdict.Outcome, reason))
			}
			progress.end()
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n%d of %d as they must be\n", strings.Join(rows, "\n"), len(lies)-missed, len(lies))
			if missed > 0 {
				return &exitError{code: exitFault}
			}
			return nil
		},
	}
	flags.register(cmd, harness.DefaultPlan().Sessions)
	return cmd
}
