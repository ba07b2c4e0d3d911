package worker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/flujo/flujo-harness/core"
)

// metrics holds the OpenTelemetry instruments of a worker.
type metrics struct {
	runs      metric.Int64Counter     // flujo.worker.executions, by pipeline and status
	took      metric.Float64Histogram // flujo.worker.execution.duration, in seconds
	active    metric.Int64UpDownCounter
	continued metric.Int64Counter // flujo.worker.jobs.made, by reason
}

func newMetrics(m metric.Meter) (*metrics, error) {
	var all metrics
	var errs [4]error
	all.runs, errs[0] = m.Int64Counter("flujo.worker.executions", metric.WithUnit("{execution}"), metric.WithDescription("executions of runs that ended, paused or were given back"))
	all.took, errs[1] = m.Float64Histogram("flujo.worker.execution.duration", metric.WithUnit("s"), metric.WithDescription("how long one execution of a run took"))
	all.active, errs[2] = m.Int64UpDownCounter("flujo.worker.executions.active", metric.WithUnit("{execution}"), metric.WithDescription("runs that are being executed"))
	all.continued, errs[3] = m.Int64Counter("flujo.worker.jobs.made", metric.WithUnit("{job}"), metric.WithDescription("jobs created for runs whose worker was lost, or that an answer or a timer woke"))
	return &all, errors.Join(errs[:]...)
}

func (m *metrics) ended(ctx context.Context, pipeline string, status core.Status, took time.Duration) {
	ctx = context.WithoutCancel(ctx)
	labels := metric.WithAttributes(attribute.String("pipeline", pipeline), attribute.String("status", status.String()))
	m.runs.Add(ctx, 1, labels)
	m.took.Record(ctx, took.Seconds(), labels)
}

func (m *metrics) woken(ctx context.Context, reason string) {
	m.continued.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", reason)))
}

// Health returns a handler that responds with the state of the worker as JSON. The status is 200 if
// the worker is running and has its session, and 503 otherwise.
func (w *Worker) Health() http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		w.mu.Lock()
		state := struct {
			Worker  string   `json:"worker"`
			Running bool     `json:"running"`
			Present bool     `json:"present"`
			Queues  []string `json:"queues"`
		}{Worker: w.config.Name, Running: w.running, Present: w.presence.present()}
		for plan := range w.handlers {
			state.Queues = append(state.Queues, queueOf(plan))
		}
		w.mu.Unlock()
		slices.Sort(state.Queues)
		out.Header().Set("Content-Type", "application/json")
		if !state.Running || !state.Present {
			out.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(out).Encode(state) // the client may be gone
	})
}
