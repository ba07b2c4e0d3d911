package stubs

import (
	"context"
	"fmt"

	"github.com/flujo/flujo-harness/core"
)

// Case is one answer of [Choose].
type Case[In, Out any] struct {
	If   func(In) bool // nil: always
	Then core.Agent[In, Out]
}

// When is a case for the inputs for which cond is true.
func When[In, Out any](cond func(In) bool, then core.Agent[In, Out]) Case[In, Out] {
	return Case[In, Out]{cond, then}
}

// Else is the case for all other inputs.
func Else[In, Out any](then core.Agent[In, Out]) Case[In, Out] { return Case[In, Out]{nil, then} }

// Choose lets the first case that takes the input answer. An input that none takes
// is an [*UnscriptedError].
func Choose[In, Out any](cases ...Case[In, Out]) core.Agent[In, Out] {
	return core.Func[In, Out](func(ctx context.Context, req core.Request[In]) (out Out, err error) {
		for _, c := range cases {
			if c.If == nil || c.If(req.Input) {
				return c.Then.Call(ctx, req)
			}
		}
		err = &UnscriptedError{Step: req.Path, Problem: fmt.Sprintf("none of its %d cases takes the input %s: add one, or an Else", len(cases), shorten(string(copied(req.Input)), 200))}
		if scope, ok := ctx.Value(scopeKey{}).(*armContext); ok {
			err = scope.arm.book.fault(err)
		}
		return out, err
	})
}
