package core

import (
	"context"
	"errors"
	"strings"
)

// RunKey names a run. Two tenants may use the same run name.
type RunKey struct {
	Tenant string // may be empty
	Run    string // must not be empty
}

// String returns "tenant/run", or "run" where there is no tenant.
func (k RunKey) String() string {
	if k.Tenant == "" {
		return k.Run
	}
	return k.Tenant + "/" + k.Run
}

// Request is the argument of an agent's call.
type Request[In any] struct {
	Input    In
	Run      RunKey
	Path     string // path of the step within its run, for example "refine#3/draft"
	Attempt  int    // from 1
	Feedback string // why the previous attempt, or alternative, failed; empty on the first

	meter     *meter
	ticket    uint64 // of the attempt, see meter
	execution uint64 // see Execution; the lowest bit is set if it is a resumed one
}

// Execution numbers the calls of [Run], [Resume] and [Signal] in this process, so that a
// test double can distinguish two runs of one key, and a resumed run from a new one. It
// is 0 outside an engine.
func (r Request[In]) Execution() (number uint64, resumed bool) {
	return r.execution >> 1, r.execution&1 == 1
}

// Key is the idempotency key of the step: the same for every attempt and after
// every crash, different for every other step and run.
func (r Request[In]) Key() string {
	return r.Run.unique() + "#" + r.Path
}

// unique returns a text that differs for different keys, also for "a/b", "c" and "a", "b/c".
func (k RunKey) unique() string {
	return RunKey{separators.Replace(k.Tenant), separators.Replace(k.Run)}.String()
}

// separators escapes what separates the parts of a key.
var separators = strings.NewReplacer("%", "%25", "/", "%2F", "#", "%23")

// Agent does the work of a step: it calls a model, a service or a function.
//
// Call may be used by several runs at once. It should return soon after ctx is done,
// and must not keep or change what Input points to. An error makes the attempt fail,
// which is retried as the options of the step allow, unless the error wraps
// [ErrHarness]. A panic is an error too ([ErrPanic]).
type Agent[In, Out any] interface {
	Call(ctx context.Context, req Request[In]) (Out, error)
}

// Func makes an [Agent] of a function.
type Func[In, Out any] func(ctx context.Context, req Request[In]) (Out, error)

func (f Func[In, Out]) check() string {
	if f == nil {
		return "no agent: a step needs one to call"
	}
	return ""
}

// Call calls f.
func (f Func[In, Out]) Call(ctx context.Context, req Request[In]) (Out, error) { return f(ctx, req) }

// AgentFunc makes an [Agent] of a function of the input, for example a method of a
// client. A function that needs the whole [Request] is a [Func].
func AgentFunc[In, Out any](f func(ctx context.Context, in In) (Out, error)) Agent[In, Out] {
	if f == nil {
		return Func[In, Out](nil)
	}
	return Func[In, Out](func(ctx context.Context, req Request[In]) (Out, error) { return f(ctx, req.Input) })
}

// MeteredFunc is [AgentFunc] for a function that also returns what its call used, as
// clients of model services do. Tokens and Cost are reported as by [Request.Spend], also
// if the function returns an error. Calls and Steps are ignored: the engine counts them.
func MeteredFunc[In, Out any](f func(ctx context.Context, in In) (Out, Usage, error)) Agent[In, Out] {
	if f == nil {
		return Func[In, Out](nil)
	}
	return Func[In, Out](func(ctx context.Context, req Request[In]) (Out, error) {
		out, used, err := f(ctx, req.Input)
		if used.Tokens != 0 || used.Cost != 0 || err == nil {
			if short := req.Spend(used.Tokens, used.Cost); short != nil {
				err = errors.Join(err, short)
			}
		}
		return out, err
	})
}
