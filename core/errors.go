package core

import (
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// Errors to branch on with errors.Is.
var (
	// ErrHarness is wrapped by every fault of a test harness, such as an exhausted script or
	// a missing recording. It is no failure of the product: the engine never retries it and
	// never records it as a failed step.
	ErrHarness = errors.New("harness fault")

	// ErrNoProgress: iterations of a loop changed nothing, see [NoProgress].
	ErrNoProgress = errors.New("no progress")
	// ErrRedirectCycle: a [Redirect] was sent back to a node that it had run.
	ErrRedirectCycle = errors.New("redirect cycle")

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
	// ErrDiverged: a resumed run went another way than its records. No agent was called,
	// and nothing was saved.
	ErrDiverged = errors.New("run went another way than its records")
	// ErrNotRecorded: a replay reached a step that the recorded run did not reach.
	ErrNotRecorded = errors.New("step is not recorded")
	// ErrNoPause: the token belongs to no pause of this run.
	ErrNoPause = errors.New("no pause has this token: take the token from the result of the run, or from its trace")
	// ErrAnswered: the pause has an answer already.
	ErrAnswered = errors.New("the pause has been answered already")
	// ErrSignalled: there is an answer that the executor does not know of. Its pause was not saved.
	ErrSignalled = errors.New("an answer came meanwhile")
	// ErrInDoubt: the backend cannot find out now whether a save was made. Resume the run:
	// its records show what was saved. See [Backend].
	ErrInDoubt = errors.New("it is not known whether the save was made")
	// ErrCancelled: the run was cancelled: see [Engine.Cancel].
	ErrCancelled = errors.New("run was cancelled")
	// ErrNoBackend: the engine saves nothing.
	ErrNoBackend = errors.New("the engine has no backend")
	// ErrClosed: the backend was closed.
	ErrClosed = errors.New("backend is closed")
)

// PlanError is a mistake in a pipeline. [New] finds it, before any run.
type PlanError struct {
	Pipeline string
	Path     string // empty for the pipeline itself
	Problem  string // what is wrong and what to do
	Err      error  // the cause, for example a [*TypeError], or nil
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

func (e *StepError) outline() string {
	return fmt.Sprintf("step %q failed after %s", e.Path, plural(e.Attempts, "attempt"))
}

func (e *StepError) Error() string { return fmt.Sprintf("%s: %v", e.outline(), e.Err) }

func (e *StepError) Unwrap() error { return e.Err }

// NodeError is the failure of a node that is not a step: of its function, or of the
// nodes that it holds.
type NodeError struct {
	Kind string // "branch", "parallel", …
	Path string
	Err  error
}

func (e *NodeError) outline() string { return fmt.Sprintf("%s %q failed", e.Kind, e.Path) }

func (e *NodeError) Error() string { return fmt.Sprintf("%s: %v", e.outline(), e.Err) }

func (e *NodeError) Unwrap() error { return e.Err }

// Errors of scopes and of user code.
type (
	// TypeError is a type that cannot be copied or stored. It has the fields Type (the
	// refused type), Field (its position, like "Order.Items[].cache"; empty for the type
	// itself) and Problem (why, and what to do).
	TypeError = codec.TypeError

	// ValueError is a value that storage would change. It has the fields Field (its
	// position, like `Scores["a"][3].X`; empty for the value itself) and Problem (why, and
	// what to do).
	ValueError = codec.ValueError

	// ConflictError reports two branches that changed one field to different values. It has
	// the fields Field (like `Scores["a"]`; empty for the scope itself), First and Second
	// (names of the branches).
	ConflictError = codec.ConflictError

	// PanicError is a panic of a function of the pipeline, or of a method of its scope; a
	// panic of an agent is a [*RecordedError] with the code [ErrPanic]. It has the fields
	// Value, which it wraps if that is an error, and Stack (functions, files and lines, from
	// the panic up to the engine).
	PanicError = codec.PanicError
)

// SaveError is a save that failed. The run stops and can be resumed after its last
// saved step.
type SaveError struct {
	Run  RunKey
	What string // "start", "step draft", "finish"
	Err  error
}

func (e *SaveError) outline() string { return fmt.Sprintf("save %s of run %s failed", e.What, e.Run) }

func (e *SaveError) Error() string { return fmt.Sprintf("save %s of run %s: %v", e.What, e.Run, e.Err) }

func (e *SaveError) Unwrap() error { return e.Err }

// plural returns "1 step" or "2 steps".
func plural(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}
