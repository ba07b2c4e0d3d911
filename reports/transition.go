package reports

import "slices"

// Kind of a transition.
type Kind string

// The ways a spec moves between two runs.
const (
	Broke        Kind = "broke"         // fails, and did not fail before
	NewFailing   Kind = "new, failing"  // fails, and was not there before
	StillFailing Kind = "still failing" //
	Failing      Kind = "failing"       // fails, and there is no earlier run to compare with
	RetryRescued Kind = "retry-rescued" // passed only after a failed attempt, whatever it did before
	Flaky        Kind = "flaky"         // passes or fails, and does both at one commit
	Fixed        Kind = "fixed"         // passes, and failed before
	NewlySkipped Kind = "newly skipped" // skipped or pending, and ran before
	Renamed      Kind = "renamed"       // is there under another name
	New          Kind = "new"           // was not there before, and does not fail
	Gone         Kind = "gone"          // was there before
)

// kinds is the order to show them in.
var kinds = []Kind{Broke, NewFailing, StillFailing, Failing, RetryRescued, Flaky, Fixed, NewlySkipped, Renamed, New, Gone}

// Transition is how one spec moved between two runs.
type Transition struct {
	Kind Kind
	Spec Spec // as it is now; of a spec that is gone, as it was
}

// Transitions compares two runs spec by spec, by [Spec.Key], sorted by kind and then
// in the order of the results. Specs that pass in both are left out. A nil earlier
// run is no run to compare with: only what fails or was rescued is told then.
func Transitions(earlier, now *Results) []Transition {
	var out []Transition
	was := map[string]State{}
	if earlier != nil {
		for i := range earlier.Specs {
			was[earlier.Specs[i].Key()] = earlier.Specs[i].State
		}
	}
	here := map[string]bool{}
	for i := range now.Specs {
		spec := &now.Specs[i]
		key := spec.Key()
		here[key] = true
		kind := move(was[key], spec)
		if earlier == nil {
			kind = alone(spec)
		}
		if kind != "" {
			out = append(out, Transition{Kind: kind, Spec: *spec})
		}
	}
	if earlier != nil {
		for i := range earlier.Specs {
			if spec := &earlier.Specs[i]; !here[spec.Key()] {
				out = append(out, Transition{Kind: Gone, Spec: *spec})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Transition) int {
		return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind)
	})
	return out
}

// move is the kind of one spec's move, "" where there is nothing to tell. The state
// before is "" of a spec that was not there.
func move(before State, spec *Spec) Kind {
	switch {
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

// alone is what one run says of a spec by itself.
func alone(spec *Spec) Kind {
	switch {
	case spec.State == Failed:
		return Failing
	case spec.Retried:
		return RetryRescued
	}
	return ""
}
