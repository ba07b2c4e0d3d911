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
	backend   Backend   // nil: nothing is saved
	queue     StepQueue // the backend, if it is one
	now       func() time.Time
	token     func() string
	log       *slog.Logger // nil: silent
	tracer    trace.Tracer // nil: no spans
	grace     time.Duration
	failed    func(key RunKey, path string, attempt int, err error)
	texts     bool // of errors, in logs and spans
	isolation bool
	executor  string
	lease     time.Duration
	held      held
	detached  atomic.Int64 // attempts in a goroutine of their own that have not returned
}

// Option configures an [Engine].
type Option func(*Engine)

// WithBackend saves every run to b. The caller closes b after the last run.
func WithBackend(b Backend) Option { return func(e *Engine) { e.backend = b } }

// WithClock takes the times of the records from now instead of [time.Now].
func WithClock(now func() time.Time) Option { return func(e *Engine) { e.now = now } }

// WithTokens takes the tokens of pauses from token, which must never return the same one
// twice. By default tokens have 130 random bits.
func WithTokens(token func() string) Option { return func(e *Engine) { e.token = token } }

// WithGrace sets how long an agent may take to return after its deadline. Then it is
// abandoned ([ErrAbandoned]). The default is one second.
func WithGrace(d time.Duration) Option { return func(e *Engine) { e.grace = d } }

// WithIsolationChecks reports steps that change a scope that is not theirs
// ([*IsolationError]). Branches then run one after the other, and every scope is encoded
// before and after every step: it is for tests, and slow.
func WithIsolationChecks() Option { return func(e *Engine) { e.isolation = true } }

// NewEngine returns an engine; without options it saves nothing.
func NewEngine(opts ...Option) *Engine {
	e := &Engine{now: time.Now, token: rand.Text, grace: time.Second, lease: DefaultLease}
	for _, opt := range opts {
		opt(e)
	}
	e.queue, _ = e.backend.(StepQueue)
	if e.executor == "" && e.backend != nil {
		e.executor = executorName()
	}
	return e
}

// Detached returns the number of agents that have a deadline and have not returned. If
// no run is being executed, these are the abandoned ones.
func (e *Engine) Detached() int { return int(e.detached.Load()) }

// Next is who continues a run that has not ended.
type Next int8

const (
	// Here: this call continued the run, and returned the result.
	Here Next = iota
	// Elsewhere: an executor that is alive has the run ([Result.Holder]), and will use
	// what was recorded.
	Elsewhere
	// Nobody: no executor has the run until [ResumeAll] or [Resume] takes it up.
	Nobody
)

func (n Next) String() string {
	if Here <= n && n <= Nobody {
		return [...]string{"here", "elsewhere", "nobody"}[n]
	}
	return fmt.Sprintf("Next(%d)", int8(n))
}

// Result is the state of a run after a call.
type Result[S any] struct {
	Status    Status // Running if it stopped before its end and can be resumed
	Next      Next   // who continues
	Holder    Holder // of the run, if Next is Elsewhere
	Scope     S      // the scope after the last successful step
	Pauses    []Pause
	Wake      time.Time       // when a paused run can continue without an answer; zero: never
	Exits     map[string]Exit // of loops, by their paths
	Steps     int             // executed by this call, including failed ones
	Calls     int             // of agents, made by this call
	Abandoned int             // agents abandoned by this call
	Usage     Usage           // of the whole run, including earlier calls
}

// Untyped returns the result for code that handles runs of any pipeline.
func (r Result[S]) Untyped() Result[any] {
	return Result[any]{Status: r.Status, Next: r.Next, Holder: r.Holder, Scope: r.Scope, Pauses: r.Pauses, Wake: r.Wake, Exits: r.Exits,
		Steps: r.Steps, Calls: r.Calls, Abandoned: r.Abandoned, Usage: r.Usage}
}

// Run executes the pipeline under a new key.
//
// The error is nil if the run completed, and also if it is [Paused]: then the result has
// the tokens. A failure is a [*StepError], [*LoopError], [*ValidationError] or
// [*NodeError], and the run is saved as failed. Retries, fallbacks and loops can handle
// failures, but not the following errors, after which the run can be resumed. Running out
// of budget ([*BudgetError]) and a retry that would have to wait for too long
// ([*RetryLaterError]) are saved as [Stopped]. A cancelled context, a lost lease
// ([ErrFenced]), a fault of the harness ([ErrHarness]) and a save that failed
// ([*SaveError]) stop the run without a record. A run that was cancelled returns
// [ErrCancelled] (see [Engine.Cancel]).
//
// Agents and functions of the sequential part are called in the goroutine of the caller.
// If one ends that goroutine, as testing.T.FailNow does, Run does not return and the run
// can be resumed. In a branch, and in a run that is resumed, that is a failure
// ([ErrGoexit]). Goroutines are started for branches and for calls with a deadline.
func Run[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, scope S) (Result[S], error) {
	l, err := begin(ctx, e, p, key, scope, true)
	if err != nil {
		return Result[S]{Status: Running, Next: Nobody, Scope: scope}, err
	}
	return execute(ctx, p, l)
}

// Begin saves the start of a run and leaves its execution to [ResumeAll] or [Resume], in
// this process or another one.
func Begin[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, scope S) error {
	if e.backend == nil {
		return fmt.Errorf("begin run %s: %w", key, ErrNoBackend)
	}
	_, err := begin(ctx, e, p, key, scope, false)
	return err
}

// begin creates the first lane of a run and saves its start. here means that this engine
// will execute it.
func begin[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, scope S, here bool) (l *lane[S], err error) {
	l = newLane(e, p, key)
	if l.scope, err = p.codec.Copy(&scope); err != nil {
		return nil, fmt.Errorf("run %s: copy the scope: %w", key, err)
	}
	if key.Run == "" {
		return nil, errors.New("run a pipeline: the key has no run name: give every run one of its own")
	}
	if l.run.saving() {
		err = l.start(ctx, p, here)
	}
	return l, err
}

// RunOrResume starts the run of this key, or resumes it, or returns its result if it has
// ended, so that a request or a job can be repeated. A run whose executor is alive is left
// alone: the result is Running and Elsewhere. The scope is used only if the run is new.
// Errors are those of [Run] and [Resume]; a run that has failed before returns its recorded
// failure as a [*RecordedError].
func RunOrResume[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, scope S) (Result[S], error) {
	result, err := Run(ctx, e, p, key, scope)
	if !errors.Is(err, ErrRunExists) {
		return result, err
	}
	result, err = resume(ctx, e, p, key, claimant{gentle: true})
	if ended := new(finishedError); errors.As(err, &ended) {
		return result, ended.Unwrap()
	}
	return result, err
}
