package stubs

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"sync/atomic"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// Agent is a scripted core.Agent. It needs a context from [Book.In], whose script it reads for the
// arm and the step of the call, or from [ForTest]. Agents of [Always] and [From] without expected
// inputs work in any context. An Agent is safe for concurrent use.
type Agent[In, Out any] struct {
	last    atomic.Pointer[script] // the script that was found last
	always  *Out                   // the only output, if no inputs are expected
	answer  func(core.Request[In]) Reply[Out]
	replies []*Reply[Out]          // in order and with repetitions; nil if there is no list
	expect  []func(In) *InputError // checks of the first calls; nil allows any input
	order   *order                 // order of the calls of several agents, if set
	cycle   bool
	lenient bool
}

// Always returns an agent that always answers out, as often as the book is sized for.
func Always[In, Out any](out Out) *Agent[In, Out] {
	reply := Say(out)
	return &Agent[In, Out]{always: &out, answer: func(core.Request[In]) Reply[Out] { return reply }}
}

// From returns an agent that answers with the reply that the function computes from the request,
// as often as the book is sized for. Several runs may call reply concurrently, and its result
// should depend only on the request. Random numbers of its replies depend on the run, the path and
// the attempt: an agent that is called twice within one attempt draws the same numbers.
func From[In, Out any](reply func(core.Request[In]) Reply[Out]) *Agent[In, Out] {
	return &Agent[In, Out]{answer: reply}
}

// Script returns an agent that answers with the replies in order. Every run, and within it every
// item of a map, starts at the first reply. A call after the last reply is an [*ExhaustedError].
func Script[In, Out any](replies ...Reply[Out]) *Agent[In, Out] {
	a := &Agent[In, Out]{replies: []*Reply[Out]{}}
	for _, r := range replies {
		for range 1 + r.more {
			a.replies = append(a.replies, &r)
		}
	}
	return a
}

// Outputs returns a [Script] that answers each output once.
func Outputs[In, Out any](outs ...Out) *Agent[In, Out] {
	var replies []Reply[Out]
	for _, out := range outs {
		replies = append(replies, Say(out))
	}
	return Script[In](replies...)
}

// Cycle returns a copy whose script starts again after its last reply.
func (a *Agent[In, Out]) Cycle() *Agent[In, Out] {
	return a.with(func(b *Agent[In, Out]) { b.cycle = true })
}

// AllowLeftovers returns a copy whose script runs are allowed to leave partly unread.
func (a *Agent[In, Out]) AllowLeftovers() *Agent[In, Out] {
	return a.with(func(b *Agent[In, Out]) { b.lenient = true })
}

// Expect returns a copy that expects the given inputs in the first calls of every run, or in the
// calls after those that already have expectations. Another input is an [*InputError], both of the
// call and in [Book.Verify].
func (a *Agent[In, Out]) Expect(inputs ...In) *Agent[In, Out] {
	return a.with(func(b *Agent[In, Out]) {
		for _, want := range inputs {
			b.expect = append(b.expect, equals(want))
		}
	})
}

// ExpectThat is [Agent.Expect] with a function per call that returns an error for a wrong input. A
// nil function allows any input.
func (a *Agent[In, Out]) ExpectThat(checks ...func(In) error) *Agent[In, Out] {
	return a.with(func(b *Agent[In, Out]) {
		for _, check := range checks {
			b.expect = append(b.expect, passes(check))
		}
	})
}

func equals[In any](want In) func(In) *InputError {
	return func(in In) *InputError {
		if diff := difference(want, in); diff != "" {
			return &InputError{Diff: diff}
		}
		return nil
	}
}

func passes[In any](check func(In) error) func(In) *InputError {
	if check == nil {
		return nil
	}
	return func(in In) *InputError {
		if err := check(in); err != nil {
			return &InputError{Err: err, Diff: string(copied(in))}
		}
		return nil
	}
}

func (a *Agent[In, Out]) with(change func(*Agent[In, Out])) *Agent[In, Out] {
	b := &Agent[In, Out]{always: a.always, answer: a.answer, replies: a.replies, expect: slices.Clone(a.expect), cycle: a.cycle, lenient: a.lenient}
	change(b)
	if b.expect != nil {
		b.always = nil
	}
	return b
}

// Call implements core.Agent. Its errors are those of the script and, wrapping
// core.ErrHarness, [*ExhaustedError], [*UnscriptedError] and [*InputError].
func (a *Agent[In, Out]) Call(ctx context.Context, req core.Request[In]) (out Out, err error) {
	s := a.last.Load() // most calls of an agent are for the same step as the previous call
	if scope, ok := ctx.(*armContext); !ok || s == nil || s.arm != scope.arm || s.path != req.Path {
		if s, err = a.find(ctx, req.Path); err != nil {
			return out, err
		}
		if s == nil {
			return a.alone(ctx, &req)
		}
	}
	// Read before the count, because loads after an atomic operation wait for it.
	have, watched, always := s.have, s.arm.rehearsal != nil || len(s.arm.book.ring.calls) > 0, a.always
	if asked := s.asked.Add(1); asked > int64(have) {
		return out, s.dry(req.Path, int(asked))
	}
	if req.Attempt > 1 {
		s.again.Add(1)
	}
	if watched {
		a.watch(s.arm, &req)
	}
	if always != nil {
		return *always, nil
	}
	return a.reply(ctx, s, &req)
}

// alone answers a call without a book.
func (a *Agent[In, Out]) alone(ctx context.Context, req *core.Request[In]) (out Out, err error) {
	if a.always != nil {
		return *a.always, nil
	}
	r := a.answer(*req)
	if r.plain {
		return r.out, r.err
	}
	return give(ctx, nil, req, &r, seed(0, "", req.Run, req.Path, req.Attempt))
}

// watch records a call for the transcript and the rehearsal.
func (a *Agent[In, Out]) watch(arm *arm, req *core.Request[In]) {
	if arm.rehearsal != nil {
		a.rehearse(arm.rehearsal, *req)
	}
	r := &arm.book.ring
	if len(r.calls) == 0 {
		return
	}
	var at time.Duration
	var input []byte
	if r.full {
		at, input = time.Since(r.born), copied(req.Input)
	}
	r.mu.Lock()
	e := r.next() // filled in place, because a call is large
	e.arm, e.run, e.path, e.attempt = arm, req.Run, req.Path, req.Attempt
	if r.full {
		e.at, e.input = at, input
	}
	r.mu.Unlock()
}

// rehearse is a separate function so that req escapes to the heap only if there is a rehearsal.
func (a *Agent[In, Out]) rehearse(r *Rehearsal, req core.Request[In]) {
	r.keep(req.Run, func(ctx context.Context, run core.RunKey) error {
		req := req
		req.Run = run
		_, err := a.Call(ctx, req)
		return err
	})
}

// reply answers with the next reply of the script.
func (a *Agent[In, Out]) reply(ctx context.Context, s *script, req *core.Request[In]) (out Out, err error) {
	n, arm := 0, s.arm
	if a.replies != nil || len(a.expect) != 0 || a.order != nil {
		if err := s.ordered(req.Path); err != nil {
			return out, err
		}
		at := execution(ctx, req)
		if a.order != nil && req.Attempt <= 1 {
			if err := a.order.check(a, s, req.Run, req.Path, at); err != nil {
				return out, err
			}
		}
		n = arm.turn(a, s.lane(req.Path), req.Run, at)
	}
	if n < len(a.expect) && a.expect[n] != nil {
		if wrong := a.expect[n](req.Input); wrong != nil {
			wrong.Step, wrong.Scope, wrong.Call = req.Path, arm.scope(req.Run), n+1
			return out, arm.fault(wrong)
		}
	}
	if a.replies == nil {
		r := a.answer(*req)
		if r.plain {
			return r.out, r.err
		}
		return give(ctx, arm, req, &r, arm.seed(req.Run, req.Path, req.Attempt))
	}
	have := len(a.replies)
	if n >= have && (!a.cycle || have == 0) {
		return out, arm.book.fault(&ExhaustedError{Step: req.Path, Scope: arm.scope(req.Run), Have: have, Asked: n + 1,
			Formula: written(have), PerRun: true, Calls: arm.book.Calls(3)})
	}
	r := a.replies[n%have]
	if r.plain {
		return r.out, r.err
	}
	return give(ctx, arm, req, r, arm.seed(req.Run, req.Path, n))
}

// unread implements reader.
func (a *Agent[In, Out]) unread(n int) (least int, left bool) {
	least = len(a.expect)
	if !a.cycle {
		least = max(least, len(a.replies))
	}
	return least, n < least && !a.lenient
}

// written is the formula of a script that is not sized.
func written(replies int) string { return fmt.Sprintf("%d replies for each run, written out", replies) }

// find returns the script of a step in the arm of the context. It returns nil if there is no book
// and the agent needs none. It first tries the script of the previous call, which most calls
// repeat.
func (a *Agent[In, Out]) find(ctx context.Context, path string) (*script, error) {
	scope, ok := ctx.(*armContext)
	if !ok {
		if scope, ok = ctx.Value(scopeKey{}).(*armContext); !ok {
			if a.replies == nil && len(a.expect) == 0 && a.order == nil {
				return nil, nil
			}
			return nil, &UnscriptedError{Step: path, Problem: "it was called outside a book: run under the context of Book.In, or of ForTest if there is no pipeline"}
		}
	}
	if s := a.last.Load(); s != nil && s.arm == scope.arm && (s.path == path || s.planned(path)) {
		return s, nil
	}
	s, err := scope.arm.script(path)
	if err == nil {
		a.last.Store(s)
	}
	return s, err
}

// seed returns the random seed of a call. It depends only on the book's random seed and the scope
// of the call, not on concurrent runs.
func (a *arm) seed(run core.RunKey, path string, n int) uint64 {
	return seed(a.book.seed, a.load.Arm, run, path, n)
}

func seed(book uint64, arm string, run core.RunKey, path string, n int) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %q %q %q %q %d", book, arm, run.Tenant, run.Run, path, n)
	return h.Sum64()
}
