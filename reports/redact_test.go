package reports

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSecretsAreTakenOutBeforeTheyAreKept(t *testing.T) {
	run, _ := leakyRun()
	before, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	var c censor
	clean := c.run(run)
	text, err := json.Marshal(clean)
	if err != nil {
		t.Fatal(err)
	}
	holdsNoSecret(t, "the run", string(text))
	if !strings.Contains(string(text), "[redacted]") {
		t.Error("nothing says that something was taken out")
	}
	again, err := json.Marshal(c.run(clean))
	if err != nil || string(again) != string(text) {
		t.Errorf("taking secrets out twice changes more: %v", err)
	}
	if after, _ := json.Marshal(run); string(after) != string(before) {
		t.Error("the caller's run was changed")
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	run, _ := brokenRun()
	want, _ := json.Marshal(run)
	var c censor
	if got, _ := json.Marshal(c.run(run)); string(got) != string(want) {
		t.Errorf("changed:\n%s\nto\n%s", want, got)
	}
}

// Two names that differ in their secrets only are the same once those are taken out: they
// are still two specs.
func TestNamesThatDifferInTheirSecretsOnly(t *testing.T) {
	first, second, third := spec("takes [redacted]", Passed), spec("takes "+canaries[1], Passed), spec("takes "+canaries[0], Failed)
	h := open(t, t.TempDir()+"/history.db")
	added, err := h.Append(t.Context(), Run{Suites: results(0, third, second, first)})
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
	if _, err := h.Append(t.Context(), Run{Suites: results(0, second, first, first)}); err == nil {
		t.Error("one spec is there twice, and nothing says so")
	}
}
