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

// Config configures a worker. DSN and Durability are mandatory.
type Config struct {
	DSN        string // address of the database, see package postgres
	Durability postgres.Durability

	Name        string        // unique name of this worker; default: host, process ID and a random part
	Concurrency int           // maximum number of concurrent runs per plan; default 16
	Lease       time.Duration // see [core.WithLease]; default [core.DefaultLease]
	Sweep       time.Duration // interval of the search for lost workers, answers and timers; default 1 s
	Drain       time.Duration // time that runs get to finish when Run ends, before they are released; default 10 s

	Engine []core.Option // further options of the engine: logger, tracer, grace
	// Ended is called after each execution of a run, from several goroutines. May be nil.
	Ended  func(key core.RunKey, result core.Result[any], err error)
	Logger *slog.Logger // used by the worker and by River; default: none
	Meter  metric.Meter // default: none
}

// Worker executes and enqueues runs. Its methods may be called from several goroutines.
type Worker struct {
	config  Config
	backend *postgres.Backend
	engine  *core.Engine
	pool    *pgxpool.Pool
	insert  *river.Client[pgx.Tx] // inserts jobs
	log     *slog.Logger
	metrics *metrics

	mu       sync.Mutex
	handlers map[uint64]handler // by plan
	running  bool
	closed   bool

	offset   atomic.Int64 // nanoseconds to add to the local clock to get that of the database
	presence *presence
}

// New opens the database. The worker executes no runs until [Worker.Run] is called; a program that
// only enqueues runs does not call it. The caller must call Close.
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

// now returns the time of the database, as last measured.
func (w *Worker) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

// Name returns the name of the worker, which runs store as their executor.
func (w *Worker) Name() string { return w.config.Name }

// Backend returns the backend that stores the runs.
func (w *Worker) Backend() *postgres.Backend { return w.backend }

// Pool returns the connection pool that jobs are inserted with. Use it for the transactions in
// which runs are enqueued.
func (w *Worker) Pool() *pgxpool.Pool { return w.pool }

// Close closes the connections. Call it after [Worker.Run] has returned.
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

// Migrate creates or updates River's tables in the database. It is meant for deployments, with the
// rights of the owner of the database; a worker needs fewer rights.
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

// Run executes runs from the queues of the handled pipelines until ctx ends. Then it takes no new
// runs, lets the current ones continue for Config.Drain, and releases the rest, which other workers
// continue immediately. It then returns nil, or an error if the worker could not start.
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
		JobTimeout: -1, // runs may take any time: their steps have deadlines
		// A job that River hands out a second time does nothing: its run has another epoch by then.
		RescueStuckJobsAfter: max(time.Minute, 2*w.config.Lease),
		FetchCooldown:        50 * time.Millisecond, FetchPollInterval: time.Second,
		SoftStopTimeout: w.config.Drain, FetchOnlyKnownKinds: true,
	})
	if err != nil {
		return err
	}
	// The client does not get ctx, because the end of ctx would cancel the runs.
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
	if drain.Err() != nil { // the remaining runs are cancelled and released
		err = client.StopAndCancel(context.WithoutCancel(ctx))
	}
	return err
}
