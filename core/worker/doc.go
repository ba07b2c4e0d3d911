// Package worker distributes durable runs over processes, with River
// (github.com/riverqueue/river) and the backend of package core/postgres. It is a module of
// its own, so that programs with another backend do not need River.
//
//	w, err := worker.New(ctx, worker.Config{DSN: "postgres://…", Durability: postgres.Power})
//	err = worker.Handle(w, pipeline)            // what this process can execute
//	err = worker.Enqueue(ctx, w, tx, pipeline, key, scope) // in the caller's transaction
//	err = w.Run(ctx)                            // until ctx ends
//
// # Who does what
//
// River distributes: queues, notifications, retries, retention, its own UI. PostgreSQL says
// who is there: each worker holds a session lock, which the server drops when the process is
// gone. The backend's fence makes the records of steps exactly once, whoever executes: River
// may hand a run to two workers, and one of them is refused.
//
// A job is unique by run and epoch. Each claim of a run has an epoch of its own, so that
// a job whose run somebody else has taken up since does nothing.
//
// # When a worker is lost
//
// The others look every second whether the sessions of those who execute runs are there, and
// make new jobs for the runs of those who are not. A worker that is frozen, or cut off
// without a word, is replaced when its lease ends, or the server notices that its connection
// is dead. After a failover, which ends all sessions at once, they wait for one lease.
// Workers take the time from the database: their own clocks may differ.
//
// # Plans
//
// Each plan ([core.Pipeline.Fingerprint]) has a queue of its own. A worker takes jobs only
// from the queues of the pipelines that it handles, so that old and new programs run side by
// side during an upgrade: old runs wait for a program that knows their plan. [Adopting] lets
// a new pipeline take the runs of an older plan.
//
// # Looking at jobs
//
// River's own UI lists the jobs with the names of their runs, and says which worker has them:
//
//	DATABASE_URL=postgres://… go run riverqueue.com/riverui/cmd/riverui@v0.22.0
//
// A job is completed when its worker is done with the run for now: also where the run has
// failed, or is paused. How runs ended is shown by: flujo-harness runs --db postgres://…
//
// # What it needs
//
// The tables of River ([Migrate]) and of package postgres in one database, by connections
// that are sessions: a pooler in transaction mode is refused.
package worker
