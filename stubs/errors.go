package stubs

import (
	"fmt"

	"github.com/flujo/flujo-harness/core"
)

// ExhaustedError is a call beyond the end of a script. It wraps core.ErrHarness:
// the test is at fault, not the product.
type ExhaustedError struct {
	Step    string // path
	Scope   string // arm
	Have    int    // outputs of the script
	Asked   int    // number of the call that found none, from 1
	Formula string // how the script was sized
}

func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("script of step %q in arm %q ran dry: it has %d outputs and output %d was asked for; sized as %s. "+
		"More runs or calls were made than planned: size the book from the load that is run",
		e.Step, e.Scope, e.Have, e.Asked, e.Formula)
}

// Unwrap returns core.ErrHarness.
func (e *ExhaustedError) Unwrap() error { return core.ErrHarness }

// UnscriptedError is a call of a scripted agent for which no script was sized. It
// wraps core.ErrHarness.
type UnscriptedError struct {
	Step    string
	Problem string
}

func (e *UnscriptedError) Error() string {
	return fmt.Sprintf("step %q has no script: %s", e.Step, e.Problem)
}

// Unwrap returns core.ErrHarness.
func (e *UnscriptedError) Unwrap() error { return core.ErrHarness }

// LeftoverError is a script that was read less often than its arm must have read
// it: runs or calls are missing. It wraps core.ErrHarness.
type LeftoverError struct {
	Step    string
	Scope   string
	Asked   int // calls made
	Least   int // calls that the planned runs must make
	Formula string
}

func (e *LeftoverError) Error() string {
	return fmt.Sprintf("script of step %q in arm %q was asked for %d outputs where the planned runs need at least %d; sized as %s. "+
		"Fewer runs or calls were made than planned", e.Step, e.Scope, e.Asked, e.Least, e.Formula)
}

// Unwrap returns core.ErrHarness.
func (e *LeftoverError) Unwrap() error { return core.ErrHarness }
