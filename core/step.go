package core

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Step is a node that calls an agent once, and again after a failure as its
// options allow. read makes the agent's input from the scope, write puts its
// output into the scope; both must be quick and free of effects. Every attempt
// works on a copy of the scope as it was before the first; only the copy of the
// one that succeeds is kept.
func Step[S, In, Out any](name string, agent Agent[In, Out], read func(S) In, write func(*S, Out), opts ...StepOption) *Node[S] {
	c := &call[S, In, Out]{agent: agent, read: read, write: write}
	c.codec, c.problem = newCodec[Out]()
	for _, opt := range opts {
		opt(&c.opts)
	}
	return &Node[S]{name, c}
}

// StepOption changes how a step is run.
type StepOption func(*stepOptions)

type stepOptions struct {
	retries int
	base    time.Duration // wait before the first retry; doubled with each
	most    time.Duration // longest wait
	timeout time.Duration // of one attempt
	reserve Usage         // of one attempt
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

// retryAfter is how long an error asks to wait.
func retryAfter(err error) time.Duration {
	var limited interface{ RetryAfter() time.Duration }
	if errors.As(err, &limited) {
		return limited.RetryAfter()
	}
	return 0
}

// Retries lets a step try again up to n times: 1+n attempts. The default is 0.
func Retries(n int) StepOption { return func(o *stepOptions) { o.retries = n } }

// Backoff waits base before the first retry and twice as long before each
// further one, but never longer than most. The default is not to wait. An error
// with a method RetryAfter() time.Duration makes the wait at least that long.
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

type call[S, In, Out any] struct {
	agent   Agent[In, Out]
	read    func(S) In
	write   func(*S, Out)
	opts    stepOptions
	codec   *codec[Out]
	problem error // of the codec
}

func (c *call[S, In, Out]) place(p *planner, path string, often tally) error {
	problem := c.opts.check()
	switch agent := any(c.agent).(type) {
	case nil:
		problem = "no agent: a step needs one to call"
	case interface{ check() string }:
		if of := agent.check(); of != "" {
			problem = of
		}
	}
	switch {
	case problem != "":
		return p.bad(path, problem)
	case c.read == nil:
		return p.bad(path, "no read function: it makes the agent's input from the scope")
	case c.write == nil:
		return p.bad(path, "no write function: it puts the agent's output into the scope")
	case c.problem != nil:
		return &PlanError{Pipeline: p.pipeline, Path: path, Problem: fmt.Sprintf("the agent's output cannot be used: %v", c.problem), Err: c.problem}
	}
	return p.step(path, often.times(1, 1+c.opts.retries))
}

func (c *call[S, In, Out]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	if rec, ok := l.recorded(path); ok {
		return c.replay(l, rec)
	}
	if stop := l.begin(ctx, path); stop != nil {
		return nil, stop
	}
	if stop := l.fresh(); stop != nil {
		return nil, stop
	}
	if stop := l.purse.take(Usage{Steps: 1}, path); stop != nil {
		return nil, stop
	}
	r := l.run
	rec := &l.rec
	*rec = StepRecord{Path: path, Status: Completed}
	if r.saving() {
		rec.Started = r.engine.now()
	}
	if r.engine.isolation {
		defer l.guard(path, func() ([]byte, error) { return l.codec.encode(&l.scope, true) })()
	}
	try, feedback := attempt[S, Out]{}, l.feedback
	for {
		if rec.Attempts > 0 {
			if cause := pause(ctx, max(c.opts.wait(rec.Attempts+1), retryAfter(try.err))); cause != nil {
				return nil, fmt.Errorf("run %s stopped before a retry of step %q: %w", r.key, path, cause)
			}
		}
		rec.Attempts++
		try, stop = c.attempt(ctx, l, rec, feedback)
		if stop != nil {
			return nil, fmt.Errorf("run %s stopped in step %q: %w", r.key, path, stop)
		}
		if try.err == nil || rec.Attempts > c.opts.retries {
			break
		}
		feedback = try.err.Error()
		rec.Feedback = feedback
	}
	r.steps.Add(1)
	if stop := l.guarded(path); stop != nil {
		return nil, stop
	}
	if try.err != nil {
		rec.Status, rec.Error = Failed, try.err.Error()
		failure = &StepError{Path: path, Attempts: rec.Attempts, Err: try.err}
	} else {
		l.scope = try.scope
	}
	if stop := c.keep(ctx, l, rec, &try); stop != nil {
		return nil, stop
	}
	r.engine.stepped(ctx, r, rec)
	return failure, nil
}

// attempt is what one attempt came to.
type attempt[S, Out any] struct {
	scope S // with the output written
	out   Out
	err   error
}

// attempt makes one attempt. What ends the run rather than the attempt is a stop.
func (c *call[S, In, Out]) attempt(ctx context.Context, l *lane[S], rec *StepRecord, feedback string) (try attempt[S, Out], stop error) {
	reserved := c.opts.reserve
	reserved.Calls = 1
	if stop := l.purse.reserve(reserved, rec.Path); stop != nil {
		return try, stop
	}
	req := Request[In]{
		Run: l.run.key, Path: rec.Path, Attempt: rec.Attempts, Feedback: feedback,
		meter: &l.meter, ticket: l.meter.open(l.purse, reserved), execution: l.run.execution,
	}
	if _, ends := ctx.Deadline(); ends || c.opts.timeout > 0 {
		try = c.detached(ctx, l, req)
	} else {
		try = c.try(ctx, l.codec, &l.scope, req)
	}
	used, overdrawn := l.meter.close()
	rec.Usage = rec.Usage.plus(used)
	l.run.calls.Add(used.Calls)
	switch {
	case overdrawn != nil:
		return try, overdrawn
	case try.err == nil:
		return try, nil
	case errors.Is(try.err, ErrHarness):
		return try, try.err
	case context.Cause(ctx) != nil:
		return try, context.Cause(ctx)
	}
	return try, nil
}

// try calls the agent on a copy of the scope.
func (c *call[S, In, Out]) try(ctx context.Context, codec *codec[S], scope *S, req Request[In]) (try attempt[S, Out]) {
	defer contain(&try.err)
	if try.scope, try.err = codec.copy(scope); try.err != nil {
		return try
	}
	req.Input = c.read(try.scope)
	if try.out, try.err = c.agent.Call(ctx, req); try.err == nil {
		c.write(&try.scope, try.out)
	}
	return try
}

// used is what the step of a record has used, the step itself included.
func (r *StepRecord) used() Usage { return r.Usage.plus(Usage{Steps: 1}) }

// keep saves the record of the step, where runs are saved, and shows the output
// to who wants it.
func (c *call[S, In, Out]) keep(ctx context.Context, l *lane[S], rec *StepRecord, try *attempt[S, Out]) (stop error) {
	r := l.run
	if !r.saving() && !l.watched {
		return nil
	}
	fail := func(what string, err error) error {
		return &SaveError{Run: r.key, What: "step " + rec.Path, Err: fmt.Errorf("the %s cannot be stored: %w", what, err)}
	}
	var err error
	if rec.Status == Completed {
		out := try.out // a copy that escapes only where it is stored
		if rec.Output, err = c.codec.encode(&out, r.engine.doubles); err != nil {
			return fail("output of the agent", err)
		}
		if l.watched {
			l.sawOutput(rec.Output)
		}
		if r.saving() {
			state, err := l.codec.encode(&l.scope, r.engine.doubles)
			if err != nil {
				return fail("scope", err)
			}
			l.keepState(rec, state)
		}
	}
	if !r.saving() {
		return nil
	}
	return r.save(ctx, rec)
}

// replay takes a record in place of the work.
func (c *call[S, In, Out]) replay(l *lane[S], rec *StepRecord) (failure, stop error) {
	l.purse.spent(rec.used())
	if rec.Status == Failed {
		return &StepError{Path: rec.Path, Attempts: rec.Attempts, Err: &RecordedError{rec.Error}}, nil
	}
	if rec.Status != Completed {
		return nil, fmt.Errorf("run %s: %w: record %d of step %q has status %v", l.run.key, ErrCorrupt, rec.Seq, rec.Path, rec.Status)
	}
	if l.watched {
		l.sawOutput(rec.Output)
	}
	if l.run.verify != nil {
		return nil, c.reenact(l, rec)
	}
	if rec.State != nil {
		l.stored = rec.State
	}
	if rec.State != nil || l.dirty { // no state is the one stored before, not the one changed since
		l.stale, l.dirty = true, false
	}
	return nil, nil
}

// reenact makes the state from the recorded output and compares it with the
// recorded state.
func (c *call[S, In, Out]) reenact(l *lane[S], rec *StepRecord) (stop error) {
	var out Out
	if err := c.codec.decode(rec.Output, &out); err != nil {
		return fmt.Errorf("replay step %q: the recorded output does not fit %T: %w", rec.Path, out, err)
	}
	failure, stop := l.change("step", rec.Path, func(s *S) error {
		c.write(s, out)
		return nil
	})
	if err := errors.Join(failure, stop); err != nil {
		return err
	}
	state, err := l.codec.encode(&l.scope, true)
	if err != nil {
		return fmt.Errorf("replay step %q: %w", rec.Path, err)
	}
	want := rec.State
	if want == nil {
		want = l.stored
	}
	l.stored = state
	return l.run.verify(rec, want, state)
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
