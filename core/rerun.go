package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Cancel ends a run from outside, whoever executes it, also one that is paused, stopped
// or cut off. reason is kept as its error. The executor is refused at its next save at
// the latest; the contexts of its agents end at once where it is this engine, else with
// its next heartbeat. It returns [ErrCancelled] to its caller. A run that has ended is
// [ErrRunFinished]; cancelling one again does nothing, so after any error it can be repeated.
func Cancel(ctx context.Context, e *Engine, key RunKey, reason string) error {
	fail := func(err error) error { return fmt.Errorf("cancel run %s: %w", key, err) }
	if e.backend == nil {
		return fail(ErrNoBackend)
	}
	lease, _, err := e.backend.Claim(ctx, key, 0)
	for tries := 0; errors.Is(err, ErrFenced) && tries < 10; tries++ { // another claim was faster
		lease, _, err = e.backend.Claim(ctx, key, 0)
	}
	if errors.Is(err, ErrRunFinished) {
		if snap, loadErr := e.backend.Load(ctx, key); loadErr == nil && snap.Status == Cancelled {
			return nil
		}
	}
	if err == nil {
		rec := FinishRecord{Status: Cancelled, Error: reason, Time: e.now()}
		err = e.backend.Finish(context.WithoutCancel(ctx), lease, rec)
		if errors.Is(err, ErrInDoubt) {
			err = e.settle(ctx, key, lease, err, rec.isEndOf)
		}
	}
	if err != nil {
		return fail(err)
	}
	e.lose(key, fmt.Errorf("run %s: %w: %s", key, ErrCancelled, reason))
	return nil
}

// cancelled is the error of a run that was cancelled.
func cancelled(snap Snapshot) error {
	return fmt.Errorf("run %s: %w: %s", snap.Start.Key, ErrCancelled, snap.Error)
}

// Retry goes on with a run that has failed, or was cancelled, after its last good steps:
// the failed steps that made it fail are called again, all others keep their records, so
// nothing is paid twice. What has failed stays among the records. A run whose failure is
// not that of a step (a check, a condition, the maximum of a loop) is gone through
// again: it fails again unless the pipeline has changed. A run that has not ended is
// resumed, a completed one is [ErrRunFinished].
func Retry[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey) (Result[S], error) {
	return resume(ctx, e, p, key, claimant{retry: true})
}

// void saves that the failed records of the given paths count no more.
func (e *Engine) void(ctx context.Context, lease Lease, snap *Snapshot, paths []string) error {
	for _, path := range paths {
		rec := StepRecord{Seq: int64(len(snap.Steps)) + 1, Path: path, Status: Retried, Started: e.now(), Ended: e.now()}
		if err := e.backend.Step(ctx, lease, rec); err != nil {
			return &SaveError{Run: snap.Start.Key, What: "retry of step " + path, Err: err}
		}
		snap.Steps = append(snap.Steps, rec)
	}
	return nil
}

// Fork makes a new run under the key to that begins as the run of the key from did, up
// to the first record of the step at, and executes it from there. What the run had paid
// for before is taken over and not called again. at is a path in the run, or in the plan
// for the first time that the step was executed. The run that is forked is left alone,
// and the new one keeps where it comes from: see [Origin]. When the fork is cut off it
// can be resumed, also while its records are still being taken over.
func Fork[S any](ctx context.Context, e *Engine, p *Pipeline[S], from RunKey, at string, to RunKey) (Result[S], error) {
	result := Result[S]{Status: Running, Next: Nobody}
	fail := func(err error) (Result[S], error) { return result, fmt.Errorf("fork run %s at %q: %w", from, at, err) }
	parent, err := e.load(ctx, from)
	if err != nil {
		return fail(err)
	}
	i := slices.IndexFunc(parent.Steps, func(rec StepRecord) bool { return rec.Path == at || PlanPath(rec.Path) == at })
	if i < 0 {
		return fail(errors.New("the run has no record of this step: see its trace for the paths that there are"))
	}
	if to.Run == "" {
		return fail(errors.New("the key of the new run has no run name"))
	}
	snap := Snapshot{Start: parent.Start, Status: Running, Epoch: 1, State: parent.Start.State}
	snap.Start.Key, snap.Start.Origin, snap.Start.Time = to, Origin{Key: from, Seq: int64(i)}, e.now()
	snap.Start.Plan, snap.Start.PlanText = p.print, p.text
	known := taken(snap, parent)
	if parent.Start.Pipeline != p.name {
		return fail(planChanged("fork", p.text, parent))
	}
	if _, err := examine(ctx, p, known); err != nil {
		return fail(err)
	}
	rec := snap.Start
	rec.Holder = e.holder()
	lease, err := e.backend.Start(ctx, rec)
	if err != nil {
		return fail(err)
	}
	if err := e.adopt(ctx, lease, snap, known); err != nil {
		e.giveUp(ctx, to, lease)
		return fail(err)
	}
	return execute(ctx, p, loaded(e, p, lease, known))
}

// completed is a run with all records that it takes over from the run that it was forked
// from: it may have been cut off while they were saved.
func (e *Engine) completed(ctx context.Context, snap Snapshot) (Snapshot, error) {
	o := snap.Start.Origin
	if int64(len(snap.Steps)) > o.Seq {
		return snap, nil // it went on from there
	}
	if o.Seq == 0 {
		return snap, nil
	}
	parent, err := e.backend.Load(ctx, o.Key)
	if err != nil {
		return snap, fmt.Errorf("load run %s, which it was forked from: %w", o.Key, err)
	}
	if int64(len(parent.Steps)) < o.Seq {
		return snap, fmt.Errorf("run %s, which it was forked from, has %d records where %d are needed: fork another run", o.Key, len(parent.Steps), o.Seq)
	}
	return taken(snap, parent), nil
}

// taken adds to a fork what it has not taken over yet.
func taken(snap, parent Snapshot) Snapshot {
	have := snap.answers()
	snap.Steps = append(slices.Clip(snap.Steps), parent.Steps[len(snap.Steps):snap.Start.Origin.Seq]...)
	tokens := map[string]bool{}
	for _, rec := range snap.Steps {
		if rec.State != nil {
			snap.State = rec.State
		}
		tokens[rec.Token] = rec.Token != ""
	}
	snap.Answers = slices.Clone(snap.Answers)
	for _, a := range parent.Answers {
		if tokens[a.Token] && have[a.Token] == nil {
			snap.Answers = append(snap.Answers, a)
		}
	}
	sortAnswers(snap.Answers)
	return snap
}

// adopt saves what known has and snap has not.
func (e *Engine) adopt(ctx context.Context, lease Lease, snap, known Snapshot) error {
	have, asked := snap.answers(), map[string]bool{}
	for i, rec := range known.Steps {
		asked[rec.Token] = true
		if i < len(snap.Steps) {
			continue
		}
		if err := e.backend.Step(ctx, lease, rec); err != nil {
			return &SaveError{Run: snap.Start.Key, What: "step " + rec.Path, Err: err}
		}
	}
	for _, a := range known.Answers {
		if have[a.Token] != nil || !asked[a.Token] {
			continue
		}
		if err := e.backend.Signal(ctx, snap.Start.Key, a); err != nil && !errors.Is(err, ErrAnswered) {
			return &SaveError{Run: snap.Start.Key, What: "answer", Err: err}
		}
	}
	return nil
}
