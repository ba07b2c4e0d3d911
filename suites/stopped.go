package suites

import (
	"errors"
	"fmt"
	"slices"

	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
)

// HaveStoppedFor succeeds if a run has stopped because its budget of a resource was exhausted:
// "calls", "steps", "tokens", "cost" or "wall time". It accepts a *Ran or an error.
func HaveStoppedFor(resource string) types.GomegaMatcher {
	return ofError("HaveStoppedFor", "have stopped because it was out of "+resource, func(f facts) (bool, error) {
		if resources := []string{"calls", "steps", "tokens", "cost", "wall time"}; !slices.Contains(resources, resource) {
			return false, fmt.Errorf("HaveStoppedFor wants one of %q; it got %q, which is not in a budget", resources, resource)
		}
		var short *core.BudgetError
		return errors.As(f.err, &short) && short.Resource == resource, nil
	})
}
