package core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// run is one execution of a pipeline.
type run[S any] struct {
	engine *Engine
	plan   *Pipeline[S]
	key    RunKey
	lease  Lease
	seq    int64  // of the last saved step
	state  []byte // as last saved
	result Result[S]
}

// start saves the start of the run.
func (r *run[S]) start(ctx context.Context) error {
	var err error
	if r.state, err = encodeScope(r.result.Scope); err != nil {
		return &SaveError{Run: r.key, What: "start", Err: fmt.Errorf("the scope cannot be stored: %w", err)}
	}
	r.lease, err = r.engine.backend.Start(ctx, StartRecord{
		Key: r.key, Pipeline: r.plan.name, Plan: r.plan.print, State: r.state, Time: r.engine.now(),
	})
	if err != nil {
		return &SaveError{Run: r.key, What: "start", Err: err}
	}
	return nil
}

// claim takes over a saved run and returns how many of its steps are done.
func (r *run[S]) claim(ctx context.Context) (done int, err error) {
	// Looked at before it is claimed: a wrong pipeline must not fence off the right one.
	saved, err := r.engine.backend.Load(ctx, r.key)
	if err != nil {
		return 0, fmt.Errorf("resume run %s: %w", r.key, err)
	}
	if saved.Start.Plan != r.plan.print {
		return 0, fmt.Errorf("resume run %s: %w: saved by %q, resumed by %q: resume with the pipeline of the start, or start a new run",
			r.key, ErrPlanChanged, saved.Start.Pipeline, r.plan.name)
	}
	lease, saved, err := r.engine.backend.Claim(ctx, r.key)
	if err != nil {
		return 0, fmt.Errorf("resume run %s: %w", r.key, err)
	}
	for i, s := range saved.Steps {
		if i >= len(r.plan.steps) || s.Path != r.plan.steps[i].path || s.Seq != int64(i+1) {
			return 0, fmt.Errorf("resume run %s: %w: record %d is of step %q, which is not the plan's", r.key, ErrCorrupt, s.Seq, s.Path)
		}
	}
	if err := json.Unmarshal(saved.State, &r.result.Scope); err != nil {
		return 0, fmt.Errorf("resume run %s: the saved scope does not fit %T: %w", r.key, r.result.Scope, err)
	}
	r.lease, r.state, r.seq = lease, saved.State, int64(len(saved.Steps))
	if n := len(saved.Steps); n > 0 && saved.Steps[n-1].Status == Failed {
		// Killed between the record of the failed step and the end of the run.
		last := saved.Steps[n-1]
		failed := &StepError{Path: last.Path, Attempts: last.Attempts, Err: errors.New(last.Error)}
		return 0, r.finish(ctx, Failed, failed)
	}
	return len(saved.Steps), nil
}

// steps executes the plan from the given step on and ends the run.
func (r *run[S]) steps(ctx context.Context, from int) error {
	for i := from; i < len(r.plan.steps); i++ {
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("run %s stopped before step %q: %w", r.key, r.plan.steps[i].path, err)
		}
		failed, err := r.step(ctx, &r.plan.steps[i])
		if err != nil {
			return err
		}
		if failed != nil {
			return r.finish(ctx, Failed, failed)
		}
	}
	return r.finish(ctx, Completed, nil)
}

// step makes the attempts of one step and saves its record. A failed step is
// returned apart from err, which stops the run without an end.
func (r *run[S]) step(ctx context.Context, s *placed[S]) (failed *StepError, stop error) {
	saving := r.engine.backend != nil
	rec := StepRecord{Path: s.path, Status: Completed}
	if saving {
		rec.Started = r.engine.now()
	}
	most := 1 + s.node.opts.retries
	var err error
	for rec.Attempts < most {
		if rec.Attempts > 0 {
			if err := pause(ctx, s.node.opts.wait(rec.Attempts+1)); err != nil {
				return nil, fmt.Errorf("run %s stopped before a retry of step %q: %w", r.key, s.path, err)
			}
		}
		rec.Attempts++
		r.result.Calls++
		rec.Output, err = s.node.step.try(ctx, attempt{r.key, s.path, rec.Attempts, rec.Feedback}, &r.result.Scope, saving)
		if err == nil {
			break
		}
		if errors.Is(err, ErrHarness) {
			return nil, fmt.Errorf("run %s stopped in step %q: %w", r.key, s.path, err)
		}
		if cause := context.Cause(ctx); cause != nil {
			return nil, fmt.Errorf("run %s stopped in step %q: %w", r.key, s.path, cause)
		}
		rec.Feedback = err.Error()
	}
	r.result.Steps++
	if err != nil {
		failed = &StepError{Path: s.path, Attempts: rec.Attempts, Err: err}
		rec.Status, rec.Error = Failed, err.Error()
	}
	if saving {
		if err := r.save(ctx, rec); err != nil {
			return nil, err
		}
	}
	return failed, nil
}

// save saves the record of a step. Work that is done is saved even when the
// caller has cancelled meanwhile: it may have been paid for.
func (r *run[S]) save(ctx context.Context, rec StepRecord) error {
	fail := func(err error) error {
		return &SaveError{Run: r.key, What: "step " + rec.Path, Err: err}
	}
	if rec.Status == Completed {
		state, err := encodeScope(r.result.Scope)
		if err != nil {
			return fail(fmt.Errorf("the scope cannot be stored: %w", err))
		}
		// Compared byte by byte, not by hash: a collision would lose the new state in silence.
		if !bytes.Equal(state, r.state) {
			rec.State = state
		}
	}
	r.seq++
	rec.Seq, rec.Ended = r.seq, r.engine.now()
	if err := r.engine.backend.Step(context.WithoutCancel(ctx), r.lease, rec); err != nil {
		return fail(err)
	}
	if rec.State != nil {
		r.state = rec.State
	}
	return nil
}

// encodeScope makes the stored form of a scope. A panic of its own MarshalJSON is an
// error like any other: it must not end the process of all other runs.
func encodeScope[S any](scope S) (state []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			state, err = nil, &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return json.Marshal(scope)
}

// finish saves the end of the run and returns failed where there is one.
func (r *run[S]) finish(ctx context.Context, status Status, failed *StepError) error {
	if r.engine.backend != nil {
		rec := FinishRecord{Status: status, Time: r.engine.now()}
		if failed != nil {
			rec.Error = failed.Error()
		}
		if err := r.engine.backend.Finish(context.WithoutCancel(ctx), r.lease, rec); err != nil {
			return &SaveError{Run: r.key, What: "finish", Err: err}
		}
	}
	r.result.Status = status
	if failed != nil {
		return failed
	}
	return nil
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
