package reports_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/google/go-cmp/cmp"
)

func TestRepeatedKeepsWhatEachRunDid(t *testing.T) {
	skipped := sample.Spec("skipped later", reports.Skipped)
	skipped.Attempts = 0
	rescued := sample.Spec("rescued once", reports.Passed)
	rescued.Retried, rescued.Attempts, rescued.Message = true, 2, "not at first"
	runs := []*reports.Results{
		sample.Results(0, sample.Spec("good", reports.Passed), sample.Spec("bad", reports.Failed), sample.Spec("flaky", reports.Passed), sample.Spec("skipped later", reports.Passed), sample.Spec("rescued once", reports.Passed)),
		sample.Results(0, sample.Spec("flaky", reports.Failed), sample.Spec("good", reports.Passed), sample.Spec("bad", reports.Failed), skipped, rescued, sample.Spec("new", reports.Passed)),
		sample.Results(0, sample.Spec("good", reports.Passed), sample.Spec("bad", reports.Failed), sample.Spec("flaky", reports.Passed), skipped, sample.Spec("rescued once", reports.Passed)),
	}
	runs[1].Suites[0].Failures = []reports.SuiteFailure{{Node: reports.Truncated, Message: "2 of 6 specs had ended"}}
	runs[2].Suites[0].Focused = true

	all := reports.Repeated(runs)
	var got []string
	for _, s := range all.Specs {
		message, _, _ := strings.Cut(s.Message, "\n")
		got = append(got, fmt.Sprintf("%s: %s %s, %d attempts, retried %v: %s", s.Leaf, s.State, s.Detail, s.Attempts, s.Retried, message))
	}
	want := []string{
		"good: passed , 3 attempts, retried false: ",
		"bad: failed , 3 attempts, retried false: failed in 3 of 3 (100%, 95% band 43.9 to 100%) runs: failed, failed, failed",
		"flaky: failed flaky, 3 attempts, retried false: failed in 1 of 3 (33.3%, 95% band 6.1 to 79.2%) runs: passed, failed, passed",
		"skipped later: passed , 1 attempts, retried false: ",
		"rescued once: passed , 4 attempts, retried true: not at first",
		"new: passed , 1 attempts, retried false: ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	suite := all.Suites[0]
	if len(all.Suites) != 1 || suite.Duration != 6*time.Second || !suite.Focused || len(suite.Failures) != 1 || suite.Failures[0].Message != "run 2: 2 of 6 specs had ended" {
		t.Errorf("suites: %+v", all.Suites)
	}
	if all.Green() || !strings.Contains(all.Specs[2].Message, "Expected") {
		t.Errorf("a spec that failed once passes, or its message does not report the failure: %q", all.Specs[2].Message)
	}
	if one := reports.Repeated(runs[:1]); one != runs[0] {
		t.Error("one run is changed")
	}
	if reports.Repeated(nil) != nil {
		t.Error("no run has results")
	}
}
