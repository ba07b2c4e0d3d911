package history

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/reports"
)

func TestSecretsAreRemovedBeforeStoring(t *testing.T) {
	run, _ := sample.LeakyRun()
	before, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	var c Censor
	clean := c.Run(run)
	text, err := json.Marshal(clean)
	if err != nil {
		t.Fatal(err)
	}
	sample.HoldsNoSecret(t, "the run", string(text))
	if !strings.Contains(string(text), "[redacted]") {
		t.Error("no marker shows where a secret was removed")
	}
	again, err := json.Marshal(c.Run(clean))
	if err != nil || string(again) != string(text) {
		t.Errorf("removing secrets a second time changes the run again: %v", err)
	}
	if after, _ := json.Marshal(run); string(after) != string(before) {
		t.Error("the caller's run was changed")
	}
}

func TestRunWithoutSecretsIsUnchanged(t *testing.T) {
	run, _ := sample.BrokenRun()
	want, _ := json.Marshal(run)
	var c Censor
	if got, _ := json.Marshal(c.Run(run)); string(got) != string(want) {
		t.Errorf("changed:\n%s\nto\n%s", want, got)
	}
}

// Two specs whose names differ only in a secret have the same name once it is removed. They must
// remain two specs.
func TestNamesThatDifferInTheirSecretsOnly(t *testing.T) {
	first, second, third := sample.Spec("takes [redacted]", reports.Passed), sample.Spec("takes "+sample.Canaries[1], reports.Passed), sample.Spec("takes "+sample.Canaries[0], reports.Failed)
	h := open(t, t.TempDir()+"/history.db")
	added, err := h.Append(t.Context(), reports.Run{Suites: sample.Results(0, third, second, first)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.Load(t.Context(), added.ID)
	if err != nil {
		t.Fatal(err)
	}
	var occurrences []int
	for _, s := range got.Suites.Specs {
		occurrences = append(occurrences, s.Occurrence)
	}
	if len(occurrences) != 3 || occurrences[0] != 2 || occurrences[1] != 3 || occurrences[2] != 1 || got.Suites.Counts().Failed != 1 {
		t.Errorf("%v of %+v", occurrences, got.Suites.Specs)
	}
	if _, err := h.Append(t.Context(), reports.Run{Suites: sample.Results(0, second, first, first)}); err == nil {
		t.Error("a spec that occurs twice is not an error")
	}
}
