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

// NewEngine returns an engine; without options it saves nothing.
func NewEngine(opts ...Option) *Engine {
	e := &Engine{now: time.Now, token: rand.Text, grace: time.Second, lease: DefaultLease}
	for _, opt := range opts {
		opt(e)
	}
	if e.executor == "" && e.backend != nil {
		e.executor = executorName()
	}
	return e
}

// Detached is the number of agents that have a deadline and have not returned:
// where no run is under way, those that were abandoned and still run.
func (e *Engine) Detached() int { return int(e.detached.Load()) }

// Next says who goes on with a run that has not ended.
type Next int8

const (
	// Here: this call went on with the run. The result is how far it came.
	Here Next = iota
	// Elsewhere: an executor that is alive has the run, and will take in what was
	// recorded: see [Result.Holder].
	Elsewhere
	// Nobody: no executor has the run. [ResumeAll] takes it up, or [Resume] it.
	Nobody
)

func (n Next) String() string {
	if Here <= n && n <= Nobody {
		return [...]string{"here", "elsewhere", "nobody"}[n]
	}
	return fmt.Sprintf("Next(%d)", int8(n))
}

// Result is what a run has come to.
type Result[S any] struct {
	Status    Status // Running where it stopped without an end and can be resumed
	Next      Next   // who goes on
	Holder    Holder // of the run, where Next is Elsewhere
	Scope     S      // the scope after the last successful step
	Pauses    []Pause
	Wake      time.Time       // when a paused run can go on without an answer; zero: never
	Exits     map[string]Exit // of loops, by their paths
	Steps     int             // executed by this call, failed ones included
	Calls     int             // of agents, made by this call
	Abandoned int             // agents abandoned by this call
	Usage     Usage           // of the whole run, what was resumed included
}

// Untyped is the result for those who look at runs of any pipeline.
func (r Result[S]) Untyped() Result[any] {
	return Result[any]{Status: r.Status, Next: r.Next, Holder: r.Holder, Scope: r.Scope, Pauses: r.Pauses, Wake: r.Wake, Exits: r.Exits,
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
// without a trace. So does an agent or function of the sequential part that ends its
// goroutine, as testing.T.FailNow does: that is the goroutine of the caller, to which
// Run does not return. In a branch, and in a run that is resumed, it is a failure
// ([ErrGoexit]). Paused, stopped and cut-off runs can be resumed. A run that [Cancel]
// has ended returns [ErrCancelled].
func Run[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, scope S) (Result[S], error) {
	l, err := begin(ctx, e, p, key, scope, e.holder)
	if err != nil {
		return Result[S]{Status: Running, Next: Nobody, Scope: scope}, err
	}
	return execute(ctx, p, l)
}

// Begin saves the start of a run and leaves its execution to others: to [ResumeAll] or
// [Resume], in this process or another one.
func Begin[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, scope S) error {
	if e.backend == nil {
		return fmt.Errorf("begin run %s: %w", key, ErrNoBackend)
	}
	_, err := begin(ctx, e, p, key, scope, func() Holder { return Holder{} })
	return err
}

// begin makes the first lane of a run and saves its start.
func begin[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, scope S, holder func() Holder) (l *lane[S], err error) {
	l = newLane(e, p, key)
	if l.scope, err = p.codec.Copy(&scope); err != nil {
		return nil, fmt.Errorf("run %s: copy the scope: %w", key, err)
	}
	if key.Run == "" {
		return nil, errors.New("run a pipeline: the key has no run name: give every run one of its own")
	}
	if l.run.saving() {
		if err := l.start(ctx, p, holder(), Origin{}); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// RunOrResume executes a run of this key to its end, whoever began it and however
// often it is called: it starts the run, or goes on with it, or returns what it has
// come to. So a request or a job can be repeated. A run that an executor has which is
// alive is left to it: the result is Running and Elsewhere then. The scope counts only
// where the run is new. Errors are those of [Run] and [Resume]; a run that has failed
// before returns its recorded failure as a [*RecordedError].
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
