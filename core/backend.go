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

// StepRecord is the save of one executed step.
type StepRecord struct {
	Seq      int64 // position in the run: 1 for the first executed step
	Path     string
	Status   Status // Completed or Failed
	Attempts int
	Output   []byte // of the agent, as JSON; nil where the step failed
	Feedback string // of the last failed attempt
	Error    string // where the step failed
	State    []byte // the scope behind the step, as JSON; nil where it did not change
	Started  time.Time
	Ended    time.Time
}

// FinishRecord is the last save of a run.
type FinishRecord struct {
	Status Status // Completed or Failed
	Error  string
	Time   time.Time
}

// Snapshot is all that is saved of a run.
type Snapshot struct {
	Start  StartRecord // State is the one the run was started with
	Status Status
	Error  string
	Epoch  int64
	State  []byte       // the latest
	Steps  []StepRecord // in order of Seq
	Ended  time.Time    // zero while running
}

// Counts are what a backend has done since it was opened, counted where it is
// done and not where it is asked for.
type Counts struct {
	Saves   int64 // start, step and finish records committed
	Claims  int64 // claims committed
	Commits int64 // transactions committed; at most Saves+Claims
}

// Backend is where saves go.
//
// All methods may be called from several goroutines. Each of Start, Step, Finish
// and Claim is one atomic, committed change when it returns nil, and no change
// when it returns an error. A cancelled ctx is honoured while the call waits for
// its turn, never in the middle of a write. Byte slices belong to the caller: a
// backend copies what it keeps, and what it returns is the caller's own.
//
// Errors wrap [ErrRunExists] (Start), [ErrRunNotFound] (Claim, Load),
// [ErrRunFinished] (Claim), [ErrFenced] (Step, Finish), [ErrCorrupt] (Claim,
// Load) and [ErrClosed] (all). The meaning of a backend is the suite in package
// coretest.
type Backend interface {
	Start(ctx context.Context, rec StartRecord) (Lease, error)
	Step(ctx context.Context, lease Lease, rec StepRecord) error
	Finish(ctx context.Context, lease Lease, rec FinishRecord) error
	// Claim takes over a run that is not finished and returns what is saved of it.
	Claim(ctx context.Context, key RunKey) (Lease, Snapshot, error)
	Load(ctx context.Context, key RunKey) (Snapshot, error)
	Counts() Counts
	Close() error
}
