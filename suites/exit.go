package suites

import (
	"fmt"
	"maps"
	"slices"

	"github.com/flujo/flujo-harness/core"
)

// HaveExitReason succeeds if the loop of a run has ended for the given reason. If the run has
// several loops, select one with [ExitMatcher.Of].
func HaveExitReason(reason core.ExitReason) *ExitMatcher { return exitMatcher(reason, "") }

// ExitMatcher is the matcher returned by [HaveExitReason].
type ExitMatcher struct {
	runMatcher
	reason core.ExitReason
}

// Of selects the loop by its path in the run, such as "outer#2/inner".
func (m *ExitMatcher) Of(path string) *ExitMatcher { return exitMatcher(m.reason, path) }

func exitMatcher(reason core.ExitReason, path string) *ExitMatcher {
	want := fmt.Sprintf("have a loop that ended for %q", reason)
	if path != "" {
		want = fmt.Sprintf("have ended the loop %q for %q", path, reason)
	}
	return &ExitMatcher{runMatcher{"HaveExitReason", takesRuns, want, func(f facts) (bool, error) {
		if f.result == nil {
			return false, fmt.Errorf("HaveExitReason wants %s; it got only an error or counts", takesRuns)
		}
		if err := f.valid(); err != nil {
			return false, err
		}
		exits := f.result.Exits
		known := slices.Sorted(maps.Keys(exits))
		exit, ok := exits[path]
		switch {
		case len(exits) == 0:
			return false, fmt.Errorf("HaveExitReason: no loop of %s has ended\n%s", f.what, f.table())
		case path == "" && len(exits) > 1:
			return false, fmt.Errorf("HaveExitReason: several loops of %s have ended: select one with Of: %q", f.what, known)
		case path == "":
			exit = exits[known[0]]
		case !ok:
			return false, fmt.Errorf("HaveExitReason: no loop %q of %s has ended, only %q", path, f.what, known)
		}
		return exit.Reason == reason, nil
	}}, reason}
}
