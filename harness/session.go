package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/harness/machine"
)

// Session is the order for one session, made to be sent to a fresh process.
type Session struct {
	Workload   string    `json:"workload"`
	Backend    string    `json:"backend,omitempty"` // its address: see [BackendAt]
	Durability string    `json:"durability"`
	Plan       Plan      `json:"plan"`
	Number     int       `json:"number"` // from 1
	Seed       uint64    `json:"seed"`
	Dir        string    `json:"dir"` // existing folder for the databases, on the disk to be measured
	Mutant     Mutant    `json:"mutant,omitempty"`
	Slower     float64   `json:"slower,omitempty"` // share that every arm with the backend is slowed down by: a regression made on purpose
	Fit        []string  `json:"fit,omitempty"`    // only batches are to be found, for these arms and the plan's rounds
	Count      *Counting `json:"count,omitempty"`  // nothing is timed: a tool counts the process

	tick time.Duration // of the clock, found by Run
}

// SessionResult is what a session found.
type SessionResult struct {
	Batch map[string]int `json:"batch,omitempty"` // only where they were to be found

	Took map[string]time.Duration `json:"took_ns,omitempty"` // one operation of each arm, the mean of a few; only where batches were to be found

	Slots      []map[string][]float64 `json:"slots"` // one a block: arm -> ns per run, by round
	Counters   map[string]Counters    `json:"counters"`
	Conditions Conditions             `json:"conditions"`
	Audit      []Finding              `json:"audit"`
	Counted    Accounting             `json:"accounting"`
	Untimed    string                 `json:"untimed,omitempty"` // of the workload: why its time is not judged
	Problem    string                 `json:"problem,omitempty"` // a fault that ended the session

	Instructions float64 `json:"instructions,omitempty"` // that the whole process executed; only of a counted session
}

// Accounting of the operations: planned = kept + warm-ups + first of a slot.
type Accounting struct {
	Planned int `json:"planned"`
	Kept    int `json:"kept"`
	Warmups int `json:"warmups"`
	First   int `json:"first"` // dropped: the first operation of a slot pays for the switch
}

// A slot must take minTicks of the clock: then the clock's own error is below 0.1%. Of
// an arm that saves nothing, whose time is a hundredth of the others', quickTicks do, 0.5%.
const (
	quickTicks = 200
)

// Run executes the session in this process. A fault of the harness or of the
// product is told in the result's Problem and audit; an error means that nothing
// could be measured at all (bad order, no disk). It collects garbage between
// rounds only, for the whole process: nothing else should run in it. The workload
// is one of own or a built-in one.
func (s Session) Run(ctx context.Context, own ...Workload) (SessionResult, error) {
	var res SessionResult
	w, err := workloadOf(s.Workload, own)
	if err != nil {
		return res, err
	}
	o := &opener{session: s, workload: w}
	if o.backend, o.level, err = levelAt(s.Backend, s.Durability); err != nil {
		return res, err
	}
	if s.Fit != nil {
		return s.fit(ctx, o)
	}
	if s.Count == nil {
		if err := s.Plan.Check(); err != nil {
			return res, err
		}
	}
	dir, err := os.MkdirTemp(s.Dir, "session-")
	if err != nil {
		return res, fmt.Errorf("make a folder for the databases: %w", err)
	}
	defer os.RemoveAll(dir)
	if s.Count != nil {
		return s.counting(ctx, o, dir)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // collected between rounds, see block

	most := 0 // operations of an arm in one block
	for _, name := range s.Plan.Arms() {
		most = max(most, s.Plan.ops(name))
	}
	keys := runKeys(most * w.AtOnce)
	if s.tick == 0 {
		s.tick = clockTick()
		if s.Mutant == MutantCoarse {
			s.tick = 10 * time.Millisecond
		}
	}
	if res.Conditions, err = s.conditions(ctx, o.level, dir); err != nil {
		return res, err
	}
	res.Untimed = w.Untimed
	a := &auditor{session: s, workload: w, backend: o.backend}
	if o.expected, err = w.expect(ctx); err != nil {
		return a.failed(res, err)
	}
	a.expected = o.expected
	if err := o.record(ctx, dir, keys); err != nil {
		return a.failed(res, err)
	}
	if res.Counters, err = o.count(ctx, dir); err != nil {
		return a.failed(res, err)
	}
	rng := rand.New(rand.NewPCG(s.Seed, uint64(s.Number)))
	for n := range s.Plan.Blocks {
		sub := filepath.Join(dir, fmt.Sprint("block", n))
		if err := os.Mkdir(sub, 0o700); err != nil {
			return res, fmt.Errorf("make a folder for block %d: %w", n, err)
		}
		slots, err := s.block(ctx, o, a, rng, sub, keys)
		if err != nil {
			return a.failed(res, err)
		}
		res.Slots = append(res.Slots, slots)
		if err := os.RemoveAll(sub); err != nil {
			return res, err
		}
	}
	a.account(&res)
	res.Audit = a.findings()
	return res, nil
}

// block opens every arm afresh, warms them up and runs the rounds.
func (s Session) block(ctx context.Context, o *opener, audit *auditor, rng *rand.Rand, dir string, keys []core.RunKey) (slots map[string][]float64, err error) {
	book, err := o.book()
	if err != nil {
		return nil, err
	}
	var arms []*arm
	defer func() {
		for _, a := range arms {
			err = errors.Join(err, a.close())
		}
	}()
	names := s.Plan.Arms()
	for _, i := range rng.Perm(len(names)) { // with runs of 1 MB, what was opened later was slower
		a, err := o.open(ctx, book, names[i], dir)
		if err != nil {
			return nil, err
		}
		arms = append(arms, a)
	}
	for _, a := range arms {
		for range s.Plan.Warmups {
			if err := a.once(keys, 0); err != nil {
				return nil, fmt.Errorf("arm %s, warm-up: %w", a.name, err)
			}
		}
		if err := audit.slot(a, 0, s.Plan.Warmups); err != nil {
			return nil, err
		}
	}
	slots = map[string][]float64{}
	runtime.GC() // every block starts from the same heap
	for round := range s.Plan.Rounds {
		if heapBytes() > collectAt {
			runtime.GC() // between rounds and nowhere else
		}
		for _, i := range rng.Perm(len(arms)) {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			a := arms[i]
			ns, err := s.slot(a, round, keys)
			if err != nil {
				return nil, fmt.Errorf("arm %s, round %d: %w", a.name, round, err)
			}
			if s.Mutant == MutantDrop && round == 1 && a.name == ArmBackend {
				slots[a.name] = append(slots[a.name], 0) // the slot is lost from the samples
			} else {
				slots[a.name] = append(slots[a.name], ns)
			}
			if err := audit.slot(a, round+1, 1+s.Plan.Batch[a.name]); err != nil {
				return nil, err
			}
		}
	}
	return slots, audit.block(ctx, arms, book)
}

// slot runs the batch of one arm and returns the nanoseconds a run took.
func (s Session) slot(a *arm, round int, keys []core.RunKey) (float64, error) {
	batch := s.Plan.Batch[a.name]
	first, timed := 1, batch
	// Both mutants leave out the operation that is not timed: where a slot times a single one,
	// a slot without it would be too short for the clock, which is another check.
	if s.Mutant == MutantLeftover && a.name == ArmBackend && round == 0 {
		first--
	}
	if a.swallows && round == 1 {
		first--
		if err := a.fail(keys, round); err == nil {
			return 0, errors.New("the run that must fail for the mutant did not")
		}
	}
	if a.premade {
		first, timed = 1+batch, 0
	}
	input := round
	if s.Mutant == MutantSkip && a.name == ArmBackend && round == 1 {
		input++
	}
	for range first { // pays for the switch
		if err := a.once(keys, input); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	for range timed {
		if err := a.once(keys, input); err != nil {
			return 0, err
		}
	}
	if a.premade {
		for time.Since(began) <= machine.MinTicks*s.tick { // no more than the clock needs, which may be half of a save
		}
	}
	took, ticks := time.Since(began), time.Duration(machine.MinTicks)
	if !saves(a.name) && a.name != ArmFloor {
		ticks = quickTicks
	}
	if took < ticks*s.tick {
		return 0, fmt.Errorf("a slot of %d operations took %v, which a clock with ticks of %v cannot measure: at least %d ticks are needed: use a larger batch, or a machine with a better clock",
			batch, took, s.tick, ticks)
	}
	return float64(took.Nanoseconds()) / float64(batch*a.atOnce), nil
}

// clockTick is the smallest step seen of the clock.
func clockTick() time.Duration {
	least := time.Hour
	for range 5 {
		t0 := time.Now()
		t1 := time.Now()
		for !t1.After(t0) {
			t1 = time.Now()
		}
		least = min(least, t1.Sub(t0))
	}
	return least
}

// collectAt is the heap from which garbage is collected before a round, in bytes.
const collectAt = 64 << 20

// heapBytes is how much lies on the heap, garbage included.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
