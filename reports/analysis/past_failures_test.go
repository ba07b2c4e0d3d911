package analysis

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

// Each distinct failure of a spec is listed once, with the runs in which it occurred.
func TestPastFailures(t *testing.T) {
	runs := sample.Cells("a:F.", "b:F.", "c:..", "d:F.", "e:R.", "f:F.")
	for i, message := range map[int]string{0: "it is lost at 0x10", 1: "timed out after 1.5 s", 3: "it is lost at 0x99", 4: "timed out after 9 s", 5: "it is lost at 0xff"} {
		runs[i].Suites.Specs[0].Message = message
	}
	runs[2].Suites.Specs[1].State, runs[2].Suites.Specs[1].Message = reports.Skipped, "not here"
	a := analysisOf(t, Options{}, runs...)
	want := map[string][]PastFailure{a.Run.Suites.Specs[0].Key(): {
		{Message: "timed out after 9 s", Runs: []int{1, 4}},
		{Message: "it is lost at 0x99", Runs: []int{0, 3}, Same: true},
	}}
	if diff := cmp.Diff(want, a.Past); diff != "" {
		t.Error(diff)
	}
	if green := analysisOf(t, Options{}, sample.Cells("a:.", "b:.")...); len(green.Past) != 0 {
		t.Errorf("of what never failed: %+v", green.Past)
	}
}

// The number of messages is bounded, even if a spec has another message in every run.
func TestPastFailuresAreBounded(t *testing.T) {
	var runs []reports.Run
	for i := range 20 {
		r := sample.CellsRun(i, string(rune('a'+i))+":F")
		r.Suites.Specs[0].Message = "it is " + string(rune('a'+i))
		runs = append(runs, r)
	}
	a := analysisOf(t, Options{}, runs...)
	past := a.Past[a.Run.Suites.Specs[0].Key()]
	if len(past) != pastFailures || past[0].Message != "it is s" || past[4].Message != "it is o" {
		t.Errorf("%+v", past)
	}
}
