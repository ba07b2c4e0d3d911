package analysis

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

func goRuns(t *testing.T, broken ...string) []reports.Run {
	t.Helper()
	return sample.GoRuns(t, func(r io.Reader) (*reports.Results, string, error) {
		read, err := ingest.Read(r, "")
		if err != nil {
			return nil, "", err
		}
		return read.Results, read.Format, nil
	}, broken...)
}

func toldOf(a *Analysis) (outside, moves []string) {
	for _, o := range a.Outside {
		outside = append(outside, fmt.Sprintf("%s %s, %d not run, %d", o.Kind, o.Name(), o.NotRun, o.Age.Runs))
	}
	for _, m := range a.Moves {
		moves = append(moves, fmt.Sprintf("%s %s", m.Kind, m.Spec.Leaf))
	}
	return outside, moves
}

func TestAFailedBuildHasAHistory(t *testing.T) {
	for _, tt := range []struct {
		name           string
		runs           []string
		outside, moves []string
	}{
		{"breaks", []string{"", "build"}, []string{"broke cart > [build], 3 not run, 1"},
			[]string{"not run TestAdd", "not run TestDrop", "not run TestSlow"}},
		{"stays broken", []string{"", "build", "build"}, []string{"still failing cart > [build], 3 not run, 2"},
			[]string{"not run TestAdd", "not run TestDrop", "not run TestSlow"}},
		{"is mended", []string{"", "build", "build", ""}, []string{"fixed cart > [build], 0 not run, 0"}, []string{"still failing TestSlow"}},
		{"is mended and was so", []string{"", "build", "", ""}, nil, []string{"still failing TestSlow"}},
		{"of the first run", []string{"build"}, []string{"failing cart > [build], 0 not run, 1"}, nil},
		{"was never whole", []string{"build", ""}, []string{"fixed cart > [build], 0 not run, 0"}, []string{"new, failing TestSlow", "new TestAdd", "new TestDrop"}},
		{"package fails", []string{"", "main"}, []string{"broke cart > [package], 3 not run, 1"},
			[]string{"not run TestAdd", "not run TestDrop", "not run TestSlow"}},
		{"another failure follows", []string{"", "main", "build"}, []string{"broke cart > [build], 3 not run, 1", "not run cart > [package], 0 not run, 0"},
			[]string{"not run TestAdd", "not run TestDrop", "not run TestSlow"}},
		{"a panic ends the package", []string{"", "panic"}, nil, []string{"broke TestDrop", "not run TestSlow"}},
		{"and is mended", []string{"", "panic", ""}, nil, []string{"still failing TestSlow", "fixed TestDrop"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := analysisOf(t, Options{}, goRuns(t, tt.runs...)...)
			outside, moves := toldOf(a)
			if diff := cmp.Diff(tt.outside, outside); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.moves, moves); diff != "" {
				t.Error(diff)
			}
			for _, g := range a.Green {
				if g.Move.Kind == reports.NotRun {
					t.Errorf("what did not run has stopped failing: %+v", g)
				}
			}
		})
	}
}

// Where the build failed in the baseline run, the states before come from the window, or from the
// runs that lead to the baseline run if none of the window is older.
func TestStatesBeforeAFailedBuild(t *testing.T) {
	for name, tt := range map[string]struct {
		window    int
		runs      []string // a letter of the branch, one of the commit, then the failure
		ancestors string
	}{
		"the baseline run is the oldest of the window": {2, []string{"xa", "xb build", "xc"}, "ba"},
		"the baseline run is of another branch":        {0, []string{"ma", "xb", "mc build", "xd"}, "ca"},
		"the run before the baseline is no ancestor":   {0, []string{"mz build", "xa", "xb build", "xc"}, "b"},
	} {
		var broken []string
		for _, r := range tt.runs {
			broken = append(broken, strings.TrimSpace(r[2:]))
		}
		runs := goRuns(t, broken...)
		for i, r := range tt.runs {
			runs[i].Branch, runs[i].Commit = r[:1], r[1:2]+"0"
		}
		now := &runs[len(runs)-1].Origin
		now.BaseBranch = "m"
		for _, c := range tt.ancestors {
			now.Ancestors = append(now.Ancestors, string(c)+"0")
		}
		if _, moves := toldOf(analysisOf(t, Options{Window: tt.window}, runs...)); !slices.Equal(moves, []string{"still failing TestSlow"}) {
			t.Errorf("%s: %q", name, moves)
		}
	}
}

// A spec that the last run of its suite without such failures does not have was removed.
func TestRemovedBeforeItsSuiteFailed(t *testing.T) {
	none := func(*reports.Results) {}
	failed := func(r *reports.Results) {
		r.Suites[0].Failures = []reports.SuiteFailure{{Node: "BeforeSuite", Message: "no database"}}
	}
	another := func(r *reports.Results) {
		r.Suites[0].Path, r.Specs[0].Suite = "cart", "cart"
	}
	for name, tt := range map[string]struct {
		change func(*reports.Results) // of the run in which one of two specs is missing
		want   []string
	}{
		"it was removed":                          {none, []string{"new bbbbbbbb"}},
		"its suite failed in that run, too":       {failed, nil},
		"that run had the specs of another suite": {another, nil},
	} {
		runs := sample.Cells("a:..", "b:.", "c:", "d:..")
		tt.change(runs[1].Suites)
		failed(runs[2].Suites)
		_, moves := toldOf(analysisOf(t, Options{}, runs...))
		if diff := cmp.Diff(tt.want, moves); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A new spec that ran although its suite failed was not kept from running.
func TestANewSpecOfAFailedSuiteRan(t *testing.T) {
	runs := sample.Cells("a:.", "b:..")
	runs[1].Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: "package", Message: "exit status 1"}}
	if a := analysisOf(t, Options{}, runs...); a.Blocked != 0 {
		t.Errorf("%d specs were kept from running", a.Blocked)
	}
}

func TestSinceWhenABuildFails(t *testing.T) {
	a := analysisOf(t, Options{}, goRuns(t, "", "", "build", "build")...)
	if age := a.Outside[0].Age; age.Runs != 2 || age.Since.ID != 3 || age.LastPassed == nil || age.LastPassed.ID != 2 || !age.Known {
		t.Errorf("%+v", age)
	}
	if at := a.Attention[0]; at.Kind != SuiteBroken || at.Age.Runs != 2 || at.Outside == nil {
		t.Errorf("%+v", at)
	}
	for window, known := range map[int]bool{2: false, 3: true} { // older runs may be without the failure
		a := analysisOf(t, Options{Window: window}, goRuns(t, "build", "build", "build")...)
		if age := a.Outside[0].Age; age.Runs != window || age.LastPassed != nil || age.Known != known {
			t.Errorf("in a window of %d: %+v", window, age)
		}
	}
	flaky := goRuns(t, "", "build")
	flaky[1].Commit = flaky[0].Commit
	if a := analysisOf(t, Options{}, flaky...); a.Outside[0].Kind != reports.Flaky || len(a.NewOutside()) != 1 {
		t.Errorf("at one commit: %+v", a.Outside[0])
	}
}

// If BeforeSuite failed, Ginkgo reports the specs of the suite as skipped.
func TestSkippedForBeforeSuiteIsNotRun(t *testing.T) {
	broken := sample.CellsRun(1, "b:sss")
	broken.Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: "BeforeSuite", Message: "no database"}}
	a := analysisOf(t, Options{}, sample.CellsRun(0, "a:.F."), broken)
	outside, moves := toldOf(a)
	if diff := cmp.Diff([]string{"broke shop > [BeforeSuite], 3 not run, 1", "not run aaaaaaaa not run bbbbbbbb not run cccccccc"}, append(outside, strings.Join(moves, " "))); diff != "" {
		t.Error(diff)
	}
	if a.Blocked != 3 {
		t.Errorf("%d blocked", a.Blocked)
	}
	if a := analysisOf(t, Options{}, sample.CellsRun(0, "a:."), broken); a.Blocked != 3 {
		t.Errorf("of which two are new: %d blocked", a.Blocked)
	}
	mended := analysisOf(t, Options{}, sample.CellsRun(0, "a:.F."), broken, sample.CellsRun(2, "c:FF."))
	outside, moves = toldOf(mended)
	if diff := cmp.Diff([]string{"fixed shop > [BeforeSuite], 0 not run, 0", "broke aaaaaaaa still failing bbbbbbbb"}, append(outside, strings.Join(moves, " "))); diff != "" {
		t.Error(diff)
	}
	after := sample.CellsRun(1, "b:.s.")
	after.Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: "AfterSuite", Message: "leak"}}
	if _, moves := toldOf(analysisOf(t, Options{}, sample.CellsRun(0, "a:..."), after)); len(moves) != 1 || moves[0] != "newly skipped bbbbbbbb" {
		t.Errorf("AfterSuite kept a spec from running: %q", moves)
	}
}

// A spec of another branch can have the name of a suite's failure.
func TestASuiteFailureNamedAsASpec(t *testing.T) {
	runs := runsOf(t, "x a0:.", "main b0:..", "x c0:s")
	runs[1].Suites.Specs[1] = reports.Spec{Suite: "shop", Leaf: "[BeforeSuite]", Occurrence: 1, State: reports.Failed, Message: "it hangs"}
	runs[2].Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: "BeforeSuite", Message: "no database"}}
	if a := analysisOf(t, Options{}, runs...); len(a.Attention) != 1 || len(a.Past) != 0 || a.Attention[0].Spec.Digest() != runs[1].Suites.Specs[1].Digest() {
		t.Errorf("%+v, past failures %+v", a.Attention, a.Past)
	}
}

// Two consecutive failures are not a long streak.
func TestLongFailingIsThreeRuns(t *testing.T) {
	for runs, want := range map[int]AttentionKind{2: FailingOn, 3: LongFailing} {
		texts := []string{"a:."}
		for i := range runs {
			texts = append(texts, fmt.Sprintf("%c:F", 'b'+i))
		}
		if a := analysisOf(t, Options{}, sample.Cells(texts...)...); a.Attention[0].Kind != want {
			t.Errorf("after %d runs: %s, want %s", runs, a.Attention[0].Kind, want)
		}
	}
}

// A panic ends the process of a Go test, so missing tests did not run. Ginkgo recovers panics of specs,
// so a missing spec is gone.
func TestAPanicOfASpecKeepsNoOtherFromRunning(t *testing.T) {
	for leaf, containers := range map[string][]string{"Test of a drop": {"an order"}, "drops": nil} {
		now := sample.CellsRun(1, "b:F")
		s := &now.Suites.Specs[0]
		s.Leaf, s.Containers, s.Detail = leaf, containers, "panicked"
		_, moves := toldOf(analysisOf(t, Options{}, sample.CellsRun(0, "a: .."), now))
		if diff := cmp.Diff([]string{"new, failing " + leaf, "gone bbbbbbbb", "gone cccccccc"}, moves); diff != "" {
			t.Error(diff)
		}
	}
}

// Newly broken failures come before older ones, regardless of the order of the suites.
func TestOrderOfFailuresOutside(t *testing.T) {
	suites := func(failed ...bool) *reports.Results {
		r := &reports.Results{}
		for i, f := range failed {
			s := reports.Suite{Path: fmt.Sprintf("shop%d", i)}
			if f {
				s.Failures = []reports.SuiteFailure{{Node: "BeforeSuite"}}
			}
			r.Suites = append(r.Suites, s)
			r.Specs = append(r.Specs, reports.Spec{Suite: s.Path, Leaf: "x", State: reports.Passed})
		}
		return r
	}
	var got []string
	for _, o := range CompareOutside(suites(true, true, false), suites(false, true, true), false) {
		got = append(got, string(o.Kind)+" "+o.Suite)
	}
	if diff := cmp.Diff([]string{"broke shop2", "still failing shop1", "fixed shop0"}, got); diff != "" {
		t.Error(diff)
	}
	for _, o := range CompareOutside(nil, suites(true, false), false) {
		if o.Kind != reports.Failing {
			t.Errorf("without a baseline: %+v", o)
		}
	}
	for _, o := range CompareOutside(suites(true, false), &reports.Results{}, false) {
		if o.Kind != reports.Gone {
			t.Errorf("of a suite that is gone: %+v", o)
		}
	}
}

func TestFlakyOutsideTheSpecs(t *testing.T) {
	// It fails in this run and did not in another one of the commit.
	runs := goRuns(t, "", "", "build")
	runs[2].Commit = runs[1].Commit
	a := analysisOf(t, Options{}, runs...)
	if a.Previous == nil || a.Previous.ID != 1 || a.Outside[0].Kind != reports.Flaky {
		t.Errorf("%+v, %+v", a.Previous, a.Outside)
	}
	runs[2].Dirty = true // no commit contains the tested code
	if a := analysisOf(t, Options{}, runs...); a.Outside[0].Kind != reports.Broke {
		t.Errorf("with changes in the tree: %+v", a.Outside)
	}
	runs[2].Dirty, runs[1].Dirty = false, true
	if a := analysisOf(t, Options{}, runs...); a.Outside[0].Kind != reports.Broke {
		t.Errorf("the other run had changes in the tree: %+v", a.Outside)
	}
}

// A failure outside the specs is grouped with failures that have the same message. The age of the group
// is that of its oldest member.
func TestAFailureOutsideIsInAGroup(t *testing.T) {
	runs := sample.Cells("a:..", "b:..", "c:.F")
	for i := 1; i < 3; i++ {
		runs[i].Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: "AfterSuite", Message: "connection refused"}}
	}
	runs[2].Suites.Specs[1].Message = "connection refused"
	a := analysisOf(t, Options{}, runs...)
	if len(a.Clusters) != 1 || len(a.Clusters[0].Specs) != 2 || a.Clusters[0].Since != 2 {
		t.Fatalf("%+v", a.Clusters)
	}
	for _, at := range a.Attention {
		if at.Cluster != 0 {
			t.Errorf("%s is in group %d", at.Spec.Leaf, at.Cluster)
		}
	}
}

// The same node of a suite may fail several times in parts of one suite.
func TestNameOfAFailureOutside(t *testing.T) {
	of := OutsideOf([]reports.Suite{{Path: "shop/cart", Failures: []reports.SuiteFailure{{Node: "AfterSuite"}, {Node: "AfterSuite"}}}})
	if len(of) != 2 || of[0].Name() != "cart > [AfterSuite]" || of[1].Name() != "cart > [AfterSuite] (2)" {
		t.Errorf("%+v", of)
	}
}

// If a spec could not run in the baseline run, its state in the last run that ran it counts.
func TestLastStateOfASpec(t *testing.T) {
	code := map[rune]byte{}
	for i, c := range ".Fs" {
		code[c] = []byte{codeOf(reports.Passed), codeOf(reports.Failed), codeOf(reports.Skipped)}[i]
	}
	code['p'], code[' '] = codeOf(reports.Pending), history.Absent
	for cells, want := range map[string]rune{".": '.', ".F": 'F', "F.": '.', "Fs": 'F', ".s ": '.', "s": 's', "sp": 'p', "ps ": 's', " ": ' ', "": ' '} {
		var codes []byte
		for _, c := range cells {
			codes = append(codes, code[c])
		}
		if got := lastCode(codes); got != code[want] {
			t.Errorf("%q: %d, want %d", cells, got, code[want])
		}
	}
}

func codeOf(s reports.State) byte { return byte(slices.Index(reports.States, s)) }

// A suite of which specs ran shows whether an earlier failure is fixed, although the suite
// fails again afterwards.
func TestAFailureIsFixedIfSpecsRan(t *testing.T) {
	was := &reports.Results{Suites: []reports.Suite{{Path: "shop", Failures: []reports.SuiteFailure{{Node: "build"}}}}}
	now := &reports.Results{Suites: []reports.Suite{{Path: "shop", Failures: []reports.SuiteFailure{{Node: "package"}}}}}
	for state, want := range map[reports.State]reports.Kind{reports.Passed: reports.Fixed, reports.Failed: reports.Fixed, reports.Skipped: reports.NotRun} {
		now.Specs = []reports.Spec{{Suite: "shop", Leaf: "x", State: state}}
		of := CompareOutside(was, now, false)
		if len(of) != 2 || of[0].Kind != reports.Broke || of[1].Kind != want {
			t.Errorf("%s: %+v", state, of)
		}
	}
	now.Specs = []reports.Spec{{Suite: "shop", Leaf: "x", State: reports.Passed}}
	for message, want := range map[string]bool{"": true, "not run: the process ended": true, "no server here": false} {
		if got := newBarrier(now).skipped(&reports.Spec{Suite: "shop", Leaf: "y", State: reports.Skipped, Message: message}); got != want {
			t.Errorf("skipped with %q: kept from running %v, want %v", message, got, want)
		}
	}
}
