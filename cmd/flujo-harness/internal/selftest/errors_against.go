package selftest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/measure"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/thresholds"
)

// againstErrors measures how often the comparison of a workload with another revision errs. Both
// revisions are this program; the head is slowed down on purpose.
type againstErrors struct {
	n        int
	changes  []float64 // percent
	margin   float64   // percent
	burners  []int
	resample int // verdicts of the resampling study; 0 means to skip it
	seed     uint64
	budget   time.Duration // for everything; 0 means no limit
	raw      io.Writer     // may be nil

	spec     harness.Spec
	run      harness.Runner
	judging  thresholds.Judging
	kinds    []*verdicts
	recorded []recorded // sessions with the unchanged program
}

// recorded has the blocks of one session of three processes with the unchanged program.
type recorded []harness.DifferenceBlock

// verdicts holds the verdicts with one change and one number of burners.
type verdicts struct {
	burners  int
	change   float64
	count    map[thresholds.Outcome]int
	seconds  []float64
	sessions []float64
	other    string // reason of the first verdict that is neither held nor broken
}

func (k *verdicts) add(v thresholds.Verdict, d *harness.Difference) {
	k.count[v.Outcome]++
	k.seconds = append(k.seconds, d.Seconds)
	if n := len(d.Blocks); n > 0 {
		k.sessions = append(k.sessions, float64(d.Blocks[n-1].Session))
	}
	if v.Outcome != thresholds.Held && v.Outcome != thresholds.Broken && k.other == "" {
		k.other = v.Reason
	}
}

func (a *againstErrors) measure(cmd *cobra.Command, flags *measure.Flags) (err error) {
	ctx := cmd.Context()
	p, spec, err := flags.Prepare(ctx)
	if err != nil {
		return err
	}
	if spec.Durability != harness.DefaultDurability {
		return cli.Usage(errors.New("a slow-down on purpose is made at durability \"process\" only"))
	}
	var remove func() error
	if a.spec, a.run, remove, err = measure.Ready(p, spec); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	a.judging = thresholds.Judging{Margin: a.margin / 100, Family: 1, Lower: harness.AgainstUnits()}
	a.spec.Plan.Budget, a.spec.Plan.SlowBy = 0, a.judging.Margin
	progress := cli.NewProgress(cmd.ErrOrStderr())
	defer progress.End()
	within, cancel := bounded(ctx, a.budget)
	defer cancel()
	for _, burners := range a.burners {
		var kinds []*verdicts
		for _, change := range a.changes {
			kinds = append(kinds, &verdicts{burners: burners, change: change, count: map[thresholds.Outcome]int{}})
		}
		a.kinds = append(a.kinds, kinds...)
		if err := a.verdicts(within, kinds, progress); err != nil {
			return err
		}
	}
	progress.End()
	if err := a.show(cmd.OutOrStdout()); err != nil {
		return cli.Fault(err)
	}
	if ctx.Err() != nil {
		return &cli.ExitError{Code: cli.ExitInterrupted, Err: errors.New("interrupted: the table has what was judged before")}
	}
	return nil
}

// bounded returns a context that ends after a duration, or never if it is 0.
func bounded(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	if after == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, after)
}

// verdicts makes n verdicts of each kind. It alternates between the kinds, so that other activity
// of the machine affects all of them equally.
func (a *againstErrors) verdicts(ctx context.Context, kinds []*verdicts, progress *cli.Progress) error {
	stop, err := burn(kinds[0].burners)
	if err != nil {
		return cli.Fault(err)
	}
	defer stop()
	for n := range a.n {
		for _, k := range kinds {
			if ctx.Err() != nil {
				return nil
			}
			progress.Set(fmt.Sprintf("comparing %+.3g%% with the unchanged program with %d burners", k.change, k.burners), fmt.Sprintf("%d of %d", n, a.n))
			a.seed++
			if err := a.one(ctx, k); err != nil {
				return cli.Fault(err)
			}
		}
	}
	return nil
}

// one makes one verdict.
func (a *againstErrors) one(ctx context.Context, k *verdicts) error {
	of := harness.AgainstSpec{Spec: a.spec, Base: harness.Revision{Name: "unchanged", Run: a.run}, Head: harness.Revision{Name: "slowed", Run: slowedBy(a.run, k.change/100)}}
	of.Seed = a.seed
	d, _, err := harness.Against(ctx, of, a.judging.More)
	if err != nil || ctx.Err() != nil {
		return err
	}
	v := a.judging.Judge(d)
	if k.add(v, d); k.change == 0 && v.Outcome != thresholds.Invalid {
		a.recorded = append(a.recorded, sessionsOf(d.Blocks)...)
	}
	if a.raw == nil {
		return nil
	}
	return json.NewEncoder(a.raw).Encode(struct {
		Change     float64             `json:"change"`
		Burners    int                 `json:"burners"`
		Verdict    thresholds.Verdict  `json:"verdict"`
		Difference *harness.Difference `json:"difference"`
	}{k.change, k.burners, v, d})
}

// slowedBy returns a runner that slows down every arm with the backend by a share of its time.
func slowedBy(run harness.Runner, share float64) harness.Runner {
	return func(ctx context.Context, s harness.Session) (harness.SessionResult, error) {
		s.Slower = share
		return run(ctx, s)
	}
}

// sessionsOf groups blocks by session.
func sessionsOf(blocks []harness.DifferenceBlock) (all []recorded) {
	for i, b := range blocks {
		if i == 0 || b.Session != blocks[i-1].Session {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], b)
	}
	return all
}

// resampled makes verdicts from recorded sessions of the unchanged program, drawn with
// replacement, with every value of the head multiplied. It shows how the rule behaves for such
// values. It assumes that sessions are independent, and that a slow-down changes nothing else.
func (a *againstErrors) resampled(change float64) *verdicts {
	k := &verdicts{change: change, count: map[thresholds.Outcome]int{}}
	rng := rand.New(rand.NewPCG(a.seed, 0x4e5a))
	for range a.resample {
		d := &harness.Difference{Name: "resampled", Base: "unchanged", Head: "slowed", Audit: []harness.Finding{{Check: "runs", OK: true}}, Complete: true}
		for n := 1; n <= a.spec.Plan.Sessions; n++ {
			for _, b := range a.recorded[rng.IntN(len(a.recorded))] {
				b.Session, b.Ratio, b.Slow = n, b.Ratio*(1+change/100), b.Slow*(1+change/100)
				d.Blocks = append(d.Blocks, b)
			}
			if d.Estimate(); a.judging.More(d) == (harness.More{}) {
				break
			}
		}
		k.add(a.judging.Judge(d), d)
	}
	return k
}

// leastToResample is the minimum number of recorded sessions for resampling.
const leastToResample = 10

// show prints the tables.
func (a *againstErrors) show(to io.Writer) error {
	fmt.Fprintf(to, "%s at %s against the unchanged program, margin %.3g%%, judged by counts and time; measured:\n", a.spec.Workload, a.spec.Durability, a.margin)
	if err := showVerdicts(to, a.kinds, true); err != nil {
		return err
	}
	for _, k := range a.kinds {
		if k.other != "" {
			fmt.Fprintf(to, "neither held nor broken (%+.3g%%, %d burners), the first: %s\n", k.change, k.burners, k.other)
		}
	}
	switch n := len(a.recorded); {
	case a.resample == 0:
		return nil
	case n < leastToResample:
		_, err := fmt.Fprintf(to, "no resampling study: %d sessions of the unchanged program were recorded, and it takes %d\n", n, leastToResample)
		return err
	}
	fmt.Fprintf(to, "\nresampling study, not measured: %d recorded sessions of the unchanged program, drawn with replacement; for a change every figure of the head is multiplied:\n", len(a.recorded))
	var kinds []*verdicts
	for _, change := range slices.Compact(slices.Sorted(slices.Values(a.changes))) {
		kinds = append(kinds, a.resampled(change))
	}
	return showVerdicts(to, kinds, false)
}

func showVerdicts(to io.Writer, kinds []*verdicts, measured bool) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	if fmt.Fprint(table, "change\tn\tbroken\theld\tinconclusive\tinvalid\tsessions: median"); measured {
		fmt.Fprint(table, "\tburners\tseconds: median, p95")
	}
	fmt.Fprintln(table)
	for _, k := range kinds {
		n := 0
		for _, c := range k.count {
			n += c
		}
		if n == 0 {
			fmt.Fprintf(table, "%+.3g%%\t0\n", k.change)
			continue
		}
		fmt.Fprintf(table, "%+.3g%%\t%d\t%d\t%d\t%d\t%d\t%.3g", k.change, n, k.count[thresholds.Broken], k.count[thresholds.Held], k.count[thresholds.Inconclusive], k.count[thresholds.Invalid], machine.Median(k.sessions))
		if measured {
			fmt.Fprintf(table, "\t%d\t%.2f, %.2f", k.burners, quantile(k.seconds, 0.5), quantile(k.seconds, 0.95))
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
