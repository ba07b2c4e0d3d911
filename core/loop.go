package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
)

// ExitReason is the reason why a loop ended.
type ExitReason string

// The exit reasons. They are stored: their texts never change.
const (
	ExitCondition      ExitReason = "condition"       // the condition was met
	ExitMax            ExitReason = "max"             // the most iterations were made
	ExitNoProgress     ExitReason = "no progress"     // iterations changed nothing
	ExitBodyError      ExitReason = "body error"      // a node of the body failed
	ExitConditionError ExitReason = "condition error" // the condition failed
	ExitBudget         ExitReason = "budget"          // the run is out of budget
	ExitCancelled      ExitReason = "cancelled"       // the run was cancelled
)

// Exit is how a loop ended.
type Exit struct {
	Reason     ExitReason `json:"reason"`
	Iterations int        `json:"iterations"` // that were started
}

// Loop runs its node until the condition holds after an iteration, at most max times.
// If the condition never holds, that is a failure ([*LoopError]) unless [MaxIsSuccess]
// is given. The paths of iteration 3 of "refine" begin with "refine#3/". The condition
// must depend on the scope alone: after a crash it is called again.
func Loop[S any](name string, max int, until func(S) (bool, error), node *Node[S], opts ...LoopOption) *Node[S] {
	b := &loop[S]{max: max, until: until, nodes: []*Node[S]{node}}
	for _, opt := range opts {
		opt(&b.opts)
	}
	return &Node[S]{name, b}
}

// LoopOption configures a [Loop].
type LoopOption func(*loopOptions)

type loopOptions struct {
	maxOK bool
	stall int
}

// MaxIsSuccess makes the loop succeed after its last iteration. The condition may then
// be nil.
func MaxIsSuccess() LoopOption { return func(o *loopOptions) { o.maxOK = true } }

// NoProgress ends the loop with [ErrNoProgress] after k consecutive iterations that left
// the scope, and all outputs, the same as the iteration before.
func NoProgress(k int) LoopOption { return func(o *loopOptions) { o.stall = k } }

// LoopError is the failure of a loop.
type LoopError struct {
	Path string
	Exit
	Err error // of the body or the condition, or [ErrNoProgress]; nil for the maximum
}

func (e *LoopError) outline() string {
	return fmt.Sprintf("loop %q ended after %s: %s", e.Path, plural(e.Iterations, "iteration"), e.Reason)
}

func (e *LoopError) Error() string {
	text := e.outline()
	if e.Err != nil && e.Reason != ExitNoProgress {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *LoopError) Unwrap() error { return e.Err }

type loop[S any] struct {
	max   int
	until func(S) (bool, error)
	nodes []*Node[S]
	opts  loopOptions
}

func (b *loop[S]) place(p *planner, path string, often tally) error {
	p.mark("loop", path, "max", b.max)
	switch {
	case b.max < 1:
		return p.bad(path, fmt.Sprintf("a maximum of %d iterations: use 1 or more", b.max))
	case b.opts.stall < 0:
		return p.bad(path, fmt.Sprintf("no progress after %d iterations: use 1 or more", b.opts.stall))
	case b.until == nil && !b.opts.maxOK:
		return p.bad(path, "no condition: without one the loop can only fail; give one, or MaxIsSuccess")
	}
	return placeAll(p, b, path+"/", b.nodes, often.times(1, b.max))
}

func (b *loop[S]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	i := 0
	exit := func(reason ExitReason, err error) error {
		l.run.exit(path, Exit{reason, i})
		return &LoopError{path, Exit{reason, i}, err}
	}
	watch := stallWatch{most: b.opts.stall}
	var seen uint64 // outputs of the previous iterations
	if watch.most > 0 {
		end := l.watchOutputs()
		defer func() {
			l.outputs = seen*31 + l.outputs
			end()
		}()
	}
	for {
		i++
		failure, stop = l.iterate(ctx, path, i, b.nodes)
		switch {
		case stop != nil && errors.As(stop, new(*BudgetError)):
			_ = exit(ExitBudget, nil)
			return nil, stop
		case stop != nil && ctx.Err() != nil:
			_ = exit(ExitCancelled, nil)
			return nil, stop
		case stop != nil:
			return nil, stop
		case failure != nil:
			return exit(ExitBodyError, failure), nil
		}
		if b.until != nil {
			done, err, stop := ask(l, b.until)
			switch {
			case stop != nil:
				return nil, stop
			case err != nil:
				return exit(ExitConditionError, err), nil
			case done:
				_ = exit(ExitCondition, nil)
				return nil, nil
			}
		}
		if i == b.max {
			err := exit(ExitMax, nil)
			if b.opts.maxOK {
				return nil, nil
			}
			return err, nil
		}
		if watch.most > 0 {
			if stop := l.fresh(); stop != nil {
				return nil, stop
			}
			state, err := l.codec.Encode(&l.scope)
			if err != nil {
				return exit(ExitBodyError, fmt.Errorf("compare iterations: %w", err)), nil
			}
			if watch.same(state, l.outputs) {
				return exit(ExitNoProgress, ErrNoProgress), nil
			}
			seen, l.outputs = seen*31+l.outputs, 0
		}
	}
}

// iterate runs a body for the ith time. Steps check ctx themselves; without a check here a
// body that runs no step would continue after ctx has ended.
func (l *lane[S]) iterate(ctx context.Context, path string, i int, body []*Node[S]) (failure, stop error) {
	if i > 1 && ctx.Err() != nil && l.left.Load() == 0 && l.run.verify == nil {
		return nil, fmt.Errorf("run %s stopped before iteration %d of %q: %w", l.run.key, i, path, context.Cause(ctx))
	}
	return l.each(ctx, path+"#"+strconv.Itoa(i)+"/", body)
}

// stallWatch counts consecutive iterations that changed nothing.
type stallWatch struct {
	most, count int
	state       []byte
	outputs     uint64
}

func (w *stallWatch) same(state []byte, outputs uint64) bool {
	if w.state != nil && outputs == w.outputs && bytes.Equal(state, w.state) {
		w.count++
	} else {
		w.count, w.state, w.outputs = 0, state, outputs
	}
	return w.count >= w.most
}

// outputSeed can differ between processes: digests are not stored.
var outputSeed = maphash.MakeSeed()

// watchOutputs makes steps add their outputs to the digest of the thread, until the
// returned function is called. A loop within a loop has a digest of its own, which is
// added to the outer one at its end.
func (t *thread) watchOutputs() (end func()) {
	outer, watched := t.outputs, t.watched
	t.outputs, t.watched = 0, true
	return func() { t.outputs, t.watched = outer*31+t.outputs, watched }
}

// sawOutput adds an output to the digest.
func (t *thread) sawOutput(output []byte) {
	t.outputs = t.outputs*31 + maphash.Bytes(outputSeed, output)
}
