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

// run is the part of an execution that does not depend on the types of its scopes.
type run struct {
	engine    *Engine
	execution uint64 // see Request.Execution
	key       RunKey
	lease     Lease
	tenure    tenure // of this call, if it saves

	// Loaded, and not changed while lanes run.
	records map[string]*StepRecord // by path
	answers map[string][]byte      // by token
	paths   func() []string        // of records, sorted

	verify func(rec *StepRecord, want, got []byte) error // compares scopes in a replay; nil: it is none
	probe  bool                                          // only the records are walked, nothing is called or saved
	more   atomic.Bool                                   // a probe reached a step that is not recorded

	counters

	mu     sync.Mutex // guards what follows
	seq    int64      // of the last saved step
	last   []byte     // the state saved last, of any lane
	pauses []Pause
	exits  map[string]Exit
}

// counters are what one call has executed so far.
type counters struct{ steps, calls, abandoned atomic.Int64 }

func (c *counters) add(d *counters) {
	c.steps.Add(d.steps.Load())
	c.calls.Add(d.calls.Load())
	c.abandoned.Add(d.abandoned.Load())
}

// executions counts those of this process.
var executions atomic.Uint64

func (r *run) saving() bool { return r.engine.backend != nil && r.verify == nil }

// waiting returns the pauses in the order of their paths: branches reach them in any order.
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

// newLane creates the first lane of a run, with one allocation.
func newLane[S any](e *Engine, p *Pipeline[S], key RunKey) *lane[S] {
	budget := p.budget
	if budget.Steps == 0 {
		budget.Steps = defaultSteps
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
func (l *lane[S]) start(ctx context.Context, p *Pipeline[S], here bool) error {
	r := l.run
	state, err := l.codec.Encode(&l.scope)
	if err != nil {
		return &SaveError{Run: r.key, What: "start", Err: fmt.Errorf("the scope cannot be stored: %w", err)}
	}
	rec := StartRecord{Key: r.key, Pipeline: p.name, Plan: p.print, PlanText: p.text, State: state, Time: r.engine.now()}
	if here {
		rec.Holder = r.engine.holder(rec.Time)
	}
	if r.lease, err = r.engine.backend.Start(ctx, rec); err != nil {
		return &SaveError{Run: r.key, What: "start", Err: err}
	}
	l.stored, r.last, l.stale = state, state, l.codec.Lossy
	return nil
}

// loaded creates the first lane of a run that continues after its records.
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
			l.purse.spent(void.used()) // it was paid for
			delete(r.records, rec.Path)
		}
	}
	r.paths = sync.OnceValue(func() []string { return slices.Sorted(maps.Keys(r.records)) })
	l.stored, l.stale, l.apart = snap.Start.State, true, true
	l.left.Store(int64(len(r.records)))
	return l
}

// execute walks the plan, through the records and on from there, and saves how the run
// ended.
func execute[S any](ctx context.Context, p *Pipeline[S], l *lane[S]) (result Result[S], err error) {
	e, r := l.run.engine, l.run
	var tenure *tenure
	if r.saving() {
		ctx, tenure = e.hold(ctx, r)
		defer tenure.cutShort()
	}
	if e.tracer != nil {
		var span trace.Span
		ctx, span = e.runSpan(ctx, p.name, r)
		defer func() { e.endRunSpan(span, result.Status, err) }()
	}
	status, err := p.walk(ctx, l)
	for status == Running && r.saving() && errors.Is(err, ErrSignalled) {
		// An answer came before the pause was saved: use it.
		snap, loadErr := e.backend.Load(ctx, r.key)
		if loadErr != nil {
			err = loadErr
			break
		}
		l = loaded(e, p, r.lease, snap)
		l.run.add(&r.counters)
		r = l.run
		status, err = p.walk(ctx, l)
	}
	if r.saving() {
		tenure.end()
		status, err = e.released(ctx, r, status, err)
	}
	result = Result[S]{
		Status: status, Pauses: r.waiting(), Wake: wake(r.pauses), Exits: maps.Clone(r.exits),
		Steps: int(r.steps.Load()), Calls: int(r.calls.Load()), Abandoned: int(r.abandoned.Load()), Usage: l.purse.used,
	}
	if status == Running {
		result.Next = Nobody
	}
	if stop := l.fresh(); stop != nil && err == nil {
		err = stop
	}
	result.Scope = l.scope
	e.ended(ctx, r, status, err)
	return result, err
}

// released returns why a run has stopped before its end, and lets others continue it.
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

// wake is when the first of the pauses ends without an answer.
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
		return Running, fmt.Errorf("run %s: %w: it would end while other steps have %s left: "+
			"conditions, choices and merges must depend on the scope alone", r.key, ErrDiverged, plural(int(n), "saved record"))
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

// lastState adds the scope to the record of the end, unless that scope was saved last.
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

// end saves how the run ended, paused or stopped. It returns err unless the save fails.
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
	// An end is saved even if the caller has cancelled meanwhile.
	saveErr := r.engine.backend.Finish(context.WithoutCancel(ctx), r.lease, rec)
	if errors.Is(saveErr, ErrInDoubt) {
		saveErr = r.engine.settle(ctx, r.key, r.lease, saveErr, rec.isEndOf)
	}
	if saveErr != nil {
		return Running, &SaveError{Run: r.key, What: "finish", Err: saveErr}
	}
	return rec.Status, err
}

// keepState adds the state to the record, unless it is the one stored before. It compares
// bytes, not hashes: a collision would lose the new state silently.
func (l *lane[S]) keepState(rec *StepRecord, state []byte) {
	if l.stored == nil || !bytes.Equal(state, l.stored) {
		rec.State = state
	}
	l.stored, l.dirty, l.stale = state, false, l.codec.Lossy
}

// save saves the record of a step, even if the caller has cancelled meanwhile: the step may
// have been paid for. Records are numbered in the order in which they are saved. Branches
// then wait for their commit together if the backend is a [StepQueue], otherwise they take
// turns.
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
	queue := r.engine.queue
	if queue == nil {
		defer r.mu.Unlock()
		if err := r.engine.backend.Step(context.WithoutCancel(ctx), r.lease, *rec); err != nil {
			if err := fail(err); err != nil {
				return err
			}
		}
		r.numbered(rec)
		return nil
	}
	// If it is not saved, no record with a higher number is, and the run stops.
	enqueued := queue.Enqueue(r.lease, rec)
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

// settle resolves a save in doubt by reading the run back. It returns nil if the save was
// made. Otherwise the run stops, and the claim of the next executor decides.
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

// isAt reports whether the record is the one at its position among the steps.
func (r *StepRecord) isAt(steps []StepRecord) bool {
	if int64(len(steps)) < r.Seq {
		return false
	}
	s := steps[r.Seq-1]
	return s.Path == r.Path && s.Status == r.Status && s.Attempts == r.Attempts && s.Token == r.Token && s.Error == r.Error && s.Usage == r.Usage &&
		s.Ended.Equal(r.Ended) && bytes.Equal(s.Output, r.Output) && bytes.Equal(s.State, r.State)
}
