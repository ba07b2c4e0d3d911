package suites

import (
	"fmt"
	"slices"

	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
)

// HavePausedAt succeeds if a run waits for an answer at path, such as "refine#2/approve". It may wait
// at other paths, too.
func HavePausedAt(path string) types.GomegaMatcher {
	return ofRun("HavePausedAt", fmt.Sprintf("have paused at %q", path), func(f facts) (bool, error) {
		return f.result.Status == core.Paused && slices.Contains(pausePaths(f.result.Pauses), path), nil
	})
}
