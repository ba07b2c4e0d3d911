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
	Cancelled Status = 6 // ended from outside, see [Cancel]
	Retried   Status = 7 // of a step record only: it voids the failed one of its path, see [Retry]
)

// Ended reports whether a run of this status has come to its end: it cannot be
// resumed. [Retry] goes on with a failed or cancelled one.
func (s Status) Ended() bool { return s == Completed || s == Failed || s == Cancelled }

// String returns the lower-case name.
func (s Status) String() string {
	switch s {
	case Running:
		return "running"
	case Completed:
		return "completed"
	case Failed:
		return "failed"
	case Paused:
		return "paused"
	case Stopped:
		return "stopped"
	case Cancelled:
		return "cancelled"
	case Retried:
		return "retried"
	}
	return "unknown"
}

// Lease is the right to save to one run. A later [Backend.Claim] or
// [Backend.Acquire] of the same run ends it: every save with it then returns
// [ErrFenced].
type Lease struct {
	ID    int64 // the backend's own number of the run
	Epoch int64 // 1 for the starter, one more with every claim
}

// Holder is the executor that runs a run, and the time up to which others should
// believe that it is alive. It is a hint for those who look for runs without an
// executor: what decides who may save is the epoch, so that clocks which differ can
// cost a call but never a record.
type Holder struct {
	Executor string
	Until    time.Time // zero: nobody executes the run
}

// Alive reports whether the executor should be believed to be alive at now.
func (h Holder) Alive(now time.Time) bool { return now.Before(h.Until) }

// Origin is where a run made by [Fork] comes from. The zero value is no fork.
type Origin struct {
	Key RunKey
	Seq int64 // that many records were taken over, from the first one
}

// StartRecord is the first save of a run.
type StartRecord struct {
	Key      RunKey
	Pipeline string
	Plan     uint64 // fingerprint of the pipeline, see [Pipeline.Fingerprint]
	PlanText string // what the fingerprint was made of, see [Pipeline.Plan]: one text for each fingerprint
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

// FinishRecord is the last save of a run, or of this part of it: a Paused or
// Stopped run can be claimed again.
type FinishRecord struct {
	Status  Status // Completed, Failed, Cancelled, Paused or Stopped
	Error   string
	Exits   []byte    // of loops, as JSON; nil where there was none
	State   []byte    // the scope of a run that has completed or failed; nil where it is the one saved last
	Seq     int64     // position of State, where there is one
	Answers int       // that the executor knows of: with another number a pause is refused
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
	Holder  Holder         // who executes the run, or did last; without Until when nobody does
	State   []byte         // the latest, of whatever branch; the scope itself once the run has ended
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

// Counts are what a backend has done since it was opened, counted where it is
// done and not where it is asked for.
type Counts struct {
	Saves      int64 // start, step, answer and finish records committed
	Claims     int64 // claims committed
	Commits    int64 // transactions committed that hold a save or a claim; at most Saves+Claims
	Heartbeats int64 // renewals committed
}

// Backend is where saves go.
//
// All methods may be called from several goroutines. A cancelled ctx is honoured
// while the call waits for its turn, never in the middle of a write. Byte slices
// belong to the caller: a backend copies what it keeps, and what it returns is the
// caller's own.
//
// # Outcomes
//
// Each of Start, Step, Finish, Signal, Claim, Acquire and Renew is one atomic change.
// It has three outcomes:
//
//   - made: the call returns nil, and the change is committed.
//   - not made: the call returns an error that does not wrap [ErrInDoubt], and nothing
//     has changed. Only where the disk failed in the commit may a crash right after
//     it bring the change back, whole.
//   - in doubt: the call returns an error that wraps [ErrInDoubt]. The backend is behind
//     a network and has lost the answer. A backend resolves this itself as far as it
//     can, by reading the record back: the same epoch and content at its position is a
//     change that was made. It returns ErrInDoubt only while the server stays away. Its
//     caller never guesses and never repeats the work: it reads the run, or leaves it to
//     the next executor, whose claim decides.
//
// # Errors
//
// Errors wrap [ErrRunExists] (Start), [ErrRunNotFound] (Claim, Acquire, Load, Signal),
// [ErrRunFinished] (Claim, Acquire), [ErrFenced] (Step, Finish, Claim, Acquire),
// [ErrSignalled] (Finish), [ErrNoPause] and [ErrAnswered] (Signal), [ErrCorrupt]
// (Claim, Acquire, Load) and [ErrClosed] (all).
//
// The meaning of a backend is the suite in package coretest. Optional interfaces
// beside it: [Lister] and [Pruner].
type Backend interface {
	Start(ctx context.Context, rec StartRecord) (Lease, error)
	Step(ctx context.Context, lease Lease, rec StepRecord) error
	// Finish ends the lease and the hold. It is refused as [ErrSignalled] where rec is
	// a pause and there are other answers than it knows of.
	Finish(ctx context.Context, lease Lease, rec FinishRecord) error
	// Claim takes over a run that has not ended, makes it running with no holder, and
	// returns what is saved of it. Where epoch is not 0 the run must still have it.
	Claim(ctx context.Context, key RunKey, epoch int64) (Lease, Snapshot, error)
	// Acquire claims a run for an executor that has loaded it: known is what [Backend.Load]
	// returned. The run must still have its epoch. When nothing else was saved since, the
	// history is not read again. Unlike Claim it also takes a run that has failed or was
	// cancelled, which is how [Retry] begins. It returns what is saved of the run, with h
	// as its holder.
	Acquire(ctx context.Context, known Snapshot, h Holder) (Lease, Snapshot, error)
	// Renew is the heartbeat of an executor: it makes h the holder of the runs of the
	// leases and returns the leases that are lost, whose runs are left alone. A zero
	// h.Until gives the runs up. It is no save.
	Renew(ctx context.Context, h Holder, leases []Lease) (lost []Lease, err error)
	// Signal records the answer to a saved pause, once. It needs no lease and leaves
	// the one of the executor alone.
	Signal(ctx context.Context, key RunKey, rec AnswerRecord) error
	Load(ctx context.Context, key RunKey) (Snapshot, error)
	Counts() Counts
	Close() error
}

// StepQueue is a [Backend] that takes further steps of a run while earlier ones are being
// committed, so that branches of one run share transactions. It is optional: without it
// the branches take turns, a commit for each step.
type StepQueue interface {
	// Enqueue takes the next step of a run and returns at once. Steps are committed in the
	// order in which they were enqueued, and none without those before it: where one is not
	// saved, those after it are not saved either, with an error that is not [ErrFenced]
	// unless the lease has ended. The slices of rec belong to the backend until Wait
	// returns. Whoever enqueues must call Wait, once and soon: it may do the work of others.
	Enqueue(lease Lease, rec StepRecord) Enqueued
}

// Enqueued is a step on its way.
type Enqueued interface {
	// Wait returns nil once the step is committed, else why it is not: see [Backend.Step].
	Wait() error
}
