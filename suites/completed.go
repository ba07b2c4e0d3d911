package suites

import (
	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
)

// HaveCompleted succeeds where a run has completed. A run that was cut off, and one in
// which a script ran dry, is an error, for NotTo too: it might have completed.
func HaveCompleted() types.GomegaMatcher {
	return ofRun("HaveCompleted", "have completed", func(f facts) (bool, error) {
		return f.result.Status == core.Completed, nil
	})
}
