package suites

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flujo/flujo-harness/core"
)

// Ran is an executed run: the result of the engine and the saved records, which the matchers of this
// package print when they fail.
type Ran[S any] struct {
	Result core.Result[S]
	Err    error         // error of core.Run, Signal or Resume
	Saved  core.Snapshot // zero if nothing is saved
	Saves  int64         // saves made for it, counted by the backend, which no other run may use at the same time

	key      core.RunKey
	pipeline *core.Pipeline[S]
	backend  core.Backend
	engine   *core.Engine
}

// Run executes the pipeline with a new key on the backend, which may be nil. It never fails the spec;
// use a matcher for that.
func Run[S any](ctx context.Context, b core.Backend, p *core.Pipeline[S], key core.RunKey, scope S, opts ...core.Option) *Ran[S] {
	if b != nil {
		opts = append(slices.Clip(opts), core.WithBackend(b))
	}
	r := &Ran[S]{key: key, pipeline: p, backend: b, engine: core.NewEngine(opts...)}
	return r.next(func() (core.Result[S], error) { return core.Run(ctx, r.engine, p, key, scope) })
}

// Answer answers the pause at path, continues the run and returns its new state. r is unchanged.
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

// Resume resumes the run and returns its new state. r is unchanged.
func (r *Ran[S]) Resume(ctx context.Context) *Ran[S] {
	return r.next(func() (core.Result[S], error) { return core.Resume(ctx, r.engine, r.pipeline, r.key) })
}

// next returns the run after another call of the engine.
func (r *Ran[S]) next(call func() (core.Result[S], error)) *Ran[S] {
	n := *r
	if r.backend == nil {
		n.Result, n.Err = call()
		return &n
	}
	before := r.backend.Counts().Saves
	n.Result, n.Err = call()
	n.Saves += r.backend.Counts().Saves - before
	snap, err := r.backend.Load(context.Background(), r.key) // even if the context of the spec has ended
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
