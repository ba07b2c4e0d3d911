package coretest

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/flujo/flujo-harness/core"
)

// A check that has never been seen to fail proves nothing: these backends have one
// defect each, and the checks must find it.

// defect is a way to spoil a backend.
type defect struct {
	what   string
	reopen bool // it shows only where the backend is opened again
	spoil  func(Opener) Opener
}

// wrapped spoils what is opened by a wrapper.
func wrapped(wrap func(core.Backend) core.Backend) func(Opener) Opener {
	return func(open Opener) Opener {
		return func(ctx context.Context, path string) (core.Backend, error) {
			b, err := open(ctx, path)
			if err != nil {
				return nil, err
			}
			return wrap(b), nil
		}
	}
}

var defects = []defect{
	{"does not fence", false, wrapped(unfence)},
	{"forgets an answer", false, wrapped(func(b core.Backend) core.Backend { return deaf{b} })},
	{"takes a second answer", false, wrapped(func(b core.Backend) core.Backend { return agreeable{b} })},
	{"pauses past an answer", false, wrapped(func(b core.Backend) core.Backend { return hasty{b} })},
	{"claims whatever epoch", false, wrapped(func(b core.Backend) core.Backend { return greedy{b} })},
	{"folds the case of names", false, wrapped(func(b core.Backend) core.Backend { return folding{b} })},
	{"shows what belongs to a tenant whose name is alike", false, wrapped(func(b core.Backend) core.Backend { return cutting{b} })},
	{"loses a step when it is opened again", true, lossy},
}

type deaf struct{ core.Backend }

func (b deaf) Signal(ctx context.Context, k core.RunKey, rec core.AnswerRecord) error {
	if rec.Token != "t" {
		return b.Backend.Signal(ctx, k, rec)
	}
	_, err := b.Load(ctx, k)
	return err
}

type agreeable struct{ core.Backend }

func (b agreeable) Signal(ctx context.Context, k core.RunKey, rec core.AnswerRecord) error {
	err := b.Backend.Signal(ctx, k, rec)
	if errors.Is(err, core.ErrAnswered) {
		return nil
	}
	return err
}

type hasty struct{ core.Backend }

func (b hasty) Finish(ctx context.Context, l core.Lease, rec core.FinishRecord) error {
	err := b.Backend.Finish(ctx, l, rec)
	for rec.Answers = 0; errors.Is(err, core.ErrSignalled); rec.Answers++ {
		err = b.Backend.Finish(ctx, l, rec)
	}
	return err
}

type greedy struct{ core.Backend }

func (b greedy) Claim(ctx context.Context, k core.RunKey, _ int64) (core.Lease, core.Snapshot, error) {
	return b.Backend.Claim(ctx, k, 0)
}

type folding struct{ core.Backend }

func (b folding) Load(ctx context.Context, k core.RunKey) (core.Snapshot, error) {
	k.Run = strings.ToLower(k.Run)
	return b.Backend.Load(ctx, k)
}

// cutting reads the names of tenants as C does.
type cutting struct{ core.Backend }

func (b cutting) Load(ctx context.Context, k core.RunKey) (core.Snapshot, error) {
	k.Tenant, _, _ = strings.Cut(k.Tenant, "\x00")
	return b.Backend.Load(ctx, k)
}

// lossy loses the last step of every run from the second opening on.
func lossy(open Opener) Opener {
	opened := map[string]bool{}
	return func(ctx context.Context, path string) (core.Backend, error) {
		b, err := open(ctx, path)
		if err == nil && opened[path] {
			b = amnesiac{b}
		}
		opened[path] = true
		return b, err
	}
}

type amnesiac struct{ core.Backend }

func (b amnesiac) Load(ctx context.Context, k core.RunKey) (core.Snapshot, error) {
	s, err := b.Backend.Load(ctx, k)
	s.Steps = s.Steps[:max(0, len(s.Steps)-1)]
	return s, err
}

// unfenced lets every holder save, whoever has claimed its run since: it claims
// the run back before it saves.
type unfenced struct {
	core.Backend
	mu   sync.Mutex
	keys map[int64]core.RunKey // by Lease.ID
}

func unfence(b core.Backend) core.Backend {
	return &unfenced{Backend: b, keys: map[int64]core.RunKey{}}
}

func (b *unfenced) keep(l core.Lease, k core.RunKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys[l.ID] = k
}

func (b *unfenced) Start(ctx context.Context, rec core.StartRecord) (core.Lease, error) {
	l, err := b.Backend.Start(ctx, rec)
	b.keep(l, rec.Key)
	return l, err
}

func (b *unfenced) Claim(ctx context.Context, k core.RunKey, epoch int64) (core.Lease, core.Snapshot, error) {
	l, s, err := b.Backend.Claim(ctx, k, epoch)
	b.keep(l, k)
	return l, s, err
}

// again calls save with a lease that is good and the next position in the run.
func (b *unfenced) again(ctx context.Context, old core.Lease, err error, save func(core.Lease, int64) error) error {
	if !errors.Is(err, core.ErrFenced) {
		return err
	}
	b.mu.Lock()
	k := b.keys[old.ID]
	b.mu.Unlock()
	l, s, claimErr := b.Backend.Claim(ctx, k, 0)
	if claimErr != nil {
		return err
	}
	return save(l, int64(len(s.Steps)+1))
}

func (b *unfenced) Step(ctx context.Context, old core.Lease, rec core.StepRecord) error {
	return b.again(ctx, old, b.Backend.Step(ctx, old, rec), func(l core.Lease, seq int64) error {
		rec.Seq = seq
		return b.Backend.Step(ctx, l, rec)
	})
}

func (b *unfenced) Finish(ctx context.Context, old core.Lease, rec core.FinishRecord) error {
	return b.again(ctx, old, b.Backend.Finish(ctx, old, rec), func(l core.Lease, seq int64) error {
		rec.Seq = seq
		return b.Backend.Finish(ctx, l, rec)
	})
}

// forgetful loses the last step record when a run is claimed, and has room for it
// again.
type forgetful struct {
	core.Backend
	mu     sync.Mutex
	forgot map[int64]int64 // records, by Lease.ID
}

func forget(b core.Backend) core.Backend {
	return &forgetful{Backend: b, forgot: map[int64]int64{}}
}

func (b *forgetful) Claim(ctx context.Context, k core.RunKey, epoch int64) (core.Lease, core.Snapshot, error) {
	l, s, err := b.Backend.Claim(ctx, k, epoch)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgot[l.ID] = 0
	if n := len(s.Steps); n > 1 {
		s.Steps, s.State, b.forgot[l.ID] = s.Steps[:n-1], s.Steps[n-2].State, 1
	}
	return l, s, err
}

func (b *forgetful) behind(l core.Lease) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.forgot[l.ID]
}

func (b *forgetful) Step(ctx context.Context, l core.Lease, rec core.StepRecord) error {
	rec.Seq += b.behind(l)
	return b.Backend.Step(ctx, l, rec)
}

func (b *forgetful) Finish(ctx context.Context, l core.Lease, rec core.FinishRecord) error {
	rec.Seq += b.behind(l)
	return b.Backend.Finish(ctx, l, rec)
}
