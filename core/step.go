package core

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"
)

// Step is a node that calls an agent once, and again after a failure as its
// options allow. read makes the agent's input from the scope, write puts its
// output into the scope; both must be quick and free of effects. Every attempt
// starts from the scope as it was before the first.
func Step[S, In, Out any](name string, agent Agent[In, Out], read func(S) In, write func(*S, Out), opts ...StepOption) *Node[S] {
	n := &Node[S]{name: name, step: &call[S, In, Out]{agent: agent, read: read, write: write}}
	for _, opt := range opts {
		opt(&n.opts)
	}
	return n
}

// StepOption changes how a step is run.
type StepOption func(*stepOptions)

type stepOptions struct {
	retries int
	base    time.Duration // wait before the first retry; doubled with each
	most    time.Duration // longest wait
}

func (o stepOptions) check() string {
	switch {
	case o.retries < 0:
		return fmt.Sprintf("%d retries: use 0 or more", o.retries)
	case o.base < 0 || o.most < o.base:
		return fmt.Sprintf("backoff from %v to %v: use 0 <= base <= most", o.base, o.most)
	}
	return ""
}

// wait is how long to pause before the given attempt (2 is the first retry).
func (o stepOptions) wait(attempt int) time.Duration {
	d := o.base
	for i := 2; i < attempt && d < o.most; i++ {
		d *= 2
	}
	return min(d, o.most)
}

// Retries lets a step try again up to n times: 1+n attempts. The default is 0.
func Retries(n int) StepOption { return func(o *stepOptions) { o.retries = n } }

// Backoff waits base before the first retry and twice as long before each
// further one, but never longer than most. The default is not to wait.
func Backoff(base, most time.Duration) StepOption {
	return func(o *stepOptions) { o.base, o.most = base, most }
}

// body is the work of a step with the types of its agent erased.
type body[S any] interface {
	check() string
	// try makes one attempt. It changes the scope only when it returns nil. Where
	// encode is set it returns the output as JSON.
	try(ctx context.Context, info attempt, scope *S, encode bool) ([]byte, error)
}

// attempt is what a request says beside its input.
type attempt struct {
	run      RunKey
	path     string
	number   int
	feedback string
}

type call[S, In, Out any] struct {
	agent Agent[In, Out]
	read  func(S) In
	write func(*S, Out)
}

func (c *call[S, In, Out]) check() string {
	switch {
	case c.agent == nil:
		return "no agent: a step needs one to call"
	case c.read == nil:
		return "no read function: it makes the agent's input from the scope"
	case c.write == nil:
		return "no write function: it puts the agent's output into the scope"
	}
	return ""
}

func (c *call[S, In, Out]) try(ctx context.Context, info attempt, scope *S, encode bool) (output []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			output, err = nil, &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	out, err := c.agent.Call(ctx, Request[In]{
		Input: c.read(*scope), Run: info.run, Path: info.path, Attempt: info.number, Feedback: info.feedback,
	})
	if err != nil {
		return nil, err
	}
	if encode {
		if output, err = json.Marshal(out); err != nil {
			return nil, fmt.Errorf("output of the agent cannot be stored: %w", err)
		}
	}
	next := *scope // a write that panics half-way leaves the scope as it was
	c.write(&next, out)
	*scope = next
	return output, nil
}
