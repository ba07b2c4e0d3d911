package reports

// Kind is the kind of a transition of a spec between two runs.
type Kind string

// Kinds of transitions. "Before" refers to the baseline run.
const (
	Broke        Kind = "broke"         // fails, and did not fail before
	NewFailing   Kind = "new, failing"  // fails, and did not exist before
	StillFailing Kind = "still failing" // fails, and failed before
	Failing      Kind = "failing"       // fails, and there is no baseline run
	NotRun       Kind = "not run"       // did not run because of a failure of its suite or package
	RetryRescued Kind = "retry-rescued" // passed after a failed attempt, whatever its state before
	Flaky        Kind = "flaky"         // passed and failed at the same commit
	Fixed        Kind = "fixed"         // passes, and failed before
	NewlySkipped Kind = "newly skipped" // skipped or pending, and ran before
	Renamed      Kind = "renamed"       // exists under another name
	New          Kind = "new"           // did not exist before, and does not fail
	Gone         Kind = "gone"          // existed before
)

// Kinds lists the kinds in display order.
var Kinds = []Kind{Broke, NewFailing, StillFailing, Failing, NotRun, RetryRescued, Flaky, Fixed, NewlySkipped, Renamed, New, Gone}

// Move returns the kind of a spec's transition, or "" if its state did not change. before is its
// state in the baseline run, "" if it did not exist.
func Move(before State, spec *Spec) Kind {
	switch {
	case spec.BothWays():
		return Flaky
	case spec.State == Failed && before == "":
		return NewFailing
	case spec.State == Failed && before == Failed:
		return StillFailing
	case spec.State == Failed:
		return Broke
	case spec.Retried:
		return RetryRescued
	case before == "":
		return New
	case spec.State == Passed && before == Failed:
		return Fixed
	case spec.State != Passed && (before == Passed || before == Failed):
		return NewlySkipped
	}
	return ""
}

// SingleRun returns the kind of a spec for which there is no baseline run, or "".
func SingleRun(spec *Spec) Kind {
	switch {
	case spec.BothWays():
		return Flaky
	case spec.State == Failed:
		return Failing
	case spec.Retried:
		return RetryRescued
	}
	return ""
}
