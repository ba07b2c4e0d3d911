package core

import (
	"context"
	"fmt"
	"time"
)

// Wait pauses the run for as long as lasts says, also when no process runs meanwhile:
// nothing sleeps. The run is saved as [Paused] with the time at which it can go on
// ([Result.Wake]); [ResumeAll] takes it up then, or [Resume] after that. Nothing is
// waited for where lasts gives 0 or less. lasts must depend on the scope alone.
func Wait[S any](name string, lasts func(S) time.Duration) *Node[S] {
	return &Node[S]{name, &wait[S]{lasts: lasts}}
}

type wait[S any] struct{ lasts func(S) time.Duration }

func (b *wait[S]) place(p *planner, path string, _ tally) error {
	p.mark("wait", path)
	if b.lasts == nil {
		return p.bad(path, "no lasts function: it says how long to wait")
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
	r := l.run
	if rec, ok := l.recorded(path); ok {
		l.purse.spent(rec.used())
		if _, over := r.answers[rec.Token]; !over {
			r.paused(rec, "")
			return nil, errPaused
		}
		return nil, nil
	}
	if stop := l.fresh(); stop != nil {
		return nil, stop
	}
	lasts, err := contained(l.thread, func() (time.Duration, error) { return b.lasts(l.scope), nil })
	switch {
	case err != nil:
		return &NodeError{"wait", path, err}, nil
	case lasts <= 0:
		return nil, nil
	}
	return nil, l.pause(ctx, &StepRecord{Path: path}, "", lasts)
}
