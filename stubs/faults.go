package stubs

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// Fault is something that goes wrong with a call on purpose. The zero values of
// its parts do nothing.
type Fault struct {
	At     int                    // number of the call it hits, from 1; 0: every call that When allows
	Sticky bool                   // and every later one
	When   func(call string) bool // only calls of this name: a path for agents, "Start", "Step", "Finish", "Claim", "Signal", "Load" for backends
	Delay  time.Duration          // waits first; the end of the context ends it
	Err    error                  // returned in place of the call
	After  bool                   // Err comes behind the call, whose effect stays: an answer that was lost
	Hit    func()                 // called where the fault hits
}

// faults counts the calls of one wrapper.
type faults struct {
	list  []Fault
	calls []atomic.Int64 // that When allowed, for each fault
}

func newFaults(list []Fault) *faults {
	return &faults{list: append([]Fault(nil), list...), calls: make([]atomic.Int64, len(list))}
}

// around makes one call with the faults that hit it.
func (f *faults) around(ctx context.Context, name string, call func() error) error {
	var late error
	for i, fault := range f.list {
		if fault.When != nil && !fault.When(name) {
			continue
		}
		n := int(f.calls[i].Add(1))
		if fault.At != 0 && n != fault.At && !(fault.Sticky && n > fault.At) {
			continue
		}
		if fault.Hit != nil {
			fault.Hit()
		}
		if err := sleep(ctx, fault.Delay); err != nil && fault.Delay > 0 {
			return err
		}
		switch {
		case fault.Err == nil:
		case fault.After:
			late = fault.Err
		default:
			return fault.Err
		}
	}
	if err := call(); err != nil {
		return err
	}
	return late
}

// Faulty is agent with faults.
func Faulty[In, Out any](agent core.Agent[In, Out], list ...Fault) core.Agent[In, Out] {
	f := newFaults(list)
	return core.Func[In, Out](func(ctx context.Context, req core.Request[In]) (out Out, err error) {
		err = f.around(ctx, req.Path, func() (err error) {
			out, err = agent.Call(ctx, req)
			return err
		})
		if err != nil {
			var none Out
			return none, err
		}
		return out, nil
	})
}

// Corrupting is agent with some of its outputs changed: those of the calls for
// which hit returns true, n counted from 1.
func Corrupting[In, Out any](agent core.Agent[In, Out], hit func(n int) bool, corrupt func(*Out)) core.Agent[In, Out] {
	var calls atomic.Int64
	return core.Func[In, Out](func(ctx context.Context, req core.Request[In]) (Out, error) {
		n := int(calls.Add(1))
		out, err := agent.Call(ctx, req)
		if err == nil && hit(n) {
			corrupt(&out)
		}
		return out, err
	})
}

// Seldom hits about one call in n, chosen by seed and number alone.
func Seldom(seed uint64, n int) func(call int) bool {
	return func(call int) bool { return n > 0 && numbers(seed^uint64(call)*0x9e3779b97f4a7c15).IntN(n) == 0 }
}

// FaultyBackend is b with faults.
func FaultyBackend(b core.Backend, list ...Fault) core.Backend {
	return &faultyBackend{b, newFaults(list)}
}

type faultyBackend struct {
	core.Backend
	*faults
}

func (b *faultyBackend) Start(ctx context.Context, rec core.StartRecord) (lease core.Lease, err error) {
	err = b.around(ctx, "Start", func() (err error) { lease, err = b.Backend.Start(ctx, rec); return err })
	return lease, err
}

func (b *faultyBackend) Step(ctx context.Context, lease core.Lease, rec core.StepRecord) error {
	return b.around(ctx, "Step", func() error { return b.Backend.Step(ctx, lease, rec) })
}

func (b *faultyBackend) Finish(ctx context.Context, lease core.Lease, rec core.FinishRecord) error {
	return b.around(ctx, "Finish", func() error { return b.Backend.Finish(ctx, lease, rec) })
}

func (b *faultyBackend) Claim(ctx context.Context, key core.RunKey, epoch int64) (lease core.Lease, snap core.Snapshot, err error) {
	err = b.around(ctx, "Claim", func() (err error) { lease, snap, err = b.Backend.Claim(ctx, key, epoch); return err })
	return lease, snap, err
}

func (b *faultyBackend) Signal(ctx context.Context, key core.RunKey, rec core.AnswerRecord) error {
	return b.around(ctx, "Signal", func() error { return b.Backend.Signal(ctx, key, rec) })
}

func (b *faultyBackend) Load(ctx context.Context, key core.RunKey) (snap core.Snapshot, err error) {
	err = b.around(ctx, "Load", func() (err error) { snap, err = b.Backend.Load(ctx, key); return err })
	return snap, err
}

// CorruptingBackend is b with one bit of a step's stored bytes flipped, in the
// records for which hit returns true, n counted from 1: a defect that a backend
// must have caught before it hands the record out.
func CorruptingBackend(b core.Backend, seed uint64, hit func(n int) bool) core.Backend {
	return &corruptingBackend{Backend: b, seed: seed, hit: hit}
}

type corruptingBackend struct {
	core.Backend
	seed  uint64
	hit   func(n int) bool
	calls atomic.Int64
}

func (b *corruptingBackend) Step(ctx context.Context, lease core.Lease, rec core.StepRecord) error {
	if n := int(b.calls.Add(1)); b.hit(n) && len(rec.State) > 0 {
		rec.State = append([]byte(nil), rec.State...)
		bit := numbers(b.seed ^ uint64(n)).IntN(8 * len(rec.State))
		rec.State[bit/8] ^= 1 << (bit % 8)
	}
	return b.Backend.Step(ctx, lease, rec)
}
