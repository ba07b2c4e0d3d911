package core

import (
	"context"
	"time"
)

// Status of a run or of a step.
type Status int8

// The numbers are stored: they never change their meaning.
const (
	Running   Status = 1
	Completed Status = 2
	Failed    Status = 3
	Paused    Status = 4 // waits for an answer
	Stopped   Status = 5 // out of budget, or asked to wait for longer than it may
	Cancelled Status = 6 // ended from outside, see [Engine.Cancel]
	Retried   Status = 7 // of a step record only: it voids the failed one of its path, see [Retry]
)

// Ended reports whether a run of this status has ended and cannot be resumed. [Retry]
// continues a failed or cancelled one.
func (s Status) Ended() bool { return s == Completed || s == Failed || s == Cancelled }

var statusNames = [...]string{"unknown", "running", "completed", "failed", "paused", "stopped", "cancelled", "retried"}

// String returns the lower-case name.
func (s Status) String() string {
	if s < 0 || int(s) >= len(statusNames) {
		s = 0
	}
	return statusNames[s]
}

// Lease is the right to save to one run. A later [Backend.Claim] or
// [Backend.Acquire] of the same run ends it: every save with it then returns
// [ErrFenced].
type Lease struct {
	ID    int64 // the backend's own number of the run
	Epoch int64 // 1 for the starter, one more with every claim
	// Nonce is a random number of the start or the claim. A database that was set back, by a backup
	// or by a failover that has lost records, gives numbers and epochs out a second time; the nonce
	// tells such leases apart. It is 0 if the runs cannot be set back without their executors, as
	// those of [Memory].
	Nonce int64
}

// Holder is the executor of a run, and the time until which others should assume that
// it is alive. It is a hint for finding runs without an executor. The epoch decides who
// may save, so clocks that differ can cost a repeated call but never a record.
type Holder struct {
	Executor string
	Until    time.Time // zero: nobody executes the run
}

// Alive reports whether the executor should be assumed to be alive at now.
func (h Holder) Alive(now time.Time) bool { return now.Before(h.Until) }

// Origin is the run that a run was forked from (see [Fork]). The zero value means none.
type Origin struct {
	Key RunKey
	Seq int64 // number of records that were taken over, from the first one
}

// StartRecord is the first save of a run.
type StartRecord struct {
	Key      RunKey
	Pipeline string
	Plan     uint64 // fingerprint of the pipeline, see [Pipeline.Fingerprint]
	PlanText string // [Pipeline.Plan], of which Plan is the hash
	State    []byte // the scope as JSON
	Origin   Origin
	Holder   Holder // who executes the run from here on
	Time     time.Time
}

// StepRecord is the save of one executed step, or of a pause.
type StepRecord struct {
	Seq      int64 // position in the run: 1 for the first executed step
	Path     string
	Status   Status // Completed, Failed, Paused or Retried
	Attempts int
	Usage    Usage     // its Steps are 0: the record is the step
	Token    string    // of a pause
	For      string    // of a pause: who is asked
	Due      time.Time // of a pause: when it ends without an answer; zero: never
	Output   []byte    // as JSON: of the agent; where the step failed, codes and stack of its error, or nil; the prompt of a pause
	Feedback string    // of the last failed attempt
	Error    string    // where the step failed
	State    []byte    // the scope after the step, as JSON; nil where it did not change
	Started  time.Time
	Ended    time.Time
}

// FinishRecord is the last save of an execution of a run. A Paused or Stopped run can
// be claimed again.
type FinishRecord struct {
	Status  Status // Completed, Failed, Cancelled, Paused or Stopped
	Error   string
	Exits   []byte    // of loops, as JSON; nil where there was none
	State   []byte    // the scope of a run that has completed or failed; nil where it is the one saved last
	Seq     int64     // position of State, where there is one
	Answers int       // number that the executor knows of; if there are others, a pause is refused
	Wake    time.Time // of a pause: when the run can go on without an answer; zero: never
	Time    time.Time
}

// AnswerRecord is the answer to a pause.
type AnswerRecord struct {
	Token  string
	Answer []byte // as JSON
	Time   time.Time
}

// Snapshot is all that is saved of a run.
type Snapshot struct {
	Start   StartRecord // State is the one the run was started with; without Holder
	Status  Status
	Error   string
	Epoch   int64
	Nonce   int64          // of the latest lease
	Holder  Holder         // who executes the run, or did last; without Until if nobody does
	State   []byte         // the latest one, of any branch; the scope itself once the run has ended
	Steps   []StepRecord   // in order of Seq
	Answers []AnswerRecord // in order of Time and Token
	Exits   []byte         // of the latest FinishRecord
	Wake    time.Time      // of the latest FinishRecord; zero while running
	Ended   time.Time      // zero while running
}

// answers by token.
func (s *Snapshot) answers() map[string][]byte {
	answers := make(map[string][]byte, len(s.Answers))
	for _, a := range s.Answers {
		answers[a.Token] = a.Answer
	}
	return answers
}

// Counts are the writes of a backend since it was opened, counted where they are
// committed, not where they are requested.
type Counts struct {
	Saves      int64 // start, step, answer and finish records committed
	Claims     int64 // claims committed
	Commits    int64 // transactions committed that hold a save or a claim; at most Saves+Claims
	Heartbeats int64 // renewals committed
}

// Backend is where saves go.
//
// All methods may be called from several goroutines. A cancelled ctx ends a call while
// it waits for its turn, but never in the middle of a write. Byte slices belong to the
// caller: a backend copies those it keeps, and returns copies.
//
// # Outcomes
//
// Each of Start, Step, Finish, Signal, Claim, Acquire and Renew is one atomic change.
// It has three outcomes:
//
//   - made: the call returns nil, and the change is committed.
//   - not made: the call returns an error that does not wrap [ErrInDoubt], and nothing
//     has changed. Only if the disk failed during the commit, a crash right after it may
//     bring the whole change back.
//   - in doubt: the call returns an error that wraps [ErrInDoubt]. The backend is reached
//     over a network and the answer was lost. The backend first tries to resolve this by
//     reading the record back: if the same epoch and content are at its position, the
//     change was made. It returns ErrInDoubt only while the server is unreachable. The
//     caller must not guess or repeat the work: it reads the run, or leaves it to the next
//     executor, whose claim decides.
//
// # Errors
//
// Errors wrap [ErrRunExists] (Start), [ErrRunNotFound] (Claim, Acquire, Load, Signal),
// [ErrRunFinished] (Claim, Acquire), [ErrFenced] (Step, Finish, Claim, Acquire),
// [ErrSignalled] (Finish), [ErrNoPause] and [ErrAnswered] (Signal), [ErrCorrupt]
// (Claim, Acquire, Load) and [ErrClosed] (all).
//
// The suite in package coretest defines the meaning of a backend. Optional interfaces
// are [StepQueue], [Lister] and [Pruner].
type Backend interface {
	Start(ctx context.Context, rec StartRecord) (Lease, error)
	Step(ctx context.Context, lease Lease, rec StepRecord) error
	// Finish ends the lease; the run has no holder any more. A pause is refused with
	// [ErrSignalled] if there are more answers than rec knows of.
	Finish(ctx context.Context, lease Lease, rec FinishRecord) error
	// Claim takes over a run that has not ended, makes it running with no holder, and
	// returns it. If epoch is not 0, the run must still have that epoch.
	Claim(ctx context.Context, key RunKey, epoch int64) (Lease, Snapshot, error)
	// Acquire claims a run for an executor that has loaded it: known is the result of
	// [Backend.Load]. The run must still have that epoch, and that nonce unless it is 0. If
	// nothing was saved since, its history is not read again. Unlike Claim, it also accepts a
	// run that has failed or was cancelled, for [Retry]. It returns the run, with h as its holder.
	Acquire(ctx context.Context, known Snapshot, h Holder) (Lease, Snapshot, error)
	// Renew is the heartbeat of an executor: it makes h the holder of the runs of the leases.
	// It returns the leases that are lost, whose runs are not changed. A zero h.Until gives
	// the runs up. It is not counted as a save.
	Renew(ctx context.Context, h Holder, leases []Lease) (lost []Lease, err error)
	// Signal records the first answer to a saved pause. It needs no lease and does not
	// change that of the executor.
	Signal(ctx context.Context, key RunKey, rec AnswerRecord) error
	Load(ctx context.Context, key RunKey) (Snapshot, error)
	Counts() Counts
	Close() error
}

// StepQueue is a [Backend] that accepts further steps of a run while earlier ones are
// being committed, so that branches of one run share transactions. It is optional:
// without it the branches take turns, with one commit for each step.
type StepQueue interface {
	// Enqueue takes the next step of a run and returns immediately. The caller must call
	// Wait once and soon, because it may commit the steps of others. The record and its
	// slices belong to the backend until Wait returns.
	//
	// Steps are committed in the order in which they were enqueued. If one is not saved,
	// those after it are not saved either, with an error that is not [ErrFenced] unless
	// the lease has ended.
	Enqueue(lease Lease, rec *StepRecord) Enqueued
}

// Enqueued is a step that is being saved.
type Enqueued interface {
	// Wait returns nil once the step is committed, otherwise an error as of [Backend.Step].
	Wait() error
}
