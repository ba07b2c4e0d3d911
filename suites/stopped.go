package suites

import (
	"errors"

	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
)

// HaveStoppedFor succeeds where a run has stopped because it was out of a resource:
// "calls", "steps", "tokens", "cost" or "wall time". It takes a *Ran or an error.
func HaveStoppedFor(resource string) types.GomegaMatcher {
	return ofError("HaveStoppedFor", "have stopped for want of "+resource, func(f facts) (bool, error) {
		var short *core.BudgetError
		return errors.As(f.err, &short) && short.Resource == resource, nil
	})
}
