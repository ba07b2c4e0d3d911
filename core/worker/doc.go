// Package worker distributes durable runs over several processes. It uses River
// (github.com/riverqueue/river) and the backend of package core/postgres. It is a module of its
// own, so that programs with another backend do not depend on River.
//
//	w, err := worker.New(ctx, worker.Config{DSN: "postgres://…", Durability: postgres.Power})
//	err = worker.Handle(w, pipeline)            // what this process can execute
//	err = worker.Enqueue(ctx, w, tx, pipeline, key, scope) // in the caller's transaction
//	err = w.Run(ctx)                            // until ctx ends
//
// # Responsibilities
//
// River distributes the work: queues, notifications, retries, retention and its own UI. PostgreSQL
// detects lost workers: each worker holds a session lock, which the server releases when the
// process is gone. The fence of the backend guarantees that each step is recorded exactly once: if
// River gives a run to two workers, the saves of one of them are refused.
//
// A job is unique by run and epoch. Each claim gives the run a new epoch, so a job does nothing if
// another worker has claimed its run since.
//
// # When a worker is lost
//
// Every second the other workers check whether the sessions of the workers that execute runs still
// exist, and create new jobs for the runs of those without a session. A worker that is frozen, or
// cut off silently, is replaced when its lease ends or when the server finds that its connection is
// dead. After a failover, which ends all sessions at the same time, workers wait for one lease
// first. Workers use the clock of the database, because their own clocks may differ.
//
// # Plans
//
// Each plan ([core.Pipeline.Fingerprint]) has its own queue. A worker takes jobs only from the
// queues of the pipelines that it handles, so old and new programs can run side by side during an
// upgrade: old runs wait for a program that knows their plan. [Adopting] lets a new pipeline
// execute the runs of an older plan.
//
// # Inspecting jobs
//
// River's own UI lists the jobs with the names of their runs and shows which worker has them:
//
//	DATABASE_URL=postgres://… go run riverqueue.com/riverui/cmd/riverui@v0.22.0
//
// A job is completed when its worker has finished with the run for now, also if the run has failed
// or is paused. To see how runs ended: flujo-harness runs --db postgres://…
//
// # Requirements
//
// The tables of River ([Migrate]) and of package postgres must be in one database. Connections must
// be sessions: a pooler in transaction mode is refused.
package worker
