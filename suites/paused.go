package suites

import (
	"fmt"
	"slices"

	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
)

// HavePausedAt succeeds where a run waits for an answer at path, as it is in the run
// ("refine#2/approve"), and perhaps at others.
func HavePausedAt(path string) types.GomegaMatcher {
	return ofRun("HavePausedAt", fmt.Sprintf("have paused at %q", path), func(f facts) (bool, error) {
		return f.result.Status == core.Paused && slices.Contains(pausePaths(f.result.Pauses), path), nil
	})
}
