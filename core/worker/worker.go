package worker

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres"
)

// Config is what a worker needs. DSN and Durability are mandatory.
type Config struct {
	DSN        string // of the database, see package postgres
	Durability postgres.Durability

	Name        string        // of this process; no two may have one name. Default: host, process, random
	Concurrency int           // runs at once of each plan; default 16
	Lease       time.Duration // see [core.WithLease]; default [core.DefaultLease]
	Sweep       time.Duration // how often lost workers, answers and timers are looked for; default 1 s
	Drain       time.Duration // how long runs may go on when Run is to end; then they are given back. Default 10 s

	Engine []core.Option // further options of the engine: logger, tracer, grace
	// Ended is called after each execution of a run, from several goroutines. May be nil.
	Ended  func(key core.RunKey, result core.Result[any], err error)
	Logger *slog.Logger // of the worker and of River; default: none
	Meter  metric.Meter // default: none
}

// Worker executes runs, and enqueues them. Its methods may be called from several
// goroutines.
type Worker struct {
	config  Config
	backend *postgres.Backend
	engine  *core.Engine
	pool    *pgxpool.Pool
	insert  *river.Client[pgx.Tx] // makes jobs
	log     *slog.Logger
	metrics *metrics

	mu       sync.Mutex
	handlers map[uint64]handler // by plan
	running  bool
	closed   bool

	offset   atomic.Int64 // nanoseconds from this machine's clock to the database's
	presence *presence
}

// New opens the database. It does not take runs before [Worker.Run] is called: a program
// that only enqueues never calls that. Close it.
func New(ctx context.Context, c Config) (*Worker, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	c.Name = cmp.Or(c.Name, fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:8]))
	c.Concurrency = cmp.Or(c.Concurrency, 16)
	c.Lease = cmp.Or(c.Lease, core.DefaultLease)
	c.Sweep = cmp.Or(c.Sweep, time.Second)
	c.Drain = cmp.Or(c.Drain, 10*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Meter == nil {
		c.Meter = noop.NewMeterProvider().Meter("")
	}
	w := &Worker{config: c, log: c.Logger.With("worker", c.Name), handlers: map[uint64]handler{}}
	if w.metrics, err = newMetrics(c.Meter); err != nil {
		return nil, err
	}
	if w.backend, err = postgres.Open(ctx, c.DSN, c.Durability); err != nil {
		return nil, err
	}
	if w.pool, err = w.backend.NewPool(ctx); err != nil {
		return nil, errors.Join(err, w.backend.Close())
	}
	w.insert, err = river.NewClient(riverpgxv5.New(w.pool), &river.Config{Logger: c.Logger})
	if err != nil {
		w.pool.Close()
		return nil, errors.Join(err, w.backend.Close())
	}
	w.presence = newPresence(w)
	options := append([]core.Option{core.WithLease(c.Lease)}, c.Engine...)
	w.engine = core.NewEngine(append(options, core.WithBackend(w.backend), core.WithExecutor(c.Name), core.WithClock(w.now))...)
	return w, nil
}

// now is the time of the database, as it was last heard of.
func (w *Worker) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

// Name is the name of the worker, by which runs know who executes them.
func (w *Worker) Name() string { return w.config.Name }

// Backend is the backend that the runs are in.
func (w *Worker) Backend() *postgres.Backend { return w.backend }

// Pool is the connections that jobs are made by: for transactions in which runs are
// enqueued.
func (w *Worker) Pool() *pgxpool.Pool { return w.pool }

// Close closes the connections. [Worker.Run] must have returned.
func (w *Worker) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	if w.running {
		return errors.New("the worker is running: end the context of Run, and wait for it")
	}
	w.closed = true
	w.pool.Close()
	return w.backend.Close()
}

// Migrate creates or updates River's tables in the database. It is for the owner of the
// database, at a deployment; it needs more rights than a worker does.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate the tables of River: %w", err)
	}
	return nil
}

// Run takes runs from the queues of the pipelines that are handled, until ctx ends. Then it
// takes no more, lets those that it executes go on for Config.Drain, and gives the others
// back: another worker goes on with them at once. It returns nil after that, or an error
// of the start.
func (w *Worker) Run(ctx context.Context) error {
	queues := map[string]river.QueueConfig{}
	w.mu.Lock()
	for plan := range w.handlers {
		queues[queueOf(plan)] = river.QueueConfig{MaxWorkers: w.config.Concurrency}
	}
	already := w.running || w.closed
	if !already {
		w.running = len(queues) > 0
	}
	w.mu.Unlock()
	switch {
	case already:
		return errors.New("the worker is running already, or closed")
	case len(queues) == 0:
		return errors.New("the worker handles no pipeline: call worker.Handle before Run")
	}
	defer func() {
		w.mu.Lock()
		w.running = false
		w.mu.Unlock()
	}()
	if err := w.presence.begin(ctx); err != nil {
		return fmt.Errorf("worker %s: %w", w.config.Name, err)
	}
	defer w.presence.end()
	workers := river.NewWorkers()
	river.AddWorker(workers, &executor{w: w})
	client, err := river.NewClient(riverpgxv5.New(w.pool), &river.Config{
		ID: w.config.Name, Queues: queues, Workers: workers, Logger: w.config.Logger,
		JobTimeout: -1, // runs take as long as they take: deadlines are those of their steps
		// A job that is given out a second time does nothing: its run has another epoch by then.
		RescueStuckJobsAfter: max(time.Minute, 2*w.config.Lease),
		FetchCooldown:        50 * time.Millisecond, FetchPollInterval: time.Second,
		SoftStopTimeout: w.config.Drain, FetchOnlyKnownKinds: true,
	})
	if err != nil {
		return err
	}
	// Not with ctx: its end would cancel the runs.
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("worker %s: %w", w.config.Name, err)
	}
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		w.sweepUntil(ctx)
	}()
	<-ctx.Done()
	<-swept
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.config.Drain)
	defer cancel()
	err = client.Stop(drain)
	if drain.Err() != nil { // what is left is cut off, and given back
		err = client.StopAndCancel(context.WithoutCancel(ctx))
	}
	return err
}
