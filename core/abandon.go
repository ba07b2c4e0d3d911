package core

import (
	"context"
	"fmt"
	"time"
)

// AbandonedError is an agent that did not return although its context had ended.
// Its goroutine may still run; what it returns is dropped.
type AbandonedError struct {
	Path  string
	Grace time.Duration // waited for behind the end of the context
	Err   error         // why the context ended
}

func (e *AbandonedError) Error() string {
	return fmt.Sprintf("step %q did not return within %v of the end of its context (%v) and was abandoned: "+
		"its agent must return when the context is done", e.Path, e.Grace, e.Err)
}

func (e *AbandonedError) Unwrap() error { return e.Err }

// detached makes an attempt that has a deadline in a goroutine of its own, on a
// copy of the scope of its own, so that it can be left behind.
func (c *call[S, In, Out]) detached(ctx context.Context, l *lane[S], req Request[In]) attempt[S, Out] {
	if c.opts.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.opts.timeout, fmt.Errorf("its timeout of %v passed: %w", c.opts.timeout, context.DeadlineExceeded))
		defer cancel()
	}
	scope, err := l.codec.copy(&l.scope)
	if err != nil {
		return attempt[S, Out]{err: err}
	}
	e, codec := l.run.engine, l.codec
	done := make(chan attempt[S, Out], 1)
	e.detached.Add(1)
	go func() {
		defer e.detached.Add(-1)
		done <- c.try(ctx, codec, &scope, req)
	}()
	select {
	case try := <-done:
		return try
	case <-ctx.Done():
	}
	grace := time.NewTimer(e.grace)
	defer grace.Stop()
	select {
	case try := <-done:
		return try
	case <-grace.C:
	}
	l.run.abandoned.Add(1)
	return attempt[S, Out]{err: &AbandonedError{Path: req.Path, Grace: e.grace, Err: context.Cause(ctx)}}
}
