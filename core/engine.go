package core

import (
	"context"
	"errors"
	"time"
)

// Engine runs pipelines. It is safe for concurrent use.
type Engine struct {
	backend Backend // nil: nothing is saved
	now     func() time.Time
}

// Option configures an [Engine].
type Option func(*Engine)

// WithBackend saves every run to b. The caller closes b after the last run.
func WithBackend(b Backend) Option { return func(e *Engine) { e.backend = b } }

// WithClock takes the times of the records from now instead of [time.Now].
func WithClock(now func() time.Time) Option { return func(e *Engine) { e.now = now } }

// NewEngine returns an engine; without options it saves nothing.
func NewEngine(opts ...Option) *Engine {
	e := &Engine{now: time.Now}
	for _, opt := range opts {
		opt(e)
	}
	return e
}

// Result is how a run ended.
type Result[S any] struct {
	Status Status // Completed, Failed, or Running where it stopped without an end and can be resumed
	Scope  S      // the scope behind the last successful step
	Steps  int    // steps executed by this call, a failed one included
	Calls  int    // calls of agents made by this call
}

// Run executes the pipeline under a new key.
//
// A failed step is a [*StepError] and the run is saved as failed. A cancelled
// context, a fault of the harness ([ErrHarness]) and a save that failed
// ([*SaveError]) stop the run without an end: it stays resumable.
func Run[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, scope S) (Result[S], error) {
	r := &run[S]{engine: e, plan: p, key: key, result: Result[S]{Status: Running, Scope: scope}}
	if key.Run == "" {
		return r.result, errors.New("run a pipeline: the key has no run name: give every run one of its own")
	}
	if e.backend != nil {
		if err := r.start(ctx); err != nil {
			return r.result, err
		}
	}
	err := r.steps(ctx, 0)
	return r.result, err
}

// Resume continues a saved run behind its last saved step. It claims the run, so
// that an executor which still holds it is refused ([ErrFenced]) at its next save.
// Errors wrap [ErrRunNotFound], [ErrRunFinished], [ErrPlanChanged] or
// [ErrCorrupt], or are those of [Run].
func Resume[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey) (Result[S], error) {
	r := &run[S]{engine: e, plan: p, key: key, result: Result[S]{Status: Running}}
	if e.backend == nil {
		return r.result, errors.New("resume run " + key.String() + ": the engine has no backend, so nothing was saved")
	}
	done, err := r.claim(ctx)
	if err != nil {
		return r.result, err
	}
	err = r.steps(ctx, done)
	return r.result, err
}
