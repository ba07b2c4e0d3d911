package core

import (
	"context"
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// Code of the user is called in three ways: it returns, it panics, or it ends its
// goroutine (runtime.Goexit). The engine makes an error of the second, and of the
// third where the goroutine is its own: one of a branch, or one that it started for
// the call. The sequential part of a new run is executed in the goroutine of the
// caller of [Run], which ends as in any function call; a saved run is cut off then,
// and whoever resumes it makes its calls in goroutines of the engine. To start one for
// each call of a new run too would cost 0.9 us a call, a third of what the engine
// takes beside the floor of a run.

// errGoexit is the failure of what ended its goroutine.
var errGoexit = fmt.Errorf("%w: neither a return nor a panic, but runtime.Goexit, as in testing.T.FailNow: return an error instead", ErrGoexit)

// outcome notes how a call of the user's code ended. Its zero value is: not by return.
type outcome struct{ returned bool }

// end, deferred, makes an error of a panic and of an ended goroutine.
func (o *outcome) end(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{Value: v, Stack: codec.StackOfUser()}
	} else if !o.returned {
		*err = errGoexit
	}
}

// contained calls f, code of the user, and makes an error of its panic and, in a
// goroutine of the engine's, of its end.
func contained[T any](t *thread, f func() (T, error)) (v T, err error) {
	if t.apart {
		return isolated(f)
	}
	defer codec.Contain(&err)
	return f()
}

// isolated calls f in a goroutine of its own, which f may end.
func isolated[T any](f func() (T, error)) (v T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var o outcome
		defer o.end(&err)
		v, err = f()
		o.returned = true
	}()
	<-done
	return v, err
}

// ask calls f, a condition or another function of the user, with a copy of the
// scope: what it does to its argument reaches nobody.
func ask[S, T any](l *lane[S], f func(S) (T, error)) (T, error) {
	return contained(l.thread, func() (v T, err error) {
		scope, err := l.codec.Copy(&l.scope)
		if err != nil {
			return v, err
		}
		return f(scope)
	})
}

// abandoned is the failure of an agent that did not return within the grace after
// the end of its context, which cause is.
func abandoned(path string, grace time.Duration, cause error) error {
	return fmt.Errorf("step %q was %w: it did not return within %v of the end of its context (%w): "+
		"its agent must return when the context is done", path, ErrAbandoned, grace, cause)
}

// detached makes an attempt that has a deadline in a goroutine of its own, on
// the copies of the scope in w, so that it can be left behind.
func (c *call[S, In, Out]) detached(ctx context.Context, r *run, w *work[S, In, Out], req Request[In]) attempt[S, Out] {
	if c.opts.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.opts.timeout, fmt.Errorf("its timeout of %v passed: %w", c.opts.timeout, context.DeadlineExceeded))
		defer cancel()
	}
	e := r.engine
	done := make(chan struct{})
	e.detached.Add(1)
	go func() {
		defer close(done)
		defer e.detached.Add(-1)
		c.try(ctx, w, req)
	}()
	select {
	case <-done:
		return w.try
	case <-ctx.Done():
	}
	grace := time.NewTimer(e.grace)
	defer grace.Stop()
	select {
	case <-done:
		return w.try
	case <-grace.C:
	}
	r.abandoned.Add(1)
	return attempt[S, Out]{err: abandoned(req.Path, e.grace, context.Cause(ctx))}
}
