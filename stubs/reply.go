package stubs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// Reply is the behaviour of a scripted agent in one call. [Say], [Fail], [RateLimited], [Panic],
// [Hang], [Malformed], [Stream] and [Draw] create one; its methods return changed copies.
type Reply[Out any] struct {
	out    Out
	err    error
	plain  bool // it has only out and err
	more   int  // number of repetitions in a Script
	wait   Latency
	tokens int64
	cost   int64
	tools  []tool
	chunks []string
	broken bool
	breaks int // number of the first missing chunk
	act    func(ctx context.Context, seed uint64) (Out, error)
}

type tool struct {
	name string
	call func(context.Context) error
}

// Say returns a reply with the output out.
func Say[Out any](out Out) Reply[Out] { return Reply[Out]{out: out, plain: true} }

// Fail returns a reply with the error err, unchanged.
func Fail[Out any](err error) Reply[Out] { return Reply[Out]{err: err, plain: true} }

// RateLimitError is the error of a rate-limited service. The engine waits for After before it
// retries.
type RateLimitError struct{ After time.Duration }

func (e *RateLimitError) Error() string { return fmt.Sprintf("rate limited: retry after %v", e.After) }

// RetryAfter returns the time to wait before the next attempt. The engine calls it.
func (e *RateLimitError) RetryAfter() time.Duration { return e.After }

// RateLimited returns a reply with a [*RateLimitError].
func RateLimited[Out any](after time.Duration) Reply[Out] {
	return Fail[Out](&RateLimitError{after})
}

// Panic returns a reply that panics with v.
func Panic[Out any](v any) Reply[Out] {
	return Reply[Out]{act: func(context.Context, uint64) (Out, error) { panic(v) }}
}

// Hang returns a reply that blocks until the context is done and returns the context's cause.
func Hang[Out any]() Reply[Out] {
	return Reply[Out]{act: func(ctx context.Context, _ uint64) (out Out, err error) {
		<-ctx.Done()
		return out, context.Cause(ctx)
	}}
}

// MalformedError reports an output of a model that cannot be parsed.
type MalformedError struct {
	Raw string
	Err error
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed output %q: %v", shorten(e.Raw, 80), e.Err)
}

func (e *MalformedError) Unwrap() error { return e.Err }

// Malformed returns a reply that parses raw as JSON, as an agent does with the text of a model, and
// returns a [*MalformedError] if that fails.
func Malformed[Out any](raw string) Reply[Out] {
	return Reply[Out]{act: func(context.Context, uint64) (out Out, err error) {
		if err := json.Unmarshal([]byte(raw), &out); err != nil {
			var none Out
			return none, &MalformedError{raw, err}
		}
		return out, nil
	}}
}

// StreamError reports a stream that ended early.
type StreamError struct {
	Chunk int    // first missing chunk, from 0
	Got   string // chunks before it, joined
}

func (e *StreamError) Error() string {
	return fmt.Sprintf("stream broke at chunk %d, after %q", e.Chunk, shorten(e.Got, 80))
}

// Stream returns a reply that passes the chunks to the function of [WithChunks] and answers with the
// joined chunks.
func Stream[Out ~string](chunks ...string) Reply[Out] {
	return Reply[Out]{chunks: slices.Clone(chunks), out: Out(strings.Join(chunks, ""))}
}

// BreakAt ends the stream with a [*StreamError] before chunk k, from 0. If the reply has no such
// chunk, the call is an [*UnscriptedError].
func (r Reply[Out]) BreakAt(k int) Reply[Out] {
	r.broken, r.breaks, r.plain = true, k, false
	return r
}

// Draw returns a reply whose output is computed from random numbers, which are the same in every
// execution.
func Draw[Out any](draw func(*Numbers) Out) Reply[Out] {
	return Reply[Out]{act: func(_ context.Context, seed uint64) (Out, error) { return draw(numbers(seed)), nil }}
}

// Times makes a [Script] repeat the reply n times; 0 omits it.
func (r Reply[Out]) Times(n int) Reply[Out] { r.more = n - 1; return r }

// After delays the reply. The delay ends with the context.
func (r Reply[Out]) After(l Latency) Reply[Out] { r.wait, r.plain = l, false; return r }

// Using adds tokens and cost (in millionths) to the run's budget before the reply.
func (r Reply[Out]) Using(tokens, cost int64) Reply[Out] {
	r.tokens, r.cost, r.plain = tokens, cost, false
	return r
}

// ToolError reports a failed tool.
type ToolError struct {
	Tool string
	Err  error
}

func (e *ToolError) Error() string { return fmt.Sprintf("tool %q: %v", e.Tool, e.Err) }

func (e *ToolError) Unwrap() error { return e.Err }

// Tool calls a tool before the reply; several tools are called in order. If a tool fails, the call
// returns a [*ToolError].
func (r Reply[Out]) Tool(name string, call func(context.Context) error) Reply[Out] {
	r.tools, r.plain = append(r.tools[:len(r.tools):len(r.tools)], tool{name, call}), false
	return r
}

type chunksKey struct{}

// WithChunks returns a context in which streamed replies pass their chunks to each.
func WithChunks(ctx context.Context, each func(path, chunk string)) context.Context {
	return context.WithValue(ctx, chunksKey{}, each)
}

// give executes a reply.
func give[In, Out any](ctx context.Context, arm *arm, req *core.Request[In], r *Reply[Out], seed uint64) (out Out, err error) {
	if r.broken && (r.breaks < 0 || r.breaks >= len(r.chunks)) {
		return out, arm.fault(&UnscriptedError{Step: req.Path,
			Problem: fmt.Sprintf("its reply breaks at chunk %d of %d: BreakAt takes the number of a chunk of Stream, from 0", r.breaks, len(r.chunks))})
	}
	if r.wait != nil {
		if err := sleep(ctx, r.wait(numbers(seed))); err != nil {
			return out, err
		}
	}
	if r.tokens != 0 || r.cost != 0 {
		if err := req.Spend(r.tokens, r.cost); err != nil {
			return out, err
		}
	}
	for _, t := range r.tools {
		if err := t.call(ctx); err != nil {
			return out, &ToolError{t.name, err}
		}
	}
	if len(r.chunks) > 0 {
		if err := stream(ctx, req.Path, r); err != nil {
			return out, err
		}
	}
	if r.act != nil {
		return r.act(ctx, seed)
	}
	return r.out, r.err
}

// stream passes on the chunks of a reply.
func stream[Out any](ctx context.Context, path string, r *Reply[Out]) error {
	each, _ := ctx.Value(chunksKey{}).(func(path, chunk string))
	for i, chunk := range r.chunks {
		if r.broken && i == r.breaks {
			return &StreamError{i, strings.Join(r.chunks[:i], "")}
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if each != nil {
			each(path, chunk)
		}
	}
	return nil
}

// sleep waits for d, or returns the cause if the context ends earlier.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// shorten truncates a text for a message.
func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
