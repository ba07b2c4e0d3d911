package analysis

import (
	"testing"

	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/reports"
	"github.com/google/go-cmp/cmp"
)

// kindsOf counts the moves between two runs; what is suggested as renamed is new and gone.
func kindsOf(older, newer *reports.Results) map[reports.Kind]int {
	n := map[reports.Kind]int{}
	for _, m := range CompareResults(older, newer, false).Moves {
		if m.Kind == reports.Renamed {
			n[reports.New]++
			n[reports.Gone]++
			continue
		}
		n[m.Kind]++
	}
	return n
}

// Counted from the two files by another program.
func TestTransitionsOfRealRuns(t *testing.T) {
	older, newer := sample.Gomega(t, sample.March, ingest.ReadGinkgo), sample.Gomega(t, sample.October, ingest.ReadGinkgo)
	if diff := cmp.Diff(map[reports.Kind]int{reports.Fixed: 3, reports.Broke: 1, reports.New: 34, reports.Gone: 10}, kindsOf(older, newer)); diff != "" {
		t.Error(diff)
	}
	// Backwards, what was new is gone and what broke is fixed.
	if diff := cmp.Diff(map[reports.Kind]int{reports.Fixed: 1, reports.Broke: 3, reports.New: 10, reports.Gone: 34}, kindsOf(newer, older)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[reports.Kind]int{reports.StillFailing: 1}, kindsOf(newer, newer)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[reports.Kind]int{reports.Failing: 1}, kindsOf(nil, newer)); diff != "" {
		t.Error(diff)
	}
}

// A spec that is missing could not run if its suite ended early, or a build failed that may be of any
// suite. Otherwise it is gone.
func TestWhatKeepsASpecFromRunning(t *testing.T) {
	of := func(leaf string, state reports.State, detail string) reports.Spec {
		return reports.Spec{Suite: "cart", Leaf: leaf, State: state, Detail: detail}
	}
	failed := func(path string) *reports.Results {
		return &reports.Results{Suites: []reports.Suite{{Path: path, Failures: []reports.SuiteFailure{{Node: "build"}}}}}
	}
	one := func(leaf, detail string) *reports.Results {
		return &reports.Results{Specs: []reports.Spec{of(leaf, reports.Failed, detail)}}
	}
	for name, tc := range map[string]struct {
		now  *reports.Results
		want reports.Kind
	}{
		"a build of any suite":     {failed(unknownBuild), reports.NotRun},
		"a build of another suite": {failed("shop"), reports.Gone},
		"a build of its suite":     {failed("cart"), reports.NotRun},
		"a test panicked":          {one("TestA", "panicked"), reports.NotRun},
		"a test did not finish":    {one("TestA", "unfinished"), reports.NotRun},
		"a test failed":            {one("TestA", ""), reports.Gone},
		"a spec did not finish":    {one("adds", "unfinished"), reports.Gone},
	} {
		was := &reports.Results{Specs: []reports.Spec{of("TestDropped", reports.Passed, "")}}
		if got := kindsOf(was, tc.now); got[tc.want] != 1 {
			t.Errorf("%s: %v, want one %s", name, got, tc.want)
		}
	}
}

// The most similar name is the new one, whatever the order.
func TestTheMostSimilarIsTheRenamed(t *testing.T) {
	old, alike, equal := reports.Spec{Leaf: "pays an order in euro"}, reports.Spec{Leaf: "pays an order in euros now"}, reports.Spec{Leaf: "pays an order in euros"}
	for _, fresh := range [][]*reports.Spec{{&alike, &equal}, {&equal, &alike}} {
		if from := renames([]*reports.Spec{&old}, fresh); len(from) != 1 || from[&equal].old != &old {
			t.Errorf("%+v", from)
		}
	}
}

func TestTransitionOfEveryMove(t *testing.T) {
	retried := sample.Spec("x", reports.Passed)
	retried.Retried = true
	both := sample.Spec("x", reports.Failed)
	both.Detail = reports.BothWays
	states := map[string]*reports.Spec{"": nil, "retried": &retried, "both": &both}
	for _, s := range []reports.State{reports.Passed, reports.Failed, reports.Skipped, reports.Pending} {
		one := sample.Spec("x", s)
		states[string(s)] = &one
	}
	of := func(s *reports.Spec) *reports.Results {
		if s == nil {
			return &reports.Results{}
		}
		return &reports.Results{Specs: []reports.Spec{*s}}
	}
	for move, want := range map[[2]string]reports.Kind{
		{"passed", "failed"}: reports.Broke, {"skipped", "failed"}: reports.Broke, {"pending", "failed"}: reports.Broke, {"retried", "failed"}: reports.Broke,
		{"failed", "failed"}: reports.StillFailing, {"", "failed"}: reports.NewFailing,
		{"failed", "passed"}: reports.Fixed, {"passed", "passed"}: "", {"skipped", "passed"}: "", {"", "passed"}: reports.New, {"retried", "passed"}: "",
		{"failed", "retried"}: reports.RetryRescued, {"passed", "retried"}: reports.RetryRescued, {"", "retried"}: reports.RetryRescued,
		{"passed", "skipped"}: reports.NewlySkipped, {"failed", "skipped"}: reports.NewlySkipped, {"passed", "pending"}: reports.NewlySkipped, {"skipped", "pending"}: "",
		{"", "skipped"}: reports.New, {"passed", ""}: reports.Gone, {"failed", ""}: reports.Gone,
		{"passed", "both"}: reports.Flaky, {"failed", "both"}: reports.Flaky, {"", "both"}: reports.Flaky, {"both", "both"}: reports.Flaky,
		{"both", "passed"}: reports.Flaky, {"both", "failed"}: reports.StillFailing, {"both", "skipped"}: reports.NewlySkipped,
	} {
		got := CompareResults(of(states[move[0]]), of(states[move[1]]), false).Moves
		switch {
		case want == "" && len(got) != 0, want != "" && (len(got) != 1 || got[0].Kind != want):
			t.Errorf("%q to %q: %+v, want %q", move[0], move[1], got, want)
		}
	}
}

// A spec that did both in the runs of one command is flaky in that run, whatever it does
// before and after.
func TestBothWaysInOneRun(t *testing.T) {
	a := analysisOf(t, Options{}, sample.Cells("a:...B", "b:.BF.")...)
	got := map[string]reports.Kind{}
	for _, m := range a.Moves {
		got[m.Spec.Leaf[:1]] = m.Kind
	}
	if diff := cmp.Diff(map[string]reports.Kind{"b": reports.Flaky, "c": reports.Broke, "d": reports.Flaky}, got); diff != "" {
		t.Error(diff)
	}
	if now := a.FlakyNow(); len(a.Flakes) != 2 || len(now) != 1 || now[0].Leaf[:1] != "b" {
		t.Errorf("flakes %+v, now %v", a.Flakes, now)
	}
	if len(a.Green) != 1 || a.Green[0].Cause != ByFlake {
		t.Errorf("green: %+v", a.Green)
	}
	if at := a.Attention[1]; at.Kind != FlakyNow || at.Spec.Retried || at.Spec.Detail != reports.BothWays || at.Flake == nil || at.Age.Runs != 0 {
		t.Errorf("%+v", at)
	}
	alone := AnalyzeSingleRun(sample.CellsRun(0, "a:.B"))
	if len(alone.Attention) != 1 || alone.Attention[0].Kind != FlakyNow {
		t.Errorf("alone: %+v", alone.Attention)
	}
}
