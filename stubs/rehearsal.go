package stubs

import (
	"context"
	"errors"
	"sync"

	"github.com/flujo/flujo-harness/core"
)

// Rehearsal is the calls of scripted agents that one run made, to be made again without
// the run: what the scripts of a measurement cost alone. Make one with [Book.Rehearse].
type Rehearsal struct {
	mu    sync.Mutex
	run   core.RunKey // the first that called
	calls []func(context.Context, core.RunKey) error
}

// Rehearse keeps the calls of the first run of an arm. Call it before that run; read
// the rehearsal after it.
func (b *Book) Rehearse(arm string) (*Rehearsal, error) {
	a, err := b.arm(arm)
	if err != nil {
		return nil, err
	}
	a.rehearsal = &Rehearsal{}
	return a.rehearsal, nil
}

// keep keeps a call, if it is of the run that is rehearsed.
func (r *Rehearsal) keep(run core.RunKey, call func(context.Context, core.RunKey) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run == (core.RunKey{}) {
		r.run = run
	}
	if r.run == run {
		r.calls = append(r.calls, call)
	}
}

// Calls is the number of calls that the run made.
func (r *Rehearsal) Calls() int { return len(r.calls) }

// Run makes the calls one after the other, as another run, under the context of an arm
// whose book is sized for it ([Book.In]). Errors that a script answers are part of the
// rehearsal; those of the harness, wrapping core.ErrHarness, are returned.
func (r *Rehearsal) Run(ctx context.Context, run core.RunKey) error {
	for _, call := range r.calls {
		if err := call(ctx, run); err != nil && errors.Is(err, core.ErrHarness) {
			return err
		}
	}
	return nil
}
