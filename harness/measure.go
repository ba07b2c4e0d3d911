package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/stubs"
)

// Spec orders a measurement.
type Spec struct {
	Workload   string
	Durability sqlite.Durability
	Plan       Plan   // Batch and NoneBatch 0: fitted to the machine
	Seed       uint64 // of the order of the arms
	Dir        string // existing folder on the disk to be measured
	Mutant     Mutant
}

// Runner runs one session, best in a process of its own: every process carries
// its own bias, which only another process shows.
type Runner func(context.Context, Session) (SessionResult, error)

// InProcess runs sessions in this process.
func InProcess(ctx context.Context, s Session) (SessionResult, error) { return s.Run(ctx) }

// Measure runs session after session until enough says so, or the plan's number
// of sessions is reached. enough is called after every session and may judge; it
// must be a rule that stays valid under repeated looks. A cancelled context ends
// the measurement with what was measured, marked incomplete, and no error. Faults
// of a session are told in the comparison; an error means that nothing could be
// measured.
func Measure(ctx context.Context, spec Spec, run Runner, enough func(*Comparison) bool) (*Comparison, error) {
	w, err := WorkloadNamed(spec.Workload)
	if err != nil {
		return nil, err
	}
	c := &Comparison{
		Schema: 1, Workload: spec.Workload, Durability: string(spec.Durability), Started: time.Now().UTC(), Seed: spec.Seed,
		Environment: Describe(ctx, spec.Dir),
	}
	if c.Plan, err = fit(ctx, w, spec); err != nil {
		return nil, fmt.Errorf("fit the batch to this machine: %w", err)
	}
	if err := c.Plan.Check(); err != nil {
		return nil, err
	}
	for n := 1; n <= c.Plan.Sessions; n++ {
		res, err := run(ctx, Session{
			Workload: spec.Workload, Durability: spec.Durability, Plan: c.Plan, Number: n, Seed: spec.Seed, Dir: spec.Dir, Mutant: spec.Mutant,
		})
		if ctx.Err() != nil {
			break // what was measured is kept, not complete
		}
		if err != nil {
			return nil, fmt.Errorf("session %d: %w", n, err)
		}
		c.add(n, res)
		if c.Problem != "" {
			break
		}
		c.estimate()
		if c.Complete = n == c.Plan.Sessions || enough(c); c.Complete {
			break
		}
	}
	c.Seconds = time.Since(c.Started).Seconds()
	return c, nil
}

// fit chooses the batches so that a slot of each arm takes about twice goodSlot:
// short slots lie close together, where noise hits neighbours alike.
func fit(ctx context.Context, w Workload, spec Spec) (Plan, error) {
	p := spec.Plan
	if p.Batch != 0 || p.NoneBatch != 0 {
		return p, nil
	}
	const tries = 20
	p.Batch, p.NoneBatch = 1, 1
	dir, err := os.MkdirTemp(spec.Dir, "fit-")
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(dir)
	o := &opener{workload: w, durability: spec.Durability, plan: p}
	quickest := func(name string, runs int) (time.Duration, error) {
		book, err := stubs.Size(w.plan, stubs.Load{Arm: name, Rounds: tries, Batch: runs})
		if err != nil {
			return 0, err
		}
		a, err := o.open(ctx, book, name, dir)
		if err != nil {
			return 0, err
		}
		keys := runKeys(tries * runs)
		least := time.Hour
		for range tries {
			began := time.Now()
			for range runs {
				if err := a.run(keys, 0); err != nil {
					return 0, errors.Join(err, a.close())
				}
			}
			least = min(least, time.Since(began)/time.Duration(runs))
		}
		return max(least, 1), a.close()
	}
	none, err := quickest(ArmNone, 200)
	if err != nil {
		return p, err
	}
	backend, err := quickest(ArmBackend, 1)
	if err != nil {
		return p, err
	}
	p.Batch = int(math.Ceil(float64(2*goodSlot) / float64(backend)))
	p.NoneBatch = int(math.Ceil(float64(2*goodSlot) / float64(none) / float64(p.Batch)))
	return p, nil
}

// add takes a session's blocks and audit into the comparison.
func (c *Comparison) add(number int, res SessionResult) {
	if res.Problem != "" {
		c.Problem = fmt.Sprintf("session %d: %s", number, res.Problem)
	}
	c.Audit = mergeAudit(c.Audit, res.Audit, number)
	for _, f := range c.Audit {
		if !f.OK && c.Problem == "" {
			c.Problem = f.Check + ": " + f.Detail
		}
	}
	if c.Problem != "" {
		return
	}
	for i, slots := range res.Slots {
		b, err := blockOf(number, slots)
		if err != nil {
			c.Problem = fmt.Sprintf("session %d, block %d: %v", number, i+1, err)
			return
		}
		c.Blocks = append(c.Blocks, b)
	}
}

// mergeAudit keeps one line for every check that held, with the newest detail, and
// all that failed.
func mergeAudit(have, more []Finding, session int) []Finding {
	for _, f := range more {
		if !f.OK {
			f.Detail = fmt.Sprintf("session %d: %s", session, f.Detail)
			have = append(have, f)
			continue
		}
		f.Detail = fmt.Sprintf("in each of %d session(s); the last: %s", session, f.Detail)
		known := slices.IndexFunc(have, func(h Finding) bool { return h.OK && h.Check == f.Check })
		if known < 0 {
			have = append(have, f)
		} else {
			have[known] = f
		}
	}
	return have
}

// ErrNotPositive is a slot, or the median of a difference of arms, that is not
// above zero: an arm that does nothing, or samples that were lost.
var ErrNotPositive = errors.New("not above zero")

// blockOf takes the medians over the rounds of the paired ratios. slots are ns per
// run by arm and round.
func blockOf(session int, slots map[string][]float64) (Block, error) {
	b := Block{Session: session, Slots: slots}
	rounds := len(slots[ArmNone])
	ratio, overhead, cost, twin, slow, injected := make([]float64, rounds), make([]float64, rounds), make([]float64, rounds), make([]float64, rounds), make([]float64, rounds), make([]float64, rounds)
	for r := range rounds {
		at := func(arm string) float64 { return slots[arm][r] }
		for _, arm := range []string{ArmNone, ArmFloor, ArmBackend, ArmTwin, ArmSlow} {
			if v := at(arm); !(v > 0) || math.IsInf(v, 0) {
				return b, fmt.Errorf("round %d: the slot of arm %s is %v ns: %w", r+1, arm, v, ErrNotPositive)
			}
		}
		// A difference may well be below zero: the machine was away in the slot without the
		// backend. Such a round counts as it is, with the smallest of its block; a median
		// bears fewer than half of them, and none is left out.
		n, f := at(ArmNone), at(ArmFloor)
		w, t, s := at(ArmBackend)-n, at(ArmTwin)-n, at(ArmSlow)-n
		ratio[r], overhead[r], cost[r], slow[r] = w/f, w/n, w/1e3, s/f
		twin[r], injected[r] = quotient(t, w), quotient(s, w)
	}
	for _, m := range []struct {
		name string
		to   *float64
		from []float64
	}{{"(W-N)/F", &b.CostRatio, ratio}, {"(W-N)/N", &b.Overhead, overhead}, {"W-N", &b.CostUS, cost},
		{"(T-N)/(W-N)", &b.Twin, twin}, {"(S-N)/F", &b.Slow, slow}, {"(S-N)/(W-N)", &b.Injected, injected}} {
		if *m.to = Median(m.from); !(*m.to > 0) {
			return b, fmt.Errorf("the median of %s over %d rounds is %v: %w", m.name, rounds, *m.to, ErrNotPositive)
		}
	}
	return b, nil
}

// quotient of two differences of one round. Where they do not both make sense it is
// the smallest or the largest number there is: it takes its side of the median.
func quotient(a, b float64) float64 {
	switch {
	case a > 0 && b > 0:
		return a / b
	case b > 0:
		return -math.MaxFloat64
	case a > 0:
		return math.MaxFloat64
	}
	return 1 // the machine was away in the slot that both are compared with: it says nothing of either
}

// estimate makes the figures of the blocks so far.
func (c *Comparison) estimate() {
	figure := func(unit string, of func(Block) float64) Estimate {
		values, sessions := c.Column(of)
		return estimate(values, sessions, unit)
	}
	c.CostRatio = figure("ratio", func(b Block) float64 { return b.CostRatio })
	c.Overhead = figure("ratio", func(b Block) float64 { return b.Overhead })
	c.Cost = figure("us/run", func(b Block) float64 { return b.CostUS })
	c.Injected = figure("ratio", func(b Block) float64 { return b.Injected })
}
