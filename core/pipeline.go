package core

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Node is a part of a pipeline over the scope S: a step or a sequence. Make one
// with [Step] or [Then].
type Node[S any] struct {
	name     string
	step     body[S] // nil for a sequence
	opts     stepOptions
	children []*Node[S] // of a sequence
}

// Then is a sequence: its nodes run one after the other, and the first failure
// ends it. Its name is the first part of the paths within it.
func Then[S any](name string, nodes ...*Node[S]) *Node[S] {
	return &Node[S]{name: name, children: append([]*Node[S](nil), nodes...)}
}

// Pipeline is a checked plan over the scope S. It is immutable, may be run by
// several goroutines at once and, being data, has its paths and its worst-case
// number of calls before any run.
type Pipeline[S any] struct {
	name  string
	steps []placed[S] // the executed order of a sequence is the order of its leaves
	print uint64
}

// placed is a step at its path.
type placed[S any] struct {
	path string
	node *Node[S]
}

// New checks the nodes and makes a pipeline of them, run in this order. Any
// problem is a [*PlanError].
func New[S any](name string, nodes ...*Node[S]) (*Pipeline[S], error) {
	p := &Pipeline[S]{name: name}
	if name == "" {
		return nil, &PlanError{Problem: "the pipeline has no name: give it one"}
	}
	if err := p.place("", nodes, map[string]bool{}); err != nil {
		return nil, err
	}
	if len(p.steps) == 0 {
		return nil, &PlanError{Pipeline: name, Problem: "there is no step to run: add at least one"}
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "v1 %q", name)
	for _, s := range p.steps {
		fmt.Fprintf(h, " %q", s.path)
	}
	p.print = h.Sum64()
	return p, nil
}

func (p *Pipeline[S]) place(prefix string, nodes []*Node[S], seen map[string]bool) error {
	for i, n := range nodes {
		if n == nil {
			return &PlanError{Pipeline: p.name, Path: prefix, Problem: fmt.Sprintf("node %d is nil", i+1)}
		}
		path := prefix + n.name
		bad := func(problem string) error {
			return &PlanError{Pipeline: p.name, Path: path, Problem: problem}
		}
		switch {
		case n.name == "":
			return bad("a node has no name: give it one")
		case strings.ContainsAny(n.name, "/#"):
			return bad("a name may not contain '/' or '#': they separate the parts of a path")
		case seen[path]:
			return bad("two nodes have this path: rename one")
		}
		seen[path] = true
		if n.step == nil {
			if len(n.children) == 0 {
				return bad("the sequence is empty: add a step or leave it out")
			}
			if err := p.place(path+"/", n.children, seen); err != nil {
				return err
			}
			continue
		}
		if problem := n.step.check(); problem != "" {
			return bad(problem)
		}
		if problem := n.opts.check(); problem != "" {
			return bad(problem)
		}
		p.steps = append(p.steps, placed[S]{path: path, node: n})
	}
	return nil
}

// Name of the pipeline.
func (p *Pipeline[S]) Name() string { return p.name }

// Paths of the steps, in order.
func (p *Pipeline[S]) Paths() []string {
	paths := make([]string, len(p.steps))
	for i, s := range p.steps {
		paths[i] = s.path
	}
	return paths
}

// MaxCalls is the largest number of calls of its agent that one run can make,
// retries included, for every step by its path.
func (p *Pipeline[S]) MaxCalls() map[string]int {
	calls := make(map[string]int, len(p.steps))
	for _, s := range p.steps {
		calls[s.path] = 1 + s.node.opts.retries
	}
	return calls
}

// Fingerprint identifies the plan: its name and the order of its paths. A run
// can be resumed only by a pipeline of the same fingerprint.
func (p *Pipeline[S]) Fingerprint() uint64 { return p.print }
