package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// claimant is how a run is claimed.
type claimant struct {
	epoch  int64 // that the run must have; 0: any
	gentle bool  // not from an executor that is alive
	retry  bool  // also if the run has failed or was cancelled
	news   bool  // even if the run only waits: it may have an answer that its executor did not use
}

// Resume continues a saved run after its last saved steps. It claims the run, so that
// the next save of another executor that still has it is refused ([ErrFenced]). For runs
// that may be alive elsewhere use [ResumeAll] or [RunOrResume]. A run that this engine
// itself executes is left alone: the result is Running and Elsewhere.
//
// For a run that has ended, Resume returns its result and [ErrRunFinished]. A run that
// waits for an answer returns unchanged, without a save.
//
// The pipeline may have changed while the run was open, if it would still make the
// existing records: steps can be added after the last recorded one. This is checked
// before anything is claimed or saved. A scope whose fields have changed needs an
// UnmarshalJSON that also reads the old form, and the matching MarshalJSON: see the
// example. Errors wrap [ErrRunNotFound], [ErrRunFinished], [ErrPlanChanged],
// [ErrDiverged] or [ErrCorrupt], or are those of [Run].
func Resume[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey) (Result[S], error) {
	return resume(ctx, e, p, key, claimant{})
}

// ResumeAt is [Resume] for a run that must still have the given epoch; otherwise the
// error is [ErrFenced]. It is for jobs that name a run and the epoch they saw.
func ResumeAt[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, epoch int64) (Result[S], error) {
	return resume(ctx, e, p, key, claimant{epoch: epoch})
}

func resume[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, c claimant) (Result[S], error) {
	snap, err := e.load(ctx, key)
	if err != nil {
		return Result[S]{Status: Running, Next: Nobody}, fmt.Errorf("resume run %s: %w", key, err)
	}
	return resumeFrom(ctx, e, p, snap, c)
}

// errUnclaimed matches unclaimed errors, with errors.Is.
var errUnclaimed = errors.New("not claimed")

// unclaimed is an error that occurred before the run was claimed.
type unclaimed struct{ error }

func (u unclaimed) Is(target error) bool { return target == errUnclaimed }
func (u unclaimed) Unwrap() error        { return u.error }

// resumeFrom continues a run that was loaded.
func resumeFrom[S any](ctx context.Context, e *Engine, p *Pipeline[S], snap Snapshot, c claimant) (Result[S], error) {
	key := snap.Start.Key
	idle := Result[S]{Status: snap.Status, Next: Nobody}
	fail := func(err error) (Result[S], error) { return idle, unclaimed{fmt.Errorf("resume run %s: %w", key, err)} }
	elsewhere := Result[S]{Status: Running, Next: Elsewhere, Holder: snap.Holder}
	live := snap.Status == Running && snap.Holder.Alive(e.now())
	switch {
	case snap.Status == Completed, snap.Status.Ended() && !c.retry:
		return finished(p, snap)
	case c.epoch != 0 && c.epoch != snap.Epoch:
		return fail(fmt.Errorf("epoch %d, now %d: %w", c.epoch, snap.Epoch, ErrFenced))
	case e.executes(key), live && c.gentle:
		return elsewhere, nil
	}
	known, err := e.completed(ctx, snap)
	if err != nil {
		return fail(err)
	}
	timedOut := due(p, &known, e.now())
	state, err := examine(ctx, p, known)
	switch {
	case err != nil:
		return state.result, unclaimed{err}
	case snap.Status == Paused && state.result.Status == Paused && !state.more && len(timedOut) == 0 && !c.news:
		return state.result, nil
	}
	for _, a := range timedOut {
		if err := e.backend.Signal(ctx, key, a); err != nil && !errors.Is(err, ErrAnswered) {
			return fail(fmt.Errorf("record that a pause has timed out: %w", err))
		}
		snap.Answers = append(snap.Answers, a)
	}
	sortAnswers(snap.Answers)
	lease, now, err := e.backend.Acquire(ctx, snap, e.holder(e.now()))
	if err != nil {
		return fail(err)
	}
	if known, err = e.completed(ctx, now); err == nil && (len(now.Steps) != len(snap.Steps) || len(now.Answers) != len(snap.Answers)) {
		state, err = examine(ctx, p, known) // the previous holder has saved since
	}
	if err == nil {
		err = e.adopt(ctx, lease, now, known)
	}
	if err == nil && c.retry {
		err = e.void(ctx, lease, &known, failedPaths(state.failure))
	}
	if err != nil {
		e.giveUp(ctx, key, lease)
		return idle, fmt.Errorf("resume run %s: %w", key, err)
	}
	return execute(ctx, p, loaded(e, p, lease, known))
}

// load loads a run.
func (e *Engine) load(ctx context.Context, key RunKey) (Snapshot, error) {
	if e.backend == nil {
		return Snapshot{}, ErrNoBackend
	}
	return e.backend.Load(ctx, key)
}

// finished is the result of a run that has ended.
func finished[S any](p *Pipeline[S], snap Snapshot) (Result[S], error) {
	result := Result[S]{Status: snap.Status, Usage: snap.Info().Usage}
	if snap.Start.Pipeline != p.name {
		return result, unclaimed{planChanged("resume", p.text, snap)}
	}
	if err := p.codec.Decode(snap.State, &result.Scope); err != nil {
		return result, unclaimed{fmt.Errorf("run %s: the saved scope does not fit %T: %w", snap.Start.Key, result.Scope, err)}
	}
	if len(snap.Exits) > 0 {
		if err := json.Unmarshal(snap.Exits, &result.Exits); err != nil {
			return result, unclaimed{fmt.Errorf("run %s: %w: how its loops ended: %v", snap.Start.Key, ErrCorrupt, err)}
		}
	}
	return result, unclaimed{fmt.Errorf("resume run %s: %w", snap.Start.Key, &finishedError{snap})}
}

// finishedError is ErrRunFinished, with the error of the run.
type finishedError struct{ snap Snapshot }

func (e *finishedError) Error() string {
	return fmt.Sprintf("%v: it has %v: start a new run under another key", ErrRunFinished, e.snap.Status)
}

func (e *finishedError) Is(target error) bool { return target == ErrRunFinished }

// Unwrap returns the error of the run.
func (e *finishedError) Unwrap() error {
	switch e.snap.Status {
	case Failed:
		return &RecordedError{Text: e.snap.Error}
	case Cancelled:
		return cancelled(e.snap)
	}
	return nil
}

// due adds to a snapshot the answers of pauses whose time has come, and returns them.
func due[S any](p *Pipeline[S], snap *Snapshot, now time.Time) (answers []AnswerRecord) {
	for _, rec := range snap.open() {
		if rec.Due.IsZero() || rec.Due.After(now) {
			continue
		}
		if asked, ok := p.plan.humans[PlanPath(rec.Path)]; ok {
			answers = append(answers, AnswerRecord{Token: rec.Token, Answer: asked.timeout(), Time: now})
		}
	}
	snap.Answers = append(slices.Clip(snap.Answers), answers...)
	sortAnswers(snap.Answers)
	return answers
}

// ResumeAll resumes every run of the pipeline that nobody executes and that can
// continue, now and until ctx ends: runs that were cut off or only begun ([Begin]),
// paused runs with an answer that their executor did not use, and runs whose time has
// come. It leaves alone the runs of executors that are alive, in any process. each,
// which may be nil, is called with the result of every resumed run, from several
// goroutines. The backend must be a [Lister]. ResumeAll returns the cause of the end of
// ctx, or an error of the listing.
//
// Call it in each process that executes runs. When a process dies, the others take over
// its runs within its lease (see [WithLease]).
func ResumeAll[S any](ctx context.Context, e *Engine, p *Pipeline[S], each func(RunKey, Result[S], error)) error {
	lister, err := as[Lister](e.backend, "list its runs")
	if err != nil {
		return fmt.Errorf("resume all runs of %q: %w", p.name, err)
	}
	s := sweeper[S]{e: e, p: p, each: each, gaveUp: map[RunKey]int64{}, slots: make(chan struct{}, resumedAtOnce)}
	defer s.wait.Wait()
	for {
		if err := s.sweep(ctx, lister); err != nil {
			return err
		}
		if err := pause(ctx, e.lease/3); err != nil {
			return err
		}
	}
}

// resumedAtOnce is the most runs that one [ResumeAll] executes at the same time.
const resumedAtOnce = 16

// sweeper resumes runs that nobody executes.
type sweeper[S any] struct {
	e     *Engine
	p     *Pipeline[S]
	each  func(RunKey, Result[S], error)
	slots chan struct{}
	wait  sync.WaitGroup

	mu     sync.Mutex
	gaveUp map[RunKey]int64 // epoch of runs that this pipeline cannot continue
}

// sweep resumes the runs that are due now.
func (s *sweeper[S]) sweep(ctx context.Context, lister Lister) error {
	f := Filter{Pipeline: s.p.name, Now: s.e.now(), Due: true, Limit: 100}
	for {
		runs, err := lister.List(ctx, f)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			return fmt.Errorf("resume all runs of %q: %w", s.p.name, err)
		}
		for _, r := range runs {
			if err := s.take(ctx, r); err != nil {
				return err
			}
		}
		if len(runs) < f.Limit {
			return nil
		}
		f.After = &runs[len(runs)-1]
	}
}

// take resumes one run in a goroutine of its own, once a slot is free.
func (s *sweeper[S]) take(ctx context.Context, r RunInfo) error {
	s.mu.Lock()
	refused := s.gaveUp[r.Key] == r.Epoch
	s.mu.Unlock()
	if refused || s.e.executes(r.Key) {
		return nil
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.wait.Go(func() {
		defer func() { <-s.slots }()
		result, err := resume(ctx, s.e, s.p, r.Key, claimant{epoch: r.Epoch, gentle: true, news: true})
		switch {
		case errors.Is(err, ErrFenced) && errors.Is(err, errUnclaimed), errors.Is(err, ErrRunFinished), err == nil && result.Next == Elsewhere:
			return // another executor came first
		case errors.Is(err, errUnclaimed):
			s.mu.Lock()
			s.gaveUp[r.Key] = r.Epoch
			s.mu.Unlock()
		}
		if s.each != nil {
			s.each(r.Key, result, err)
		}
	})
	return nil
}
