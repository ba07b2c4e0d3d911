package stubs

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// Point identifies a call that a fault may affect.
type Point struct {
	Name    string      // path of the step for agents; "Start", "Step", "Finish", "Claim", "Signal" or "Load" for backends
	Run     core.RunKey // unknown and empty for a lease that the wrapped backend did not return
	Path    string      // path of the step; empty for calls of backends that do not concern a step
	Attempt int         // attempt, for agents
	N       int         // number of the call within the wrapper, from 1; for concurrent runs it depends on scheduling
}

// Fault is an injected fault. Fields with zero values have no effect.
type Fault struct {
	At     int              // number of the affected call, from 1, among those that When selects; 0 means all
	Sticky bool             // also affects every later call
	When   func(Point) bool // selects calls, for example [Seldom]; nil selects all
	Delay  time.Duration    // delay before the call; ends with the context
	Err    error            // returned instead of making the call
	After  bool             // returns Err after making the call, like a lost response
	Hit    func(Point)      // called for every affected call
}

// faults counts the calls of one wrapper.
type faults struct {
	list    []Fault
	calls   atomic.Int64
	allowed []atomic.Int64 // number of calls that When selected, for each fault
}

func newFaults(list []Fault) *faults {
	return &faults{list: slices.Clone(list), allowed: make([]atomic.Int64, len(list))}
}

// around makes a call with the faults that affect it.
func (f *faults) around(ctx context.Context, at Point, call func() error) error {
	at.N = int(f.calls.Add(1))
	var late error
	for i := range f.list {
		fault := &f.list[i]
		if !f.hits(i, at) {
			continue
		}
		if fault.Hit != nil {
			fault.Hit(at)
		}
		if fault.Delay > 0 {
			if err := sleep(ctx, fault.Delay); err != nil {
				return err
			}
		}
		switch {
		case fault.Err != nil && !fault.After:
			return fault.Err
		case fault.Err != nil && late == nil:
			late = fault.Err
		}
	}
	if err := call(); err != nil {
		return err
	}
	return late
}

// hits counts the call for fault i.
func (f *faults) hits(i int, at Point) bool {
	fault := &f.list[i]
	if fault.When != nil && !fault.When(at) {
		return false
	}
	n := int(f.allowed[i].Add(1))
	return fault.At == 0 || n == fault.At || fault.Sticky && n > fault.At
}

// Faulty returns the agent with injected faults. Several faults can affect one call, in order, until
// one returns an error.
func Faulty[In, Out any](agent core.Agent[In, Out], list ...Fault) core.Agent[In, Out] {
	f := newFaults(list)
	return core.Func[In, Out](func(ctx context.Context, req core.Request[In]) (Out, error) {
		var out, none Out
		err := f.around(ctx, pointOf(req), func() (err error) {
			out, err = agent.Call(ctx, req)
			return err
		})
		if err != nil {
			return none, err
		}
		return out, nil
	})
}

// Corrupting returns the agent with changed outputs of the calls for which hit returns true.
// corrupt must not change memory that the output shares with others.
func Corrupting[In, Out any](agent core.Agent[In, Out], hit func(Point) bool, corrupt func(*Out)) core.Agent[In, Out] {
	var calls atomic.Int64
	return core.Func[In, Out](func(ctx context.Context, req core.Request[In]) (Out, error) {
		at := pointOf(req)
		at.N = int(calls.Add(1))
		out, err := agent.Call(ctx, req)
		if err == nil && hit(at) {
			corrupt(&out)
		}
		return out, err
	})
}

func pointOf[In any](req core.Request[In]) Point {
	return Point{Name: req.Path, Run: req.Run, Path: req.Path, Attempt: req.Attempt}
}

// Seldom returns a function for [Fault.When] that selects about one call in n. The selection depends
// on the random seed, the call and its number of repetitions, but not on the schedule. It keeps a
// few bytes per call; use a separate one for each wrapper.
func Seldom(seed uint64, n int) func(Point) bool {
	var mu sync.Mutex
	made := map[Point]uint64{}
	return func(at Point) bool {
		at.N = 0
		mu.Lock()
		made[at]++
		count := made[at]
		mu.Unlock()
		return n > 0 && numbers(at.seed(seed, count)).IntN(n) == 0
	}
}

// seed returns the random seed of a point, which does not depend on scheduling.
func (p Point) seed(seed, count uint64) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %q %q %q %q %d %d", seed, p.Name, p.Run.Tenant, p.Run.Run, p.Path, p.Attempt, count)
	return h.Sum64()
}

// leases maps leases to runs, because step records do not contain the run.
type leases struct{ runs sync.Map } // Lease.ID to core.RunKey

func (l *leases) run(lease core.Lease) core.RunKey {
	run, _ := l.runs.Load(lease.ID)
	key, _ := run.(core.RunKey)
	return key
}

// FaultyBackend returns the backend with injected faults, see [Faulty].
func FaultyBackend(b core.Backend, list ...Fault) core.Backend {
	return &faultyBackend{Backend: b, faults: newFaults(list)}
}

type faultyBackend struct {
	core.Backend
	*faults
	leases
}

func (b *faultyBackend) Start(ctx context.Context, rec core.StartRecord) (lease core.Lease, err error) {
	err = b.around(ctx, Point{Name: "Start", Run: rec.Key}, func() (err error) {
		if lease, err = b.Backend.Start(ctx, rec); err == nil {
			b.runs.Store(lease.ID, rec.Key)
		}
		return err
	})
	return lease, err
}

func (b *faultyBackend) Step(ctx context.Context, lease core.Lease, rec core.StepRecord) error {
	return b.around(ctx, Point{Name: "Step", Run: b.run(lease), Path: rec.Path}, func() error { return b.Backend.Step(ctx, lease, rec) })
}

func (b *faultyBackend) Finish(ctx context.Context, lease core.Lease, rec core.FinishRecord) error {
	return b.around(ctx, Point{Name: "Finish", Run: b.run(lease)}, func() error { return b.Backend.Finish(ctx, lease, rec) })
}

func (b *faultyBackend) Claim(ctx context.Context, key core.RunKey, epoch int64) (lease core.Lease, snap core.Snapshot, err error) {
	err = b.around(ctx, Point{Name: "Claim", Run: key}, func() (err error) {
		if lease, snap, err = b.Backend.Claim(ctx, key, epoch); err == nil {
			b.runs.Store(lease.ID, key)
		}
		return err
	})
	return lease, snap, err
}

// Acquire implements core.Backend. Its points are named Claim, because it claims the run.
func (b *faultyBackend) Acquire(ctx context.Context, known core.Snapshot, h core.Holder) (lease core.Lease, snap core.Snapshot, err error) {
	err = b.around(ctx, Point{Name: "Claim", Run: known.Start.Key}, func() (err error) {
		if lease, snap, err = b.Backend.Acquire(ctx, known, h); err == nil {
			b.runs.Store(lease.ID, known.Start.Key)
		}
		return err
	})
	return lease, snap, err
}

// Unwrap lets [core.Engine.List] and similar functions find the backend.
func (b *faultyBackend) Unwrap() core.Backend { return b.Backend }

func (b *faultyBackend) Signal(ctx context.Context, key core.RunKey, rec core.AnswerRecord) error {
	return b.around(ctx, Point{Name: "Signal", Run: key}, func() error { return b.Backend.Signal(ctx, key, rec) })
}

func (b *faultyBackend) Load(ctx context.Context, key core.RunKey) (snap core.Snapshot, err error) {
	err = b.around(ctx, Point{Name: "Load", Run: key}, func() (err error) { snap, err = b.Backend.Load(ctx, key); return err })
	return snap, err
}

// CorruptingBackend returns the backend with one bit flipped in the saved state of the steps for
// which hit returns true. The random seed and the step determine the bit.
func CorruptingBackend(b core.Backend, seed uint64, hit func(Point) bool) core.Backend {
	return &corruptingBackend{Backend: b, seed: seed, hit: hit}
}

type corruptingBackend struct {
	core.Backend
	leases
	seed  uint64
	hit   func(Point) bool
	calls atomic.Int64
}

func (b *corruptingBackend) Start(ctx context.Context, rec core.StartRecord) (core.Lease, error) {
	lease, err := b.Backend.Start(ctx, rec)
	if err == nil {
		b.runs.Store(lease.ID, rec.Key)
	}
	return lease, err
}

func (b *corruptingBackend) Claim(ctx context.Context, key core.RunKey, epoch int64) (core.Lease, core.Snapshot, error) {
	lease, snap, err := b.Backend.Claim(ctx, key, epoch)
	if err == nil {
		b.runs.Store(lease.ID, key)
	}
	return lease, snap, err
}

func (b *corruptingBackend) Acquire(ctx context.Context, known core.Snapshot, h core.Holder) (core.Lease, core.Snapshot, error) {
	lease, snap, err := b.Backend.Acquire(ctx, known, h)
	if err == nil {
		b.runs.Store(lease.ID, known.Start.Key)
	}
	return lease, snap, err
}

// Unwrap lets [core.Engine.List] and similar functions find the backend.
func (b *corruptingBackend) Unwrap() core.Backend { return b.Backend }

func (b *corruptingBackend) Step(ctx context.Context, lease core.Lease, rec core.StepRecord) error {
	at := Point{Name: "Step", Run: b.run(lease), Path: rec.Path, N: int(b.calls.Add(1))}
	if len(rec.State) > 0 && b.hit(at) {
		rec.State = bytes.Clone(rec.State)
		bit := numbers(at.seed(b.seed, 0)).IntN(8 * len(rec.State))
		rec.State[bit/8] ^= 1 << (bit % 8)
	}
	return b.Backend.Step(ctx, lease, rec)
}
