package core

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// WithLogger logs the end of every run, and every step at the level of debugging.
// Prompts, inputs and outputs are never logged, and neither are the texts of errors
// that agents and functions return, which often quote them: an error is logged by
// its kind, its path and its codes ([Code]). [WithErrorTexts] changes that. The
// default is silence.
func WithLogger(log *slog.Logger) Option { return func(e *Engine) { e.log = log } }

// WithTracer makes a span of every execution of a run, called "run" and its pipeline,
// and below it one of every node that is run. Nodes that a resumed run only passes have
// one too, of no length. The executions of one run, its resumes in other processes
// included, are in the traces of whoever called them; each links to one span context,
// which is made of the key of the run ([TraceOf]). Spans hold of errors what logs do, see
// [WithLogger]. The default is none.
func WithTracer(t trace.Tracer) Option { return func(e *Engine) { e.tracer = t } }

// WithErrorTexts puts the whole texts of errors into logs and spans. They may quote
// prompts, inputs and outputs.
func WithErrorTexts() Option { return func(e *Engine) { e.texts = true } }

// WithFailures calls seen after every failed attempt, with the error as the agent
// returned it: what the run goes on with, and returns, is its recorded form
// ([*RecordedError]). It is called by the goroutine of the step and must not block.
func WithFailures(seen func(key RunKey, path string, attempt int, err error)) Option {
	return func(e *Engine) { e.failed = seen }
}

// shown is the text of an error for logs and spans.
func (e *Engine) shown(err error) string {
	if e.texts {
		return err.Error()
	}
	return outline(err)
}

// outline names an error without the texts that come from the user's code.
func outline(err error) string {
	text := "another error"
	for _, kind := range []func(error) string{
		outlined(func(e *StepError) string {
			return fmt.Sprintf("step %q failed after %d attempt(s)", e.Path, e.Attempts)
		}),
		outlined(func(e *LoopError) string {
			return fmt.Sprintf("loop %q ended after %d iteration(s): %s", e.Path, e.Iterations, e.Reason)
		}),
		outlined(func(e *ValidationError) string { return fmt.Sprintf("validation %q refused the output", e.Path) }),
		outlined(func(e *NodeError) string { return fmt.Sprintf("%s %q failed", e.Kind, e.Path) }),
		outlined(func(e *BudgetError) string { return e.Error() }),
		outlined(func(e *RetryLaterError) string {
			return fmt.Sprintf("step %q asks to be tried again in %v, and may wait for %v", e.Path, e.Wait, e.Most)
		}),
		outlined(func(e *IsolationError) string { return e.Error() }),
		outlined(func(e *SaveError) string { return fmt.Sprintf("save %s of run %s failed", e.What, e.Run) }),
	} {
		if found := kind(err); found != "" {
			text = found
			break
		}
	}
	var codes []string
	for _, known := range []error{ErrHarness, ErrRunExists, ErrRunNotFound, ErrRunFinished, ErrPlanChanged, ErrFenced, ErrCorrupt,
		ErrDiverged, ErrNotRecorded, ErrNoBackend, ErrClosed, ErrNoProgress, ErrRedirectCycle} {
		if errors.Is(err, known) {
			codes = append(codes, known.Error())
		}
	}
	var recorded RecordedError
	recorded.classify(err)
	if codes = append(codes, recorded.Codes...); len(codes) > 0 {
		text += " (" + strings.Join(codes, ", ") + ")"
	}
	return text
}

// outlined makes the outline of one kind of error; it is empty for others.
func outlined[E error](of func(E) string) func(error) string {
	return func(err error) string {
		var found E
		if !errors.As(err, &found) {
			return ""
		}
		return of(found)
	}
}

// TraceOf is the span context that every execution of a run links to. No span has it:
// it is what the executions are found together by.
func TraceOf(key RunKey) trace.SpanContext {
	sum := sha256.Sum256([]byte("flujo run " + key.unique()))
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:24]), Remote: true})
}

// runSpan begins the span of an execution of a run.
func (e *Engine) runSpan(ctx context.Context, pipeline string, r *run) (context.Context, trace.Span) {
	return e.tracer.Start(ctx, "run "+pipeline, trace.WithLinks(trace.Link{SpanContext: TraceOf(r.key)}), trace.WithAttributes(
		attribute.String("flujo.tenant", r.key.Tenant), attribute.String("flujo.run", r.key.Run), attribute.String("flujo.pipeline", pipeline),
		attribute.Int64("flujo.epoch", r.lease.Epoch), attribute.Bool("flujo.resumed", r.execution&1 == 1)))
}

func (e *Engine) endRunSpan(span trace.Span, status Status, err error) {
	span.SetAttributes(attribute.String("flujo.status", status.String()))
	if err != nil {
		e.spanError(span, err)
	}
	span.End()
}

// span begins the span of a node.
func (e *Engine) span(ctx context.Context, key RunKey, path string) (context.Context, func(failure, stop error)) {
	ctx, span := e.tracer.Start(ctx, path, trace.WithAttributes(
		attribute.String("flujo.tenant", key.Tenant), attribute.String("flujo.run", key.Run), attribute.String("flujo.path", path)))
	return ctx, func(failure, stop error) {
		switch {
		case failure != nil:
			e.spanError(span, failure)
		case stop == errPaused:
			span.AddEvent("paused")
		case stop != nil:
			e.spanError(span, stop)
		}
		span.End()
	}
}

func (e *Engine) spanError(span trace.Span, err error) {
	text := e.shown(err)
	span.RecordError(errors.New(text), trace.WithAttributes(attribute.String("flujo.error.type", fmt.Sprintf("%T", err))))
	span.SetStatus(codes.Error, text)
}

// stepped reports an executed step.
func (e *Engine) stepped(ctx context.Context, r *run, rec *StepRecord) {
	if e.tracer != nil {
		trace.SpanFromContext(ctx).SetAttributes(
			attribute.Int("flujo.attempts", rec.Attempts), attribute.Int64("flujo.tokens", rec.Usage.Tokens), attribute.Int64("flujo.cost", rec.Usage.Cost))
	}
	if e.log == nil || !e.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	e.log.LogAttrs(ctx, slog.LevelDebug, "step", slog.String("run", r.key.String()), slog.String("path", rec.Path),
		slog.String("status", rec.Status.String()), slog.Int("attempts", rec.Attempts), slog.Duration("took", rec.took()),
		slog.Int64("tokens", rec.Usage.Tokens), slog.Int64("cost", rec.Usage.Cost), slog.String("error", e.stepText(rec)))
}

// stepText is what is logged of the error of a step.
func (e *Engine) stepText(rec *StepRecord) string {
	if rec.Status != Failed {
		return ""
	}
	if e.texts {
		return rec.Error
	}
	failed, err := rec.failure()
	if err != nil {
		return err.Error()
	}
	return outline(&StepError{Path: rec.Path, Attempts: rec.Attempts, Err: failed})
}

// warn logs what went wrong beside a run.
func (e *Engine) warn(ctx context.Context, what string, err error) {
	if e.log != nil {
		e.log.LogAttrs(ctx, slog.LevelWarn, what, slog.String("error", err.Error()))
	}
}

// took is how long the step was executed, 0 where no times were taken.
func (r *StepRecord) took() time.Duration { return r.Ended.Sub(r.Started) }

// ended reports the end of a run, or of this part of it.
func (e *Engine) ended(ctx context.Context, key RunKey, status Status, steps, calls, abandoned int64, err error) {
	if e.log == nil {
		return
	}
	level, text := slog.LevelInfo, ""
	if err != nil {
		level, text = slog.LevelWarn, e.shown(err)
	}
	e.log.LogAttrs(ctx, level, "run", slog.String("run", key.String()), slog.String("status", status.String()),
		slog.Int64("steps", steps), slog.Int64("calls", calls), slog.Int64("abandoned", abandoned), slog.String("error", text))
}
