package stubs

import (
	"context"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// Agent is a scripted core.Agent. It answers only under a context of [Book.In],
// from the script of the arm and the step it is called for. It is safe for
// concurrent use.
type Agent[In, Out any] struct {
	replies []Reply[Out]                      // in order, those with a number given as often
	answer  func(core.Request[In]) Reply[Out] // where there are no replies
	always  *Out                              // where there is neither
	cycle   bool
	lenient bool
	expect  []In
	last    atomic.Pointer[found] // the script that was found last
}

type found struct {
	arm    *arm
	path   string
	script *script
}

// Always answers out, as often as the book is sized for.
func Always[In, Out any](out Out) *Agent[In, Out] {
	return &Agent[In, Out]{always: &out}
}

// From answers what reply makes of the request, its input, path and attempt among
// it, as often as the book is sized for. reply may be called by several runs at
// once, and should depend on the request alone.
func From[In, Out any](reply func(core.Request[In]) Reply[Out]) *Agent[In, Out] {
	return &Agent[In, Out]{answer: reply}
}

// Script answers the replies in order: every run, and within it every item of a
// map, reads them from the first one. Behind the last one it is exhausted.
func Script[In, Out any](replies ...Reply[Out]) *Agent[In, Out] {
	a := &Agent[In, Out]{replies: []Reply[Out]{}}
	for _, r := range replies {
		for range max(r.times, 1) {
			a.replies = append(a.replies, r)
		}
	}
	return a
}

// Outputs is a [Script] that says each output once.
func Outputs[In, Out any](outs ...Out) *Agent[In, Out] {
	var replies []Reply[Out]
	for _, out := range outs {
		replies = append(replies, Say(out))
	}
	return Script[In](replies...)
}

// Cycle makes the script start again behind its last reply: nothing does unless it
// is asked to.
func (a *Agent[In, Out]) Cycle() *Agent[In, Out] {
	return a.with(func(b *Agent[In, Out]) { b.cycle = true })
}

// AllowLeftovers takes it that runs may end before they have read all replies.
func (a *Agent[In, Out]) AllowLeftovers() *Agent[In, Out] {
	return a.with(func(b *Agent[In, Out]) { b.lenient = true })
}

// Expect states the inputs of the first calls of every run. Another input is an
// [*InputError], at once and in [Book.Verify].
func (a *Agent[In, Out]) Expect(inputs ...In) *Agent[In, Out] {
	return a.with(func(b *Agent[In, Out]) { b.expect = slices.Clone(inputs) })
}

func (a *Agent[In, Out]) with(change func(*Agent[In, Out])) *Agent[In, Out] {
	b := &Agent[In, Out]{replies: a.replies, answer: a.answer, always: a.always, cycle: a.cycle, lenient: a.lenient, expect: a.expect}
	change(b)
	return b
}

// Call implements core.Agent. Its errors are those of the script and, wrapping
// core.ErrHarness, [*ExhaustedError], [*UnscriptedError] and [*InputError].
func (a *Agent[In, Out]) Call(ctx context.Context, req core.Request[In]) (out Out, err error) {
	s, err := a.find(ctx, req.Path)
	if err != nil {
		return out, err
	}
	if asked := s.asked.Add(1); asked > int64(s.have) {
		return out, s.arm.book.fault(&ExhaustedError{Step: req.Path, Scope: fmt.Sprintf("arm %q", s.arm.load.Arm), Have: s.have, Asked: int(asked),
			Formula: s.formula(), Calls: s.arm.book.Calls(3)})
	}
	n := 0
	if a.replies != nil || len(a.expect) != 0 {
		n = s.arm.turn(a, req.Run, req.Path, execution(req))
	}
	if b := s.arm.book; b.ring.on() {
		c := call{arm: s.arm, run: req.Run, path: req.Path, attempt: req.Attempt, input: hash(req.Input)}
		if b.ring.full {
			c.text, c.at = copied(req.Input), time.Since(b.ring.born)
		}
		b.ring.add(c)
	}
	if n < len(a.expect) {
		if diff := difference(a.expect[n], req.Input); diff != "" {
			return out, s.arm.book.fault(&InputError{Step: req.Path, Scope: s.arm.scope(req.Run), Call: n + 1, Diff: diff})
		}
	}
	if a.always != nil {
		return *a.always, nil
	}
	if a.replies == nil {
		r := a.answer(req)
		if r.plain {
			return r.out, r.err
		}
		return give(ctx, req, &r, s.arm.seed(req.Run, req.Path, req.Attempt))
	}
	if n >= len(a.replies) && !(a.cycle && len(a.replies) > 0) {
		return out, s.arm.book.fault(&ExhaustedError{Step: req.Path, Scope: s.arm.scope(req.Run), Have: len(a.replies), Asked: n + 1,
			Formula: fmt.Sprintf("%d replies a run, written out", len(a.replies)), Calls: s.arm.book.Calls(3)})
	}
	r := &a.replies[n%len(a.replies)]
	if r.plain {
		return r.out, r.err
	}
	return give(ctx, req, r, s.arm.seed(req.Run, req.Path, n))
}

// unread implements reader.
func (a *Agent[In, Out]) unread(n int) (have int, left bool) {
	have = max(len(a.replies), len(a.expect))
	return have, n < have && !a.lenient && !a.cycle
}

// find finds the script of a step in the arm of the context. Most calls of an
// agent are for the step of the call before.
func (a *Agent[In, Out]) find(ctx context.Context, path string) (*script, error) {
	scope, ok := ctx.(*armContext)
	if !ok {
		if scope, ok = ctx.Value(scopeKey{}).(*armContext); !ok {
			return nil, &UnscriptedError{Step: path, Problem: "it was called outside a book: run under the context of Book.In"}
		}
	}
	if f := a.last.Load(); f != nil && f.arm == scope.arm && f.path == path {
		return f.script, nil
	}
	s, err := scope.arm.script(path)
	if err == nil {
		a.last.Store(&found{scope.arm, path, s})
	}
	return s, err
}

// seed of one call.
func (a *arm) seed(run core.RunKey, path string, n int) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %q %q %q %q %d", a.book.seed, a.load.Arm, run.Tenant, run.Run, path, n)
	return h.Sum64()
}

// hashSeed of inputs is one for the process: hashes are compared within it only.
var hashSeed = maphash.MakeSeed()

// hash tells inputs apart in the transcript: cheap where they are texts.
func hash[In any](in In) uint64 {
	if text, ok := any(in).(string); ok {
		return maphash.String(hashSeed, text)
	}
	return maphash.Bytes(hashSeed, copied(in))
}

// execution of a request: one number for a run and all its resumes in this process.
func execution[In any](req core.Request[In]) uint64 {
	n, resumed := req.Execution()
	if resumed {
		return 0
	}
	return n
}
