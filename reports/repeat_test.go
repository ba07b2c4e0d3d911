package reports

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRepeatedKeepsWhatEachRunDid(t *testing.T) {
	skipped := spec("skipped later", Skipped)
	skipped.Attempts = 0
	rescued := spec("rescued once", Passed)
	rescued.Retried, rescued.Attempts, rescued.Message = true, 2, "not at first"
	runs := []*Results{
		results(0, spec("good", Passed), spec("bad", Failed), spec("flaky", Passed), spec("skipped later", Passed), spec("rescued once", Passed)),
		results(0, spec("flaky", Failed), spec("good", Passed), spec("bad", Failed), skipped, rescued, spec("new", Passed)),
		results(0, spec("good", Passed), spec("bad", Failed), spec("flaky", Passed), skipped, spec("rescued once", Passed)),
	}
	runs[1].Suites[0].Failures = []SuiteFailure{{Node: Truncated, Message: "2 of 6 specs had ended"}}
	runs[2].Suites[0].Focused = true

	all := Repeated(runs)
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
		t.Errorf("a spec that failed once is green, or says nothing of it: %q", all.Specs[2].Message)
	}
	if one := Repeated(runs[:1]); one != runs[0] {
		t.Error("one run is changed")
	}
	if Repeated(nil) != nil {
		t.Error("no run has results")
	}
}
