package core

import (
	"context"
	"fmt"
	"slices"
)

// Branch runs the case whose name choose returns, or the one named "default" if there
// is no such case. If there is none of either name, it fails. choose must depend on the
// scope alone: after a crash it is called again.
func Branch[S any](name string, choose func(S) (string, error), cases ...*Node[S]) *Node[S] {
	return &Node[S]{name, &branch[S]{choose: choose, cases: slices.Clone(cases)}}
}

type branch[S any] struct {
	choose func(S) (string, error)
	cases  []*Node[S]
}

func (b *branch[S]) place(p *planner, path string, often tally) error {
	p.mark("branch", path)
	switch {
	case b.choose == nil:
		return p.bad(path, "no choose function: it names the case to run")
	case len(b.cases) == 0:
		return p.bad(path, "it has no case")
	}
	return placeAll(p, b, path+"/", b.cases, often.optional())
}

func (b *branch[S]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	chosen, err, stop := ask(l, b.choose)
	switch {
	case stop != nil:
		return nil, stop
	case err != nil:
		return &NodeError{"branch", path, err}, nil
	}
	n := byName(b.cases, chosen)
	if n == nil {
		n = byName(b.cases, "default")
	}
	if n == nil {
		return &NodeError{"branch", path, fmt.Errorf(`no case is named %q, and there is no "default"`, chosen)}, nil
	}
	return l.exec(ctx, n, path+"/"+n.name)
}

// byName finds a node by its name.
func byName[S any](nodes []*Node[S], name string) *Node[S] {
	if i := slices.IndexFunc(nodes, func(n *Node[S]) bool { return n.name == name }); i >= 0 {
		return nodes[i]
	}
	return nil
}
