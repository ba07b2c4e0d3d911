package core

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// resumedAtOnce is the most runs that one [ResumeAll] executes at the same time.
const resumedAtOnce = 16

// sweeper takes up runs that nobody executes.
type sweeper[S any] struct {
	e     *Engine
	p     *Pipeline[S]
	each  func(RunKey, Result[S], error)
	slots chan struct{}
	wait  sync.WaitGroup

	mu     sync.Mutex
	gaveUp map[RunKey]int64 // epoch of runs that this pipeline cannot go on with
}

// sweep takes up the runs that are due now.
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

// take resumes one run in a goroutine of its own, when there is room for it.
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
			return // somebody else was faster
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
