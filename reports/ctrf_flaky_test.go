package reports

import (
	"strings"
	"testing"
)

// A test that is flaky, of which the report gives no number of retries, was rescued by none:
// the fuzzing found it.
func TestCTRFFlakyWithoutRetriesWasTriedTwice(t *testing.T) {
	r, err := Read(strings.NewReader(`{"results":{"tests":[{"name":"a","status":"passed","flaky":true}]}}`), "")
	if err != nil || !r.Results.Specs[0].Retried || r.Results.Specs[0].Attempts != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}
