package core

import (
	"context"
	"fmt"
	"strconv"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// Map runs the node once for each item that split makes of the scope. The item is the
// scope of the node, of type T. Then merge puts the results, in the order of the items,
// into the outer scope. More than max items are a failure, because the plan must know
// its worst case. The paths of item 2 of "score" begin with "score#2/". In all else it
// works like [Parallel].
func Map[S, T any](name string, max int, split func(S) []T, node *Node[T], merge func(into *S, items []Ended[T]) error, opts ...ForkOption) *Node[S] {
	b := &mapping[S, T]{max: max, split: split, nodes: []*Node[T]{node}, merge: merge, opts: forked(opts)}
	b.codec, b.problem = codec.New[T]()
	return &Node[S]{name, b}
}

type mapping[S, T any] struct {
	max     int
	split   func(S) []T
	nodes   []*Node[T]
	merge   func(*S, []Ended[T]) error
	opts    forkOptions
	codec   *codec.Codec[T]
	problem error // of the codec
}

func (b *mapping[S, T]) place(p *planner, path string, often tally) error {
	p.mark("map", path, "max", b.max)
	p.maps[path] = true
	switch {
	case b.max < 1:
		return p.bad(path, fmt.Sprintf("a maximum of %d items: use 1 or more", b.max))
	case b.split == nil:
		return p.bad(path, "no split function: it makes the items of the scope")
	case b.merge == nil:
		return p.bad(path, "no merge function: it puts the results of the items into the scope")
	case b.problem != nil:
		return &PlanError{Pipeline: p.pipeline, Path: path, Problem: fmt.Sprintf("the items cannot be used: %v", b.problem), Err: b.problem}
	}
	if err := b.opts.check(p, path); err != nil {
		return err
	}
	return placeAll(p, b, path+"/", b.nodes, often.times(0, b.max))
}

func (b *mapping[S, T]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	items, err, stop := ask(l, func(s S) ([]T, error) { return b.split(s), nil })
	if err == nil && len(items) > b.max {
		err = fmt.Errorf("%d items where the plan allows %d: raise the maximum or split less", len(items), b.max)
	}
	switch {
	case stop != nil:
		return nil, stop
	case err != nil:
		return &NodeError{"map", path, err}, nil
	}
	f := &fork[S, T]{kind: "map", path: path, opts: b.opts, merge: b.merge, codec: b.codec}
	for i := range items {
		name := "#" + strconv.Itoa(i+1)
		f.branches = append(f.branches, forkBranch[T]{name: name, path: path + name, scope: &items[i],
			run: func(ctx context.Context, l *lane[T]) (failure, stop error) {
				return l.each(ctx, path+name+"/", b.nodes)
			}})
	}
	return f.run(ctx, l)
}
