package stubs

import (
	"context"

	"github.com/flujo/flujo-harness/core"
)

// Scope identifies the call of a step that a context belongs to.
type Scope struct {
	Run     core.RunKey
	Path    string // path of the step in its run
	Attempt int    // from 1; 0 outside an engine

	execution uint64 // see core.Request.Execution; 0 if it continues the latest execution
}

// Scoped returns the agent with the scope of each call in the context. A scripted provider (package
// provider) or a cassette then assigns the agent's HTTP requests to its run and step by the
// context of the request.
func Scoped[In, Out any](agent core.Agent[In, Out]) core.Agent[In, Out] {
	return core.Func[In, Out](func(ctx context.Context, req core.Request[In]) (Out, error) {
		return agent.Call(Scope{req.Run, req.Path, req.Attempt, execution(ctx, &req)}.In(ctx), req)
	})
}

// In returns a context with the scope.
func (s Scope) In(ctx context.Context) context.Context { return &callContext{ctx, s} }

// ScopeOf returns the scope that [Scoped] or [Scope.In] added to the context.
func ScopeOf(ctx context.Context) (Scope, bool) {
	c, ok := ctx.Value(callKey{}).(*callContext)
	if !ok {
		return Scope{}, false
	}
	return c.scope, true
}

type callKey struct{}

// callContext is recognised by its type if it is not wrapped in another context, because a lookup
// by key costs more than a scripted call.
type callContext struct {
	context.Context
	scope Scope
}

func (c *callContext) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// execution returns the number of the execution that a request belongs to, or 0 if it belongs to a
// resumed run. For a request that was created outside the engine, the context may have the number.
func execution[In any](ctx context.Context, req *core.Request[In]) uint64 {
	n, resumed := req.Execution()
	if resumed {
		return 0
	}
	if c, ok := ctx.(*callContext); ok && n == 0 {
		return c.scope.execution
	}
	return n
}
