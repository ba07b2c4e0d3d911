package core

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Lister is a [Backend] that can list its runs. It is optional.
type Lister interface {
	// List returns the selected runs, the newest first.
	List(ctx context.Context, f Filter) ([]RunInfo, error)
	// Questions returns the pauses of the selected runs that have no answer, the oldest
	// first. Runs that have ended have none. Filter.After does not apply.
	Questions(ctx context.Context, f Filter) ([]Question, error)
}

// Pruner is a [Backend] that can delete runs. It is optional.
type Pruner interface {
	// Prune deletes runs that have ended: see [Engine.Prune]. It returns how many were
	// deleted, and whether there are more.
	Prune(ctx context.Context, p PruneFilter) (deleted int, more bool, err error)
}

// Filter selects runs. The zero value selects all.
type Filter struct {
	Tenant   *string // nil: of every tenant
	Run      string  // name of the run; without a Tenant also "tenant/run"; empty: every run
	Pipeline string  // name; empty: any
	Status   Status  // 0: any

	Since, Before time.Time // started at Since or later, and before Before; zero: no bound

	Now    time.Time // for Live, CutOff and Due
	Live   bool      // only running runs whose executor is alive at Now
	CutOff bool      // only running runs without an executor that is alive at Now
	// Due selects only the runs that should be resumed at Now: those that are cut off, and
	// paused ones that have an answer their executor did not use, or whose time has come.
	Due bool

	After *RunInfo // only runs that come after this one in the list
	Limit int      // most runs, or questions; 0: no limit
}

// RunInfo summarizes a run.
type RunInfo struct {
	ID       int64 // the backend's own number
	Key      RunKey
	Pipeline string
	Plan     uint64 // fingerprint of the pipeline that it was started with
	Status   Status
	Error    string
	Epoch    int64  // 1 for the starter, one more with every claim
	Holder   Holder // who executes it, or did last
	Origin   Origin // of a fork
	Open     int64  // pauses without an answer; 0 for a run that has ended
	Attempts int64  // of all steps; hits of a cache count here, and not in Usage.Calls
	Usage    Usage  // Steps are executed steps and pauses
	Started  time.Time
	Saved    time.Time // end of the latest record of a step; Started if there is none
	Wake     time.Time // when a paused run can continue without an answer; zero: never
	Ended    time.Time // or paused, or stopped; zero while running
}

// Took is the time from the start to the end, or to the latest save if the run has not
// ended. It includes the time spent waiting for answers and restarts.
func (i RunInfo) Took() time.Duration {
	if i.Ended.IsZero() {
		return i.Saved.Sub(i.Started)
	}
	return i.Ended.Sub(i.Started)
}

// CutOff reports whether the run is recorded as running but has no executor that is
// alive at now.
func (i RunInfo) CutOff(now time.Time) bool { return i.Status == Running && !i.Holder.Alive(now) }

// State returns the status, or for a running run that nobody executes at now: "cut off",
// or "pending" if no executor has had it yet (see [Begin]).
func (i RunInfo) State(now time.Time) string {
	switch {
	case !i.CutOff(now):
		return i.Status.String()
	case i.Holder.Executor == "" && i.Epoch == 1:
		return "pending"
	}
	return "cut off"
}

// Question is a pause that waits for an answer or for its time.
type Question struct {
	Key      RunKey
	Pipeline string
	Path     string
	Token    string // for [Signal]
	Prompt   []byte // as JSON, nil for a [Wait]
	For      string // who is asked; empty: nobody in particular
	Asked    time.Time
	Due      time.Time // when it ends without an answer; zero: never
}

// PruneFilter selects runs to delete.
type PruneFilter struct {
	Tenant *string   // nil: of every tenant
	Status Status    // 0: completed, failed and cancelled runs; Paused and Stopped must be named; never Running
	Before time.Time // only runs that ended, paused or stopped before
	Limit  int       // most runs of one call; 0: 100
}

// Most is the most runs that one call deletes.
func (p PruneFilter) Most() int { return cmp.Or(p.Limit, 100) }

// prunable reports whether the filter selects a run.
func (p PruneFilter) prunable(s *Snapshot) bool {
	chosen := s.Status == p.Status || p.Status == 0 && s.Status.Ended()
	return chosen && s.Status != Running && s.Ended.Before(p.Before) && (p.Tenant == nil || *p.Tenant == s.Start.Key.Tenant)
}

// as returns b, or a backend that it wraps, as a T. A wrapper has a method
// Unwrap() Backend.
func as[T any](b Backend, what string) (T, error) {
	for inner := b; inner != nil; {
		if t, ok := inner.(T); ok {
			return t, nil
		}
		w, ok := inner.(interface{ Unwrap() Backend })
		if !ok {
			break
		}
		inner = w.Unwrap()
	}
	var none T
	if b == nil {
		return none, ErrNoBackend
	}
	return none, fmt.Errorf("backend %T cannot %s: use one that does, or give the wrapper a method Unwrap() core.Backend", b, what)
}

// List returns the selected runs, the newest first. The backend must be a [Lister].
func (e *Engine) List(ctx context.Context, f Filter) ([]RunInfo, error) {
	l, err := as[Lister](e.backend, "list its runs")
	if err != nil {
		return nil, err
	}
	return l.List(ctx, f)
}

// Questions returns the questions of the selected runs that wait for an answer, the
// oldest first. The backend must be a [Lister].
func (e *Engine) Questions(ctx context.Context, f Filter) ([]Question, error) {
	l, err := as[Lister](e.backend, "list its runs")
	if err != nil {
		return nil, err
	}
	return l.Questions(ctx, f)
}

// Prune deletes runs that have ended, with all their records. One call deletes at most
// [PruneFilter.Limit] runs: call it again while more is true. It never deletes a run that
// is running or was cut off. The backend must be a [Pruner].
func (e *Engine) Prune(ctx context.Context, f PruneFilter) (deleted int, more bool, err error) {
	p, err := as[Pruner](e.backend, "delete runs")
	if err != nil {
		return 0, false, err
	}
	return p.Prune(ctx, f)
}
