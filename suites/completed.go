package suites

import (
	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
)

// HaveCompleted succeeds if a run has completed. A run that was interrupted or exhausted a script is
// an error, also with NotTo, because it might have completed.
func HaveCompleted() types.GomegaMatcher {
	return ofRun("HaveCompleted", "have completed", func(f facts) (bool, error) {
		return f.result.Status == core.Completed, nil
	})
}
