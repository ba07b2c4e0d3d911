package core

import (
	"context"
	"fmt"
	"time"
)

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
