package suites

import "fmt"

// runMatcher is a matcher for a property of a run.
type runMatcher struct {
	name  string // name of the matcher
	takes string // description of the values that it accepts
	want  string // property, such as "have completed"
	holds func(facts) (bool, error)
}

// takesRuns describes the values that most matchers accept.
const takesRuns = "a run: the *suites.Ran of suites.Run, a core.Result, or a core.Snapshot"

// Match implements types.GomegaMatcher.
func (c runMatcher) Match(actual any) (bool, error) {
	f, err := factsOf(c.name, c.takes, actual)
	if err != nil {
		return false, err
	}
	return c.holds(f)
}

// FailureMessage implements types.GomegaMatcher.
func (c runMatcher) FailureMessage(actual any) string { return c.message(actual, "to ") }

// NegatedFailureMessage implements types.GomegaMatcher.
func (c runMatcher) NegatedFailureMessage(actual any) string { return c.message(actual, "not to ") }

func (c runMatcher) message(actual any, to string) string {
	f, err := factsOf(c.name, c.takes, actual)
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("Expected %s %s%s", f.what, to, c.want)
	if f.result != nil || f.err != nil {
		text += ", but " + f.told()
	}
	if table := f.table(); table != "" {
		text += "\n" + table
	}
	return text
}

// ofRun returns a matcher for how a run ended. If that is unknown, the matcher returns an error.
func ofRun(name, want string, holds func(facts) (bool, error)) runMatcher {
	return runMatcher{name, takesRuns, want, func(f facts) (bool, error) {
		if f.result == nil {
			return false, fmt.Errorf("%s wants %s; it got only an error or counts", name, takesRuns)
		}
		if err := f.ended(); err != nil {
			return false, err
		}
		return holds(f)
	}}
}
