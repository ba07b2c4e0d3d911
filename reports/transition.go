package reports

// Kind of a transition.
type Kind string

// The ways a spec moves between two runs.
const (
	Broke        Kind = "broke"         // fails, and did not fail before
	NewFailing   Kind = "new, failing"  // fails, and was not there before
	StillFailing Kind = "still failing" //
	Failing      Kind = "failing"       // fails, and there is no earlier run to compare with
	NotRun       Kind = "not run"       // its suite or package could not run: a failure outside the specs kept it from it
	RetryRescued Kind = "retry-rescued" // passed only after a failed attempt, whatever it did before
	Flaky        Kind = "flaky"         // passes or fails, and does both at one commit
	Fixed        Kind = "fixed"         // passes, and failed before
	NewlySkipped Kind = "newly skipped" // skipped or pending, and ran before
	Renamed      Kind = "renamed"       // is there under another name
	New          Kind = "new"           // was not there before, and does not fail
	Gone         Kind = "gone"          // was there before
)

// Kinds is the order to show them in.
var Kinds = []Kind{Broke, NewFailing, StillFailing, Failing, NotRun, RetryRescued, Flaky, Fixed, NewlySkipped, Renamed, New, Gone}

// Move is the kind of one spec's move, "" where there is nothing to tell. The state
// before is "" of a spec that was not there.
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

// Alone is what one run says of a spec by itself.
func Alone(spec *Spec) Kind {
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
