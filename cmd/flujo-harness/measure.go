package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// measureFlags are the flags of every command that measures.
type measureFlags struct {
	workload   string
	durability string
	limits     string
	sessions   int
	seed       uint64
}

func (f *measureFlags) register(cmd *cobra.Command, sessions int) {
	cmd.Flags().StringVar(&f.workload, "workload", "default", "workload to measure")
	cmd.Flags().StringVar(&f.durability, "durability", string(sqlite.Process), `what a save must survive: "process" (kill -9) or "power" (loss of power)`)
	cmd.Flags().StringVar(&f.limits, "limits", "", "folder of the limits files (default thresholds/limits of the module)")
	cmd.Flags().IntVar(&f.sessions, "sessions", sessions, "sessions to measure at most")
	cmd.Flags().Uint64Var(&f.seed, "seed", 0, "seed of the order of the arms (default a random one, which the report shows)")
}

// prepare finds the project, checks the flags and makes the order of the
// measurement of them, before anything is run.
func (f *measureFlags) prepare() (project, harness.Spec, error) {
	p, err := findProject()
	if err != nil {
		return p, harness.Spec{}, fault(err)
	}
	spec, err := f.spec()
	return p, spec, err
}

func (f *measureFlags) spec() (harness.Spec, error) {
	spec := harness.Spec{Workload: f.workload, Durability: sqlite.Durability(f.durability), Plan: harness.DefaultPlan(), Seed: f.seed}
	if spec.Seed == 0 {
		spec.Seed = uint64(rand.Uint32())
	}
	spec.Plan.Sessions = f.sessions
	if f.sessions < 2 {
		return spec, usage(fmt.Errorf("--sessions %d: at least 2", f.sessions))
	}
	if _, err := harness.WorkloadNamed(f.workload); err != nil {
		return spec, usage(fmt.Errorf("--workload: %w", err))
	}
	if spec.Durability != sqlite.Process && spec.Durability != sqlite.Power {
		return spec, usage(fmt.Errorf("--durability %q: use %q or %q", f.durability, sqlite.Process, sqlite.Power))
	}
	return spec, nil
}

// limitsDir is the folder of the limits files.
func (f *measureFlags) limitsDir(p project) string { return p.path(f.limits, "thresholds/limits") }

// readLimits loads the limits for this machine; nil where there are none.
func (f *measureFlags) readLimits(p project) (*thresholds.File, error) {
	limits, err := thresholds.Load(f.limitsDir(p), harness.Class())
	if err != nil {
		return nil, usage(err)
	}
	if limits != nil {
		limits.Path = short(limits.Path)
	}
	return limits, nil
}

// measured is a comparison with its verdict.
type measured struct {
	comparison *harness.Comparison
	verdict    thresholds.Verdict
}

// measure runs sessions until the verdict is decided.
func measure(ctx context.Context, p project, spec harness.Spec, limits *thresholds.File, progress *progress) (m measured, err error) {
	run, err := sessions()
	if err != nil {
		return m, fault(err)
	}
	dir, remove, err := p.scratch()
	if err != nil {
		return m, fault(err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	spec.Dir = dir
	began := time.Now()
	stage := fmt.Sprintf("measuring %s at %s", spec.Workload, spec.Durability)
	progress.set(stage, "")
	c, err := harness.Measure(ctx, spec, run, func(c *harness.Comparison) bool {
		progress.set(stage, fmt.Sprintf("session %d of %d, %s", c.Sessions(), c.Plan.Sessions, secondsLeft(began, c.Sessions(), c.Plan.Sessions)))
		return thresholds.Judge(c, limits, time.Now()).Decided()
	})
	if err != nil {
		return m, fault(fmt.Errorf("measure %s at %s: %w", spec.Workload, spec.Durability, err))
	}
	m.comparison, m.verdict = c, thresholds.Judge(c, limits, time.Now())
	return m, nil
}
