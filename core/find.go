package core

import (
	"context"
	"fmt"
)

// as finds the part of a backend that implements T. A wrapper of a backend shows what
// it wraps by a method Unwrap() Backend.
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

// List returns the chosen runs of a backend, the newest first.
func List(ctx context.Context, b Backend, f Filter) ([]RunInfo, error) {
	l, err := as[Lister](b, "list its runs")
	if err != nil {
		return nil, err
	}
	return l.List(ctx, f)
}

// Questions returns what waits for an answer in the chosen runs of a backend, the oldest
// question first.
func Questions(ctx context.Context, b Backend, f Filter) ([]Question, error) {
	l, err := as[Lister](b, "list its runs")
	if err != nil {
		return nil, err
	}
	return l.Questions(ctx, f)
}

// Prune deletes runs that have ended, with all that is saved of them, so that a
// backend does not grow for ever. One call deletes at most [PruneFilter.Limit] runs: call
// it again while more is true. A run that is running, or that was cut off, is never
// deleted. A paused or stopped one is only when its status is asked for.
func Prune(ctx context.Context, b Backend, f PruneFilter) (deleted int, more bool, err error) {
	p, err := as[Pruner](b, "delete runs")
	if err != nil {
		return 0, false, err
	}
	return p.Prune(ctx, f)
}
