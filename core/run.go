package core

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// run is one execution of a pipeline, whatever the scopes of its lanes.
type run struct {
	engine    *Engine
	execution uint64 // see Request.Execution
	key       RunKey
	lease     Lease

	// Loaded, and not changed while lanes run.
	records map[string]*StepRecord // by path
	answers map[string][]byte      // by token
	verify  func(rec *StepRecord, want, got []byte) error
	probe   bool            // the records are gone through, and nothing is done beyond them
	more    atomic.Bool     // a probe came to something that is to be done
	paths   func() []string // of records, sorted

	steps, calls, abandoned atomic.Int64

	mu     sync.Mutex // guards what follows
	seq    int64      // of the last saved step
	last   []byte     // the state saved last, of whatever lane
	pauses []Pause
	exits  map[string]Exit
}

// executions of this process.
var executions atomic.Uint64

func (r *run) saving() bool { return r.engine.backend != nil && r.verify == nil }

// waiting returns the pauses in the order of their paths: branches come to them in any.
func (r *run) waiting() []Pause {
	slices.SortFunc(r.pauses, func(a, b Pause) int { return comparePaths(a.Path, b.Path) })
	return r.pauses
}

// comparePaths orders paths by their parts, and iterations by their numbers.
func comparePaths(a, b string) int {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	return slices.CompareFunc(x, y, func(a, b string) int {
		a, i, _ := strings.Cut(a, "#")
		b, j, _ := strings.Cut(b, "#")
		return cmp.Or(cmp.Compare(a, b), cmp.Compare(len(i), len(j)), cmp.Compare(i, j))
	})
}

func (r *run) exit(path string, e Exit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.exits == nil {
		r.exits = map[string]Exit{}
	}
	r.exits[path] = e
}

// newLane makes the first lane of a run, all that it needs in one piece of memory.
func newLane[S any](e *Engine, p *Pipeline[S], key RunKey) *lane[S] {
	budget := p.budget
	if budget.Steps == 0 {
		budget.Steps = DefaultSteps
	}
	var root struct {
		lane   lane[S]
		thread thread
		run    run
		purse  purse
	}
	root.run.engine, root.run.key, root.run.execution = e, key, executions.Add(1)<<1
	root.purse.fill(budget)
	root.thread.purse = &root.purse
	root.lane = lane[S]{run: &root.run, thread: &root.thread, codec: p.codec}
	return &root.lane
}

// start saves the start of the run.
func (l *lane[S]) start(ctx context.Context, p *Pipeline[S], holder Holder, origin Origin) error {
	r := l.run
	state, err := l.codec.Encode(&l.scope)
	if err != nil {
		return &SaveError{Run: r.key, What: "start", Err: fmt.Errorf("the scope cannot be stored: %w", err)}
	}
	r.lease, err = r.engine.backend.Start(ctx, StartRecord{
		Key: r.key, Pipeline: p.name, Plan: p.print, PlanText: p.text, State: state, Origin: origin, Holder: holder, Time: r.engine.now(),
	})
	if err != nil {
		return &SaveError{Run: r.key, What: "start", Err: err}
	}
	l.stored, r.last, l.stale = state, state, l.codec.Lossy
	return nil
}

// loaded makes the lane of a run that goes on after what is saved of it.
func loaded[S any](e *Engine, p *Pipeline[S], lease Lease, snap Snapshot) *lane[S] {
	l := newLane(e, p, snap.Start.Key)
	r := l.run
	r.execution |= 1
	r.lease, r.seq, r.last, r.answers = lease, int64(len(snap.Steps)), snap.State, snap.answers()
	r.records = make(map[string]*StepRecord, len(snap.Steps))
	for i := range snap.Steps {
		rec := &snap.Steps[i]
		if rec.Status != Retried {
			r.records[rec.Path] = rec
			continue
		}
		if void, ok := r.records[rec.Path]; ok {
			l.purse.spent(void.used()) // it was paid for all the same
			delete(r.records, rec.Path)
		}
	}
	r.paths = sync.OnceValue(func() []string { return slices.Sorted(maps.Keys(r.records)) })
	l.stored, l.stale, l.apart = snap.Start.State, true, true
	l.left.Store(int64(len(r.records)))
	return l
}

// execute walks the plan, past what is recorded and on from there, and saves how
// it ended.
func execute[S any](ctx context.Context, p *Pipeline[S], l *lane[S]) (result Result[S], err error) {
	e := l.run.engine
	var steps, calls, abandoned int64
	var tenure tenure
	if l.run.saving() {
		ctx, tenure = e.hold(ctx, l.run.key, l.run.lease)
		defer tenure.cutShort()
	}
	if e.tracer != nil {
		var span trace.Span
		ctx, span = e.runSpan(ctx, p.name, l.run)
		defer func() { e.endRunSpan(span, result.Status, err) }()
	}
	for {
		r := l.run
		var status Status
		status, err = p.walk(ctx, l)
		steps, calls, abandoned = steps+r.steps.Load(), calls+r.calls.Load(), abandoned+r.abandoned.Load()
		if status == Running && r.saving() && errors.Is(err, ErrSignalled) {
			// An answer came while the last lanes were running: take it in.
			snap, loadErr := e.backend.Load(ctx, r.key)
			if loadErr == nil {
				l = loaded(e, p, r.lease, snap)
				continue
			}
			err = loadErr
		}
		if r.saving() {
			tenure.end()
			status, err = e.released(ctx, r, status, err)
		}
		result = Result[S]{
			Status: status, Pauses: r.waiting(), Wake: wake(r.pauses), Exits: maps.Clone(r.exits),
			Steps: int(steps), Calls: int(calls), Abandoned: int(abandoned), Usage: l.purse.used,
		}
		if status == Running {
			result.Next = Nobody
		}
		if stop := l.fresh(); stop != nil && err == nil {
			err = stop
		}
		result.Scope = l.scope
		e.ended(ctx, r.key, status, steps, calls, abandoned, err)
		return result, err
	}
}

// released returns why a run has stopped before its end, and lets others take it up.
func (e *Engine) released(ctx context.Context, r *run, status Status, err error) (Status, error) {
	if status != Running {
		return status, err
	}
	if !errors.Is(err, ErrFenced) && !errors.Is(err, ErrCancelled) {
		e.giveUp(ctx, r.key, r.lease)
		return status, err
	}
	snap, loadErr := e.backend.Load(context.WithoutCancel(ctx), r.key)
	if loadErr == nil && snap.Status == Cancelled {
		return Cancelled, cancelled(snap)
	}
	return status, err
}

// wake is when the first of the pauses ends by itself.
func wake(pauses []Pause) (first time.Time) {
	for _, p := range pauses {
		if !p.Due.IsZero() && (first.IsZero() || p.Due.Before(first)) {
			first = p.Due
		}
	}
	return first
}

// walk executes the plan once.
func (p *Pipeline[S]) walk(ctx context.Context, l *lane[S]) (Status, error) {
	r := l.run
	inner, cancel := r.wall(ctx, "", p.budget.Wall)
	defer cancel()
	failure, stop := l.each(inner, "", p.root.nodes)
	switch {
	case stop == errPaused:
		return r.end(ctx, FinishRecord{Status: Paused, Answers: len(r.answers), Wake: wake(r.pauses)}, nil)
	case stop != nil:
		var short *BudgetError
		if errors.As(stop, &short) {
			return r.end(ctx, FinishRecord{Status: Stopped, Error: short.Error()}, stop)
		}
		var later *RetryLaterError
		if errors.As(stop, &later) {
			return r.end(ctx, FinishRecord{Status: Stopped, Error: later.Error()}, stop)
		}
		return Running, stop
	}
	if n := l.left.Load(); n != 0 {
		return Running, fmt.Errorf("run %s: %w: it would end with %d saved record(s) of other steps left: "+
			"conditions, choices and merges must depend on the scope alone", r.key, ErrDiverged, n)
	}
	rec := FinishRecord{Status: Completed}
	if failure != nil {
		rec.Status, rec.Error = Failed, failure.Error()
	}
	if err := l.lastState(&rec); err != nil {
		return Running, err
	}
	return r.end(ctx, rec, failure)
}

// lastState gives the end of the run its scope, unless that was saved last.
func (l *lane[S]) lastState(rec *FinishRecord) error {
	if !l.run.saving() {
		return nil
	}
	state := l.stored
	if l.dirty {
		if stop := l.fresh(); stop != nil {
			return stop
		}
		var err error
		if state, err = l.codec.Encode(&l.scope); err != nil {
			return &SaveError{Run: l.run.key, What: "finish", Err: fmt.Errorf("the scope cannot be stored: %w", err)}
		}
	}
	if !bytes.Equal(state, l.run.last) {
		rec.State, rec.Seq = state, l.run.seq+1
	}
	return nil
}

// end saves how the run ended, or that it is given up for now. It returns err unless the
// save fails.
func (r *run) end(ctx context.Context, rec FinishRecord, err error) (Status, error) {
	if !r.saving() {
		return rec.Status, err
	}
	rec.Time = r.engine.now()
	if len(r.exits) > 0 {
		exits, jsonErr := json.Marshal(r.exits)
		if jsonErr != nil {
			return Running, &SaveError{Run: r.key, What: "finish", Err: jsonErr}
		}
		rec.Exits = exits
	}
	// An end is saved even when the caller has cancelled meanwhile: it has been reached.
	saveErr := r.engine.backend.Finish(context.WithoutCancel(ctx), r.lease, rec)
	if errors.Is(saveErr, ErrInDoubt) {
		saveErr = r.engine.settle(ctx, r.key, r.lease, saveErr, rec.isEndOf)
	}
	if saveErr != nil {
		return Running, &SaveError{Run: r.key, What: "finish", Err: saveErr}
	}
	return rec.Status, err
}

// keepState enters the state into the record, unless it is the one stored before.
// Bytes are compared, not hashes: a collision would lose the new state in silence.
func (l *lane[S]) keepState(rec *StepRecord, state []byte) {
	if l.stored == nil || !bytes.Equal(state, l.stored) {
		rec.State = state
	}
	l.stored, l.dirty, l.stale = state, false, l.codec.Lossy
}

// save saves the record of a step. Work that is done is saved even when the
// caller has cancelled meanwhile: it may have been paid for. Records are numbered in the
// order in which they are saved; branches then wait for their commit together, where the
// backend allows it, and take turns where it does not.
func (r *run) save(ctx context.Context, rec *StepRecord) error {
	fail := func(err error) error {
		if errors.Is(err, ErrInDoubt) {
			if err = r.engine.settle(ctx, r.key, r.lease, err, func(s *Snapshot) bool { return rec.isAt(s.Steps) }); err == nil {
				return nil
			}
		}
		return &SaveError{Run: r.key, What: "step " + rec.Path, Err: err}
	}
	r.mu.Lock()
	rec.Seq, rec.Ended = r.seq+1, r.engine.now()
	queue, ok := r.engine.backend.(StepQueue)
	if !ok {
		defer r.mu.Unlock()
		if err := r.engine.backend.Step(context.WithoutCancel(ctx), r.lease, *rec); err != nil {
			if err := fail(err); err != nil {
				return err
			}
		}
		r.numbered(rec)
		return nil
	}
	// If it is not saved, none with a higher number is, and the run stops.
	enqueued := queue.Enqueue(r.lease, *rec)
	r.numbered(rec)
	r.mu.Unlock()
	if err := enqueued.Wait(); err != nil {
		return fail(err)
	}
	return nil
}

// numbered notes that the record has its number. r.mu is held.
func (r *run) numbered(rec *StepRecord) {
	r.seq++
	if rec.State != nil {
		r.last = rec.State
	}
}

// settle finds out about a save in doubt by reading the run back. Where that says that
// the save was made, there is no error; else the run stops, for the next executor's
// claim to decide.
func (e *Engine) settle(ctx context.Context, key RunKey, lease Lease, doubt error, made func(*Snapshot) bool) error {
	snap, err := e.backend.Load(context.WithoutCancel(ctx), key)
	if err == nil && snap.Epoch == lease.Epoch && made(&snap) {
		return nil
	}
	return doubt
}

// isEndOf reports whether the run ended with this record.
func (r *FinishRecord) isEndOf(s *Snapshot) bool {
	return s.Status == r.Status && s.Ended.Equal(r.Time)
}

// isAt reports whether the record is the one at its position.
func (r *StepRecord) isAt(steps []StepRecord) bool {
	if int64(len(steps)) < r.Seq {
		return false
	}
	s := steps[r.Seq-1]
	return s.Path == r.Path && s.Status == r.Status && s.Attempts == r.Attempts && s.Token == r.Token && s.Error == r.Error && s.Usage == r.Usage &&
		s.Ended.Equal(r.Ended) && bytes.Equal(s.Output, r.Output) && bytes.Equal(s.State, r.State)
}
