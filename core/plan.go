package core

import (
	"fmt"
	"strings"
)

// planner walks a tree of nodes before the first run: it finds mistakes and collects the
// steps and pauses.
type planner struct {
	pipeline string
	steps    []planned
	humans   map[string]accepter // pauses by their paths in the plan
	maps     map[string]bool     // paths of maps in the plan
	seen     map[string]bool     // all paths
	open     map[any]bool        // nodes that are being walked: one that is reached again contains itself
	fallible int                 // number of nodes so far that may fail even if none of their steps has
	marks    strings.Builder     // the text of the plan, a line for each node
}

// planned is a step in the plan.
type planned struct {
	path     string
	often    tally
	fallible int // the planner's, when the step was added
}

// tally is how often something happens in one run.
type tally struct{ min, max int }

var once = tally{1, 1}

// mostCalls limits the worst case of one step, so that products cannot overflow.
const mostCalls = 1 << 40

// times stops above mostCalls. A negative max has overflown.
func (s tally) times(min, max int) tally {
	if max < 0 || s.max > 0 && max > mostCalls/s.max {
		return tally{s.min * min, mostCalls + 1}
	}
	return tally{s.min * min, s.max * max}
}

// optional is the tally of a node that a run may leave out.
func (s tally) optional() tally { return tally{0, s.max} }

func newPlanner(pipeline string) *planner {
	return &planner{pipeline: pipeline, humans: map[string]accepter{}, maps: map[string]bool{}, seen: map[string]bool{}, open: map[any]bool{}}
}

func (p *planner) bad(path, problem string) error {
	return &PlanError{Pipeline: p.pipeline, Path: path, Problem: problem}
}

// mark adds a line to the text of the plan: the kind of a node, its path, and other details
// on which the records of a run depend, such as the maximum of a loop.
func (p *planner) mark(kind, path string, details ...any) {
	fmt.Fprintf(&p.marks, "%s %q", kind, path)
	for _, d := range details {
		fmt.Fprintf(&p.marks, " %v", d)
	}
	p.marks.WriteByte('\n')
}

// step adds a step to the plan.
func (p *planner) step(path string, often tally) error {
	p.mark("step", path)
	if often.max > mostCalls {
		return p.bad(path, "loops and retries multiply to more than 2^40 calls: lower a maximum")
	}
	p.steps = append(p.steps, planned{path, often, p.fallible})
	return nil
}

// mayFail is called before nodes are placed whose failure does not fail the run, and the
// returned function after them. It makes all their steps optional except the first one,
// and that too if something can fail before it.
func (p *planner) mayFail() (entered func()) {
	n, fallible := len(p.steps), p.fallible
	return func() {
		for i, s := range p.steps[n:] {
			if i > 0 || s.fallible > fallible {
				p.steps[n+i].often = s.often.optional()
			}
		}
	}
}

func (p *planner) calls(of func(tally) int) map[string]int {
	calls := make(map[string]int, len(p.steps))
	for _, s := range p.steps {
		calls[s.path] = of(s.often)
	}
	return calls
}

// placeAll places the nodes that owner holds.
func placeAll[S any](p *planner, owner any, prefix string, nodes []*Node[S], often tally, before ...*Node[S]) error {
	if p.open[owner] {
		return p.bad(strings.TrimSuffix(prefix, "/"), "it contains itself: a plan must end")
	}
	p.open[owner] = true
	defer delete(p.open, owner)
	if often.max > mostCalls {
		return p.bad(strings.TrimSuffix(prefix, "/"), "loops multiply to more than 2^40 iterations: lower a maximum")
	}
	for i, n := range nodes {
		if n == nil {
			return p.bad(strings.TrimSuffix(prefix, "/"), fmt.Sprintf("node %d is nil", len(before)+i+1))
		}
		path := prefix + n.name
		switch {
		case n.name == "":
			return p.bad(path, "a node has no name: give it one")
		case strings.ContainsAny(n.name, "/#"):
			return p.bad(path, "a name may not contain '/' or '#': they separate the parts of a path")
		case p.seen[path]:
			return p.bad(path, "two nodes have this path: rename one")
		case n.body == nil:
			return p.bad(path, "it is an empty Node: make nodes with the functions of this package")
		}
		p.seen[path] = true
		if err := n.body.place(p, path, often); err != nil {
			return err
		}
	}
	switch owner.(type) {
	case *sequence[S], *fallback[S]:
	default: // the choice, condition, check or merge may fail
		p.fallible++
	}
	return nil
}
