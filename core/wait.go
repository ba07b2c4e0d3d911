package core

import (
	"context"
	"fmt"
	"time"
)

// Wait pauses the run for the time that lasts returns; 0 or less is no pause. No process
// needs to run meanwhile: the run is saved as [Paused] with the time at which it can
// continue ([Result.Wake]), and [ResumeAll] continues it then, or [Resume] later. lasts
// must depend on the scope alone.
func Wait[S any](name string, lasts func(S) time.Duration) *Node[S] {
	return &Node[S]{name, &wait[S]{lasts: lasts}}
}

type wait[S any] struct{ lasts func(S) time.Duration }

func (b *wait[S]) place(p *planner, path string, _ tally) error {
	p.mark("wait", path)
	if b.lasts == nil {
		return p.bad(path, "no lasts function: it returns how long to wait")
	}
	p.humans[path] = b
	p.fallible++
	return nil
}

// canonical refuses answers: only time ends a wait.
func (b *wait[S]) canonical([]byte) ([]byte, error) {
	return nil, fmt.Errorf("it is a wait, which takes no answer: it ends by itself")
}

func (b *wait[S]) timeout() []byte { return []byte("null") }

func (b *wait[S]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	if rec, ok := l.recorded(path); ok {
		if _, over := l.run.answers[rec.Token]; !over {
			l.run.paused(rec, "")
			return nil, errPaused
		}
		return nil, nil
	}
	lasts, err, stop := ask(l, func(s S) (time.Duration, error) { return b.lasts(s), nil })
	switch {
	case stop != nil:
		return nil, stop
	case err != nil:
		return &NodeError{"wait", path, err}, nil
	case lasts <= 0:
		return nil, nil
	}
	return nil, l.pause(ctx, &StepRecord{Path: path}, "", lasts)
}
