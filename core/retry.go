package core

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// StepOption configures a [Step].
type StepOption func(*stepOptions)

type stepOptions struct {
	retries int
	worth   func(error) bool // a retry; nil: every error is
	base    time.Duration    // wait before the first retry; doubled with each
	most    time.Duration    // longest wait
	timeout time.Duration    // of one attempt
	reserve Usage            // of one attempt
}

func (o stepOptions) check() string {
	switch {
	case o.retries < 0:
		return fmt.Sprintf("%d retries: use 0 or more", o.retries)
	case o.base < 0 || o.most < o.base:
		return fmt.Sprintf("backoff from %v to %v: use 0 <= base <= most", o.base, o.most)
	case o.timeout < 0:
		return fmt.Sprintf("a timeout of %v: use 0 (none) or more", o.timeout)
	case o.reserve.Tokens < 0 || o.reserve.Cost < 0:
		return fmt.Sprintf("%d tokens and a cost of %d reserved: use 0 or more", o.reserve.Tokens, o.reserve.Cost)
	}
	return ""
}

// wait is how long to pause before the given attempt (2 is the first retry).
func (o stepOptions) wait(attempt int) time.Duration {
	d := o.base
	for i := 2; i < attempt && d < o.most; i++ {
		d *= 2
	}
	return min(d, o.most)
}

// Retries lets a step try again up to n times: 1+n attempts. The default is 0. An
// error that wraps [ErrFinal] is never tried again.
func Retries(n int) StepOption { return func(o *stepOptions) { o.retries = n } }

// RetryIf allows a retry only after errors for which worth returns true. worth gets the
// error that the agent returned, but none that wraps [ErrFinal]. By default every error
// allows a retry.
func RetryIf(worth func(error) bool) StepOption { return func(o *stepOptions) { o.worth = worth } }

// Backoff waits base before the first retry, and twice as long before each further one,
// up to most. By default there is no wait.
//
// If the error has a method RetryAfter() time.Duration, as that of a rate-limited service,
// the wait is at least that long. But if that is longer than most, the step's [Timeout]
// (one minute if the step has neither) or the rest of the wall time, the run stops with
// [*RetryLaterError] and can be resumed.
func Backoff(base, most time.Duration) StepOption {
	return func(o *stepOptions) { o.base, o.most = base, most }
}

// Timeout ends the context of each attempt after d. An agent that does not return then
// is abandoned, see [WithGrace].
func Timeout(d time.Duration) StepOption { return func(o *stepOptions) { o.timeout = d } }

// Reserve is the most that one attempt is expected to use. It is taken out of the budget
// before the call, and what the agent did not use ([Request.Spend]) is given back. An agent
// that never calls Spend has used all of it.
func Reserve(tokens, cost int64) StepOption {
	return func(o *stepOptions) { o.reserve = Usage{Tokens: tokens, Cost: cost} }
}

// RetryLaterError stops a run in which a retry must wait for longer than the run may. The
// run is saved as [Stopped]; resume it when the time has come.
type RetryLaterError struct {
	Path string
	Wait time.Duration // requested by the error of the attempt
	Most time.Duration // that the run may wait, see [Backoff]
	Err  error         // of the attempt: a [*RecordedError]
}

func (e *RetryLaterError) outline() string {
	return fmt.Sprintf("step %q asks to be tried again in %v, and may wait for %v", e.Path, e.Wait, e.Most)
}

func (e *RetryLaterError) Error() string {
	return fmt.Sprintf("%s: resume the run then, or raise its Backoff, Timeout or wall time: %v", e.outline(), e.Err)
}

func (e *RetryLaterError) Unwrap() error { return e.Err }

// retryAfter returns the wait that an error requests.
func retryAfter(err error) time.Duration {
	var limited interface{ RetryAfter() time.Duration }
	if errors.As(err, &limited) {
		return limited.RetryAfter()
	}
	return 0
}

// longest is how long the run may wait if an error requests it.
func (o stepOptions) longest(ctx context.Context) time.Duration {
	most := time.Minute
	switch {
	case o.most > 0 && o.timeout > 0:
		most = min(o.most, o.timeout)
	case o.most > 0 || o.timeout > 0:
		most = max(o.most, o.timeout)
	}
	if end, ok := ctx.Deadline(); ok {
		most = max(0, min(most, time.Until(end)))
	}
	return most
}

// rest waits before the given attempt. A stop is the reason why the run cannot wait.
func (o stepOptions) rest(ctx context.Context, path string, attempt int, failed error) (stop error) {
	wait := o.wait(attempt)
	if asked := retryAfter(failed); asked > wait {
		if most := o.longest(ctx); asked > most {
			return &RetryLaterError{Path: path, Wait: asked, Most: most, Err: AsRecorded(failed)}
		}
		wait = asked
	}
	return pause(ctx, wait)
}

// pause waits, or returns the cause if ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}
