package core

// StepQueue is a [Backend] that takes further steps of a run while earlier ones are being
// committed, so that branches of one run share transactions. It is optional: without it
// the branches take turns, a commit for each step.
type StepQueue interface {
	// Enqueue takes the next step of a run and returns at once. Steps are committed in the
	// order in which they were enqueued, and none without those before it: where one is not
	// saved, those behind it are not saved either, with an error that is not [ErrFenced]
	// unless the lease has ended. The slices of rec belong to the backend until Wait
	// returns. Whoever enqueues must call Wait, once and soon: it may do the work of others.
	Enqueue(lease Lease, rec StepRecord) Enqueued
}

// Enqueued is a step on its way.
type Enqueued interface {
	// Wait returns nil once the step is committed, else why it is not: see [Backend.Step].
	Wait() error
}
