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

// Session says what one session measures. It is sent as JSON to a process of its own.
type Session struct {
	Workload   string    `json:"workload"`
	Backend    string    `json:"backend,omitempty"` // its address: see [BackendAt]
	Durability string    `json:"durability"`
	Plan       Plan      `json:"plan"`
	Number     int       `json:"number"` // from 1
	Seed       uint64    `json:"seed"`
	Dir        string    `json:"dir"` // existing folder for the databases, on the disk to be measured
	Mutant     Mutant    `json:"mutant,omitempty"`
	Slower     float64   `json:"slower,omitempty"` // injected regression: every arm with the backend is slowed down by this share
	Fit        []string  `json:"fit,omitempty"`    // if set, only batches for these arms are found, and nothing is measured
	Count      *Counting `json:"count,omitempty"`  // if set, nothing is timed: a tool counts the instructions of the process

	tick time.Duration // resolution of the clock, found by Run
}

// SessionResult is the result of a session.
type SessionResult struct {
	Batch map[string]int `json:"batch,omitempty"` // only if Session.Fit is set

	Took map[string]time.Duration `json:"took_ns,omitempty"` // mean time of an operation of each arm; only if Session.Fit is set

	Slots      []map[string][]float64 `json:"slots"` // one element per block: arm -> ns per run, by round
	Counters   map[string]Counters    `json:"counters"`
	Conditions Conditions             `json:"conditions"`
	Audit      []Finding              `json:"audit"`
	Counted    Accounting             `json:"accounting"`
	Untimed    string                 `json:"untimed,omitempty"` // why the time of the workload is not judged; "": it is
	Problem    string                 `json:"problem,omitempty"` // the fault that ended the session; "": none

	Instructions float64 `json:"instructions,omitempty"` // executed by the whole process; only if Session.Count is set
}

// Accounting counts the operations of a session: Planned = Kept + Warmups + First, if no
// sample was lost.
type Accounting struct {
	Planned int `json:"planned"`
	Kept    int `json:"kept"`
	Warmups int `json:"warmups"`
	First   int `json:"first"` // the first operations of the slots, not timed: they pay for the switch of arms
}

// quickTicks is the least duration of a slot without saves, in ticks of the clock: the error
// of the clock is 0.5% then. Other slots take at least [machine.MinTicks], for an error below
// 0.1%; their time is about a hundred times as long.
const quickTicks = 200

// Run executes the session in this process. A fault of the harness or of the
// pipeline under test is reported in the result's Problem and Audit; an error means
// that nothing could be measured (an invalid session, no disk). Run collects garbage
// between rounds only, for the whole process, so nothing else should run in it. The
// workload is looked up in own first, then among the built-in ones.
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
	for _, i := range rng.Perm(len(names)) { // in random order: with runs of 1 MB, arms opened later were slower
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
				slots[a.name] = append(slots[a.name], 0) // the samples of this slot are lost
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

// slot runs the batch of one arm and returns its time in ns per run.
func (s Session) slot(a *arm, round int, keys []core.RunKey) (float64, error) {
	batch := s.Plan.Batch[a.name]
	first, timed := 1, batch
	// Both mutants leave out the operation that is not timed. Without a timed one, a slot that
	// times a single operation would be too short for the clock, and another check would fail.
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
	for range first { // refills the caches after another arm
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
		// No longer than the clock needs: that may be half the time of a save already.
		for time.Since(began) <= machine.MinTicks*s.tick {
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

// clockTick measures the smallest step of the clock.
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

// collectAt is the size of the heap, in bytes, above which garbage is collected before a round.
const collectAt = 64 << 20

// heapBytes returns the size of all objects on the heap, garbage included.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
