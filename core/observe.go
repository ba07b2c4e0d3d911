package core

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// WithLogger logs the end of every run, and every step at the level of debugging.
// Prompts, inputs and outputs are never logged. The default is silence.
func WithLogger(log *slog.Logger) Option { return func(e *Engine) { e.log = log } }

// WithTracer makes a span of every node that is run. Nodes that a resumed run only
// passes have one too, of no length. The default is none.
func WithTracer(t trace.Tracer) Option { return func(e *Engine) { e.tracer = t } }

// span begins the span of a node.
func (e *Engine) span(ctx context.Context, key RunKey, path string) (context.Context, func(failure, stop error)) {
	ctx, span := e.tracer.Start(ctx, path, trace.WithAttributes(
		attribute.String("flujo.tenant", key.Tenant), attribute.String("flujo.run", key.Run), attribute.String("flujo.path", path)))
	return ctx, func(failure, stop error) {
		switch {
		case failure != nil:
			span.RecordError(failure)
			span.SetStatus(codes.Error, failure.Error())
		case stop == errPaused:
			span.AddEvent("paused")
		case stop != nil:
			span.RecordError(stop)
			span.SetStatus(codes.Error, stop.Error())
		}
		span.End()
	}
}

// stepped tells of an executed step.
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
		slog.Int64("tokens", rec.Usage.Tokens), slog.Int64("cost", rec.Usage.Cost), slog.String("error", rec.Error))
}

// took is how long the step was executed, 0 where no times were taken.
func (r *StepRecord) took() time.Duration { return r.Ended.Sub(r.Started) }

// ended tells of the end of a run, or of this part of it.
func (e *Engine) ended(ctx context.Context, key RunKey, status Status, steps, calls, abandoned int64, err error) {
	if e.log == nil {
		return
	}
	level, text := slog.LevelInfo, ""
	if err != nil {
		level, text = slog.LevelWarn, err.Error()
	}
	e.log.LogAttrs(ctx, level, "run", slog.String("run", key.String()), slog.String("status", status.String()),
		slog.Int64("steps", steps), slog.Int64("calls", calls), slog.Int64("abandoned", abandoned), slog.String("error", text))
}
