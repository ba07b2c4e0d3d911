package core

import (
	"context"
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// User code can return, panic, or end its goroutine (runtime.Goexit). The engine
// converts a panic into an error, and also the end of a goroutine if it started that
// goroutine itself. The sequential part of a new run is executed in the goroutine of
// the caller of [Run]: if user code ends that goroutine, a saved run is cut off, and
// whoever resumes it calls the user code in goroutines of the engine. To start one for
// each call of a new run as well would cost 0.9 µs per call, a third of what the engine
// adds to the floor of a run.

// errGoexit is the failure of user code that ended its goroutine.
var errGoexit = fmt.Errorf("%w: neither a return nor a panic, but runtime.Goexit, as in testing.T.FailNow: return an error instead", ErrGoexit)

// outcome records whether a call of user code has returned.
type outcome struct{ returned bool }

// end, deferred, converts a panic and the end of a goroutine into an error.
func (o *outcome) end(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{Value: v, Stack: codec.StackOfUser()}
	} else if !o.returned {
		*err = errGoexit
	}
}

// contained calls f, which is user code, and converts its panic into an error. In a
// lane that is apart, it does the same when f ends its goroutine.
func contained[T any](t *thread, f func() (T, error)) (v T, err error) {
	if t.apart {
		return isolated(f)
	}
	defer codec.Contain(&err)
	return f()
}

// isolated calls f, which is user code, in a goroutine of its own, which f may end.
func isolated[T any](f func() (T, error)) (v T, err error) {
	aside(func() {
		var o outcome
		defer o.end(&err)
		v, err = f()
		o.returned = true
	})
	return v, err
}

// aside calls f in a goroutine of its own and waits for its end.
func aside(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// ask calls f, a condition or another function of the user, with a copy of the current
// scope, so that f cannot change the scope itself.
func ask[S, T any](l *lane[S], f func(S) (T, error)) (v T, err, stop error) {
	if stop = l.fresh(); stop != nil {
		return v, nil, stop
	}
	v, err = contained(l.thread, func() (v T, err error) {
		scope, err := l.codec.Copy(&l.scope)
		if err != nil {
			return v, err
		}
		return f(scope)
	})
	return v, err, nil
}

// abandoned is the failure of an agent that did not return within the grace after
// its context ended for the given cause.
func abandoned(path string, grace time.Duration, cause error) error {
	return fmt.Errorf("step %q was %w: it did not return within %v of the end of its context (%w): "+
		"its agent must return when the context is done", path, ErrAbandoned, grace, cause)
}

// detached calls an agent that has a deadline in a goroutine of its own, so that it can be
// abandoned: then the result is another attempt, because the agent may still use this one.
func (a *attempt[S, In, Out]) detached(ctx context.Context, r *run, req Request[In]) *attempt[S, In, Out] {
	if most := a.call.opts.timeout; most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, most, fmt.Errorf("its timeout of %v passed: %w", most, context.DeadlineExceeded))
		defer cancel()
	}
	e := r.engine
	done := make(chan struct{})
	e.detached.Add(1)
	go func() {
		defer close(done)
		defer e.detached.Add(-1)
		a.try(ctx, req)
	}()
	select {
	case <-done:
		return a
	case <-ctx.Done():
	}
	grace := time.NewTimer(e.grace)
	defer grace.Stop()
	select {
	case <-done:
		return a
	case <-grace.C:
	}
	r.abandoned.Add(1)
	return &attempt[S, In, Out]{err: abandoned(req.Path, e.grace, context.Cause(ctx))}
}
