package measure

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/thresholds"
)

// profiles are the values of --profile.
var profiles = map[string]struct{ sessions, replays int }{"quick": {12, 500}, "full": {30, 2000}}

func CalibrateCommand() *cobra.Command {
	var k calibration
	var profile string
	cmd := &cobra.Command{
		Use: "calibrate", Args: cobra.NoArgs,
		Short: "Derive limits from measurements; print the differences, write them with --write",
		Long: `Measures the unchanged program in new processes, derives a limit from all of them, and proves it by
replaying sessions that were not used for it: unchanged ones must hold, and ones slowed down by the
margin must break. Prints what would change. A limit that becomes looser is written only with
--reason and --expires, which are recorded in the ledger.

With --instructions it counts the instructions of a run (valgrind) and makes a limit for any
machine, thresholds/limits/any.toml. That limit is bound to the versions of Go and SQLite and to
the architecture, and is used where a class of machines has no limit of its own.

With --counts it derives only the limits of what a run counts (allocations, transactions,
statements, bytes, syncs), in short sessions, and keeps the limit of its time: counts do not
depend on what else the machine does. A workload whose time cannot be judged, such as at-once-64,
has only these limits.

Sessions are kept in .flujo/calibration until their limit is written. A calibration that was
interrupted, ended by --time, or made without --write is continued by the next call with the same
program and settings. If there are several limits to make, those that do not fit into --time are
named first.

--profile quick (12 sessions, 500 replays) is for trying out: it cannot tell a false alarm rate
below 0.6% from none. --profile full (30 sessions, 2000 replays) is for gates.`,
		Example: `  flujo-harness calibrate --workload default --margin 10
  flujo-harness calibrate --suite ./flows --workload review --write
  flujo-harness calibrate --instructions --workload default --margin 5 --write`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, ok := profiles[profile]
			if !ok {
				return cli.Usage(fmt.Errorf("--profile %q: use quick or full", profile))
			}
			if k.replays = p.replays; !cmd.Flags().Changed("sessions") {
				k.flags.sessions = p.sessions
			}
			return k.run(cmd)
		},
	}
	k.flags.Register(cmd, profiles["full"].sessions)
	k.flags.RegisterInstructions(cmd, "count instructions, and make a limit for any machine")
	cmd.Flags().StringVar(&profile, "profile", "full", `"quick" or "full": sessions and replays`)
	cmd.Flags().Float64Var(&k.margin, "margin", 10, "slow-down that the limit must detect, in percent")
	cmd.Flags().BoolVar(&k.counts, "counts", false, "derive the counters of a limit again, and keep the limit of its time")
	cmd.MarkFlagsMutuallyExclusive("counts", "instructions")
	cmd.Flags().BoolVar(&k.write, "write", false, "write the limits file")
	cmd.Flags().StringVar(&k.reason, "reason", "", "why a limit is loosened")
	cmd.Flags().StringVar(&k.expires, "expires", "", "last day on which a looser limit is allowed, as YYYY-MM-DD")
	return cmd
}

// calibration is the state of one calibrate command.
type calibration struct {
	flags           Flags
	margin          float64 // percent
	replays         int
	counts          bool // derive only counters
	write           bool
	reason, expires string

	project project.Project
	limits  *thresholds.File
	head    string // commit of the work tree
	commit  string // the same, with a mark if there are uncommitted changes
	scratch string // folder to measure in
	out     io.Writer
	err     io.Writer // for progress
}

// run calibrates the limits in order. If one is refused, the others are still calibrated, and the
// refusal is reported at the end.
func (k *calibration) run(cmd *cobra.Command) (err error) {
	ctx := cmd.Context()
	p, specs, err := k.flags.PrepareAll(ctx)
	if err != nil {
		return err
	}
	k.project, k.out, k.err = p, cmd.OutOrStdout(), cmd.ErrOrStderr()
	if !(k.margin > 0 && k.margin <= 100) {
		return cli.Usage(fmt.Errorf("--margin %v: a percentage above 0, up to 100", k.margin))
	}
	dir, class := k.flags.limitsDir(p), machine.Class()
	if k.flags.Instructions {
		class = thresholds.AnyClass
	}
	if k.limits, err = thresholds.Load(dir, class); err != nil {
		return cli.Usage(err)
	}
	if k.limits == nil || k.limits.Class != class {
		k.limits = &thresholds.File{Schema: 1, Class: class, Path: filepath.Join(dir, class+".toml")}
	}
	var remove func() error
	if k.scratch, remove, err = workdir.Scratch(p.Root); err != nil {
		return cli.Fault(err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	var dirty bool
	if k.head, dirty = p.Revision(ctx); dirty {
		k.commit = k.head + "+changes"
	} else {
		k.commit = k.head
	}
	code := cli.ExitHeld
	var refused error
	refuse := func(i int, one error) {
		var exit *cli.ExitError
		if errors.As(one, &exit) {
			code = max(code, exit.Code)
		}
		refused = errors.Join(refused, fmt.Errorf("%s at %s: %w", specs[i].Workload, specs[i].Durability, one))
	}
	progress := cli.NewProgress(k.err)
	defer progress.End()
	k.flags.Each(ctx, specs, progress, k.need, func(within context.Context, i int, spec harness.Spec) {
		spec.Plan.Budget = 0 // a limit needs every session; finished sessions are kept
		one := error(nil)
		if k.flags.Instructions {
			one = k.counted(within, spec)
		} else if k.countsAlone(spec) {
			one = k.counters(within, spec)
		} else {
			one = k.one(within, spec)
		}
		if within.Err() != nil && ctx.Err() == nil {
			one = cli.Usage(fmt.Errorf("%w: %w", ErrNoTime, cmp.Or(one, within.Err())))
		}
		if one != nil {
			refuse(i, one)
		}
	}, func(i int, why error) { refuse(i, cli.Usage(why)) })
	if ctx.Err() != nil {
		return &cli.ExitError{Code: cli.ExitInterrupted, Err: refused}
	}
	if refused != nil {
		return &cli.ExitError{Code: code, Err: refused}
	}
	return nil
}

// need returns how long the calibration of a limit takes.
func (k *calibration) need(ctx context.Context, spec harness.Spec) (Need, error) {
	if k.countsAlone(spec) {
		spec.Plan = thresholds.CountsPlan(spec.Plan)
	}
	f, err := forecast(ctx, k.project, spec)
	n := time.Duration(spec.Plan.Sessions) * f.Session
	if k.flags.Instructions {
		n = f.Counts(thresholds.CalibrationCounts)
	}
	return Need{Least: n, Most: n}, err
}

// countsAlone reports whether only counters are derived. A workload whose time is not judged has
// nothing else.
func (k *calibration) countsAlone(spec harness.Spec) bool {
	w, err := harness.WorkloadNamed(spec.Workload)
	return k.counts || err == nil && w.Untimed != ""
}

// counters derives the counters of a limit.
func (k *calibration) counters(ctx context.Context, spec harness.Spec) error {
	ready, run, remove, err := Ready(k.project, spec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	progress := cli.NewProgress(k.err)
	defer progress.End()
	stage := fmt.Sprintf("counting what a run of %s at %s does", spec.Workload, spec.Durability)
	progress.Set(stage, "")
	old := k.limits.Find(spec.Workload, thresholds.MetricCostRatio, spec.Durability)
	limit, c, err := thresholds.CalibrateCounts(ctx, ready, old, thresholds.Order{Commit: k.commit}, run, func(c *harness.Comparison) {
		progress.Set(stage, fmt.Sprintf("session %d of %d", c.Sessions(), c.Plan.Sessions))
	})
	progress.End()
	if err != nil {
		return cli.Fault(err)
	}
	if c.Untimed != "" {
		k.say("not timed  %s: %s", spec.Workload, c.Untimed)
	}
	least, most := c.Counters[harness.ArmBackend], c.Most[harness.ArmBackend]
	k.say("counted    %d sessions, durability %s: %s", c.Sessions(), c.Durability, thresholds.CountsText(least, most))
	return k.put(limit, "")
}

// one measures a limit, validates it, compares it with the existing one and, if permitted, writes
// it.
func (k *calibration) one(ctx context.Context, spec harness.Spec) error {
	spec.Dir, spec.Plan.SlowBy = k.scratch, k.margin/100
	session, program, err := Sessions(k.project, spec)
	if err != nil {
		return cli.Fault(err)
	}
	hash, err := hashOf(program)
	if err != nil {
		return cli.Fault(err)
	}
	environment, err := spec.Describe(ctx)
	if err != nil {
		return cli.Fault(err)
	}
	kept, err := thresholds.OpenCheckpoint(
		filepath.Join(k.project.Root, ".flujo", "calibration", fmt.Sprintf("%s-%s.jsonl", spec.Workload, spec.Durability)),
		thresholds.Identity{Workload: spec.Workload, Durability: string(spec.Durability), Program: hash, Commit: k.head,
			Environment: environment, Plan: spec.Plan, Seed: k.flags.Seed}, time.Now())
	if err != nil {
		return cli.Fault(err)
	}
	there := kept.Sessions()
	switch {
	case there > 0:
		k.say("resuming: %d of %d sessions are there from %s", there, spec.Plan.Sessions, clock(kept.Began, time.Now()))
	case kept.Discarded != "":
		k.say("starting over: %s", kept.Discarded)
	}
	spec = kept.Resume(spec)
	began, stage := time.Now(), fmt.Sprintf("calibrating %s at %s", spec.Workload, spec.Durability)
	progress := cli.NewProgress(k.err)
	defer progress.End()
	progress.Set(stage, "")
	order := thresholds.Order{Margin: k.margin / 100, Replays: k.replays, Commit: k.commit}
	limit, c, err := thresholds.Calibrate(ctx, spec, order, kept.Runner(session), func(c *harness.Comparison) {
		progress.Set(stage, fmt.Sprintf("session %d of %d, %s", c.Sessions(), c.Plan.Sessions, cli.SecondsLeft(began, c.Sessions()-there, c.Plan.Sessions-there)))
	})
	progress.End()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w; call it again to go on", err)
	case err != nil && c != nil: // these sessions cannot give another limit
		return cli.Fault(errors.Join(err, kept.Remove()))
	case err != nil:
		return cli.Fault(err)
	}
	pr := limit.Provenance
	k.say("measured   (W-N)/F %v, durability %s, %d sessions, seed %d", c.CostRatio, c.Durability, pr.Sessions, c.Seed)
	k.say("proof      %d replays each, %s: unchanged %.2f%% held, %.2f%% broke; slowed by %.3g%% (measured %+.1f%%) %.2f%% broke",
		pr.Replays, pr.Method, 100*pr.NullHeld, 100*pr.NullBroken, k.margin, 100*(pr.Injected-1), 100*pr.SlowBroken)
	if full := profiles["full"]; pr.Replays < full.replays {
		k.say("           a rate of false alarms below %.2g%% cannot be told from none by %d replays: use --profile full for what gates", 300/float64(pr.Replays), pr.Replays)
	}
	if err := k.put(limit, "; the sessions are kept for that"); err != nil || !k.write {
		return err
	}
	if err := kept.Remove(); err != nil {
		return cli.Fault(err)
	}
	return nil
}

// counted calibrates the limit of a workload for any machine.
func (k *calibration) counted(ctx context.Context, spec harness.Spec) error {
	progress := cli.NewProgress(k.err)
	defer progress.End()
	run, _, err := Sessions(k.project, spec)
	if err != nil {
		return cli.Fault(err)
	}
	spec.Dir = k.scratch
	environment, err := spec.Describe(ctx)
	if err != nil {
		return cli.Fault(err)
	}
	c := &harness.Comparison{Workload: spec.Workload, Durability: spec.Durability, Plan: spec.Plan, Environment: environment}
	progress.Set(fmt.Sprintf("counting instructions of %s at %s", spec.Workload, spec.Durability), "")
	thresholds.CountInstructions(ctx, spec, c, run, thresholds.CountsForLimit)
	progress.End()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	limit, err := thresholds.CalibrateInstructions(c, thresholds.Order{Margin: k.margin / 100, Commit: k.commit})
	if err != nil {
		return cli.Fault(err)
	}
	r := c.Instructions
	k.say("counted    W %.0f to %.0f, N %.0f to %.0f, F %.0f to %.0f instructions a run, durability %s, %d turns under %s",
		slices.Min(r.With), slices.Max(r.With), slices.Min(r.Without), slices.Max(r.Without), slices.Min(r.Floor), slices.Max(r.Floor), c.Durability, len(r.With), r.Tool)
	return k.put(limit, "")
}

// put prints how a limit differs from the existing one and, if permitted, writes it. kept is
// added to the message if the limit is not written.
func (k *calibration) put(limit thresholds.Limit, kept string) error {
	change := k.limits.Compare(limit)
	k.say("%s", change)
	if !k.write {
		k.say("nothing was written: add --write%s", kept)
		return nil
	}
	if err := k.limits.Apply(change, k.reason, k.expires, time.Now()); err != nil {
		return cli.Usage(err)
	}
	if err := k.limits.Save(); err != nil {
		return cli.Fault(err)
	}
	k.say("written to %s", workdir.ShortPath(k.limits.Path))
	return nil
}

func (k *calibration) say(format string, args ...any) {
	fmt.Fprintf(k.out, format+"\n", args...)
}

// clock formats a time of today without the date.
func clock(t, now time.Time) string {
	if t, now := t.Local(), now.Local(); t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Local().Format("2006-01-02 15:04")
}

// hashOf returns a hash of a program, by which different builds are recognized.
func hashOf(program string) (string, error) {
	f, err := os.Open(program)
	if err != nil {
		return "", fmt.Errorf("read the program that is measured: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read the program that is measured: %w", err)
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil)), nil
}
