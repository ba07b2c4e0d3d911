package stubs

import (
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// A path in the plan is compared without creating a string, with the same result as core.PlanPath.
func TestPlannedIsThePlanPath(t *testing.T) {
	paths := []string{"", "a", "ab", "a/b", "a/bc", "ab/b", "a#1", "a#12/b", "a/b#3", "a#1/b#2", "a#1/b#2/c", "a#1#2", "#", "#1/b", "/", "a/", "a#/b", "é#1/ü", "é/ü"}
	found := 0
	for _, plan := range paths {
		for _, path := range paths {
			got, want := (&script{path: plan}).planned(path), core.PlanPath(path) == plan
			if got != want {
				t.Errorf("path %q in plan %q: %v, want %v", path, plan, got, want)
			}
			if want {
				found++
			}
		}
	}
	if found == 0 {
		t.Error("nothing was compared")
	}
}
