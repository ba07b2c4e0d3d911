package core

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// Node is a part of a pipeline over the scope S: a step, or a node that holds others. It
// never changes and may be used in several places. The functions below create nodes.
type Node[S any] struct {
	name string
	body body[S]
}

// body is the behaviour of one kind of node. Each kind has its own file.
type body[S any] interface {
	// place checks the node and adds it, and the nodes it holds, to the plan at path.
	place(p *planner, path string, often tally) error
	// run executes the node. Fallbacks, loops and policies may handle a failure. A stop
	// (paused, out of budget, fenced, cancelled, fault of the harness) is always passed on.
	run(ctx context.Context, l *lane[S], path string) (failure, stop error)
}

// Then is a sequence: its nodes run one after the other, and the first failure
// ends it. Nothing is rolled back: what was done before a failure stays done.
func Then[S any](name string, nodes ...*Node[S]) *Node[S] {
	return &Node[S]{name, &sequence[S]{nodes: slices.Clone(nodes)}}
}

// Pass is a node that does nothing, for example as a case of a [Branch].
func Pass[S any](name string) *Node[S] { return &Node[S]{name, &sequence[S]{empty: true}} }

type sequence[S any] struct {
	nodes []*Node[S]
	empty bool // intentionally
}

func (q *sequence[S]) place(p *planner, path string, often tally) error {
	p.mark("then", path)
	if len(q.nodes) == 0 && !q.empty {
		return p.bad(path, "it is empty: add a step, or use Pass where nothing is to do")
	}
	return placeAll(p, q, path+"/", q.nodes, often)
}

func (q *sequence[S]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	if len(q.nodes) == 0 {
		return nil, nil
	}
	return l.each(ctx, path+"/", q.nodes)
}

// each runs nodes in order until one fails or stops.
func (l *lane[S]) each(ctx context.Context, prefix string, nodes []*Node[S]) (failure, stop error) {
	for _, n := range nodes {
		path := n.name
		if prefix != "" {
			path = prefix + n.name
		}
		if failure, stop = l.exec(ctx, n, path); failure != nil || stop != nil {
			return failure, stop
		}
	}
	return nil, nil
}

// Pipeline is a checked plan over the scope S. It is immutable and may be run by several
// goroutines at once. Its paths and its worst-case number of calls are known before any
// run.
type Pipeline[S any] struct {
	name   string
	root   sequence[S]
	codec  *codec.Codec[S]
	plan   *planner
	text   string // of the plan
	print  uint64 // hash of text
	budget Budget
}

// New creates a pipeline that runs the nodes in this order. It checks everything that can
// be known before the first run: missing agents and functions, duplicate paths, nodes that
// contain themselves, and scopes and outputs that cannot be copied and stored exactly. A
// mistake is a [*PlanError].
//
// If storage does not keep all of a scope or output, for example the monotonic reading of
// a time, it is decoded from its stored form after each save: functions receive the same
// values in an undisturbed run and after a resume.
func New[S any](name string, nodes ...*Node[S]) (*Pipeline[S], error) {
	p := &Pipeline[S]{name: name, root: sequence[S]{nodes: slices.Clone(nodes)}, plan: newPlanner(name)}
	if name == "" {
		return nil, &PlanError{Problem: "the pipeline has no name: give it one"}
	}
	var err error
	if p.codec, err = codec.New[S](); err != nil {
		return nil, &PlanError{Pipeline: name, Problem: fmt.Sprintf("the scope cannot be used: %v", err), Err: err}
	}
	if err := placeAll(p.plan, &p.root, "", p.root.nodes, once); err != nil {
		return nil, err
	}
	if len(p.plan.steps)+len(p.plan.humans) == 0 {
		return nil, &PlanError{Pipeline: name, Problem: "there is no step to run: add at least one"}
	}
	h := fnv.New64a()
	p.text = fmt.Sprintf("pipeline %q\n%s", name, p.plan.marks.String())
	h.Write([]byte(p.text))
	p.print = h.Sum64()
	return p, nil
}

// Within returns the same pipeline with a budget for each run. The budget is not part of
// the plan's fingerprint: a run that has used up its budget can be resumed with a larger
// one.
func (p *Pipeline[S]) Within(b Budget) *Pipeline[S] {
	q := *p
	q.budget = b
	return &q
}

// Copy returns a copy of the scope, as every attempt and every branch gets one. It shares
// nothing with the original that can be changed.
func (p *Pipeline[S]) Copy(scope S) (S, error) { return p.codec.Copy(&scope) }

// Name of the pipeline.
func (p *Pipeline[S]) Name() string { return p.name }

// Paths returns the paths of the steps in the plan, in order. A step within a loop or a
// map has one path here, and one for each iteration in a run: see [PlanPath].
func (p *Pipeline[S]) Paths() []string {
	paths := make([]string, len(p.plan.steps))
	for i, s := range p.plan.steps {
		paths[i] = s.path
	}
	return paths
}

// MaxCalls returns for every step, by its path in the plan, the largest number of calls
// of its agent in one run, including those of loops and retries.
func (p *Pipeline[S]) MaxCalls() map[string]int {
	return p.plan.calls(func(s tally) int { return s.max })
}

// MinCalls returns the least number of calls that every completed run has made: 0 if a
// branch, a fallback or an empty map can leave the step out.
func (p *Pipeline[S]) MinCalls() map[string]int {
	return p.plan.calls(func(s tally) int { return s.min })
}

// Plan returns the text of the plan, with a line for each node: its kind, its path, and
// the maximum of a loop or a map. It is saved with every run.
func (p *Pipeline[S]) Plan() string { return p.text }

// Fingerprint returns the hash of [Pipeline.Plan].
func (p *Pipeline[S]) Fingerprint() uint64 { return p.print }

// PlanPath returns the path in the plan of a path in a run: "refine/draft" for
// "refine#3/draft".
func PlanPath(path string) string {
	if !strings.Contains(path, "#") {
		return path
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i], _, _ = strings.Cut(part, "#")
	}
	return strings.Join(parts, "/")
}

// LanePath returns a path in a run without the numbers of sequential iterations (of loops
// and validations), but with those of the items of maps. The calls with the same lane path
// in one run are sequential.
func (p *Pipeline[S]) LanePath(path string) string {
	if !strings.Contains(path, "#") {
		return path
	}
	var plan, lane strings.Builder
	for i, part := range strings.Split(path, "/") {
		if i > 0 {
			plan.WriteByte('/')
			lane.WriteByte('/')
		}
		name, _, _ := strings.Cut(part, "#")
		plan.WriteString(name)
		if p.plan.maps[plan.String()] {
			name = part
		}
		lane.WriteString(name)
	}
	return lane.String()
}
