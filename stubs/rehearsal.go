package stubs

import (
	"context"
	"errors"
	"sync"

	"github.com/flujo/flujo-harness/core"
)

// Rehearsal holds the calls of scripted agents that one run made. It repeats them without the run,
// to measure the cost of the scripts alone. [Book.Rehearse] creates one.
type Rehearsal struct {
	mu    sync.Mutex
	run   core.RunKey // the first run that called an agent
	calls []func(context.Context, core.RunKey) error
}

// Rehearse records the calls of the first run of an arm. It must be called before that run, and the
// result used after it.
func (b *Book) Rehearse(arm string) (*Rehearsal, error) {
	a, err := b.arm(arm)
	if err != nil {
		return nil, err
	}
	a.rehearsal = &Rehearsal{}
	return a.rehearsal, nil
}

// keep stores a call if it belongs to the rehearsed run.
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

// Calls returns the number of calls that the run made.
func (r *Rehearsal) Calls() int { return len(r.calls) }

// Run makes the calls sequentially, as another run, in the context of an arm whose book is sized for
// it ([Book.In]). It ignores errors that scripts answer, and returns errors that wrap
// core.ErrHarness.
func (r *Rehearsal) Run(ctx context.Context, run core.RunKey) error {
	for _, call := range r.calls {
		if err := call(ctx, run); err != nil && errors.Is(err, core.ErrHarness) {
			return err
		}
	}
	return nil
}
