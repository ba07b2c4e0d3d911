package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Cancel ends a run, whoever executes it, also if it is paused, stopped or cut off.
// reason is stored as its error. The next save of the executor is refused, and its call
// returns [ErrCancelled]. The contexts of its agents end immediately if this engine
// executes the run, otherwise with the executor's next heartbeat. For a run that has
// ended the error is [ErrRunFinished]; to cancel a run again does nothing, so that the
// call can be repeated after any error.
func (e *Engine) Cancel(ctx context.Context, key RunKey, reason string) error {
	fail := func(err error) error { return fmt.Errorf("cancel run %s: %w", key, err) }
	if e.backend == nil {
		return fail(ErrNoBackend)
	}
	lease, _, err := e.backend.Claim(ctx, key, 0)
	for tries := 0; errors.Is(err, ErrFenced) && tries < 10; tries++ { // another claim came first
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
	for _, t := range e.tenures(key) {
		t.lose(fmt.Errorf("run %s: %w: %s", key, ErrCancelled, reason))
	}
	return nil
}

// cancelled is the error of a run that was cancelled.
func cancelled(snap Snapshot) error {
	return fmt.Errorf("run %s: %w: %s", snap.Start.Key, ErrCancelled, snap.Error)
}

// Retry continues a run that has failed or was cancelled: the steps that made it fail are
// called again, and all others keep their records, so that nothing is paid for twice. The
// records of the failures are kept too. If the run did not fail in a step (but by a check,
// a condition, or the maximum of a loop), it fails again unless the pipeline has changed.
// A run that has not ended is resumed; for a completed one the error is [ErrRunFinished].
func Retry[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey) (Result[S], error) {
	return resume(ctx, e, p, key, claimant{retry: true})
}

// void saves that the failed records of the given paths are no longer valid.
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

// Fork starts a new run, to, with the records of another one, from, up to the first
// record of the step at, and executes it from there: earlier steps are not called again.
// at is a path in the run, or in the plan for the first execution of the step. The
// original run is not changed, and the new one stores its [Origin]. A fork that was cut
// off can be resumed, even if not all records were taken over yet.
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
	rec.Holder = e.holder(rec.Time)
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

// completed returns a fork with all records that it takes over: it may have been cut off
// while they were being saved. Other runs are returned unchanged.
func (e *Engine) completed(ctx context.Context, snap Snapshot) (Snapshot, error) {
	o := snap.Start.Origin
	if o.Seq == 0 || int64(len(snap.Steps)) > o.Seq {
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

// taken adds to a fork the records of its parent that it has not taken over yet.
func taken(snap, parent Snapshot) Snapshot {
	have := snap.answers()
	snap.Steps = append(slices.Clip(snap.Steps), parent.Steps[len(snap.Steps):snap.Start.Origin.Seq]...)
	snap.State = snap.LastState()
	tokens := map[string]bool{}
	for _, rec := range snap.Steps {
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

// adopt saves the records that known has and snap does not.
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
