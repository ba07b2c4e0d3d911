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
	Stopped   Status = 5 // out of budget
)

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
	}
	return "unknown"
}

// Lease is the right to save to one run. A later [Backend.Claim] of the same run
// ends it: every save with it then returns [ErrFenced].
type Lease struct {
	ID    int64 // the backend's own number of the run
	Epoch int64 // 1 for the starter, one more with every claim
}

// StartRecord is the first save of a run.
type StartRecord struct {
	Key      RunKey
	Pipeline string
	Plan     uint64 // fingerprint of the pipeline, see [Pipeline.Fingerprint]
	State    []byte // the scope as JSON
	Time     time.Time
}

// StepRecord is the save of one executed step, or of a pause.
type StepRecord struct {
	Seq      int64 // position in the run: 1 for the first executed step
	Path     string
	Status   Status // Completed, Failed or Paused
	Attempts int
	Usage    Usage  // its Steps are 0: the record is the step
	Token    string // of a pause
	Output   []byte // of the agent, as JSON, nil where the step failed; the prompt of a pause
	Feedback string // of the last failed attempt
	Error    string // where the step failed
	State    []byte // the scope behind the step, as JSON; nil where it did not change
	Started  time.Time
	Ended    time.Time
}

// FinishRecord is the last save of a run, or of this part of it: a Paused or
// Stopped run can be claimed again.
type FinishRecord struct {
	Status  Status // Completed, Failed, Paused or Stopped
	Error   string
	Exits   []byte // of loops, as JSON; nil where there was none
	State   []byte // the scope of a run that has completed or failed; nil where it is the one saved last
	Seq     int64  // position of State, where there is one
	Answers int    // that the executor knows of: with another number a pause is refused
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
	Start   StartRecord // State is the one the run was started with
	Status  Status
	Error   string
	Epoch   int64
	State   []byte         // the latest, of whatever branch; the scope itself once the run has ended
	Steps   []StepRecord   // in order of Seq
	Answers []AnswerRecord // in order of Time and Token
	Exits   []byte         // of the latest FinishRecord
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
	Saves   int64 // start, step, answer and finish records committed
	Claims  int64 // claims committed
	Commits int64 // transactions committed; at most Saves+Claims
}

// Backend is where saves go.
//
// All methods may be called from several goroutines. Each of Start, Step, Finish,
// Signal and Claim is one atomic, committed change when it returns nil, and no change
// when it returns an error; but where the disk failed in the commit, a crash right
// behind it may bring the change back, whole. A cancelled ctx is honoured while the call waits for
// its turn, never in the middle of a write. Byte slices belong to the caller: a
// backend copies what it keeps, and what it returns is the caller's own.
//
// Errors wrap [ErrRunExists] (Start), [ErrRunNotFound] (Claim, Load, Signal),
// [ErrRunFinished] (Claim), [ErrFenced] (Step, Finish, Claim), [ErrSignalled]
// (Finish), [ErrNoPause] and [ErrAnswered] (Signal), [ErrCorrupt] (Claim, Load) and
// [ErrClosed] (all). The meaning of a backend is the suite in package
// coretest.
type Backend interface {
	Start(ctx context.Context, rec StartRecord) (Lease, error)
	Step(ctx context.Context, lease Lease, rec StepRecord) error
	// Finish ends the lease. It is refused as [ErrSignalled] where rec is a pause and
	// there are other answers than it knows of.
	Finish(ctx context.Context, lease Lease, rec FinishRecord) error
	// Claim takes over a run that is neither completed nor failed, makes it running
	// and returns what is saved of it. Where epoch is not 0 the run must still have it.
	Claim(ctx context.Context, key RunKey, epoch int64) (Lease, Snapshot, error)
	// Signal records the answer to a saved pause, once. It needs no lease and leaves
	// the one of the executor alone.
	Signal(ctx context.Context, key RunKey, rec AnswerRecord) error
	Load(ctx context.Context, key RunKey) (Snapshot, error)
	Counts() Counts
	Close() error
}
