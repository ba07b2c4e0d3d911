package analysis

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/sample"
	"github.com/flujo/flujo-harness/thresholds"
)

// open opens a history and closes it at the end of the test.
func open(t *testing.T, path string) *history.History {
	t.Helper()
	h, err := history.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// raw opens the database of a history without the checks of package history.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sqlitedb.Open(path, sqlitedb.Process)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// analysisOf returns the analysis of the newest of the given runs.
func analysisOf(t *testing.T, o Options, runs ...reports.Run) *Analysis {
	t.Helper()
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	for _, r := range runs {
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	a, err := Analyze(t.Context(), h, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestMovesAndMatrix(t *testing.T) {
	a := analysisOf(t, Options{}, sample.Cells("a:.F.FF. s.", "b:F.R.Fs.. ")...)
	want := map[string]reports.Kind{"aaaaaaaa": reports.Broke, "bbbbbbbb": reports.Fixed, "cccccccc": reports.RetryRescued, "dddddddd": reports.Fixed, "eeeeeeee": reports.StillFailing,
		"ffffffff": reports.NewlySkipped, "gggggggg": reports.New, "iiiiiiii": reports.Gone}
	got := map[string]reports.Kind{}
	for _, m := range a.Moves {
		got[m.Spec.Leaf] = m.Kind
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	type cell struct {
		before, now reports.State
		n           int
	}
	for _, c := range []cell{{reports.Passed, reports.Failed, 1}, {reports.Failed, reports.Passed, 2}, {reports.Passed, reports.Passed, 1}, {reports.Failed, reports.Failed, 1}, {reports.Passed, reports.Skipped, 1},
		{"", reports.Passed, 1}, {reports.Passed, "", 1}, {reports.Skipped, reports.Passed, 1}, {reports.Pending, "", 0}} {
		if got := a.Matrix.At(c.before, c.now); got != c.n {
			t.Errorf("%q to %q: %d, want %d", c.before, c.now, got, c.n)
		}
	}
	if a.Paired.Fixed != 2 || a.Paired.Broke != 1 || a.Paired.P != 1 || a.Paired.Repeated {
		t.Errorf("%+v", a.Paired)
	}
	if got := a.NewFailures(); len(got) != 1 || got[0].Leaf != "aaaaaaaa" {
		t.Errorf("new failures: %v", got)
	}
}

func TestSameCommitIsAFlakeAndNotAFix(t *testing.T) {
	a := analysisOf(t, Options{}, sample.Cells("a:...", "b:.F.", "b:F..")...)
	for _, m := range a.Moves {
		if m.Kind != reports.Flaky {
			t.Errorf("%s is %s", m.Spec.Leaf, m.Kind)
		}
	}
	if a.Previous == nil || a.Previous.ID != 1 || len(a.Green) != 1 || a.Green[0].Cause != NothingChanged {
		t.Errorf("compared with %+v, green: %+v", a.Previous, a.Green)
	}
	if len(a.NewFailures()) != 1 || len(a.FlakyNow()) != 2 || !a.Paired.Repeated {
		t.Errorf("new failures %v, flaky %v, %+v", a.NewFailures(), a.FlakyNow(), a.Paired)
	}
	dirty := analysisOf(t, Options{}, sample.Cells("b+:.F", "b+:F.")...) // uncommitted changes may differ
	if len(dirty.Flakes) != 0 || dirty.Previous != nil {
		t.Errorf("with changes in the tree: %+v, %+v", dirty.Flakes, dirty.Previous)
	}
	if a := analysisOf(t, Options{}, sample.Cells("b:.", "b+:F", "b:.")...); len(a.Flakes) != 0 {
		t.Errorf("it failed with changes in the tree only: %+v", a.Flakes)
	}
}

func TestRenames(t *testing.T) {
	before, now := sample.CellsRun(0, "a:.F"), sample.CellsRun(1, "b:...")
	before.Suites.Specs[0].Leaf, now.Suites.Specs[0].Leaf = "keeps the order of the customer", "keeps every order of the customer"
	before.Suites.Specs[1].Leaf, now.Suites.Specs[1].Leaf = "refunds what was paid twice", "refunds what was paid three times"
	a := analysisOf(t, Options{}, before, now)
	if len(a.Moves) != 3 || a.Moves[0].Kind != reports.Renamed || a.Moves[1].Kind != reports.Renamed || a.Moves[2].Kind != reports.New {
		t.Fatalf("%+v", a.Moves)
	}
	if m := a.Moves[1]; m.From != "shop > an order > refunds what was paid twice" || m.Like < renameLike || m.Like >= 1 || m.Before != reports.Failed {
		t.Errorf("%+v", m)
	}
	if len(a.Green) != 1 || a.Green[0].Cause != ByRename {
		t.Errorf("green: %+v", a.Green)
	}
	if a.Matrix.At(reports.Failed, reports.Passed) != 1 || a.Matrix.At(reports.Passed, "") != 0 {
		t.Error("a renamed spec does not count once")
	}
	moved := sample.CellsRun(1, "b:.F") // the suite is elsewhere, its specs have their texts
	for i := range moved.Suites.Specs {
		moved.Suites.Specs[i].Suite = "store"
	}
	a = analysisOf(t, Options{}, sample.CellsRun(0, "a:.F"), moved)
	for _, m := range a.Moves {
		if m.From == "" || m.Like != 1 {
			t.Errorf("%+v", m)
		}
	}
	moved.Suites.Specs[1].Leaf += "!" // elsewhere and called otherwise: nobody can say
	a = analysisOf(t, Options{}, sample.CellsRun(0, "a:.F"), moved)
	if len(a.Moves) != 3 || a.Moves[0].Kind != reports.NewFailing || a.Moves[2].Kind != reports.Gone {
		t.Errorf("%+v", a.Moves)
	}
}

func TestFlakes(t *testing.T) {
	type want struct {
		flaked, of, certain, flips int
	}
	for name, tt := range map[string]struct {
		commits, cells string
		want           *want // nil: no flake
	}{
		"never fails":                    {"abcdef", "......", nil},
		"always fails":                   {"abcdef", "FFFFFF", nil},
		"broke and stays broken":         {"abcdef", "...FFF", nil},
		"was fixed":                      {"abcdef", "FFF...", nil},
		"one short break proves nothing": {"abcdef", "..F...", nil},
		"two short breaks":               {"abcdef", ".F..F.", &want{2, 6, 0, 4}},
		"three in a row are a break":     {"abcdefgh", ".FFF.FFF.", nil},
		"even at one commit":             {"aaaaa", ".FFF.", nil},
		"two in a row at one commit":     {"aaaa", ".FF.", &want{2, 4, 2, 2}},
		"both at one commit, fails last": {"abb", "..F", &want{1, 3, 1, 1}},
		"rescued once":                   {"abc", "..R", &want{1, 3, 1, 0}},
		"both ways when repeated":        {"abc", "..B", &want{1, 3, 1, 0}},
		"alone in the history":           {"a", "B", &want{1, 1, 1, 0}},
		"repeated, ends no row of three": {"abcdef", ".FFBF.", &want{4, 6, 1, 4}},
		"repeated at the commit":         {"abb", ".FB", &want{2, 3, 2, 2}},
		"skips and gaps lie between":     {"abcdefgh", ".sF .pF.", &want{2, 5, 0, 4}},
		"a rescue ends no row of three":  {"abcdef", ".FFRF.", &want{4, 6, 1, 4}},
		"fails only in the first run":    {"abc", "F..", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var runs []reports.Run
			for i, c := range tt.cells {
				runs = append(runs, sample.CellsRun(i, fmt.Sprintf("%c:%c.", tt.commits[min(i, len(tt.commits)-1)], c)))
			}
			if strings.HasPrefix(name, "three in") {
				for i := range runs {
					runs[i].Commit = fmt.Sprint("commit ", i)
				}
			}
			a := analysisOf(t, Options{}, runs...)
			if tt.want == nil {
				if len(a.Flakes) != 0 {
					t.Errorf("%+v", a.Flakes)
				}
				return
			}
			if len(a.Flakes) != 1 {
				t.Fatalf("%d flakes", len(a.Flakes))
			}
			f := a.Flakes[0]
			if last := runs[len(runs)-1].Suites.Specs[0]; f.Spec.State != "" && (f.Spec.File != last.File || f.Spec.Line != last.Line) {
				t.Errorf("%s:%d is the place of the flake", f.Spec.File, f.Spec.Line)
			}
			if in := tt.cells[len(tt.cells)-1] != ' '; in != (f.Spec.State != "") {
				t.Errorf("its state is %q", f.Spec.State)
			}
			if got := (want{f.Flaked.Good, f.Flaked.Of, f.Certain, f.Flips}); got != *tt.want {
				t.Errorf("%+v, want %+v", got, *tt.want)
			}
			if low, high := reports.Wilson(f.Flaked.Good, f.Flaked.Of, reports.Z95); f.Low != low || f.High != high {
				t.Errorf("band %v to %v", f.Low, f.High)
			}
			if censored := strings.Contains(tt.cells, "R"); f.Censored != censored || censored != strings.Contains(strings.Join(a.Notes, ";"), "retries stop at the first pass") {
				t.Errorf("censored %v, notes %q", f.Censored, a.Notes)
			}
			if len(a.Heat.Rows) != 1 || a.Heat.Rows[0].Cells != tt.cells || len(a.Heat.Runs) != len(tt.cells) {
				t.Errorf("heat: %+v", a.Heat.Rows)
			}
		})
	}
}

func TestAges(t *testing.T) {
	runs := sample.Cells("a:.F .F", "b:FF .F", "c:FF..s", "d:F.F.F", "e:FF.FF")
	for _, window := range []int{0, 2, 3} { // it looks back beyond the window
		a := analysisOf(t, Options{Window: window}, runs...)
		ages := map[string]Age{}
		for _, at := range a.Attention {
			ages[at.Spec.Leaf] = at.Age
		}
		for leaf, want := range map[string]struct {
			runs        int
			since, last int64
			known       bool
		}{
			"aaaaaaaa": {4, 2, 1, true}, "bbbbbbbb": {1, 5, 4, true}, "dddddddd": {1, 5, 4, true}, "eeeeeeee": {4, 1, 0, false},
		} {
			age := ages[leaf]
			last := int64(0)
			if age.LastPassed != nil {
				last = age.LastPassed.ID
			}
			if age.Runs != want.runs || age.Since.ID != want.since || last != want.last || age.Known != want.known {
				t.Errorf("window %d: %s: %d runs since %d, passed in %d, known %v, want %+v", window, leaf, age.Runs, age.Since.ID, last, age.Known, want)
			}
		}
	}
	young := analysisOf(t, Options{}, sample.Cells("a:. ", "b:.F", "c:.F")...)
	if age := young.Attention[0].Age; age.Runs != 2 || !age.Known || age.LastPassed != nil {
		t.Errorf("of a spec that came failing: %+v", age)
	}
}

func TestAttentionIsInOrder(t *testing.T) {
	r := sample.CellsRun(1, "b:FF.R")
	r.Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: "AfterSuite", Message: "leak", File: "shop/suite_test.go", Line: 7}}
	r.Suites.Specs[1].Labels = []string{"slow", "owner:team-shop"}
	a := analysisOf(t, Options{}, sample.CellsRun(0, "a:F..."), r)
	var got []string
	for _, at := range a.Attention {
		got = append(got, fmt.Sprintf("%s %s %s", at.Kind, at.Spec.Leaf, at.Owner))
	}
	want := []string{"suite failed [AfterSuite] ", "newly broken bbbbbbbb team-shop", "still failing aaaaaaaa ", "flaky dddddddd "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if at := a.Attention[1]; at.Rerun != "go test ./shop -ginkgo.focus='an order bbbbbbbb$'" || at.Cluster != 0 || len(a.Clusters) != 1 {
		t.Errorf("%+v, %d clusters", at, len(a.Clusters))
	}
	got = nil
	for _, at := range analysisOf(t, Options{}, sample.Cells("a:..", "b:RB")...).Attention {
		got = append(got, fmt.Sprintf("%s %s", at.Spec.State, at.Kind))
	}
	if diff := cmp.Diff([]string{"failed flaky", "passed flaky"}, got); diff != "" {
		t.Error(diff)
	}
	alone := analysisOf(t, Options{}, sample.Cells("a:F.")...)
	if alone.Attention[0].Kind != FailingNow || alone.Previous != nil || alone.Matrix.Compared || len(alone.Green) != 0 {
		t.Errorf("of the first run: %+v", alone.Attention[0])
	}
}

func TestRerun(t *testing.T) {
	for _, tt := range []struct {
		format, suite, leaf, want string
	}{
		{"Ginkgo JSON", "a/b", "it's $HOME", `go test example.com/shop/a/b -ginkgo.focus='it'\''s \$HOME$'`},
		{"go test -json", "example.org/shop", "TestOrder/is kept", `go test -run='^TestOrder$/^is kept$' example.org/shop`},
		{"go test -json", "shop/cart", "TestOrder", `go test -run='^TestOrder$' shop/cart`}, // a package, whatever its module is called
		{"JUnit XML", "shop", "x", ""},
		{"Ginkgo JSON", "shop", "clears\x1b[2J the screen", ""},
		{"Ginkgo JSON", "shop\n; rm x", "y", ""},
	} {
		if got := rerun(&reports.Spec{Suite: tt.suite, Leaf: tt.leaf}, tt.format, "example.com/shop"); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

func TestClusters(t *testing.T) {
	fail := func(leaf, message string, line int) reports.Spec {
		s := sample.Spec(leaf, reports.Failed)
		s.Message, s.Line = message, line
		return s
	}
	panics := func(leaf string, line int) reports.Spec {
		s := fail(leaf, "Test Panicked\nassignment to entry in nil map", line)
		s.Detail = "panicked"
		return s
	}
	failures := []reports.Spec{
		fail("a", "Expected\n    <int>: 4\nto equal\n    <int>: 5", 10),
		fail("b", `dial tcp 127.0.0.1:4242: connect: connection refused after 1.2s at 2026-11-25T10:00:00Z`, 20),
		fail("c", `dial tcp 127.0.0.1:51: connect: connection refused after 0.7s at 2026-11-24T09:10:11.5+01:00`, 30),
		fail("d", "Expected\n    <int>: 7\nto equal\n    <int>: 5", 40), // the same message at another location
		fail("e", "Expected\n    <int>: 1\nto equal\n    <int>: 9", 10), // the same place
		fail("f", "panic: nil map\ngoroutine 17 [running]:\n/home/a/src/shop/order.go:12 +0x1d", 50),
		fail("g", "panic: nil map\ngoroutine 201 [running]:\n/builds/x9/shop/order.go:12 +0xff3", 60),
		sample.Spec("h", reports.Passed),
		panics("i", 70), panics("j", 70), panics("k", 80), // a panic without its stack: the place is its first line
	}
	var specs []*reports.Spec
	for i := range failures {
		specs = append(specs, &failures[i])
	}
	got := Clusters(specs)
	var names []string
	for _, c := range got {
		var leaves []string
		for _, s := range c.Specs {
			leaves = append(leaves, s.Leaf)
		}
		names = append(names, strings.Join(leaves, ""))
	}
	if diff := cmp.Diff([]string{"ae", "bc", "fg", "ij"}, names); diff != "" {
		t.Error(diff)
	}
	if got[0].Place == "" || got[1].Place != "" {
		t.Errorf("places %q, %q", got[0].Place, got[1].Place)
	}
}

func TestTheLargestClusterIsFirst(t *testing.T) {
	var specs []*reports.Spec
	for i, message := range []string{"no disk", "no disk", "no network", "no network", "no network"} {
		s := sample.Spec(fmt.Sprint(i), reports.Failed)
		s.Message = message
		specs = append(specs, &s)
	}
	if got := Clusters(specs); len(got) != 2 || got[0].Message != "no network" || len(got[1].Specs) != 2 {
		t.Errorf("%+v", got)
	}
}

// versions of a file at commits.
type versions map[string]string

func (v versions) File(_ context.Context, commit, path string) ([]byte, error) {
	if src, ok := v[commit]; ok && path == "shop/order_test.go" {
		return []byte(src), nil
	}
	return nil, fs.ErrNotExist
}

const orderTest = `package shop

var _ = Describe("an order", func() {
	BeforeEach(func() { open() })
	It("aaaaaaaa", func() {
		Expect(total()).To(Equal(5))
	})
	It("bbbbbbbb", func() { Expect(refund()).To(Succeed()) })
})
`

// A limit counts as the cause if it was loosened between the days of the two runs, and the failure names its workload.
func TestALimitLoosenedBetweenRuns(t *testing.T) {
	day := func(i int) time.Time { return sample.Noon.AddDate(0, 0, i) }
	entry := func(i int, change thresholds.Kind, workload string) thresholds.Entry {
		return thresholds.Entry{Date: Day(day(i)), Change: change, Workload: workload}
	}
	for name, tc := range map[string]struct {
		e    thresholds.Entry
		want bool
	}{
		"before":           {entry(-1, thresholds.Loosened, "loop"), false},
		"on the first day": {entry(0, thresholds.Loosened, "loop"), true},
		"on the last day":  {entry(2, thresholds.Loosened, "loop"), true},
		"after":            {entry(3, thresholds.Loosened, "loop"), false},
		"tightened":        {entry(1, thresholds.Tightened, "loop"), false},
		"another workload": {entry(1, thresholds.Loosened, "tools"), false},
		"of no workload":   {entry(1, thresholds.Loosened, ""), false},
	} {
		a := analyzer{a: &Analysis{Previous: &history.RunLine{Started: day(0)}, Run: reports.Run{Started: day(2)}}, o: Options{Limits: []*thresholds.File{{Ledger: []thresholds.Entry{tc.e}}}}}
		if got := a.loosened("overhead of loop is above its limit"); (got != nil) != tc.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestBodyOfATestFunction(t *testing.T) {
	src := []byte("package x\n\nimport \"testing\"\n\nfunc adds() {}\n\nfunc TestA(t *testing.T) { adds() }\n\nfunc (s *suite) TestB() {}\n")
	for leaf, want := range map[string]string{"TestA": "func TestA(t *testing.T) { adds() }", "TestA/one": "func TestA(t *testing.T) { adds() }", "adds": "", "TestB": "", "TestC": ""} {
		if got, ok := specBody(src, reports.Spec{Leaf: leaf}); strings.TrimSpace(got) != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", leaf, got, ok)
		}
	}
}

func TestNameOfAGreenTurn(t *testing.T) {
	limit, spec := GreenTurn{Limit: "loop at process"}, GreenTurn{Move: Move{Spec: &reports.Spec{Suite: "shop", Leaf: "x"}}}
	if limit.Name() != "loop at process" || spec.Name() != "shop > x" {
		t.Errorf("%q, %q", limit.Name(), spec.Name())
	}
}

func TestCausesOfGreenTurns(t *testing.T) {
	runs := func(after string) []reports.Run {
		r := sample.Cells("old:FF", after)
		for i := range r[0].Suites.Specs {
			r[0].Suites.Specs[i].Message = "overhead of three-steps is above its limit"
		}
		return r
	}
	limits := []*thresholds.File{{Ledger: []thresholds.Entry{{Date: Day(sample.Noon.AddDate(0, 0, 1)), Change: thresholds.Loosened, Workload: "three-steps", From: 1.1, To: 1.5}}}}
	old := versions{"old": orderTest}
	with := func(src string) versions { return versions{"old": orderTest, "new": src} }
	for name, tt := range map[string]struct {
		after string
		o     Options
		want  []Cause
	}{
		"the product":         {"new:..", Options{Source: with(orderTest)}, []Cause{ProductChanged, ProductChanged}},
		"one body":            {"new:..", Options{Source: with(strings.Replace(orderTest, "Equal(5)", "Equal(4)", 1))}, []Cause{BodyChanged, FileChanged}},
		"what is before each": {"new:..", Options{Source: with(strings.Replace(orderTest, "open()", "openTwice()", 1))}, []Cause{FileChanged, FileChanged}},
		"only the layout": {"new:..", Options{Source: with("// moved\n\n" + strings.ReplaceAll(orderTest, "\t\tExpect(total())", "\t\t// a total\n\n\t\tExpect(total())"))},
			[]Cause{FileChanged, FileChanged}},
		"a limit":             {"new:..", Options{Source: with(orderTest), Limits: limits}, []Cause{LimitLoosened, LimitLoosened}},
		"a retry":             {"new:R.", Options{Source: with(orderTest)}, []Cause{ByRetry, ProductChanged}},
		"left out":            {"new:sp", Options{Source: with(orderTest), Limits: limits}, []Cause{BySkip, BySkip}},
		"gone":                {"new:. ", Options{Source: with(orderTest)}, []Cause{ProductChanged, BySkip}},
		"no source":           {"new:..", Options{}, []Cause{CauseUnknown, CauseUnknown}},
		"no source of one":    {"new:..", Options{Source: old}, []Cause{CauseUnknown, CauseUnknown}},
		"no Go":               {"new:..", Options{Source: with("def test_a(): pass")}, []Cause{CauseUnknown, CauseUnknown}},
		"a tree with changes": {"new+:..", Options{Source: with(orderTest)}, []Cause{CauseUnknown, CauseUnknown}},
		"the same commit":     {"old:..", Options{Source: old}, []Cause{NothingChanged, NothingChanged}},
		"still failing":       {"new:FF", Options{Source: with(orderTest)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := analysisOf(t, tt.o, runs(tt.after)...)
			slices.SortFunc(a.Green, func(x, y GreenTurn) int { return strings.Compare(x.Move.Spec.Leaf, y.Move.Spec.Leaf) })
			var got []Cause
			for _, g := range a.Green {
				got = append(got, g.Cause)
				if g.Evidence == "" {
					t.Error("no evidence")
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSpecBody(t *testing.T) {
	const src = `package shop

func TestTotal(t *testing.T) {
	t.Run("of two", func(t *testing.T) { check(2) })
}

var _ = Describe("an order", func() {
	Context("paid", func() { It("is kept", func() { a() }) })
	Context("unpaid", func() { It("is kept", func() { b() }) })
	DescribeTable("sums", func(n int) { sum(n) }, Entry("of three", 3))
	for _, x := range all {
		It("twice", func() { c(x) })
		It("twice", func() { d(x) })
	}
})
`
	for _, tt := range []struct {
		containers []string
		leaf       string
		want       []string
		ok         bool
	}{
		{[]string{"an order", "paid"}, "is kept", []string{"a()"}, true},
		{[]string{"an order", "unpaid"}, "is kept", []string{"b()"}, true},
		{[]string{"an order", "sums"}, "of three", []string{"of three", "sum(n)"}, true},
		{nil, "TestTotal", []string{"check(2)"}, true},
		{[]string{"TestTotal"}, "of two", []string{"check(2)"}, true},
		{nil, "TestTotal/of_two", []string{"check(2)"}, true},
		{[]string{"an order"}, "is kept", nil, false}, // two, and nothing to choose by
		{[]string{"an order"}, "twice", nil, false},
		{[]string{"an order"}, "nowhere", nil, false},
		{nil, "", nil, false},
	} {
		body, ok := specBody([]byte(src), reports.Spec{Containers: tt.containers, Leaf: tt.leaf})
		if ok != tt.ok {
			t.Errorf("%v %q: found %v", tt.containers, tt.leaf, ok)
		}
		for _, part := range tt.want {
			if !strings.Contains(body, part) {
				t.Errorf("%v %q: %s", tt.containers, tt.leaf, body)
			}
		}
	}
}

// timed returns runs of 40 specs with log-normal durations; slow returns the factor by which a spec is
// slower in a run.
func timed(seed uint64, noise float64, runs int, slow func(run, spec int) float64) []reports.Run {
	random := rand.New(rand.NewPCG(seed, 1))
	var all []reports.Run
	for i := range runs {
		r := sample.CellsRun(i, fmt.Sprintf("c%d:%s", i, strings.Repeat(".", 40)))
		for k := range r.Suites.Specs {
			r.Suites.Specs[k].Duration = time.Duration(1e7 * math.Exp(noise*random.NormFloat64()) * float64(1+k) * slow(i, k))
		}
		all = append(all, r)
	}
	return all
}

func TestSlowing(t *testing.T) {
	a := analysisOf(t, Options{}, timed(1, 0.1, 30, func(run, spec int) float64 {
		if spec == 7 && run >= 20 {
			return 1.5
		}
		return 1
	})...)
	if len(a.Slowing) != 1 || a.Slowing[0].Spec.Line != 17 {
		t.Fatalf("%+v", a.Slowing)
	}
	if s := a.Slowing[0]; s.Tested != 40 || s.NBefore != 20 || s.NNow != 10 || s.Ratio < 1.4 || s.Ratio > 1.6 || s.Significance > 0.05 {
		t.Errorf("%+v", s)
	}
	for name, slow := range map[string]func(run, spec int) float64{
		"nothing changed":             func(int, int) float64 { return 1 },
		"the machine is busy of late": func(run, _ int) float64 { return map[bool]float64{true: 3, false: 1}[run >= 20] },
		"faster":                      func(run, spec int) float64 { return map[bool]float64{true: 0.3, false: 1}[run >= 20 && spec == 3] },
	} {
		for seed := range uint64(4) {
			if a := analysisOf(t, Options{}, timed(10+seed, []float64{0.1, 0.6}[seed%2], 30, slow)...); len(a.Slowing) > 0 {
				t.Errorf("%s: %+v", name, a.Slowing)
			}
		}
	}
	if few := analysisOf(t, Options{}, timed(1, 0.1, 8, func(run, _ int) float64 { return float64(1 + run) })...); few.Slowing != nil {
		t.Errorf("of eight runs: %+v", few.Slowing)
	}
	if len(a.Slowest) != MaxSlowest || a.Slowest[0].Spec.Duration < a.Slowest[1].Spec.Duration || a.Slowest[0].Median == 0 {
		t.Errorf("slowest: %+v", a.Slowest[0])
	}
}

// What costs the most time is first, not what takes the longest or has the largest ratio.
func TestOrderOfSlowing(t *testing.T) {
	factor := map[int]float64{7: 3, 20: 1.4, 30: 1.4} // spec k takes (1+k)*10 ms: 160, 84 and 124 ms more
	a := analysisOf(t, Options{}, timed(1, 0.05, 30, func(run, spec int) float64 {
		if run >= 20 {
			return max(1, factor[spec])
		}
		return 1
	})...)
	var lines []int
	for _, s := range a.Slowing {
		lines = append(lines, s.Spec.Line)
	}
	if !slices.Equal(lines, []int{17, 40, 30}) {
		t.Errorf("%v", lines)
	}
}

func TestBranches(t *testing.T) {
	on := func(i int, branch, text string) reports.Run {
		r := sample.CellsRun(i, text)
		r.Branch = branch
		return r
	}
	main := []reports.Run{on(0, "main", "a:.."), on(1, "main", "b:.F")}
	first := analysisOf(t, Options{}, append(main, on(2, "topic", "c:FF"))...)
	if first.Previous.ID != 2 || !strings.Contains(strings.Join(first.Notes, ";"), "the first run of branch topic: it is compared with run 2 of branch main") {
		t.Errorf("previous %+v, notes %q", first.Previous, first.Notes)
	}
	if a := analysisOf(t, Options{}, on(0, "", "a:.."), on(1, "main", "b:.F"), on(2, "", "c:FF"), on(3, "main", "d:..")); a.Previous.ID != 2 || len(a.Notes) != 0 || len(a.Trend.Points) != 4 {
		t.Errorf("where some runs have no branch: previous %+v, notes %q, %d points", a.Previous, a.Notes, len(a.Trend.Points))
	}
	second := analysisOf(t, Options{}, append(main, on(2, "topic", "c:FF"), on(3, "main", "d:.."), on(4, "topic", "e:F."))...)
	if second.Previous.ID != 4 || len(second.Trend.Points) != 2 || second.Matrix.At(reports.Passed, reports.Failed) != 1 {
		t.Errorf("previous %+v, %d points", second.Previous, len(second.Trend.Points))
	}
}

// An interrupted run lacks the results of some specs, so it cannot be the baseline run or end a phase.
func TestAnInterruptedRunIsNotComparedWith(t *testing.T) {
	runs := sample.Cells("a:F..", "b:sss", "c:F.F")
	runs[1].Complete = false
	a := analysisOf(t, Options{Plan: &reports.Plan{Phases: []reports.PlanPhase{{Name: "one", Until: sample.Noon.AddDate(0, 0, 1).Add(time.Hour)}, {Name: "two"}}}}, runs...)
	if fresh := a.NewFailures(); a.Previous == nil || a.Previous.ID != 1 || len(fresh) != 1 || fresh[0].Leaf != "cccccccc" || len(a.Trend.Points) != 3 {
		t.Errorf("previous %+v, new failures %v, %d points", a.Previous, fresh, len(a.Trend.Points))
	}
	if one := a.Phases[0]; one.To == nil || one.To.ID != 1 {
		t.Errorf("%+v", one)
	}
	runs[0].Branch, runs[1].Branch, runs[2].Branch = "main", "topic", "topic"
	if a := analysisOf(t, Options{}, runs...); a.Previous == nil || a.Previous.ID != 1 {
		t.Errorf("the first whole run of a branch is compared with %+v", a.Previous)
	}
}

func TestPhasesAreOfTheBranch(t *testing.T) {
	two := &reports.Plan{Phases: []reports.PlanPhase{{Name: "one", Until: sample.Noon.AddDate(0, 0, 1).Add(time.Hour)}, {Name: "two"}}}
	a := analysisOf(t, Options{Plan: two}, runsOf(t, "main a0:.", "x b0:.", "main c0:.")...)
	if len(a.Phases) != 2 || a.Phases[0].To == nil || a.Phases[0].To.ID != 1 || a.Phases[1].To.ID != 3 {
		t.Errorf("%+v", a.Phases)
	}
}

func TestPhases(t *testing.T) {
	runs := sample.Cells("a:FFF..", "b:FF...", "c:F....", "d:.F...", "e:.....")
	until := func(i int) time.Time { return sample.Noon.AddDate(0, 0, i).Add(time.Hour) }
	a := analysisOf(t, Options{Plan: &reports.Plan{Phases: []reports.PlanPhase{
		{Name: "one", Until: until(0)}, {Name: "two", Run: 3, Target: 80}, {Name: "nothing ran", Until: until(2)}, {Name: "rest", Target: 100}}}}, runs...)
	type line struct {
		from, to     int64
		fixed, broke int
		open         bool
	}
	var got []line
	for _, p := range append(a.Phases, *a.Overall) {
		l := line{fixed: p.Paired.Fixed, broke: p.Paired.Broke, open: p.Open}
		if p.From != nil {
			l.from = p.From.ID
		}
		if p.To != nil {
			l.to = p.To.ID
		}
		got = append(got, l)
	}
	want := []line{{0, 1, 0, 0, false}, {1, 3, 2, 0, false}, {}, {3, 5, 1, 0, true}, {1, 5, 3, 0, true}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
		t.Error(diff)
	}
	if a.Phases[1].Target == nil || !a.Phases[1].Target.Reached || a.Overall.Name != "one to rest" {
		t.Errorf("%+v", a.Phases[1])
	}
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	for _, r := range runs {
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Prune(t.Context(), history.Retention{Newest: 2}); err != nil {
		t.Fatal(err)
	}
	pruned, err := Analyze(t.Context(), h, Options{Plan: &reports.Plan{Phases: []reports.PlanPhase{{Name: "one", Run: 1}, {Name: "two", Run: 9}}}})
	if err != nil {
		t.Fatal(err)
	}
	if one, two := pruned.Phases[0], pruned.Phases[1]; one.Open || one.To != nil || !two.Open || two.To == nil || two.To.ID != 5 {
		t.Errorf("its last run was pruned: %+v\nwhat is to come: %+v", one, two)
	}
	early := analysisOf(t, Options{Run: 2, Plan: &reports.Plan{Phases: []reports.PlanPhase{{Name: "one", Until: until(9)}, {Name: "two"}}}}, runs...)
	if !early.Phases[0].Open || early.Phases[0].To.ID != 2 || early.Phases[1].To != nil || early.Overall != nil {
		t.Errorf("%+v", early.Phases)
	}
}

func TestAnalysisOfMissingResults(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	if _, err := Analyze(t.Context(), h, Options{}); !errors.Is(err, ErrNoRuns) {
		t.Errorf("of an empty history: %v", err)
	}
	if _, err := h.Append(t.Context(), reports.Run{SuiteError: "cut short"}); err != nil {
		t.Fatal(err)
	}
	a, err := Analyze(t.Context(), h, Options{Plan: sample.SeedPlan()})
	if err != nil || a.Target != nil || a.Moves != nil || len(a.Headline.Next) == 0 {
		t.Errorf("of a run without results: %+v, %v", a, err)
	}
	if _, err := Analyze(t.Context(), h, Options{Run: 7}); !errors.Is(err, history.ErrNoRun) {
		t.Errorf("of a run that is not there: %v", err)
	}
}

// A damaged row is an error.
func TestDamagedRows(t *testing.T) {
	for _, change := range []string{
		"UPDATE runs SET failed = failed + 1 WHERE id = 2",
		"UPDATE runs SET outcome = 'held' WHERE id = 2",
		"UPDATE runs SET outcome = 'held' WHERE id = 1",
		"UPDATE results SET outcomes = (SELECT outcomes FROM results WHERE run_id = 1) WHERE run_id = 2",
		"UPDATE results SET durations = zeroblob(length(durations)) WHERE run_id = 2",
		"DELETE FROM results WHERE run_id = 2",
		"DELETE FROM results WHERE run_id = 1",
		"UPDATE names SET key = replace(key, 'shop', 'shot')",
		"DELETE FROM names WHERE id = 2",
		"DELETE FROM blobs",
		"UPDATE blobs SET packed = (SELECT packed FROM blobs ORDER BY id LIMIT 1)",
		"UPDATE benchmarks SET figures = zeroblob(length(figures)) WHERE run_id = 2",
		"UPDATE measurements SET verdicts = comparisons WHERE run_id = 2",
	} {
		path := filepath.Join(t.TempDir(), "h.db")
		h := open(t, path)
		for i, r := range sample.Cells("a:.F..", "b:..F.") {
			r.Verdicts, r.Outcome = []thresholds.Verdict{sample.Verdict("loop", thresholds.Broken, 15)}, thresholds.Broken
			r.Comparisons, r.Benchmarks = sample.Comparisons(1), []reports.Benchmark{{Name: "Add", Unit: "sec/op", Values: []float64{1}}}
			if _, err := h.Append(t.Context(), r); err != nil {
				t.Fatal(i, err)
			}
		}
		if _, err := raw(t, path).Exec(change); err != nil {
			t.Fatal(err)
		}
		var damaged *history.DamagedError
		if a, err := Analyze(t.Context(), h, Options{}); !errors.As(err, &damaged) {
			t.Errorf("%s: %v, %v", change, a != nil, err)
		}
	}
}

// A spec that took much longer in one run is reported even if there are few earlier runs, but not if the
// whole machine was slow or the durations are short.
func TestTookFarLonger(t *testing.T) {
	took := func(run int, ms ...float64) reports.Run {
		r := sample.CellsRun(run, fmt.Sprintf("c%d:%s", run, strings.Repeat(".", len(ms))))
		for i := range ms {
			r.Suites.Specs[i].Duration = time.Duration(ms[i] * 1e6)
		}
		return r
	}
	failed := took(0, 1)
	failed.Suites.Specs[0].State = reports.Failed
	shares := analysisOf(t, Options{}, took(0, 100, 300)).Slowest
	if len(shares) != 2 || shares[0].Share != 0.75 || shares[1].Share != 0.25 {
		t.Errorf("shares %+v", shares)
	}
	for name, test := range map[string]struct {
		runs []reports.Run
		want []string
	}{
		"from 0.2 to 300 ms":      {[]reports.Run{took(0, 0.2, 5), took(1, 300, 5)}, []string{"aaaaaaaa 0.2 to 300 ms of 1"}},
		"against the median":      {[]reports.Run{took(0, 50), took(1, 900), took(2, 60), took(3, 400)}, []string{"aaaaaaaa 60 to 400 ms of 3"}},
		"the worst first":         {[]reports.Run{took(0, 1, 1, 1), took(1, 200, 1, 900)}, []string{"cccccccc 1 to 900 ms of 1", "aaaaaaaa 1 to 200 ms of 1"}},
		"the smaller sum first":   {[]reports.Run{took(0, 1, 200), took(1, 500, 690)}, []string{"aaaaaaaa 1 to 500 ms of 1", "bbbbbbbb 200 to 690 ms of 1"}},
		"twice as long":           {[]reports.Run{took(0, 300), took(1, 600)}, nil},
		"longer by the least":     {[]reports.Run{took(0, 25), took(1, 125)}, []string{"aaaaaaaa 25 to 125 ms of 1"}},
		"by less than that":       {[]reports.Run{took(0, 30), took(1, 110)}, nil},
		"by more, not for longer": {[]reports.Run{took(0, 150, 1), took(1, 500, 410)}, []string{"bbbbbbbb 1 to 410 ms of 1", "aaaaaaaa 150 to 500 ms of 1"}},
		"short all the same":      {[]reports.Run{took(0, 1), took(1, 80)}, nil},
		"the first run":           {[]reports.Run{took(0, 900)}, nil},
		"a machine of a third":    {[]reports.Run{took(0, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59), took(1, 200, 204, 208, 212, 216, 220, 224, 228, 232, 236)}, nil},
		"faster, and slow before": {[]reports.Run{took(0, 900), took(1, 10)}, nil},
		"failed before":           {[]reports.Run{failed, took(1, 900)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, l := range analysisOf(t, Options{}, test.runs...).Longer {
				got = append(got, fmt.Sprintf("%s %g to %g ms of %d", l.Spec.Leaf, l.Before.Seconds()*1e3, l.Now.Seconds()*1e3, l.N))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOriginsOfTheTrend(t *testing.T) {
	runs := sample.Cells("a:.", "b:.")
	runs[0].Origin = reports.Origin{Subject: "add a cart", Ancestors: []string{"c0ffee"}}
	a := analysisOf(t, Options{}, runs...)
	if diff := cmp.Diff(map[int64]reports.Origin{1: {Subject: "add a cart"}}, a.Trend.Origins); diff != "" {
		t.Error(diff)
	}
}
