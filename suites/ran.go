package suites

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flujo/flujo-harness/core"
)

// Ran is a run as a spec looks at it: what the engine returned, and what is saved.
// The matchers of this package take it, and show in their failures what is saved.
type Ran[S any] struct {
	Result core.Result[S]
	Err    error         // what core.Run, Signal or Resume returned
	Saved  core.Snapshot // zero where nothing is saved
	Saves  int64         // made for it so far, counted by the backend: nobody else may save there meanwhile

	key      core.RunKey
	pipeline *core.Pipeline[S]
	backend  core.Backend
	engine   *core.Engine
}

// Run runs the pipeline over the backend, which may be nil, under a new key. It never
// fails the spec: say with a matcher what is expected.
func Run[S any](ctx context.Context, b core.Backend, p *core.Pipeline[S], key core.RunKey, scope S, opts ...core.Option) *Ran[S] {
	if b != nil {
		opts = append(slices.Clip(opts), core.WithBackend(b))
	}
	r := &Ran[S]{key: key, pipeline: p, backend: b, engine: core.NewEngine(opts...)}
	return r.next(func() (core.Result[S], error) { return core.Run(ctx, r.engine, p, key, scope) })
}

// Answer answers the pause at path, and returns the run as it is behind it.
func (r *Ran[S]) Answer(ctx context.Context, path string, answer any) *Ran[S] {
	for _, p := range r.Result.Pauses {
		if p.Path == path {
			return r.next(func() (core.Result[S], error) {
				return core.Signal(ctx, r.engine, r.pipeline, r.key, p.Token, answer)
			})
		}
	}
	return r.next(func() (core.Result[S], error) {
		return r.Result, fmt.Errorf("answer %q of %s: %w: it waits at %q", path, r.name(), core.ErrNoPause, pausePaths(r.Result.Pauses))
	})
}

// Resume goes on with the run, and returns it as it is behind that.
func (r *Ran[S]) Resume(ctx context.Context) *Ran[S] {
	return r.next(func() (core.Result[S], error) { return core.Resume(ctx, r.engine, r.pipeline, r.key) })
}

// next is the run behind one more call of the engine.
func (r *Ran[S]) next(call func() (core.Result[S], error)) *Ran[S] {
	n := *r
	if r.backend == nil {
		n.Result, n.Err = call()
		return &n
	}
	before := r.backend.Counts().Saves
	n.Result, n.Err = call()
	n.Saves += r.backend.Counts().Saves - before
	snap, err := r.backend.Load(context.Background(), r.key) // also where the spec's context has ended
	if err == nil {
		n.Saved = snap
	} else if !errors.Is(err, core.ErrRunNotFound) {
		n.Err = errors.Join(n.Err, err)
	}
	return &n
}

func (r *Ran[S]) name() string {
	return fmt.Sprintf("run %q of pipeline %q", r.key.String(), r.pipeline.Name())
}

// facts implements factual.
func (r *Ran[S]) facts() facts {
	if r == nil {
		return facts{what: "no run"}
	}
	result := r.Result.Untyped()
	f := facts{what: r.name(), result: &result, err: r.Err}
	if r.backend != nil {
		f.saves = &r.Saves
	}
	if r.Saved.Start.Pipeline != "" {
		f.saved = &r.Saved
	}
	return f
}
