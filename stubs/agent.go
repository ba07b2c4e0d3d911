package stubs

import (
	"context"

	"github.com/flujo/flujo-harness/core"
)

// Agent is a scripted core.Agent. It answers only under a context of [Book.In],
// from the script of the arm and the step it is called for.
type Agent[In, Out any] struct {
	limit  int // outputs it has itself; -1 for as many as the book says
	answer func(n int, req core.Request[In]) (Out, error)
}

// Always answers out, as often as the book has outputs.
func Always[In, Out any](out Out) *Agent[In, Out] {
	return Generate(func(int, core.Request[In]) (Out, error) { return out, nil })
}

// Outputs answers the given outputs in order, each once in every arm, and is
// exhausted behind the last. They are written by hand: where the number should
// follow from the load, use [Always] or [Generate].
func Outputs[In, Out any](outs ...Out) *Agent[In, Out] {
	outs = append([]Out(nil), outs...)
	a := Generate(func(n int, _ core.Request[In]) (Out, error) { return outs[n], nil })
	a.limit = len(outs)
	return a
}

// Generate answers what answer returns: n is the number of the output within the
// step's script, from 0. answer may be called by several runs at once.
func Generate[In, Out any](answer func(n int, req core.Request[In]) (Out, error)) *Agent[In, Out] {
	return &Agent[In, Out]{limit: -1, answer: answer}
}

// Call implements core.Agent. Its errors are those of the script and, wrapping
// core.ErrHarness, [*ExhaustedError] and [*UnscriptedError].
func (a *Agent[In, Out]) Call(ctx context.Context, req core.Request[In]) (out Out, err error) {
	scope, ok := ctx.Value(scopeKey{}).(*arm)
	if !ok {
		return out, &UnscriptedError{Step: req.Path, Problem: "it was called outside a book: run under the context of Book.In"}
	}
	n, err := scope.next(req.Path, a.limit)
	if err != nil {
		return out, err
	}
	return a.answer(n, req)
}
