package main

import (
	"slices"
	"testing"

	"github.com/flujo/flujo-harness/harness"
)

// A mutant that selftest does not run is a guard nobody has seen notice.
func TestSelftestRunsEveryMutant(t *testing.T) {
	var run []harness.Mutant
	for _, l := range lies {
		run = append(run, l.mutant)
	}
	for _, m := range harness.Mutants() {
		if !slices.Contains(run, m) {
			t.Errorf("selftest has no row for the mutant %q", m)
		}
	}
}
