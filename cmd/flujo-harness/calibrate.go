package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

func calibrateCommand() *cobra.Command {
	var flags measureFlags
	var margin float64
	var write bool
	var reason, expires string
	cmd := &cobra.Command{
		Use: "calibrate", Args: cobra.NoArgs,
		Short: "Derive a limit anew; print the difference, write it only with --write",
		Long: `Measures the unchanged program in fresh processes, derives the limit from all of
them, and proves it by replay: unchanged sessions must hold, sessions slowed down by
the margin must break. Prints what would change. A limit that becomes easier to hold
is written only with --reason and --expires, and stands in the ledger of the file.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			p, spec, err := flags.prepare()
			if err != nil {
				return err
			}
			if !(margin > 0 && margin <= 100) {
				return usage(fmt.Errorf("--margin %v: a percentage above 0, up to 100", margin))
			}
			dir, class := flags.limitsDir(p), harness.Class()
			limits, err := thresholds.Load(dir, class)
			if err != nil {
				return usage(err)
			}
			if limits == nil || limits.Class != class {
				limits = &thresholds.File{Schema: 1, Class: class, Path: filepath.Join(dir, class+".toml")}
			}
			scratch, remove, err := p.scratch()
			if err != nil {
				return fault(err)
			}
			defer func() { err = errors.Join(err, remove()) }()
			spec.Dir = scratch
			run, err := sessions()
			if err != nil {
				return fault(err)
			}
			commit, dirty := p.revision(ctx)
			if dirty {
				commit += "+changes"
			}
			progress := newProgress(cmd.ErrOrStderr())
			defer progress.end()
			began := time.Now()
			stage := fmt.Sprintf("calibrating %s at %s", spec.Workload, spec.Durability)
			progress.set(stage, "")
			limit, c, err := thresholds.Calibrate(ctx, spec, margin/100, run, commit, func(c *harness.Comparison) {
				progress.set(stage, fmt.Sprintf("session %d of %d, %s", c.Sessions(), c.Plan.Sessions, secondsLeft(began, c.Sessions(), c.Plan.Sessions)))
			})
			progress.end()
			if ctx.Err() != nil {
				return &exitError{exitInterrupted, err}
			}
			if err != nil {
				return fault(err)
			}
			say := func(format string, args ...any) { fmt.Fprintf(cmd.OutOrStdout(), format+"\n", args...) }
			pr := limit.Provenance
			say("measured   (W-N)/F %v, durability %s, %d sessions in %.0f s, seed %d", c.CostRatio, c.Durability, pr.Sessions, c.Seconds, c.Seed)
			say("proof      %d replays each: unchanged %.2f%% held, %.2f%% broke; slowed by %.3g%% (measured %+.1f%%) %.2f%% broke",
				pr.Replays, 100*pr.NullHeld, 100*pr.NullBroken, margin, 100*(pr.Injected-1), 100*pr.SlowBroken)
			change := limits.Compare(limit)
			say("%s", change)
			if !write {
				say("nothing was written: add --write")
				return nil
			}
			if err := limits.Apply(change, reason, expires, time.Now()); err != nil {
				return usage(err)
			}
			if err := limits.Save(); err != nil {
				return fault(err)
			}
			say("written to %s", short(limits.Path))
			return nil
		},
	}
	flags.register(cmd, 30)
	cmd.Flags().Float64Var(&margin, "margin", 10, "slow-down that the limit must notice, in percent")
	cmd.Flags().BoolVar(&write, "write", false, "write the limits file")
	cmd.Flags().StringVar(&reason, "reason", "", "why a limit is loosened")
	cmd.Flags().StringVar(&expires, "expires", "", "until when a loosening is tolerated, as YYYY-MM-DD")
	return cmd
}
