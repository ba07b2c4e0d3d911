package suites

import (
	"fmt"

	"github.com/onsi/gomega/types"
)

// HaveSaved succeeds if the backend counted n committed saves. For a [Ran] it counts those of the
// run (N steps make N+2 saves, each answered pause two more), for a core.Backend or its core.Counts
// all saves since it was opened.
func HaveSaved(n int) types.GomegaMatcher {
	const takes = "the counts of a backend: a *suites.Ran with a backend, a core.Backend, or core.Counts"
	return runMatcher{"HaveSaved", takes, fmt.Sprintf("have a save count of %d", n), func(f facts) (bool, error) {
		if f.saves == nil {
			return false, fmt.Errorf("HaveSaved wants %s; this contains no counts", takes)
		}
		if err := f.valid(); err != nil {
			return false, err
		}
		return *f.saves == int64(n), nil
	}}
}
