package core

import (
	"context"
	"errors"
)

// Fallback runs its nodes in order until one succeeds. Each gets the failure of the
// previous one as feedback, and the scope as that one left it: completed steps stay done.
// If all fail, the failure joins theirs.
func Fallback[S any](name string, primary *Node[S], others ...*Node[S]) *Node[S] {
	return &Node[S]{name, &fallback[S]{nodes: append([]*Node[S]{primary}, others...)}}
}

type fallback[S any] struct{ nodes []*Node[S] }

func (b *fallback[S]) place(p *planner, path string, often tally) error {
	p.mark("fallback", path)
	if len(b.nodes) < 2 {
		return p.bad(path, "nothing to fall back to: add a node")
	}
	entered := p.mayFail()
	if err := placeAll(p, b, path+"/", b.nodes[:1], often); err != nil {
		return err
	}
	entered()
	return placeAll(p, b, path+"/", b.nodes[1:], often.optional(), b.nodes[0])
}

func (b *fallback[S]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	defer l.withFeedback(l.feedback)()
	var failures []error
	for _, n := range b.nodes {
		failure, stop = l.exec(ctx, n, path+"/"+n.name)
		if failure == nil || stop != nil {
			return nil, stop
		}
		failures = append(failures, failure)
		l.feedback = failure.Error()
	}
	return &NodeError{"fallback", path, errors.Join(failures...)}, nil
}

// withFeedback sets the feedback for the steps that follow, until the returned function is
// called.
func (t *thread) withFeedback(text string) (end func()) {
	before := t.feedback
	t.feedback = text
	return func() { t.feedback = before }
}
