package suites

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// drive configures how a case is executed.
type drive struct {
	key     core.RunKey
	open    func(context.Context) (core.Backend, error) // called once per process
	through core.Backend                                // backend of the engine; nil means the opened one
	options []core.Option
	budget  core.Budget // replaces that of the pipeline unless it is zero
	larger  bool        // the run has stopped because of a smaller budget
	twice   bool        // answer each pause with a wrong token, too, and a second time
	again   bool        // continue after a failed save
}

// mostProcesses is the maximum number of resumptions of one run, more than any run that ends needs.
const mostProcesses = 200

// to executes the run to its end. Each start, answer and resumption is made as by another process:
// the backend is opened again, and the scripts are created again and continue after the recorded
// calls.
func (c *subject[S, A]) to(ctx context.Context, d drive) (*Ran[S], error) {
	p, err := c.pipeline()
	if err != nil {
		return nil, err
	}
	if d.budget != (core.Budget{}) {
		p = p.Within(d.budget)
	}
	ran, more := &Ran[S]{key: d.key, pipeline: p}, true
	for range mostProcesses {
		b, err := d.open(ctx)
		if err != nil {
			return ran, fmt.Errorf("case %q: open the backend: %w", c.Name, err)
		}
		r := *ran
		r.backend, r.engine = b, core.NewEngine(append([]core.Option{core.WithBackend(b)}, d.options...)...)
		if d.through != nil { // never together with options
			r.engine = core.NewEngine(core.WithBackend(d.through))
		}
		ran, more, err = c.process(ctx, d, &r)
		if err := errors.Join(err, b.Close()); err != nil {
			return ran, fmt.Errorf("case %q: %w", c.Name, err)
		}
		if cut := ran.Err != nil && ran.Result.Status == core.Running; !more || cut && (!d.again || errors.Is(ran.Err, core.ErrHarness)) {
			return ran, nil
		}
		d.larger = false
	}
	return ran, fmt.Errorf("case %q: the run was resumed %d times and has not ended: %w", c.Name, mostProcesses, orNothing(ran.Err))
}

// process executes the next part of the run, if there is one.
func (c *subject[S, A]) process(ctx context.Context, d drive, r *Ran[S]) (next *Ran[S], more bool, err error) {
	before, err := r.backend.Load(ctx, d.key)
	if err != nil && !errors.Is(err, core.ErrRunNotFound) {
		return r, false, err
	}
	if err == nil {
		r.Saved = before
	}
	book, scripted, err := c.scripts(ctx, r.pipeline, before)
	if err != nil {
		return r, false, err
	}
	pause, answer, found := c.pause(before)
	switch {
	case before.Status == 0: // not started
		input := asText(c.Input)
		next = r.next(func() (core.Result[S], error) { return core.Run(scripted, r.engine, r.pipeline, d.key, c.Input) })
		if now := asText(c.Input); now != input {
			err = fmt.Errorf("the run has changed its Input, from %s to %s, because copies of the scope share memory with it: check its Clone methods", input, now)
		}
	case before.Status == core.Paused && answer != nil:
		next, err = r.say(scripted, d, pause, answer.With)
	case before.Status == core.Paused && found, before.Status == core.Completed, before.Status == core.Failed,
		before.Status == core.Stopped && !d.larger:
		return r, false, nil
	default:
		next = r.next(func() (core.Result[S], error) { return core.Resume(scripted, r.engine, r.pipeline, d.key) })
	}
	return next, true, errors.Join(err, checkScripts(book, before, next.Saved))
}

func asText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// say sends an answer to a pause.
func (r *Ran[S]) say(ctx context.Context, d drive, pause core.StepRecord, with any) (*Ran[S], error) {
	signal := func(token string) (core.Result[S], error) {
		return core.Signal(ctx, r.engine, r.pipeline, d.key, token, with)
	}
	if d.twice {
		if _, err := signal("not " + pause.Token); !errors.Is(err, core.ErrNoPause) {
			return r, fmt.Errorf("an answer with a wrong token to %q: error %v, want %v", pause.Path, err, core.ErrNoPause)
		}
	}
	next := r.next(func() (core.Result[S], error) { return signal(pause.Token) })
	if d.twice && next.Err == nil {
		if _, err := signal(pause.Token); !errors.Is(err, core.ErrAnswered) && !errors.Is(err, core.ErrRunFinished) {
			return next, fmt.Errorf("a second answer to %q: error %v, want %v", pause.Path, err, core.ErrAnswered)
		}
	}
	return next, nil
}

// mostCalls is the maximum number of calls of one process that are checked after it.
const mostCalls = 1 << 16

// scripts sizes the scripts of a process that starts or resumes the run.
func (c *subject[S, A]) scripts(ctx context.Context, p *core.Pipeline[S], saved core.Snapshot) (*stubs.Book, context.Context, error) {
	const arm = "case"
	book, err := stubs.Size(p, stubs.Load{Arm: arm, Rounds: 1, Batch: 1})
	if err == nil {
		err = book.Resumed(arm, saved)
	}
	if err != nil {
		return nil, nil, err
	}
	calls := 0
	for _, n := range p.MaxCalls() {
		calls = min(calls+min(n, mostCalls), mostCalls)
	}
	scripted, err := book.Transcript(calls).In(ctx, arm)
	return book, scripted, err
}

// checkScripts checks the scripts after a process: no error may have been swallowed, and no step
// whose record was already saved may have been called. If the run has ended, no reply of a list may
// be unread.
func checkScripts(book *stubs.Book, before, after core.Snapshot) error {
	recorded := map[string]bool{}
	for _, rec := range before.Steps {
		recorded[rec.Path] = true
	}
	var errs []error
	for _, call := range book.Calls(mostCalls) {
		if recorded[call.Path] {
			errs = append(errs, fmt.Errorf("step %q was called again, although its record was saved: %v", call.Path, call))
		}
	}
	ended := after.Status == core.Completed || after.Status == core.Failed
	for _, err := range each(book.Verify()) {
		var left *stubs.LeftoverError
		if !errors.As(err, &left) || left.PerRun && ended { // replies for further runs may be left, because this is one run
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// each returns the errors that were joined.
func each(err error) []error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
