package core

import (
	"context"
	"fmt"
	"slices"
)

// Default is the name of the case that a [Branch] takes where no other has the
// chosen name.
const Default = "default"

// Branch runs the case whose name choose returns, or the one named [Default]. A
// name without a case is a failure. choose must depend on the scope alone: after a
// crash it is asked again.
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
	if stop := l.fresh(); stop != nil {
		return nil, stop
	}
	chosen, err := ask(l, b.choose)
	if err != nil {
		return &NodeError{"branch", path, err}, nil
	}
	n := byName(b.cases, chosen)
	if n == nil {
		n = byName(b.cases, Default)
	}
	if n == nil {
		return &NodeError{"branch", path, fmt.Errorf("no case is named %q, and there is no %q", chosen, Default)}, nil
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
