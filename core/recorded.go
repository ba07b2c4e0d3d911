package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Code is an error that keeps its identity when it is recorded. Declare one for each
// error that other parts of a pipeline, or the caller of [Run], must recognize:
//
//	const ErrRateLimited = core.Code("rate limited")
//
// An agent wraps it (fmt.Errorf("ask the model: %w", ErrRateLimited)), and errors.Is
// finds it in the errors that merges and callers receive, in this process and after any
// resume. A code is recorded as its text, which must never change.
type Code string

func (c Code) Error() string { return string(c) }

// Codes of failures that the engine itself makes.
const (
	// ErrPanic: an agent, or a function of its step, panicked.
	ErrPanic = Code("panic")
	// ErrGoexit: an agent or a function ended its goroutine, as runtime.Goexit and
	// testing.T.FailNow do.
	ErrGoexit = Code("goroutine ended")
	// ErrAbandoned: an agent did not return although its context had ended. Its
	// goroutine may still run, and its output is dropped. See [WithGrace].
	ErrAbandoned = Code("abandoned")
	// ErrFinal: further attempts are useless, see [Final].
	ErrFinal = Code("final")
)

// Final marks an error that no further attempt can correct, for example an invalid key:
// the step fails immediately, whatever its [Retries]. Fallbacks and other nodes handle
// it like any other failure.
func Final(err error) error {
	if err == nil {
		return nil
	}
	return &finalError{err}
}

type finalError struct{ err error }

func (e *finalError) Error() string   { return e.err.Error() }
func (e *finalError) Unwrap() []error { return []error{e.err, ErrFinal} }

// RecordedError is the recorded form of an agent's error. Merge functions, fallbacks and
// the caller of [Run] always receive this form, so that the error is the same when the
// step has just failed and after any resume. errors.Is finds in it the codes ([Code]) of
// the original error, [context.DeadlineExceeded] and [context.Canceled], but no other
// errors, and errors.As finds no other type. [WithFailures] gives access to the original.
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

// Errors of package context have codes of their own, because agents return them directly.
var (
	contextErrors = [...]error{context.DeadlineExceeded, context.Canceled}
	contextCodes  = [...]Code{"context deadline exceeded", "context canceled"}
)

// storable replaces a character that not every database can store.
var storable = strings.NewReplacer("\x00", "\uFFFD")

// recordedText returns the text of an error in a form that every backend can store.
func recordedText(err error) string {
	return storable.Replace(strings.ToValidUTF8(err.Error(), "\uFFFD"))
}

// AsRecorded returns the recorded form of an error, for test doubles that record errors
// themselves.
func AsRecorded(err error) *RecordedError {
	if e, ok := err.(*RecordedError); ok {
		return e
	}
	e := &RecordedError{Text: recordedText(err)}
	e.classify(err)
	return e
}

// classify adds the codes of err, and the stack of a panic.
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

// fail makes r the record of a failed step. Codes and stack are stored in place of the
// output.
func (r *StepRecord) fail(e *RecordedError) error {
	r.Status, r.Error = Failed, e.Text
	if len(e.Codes) == 0 && e.Stack == "" {
		return nil
	}
	var err error
	r.Output, err = json.Marshal(e)
	return err
}

// failure returns the error that fail recorded.
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
