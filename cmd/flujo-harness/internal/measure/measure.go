package measure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/thresholds"
)

// Flags are the flags of every command that measures.
type Flags struct {
	Workloads    []string
	suite        string
	durabilities []string
	backend      string
	chosen       func(flag string) bool // reports whether a flag was given
	Limits       string
	sessions     int
	Budget       time.Duration
	Seed         uint64
	Instructions bool // count instructions, see RegisterInstructions
}

func (f *Flags) Register(cmd *cobra.Command, sessions int) {
	cmd.Flags().StringSliceVar(&f.Workloads, "workload", []string{"default"}, `workloads to measure, separated by commas; "all": every workload`)
	cmd.Flags().StringVar(&f.suite, "suite", "", "test package with the --workload, which calls suites.DescribeOverhead: ./flows (default: built-in workloads)")
	cmd.Flags().StringSliceVar(&f.durabilities, "durability", []string{harness.DefaultDurability}, `what a save must survive: "process" (kill -9), "power" (loss of power), or "process,power"; with a PostgreSQL --backend "server" (a crash of the server) or "power"`)
	cmd.Flags().StringVar(&f.backend, "backend", "", "backend to measure, postgres://user@host/database; it uses schemas that are dropped again (default SQLite)")
	f.chosen = cmd.Flags().Changed
	cmd.Flags().StringVar(&f.Limits, "limits", "", "folder of the limits files (default thresholds/limits of the module)")
	cmd.Flags().IntVar(&f.sessions, "sessions", sessions, "maximum number of sessions to measure")
	cmd.Flags().DurationVar(&f.Budget, "time", 0, "time limit for all measurements together, such as 5m; 0: none")
	cmd.Flags().Uint64Var(&f.Seed, "seed", 0, "seed of the order of the arms (default a random one, which the report shows)")
}

// Prepare finds the project, checks the flags and returns the spec of the measurement. It runs no
// measurement.
func (f *Flags) Prepare(ctx context.Context) (project.Project, harness.Spec, error) {
	p, specs, err := f.PrepareAll(ctx)
	if err != nil {
		return p, harness.Spec{}, err
	}
	if len(specs) > 1 {
		return p, specs[0], cli.Usage(errors.New("one --workload and one --durability at a time here"))
	}
	return p, specs[0], nil
}

// PrepareAll is like Prepare, for a command that can run several measurements.
func (f *Flags) PrepareAll(ctx context.Context) (project.Project, []harness.Spec, error) {
	p, err := project.Find()
	if err != nil {
		return p, nil, cli.Fault(err)
	}
	specs, err := f.specs()
	if err != nil || f.suite == "" {
		return p, specs, err
	}
	suite, err := p.Suite(ctx, f.suite)
	if err != nil {
		return p, nil, cli.Usage(err)
	}
	for i := range specs {
		specs[i].Suite = suite
	}
	return p, specs, nil
}

// Asked reports whether the flags say what to measure.
func (f *Flags) Asked(cmd *cobra.Command) bool {
	return slices.ContainsFunc([]string{"workload", "suite", "durability", "backend"}, cmd.Flags().Changed)
}

// specs returns the specs of all measurements: each workload at each durability.
func (f *Flags) specs() ([]harness.Spec, error) {
	if f.sessions < 2 {
		return nil, cli.Usage(fmt.Errorf("--sessions %d: at least 2", f.sessions))
	}
	workloads := f.Workloads
	if f.suite != "" && (slices.Equal(workloads, []string{"default"}) || slices.Equal(workloads, []string{"all"})) {
		return nil, cli.Usage(errors.New("--suite: name the workload that it describes: --workload NAME"))
	}
	if slices.Equal(workloads, []string{"all"}) {
		known, err := harness.Workloads()
		if err != nil {
			return nil, cli.Fault(err)
		}
		workloads = nil
		for _, w := range known {
			workloads = append(workloads, w.Name)
		}
	}
	durabilities, err := f.levels()
	if err != nil {
		return nil, cli.Usage(err)
	}
	var specs []harness.Spec
	for _, w := range workloads {
		if _, err := harness.WorkloadNamed(w); err != nil && f.suite == "" {
			return nil, cli.Usage(fmt.Errorf("--workload: %w", err))
		}
		for _, d := range durabilities {
			spec := harness.Spec{Workload: w, Backend: f.backend, Durability: d, Plan: harness.DefaultPlan(), Seed: f.Seed}
			if err := spec.Check(); err != nil {
				return nil, cli.Usage(fmt.Errorf("--durability: %w", err))
			}
			if spec.Seed == 0 {
				spec.Seed = uint64(rand.Uint32())
			}
			spec.Plan.Sessions, spec.Plan.Budget = f.sessions, f.Budget
			if slices.ContainsFunc(specs, func(s harness.Spec) bool { return s.Workload == w && s.Durability == spec.Durability }) {
				return nil, cli.Usage(fmt.Errorf("%s at %s: given twice", w, d))
			}
			specs = append(specs, spec)
		}
	}
	if len(specs) == 0 {
		return nil, cli.Usage(errors.New("--workload and --durability: at least one of each"))
	}
	return specs, nil
}

// levels returns the durabilities to measure, with the backend's names for them. Backends other
// than SQLite have names that begin with that of the backend, which the flag may omit.
func (f *Flags) levels() ([]string, error) {
	if f.backend == "" {
		return f.durabilities, nil
	}
	b, err := harness.BackendAt(f.backend)
	if err != nil {
		return nil, fmt.Errorf("--backend: %w", err)
	}
	var known []string
	for _, l := range b.Levels() {
		if l.Durability != corebench.Unsynced {
			known = append(known, l.Durability)
		}
	}
	if !f.chosen("durability") {
		return known[:1], nil
	}
	var asked []string
	for _, d := range f.durabilities {
		if full := b.Name() + "-" + d; slices.Contains(known, full) {
			d = full
		}
		asked = append(asked, d)
	}
	return asked, nil
}

// limitsDir returns the folder of the limits files.
func (f *Flags) limitsDir(p project.Project) string { return p.Path(f.Limits, "thresholds/limits") }

// ReadLimits loads the limits for this machine. It returns nil if there are none.
func (f *Flags) ReadLimits(p project.Project) (*thresholds.File, error) {
	limits, err := thresholds.Load(f.limitsDir(p), machine.Class())
	if err != nil {
		return nil, cli.Usage(err)
	}
	if limits != nil {
		limits.Path = workdir.ShortPath(limits.Path)
	}
	return limits, nil
}

// Run runs sessions until the verdict is decided.
func Run(ctx context.Context, p project.Project, spec harness.Spec, limits *thresholds.File, progress *cli.Progress) (m thresholds.Judged, err error) {
	spec, run, remove, err := Ready(p, spec)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	began := time.Now()
	stage := fmt.Sprintf("measuring %s at %s", spec.Workload, spec.Durability)
	progress.Set(stage, "")
	m, err = thresholds.Measure(ctx, spec, limits, run, func(c *harness.Comparison) {
		progress.Set(stage, fmt.Sprintf("session %d of %d, %s", c.Sessions(), c.Plan.Sessions, cli.SecondsLeft(began, c.Sessions(), c.Plan.Sessions)))
	})
	if err != nil {
		return m, cli.Fault(fmt.Errorf("measure %s at %s: %w", spec.Workload, spec.Durability, err))
	}
	return m, nil
}

// Count counts the instructions of a measured workload, see [thresholds.Judged.Count].
func Count(ctx context.Context, p project.Project, spec harness.Spec, m *thresholds.Judged, own, anyMachine *thresholds.File, always bool, progress *cli.Progress) (err error) {
	if ctx.Err() != nil || !m.NeedsCount(own, anyMachine, always) {
		return nil
	}
	spec, run, remove, err := Ready(p, spec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	progress.Set(fmt.Sprintf("counting instructions of %s at %s", spec.Workload, spec.Durability), "")
	m.Count(ctx, spec, own, anyMachine, run)
	return nil
}

// RegisterInstructions adds the flag --instructions.
func (f *Flags) RegisterInstructions(cmd *cobra.Command, usage string) {
	cmd.Flags().BoolVar(&f.Instructions, "instructions", false, usage)
}

// Ready returns the spec with a new folder on the disk to measure, a runner of its sessions, and
// a function that removes the folder. Its errors are faults.
func Ready(p project.Project, spec harness.Spec) (ready harness.Spec, run harness.Runner, remove func() error, err error) {
	if run, _, err = Sessions(p, spec); err != nil {
		return spec, nil, nil, cli.Fault(err)
	}
	if spec.Dir, remove, err = workdir.Scratch(p.Root); err != nil {
		return spec, nil, nil, cli.Fault(err)
	}
	return spec, run, remove, nil
}

// Sessions returns a runner that runs every session in a new process, and the program that it
// runs: this program, or that of the suite which has the workload.
func Sessions(p project.Project, spec harness.Spec) (run harness.Runner, program string, err error) {
	if spec.Suite != "" {
		program = p.Program(spec.Suite)
		return harness.ExecTest(program, filepath.Join(p.Root, filepath.FromSlash(spec.Suite)), spec.Workload), program, nil
	}
	if program, err = os.Executable(); err != nil {
		return nil, "", fmt.Errorf("find this program, to run sessions in processes of their own: %w", err)
	}
	return harness.Exec(program, "session"), program, nil
}
