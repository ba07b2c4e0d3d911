package reports

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness"
)

// The secrets are made up and put together here, so that no scanner of this
// repository takes them for real ones.
var canaries = []string{
	"sk-" + "proj-canary0abcdefghij1234567890", "ghp_" + "canary1abcdefghij1234567890", "AKIA" + "IOSFODNN7CANARY2",
	"hunter2-canary3-hunter2", "canary4." + "aB3dE5fG7hJ9kL2mN4pQ6rS8",
}

// leakyRun has a secret in every place that a test or an agent can write to.
func leakyRun() (Run, []Run) {
	run, earlier := brokenRun()
	said := "key " + canaries[0] + "\nGITHUB " + canaries[1] + " " + canaries[2] + "\npassword = \"" + canaries[3] + "\"\nAuthorization: Bearer " + canaries[4]
	bad := spec("calls the model with "+canaries[0], Failed)
	bad.Containers, bad.Labels = []string{"with " + canaries[1]}, []string{canaries[2]}
	bad.Message, bad.Detail = said, canaries[0]
	before := spec("a text before the one that gives it away: "+canaries[3], Passed)
	s := &run.Suites.Suites[0]
	s.Path, bad.Suite = "tests of "+canaries[1], "tests of "+canaries[1] // JUnit has it from who wrote the test
	s.Description, s.Failures = said, []SuiteFailure{{Node: "BeforeSuite", Message: said, File: "a_test.go", Line: 3}}
	run.Suites.Specs = append([]Spec{before, bad}, run.Suites.Specs...)
	run.Command, run.SuiteError = "flujo-harness run --token="+canaries[0]+" --filter "+canaries[3], said
	run.Comparisons[0].Problem = said
	run.Comparisons[0].Audit = append(run.Comparisons[0].Audit, harness.Finding{Check: "odd", Detail: said})
	run.Benchmarks = []Benchmark{{Name: "Call/" + canaries[0], Unit: "sec/op", Values: []float64{1}}}
	run.Verdicts[0].Reason, run.Verdicts[0].Next, run.Verdicts[0].Notes = said, said, []string{said}
	return run, earlier
}

func holdsNoSecret(t *testing.T, what, text string) {
	t.Helper()
	for i, secret := range canaries {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds secret %d", what, i)
		}
	}
}

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
