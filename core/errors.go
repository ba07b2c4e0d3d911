package core

import (
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// Errors to branch on with errors.Is.
var (
	// ErrHarness is wrapped by every fault of a test harness (a script that ran
	// dry, a recording that is missing). It says nothing about the product: the
	// engine never retries it and never records it as a failed step.
	ErrHarness = errors.New("harness fault")

	// ErrRunExists: a run of this key was started before. Resume it, or choose another key.
	ErrRunExists = errors.New("run exists")
	// ErrRunNotFound: the backend has no run of this key.
	ErrRunNotFound = errors.New("run not found")
	// ErrRunFinished: the run has ended and cannot be resumed.
	ErrRunFinished = errors.New("run is finished")
	// ErrPlanChanged: the run was started with another pipeline.
	ErrPlanChanged = errors.New("pipeline differs from the one the run was started with")
	// ErrFenced: another executor has claimed the run since; nothing was saved.
	ErrFenced = errors.New("run was claimed by another executor")
	// ErrCorrupt: what the backend returned is not what was saved.
	ErrCorrupt = errors.New("stored record is damaged")
	// ErrDiverged: a resumed run went another way than its records. Nothing was
	// called and nothing was saved beyond them.
	ErrDiverged = errors.New("run went another way than its records")
	// ErrNotRecorded: a replay came to a step that the recorded run did not reach.
	ErrNotRecorded = errors.New("step is not recorded")
	// ErrNoPause: the token belongs to no pause of this run.
	ErrNoPause = errors.New("no pause has this token: take the token from the result of the run, or from its trace")
	// ErrAnswered: somebody else has answered the pause before.
	ErrAnswered = errors.New("the pause has been answered already")
	// ErrSignalled: an answer came that the executor has not seen; its end was not saved.
	ErrSignalled = errors.New("an answer came meanwhile")
	// ErrInDoubt: a save may have been made or not; the backend cannot find out now.
	// Resume the run: its records say what was saved. See [Backend].
	ErrInDoubt = errors.New("it is not known whether the save was made")
	// ErrCancelled: the run was cancelled: see [Cancel].
	ErrCancelled = errors.New("run was cancelled")
	// ErrNoBackend: the engine saves nothing.
	ErrNoBackend = errors.New("the engine has no backend")
	// ErrClosed: the backend was closed.
	ErrClosed = errors.New("backend is closed")
)

// PlanError says what is wrong with a pipeline. It is found before any run.
type PlanError struct {
	Pipeline string
	Path     string // empty where the whole pipeline is meant
	Problem  string // what is wrong and what to do
	Err      error  // where there is more to it, for example a [*TypeError]
}

func (e *PlanError) Unwrap() error { return e.Err }

func (e *PlanError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("pipeline %q: %s", e.Pipeline, e.Problem)
	}
	return fmt.Sprintf("pipeline %q: step %q: %s", e.Pipeline, e.Path, e.Problem)
}

// StepError is the failure of a step after its last attempt.
type StepError struct {
	Path     string
	Attempts int
	Err      error // of the last attempt: a [*RecordedError]
}

func (e *StepError) Error() string {
	return fmt.Sprintf("step %q failed after %d attempt(s): %v", e.Path, e.Attempts, e.Err)
}

func (e *StepError) Unwrap() error { return e.Err }

// NodeError is the failure of a node that is no step: of its function, or of what
// it holds.
type NodeError struct {
	Kind string // "branch", "parallel", …
	Path string
	Err  error
}

func (e *NodeError) Error() string { return fmt.Sprintf("%s %q failed: %v", e.Kind, e.Path, e.Err) }

func (e *NodeError) Unwrap() error { return e.Err }

// Errors of a scope: of its type, of its values, and of the code it brings along.
type (
	// TypeError is a type that cannot be copied or stored, found before the first run.
	// It has the fields Type (the refused type), Field (where it is, like
	// "Order.Items[].cache"; empty for the type itself) and Problem (why, and what to do).
	TypeError = codec.TypeError

	// ValueError is a value that would not come back from storage as it was. It has the
	// fields Field (where it is, like `Scores["a"][3].X`; empty for the value itself)
	// and Problem (why, and what to do).
	ValueError = codec.ValueError

	// ConflictError is two branches that changed one field to different values. It has
	// the fields Field (like `Scores["a"]`; empty for the scope itself), First and
	// Second (names of the branches).
	ConflictError = codec.ConflictError

	// PanicError is a panic of a function of the pipeline, or of a method of its scope.
	// Of an agent's panic the step keeps a [*RecordedError] with the code [ErrPanic].
	// It has the fields Value, which it unwraps to where that is an error, and Stack
	// (from the panic up to the engine: functions, files and lines).
	PanicError = codec.PanicError
)

// SaveError is a save that did not happen. The run stops where it is and can be
// resumed after its last saved step.
type SaveError struct {
	Run  RunKey
	What string // "start", "step draft", "finish"
	Err  error
}

func (e *SaveError) Error() string { return fmt.Sprintf("save %s of run %s: %v", e.What, e.Run, e.Err) }

func (e *SaveError) Unwrap() error { return e.Err }
