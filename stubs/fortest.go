package stubs

import (
	"context"
	"fmt"
	"strings"
)

// TB is what [ForTest] needs of a *testing.T.
type TB interface {
	Helper()
	Cleanup(func())
	Error(args ...any)
	Context() context.Context
}

// ForTest returns a context in which scripted agents answer without a pipeline and
// without a plan, for the test of a function that calls agents itself. At the end of the
// test t fails with what [Book.Verify] reports: scripts that ran out, replies that were
// left unread, inputs and orders other than expected.
//
// There is no plan, so [Always] and [From] answer any number of calls, and a [Script] is
// read once by each run; where requests name no run, once by the test. Runs of pipelines
// with loops and maps need a book that is sized from the pipeline: [Size].
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

// unplanned makes the script of a step that no plan knows. mu is not held.
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

// ordered reports whether replies can be read in order in the path of a run. Without a
// plan an iteration of a loop, which reads on, looks like an item of a map, which reads
// from the beginning.
func (s *script) ordered(path string) error {
	if !s.arm.free || !strings.Contains(path, "#") {
		return nil
	}
	return s.arm.fault(&UnscriptedError{Step: path, Problem: "it lies in a loop or a map, and ForTest knows no plan: run under the context of Book.In"})
}

// fault remembers a fault where there is a book, and returns it.
func (a *arm) fault(err error) error {
	if a == nil {
		return err
	}
	return a.book.fault(err)
}

// Report makes the book of the context remember a fault, so that [Book.Verify] reports
// it even where the error is swallowed, and returns it. Without a book it only returns
// it. It is for test doubles that call scripted agents; err should wrap core.ErrHarness.
func Report(ctx context.Context, err error) error {
	if scope, ok := ctx.Value(scopeKey{}).(*armContext); ok {
		return scope.arm.fault(err)
	}
	return err
}

// Requests states that one call of a step asks its scripted provider at most most times:
// once for each round of a conversation with tools, and once more for each retry that the
// SDK makes by itself. The script of the step then holds as many times more outputs. Call
// it before the first run.
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
