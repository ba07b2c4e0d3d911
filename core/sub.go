package core

import "context"

// Sub runs a whole pipeline, with a scope of its own, as one node: in makes its scope,
// and out puts its result into the outer scope. Its paths begin with name. If it has a
// budget, that applies in addition to the one of the run.
func Sub[S, T any](name string, p *Pipeline[T], in func(S) T, out func(*S, T)) *Node[S] {
	return &Node[S]{name, &sub[S, T]{pipeline: p, in: in, out: out}}
}

type sub[S, T any] struct {
	pipeline *Pipeline[T]
	in       func(S) T
	out      func(*S, T)
}

func (b *sub[S, T]) place(p *planner, path string, often tally) error {
	p.mark("sub", path)
	switch {
	case b.pipeline == nil || b.pipeline.plan == nil:
		return p.bad(path, "no pipeline: make it with New and look at its error")
	case b.in == nil:
		return p.bad(path, "no in function: it makes the scope of the sub-pipeline")
	case b.out == nil:
		return p.bad(path, "no out function: it takes over the result of the sub-pipeline")
	}
	return placeAll(p, b.pipeline, path+"/", b.pipeline.root.nodes, often)
}

func (b *sub[S, T]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	ctx, end := l.narrow(ctx, l.run, path, b.pipeline.budget)
	defer end()
	inner := &lane[T]{run: l.run, thread: l.thread, codec: b.pipeline.codec}
	scope, err, stop := ask(l, func(s S) (T, error) {
		made := b.in(s)
		return inner.codec.Copy(&made)
	})
	switch {
	case stop != nil:
		return nil, stop
	case err != nil:
		return &NodeError{"sub-pipeline", path, err}, nil
	}
	inner.scope = scope
	if failure, stop = inner.each(ctx, path+"/", b.pipeline.root.nodes); failure != nil || stop != nil {
		return failure, stop
	}
	if stop := inner.fresh(); stop != nil {
		return nil, stop
	}
	return l.change("sub-pipeline", path, func(s *S) error {
		b.out(s, inner.scope)
		return nil
	})
}
