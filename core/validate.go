package core

import (
	"context"
	"errors"
	"fmt"
)

// Validate runs the node and then checks the scope. An error of check is a failure
// ([*ValidationError]): the output stays in the scope, and the node is not run again
// unless [Rerun] allows it. check must depend on the scope alone: after a crash it is
// called again.
func Validate[S any](name string, check func(S) error, node *Node[S], opts ...ValidateOption) *Node[S] {
	b := &validate[S]{check: check, nodes: []*Node[S]{node}}
	for _, opt := range opts {
		opt(&b.opts)
	}
	return &Node[S]{name, b}
}

// ValidateOption configures a [Validate] node.
type ValidateOption func(*validateOptions)

type validateOptions struct{ reruns int }

// Rerun runs the node up to n times more, with the text of the failed validation
// as feedback. The default is 0.
func Rerun(n int) ValidateOption { return func(o *validateOptions) { o.reruns = n } }

// ValidationError is the failure of a check of [Validate].
type ValidationError struct {
	Path string
	Err  error // of the check
}

func (e *ValidationError) outline() string {
	return fmt.Sprintf("validation %q refused the output", e.Path)
}

func (e *ValidationError) Error() string { return fmt.Sprintf("%s: %v", e.outline(), e.Err) }

func (e *ValidationError) Unwrap() error { return e.Err }

type validate[S any] struct {
	check func(S) error
	nodes []*Node[S]
	opts  validateOptions
}

func (b *validate[S]) place(p *planner, path string, often tally) error {
	p.mark("validate", path, "reruns", b.opts.reruns)
	switch {
	case b.check == nil:
		return p.bad(path, "no check function: it returns what is wrong with the scope")
	case b.opts.reruns < 0:
		return p.bad(path, fmt.Sprintf("%d reruns: use 0 or more", b.opts.reruns))
	}
	return placeAll(p, b, path+"/", b.nodes, often.times(1, 1+b.opts.reruns))
}

func (b *validate[S]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	defer l.withFeedback(l.feedback)()
	for i := 1; ; i++ {
		failure, stop = l.iterate(ctx, path, i, b.nodes)
		if failure != nil || stop != nil {
			return failure, stop
		}
		_, err, stop := ask(l, func(s S) (struct{}, error) { return struct{}{}, b.check(s) })
		switch {
		case stop != nil:
			return nil, stop
		case err == nil:
			return nil, nil
		case i > b.opts.reruns || errors.Is(err, ErrHarness):
			return &ValidationError{path, err}, nil
		}
		l.feedback = err.Error()
	}
}
