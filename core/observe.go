package core

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// WithLogger logs the end of every run, and every step at debug level. Prompts, inputs
// and outputs are never logged. Nor are the texts of errors of agents and functions,
// because they often quote them: an error is logged by its kind, its path and its codes
// ([Code]), unless [WithErrorTexts] is given. By default nothing is logged.
func WithLogger(log *slog.Logger) Option { return func(e *Engine) { e.log = log } }

// WithTracer creates a span for every execution of a run, called "run" and the name of
// the pipeline, and a child span for every node, also for those that a resumed run only
// replays. The executions of one run are in the traces of their callers, and each links
// to the same span context ([RunKey.SpanContext]). Spans contain the same of errors as
// logs, see [WithLogger]. By default there are no spans.
func WithTracer(t trace.Tracer) Option { return func(e *Engine) { e.tracer = t } }

// WithErrorTexts includes the texts of errors in logs and spans. They may quote prompts,
// inputs and outputs.
func WithErrorTexts() Option { return func(e *Engine) { e.texts = true } }

// WithFailures calls seen after every failed attempt, with the error that the agent
// returned; the run continues with its recorded form ([*RecordedError]). seen is called
// by the goroutine of the step and must not block.
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

// outliner is an error of the engine that can describe itself without the texts of user
// code.
type outliner interface {
	error
	outline() string
}

// outline describes an error without the texts of user code.
func outline(err error) string {
	var parts, codes []string
	var known outliner
	for rest := err; errors.As(rest, &known); rest = errors.Unwrap(known) {
		parts = append(parts, known.outline())
	}
	text := cmp.Or(strings.Join(parts, ": "), "another error")
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

// SpanContext returns the span context to which the spans of all executions of the run
// link ([WithTracer]). No span has it.
func (k RunKey) SpanContext() trace.SpanContext {
	sum := sha256.Sum256([]byte("flujo run " + k.unique()))
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:24]), Remote: true})
}

// runSpan starts the span of an execution of a run.
func (e *Engine) runSpan(ctx context.Context, pipeline string, r *run) (context.Context, trace.Span) {
	return e.tracer.Start(ctx, "run "+pipeline, trace.WithLinks(trace.Link{SpanContext: r.key.SpanContext()}), trace.WithAttributes(
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

// span starts the span of a node.
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

// stepped adds an executed step to its span and to the log.
func (e *Engine) stepped(ctx context.Context, r *run, rec *StepRecord) {
	if e.tracer != nil {
		trace.SpanFromContext(ctx).SetAttributes(
			attribute.Int("flujo.attempts", rec.Attempts), attribute.Int64("flujo.tokens", rec.Usage.Tokens), attribute.Int64("flujo.cost", rec.Usage.Cost))
	}
	if e.log == nil || !e.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	e.log.LogAttrs(ctx, slog.LevelDebug, "step", slog.String("run", r.key.String()), slog.String("path", rec.Path),
		slog.String("status", rec.Status.String()), slog.Int("attempts", rec.Attempts), slog.Duration("took", rec.Ended.Sub(rec.Started)),
		slog.Int64("tokens", rec.Usage.Tokens), slog.Int64("cost", rec.Usage.Cost), slog.String("error", e.stepText(rec)))
}

// stepText is the logged text of the error of a step.
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

// warn logs an error that is not one of a run.
func (e *Engine) warn(ctx context.Context, what string, err error) {
	if e.log != nil {
		e.log.LogAttrs(ctx, slog.LevelWarn, what, slog.String("error", err.Error()))
	}
}

// ended logs the end of an execution of a run.
func (e *Engine) ended(ctx context.Context, r *run, status Status, err error) {
	if e.log == nil {
		return
	}
	level, text := slog.LevelInfo, ""
	if err != nil {
		level, text = slog.LevelWarn, e.shown(err)
	}
	e.log.LogAttrs(ctx, level, "run", slog.String("run", r.key.String()), slog.String("status", status.String()), slog.Int64("steps", r.steps.Load()),
		slog.Int64("calls", r.calls.Load()), slog.Int64("abandoned", r.abandoned.Load()), slog.String("error", text))
}
