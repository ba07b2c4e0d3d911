package stubs

import (
	"fmt"
	"slices"

	"github.com/flujo/flujo-harness/core"
)

// Ordered is an argument of [InOrder]: an [*Agent] of any types.
type Ordered interface{ follow(*order) }

// InOrder states the order in which each run must call the agents. An agent that is called several
// times is listed as often. Another order is an [*OrderError], both of the call and in
// [Book.Verify], and so is a run that ends before the last call. Retries of a step do not count.
// It cannot be used for agents that are called concurrently.
//
// InOrder must be called once, before the first run and after the methods that return changed
// copies, because a later copy is not part of the order.
func InOrder(agents ...Ordered) {
	o := &order{slices.Clone(agents)}
	for _, a := range agents {
		a.follow(o)
	}
}

// order is a sequence of calls that each run makes. It implements reader.
type order struct{ agents []Ordered }

func (a *Agent[In, Out]) follow(o *order) { a.order, a.always = o, nil }

func (o *order) unread(n int) (least int, left bool) { return len(o.agents), n < len(o.agents) }

// check counts one more call of an agent.
func (o *order) check(by Ordered, s *script, run core.RunKey, path string, execution uint64) error {
	n := s.arm.turn(o, "", run, execution)
	if n < len(o.agents) && o.agents[n] == by {
		return nil
	}
	err := &OrderError{Step: path, Scope: s.arm.scope(run), Call: n + 1, Of: len(o.agents), Came: slices.Index(o.agents, by) + 1}
	return s.arm.fault(err)
}

// OrderError reports a call that deviates from the order of [InOrder], or a run that ended before
// its last call. It wraps core.ErrHarness.
type OrderError struct {
	Step  string // path of the call; empty if the run ended
	Scope string
	Call  int // number of the call in the order, from 1; if the run ended, the missing call
	Of    int // number of calls in the order
	Came  int // place of the called agent in the order, from 1; 0 if the run ended
}

func (e *OrderError) Error() string {
	switch {
	case e.Came == 0:
		return fmt.Sprintf("%s ended before call %d of the %d that InOrder lists: the agent listed at that place was not called", e.Scope, e.Call, e.Of)
	case e.Call > e.Of:
		return fmt.Sprintf("step %q in %s is one call more than the %d that InOrder lists (its agent is listed at place %d)", e.Step, e.Scope, e.Of, e.Came)
	}
	return fmt.Sprintf("step %q in %s came as call %d, out of order: InOrder lists its agent at place %d, and another agent at place %d", e.Step, e.Scope, e.Call, e.Came, e.Call)
}

// Unwrap returns core.ErrHarness.
func (e *OrderError) Unwrap() error { return core.ErrHarness }
