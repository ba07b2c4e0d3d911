package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/flujo/flujo-harness/core"
)

// Drive holds the arguments of the River job that continues a run from an epoch. Tenant and Run are
// byte slices, and so base64 in JSON, because names may contain any bytes.
type Drive struct {
	Tenant []byte `json:"tenant" river:"unique"`
	Run    []byte `json:"run" river:"unique"`
	Epoch  int64  `json:"epoch" river:"unique"` // the job does nothing if the run has another epoch
	// After is the ID of the job that this one replaces because its worker was lost or could not
	// continue the run. 0 means none.
	After    int64  `json:"after" river:"unique"`
	Name     string `json:"name"`     // name of the run in printable characters, for people
	Pipeline string `json:"pipeline"` // for people
	Failures int    `json:"failures"` // number of previous jobs that could not continue the run
}

// Kind implements river.JobArgs.
func (Drive) Kind() string { return "flujo_drive" }

func (d Drive) key() core.RunKey { return core.RunKey{Tenant: string(d.Tenant), Run: string(d.Run)} }

// queueOf returns the name of the queue of a plan.
func queueOf(plan uint64) string { return fmt.Sprintf("flujo_%016x", plan) }

// options returns the options of a job. There is at most one job for given arguments, in any state.
func options(queue string, at time.Time) *river.InsertOpts {
	return &river.InsertOpts{Queue: queue, ScheduledAt: at, MaxAttempts: 25, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: rivertype.JobStates()}}
}

// driveOf returns the arguments of the job that continues a run.
func driveOf(i core.RunInfo, after int64) Drive {
	return Drive{Tenant: []byte(i.Key.Tenant), Run: []byte(i.Key.Run), Epoch: i.Epoch, After: after, Name: readable(i.Key.String()), Pipeline: i.Pipeline}
}

// readable replaces characters that cannot be printed. PostgreSQL's JSON does not allow character
// 0.
func readable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name)
}

// Option changes how a pipeline is handled.
type Option func(*[]uint64)

// Adopting lets the pipeline also execute runs that were started with other plans, given by their
// fingerprints. Their records must match what the beginning of the pipeline would have done: see
// [core.Resume].
func Adopting(plans ...uint64) Option { return func(all *[]uint64) { *all = append(*all, plans...) } }

// handler continues a run.
type handler func(ctx context.Context, key core.RunKey, epoch int64) (core.Result[any], error)

// Handle lets the worker execute the runs of a pipeline. It takes effect at the next call of
// [Worker.Run]. It is an error if the plan is handled already.
func Handle[S any](w *Worker, p *core.Pipeline[S], opts ...Option) error {
	plans := []uint64{p.Fingerprint()}
	for _, opt := range opts {
		opt(&plans)
	}
	take := func(ctx context.Context, key core.RunKey, epoch int64) (core.Result[any], error) {
		result, err := core.ResumeAt(ctx, w.engine, p, key, epoch)
		return result.Untyped(), err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, plan := range plans {
		if w.handlers[plan] != nil {
			return fmt.Errorf("plan %016x is handled already", plan)
		}
	}
	for _, plan := range plans {
		w.handlers[plan] = take
	}
	return nil
}

// Enqueue begins a run in a transaction of the caller. The run and its job exist once tx commits,
// and a worker that handles the plan takes it. This process needs no handler. If the key was used
// before, the error is [core.ErrRunExists].
func Enqueue[S any](ctx context.Context, w *Worker, tx pgx.Tx, p *core.Pipeline[S], key core.RunKey, scope S) error {
	engine := core.NewEngine(core.WithBackend(w.backend.Within(tx)), core.WithClock(w.now))
	if err := core.Begin(ctx, engine, p, key, scope); err != nil {
		return err
	}
	info := core.RunInfo{Key: key, Epoch: 1}
	job := driveOf(info, 0)
	job.Pipeline = p.Name()
	if _, err := w.insert.InsertTx(ctx, tx, job, options(queueOf(p.Fingerprint()), time.Time{})); err != nil {
		return fmt.Errorf("enqueue run %s: %w", key, err)
	}
	return nil
}

// executor executes jobs.
type executor struct {
	river.WorkerDefaults[Drive]
	w *Worker
}

// longest is the longest wait before a run that could not continue is tried again.
const longest = 5 * time.Minute

// Work implements river.Worker.
func (x *executor) Work(ctx context.Context, job *river.Job[Drive]) error {
	w, key := x.w, job.Args.key()
	w.mu.Lock()
	take := w.planned(job.Queue)
	w.mu.Unlock()
	if take == nil {
		return river.JobSnooze(time.Second) // the queue belongs to no plan of this worker
	}
	began := time.Now()
	w.metrics.active.Add(ctx, 1)
	result, err := take(ctx, key, job.Args.Epoch)
	w.metrics.active.Add(context.WithoutCancel(ctx), -1)
	if err != nil && result.Status == core.Running && (errors.Is(err, core.ErrFenced) || errors.Is(err, core.ErrRunNotFound)) || result.Next == core.Elsewhere {
		return nil // another worker has the run, or it was deleted
	}
	if errors.Is(err, core.ErrRunFinished) {
		return nil
	}
	w.metrics.ended(ctx, job.Args.Pipeline, result.Status, time.Since(began))
	if w.config.Ended != nil {
		w.config.Ended(key, result, err)
	}
	if later := (*core.RetryLaterError)(nil); errors.As(err, &later) {
		return x.again(ctx, job, later.Wait, err)
	}
	if err == nil || result.Status != core.Running {
		return nil // the run has ended, was stopped or is paused; an answer or a timer creates the next job
	}
	for _, final := range []error{core.ErrPlanChanged, core.ErrDiverged, core.ErrCorrupt} {
		if errors.Is(err, final) {
			w.log.ErrorContext(ctx, "run cannot continue", "run", key.String(), "error", err.Error())
			return river.JobCancel(err)
		}
	}
	wait := time.Duration(0)
	if ctx.Err() == nil { // otherwise the end of the worker cut it off
		wait = min(time.Second<<min(job.Args.Failures, 20), longest)
	}
	return x.again(ctx, job, wait, err)
}

// planned returns the handler of a queue. The caller holds the lock.
func (w *Worker) planned(queue string) handler {
	for plan, take := range w.handlers {
		if queueOf(plan) == queue {
			return take
		}
	}
	return nil
}

// again creates the job that continues the run from its current epoch.
func (x *executor) again(ctx context.Context, job *river.Job[Drive], wait time.Duration, cause error) error {
	w := x.w
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.config.Lease)
	defer cancel()
	snap, err := w.backend.Load(ctx, job.Args.key())
	if err == nil && snap.Status.Ended() {
		return nil
	}
	next := job.Args
	next.Epoch, next.After, next.Failures = snap.Epoch, job.ID, next.Failures+1
	if wait == 0 {
		next.Failures = 0
	}
	if err == nil {
		_, err = w.insert.Insert(ctx, next, options(job.Queue, time.Now().Add(wait)))
	}
	if err != nil {
		// The database is unavailable: River retries this job, and the sweep finds the run.
		return errors.Join(cause, err)
	}
	w.log.InfoContext(ctx, "run will continue later", "run", job.Args.key().String(), "wait", wait, "error", cause.Error())
	return nil
}
