package core

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Engine runs pipelines. It is safe for concurrent use.
type Engine struct {
	backend   Backend // nil: nothing is saved
	now       func() time.Time
	token     func() string
	log       *slog.Logger // nil: silent
	tracer    trace.Tracer // nil: no spans
	grace     time.Duration
	failed    func(key RunKey, path string, attempt int, err error)
	texts     bool // of errors, in logs and spans
	isolation bool
	doubles   bool
	detached  atomic.Int64 // attempts in a goroutine of their own that have not returned
}

// Option configures an [Engine].
type Option func(*Engine)

// WithBackend saves every run to b. The caller closes b after the last run.
func WithBackend(b Backend) Option { return func(e *Engine) { e.backend = b } }

// WithClock takes the times of the records from now instead of [time.Now].
func WithClock(now func() time.Time) Option { return func(e *Engine) { e.now = now } }

// WithTokens takes the tokens of pauses from token, which must never give the
// same one twice. The default is 130 random bits.
func WithTokens(token func() string) Option { return func(e *Engine) { e.token = token } }

// WithGrace is how long an agent may take to return once its deadline has passed.
// Then it is abandoned ([ErrAbandoned]). The default is one second.
func WithGrace(d time.Duration) Option { return func(e *Engine) { e.grace = d } }

// WithIsolationChecks looks for steps that change a scope which is not theirs
// ([*IsolationError]). Branches then run one after the other and every scope is
// encoded around every step: it is for tests, and slow.
func WithIsolationChecks() Option { return func(e *Engine) { e.isolation = true } }

// WithTestDoubles lets test doubles be stored. The default is to refuse them
// ([*DoubleError]): a mock in a saved state is a test that leaked.
func WithTestDoubles() Option { return func(e *Engine) { e.doubles = true } }

// NewEngine returns an engine; without options it saves nothing.
func NewEngine(opts ...Option) *Engine {
	e := &Engine{now: time.Now, token: rand.Text, grace: time.Second}
	for _, opt := range opts {
		opt(e)
	}
	return e
}

// Detached is the number of agents that have a deadline and have not returned:
// where no run is under way, those that were abandoned and still run.
func (e *Engine) Detached() int { return int(e.detached.Load()) }

// Result is what a run has come to.
type Result[S any] struct {
	Status    Status // Running where it stopped without an end and can be resumed
	Scope     S      // the scope behind the last successful step
	Pauses    []Pause
	Exits     map[string]Exit // of loops, by their paths
	Steps     int             // executed by this call, failed ones included
	Calls     int             // of agents, made by this call
	Abandoned int             // agents abandoned by this call
	Usage     Usage           // of the whole run, what was resumed included
}

// Untyped is the result for those who look at runs of any pipeline.
func (r Result[S]) Untyped() Result[any] {
	return Result[any]{Status: r.Status, Scope: r.Scope, Pauses: r.Pauses, Exits: r.Exits,
		Steps: r.Steps, Calls: r.Calls, Abandoned: r.Abandoned, Usage: r.Usage}
}

// Run executes the pipeline under a new key.
//
// It returns nil where the run completed, and also where it is [Paused]: the
// result has the tokens then. A failure is a [*StepError], [*LoopError],
// [*ValidationError] or [*NodeError], and the run is saved as failed. Running
// out of budget ([*BudgetError]) and a retry that must wait for too long
// ([*RetryLaterError]) are saved as [Stopped]. A cancelled context, a fault of
// the harness ([ErrHarness]) and a save that failed ([*SaveError]) stop the run
// without a trace. Paused, stopped and cut-off runs can be resumed.
func Run[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, scope S) (Result[S], error) {
	l := newLane(e, p, key)
	var err error
	if l.scope, err = p.codec.copy(&scope); err != nil {
		return Result[S]{Status: Running, Scope: scope}, fmt.Errorf("run %s: copy the scope: %w", key, err)
	}
	if key.Run == "" {
		return Result[S]{Status: Running, Scope: scope}, errors.New("run a pipeline: the key has no run name: give every run one of its own")
	}
	if l.run.saving() {
		if err := l.start(ctx, p); err != nil {
			return Result[S]{Status: Running, Scope: scope}, err
		}
	}
	return execute(ctx, p, l)
}

// Resume goes on with a saved run behind its last saved steps. It claims the run,
// so that an executor which still holds it is refused ([ErrFenced]) at its next
// save. Errors wrap [ErrRunNotFound], [ErrRunFinished], [ErrPlanChanged],
// [ErrDiverged] or [ErrCorrupt], or are those of [Run].
func Resume[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey) (Result[S], error) {
	return resume(ctx, e, p, key, 0)
}

func resume[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, epoch int64) (Result[S], error) {
	result := Result[S]{Status: Running}
	// Looked at before it is claimed: a wrong pipeline must not fence off the right one.
	if _, err := e.load(ctx, p.name, p.print, key); err != nil {
		return result, fmt.Errorf("resume run %s: %w", key, err)
	}
	lease, snap, err := e.backend.Claim(ctx, key, epoch)
	if err != nil {
		return result, fmt.Errorf("resume run %s: %w", key, err)
	}
	return execute(ctx, p, loaded(e, p, lease, snap))
}

// load loads a run of the given plan.
func (e *Engine) load(ctx context.Context, pipeline string, plan uint64, key RunKey) (Snapshot, error) {
	if e.backend == nil {
		return Snapshot{}, ErrNoBackend
	}
	snap, err := e.backend.Load(ctx, key)
	if err != nil {
		return snap, err
	}
	switch {
	case snap.Status == Completed || snap.Status == Failed:
		return snap, fmt.Errorf("%w: it has %v: start a new run under another key", ErrRunFinished, snap.Status)
	case snap.Start.Plan != plan:
		return snap, fmt.Errorf("%w: saved by %q, resumed by %q: resume with the pipeline of the start, or start a new run",
			ErrPlanChanged, snap.Start.Pipeline, pipeline)
	}
	return snap, nil
}
