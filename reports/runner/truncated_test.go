package runner

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/ginkgo/v2/types"
)

func TestFillCompletesTheReportOfAKilledSuite(t *testing.T) {
	it := func(text string, line int, state types.SpecState) types.SpecReport {
		return types.SpecReport{LeafNodeType: types.NodeTypeIt, LeafNodeText: text, State: state,
			LeafNodeLocation: types.CodeLocation{FileName: "a_test.go", LineNumber: line}}
	}
	const passed, failed, pending = types.SpecStatePassed, types.SpecStateFailed, types.SpecStatePending
	began := func(s types.SpecReport) specEvent { return specEvent{Spec: s} }
	ended := func(s types.SpecReport) specEvent { return specEvent{Ended: true, Spec: s} }
	all := &types.Report{SuiteDescription: "A", SpecReports: []types.SpecReport{it("x", 1, passed), it("y", 2, passed), it("row", 3, passed), it("row", 3, passed), it("later", 4, pending)}}
	broken := types.SpecReport{LeafNodeType: types.NodeTypeBeforeSuite, State: failed}

	for name, test := range map[string]struct {
		report      types.Report
		events      []specEvent
		expected    *types.Report
		interrupted bool
		want        []string
	}{
		"killed": {
			events: []specEvent{began(it("x", 1, 0)), ended(it("x", 1, failed)), began(it("row", 3, 0)), ended(it("row", 3, passed)), began(it("row", 3, 0))}, expected: all,
			want: []string{"x failed", "row passed", "row interrupted", "y skipped", "later pending",
				"truncated: its process ended before it could report (a kill, a crash, or os.Exit): 2 of 5 specs had ended"}},
		"killed, and its specs cannot be listed": {
			events: []specEvent{began(it("x", 1, 0)), ended(it("x", 1, passed)), began(it("y", 2, 0))},
			want: []string{"x passed", "y interrupted",
				"truncated: its process ended before it could report (a kill, a crash, or os.Exit): 1 of 2 specs had ended"}},
		"one process of several was killed": {
			report: types.Report{PreRunStats: types.PreRunStats{TotalSpecs: 5}, SpecReports: []types.SpecReport{it("x", 1, passed), it("later", 4, pending)}},
			events: []specEvent{began(it("x", 1, 0)), ended(it("x", 1, passed)), began(it("row", 3, 0)), ended(it("row", 3, passed)), began(it("y", 2, 0))}, expected: all,
			want: []string{"x passed", "later pending", "row passed", "y interrupted", "row skipped",
				"truncated: a process of it ended before the others (a kill, a crash, or os.Exit): 3 of 5 specs had ended"}},
		"BeforeSuite failed": {
			report: types.Report{PreRunStats: types.PreRunStats{TotalSpecs: 5}, SpecReports: []types.SpecReport{broken}}, expected: all,
			want: []string{" failed", "x skipped", "y skipped", "row skipped", "row skipped", "later pending"}},
		"not run in time": {
			report: types.Report{SpecialSuiteFailureReasons: []string{"Suite did not run because the timeout elapsed"}}, expected: all,
			want: []string{"x skipped", "y skipped", "row skipped", "row skipped", "later pending", "Suite did not run because the timeout elapsed"}},
		"no RunSpecs": {
			want: []string{"truncated: the suite wrote no report and no spec started: make sure that a test of the package calls RunSpecs and that nothing exits before"}},
		"interrupted": {
			events: []specEvent{began(it("x", 1, 0)), ended(it("x", 1, passed))}, interrupted: true,
			want: []string{"x passed", "truncated: the run was interrupted: 1 of 1 specs had ended"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := test.report
			r.SuiteSucceeded = true
			fill(&r, test.events, test.expected, test.interrupted)
			var got []string
			for _, s := range r.SpecReports {
				got = append(got, fmt.Sprintf("%s %s", s.LeafNodeText, s.State))
			}
			if diff := cmp.Diff(test.want, append(got, r.SpecialSuiteFailureReasons...)); diff != "" {
				t.Error(diff)
			}
			if r.SuiteSucceeded {
				t.Error("it succeeded")
			}
		})
	}
}

func TestTakeFlagAndRefuse(t *testing.T) {
	for _, test := range []struct {
		flags []string
		value string
		rest  []string
	}{
		{[]string{"-p", "--output-dir=out", "-race"}, "out", []string{"-p", "-race"}},
		{[]string{"-output-dir", "out", "-race"}, "out", []string{"-race"}},
		{[]string{"--output-directory=out"}, "", []string{"--output-directory=out"}},
		{[]string{"-p", "--", "--output-dir=out"}, "", []string{"-p", "--", "--output-dir=out"}},
	} {
		value, rest := takeFlag(test.flags, "output-dir")
		if diff := cmp.Diff(test.rest, rest); value != test.value || diff != "" {
			t.Errorf("%q: value %q, want %q; %s", test.flags, value, test.value, diff)
		}
	}
	for flags, refused := range map[string]bool{"--repeat=3": true, "-until-it-fails": true, "-r": true, "--race": false, "repeat": false, "--": false} {
		if err := refuse([]string{"-p", flags}, takenOfGinkgo); (err != nil) != refused {
			t.Errorf("%s: %v", flags, err)
		}
	}
	if err := refuse([]string{"--", "--repeat=3"}, takenOfGinkgo); err != nil {
		t.Errorf("a flag of the test program is refused: %v", err)
	}
}
