package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flujo/flujo-harness/core"
)

// page is the maximum number of runs that a sweep processes for each reason.
const page = 1000

// sweepUntil keeps the presence of the worker and looks for runs that need a job, until ctx ends.
func (w *Worker) sweepUntil(ctx context.Context) {
	s := sweeper{w: w, missing: map[string]int{}}
	tick := time.NewTicker(w.config.Sweep)
	defer tick.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "sweep", "error", err.Error())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweeper looks for runs that need a job.
type sweeper struct {
	w       *Worker
	missing map[string]int // number of sweeps in a row in which a worker was missing
	last    time.Time      // time of the last sweep of this worker
}

// sweep looks once for runs that need a job. The sweeper does so at every call, the other workers
// only once per lease, because the sweeper may be frozen.
func (s *sweeper) sweep(ctx context.Context) error {
	sweeps, judges, err := s.w.presence.beat(ctx)
	if err != nil {
		return err
	}
	if !sweeps && time.Since(s.last) < s.w.config.Lease {
		if s.last.IsZero() {
			s.last = time.Now()
		}
		return nil
	}
	s.last = time.Now()
	if judges {
		if err := s.rescue(ctx); err != nil {
			return fmt.Errorf("rescue the runs of lost workers: %w", err)
		}
	}
	if err := s.wake(ctx); err != nil {
		return fmt.Errorf("wake runs: %w", err)
	}
	return nil
}

// held is a job that a worker is executing.
type held struct {
	id     int64
	job    Drive
	queue  string
	worker string
}

// rescue creates jobs for the runs of workers that were missing in two sweeps in a row. A single
// sweep may fall between the end of a session and the start of the next one.
func (s *sweeper) rescue(ctx context.Context) error {
	rows, err := s.w.pool.Query(ctx, `SELECT DISTINCT attempted_by[array_upper(attempted_by, 1)] FROM river_job WHERE state = 'running' AND kind = $1`, Drive{}.Kind())
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	there, err := s.w.there(ctx, names)
	if err != nil {
		return err
	}
	var dead []string
	missing := map[string]int{}
	for _, name := range names {
		if there[name] {
			continue
		}
		if missing[name] = s.missing[name] + 1; missing[name] > 1 {
			dead = append(dead, name)
		}
	}
	s.missing = missing
	if len(dead) == 0 {
		return nil
	}
	rows, err = s.w.pool.Query(ctx, `SELECT id, args, queue, attempted_by[array_upper(attempted_by, 1)] FROM river_job
		WHERE state = 'running' AND kind = $1 AND attempted_by[array_upper(attempted_by, 1)] = ANY ($2)
		AND NOT EXISTS (SELECT 1 FROM river_job n WHERE n.kind = $1 AND (n.args ->> 'after')::bigint = river_job.id) LIMIT $3`, Drive{}.Kind(), dead, page)
	if err != nil {
		return err
	}
	lost, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (h held, err error) {
		return h, r.Scan(&h.id, &h.job, &h.queue, &h.worker)
	})
	if err != nil {
		return err
	}
	for _, h := range lost {
		if err := s.replace(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// replace creates the job that continues the run of a lost worker, unless another worker has it.
func (s *sweeper) replace(ctx context.Context, h held) error {
	key := h.job.key()
	runs, err := s.w.backend.List(ctx, core.Filter{Tenant: &key.Tenant, Run: key.Run})
	if err != nil || len(runs) == 0 {
		return err
	}
	i := runs[0]
	if i.Status.Ended() || i.Epoch != h.job.Epoch && i.Holder.Executor != h.worker {
		return nil
	}
	return s.make(ctx, "lost worker", i, driveOf(i, h.id), h.queue)
}

// wake creates jobs for paused runs that have an answer or whose time has come, and for runs whose
// executor has a session but has let its lease end, for example because it is frozen.
func (s *sweeper) wake(ctx context.Context) error {
	f := core.Filter{Now: s.w.now(), Due: true, Limit: page}
	runs, err := s.w.backend.List(ctx, f)
	if err != nil {
		return err
	}
	for _, i := range runs {
		reason := "answer or timer"
		if i.Status == core.Running {
			reason = "end of a lease"
			if i.Holder.Executor == "" && f.Now.Sub(i.Started) < s.w.config.Lease {
				continue // its first job is still in the queue
			}
		}
		if err := s.make(ctx, reason, i, driveOf(i, 0), queueOf(i.Plan)); err != nil {
			return err
		}
	}
	return nil
}

// make creates a job, unless it exists already.
func (s *sweeper) make(ctx context.Context, reason string, i core.RunInfo, job Drive, queue string) error {
	made, err := s.w.insert.Insert(ctx, job, options(queue, time.Time{}))
	if err != nil {
		return fmt.Errorf("run %s: %w", i.Key, err)
	}
	if !made.UniqueSkippedAsDuplicate {
		s.w.metrics.woken(ctx, reason)
		s.w.log.InfoContext(ctx, "run continues", "run", i.Key.String(), "epoch", i.Epoch, "reason", reason)
	}
	return nil
}
