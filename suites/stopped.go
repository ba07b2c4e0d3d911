package suites

import (
	"errors"
	"fmt"
	"slices"

	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
)

// HaveStoppedFor succeeds where a run has stopped because it was out of a resource:
// "calls", "steps", "tokens", "cost" or "wall time". It takes a *Ran or an error.
func HaveStoppedFor(resource string) types.GomegaMatcher {
	return ofError("HaveStoppedFor", "have stopped for want of "+resource, func(f facts) (bool, error) {
		if resources := core.Resources(); !slices.Contains(resources, resource) {
			return false, fmt.Errorf("HaveStoppedFor wants one of %q; it got %q, which no run is ever out of", resources, resource)
		}
		var short *core.BudgetError
		return errors.As(f.err, &short) && short.Resource == resource, nil
	})
}
