package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// Parallel runs its branches at the same time, each on a copy of the scope; then merge
// puts the results into the scope. Use [Disjoint] as merge if the branches change
// different parts. Every branch runs to its end, even if another one has failed or
// paused, because its calls may be paid for already. merge must depend on its arguments
// alone: after a crash it is called again.
func Parallel[S any](name string, merge func(into *S, branches []Ended[S]) error, branches []*Node[S], opts ...ForkOption) *Node[S] {
	return &Node[S]{name, &parallel[S]{merge: merge, nodes: slices.Clone(branches), opts: forked(opts)}}
}

// Branches lists the branches of a [Parallel].
func Branches[S any](nodes ...*Node[S]) []*Node[S] { return nodes }

// ForkOption configures a [Parallel] or a [Map].
type ForkOption func(*forkOptions)

// policy is the effect of a failed branch.
type policy int8

const (
	allSucceed policy = iota
	anySucceeds
	collect
)

type forkOptions struct {
	policy policy
	atOnce int
}

func forked(opts []ForkOption) forkOptions {
	o := forkOptions{atOnce: 8}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// AnySucceeds makes one successful branch enough; merge gets the successful ones.
// The default is that all must succeed.
func AnySucceeds() ForkOption { return func(o *forkOptions) { o.policy = anySucceeds } }

// CollectFailures makes merge get all branches, the failed ones with their error.
func CollectFailures() ForkOption { return func(o *forkOptions) { o.policy = collect } }

// AtOnce limits how many branches run at the same time, each in a goroutine of its own.
// The default is 8.
func AtOnce(n int) ForkOption { return func(o *forkOptions) { o.atOnce = n } }

type parallel[S any] struct {
	merge func(*S, []Ended[S]) error
	nodes []*Node[S]
	opts  forkOptions
}

func (o forkOptions) check(p *planner, path string) error {
	if o.atOnce < 1 {
		return p.bad(path, fmt.Sprintf("%d branches at once: use 1 or more", o.atOnce))
	}
	return nil
}

func (b *parallel[S]) place(p *planner, path string, often tally) error {
	p.mark("parallel", path)
	switch {
	case b.merge == nil:
		return p.bad(path, "no merge function: it puts the results of the branches into the scope; Disjoint is one")
	case len(b.nodes) == 0:
		return p.bad(path, "it has no branch")
	}
	if err := b.opts.check(p, path); err != nil {
		return err
	}
	for i := range b.nodes {
		entered := p.mayFail()
		if err := placeAll(p, b, path+"/", b.nodes[i:i+1], often, b.nodes[:i]...); err != nil {
			return err
		}
		if b.opts.policy != allSucceed {
			entered()
		}
	}
	return nil
}

func (b *parallel[S]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	if stop := l.fresh(); stop != nil {
		return nil, stop
	}
	f := &fork[S, S]{kind: "parallel", path: path, opts: b.opts, merge: b.merge, codec: l.codec}
	for _, n := range b.nodes {
		f.branches = append(f.branches, forkBranch[S]{name: n.name, path: path + "/" + n.name, scope: &l.scope,
			run: func(ctx context.Context, l *lane[S]) (failure, stop error) { return l.exec(ctx, n, path+"/"+n.name) }})
	}
	return f.run(ctx, l)
}

// fork runs branches over T within a lane over S.
type fork[S, T any] struct {
	kind, path string
	opts       forkOptions
	codec      *codec.Codec[T]
	branches   []forkBranch[T]
	merge      func(*S, []Ended[T]) error
}

type forkBranch[T any] struct {
	name, path string
	scope      *T // copied
	run        func(context.Context, *lane[T]) (failure, stop error)
}

func (f *fork[S, T]) run(ctx context.Context, l *lane[S]) (failure, stop error) {
	lanes, err := f.lanes(l)
	if err != nil {
		return &NodeError{f.kind, f.path, err}, nil
	}
	atOnce := f.opts.atOnce
	if l.run.engine.isolation {
		// One after the other, so that only one branch can have made a change.
		defer l.guard(f.path, func() ([]byte, error) { return l.codec.Encode(&l.scope) })()
		for _, b := range lanes {
			b.guards = l.guards
		}
		atOnce = 1
	}
	failures, stop := f.all(ctx, lanes, atOnce)
	for _, b := range lanes {
		l.purse.giveBack(b.purse)
		if l.watched {
			l.outputs = l.outputs*31 + b.outputs
		}
	}
	if stop != nil {
		return nil, stop
	}
	ended := make([]Ended[T], 0, len(lanes))
	var failed []error
	for i, b := range f.branches {
		if failures[i] != nil {
			failed = append(failed, failures[i])
			if f.opts.policy != collect {
				continue
			}
		}
		if stop := lanes[i].fresh(); stop != nil {
			return nil, stop
		}
		ended = append(ended, Ended[T]{Name: b.name, Scope: lanes[i].scope, Err: failures[i]})
	}
	if f.opts.policy == allSucceed && len(failed) > 0 || f.opts.policy == anySucceeds && len(ended) == 0 && len(failed) > 0 {
		return &NodeError{f.kind, f.path, errors.Join(failed...)}, nil
	}
	return l.change(f.kind, f.path, func(s *S) error { return f.merge(s, ended) })
}

// lanes creates a lane for each branch, with a copy of its scope and its part of the budget.
func (f *fork[S, T]) lanes(l *lane[S]) ([]*lane[T], error) {
	purses := l.purse.split(len(f.branches))
	lanes := make([]*lane[T], len(f.branches))
	for i, b := range f.branches {
		scope, err := contained(l.thread, func() (T, error) { return f.codec.Copy(b.scope) })
		if err != nil {
			for _, p := range purses {
				l.purse.giveBack(p)
			}
			return nil, err
		}
		t := &thread{parent: l.thread, apart: true, purse: purses[i], feedback: l.feedback, watched: l.watched}
		if l.left.Load() != 0 {
			t.left.Store(int64(len(l.run.under(b.path))))
		}
		lanes[i] = &lane[T]{run: l.run, thread: t, codec: f.codec, scope: scope}
	}
	return lanes, nil
}

// all runs every branch, atOnce at a time, and returns the failure of each. Any stop but a
// pause cancels the other branches.
func (f *fork[S, T]) all(ctx context.Context, lanes []*lane[T], atOnce int) (failures []error, stop error) {
	failures = make([]error, len(lanes))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex // guards stop: the first one counts, the others follow from it
	branch := func(i int) {
		// Remains if the branch ends its goroutine. Agents and functions cannot do that here,
		// but a backend, a tracer or a method of the scope can.
		s := fmt.Errorf("%s %q: branch %q: %w", f.kind, f.path, f.branches[i].name, errGoexit)
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			if s != nil && (stop == nil || stop == errPaused) {
				stop = s
			}
			if s != nil && s != errPaused {
				cancel(s)
			}
		}()
		failures[i], s = f.branches[i].run(ctx, lanes[i])
	}
	// One goroutine per branch, because the branch may end it.
	slots := make(chan struct{}, atOnce)
	var branches sync.WaitGroup
	for i := range lanes {
		slots <- struct{}{}
		branches.Go(func() {
			defer func() { <-slots }()
			branch(i)
		})
	}
	branches.Wait()
	return failures, stop
}

// Ended is how one branch of a [Parallel], or one item of a [Map], ended.
type Ended[S any] struct {
	Name  string // of the branch; "#1" for the first item
	Scope S      // the branch's own copy, as it left it
	Err   error  // nil where the branch succeeded
}

// Disjoint is a merge function for [Parallel]. It puts into into, the scope before the
// fork, what each successful branch changed. If two branches changed the same part to
// different values, the error is a [*ConflictError], and into is unchanged.
//
// Structs are compared field by field, also through pointers, and maps entry by entry.
// Everything else, including a slice or the value of an entry, is compared as a whole.
// Times are equal if their instant and offset are. The values of the branches become
// part of into and must not be used afterwards.
func Disjoint[S any](into *S, branches []Ended[S]) error {
	var names []string
	var scopes []*S
	for i := range branches {
		if branches[i].Err == nil {
			names = append(names, branches[i].Name)
			scopes = append(scopes, &branches[i].Scope)
		}
	}
	return codec.Merge(into, names, scopes)
}
