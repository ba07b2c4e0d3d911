package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Code is an error that keeps its identity when it is recorded. Declare one for
// each error that other parts of a pipeline, or the caller of [Run], branch on:
//
//	const ErrRateLimited = core.Code("rate limited")
//
// An agent wraps it (fmt.Errorf("ask the model: %w", ErrRateLimited)), and
// errors.Is finds it in what merges and callers receive, in this process and after
// any resume. Codes are recorded as their text, so their text never changes.
type Code string

func (c Code) Error() string { return string(c) }

// Codes of failures that the engine itself makes.
const (
	// ErrPanic: an agent, or a function of its step, panicked.
	ErrPanic = Code("panic")
	// ErrGoexit: an agent or a function ended its goroutine and neither returned nor
	// panicked. runtime.Goexit does that, and testing.T.FailNow.
	ErrGoexit = Code("goroutine ended")
	// ErrAbandoned: an agent did not return although its context had ended. Its
	// goroutine may still run; what it returns is dropped. See [WithGrace].
	ErrAbandoned = Code("abandoned")
	// ErrFinal: the agent does not want to be tried again, see [Final].
	ErrFinal = Code("final")
)

// Final marks an error that no further attempt can mend, for example a key that
// was refused: the step fails at once, whatever its [Retries]. Fallbacks and other
// nodes around the step handle it like any other failure.
func Final(err error) error {
	if err == nil {
		return nil
	}
	return &finalError{err}
}

type finalError struct{ err error }

func (e *finalError) Error() string   { return e.err.Error() }
func (e *finalError) Unwrap() []error { return []error{e.err, ErrFinal} }

// RecordedError is an error of an agent in the form in which it is recorded, and
// in which everybody receives it: merge functions, fallbacks and the caller of
// [Run]. It is the same when the step has just failed and after any resume. It
// wraps the recorded codes ([Code]) and, where it wrapped them,
// [context.DeadlineExceeded] and [context.Canceled]; it does not wrap other
// errors, and errors.As finds no other type in it. [WithFailures] shows the
// original.
type RecordedError struct {
	Text  string   `json:"-"`
	Codes []string `json:"codes,omitempty"` // sorted
	Stack string   `json:"stack,omitempty"` // of a panic, from its cause up to the engine
}

func (e *RecordedError) Error() string { return e.Text }

// Is reports whether target is one of the recorded codes.
func (e *RecordedError) Is(target error) bool {
	code, ok := target.(Code)
	if i := slices.Index(contextErrors[:], target); i >= 0 {
		code, ok = contextCodes[i], true
	}
	return ok && slices.Contains(e.Codes, string(code))
}

// Errors of package context have codes of their own: agents return them as they are.
var (
	contextErrors = [...]error{context.DeadlineExceeded, context.Canceled}
	contextCodes  = [...]Code{"context deadline exceeded", "context canceled"}
)

// storable replaces what not every database can store in a text.
var storable = strings.NewReplacer("\x00", "\uFFFD")

// recordedText is the text of an error as every backend can store it.
func recordedText(err error) string {
	return storable.Replace(strings.ToValidUTF8(err.Error(), "\uFFFD"))
}

// AsRecorded returns the form in which the engine records an error, for test
// doubles that record one themselves.
func AsRecorded(err error) *RecordedError { return asRecorded(err) }

// asRecorded returns the recorded form of an error.
func asRecorded(err error) *RecordedError {
	if e, ok := err.(*RecordedError); ok {
		return e
	}
	e := &RecordedError{Text: recordedText(err)}
	e.classify(err)
	return e
}

// classify enters the codes of err, and the stack of a panic.
func (e *RecordedError) classify(err error) {
	e.collect(err)
	for i, target := range contextErrors {
		if errors.Is(err, target) {
			e.Codes = append(e.Codes, string(contextCodes[i]))
		}
	}
	slices.Sort(e.Codes)
	e.Codes = slices.Compact(e.Codes)
}

// collect walks what err wraps, as errors.Is does.
func (e *RecordedError) collect(err error) {
	switch x := err.(type) {
	case nil:
		return
	case Code:
		e.Codes = append(e.Codes, strings.ToValidUTF8(string(x), "\uFFFD"))
		return
	case *RecordedError: // of a run within an agent
		e.Codes = append(e.Codes, x.Codes...)
		e.Stack = x.Stack
		return
	case *PanicError:
		e.Codes = append(e.Codes, string(ErrPanic))
		e.Stack = strings.ToValidUTF8(string(x.Stack), "\uFFFD")
	}
	switch x := err.(type) {
	case interface{ Unwrap() error }:
		e.collect(x.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range x.Unwrap() {
			e.collect(inner)
		}
	}
}

// fail enters an error into the record of its step: codes and stack are stored in
// place of the output that a failed step does not have.
func (r *StepRecord) fail(e *RecordedError) error {
	r.Status, r.Error = Failed, e.Text
	if len(e.Codes) == 0 && e.Stack == "" {
		return nil
	}
	var err error
	r.Output, err = json.Marshal(e)
	return err
}

// failure reads back what fail entered.
func (r *StepRecord) failure() (*RecordedError, error) {
	e := &RecordedError{Text: r.Error}
	if r.Output == nil {
		return e, nil
	}
	if err := json.Unmarshal(r.Output, e); err != nil {
		return nil, fmt.Errorf("%w: error of step %q: %v", ErrCorrupt, r.Path, err)
	}
	return e, nil
}
