package core

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Redirect runs the first node, and after each node calls next, which names the node
// that takes over; "" ends it. A node runs at most once: to be sent back to it is a
// failure ([ErrRedirectCycle]) that shows the way taken. next must depend on its
// arguments alone: after a crash it is called again.
func Redirect[S any](name string, next func(s S, from string) (to string, err error), nodes ...*Node[S]) *Node[S] {
	return &Node[S]{name, &redirect[S]{next: next, nodes: slices.Clone(nodes)}}
}

type redirect[S any] struct {
	next  func(S, string) (string, error)
	nodes []*Node[S]
}

func (b *redirect[S]) place(p *planner, path string, often tally) error {
	p.mark("redirect", path)
	switch {
	case b.next == nil:
		return p.bad(path, "no next function: it names the node that takes over")
	case len(b.nodes) == 0:
		return p.bad(path, "it has no node")
	}
	if err := placeAll(p, b, path+"/", b.nodes[:1], often); err != nil {
		return err
	}
	return placeAll(p, b, path+"/", b.nodes[1:], often.optional(), b.nodes[0])
}

func (b *redirect[S]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	var way []string
	for n := b.nodes[0]; ; {
		way = append(way, n.name)
		if failure, stop = l.exec(ctx, n, path+"/"+n.name); failure != nil || stop != nil {
			return failure, stop
		}
		to, err, stop := ask(l, func(s S) (string, error) { return b.next(s, n.name) })
		switch {
		case stop != nil:
			return nil, stop
		case err != nil:
			return &NodeError{"redirect", path, err}, nil
		case to == "":
			return nil, nil
		case slices.Contains(way, to):
			return &NodeError{"redirect", path, fmt.Errorf("%w: %s -> %s", ErrRedirectCycle, strings.Join(way, " -> "), to)}, nil
		}
		if n = byName(b.nodes, to); n == nil {
			return &NodeError{"redirect", path, fmt.Errorf("%q names no node to go to: it has no %q", way[len(way)-1], to)}, nil
		}
	}
}
