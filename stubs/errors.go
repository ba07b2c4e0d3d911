package stubs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// ExhaustedError reports a call after the end of a script. It wraps core.ErrHarness: the test is at
// fault, not the program under test.
type ExhaustedError struct {
	Step    string // path in the run
	Scope   string // arm, with the run if every run has its own script
	Have    int    // number of outputs of the script
	Asked   int    // number of the failed call, from 1
	Formula string // formula that the script was sized by
	PerRun  bool   // the script is a list of replies per run rather than sized
	Calls   []Call // previous calls
}

func (e *ExhaustedError) Error() string {
	advice := "More runs or calls were made than planned: size the book from the load that is run, with Resumes if runs are interrupted"
	if e.PerRun {
		advice = "The run called more often than there are replies: add replies, give one Times, or let the script Cycle"
	}
	text := fmt.Sprintf("script of step %q in %s ran dry: it has %d outputs and output %d was asked for; sized as %s. %s",
		e.Step, e.Scope, e.Have, e.Asked, e.Formula, advice)
	for i, c := range e.Calls {
		if i == 0 {
			text += ". Before it: "
		} else {
			text += "; "
		}
		text += c.String()
	}
	return text
}

// Unwrap returns core.ErrHarness.
func (e *ExhaustedError) Unwrap() error { return core.ErrHarness }

// UnscriptedError reports a call of a scripted agent without a script. It wraps core.ErrHarness.
type UnscriptedError struct {
	Step    string
	Problem string
}

func (e *UnscriptedError) Error() string {
	return fmt.Sprintf("step %q has no script: %s", e.Step, e.Problem)
}

// Unwrap returns core.ErrHarness.
func (e *UnscriptedError) Unwrap() error { return core.ErrHarness }

// LeftoverError reports a script that was read less often than required: runs or calls are
// missing. It wraps core.ErrHarness.
type LeftoverError struct {
	Step    string // path, without the iterations of loops
	Scope   string // arm, with the run if every run has its own script
	Asked   int    // number of calls, without retries if the script was sized
	Least   int    // number of calls that the planned runs require
	Formula string // formula that the script was sized by
	PerRun  bool   // the script is a list of replies per run rather than sized
}

func (e *LeftoverError) Error() string {
	need, advice := "the planned runs need", "Fewer runs or calls were made than planned: make them, plan fewer, or mark the step Optional if its agent is not scripted or is cached"
	if e.PerRun {
		need, advice = "the script has", "The run left the others unread: remove them, or AllowLeftovers"
	}
	return fmt.Sprintf("script of step %q in %s was asked for %d outputs, but %s at least %d; sized as %s. %s",
		e.Step, e.Scope, e.Asked, need, e.Least, e.Formula, advice)
}

// Unwrap returns core.ErrHarness.
func (e *LeftoverError) Unwrap() error { return core.ErrHarness }

// InputError reports a call with an input that differs from what [Agent.Expect] or
// [Agent.ExpectThat] require. It wraps core.ErrHarness.
type InputError struct {
	Step  string
	Scope string
	Call  int    // within the run, from 1
	Diff  string // difference from the expected input; if Err is set, the input as JSON
	Err   error  // error of the function of ExpectThat
}

func (e *InputError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("call %d of step %q in %s has an unexpected input: %v\n  input: %s", e.Call, e.Step, e.Scope, e.Err, shorten(e.Diff, 400))
	}
	return fmt.Sprintf("call %d of step %q in %s had another input than expected (-want +got):\n%s", e.Call, e.Step, e.Scope, strings.TrimRight(e.Diff, "\n"))
}

// Unwrap returns core.ErrHarness, and the error of the check.
func (e *InputError) Unwrap() []error {
	if e.Err == nil {
		return []error{core.ErrHarness}
	}
	return []error{core.ErrHarness, e.Err}
}

// difference compares two inputs as JSON, which also covers types with unexported fields. It
// compares numbers by their digits.
func difference[In any](want, got In) string {
	plain := func(in In) any {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Sprintf("%#v", in)
		}
		var v any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			return string(text)
		}
		return v
	}
	return cmp.Diff(plain(want), plain(got))
}
