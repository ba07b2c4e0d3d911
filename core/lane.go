package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// lane is one line of execution with a scope: the run's own, that of a branch, or
// that of a sub-pipeline. One goroutine uses it.
type lane[S any] struct {
	run *run
	*thread
	codec  *codec.Codec[S]
	scope  S
	stored []byte // the scope as last saved or loaded in this lane
	stale  bool   // scope is still to be made of stored
	dirty  bool   // changed since by something other than a saved step
}

// thread is what a lane shares with the sub-pipelines that it runs one after the
// other, whatever their scopes.
type thread struct {
	parent   *thread
	apart    bool         // user code is called in goroutines of the engine, which it may end
	left     atomic.Int64 // loaded records of this thread and its children not met again yet
	purse    *purse
	meter    meter
	rec      StepRecord // of the step under way
	feedback string     // for the first attempt of the steps that follow
	watched  bool       // a loop wants the digest of the outputs
	outputs  uint64
	guards   []guard // of the scopes around; only in the mode that looks for aliases
}

// exec runs one node at its path in the run.
func (l *lane[S]) exec(ctx context.Context, n *Node[S], path string) (failure, stop error) {
	if l.run.engine.tracer != nil {
		var end func(failure, stop error)
		ctx, end = l.run.engine.span(ctx, l.run.key, path)
		defer func() { end(failure, stop) }()
	}
	failure, stop = n.body.run(ctx, l, path)
	if errors.Is(failure, ErrHarness) {
		return nil, failure
	}
	return failure, stop
}

// fresh makes the scope current: while records are replayed it is decoded only
// where somebody looks at it.
func (l *lane[S]) fresh() (stop error) {
	if !l.stale {
		return nil
	}
	var scope S
	if err := l.codec.Decode(l.stored, &scope); err != nil {
		return fmt.Errorf("run %s: the saved scope does not fit %T: %w: resume with the program that saved it", l.run.key, l.scope, err)
	}
	l.scope, l.stale = scope, false
	return nil
}

// change lets f change the scope, entirely or not at all.
func (l *lane[S]) change(kind, path string, f func(*S) error) (failure, stop error) {
	if stop := l.fresh(); stop != nil {
		return nil, stop
	}
	next, err := contained(l.thread, func() (S, error) {
		next, err := l.codec.Copy(&l.scope)
		if err == nil {
			err = f(&next)
		}
		return next, err
	})
	if err != nil {
		return &NodeError{kind, path, err}, nil
	}
	l.scope, l.dirty = next, true
	return nil, nil
}

// recorded returns the record that was loaded for a path and takes it off the
// thread's account.
func (l *lane[S]) recorded(path string) (*StepRecord, bool) {
	rec, ok := l.run.records[path]
	if !ok {
		return nil, false
	}
	for t := l.thread; t != nil; t = t.parent {
		t.left.Add(-1)
	}
	return rec, true
}

// begin is called before work that is not recorded yet.
func (l *lane[S]) begin(ctx context.Context, path string) (stop error) {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("run %s stopped before step %q: %w", l.run.key, path, cause)
	}
	if n := l.left.Load(); n != 0 {
		return fmt.Errorf("run %s: %w: step %q is next, but %d saved record(s) of other steps come first: "+
			"conditions, choices and merges must depend on the scope alone", l.run.key, ErrDiverged, path, n)
	}
	if l.run.probe {
		// Not a stop like others: the other lanes are to be looked at too.
		l.run.more.Store(true)
		return errPaused
	}
	if l.run.verify != nil {
		return fmt.Errorf("replay run %s: step %q: %w", l.run.key, path, ErrNotRecorded)
	}
	return nil
}

// under returns the paths of the loaded records at and below a path.
func (r *run) under(path string) (paths []string) {
	if r.paths == nil {
		return nil
	}
	for _, prefix := range []string{path + "#", path + "/"} {
		all := r.paths()
		from, _ := slices.BinarySearch(all, prefix)
		n, _ := slices.BinarySearchFunc(all[from:], prefix, func(p, prefix string) int {
			if strings.HasPrefix(p, prefix) {
				return -1
			}
			return 1
		})
		paths = append(paths, all[from:from+n]...)
	}
	if _, ok := r.records[path]; ok {
		paths = append(paths, path)
	}
	return paths
}

// errPaused is the stop of a lane that waits for an answer.
var errPaused = errors.New("paused")
