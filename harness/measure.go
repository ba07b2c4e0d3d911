package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/stubs"
)

// Spec says what to measure, and how.
type Spec struct {
	Workload   string
	Suite      string // package of the module that has the workload, such as "./flows"; empty for a built-in one
	Backend    string // address of the backend to measure, see [BackendAt]; "": SQLite
	Durability string // a durability that the backend has: SQLite has "process" and "power"
	Plan       Plan   // if Batch is empty or has other arms, batches are fitted to the machine
	Seed       uint64 // random seed of the order of the arms
	Dir        string // existing folder on the disk to be measured
	Mutant     Mutant
	Slower     float64 // injected regression: every arm with the backend is slowed down by this share; only at durabilities whose saves do not wait for storage
}

// Runner runs one session. It should use a process of its own for each: every process has a
// bias that only a comparison with other processes shows.
type Runner func(context.Context, Session) (SessionResult, error)

// InProcess returns a Runner that runs sessions in this process. A session's workload is
// looked up in own first, then among the built-in ones.
func InProcess(own ...Workload) Runner {
	return func(ctx context.Context, s Session) (SessionResult, error) { return s.Run(ctx, own...) }
}

// costArms are the arms of a [Comparison].
var costArms = []string{ArmNone, ArmBackend, ArmFloor, ArmTwin, ArmSlow, ArmStubs}

// Measure runs session after session until enough says so, or the plan's number
// of sessions is reached. enough is called after every session and may judge; its
// rule must stay valid under repeated looks, as a sequential test does. If ctx is
// cancelled, Measure returns what was measured so far, marked incomplete, and no
// error. A session that fails is reported in the Problem of the comparison; an error
// means that nothing could be measured.
func Measure(ctx context.Context, spec Spec, run Runner, enough func(*Comparison) bool) (*Comparison, error) {
	c := &Comparison{
		Schema: 1, Workload: spec.Workload, Suite: spec.Suite, Durability: spec.Durability, Started: time.Now().UTC(), Seed: spec.Seed,
	}
	var err error
	if c.Environment, err = spec.Describe(ctx); err != nil {
		return nil, err
	}
	if c.Plan, err = spec.fitted(ctx, run, costArms); err != nil {
		return nil, err
	}
	c.Complete, err = spec.each(ctx, c.Plan, run, func(n int, res SessionResult) (done bool) {
		c.add(n, res)
		if c.Problem != "" {
			return true
		}
		c.estimate()
		return enough(c)
	})
	c.Complete = c.Complete && c.Problem == ""
	c.Seconds = time.Since(c.Started).Seconds()
	return c, err
}

// each runs the sessions of a plan until take returns true or the plan's time is over.
// complete is false if ctx was cancelled first.
func (s Spec) each(ctx context.Context, p Plan, run Runner, take func(n int, res SessionResult) (done bool)) (complete bool, err error) {
	if err := p.Check(); err != nil {
		return false, err
	}
	began := time.Now()
	for n := 1; n <= p.Sessions; n++ {
		if spent := time.Since(began); n > 2 && p.Budget > 0 && spent+spent/time.Duration(n-1) > p.Budget {
			break
		}
		res, err := run(ctx, s.session(p, n))
		if ctx.Err() != nil {
			return false, nil // the sessions so far stay valid
		}
		if err != nil {
			return false, fmt.Errorf("session %d: %w", n, err)
		}
		if take(n, res) {
			break
		}
	}
	return true, nil
}

// session returns the session with the given number, from 1; 0 finds batches.
func (s Spec) session(p Plan, number int) Session {
	return Session{Workload: s.Workload, Backend: s.Backend, Durability: s.Durability, Plan: p, Number: number, Seed: s.Seed, Dir: s.Dir, Mutant: s.Mutant, Slower: s.Slower}
}

// fitted returns the plan with a batch for each of the arms. If the plan has none, a session
// is run to find batches that fit this machine.
func (s Spec) fitted(ctx context.Context, run Runner, arms []string) (Plan, error) {
	p := s.Plan
	if slices.Equal(p.Arms(), slices.Sorted(slices.Values(arms))) {
		return p, nil
	}
	order := s.session(p, 0)
	order.Fit = arms
	res, err := run(ctx, order)
	if err != nil {
		return p, fmt.Errorf("fit the batch to this machine: %w", err)
	}
	p.Batch = res.Batch
	return p, nil
}

// The durations that slots of arms without saves should have. Slots are short so that those
// of one round are close in time and meet the same noise. Slots with saves take
// [machine.GoodSlot]; each slot takes at least twice what the clock needs. Arms without saves
// are so fast compared with the others that their error hardly matters: with slots of 300 µs
// for them, the blocks of a session varied more (1.6% against 1.35%, 400 blocks each) and
// took a sixth longer. ArmStubs enters no ratio.
const (
	quickSlot = 100 * time.Microsecond
	stubsSlot = 60 * time.Microsecond
)

// fit finds batches with which a slot of each arm in s.Fit takes about as long as it should.
func (s Session) fit(ctx context.Context, o *opener) (res SessionResult, err error) {
	w := o.workload
	x, err := w.expect(ctx)
	if err != nil {
		return res, err
	}
	const tries = 12
	res.Batch, res.Took = map[string]int{}, map[string]time.Duration{}
	dir, err := os.MkdirTemp(s.Dir, "fit-")
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(dir)
	o.session, o.expected = Session{Durability: s.Durability}, x
	quickest := func(name string, ops int) (least, mean time.Duration, err error) {
		book, err := stubs.Size(w.plan, w.load(name, 0, tries, ops))
		if err != nil {
			return 0, 0, err
		}
		a, err := o.open(ctx, book, name, dir)
		if err != nil {
			return 0, 0, err
		}
		keys := runKeys(tries * ops * w.AtOnce)
		least = time.Hour
		all := time.Now()
		for range tries { // the first tries run with cold caches, so the fastest one counts
			began := time.Now()
			for range ops {
				if err := a.once(keys, 0); err != nil {
					return 0, 0, errors.Join(err, a.close())
				}
			}
			least = min(least, time.Since(began)/time.Duration(ops))
		}
		return max(least, 1), max(time.Since(all)/time.Duration(tries*ops), 1), a.close()
	}
	backend, mean, err := quickest(ArmBackend, 1)
	if err != nil {
		return res, err
	}
	shortest := 2 * machine.MinTicks * clockTick()
	saving := max(1, int(machine.GoodSlot/backend), int(math.Ceil(float64(shortest)/float64(backend))))
	if o.level.Waits {
		// The slow arm adds whole transactions, at least one in every slot.
		saving = max(saving, int(math.Ceil(1/(s.Plan.SlowBy*float64(x.saves)))))
	}
	for _, name := range s.Fit {
		res.Batch[name], res.Took[name] = saving, mean
		if saves(name) || name == ArmFloor {
			continue
		}
		took, mean, err := quickest(name, 40)
		if err != nil {
			return res, err
		}
		slot := quickSlot
		if name == ArmStubs {
			slot = stubsSlot
		}
		res.Batch[name], res.Took[name] = int(math.Ceil(float64(max(slot, shortest))/float64(took))), mean
	}
	return res, nil
}

// add appends the blocks and the audit of a session to the comparison.
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
	c.Untimed = res.Untimed
	c.count(res.Counters)
	c.Conditions = append(c.Conditions, res.Conditions)
	for i, slots := range res.Slots {
		b, err := blockOf(number, slots)
		if err != nil {
			c.Problem = fmt.Sprintf("session %d, block %d: %v", number, i+1, err)
			return
		}
		c.Blocks = append(c.Blocks, b)
	}
}

// count merges the counters of a session. The comparison has the minimum of all sessions,
// because other activity in a process only ever adds to its counters; it keeps the maximum
// and every session's counters too, from which a calibration learns how far they vary.
func (c *Comparison) count(counters map[string]Counters) {
	if c.Counters == nil {
		c.Counters, c.Most = map[string]Counters{}, map[string]Counters{}
	}
	c.Counted = append(c.Counted, counters)
	for name, n := range counters {
		least, most := n, n
		if have, ok := c.Counters[name]; ok {
			least = have.each(n, func(a, b float64) float64 { return min(a, b) })
			most = c.Most[name].each(n, func(a, b float64) float64 { return max(a, b) })
		}
		c.Counters[name], c.Most[name] = least, most
	}
}

// mergeAudit keeps one finding for every check that passed, with the detail of the newest
// session, and all findings that failed.
func mergeAudit(have, more []Finding, session int) []Finding {
	for _, f := range more {
		if !f.OK {
			f.Detail = fmt.Sprintf("session %d: %s", session, f.Detail)
			have = append(have, f)
			continue
		}
		f.Detail = fmt.Sprintf("in every session (n = %d); the last: %s", session, f.Detail)
		known := slices.IndexFunc(have, func(h Finding) bool { return h.OK && h.Check == f.Check })
		if known < 0 {
			have = append(have, f)
		} else {
			have[known] = f
		}
	}
	return have
}

// errNotPositive is the error of a slot that did not take more than 0 ns: its samples were lost.
var errNotPositive = errors.New("not above zero")

// quicker returns the mean of the faster half of an arm's slots, which is its time in a block.
// Other activity on a machine only ever adds to a slot, and rarely to most of them. Compared
// with the median of the ratios paired by round, on the same 733 blocks, the variance of
// (W-N)/F is 0.75 times as large, a slow-down of 5% is found in 2 sessions instead of 3, and
// the shift caused by busy processes is half as large. Chen and Revels, "Robust benchmarking
// in noisy environments", 2016, take the minimum, which varies more for so few slots.
func quicker(slots []float64) float64 {
	s := slices.Sorted(slices.Values(slots))
	return stat.Mean(s[:(len(s)+1)/2], nil)
}

// blockOf computes the statistics of a block from its slots: ns per run, by arm and round.
func blockOf(session int, slots map[string][]float64) (Block, error) {
	b := Block{Session: session, Slots: slots}
	rounds := len(slots[ArmNone])
	at := map[string]float64{}
	for _, arm := range costArms {
		if len(slots[arm]) != rounds || rounds == 0 {
			return b, fmt.Errorf("arm %s has %d slots, and arm %s %d: %w", arm, len(slots[arm]), ArmNone, rounds, errMissingArm)
		}
		for r, v := range slots[arm] {
			if !(v > 0) || math.IsInf(v, 0) {
				return b, fmt.Errorf("round %d: the slot of arm %s is %v ns: %w", r+1, arm, v, errNotPositive)
			}
		}
		at[arm] = quicker(slots[arm])
	}
	// Differences may be negative: noise can be larger than the difference itself.
	n, f := at[ArmNone], at[ArmFloor]
	w, t, s := at[ArmBackend]-n, at[ArmTwin]-n, at[ArmSlow]-n
	if w == 0 {
		w = 1e-9 // ns, below any clock's resolution: the quotients below must stay finite
	}
	b.CostRatio, b.Overhead, b.CostUS = w/f, w/n, w/1e3
	b.Twin, b.Slow, b.Injected = t/w, s/f, s/w
	b.ScriptsUS = at[ArmStubs] / 1e3
	return b, nil
}

// estimate computes the figures from the blocks so far.
func (c *Comparison) estimate() {
	figure := func(unit string, of func(Block) float64) Estimate {
		values, sessions := c.Column(of)
		return estimate(values, sessions, unit)
	}
	c.CostRatio = figure("ratio", func(b Block) float64 { return b.CostRatio })
	c.Overhead = figure("ratio", func(b Block) float64 { return b.Overhead })
	c.Cost = figure("us/run", func(b Block) float64 { return b.CostUS })
	c.Injected = figure("ratio", func(b Block) float64 { return b.Injected })
	c.Scripts = figure("us/run", func(b Block) float64 { return b.ScriptsUS })
}
