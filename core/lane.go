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

// lane is a sequential part of a run and its scope: the run itself, a branch, or a
// sub-pipeline. One goroutine uses it.
type lane[S any] struct {
	run *run
	*thread
	codec  *codec.Codec[S]
	scope  S
	stored []byte // the scope as last saved or loaded in this lane
	stale  bool   // scope has not been decoded from stored yet
	dirty  bool   // scope was changed since by something other than a saved step
}

// thread is the part of a lane that does not depend on the type of its scope. A lane
// shares it with the sub-pipelines that it runs.
type thread struct {
	parent   *thread
	apart    bool         // user code is called in goroutines of the engine, which it may end
	left     atomic.Int64 // loaded records of this thread and its children that were not reached again yet
	purse    *purse
	meter    meter
	rec      StepRecord // of the current step
	feedback string     // for the first attempt of the steps that follow
	watched  bool       // a loop needs the digest of the outputs
	outputs  uint64
	guards   []guard // of the enclosing scopes; only with isolation checks
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

// fresh makes the scope current. While records are replayed, the scope is decoded only
// when it is needed.
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

// change lets f change the scope. If f fails, nothing has changed.
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

// recorded returns the record that was loaded for a path and counts it as reached.
func (l *lane[S]) recorded(path string) (*StepRecord, bool) {
	rec, ok := l.run.records[path]
	if !ok {
		return nil, false
	}
	for t := l.thread; t != nil; t = t.parent {
		t.left.Add(-1)
	}
	l.purse.spent(rec.used())
	return rec, true
}

// begin is called before a step that is not recorded yet.
func (l *lane[S]) begin(ctx context.Context, path string) (stop error) {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("run %s stopped before step %q: %w", l.run.key, path, cause)
	}
	if n := l.left.Load(); n != 0 {
		return fmt.Errorf("run %s: %w: step %q is next, but other steps have %s left: "+
			"conditions, choices and merges must depend on the scope alone", l.run.key, ErrDiverged, path, plural(int(n), "saved record"))
	}
	if l.run.probe {
		// A pause, unlike other stops, does not end the other lanes.
		l.run.more.Store(true)
		return errPaused
	}
	if l.run.verify != nil {
		return fmt.Errorf("replay run %s: step %q: %w", l.run.key, path, ErrNotRecorded)
	}
	return nil
}

// under returns the paths of the loaded records at and below a path; "" is the whole run.
func (r *run) under(path string) (paths []string) {
	if r.paths == nil {
		return nil
	}
	all := r.paths()
	if path == "" {
		return all
	}
	for _, prefix := range []string{path + "#", path + "/"} {
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

// errPaused stops a lane that waits for an answer.
var errPaused = errors.New("paused")
