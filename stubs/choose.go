package stubs

import (
	"context"
	"fmt"

	"github.com/flujo/flujo-harness/core"
)

// Case is one case of [Choose].
type Case[In, Out any] struct {
	If   func(In) bool // nil matches every input
	Then core.Agent[In, Out]
}

// When returns a case for the inputs for which cond is true.
func When[In, Out any](cond func(In) bool, then core.Agent[In, Out]) Case[In, Out] {
	return Case[In, Out]{cond, then}
}

// Else returns the case for all other inputs.
func Else[In, Out any](then core.Agent[In, Out]) Case[In, Out] { return Case[In, Out]{nil, then} }

// Choose returns an agent that calls the agent of the first case that matches the input. An input
// without a matching case is an [*UnscriptedError].
func Choose[In, Out any](cases ...Case[In, Out]) core.Agent[In, Out] {
	return core.Func[In, Out](func(ctx context.Context, req core.Request[In]) (out Out, err error) {
		for _, c := range cases {
			if c.If == nil || c.If(req.Input) {
				return c.Then.Call(ctx, req)
			}
		}
		err = &UnscriptedError{Step: req.Path, Problem: fmt.Sprintf("none of its %d cases matches the input %s: add one, or an Else", len(cases), shorten(string(copied(req.Input)), 200))}
		if scope, ok := ctx.Value(scopeKey{}).(*armContext); ok {
			err = scope.arm.book.fault(err)
		}
		return out, err
	})
}
