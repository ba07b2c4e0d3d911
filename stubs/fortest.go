package stubs

import (
	"context"
	"fmt"
	"strings"
)

// TB is the part of testing.TB that [ForTest] needs.
type TB interface {
	Helper()
	Cleanup(func())
	Error(args ...any)
	Context() context.Context
}

// ForTest returns a context in which scripted agents answer without a pipeline, for tests of
// functions that call agents themselves. At the end of the test, t fails with the errors of
// [Book.Verify]: exhausted scripts, unread replies, unexpected inputs and orders.
//
// Without a plan, [Always] and [From] answer any number of calls, and each run reads a [Script]
// once, or the test does if requests name no run. Pipelines with loops and maps need a book from
// [Size].
func ForTest(t TB) context.Context {
	t.Helper()
	b, err := Size(noPlan{}, Load{Arm: "test", Rounds: 1, Batch: 1})
	if err != nil {
		t.Error(err)
		return t.Context()
	}
	t.Cleanup(func() {
		t.Helper()
		if err := b.Verify(); err != nil {
			t.Error(err)
		}
	})
	return &armContext{t.Context(), b.arms["test"]}
}

// noPlan is the plan of [ForTest].
type noPlan struct{}

func (noPlan) Paths() []string             { return nil }
func (noPlan) MaxCalls() map[string]int    { return nil }
func (noPlan) MinCalls() map[string]int    { return nil }
func (noPlan) LanePath(path string) string { return path }

// unplanned creates the script of a step without a plan. The caller must not hold mu.
func (a *arm) unplanned(path string) *script {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.scripts[path]
	if s == nil {
		s = &script{arm: a, path: path, calls: 1, have: mostOutputs}
		a.scripts[path] = s
	}
	return s
}

// ordered returns an error if replies cannot be read in order at a path. Without a plan, an
// iteration of a loop, which continues a script, cannot be distinguished from an item of a map,
// which starts it.
func (s *script) ordered(path string) error {
	if !s.arm.free || !strings.Contains(path, "#") {
		return nil
	}
	return s.arm.fault(&UnscriptedError{Step: path, Problem: "it is in a loop or a map, and ForTest has no plan: run under the context of Book.In"})
}

// fault records an error if there is a book, and returns it.
func (a *arm) fault(err error) error {
	if a == nil {
		return err
	}
	return a.book.fault(err)
}

// Report records err in the book of the context, so that [Book.Verify] reports it even if it is
// swallowed, and returns err. Without a book it only returns err. It is meant for test doubles that
// call scripted agents; err should wrap core.ErrHarness.
func Report(ctx context.Context, err error) error {
	if scope, ok := ctx.Value(scopeKey{}).(*armContext); ok {
		return scope.arm.fault(err)
	}
	return err
}

// Requests states that one call of a step makes up to most requests to its scripted provider: one
// for each round of a conversation with tools, and one for each retry by the SDK. It multiplies the
// size of the step's script by most. It must be called before the first run and before Remove.
func (b *Book) Requests(path string, most int) error {
	for name, a := range b.arms {
		s := a.scripts[path]
		if s == nil {
			return fmt.Errorf("scripts: no step %q in arm %q", path, name)
		}
		if most < 1 || s.requests != 1 || s.taken != 0 {
			return fmt.Errorf("scripts: %d requests a call of step %q: give 1 or more, once, before Remove", most, path)
		}
		have, ok := product(s.have, most)
		if !ok {
			return fmt.Errorf("scripts: %d outputs x %d requests of step %q are more than can be counted: plan less", s.have, most, path)
		}
		s.requests, s.have = most, have
	}
	return nil
}
