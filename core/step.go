package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// Step is a node that calls an agent, and calls it again after a failure if its options
// allow. read makes the agent's input from the scope, and write puts its output into the
// scope; both must be quick and have no other effects. Every attempt works on a copy of
// the scope before the step; only the copy of the successful attempt is kept.
func Step[S, In, Out any](name string, agent Agent[In, Out], read func(S) In, write func(*S, Out), opts ...StepOption) *Node[S] {
	c := &call[S, In, Out]{agent: agent, read: read, write: write}
	c.codec, c.problem = codec.New[Out]()
	_, c.asks = any(agent).(asker)
	for _, opt := range opts {
		opt(&c.opts)
	}
	return &Node[S]{name, c}
}

type call[S, In, Out any] struct {
	agent   Agent[In, Out]
	read    func(S) In
	write   func(*S, Out)
	opts    stepOptions
	asks    bool // the agent demands its reservations itself, see asker
	codec   *codec.Codec[Out]
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
		defer l.guard(path, func() ([]byte, error) { return l.codec.Encode(&l.scope) })()
	}
	var try *attempt[S, In, Out]
	feedback := l.feedback
	for {
		rec.Attempts++
		try, stop = c.attempt(ctx, l, rec, feedback)
		if stop != nil {
			return nil, fmt.Errorf("run %s stopped in step %q: %w", r.key, path, stop)
		}
		if try.err == nil || rec.Attempts > c.opts.retries {
			break
		}
		again := false
		if again, try.err = c.again(l, try.err); !again {
			break
		}
		feedback = recordedText(try.err)
		rec.Feedback = feedback
		if stop := c.opts.rest(ctx, path, rec.Attempts+1, try.err); stop != nil {
			return nil, fmt.Errorf("run %s stopped before a retry of step %q: %w", r.key, path, stop)
		}
	}
	r.steps.Add(1)
	if stop := l.guarded(path); stop != nil {
		return nil, stop
	}
	if try.err != nil {
		failed := AsRecorded(try.err)
		if err := rec.fail(failed); err != nil {
			return nil, &SaveError{Run: r.key, What: "step " + path, Err: err}
		}
		failure = &StepError{Path: path, Attempts: rec.Attempts, Err: failed}
	} else {
		l.scope = try.scope
	}
	if stop := c.keep(ctx, l, rec, try); stop != nil {
		return nil, stop
	}
	r.engine.stepped(ctx, r, rec)
	return failure, nil
}

// again reports whether an error is worth a retry. If the function that decides this
// fails, the step fails with its error.
func (c *call[S, In, Out]) again(l *lane[S], failed error) (bool, error) {
	if errors.Is(failed, ErrFinal) {
		return false, failed
	}
	if c.opts.worth == nil {
		return true, failed
	}
	worth, err := contained(l.thread, func() (bool, error) { return c.opts.worth(failed), nil })
	if err != nil {
		return false, fmt.Errorf("is it worth a retry (%w): %w", failed, err)
	}
	return worth, failed
}

// attempt is one attempt. It has two copies of the scope: the agent may keep or change
// what its input points to, so the output is not written into the copy that the input was
// made from.
type attempt[S, In, Out any] struct {
	call    *call[S, In, Out]
	codec   *codec.Codec[S]
	settle  bool // the output is recorded
	guarded bool // changes of view are reported
	view    S    // from which the input is made
	scope   S    // into which the output is written
	out     Out
	err     error // of the attempt
	stop    error // ends the run
}

// attempt makes one attempt. An error that ends the run, not only the attempt, is a stop.
func (c *call[S, In, Out]) attempt(ctx context.Context, l *lane[S], rec *StepRecord, feedback string) (a *attempt[S, In, Out], stop error) {
	e := l.run.engine
	reserved := c.opts.reserve
	reserved.Calls = 1
	ticket, stop := l.meter.open(l.purse, reserved, rec.Path, c.asks)
	if stop != nil {
		return nil, stop
	}
	req := Request[In]{
		Run: l.run.key, Path: rec.Path, Attempt: rec.Attempts, Feedback: feedback,
		meter: &l.meter, ticket: ticket, execution: l.run.execution,
	}
	a = &attempt[S, In, Out]{call: c, codec: l.codec, settle: l.run.saving(), guarded: e.isolation}
	if a.view, a.err = l.codec.Copy(&l.scope); a.err == nil {
		a.scope, a.err = l.codec.Copy(&l.scope)
	}
	_, ends := ctx.Deadline()
	switch {
	case ends || c.opts.timeout > 0:
		a = a.detached(ctx, l.run, req)
	case l.apart:
		a.isolated(ctx, req)
	default:
		a.try(ctx, req)
	}
	used, overdrawn := l.meter.close()
	rec.Usage = rec.Usage.plus(used)
	l.run.calls.Add(used.Calls)
	if a.err != nil && e.failed != nil {
		e.failed(l.run.key, rec.Path, rec.Attempts, a.err)
	}
	switch {
	case overdrawn != nil:
		return a, overdrawn
	case a.stop != nil || a.err == nil:
		return a, a.stop
	case errors.Is(a.err, ErrHarness):
		return a, a.err
	}
	return a, context.Cause(ctx)
}

// isolated calls the agent in a goroutine of its own, which the agent may end.
func (a *attempt[S, In, Out]) isolated(ctx context.Context, req Request[In]) {
	aside(func() { a.try(ctx, req) })
}

// try calls the agent.
func (a *attempt[S, In, Out]) try(ctx context.Context, req Request[In]) {
	if a.err != nil {
		return // the scope cannot be copied
	}
	var o outcome
	defer o.end(&a.err)
	a.err = a.do(ctx, req)
	o.returned = true
}

func (a *attempt[S, In, Out]) do(ctx context.Context, req Request[In]) (err error) {
	var before []byte
	if a.guarded {
		before, _ = a.codec.Encode(&a.view) // the save refuses a scope that cannot be stored
	}
	req.Input = a.call.read(a.view)
	out, err := a.call.agent.Call(ctx, req)
	if before != nil {
		if after, bad := a.codec.Encode(&a.view); bad != nil || !bytes.Equal(before, after) {
			a.stop = &IsolationError{Step: req.Path}
		}
	}
	if err != nil {
		return err
	}
	a.out = a.call.own(out, a.settle)
	a.call.write(&a.scope, a.out)
	return nil
}

// own returns a copy of an output, because the agent may change the original later. If
// outputs are recorded, it is the value that would be read from the record. An output
// that cannot be copied is returned unchanged: the save reports why.
func (c *call[S, In, Out]) own(out Out, recorded bool) Out {
	if c.codec.Plain() && !c.codec.Lossy {
		return out
	}
	return c.copied(out, recorded && c.codec.Lossy) // apart, because there out escapes to the heap
}

func (c *call[S, In, Out]) copied(out Out, stored bool) (made Out) {
	var err error
	if !stored {
		made, err = c.codec.Copy(&out)
	} else {
		var data []byte
		if data, err = c.codec.Encode(&out); err == nil {
			err = c.codec.Decode(data, &made)
		}
	}
	if err != nil {
		return out
	}
	return made
}

// used is what the step of a record has used, including the step itself.
func (r *StepRecord) used() Usage { return r.Usage.plus(Usage{Steps: 1}) }

// keep saves the record of the step if the run is saved, and adds the output to the
// digest of a loop.
func (c *call[S, In, Out]) keep(ctx context.Context, l *lane[S], rec *StepRecord, try *attempt[S, In, Out]) (stop error) {
	r := l.run
	if !r.saving() && !l.watched {
		return nil
	}
	fail := func(what string, err error) error {
		return &SaveError{Run: r.key, What: "step " + rec.Path, Err: fmt.Errorf("the %s cannot be stored: %w", what, err)}
	}
	if rec.Status == Completed {
		b := codec.NewBuffer()
		if err := c.codec.Append(b, &try.out); err != nil {
			return fail("output of the agent", err)
		}
		n := b.Len()
		if r.saving() {
			if err := l.codec.Append(b, &l.scope); err != nil {
				return fail("scope", err)
			}
		}
		data := b.Release()
		rec.Output = data[:n:n]
		if l.watched {
			l.sawOutput(rec.Output)
		}
		if r.saving() {
			l.keepState(rec, data[n:])
		}
	}
	if !r.saving() {
		return nil
	}
	return r.save(ctx, rec)
}

// replay uses the record of a step instead of calling the agent.
func (c *call[S, In, Out]) replay(l *lane[S], rec *StepRecord) (failure, stop error) {
	if rec.Status == Failed {
		failed, err := rec.failure()
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", l.run.key, err)
		}
		return &StepError{Path: rec.Path, Attempts: rec.Attempts, Err: failed}, nil
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
	if rec.State != nil || l.dirty { // without a state, the scope is the stored one, not the one changed since
		l.stale, l.dirty = true, false
	}
	return nil, nil
}

// reenact writes the recorded output into the scope and compares that with the
// recorded scope.
func (c *call[S, In, Out]) reenact(l *lane[S], rec *StepRecord) (stop error) {
	var out Out
	if err := c.codec.Decode(rec.Output, &out); err != nil {
		return fmt.Errorf("replay step %q: the recorded output does not fit %T: %w", rec.Path, out, err)
	}
	failure, stop := l.change("step", rec.Path, func(s *S) error {
		c.write(s, out)
		return nil
	})
	if err := errors.Join(failure, stop); err != nil {
		return err
	}
	state, err := l.codec.Encode(&l.scope)
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
