package ingest

import (
	"fmt"
	"strings"
	"testing"
)

// Found by fuzzing: a spec passed, but the report had no number of attempts, which made it 0. A negative
// number is an error.
func TestGinkgoSpecThatPassedWasAttempted(t *testing.T) {
	report := func(attempts string) string {
		return fmt.Sprintf(`[{"SuitePath":"/m/a","SuiteSucceeded":true,"PreRunStats":{"TotalSpecs":1},"SpecReports":[
			{"ContainerHierarchyTexts":["a"],"LeafNodeType":"It","LeafNodeText":"x","LeafNodeLocation":{"FileName":"/m/a_test.go","LineNumber":7},"State":"passed"%s}]}]`, attempts)
	}
	for attempts, want := range map[string]int{"": 1, `,"NumAttempts":0`: 1, `,"NumAttempts":1`: 1, `,"NumAttempts":3`: 3} {
		r, err := Read(strings.NewReader(report(attempts)), "/m")
		if err != nil || r.Results.Specs[0].Attempts != want {
			t.Errorf("%q: %+v, %v; want %d", attempts, r, err, want)
		}
	}
	if _, err := Read(strings.NewReader(report(`,"NumAttempts":-1`)), "/m"); err == nil || !strings.Contains(err.Error(), "has -1 attempts") {
		t.Errorf("error %v", err)
	}
}
