package suites

import (
	"errors"
	"fmt"
	"slices"

	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
)

// HaveFailedAt succeeds if a run has failed and the node at path, such as "refine#2/draft", is part
// of the failure. A step whose failure was handled, for example by a fallback, is not. It accepts a
// *Ran or the error of a run.
func HaveFailedAt(path string) types.GomegaMatcher {
	return ofError("HaveFailedAt", fmt.Sprintf("have failed at %q", path), func(f facts) (bool, error) {
		return slices.Contains(failurePaths(f.err), path), nil
	})
}

// ofError returns a matcher for why a run ended. If that is unknown, the matcher returns an error.
func ofError(name, want string, holds func(facts) (bool, error)) runMatcher {
	const takes = "a run or its failure: the *suites.Ran of suites.Run, or the error of core.Run"
	return runMatcher{name, takes, want, func(f facts) (bool, error) {
		if err := f.valid(); err != nil {
			return false, err
		}
		switch {
		case f.result == nil && f.err == nil:
			return false, fmt.Errorf("%s wants %s; it got no run, or counts", name, takes)
		case f.result == nil:
			if len(failurePaths(f.err)) == 0 && !errors.As(f.err, new(*core.BudgetError)) {
				return false, fmt.Errorf("%s wants the failure of a run; this error is none: %w", name, f.err)
			}
			return holds(f)
		case f.err == nil && (f.result.Status == core.Failed || f.result.Status == core.Stopped):
			return false, fmt.Errorf("%s wants %s: a result or a snapshot does not contain the path of the failure or the exhausted resource", name, takes)
		}
		if err := f.ended(); err != nil {
			return false, err
		}
		return holds(f)
	}}
}

// failurePaths returns the paths of all nodes that are part of a failure, outer nodes first.
func failurePaths(err error) (paths []string) {
	switch e := err.(type) {
	case nil:
		return nil
	case *core.StepError:
		paths = []string{e.Path}
	case *core.LoopError:
		paths = []string{e.Path}
	case *core.NodeError:
		paths = []string{e.Path}
	case *core.ValidationError:
		paths = []string{e.Path}
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		paths = append(paths, failurePaths(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			paths = append(paths, failurePaths(inner)...)
		}
	}
	return paths
}
