package core

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// StepOption changes how a step is run.
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

// RetryIf tries again only after the errors for which worth returns true. It gets
// the error as the agent returned it. The default is every error; those that wrap
// [ErrFinal] are not asked about.
func RetryIf(worth func(error) bool) StepOption { return func(o *stepOptions) { o.worth = worth } }

// Backoff waits base before the first retry and twice as long before each
// further one, but never longer than most. The default is not to wait.
//
// An error with a method RetryAfter() time.Duration, as of a service that limits
// its callers, makes the wait at least that long. No run sleeps for longer than
// most, the step's [Timeout] (one minute where the step has neither), or the rest of its wall
// time: it stops with [*RetryLaterError] instead and can be resumed.
func Backoff(base, most time.Duration) StepOption {
	return func(o *stepOptions) { o.base, o.most = base, most }
}

// Timeout ends the context of each attempt after d. An agent that does not return
// then is abandoned: see [WithGrace].
func Timeout(d time.Duration) StepOption { return func(o *stepOptions) { o.timeout = d } }

// Reserve is the most that one attempt is expected to use. It is taken out of the
// budget before the call; what the agent did not use ([Request.Spend]) is given
// back. An agent that never reports has used it all.
func Reserve(tokens, cost int64) StepOption {
	return func(o *stepOptions) { o.reserve = Usage{Tokens: tokens, Cost: cost} }
}

// RetryLaterError stops a run in which a step should be tried again, but later than
// the run may wait. It is saved as [Stopped]; resume the run when the time has come.
type RetryLaterError struct {
	Path string
	Wait time.Duration // that the error of the attempt asks for
	Most time.Duration // that the run may wait, see [Backoff]
	Err  error         // of the attempt: a [*RecordedError]
}

func (e *RetryLaterError) Error() string {
	return fmt.Sprintf("step %q asks to be tried again in %v, and may wait for %v: resume the run then, or raise its Backoff, Timeout or wall time: %v",
		e.Path, e.Wait, e.Most, e.Err)
}

func (e *RetryLaterError) Unwrap() error { return e.Err }

// retryAfter is how long an error asks to wait.
func retryAfter(err error) time.Duration {
	var limited interface{ RetryAfter() time.Duration }
	if errors.As(err, &limited) {
		return limited.RetryAfter()
	}
	return 0
}

// mostAsked is the longest wait without a limit of the step's own.
const mostAsked = time.Minute

// longest is how long the run may wait because an error asks for it.
func (o stepOptions) longest(ctx context.Context) time.Duration {
	most := mostAsked
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

// rest waits before the given attempt. A stop is why the run cannot wait for it.
func (o stepOptions) rest(ctx context.Context, path string, attempt int, failed error) (stop error) {
	wait := o.wait(attempt)
	if asked := retryAfter(failed); asked > wait {
		if most := o.longest(ctx); asked > most {
			return &RetryLaterError{Path: path, Wait: asked, Most: most, Err: asRecorded(failed)}
		}
		wait = asked
	}
	return pause(ctx, wait)
}

// pause waits, or returns the cause why ctx ended before.
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
