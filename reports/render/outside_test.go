package render

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/thresholds"
)

// goRun is a run of go test over two packages: cart with three tests, and tax. broken is
// what is wrong with cart: "" nothing, "build", "main" (its TestMain fails), "panic" (the
// second test ends the process) or "sub" (a parent fails before its subtests).
func goRun(t *testing.T, i int, broken string) reports.Run {
	t.Helper()
	const cart, tax = "example.org/shop/cart", "example.org/shop/tax"
	var b strings.Builder
	event := func(pkg, action, test, output string) {
		e := map[string]any{"Time": sample.Noon.AddDate(0, 0, i), "Action": action, "Package": pkg}
		if test != "" {
			e["Test"] = test
		}
		if output != "" {
			e["Output"] = output
		}
		if action == "build-output" || action == "build-fail" {
			e["ImportPath"], e["Package"] = pkg, nil
		}
		if action == "fail" && test == "" && broken == "build" {
			e["FailedBuild"] = pkg
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	test := func(pkg, name, action string) {
		event(pkg, "run", name, "")
		if action == "fail" {
			event(pkg, "output", name, "    x_test.go:7: wrong\n")
		}
		event(pkg, action, name, "")
	}
	switch broken {
	case "build":
		event(cart, "build-output", "", "# "+cart+"\n")
		event(cart, "build-output", "", "cart/cart.go:12:2: undefined: foo\n")
		event(cart, "build-fail", "", "")
		event(cart, "start", "", "")
		event(cart, "output", "", "FAIL\t"+cart+" [build failed]\n")
		event(cart, "fail", "", "")
	case "main":
		event(cart, "start", "", "")
		event(cart, "output", "", "no database\n")
		event(cart, "fail", "", "")
	case "panic":
		event(cart, "start", "", "")
		test(cart, "TestAdd", "pass")
		event(cart, "run", "TestDrop", "")
		event(cart, "output", "TestDrop", "panic: nil map\n")
		event(cart, "fail", "TestDrop", "")
		event(cart, "fail", "", "")
	default:
		event(cart, "start", "", "")
		test(cart, "TestAdd", "pass")
		test(cart, "TestDrop", "pass")
		test(cart, "TestSlow", "fail")
		event(cart, "fail", "", "")
	}
	event(tax, "start", "", "")
	test(tax, "TestTax", "pass")
	event(tax, "pass", "", "")
	r, err := ingest.Read(strings.NewReader(b.String()), "")
	if err != nil {
		t.Fatal(err)
	}
	return reports.Run{Started: sample.Noon.AddDate(0, 0, i), Commit: fmt.Sprintf("%07x", 0xabc0000+i), Format: r.Format, Complete: true, Suites: r.Results}
}

func goRuns(t *testing.T, broken ...string) []reports.Run {
	t.Helper()
	var all []reports.Run
	for i, b := range broken {
		all = append(all, goRun(t, i, b))
	}
	return all
}

func toldOf(a *analysis.Analysis) (outside, moves []string) {
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
			a := accountOf(t, analysis.Options{}, goRuns(t, tt.runs...)...)
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

func TestSinceWhenABuildFails(t *testing.T) {
	a := accountOf(t, analysis.Options{}, goRuns(t, "", "", "build", "build")...)
	if age := a.Outside[0].Age; age.Runs != 2 || age.Since.ID != 3 || age.LastPassed == nil || age.LastPassed.ID != 2 || !age.Known {
		t.Errorf("%+v", age)
	}
	if at := a.Attention[0]; at.Kind != analysis.SuiteBroken || at.Age.Runs != 2 || at.Outside == nil {
		t.Errorf("%+v", at)
	}
	flaky := goRuns(t, "", "build")
	flaky[1].Commit = flaky[0].Commit
	if a := accountOf(t, analysis.Options{}, flaky...); a.Outside[0].Kind != reports.Flaky || len(a.NewOutside()) != 1 {
		t.Errorf("at one commit: %+v", a.Outside[0])
	}
}

// A suite of Ginkgo lists its specs as skipped where BeforeSuite failed.
func TestSkippedForBeforeSuiteIsNotRun(t *testing.T) {
	broken := sample.CellsRun(1, "b:sss")
	broken.Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: "BeforeSuite", Message: "no database"}}
	a := accountOf(t, analysis.Options{}, sample.CellsRun(0, "a:.F."), broken)
	outside, moves := toldOf(a)
	if diff := cmp.Diff([]string{"broke shop > [BeforeSuite], 3 not run, 1", "not run aaaaaaaa not run bbbbbbbb not run cccccccc"}, append(outside, strings.Join(moves, " "))); diff != "" {
		t.Error(diff)
	}
	mended := accountOf(t, analysis.Options{}, sample.CellsRun(0, "a:.F."), broken, sample.CellsRun(2, "c:FF."))
	outside, moves = toldOf(mended)
	if diff := cmp.Diff([]string{"fixed shop > [BeforeSuite], 0 not run, 0", "broke aaaaaaaa still failing bbbbbbbb"}, append(outside, strings.Join(moves, " "))); diff != "" {
		t.Error(diff)
	}
	after := sample.CellsRun(1, "b:.s.")
	after.Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: "AfterSuite", Message: "leak"}}
	if _, moves := toldOf(accountOf(t, analysis.Options{}, sample.CellsRun(0, "a:..."), after)); len(moves) != 1 || moves[0] != "newly skipped bbbbbbbb" {
		t.Errorf("AfterSuite kept a spec from running: %q", moves)
	}
}

func TestOutsideFailuresAreInEveryOutput(t *testing.T) {
	broken := accountOf(t, analysis.Options{}, goRuns(t, "", "build")...)
	fixed := accountOf(t, analysis.Options{}, goRuns(t, "", "build", "")...)
	for name, want := range map[string][2][]string{
		"terminal":    {{"✗ cart > [build]", "newly broken · 3 specs not run", "1 newly broken · 3 not run", "broke: cart > [build]", "1 package did not build"}, {"1 fixed", "fixed: cart > [build]"}},
		"md":          {{"`cart > [build]`", "1 newly broken · 3 not run"}, {"fixed: `cart > [build]`"}},
		"html":        {{"cart &gt; [build]", "broke; 3 specs not run", ">3<"}, {`<td class="nw tone-held">fixed</td>`}},
		"openmetrics": {{"flujo_failures_outside_specs 1\n", `flujo_outside_transitions{kind="broke"} 1`, `flujo_transitions{kind="not run"} 3`}, {"flujo_failures_outside_specs 0\n", `flujo_outside_transitions{kind="fixed"} 1`}},
		"badge":       {{"1 failure outside"}, {"of 4"}},
		"junit":       {{"[build]", "undefined: foo"}, nil},
		"ctrf":        {{"[build]", "undefined: foo"}, nil},
	} {
		for i, a := range []*analysis.Analysis{broken, fixed} {
			text := output(t, name, a)
			for _, w := range want[i] {
				if !strings.Contains(text, w) {
					t.Errorf("%s of run %d has no %q:\n%s", name, i+2, w, text)
				}
			}
		}
	}
	var report struct {
		Runs []struct {
			Outside int `json:"failures_outside_specs"`
		} `json:"runs"`
		Outside []map[string]any `json:"failures_outside_specs"`
	}
	if err := json.Unmarshal([]byte(output(t, "json", broken)), &report); err != nil {
		t.Fatal(err)
	}
	o := report.Outside[0]
	if len(report.Outside) != 1 || o["kind"] != "broke" || o["failing"] != true || o["node"] != "build" || o["suite"] != "example.org/shop/cart" || o["specs_not_run"] != 3.0 ||
		o["since_run"] != 2.0 || o["last_passed"] != 1.0 || !strings.Contains(fmt.Sprint(o["message"]), "undefined: foo") || report.Runs[0].Outside != 0 || report.Runs[1].Outside != 1 {
		t.Errorf("%+v", report)
	}
	rows, err := csv.NewReader(strings.NewReader(output(t, "csv", broken))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	row := map[string]string{}
	for i, name := range rows[0] {
		row[name] = rows[1][i]
	}
	if row["outside"] != "build" || row["state"] != "failed" || row["transition"] != "broke" || row["before"] != "" || !strings.Contains(row["message"], "undefined: foo") {
		t.Errorf("%v", row)
	}
}

// One cause makes one group, and a failure that stands alone makes none.
func TestOneCauseIsOneGroup(t *testing.T) {
	refused := "dial tcp 127.0.0.1:5432: connect: connection refused"
	for name, messages := range map[string][2]string{
		"gomega Succeed":        {"Expected success, but got an error:\n    <*net.OpError | 0xc0001>: " + refused, "Expected success, but got an error:\n    <*net.OpError | 0xc0ff2>: " + refused},
		"gomega HaveOccurred":   {"Unexpected error:\n    <*net.OpError | 0xc0001>: \n    " + refused + "\noccurred", "Unexpected error:\n    <*net.OpError | 0xc0ff2>: \n    " + refused + "\noccurred"},
		"testify NoError":       {"\n\tError Trace:\t/a/x_test.go:7\n\tError:      \tReceived unexpected error:\n\t            \t" + refused + "\n\tTest:       \tTestA\n", "\n\tError Trace:\t/a/y_test.go:9\n\tError:      \tReceived unexpected error:\n\t            \t" + refused + "\n\tTest:       \tTestB\n"},
		"the same plain failed": {refused, refused},
	} {
		var specs []*reports.Spec
		for i, m := range messages {
			s := sample.Spec(fmt.Sprint(i), reports.Failed)
			s.Message, s.File, s.Line = m, fmt.Sprintf("%d_test.go", i), 7
			specs = append(specs, &s)
		}
		if got := analysis.Clusters(specs); len(got) != 1 || len(got[0].Specs) != 2 {
			t.Errorf("%s: %d groups", name, len(got))
		}
		specs[1].Message = strings.ReplaceAll(specs[1].Message, "refused", "reset by peer")
		if got := analysis.Clusters(specs); len(got) != 0 {
			t.Errorf("%s: two causes make one group", name)
		}
	}
	a := analysis.Alone(sample.CellsRun(0, "a:.F."))
	if len(a.Clusters) != 0 || a.Attention[0].Cluster != -1 || strings.Contains(output(t, "html", a), "says the same as others") {
		t.Errorf("a lone failure is in a group: %+v", a.Clusters)
	}
}

// Failing twice in a row is not long.
func TestLongFailingIsThreeRuns(t *testing.T) {
	for runs, want := range map[int]analysis.AttentionKind{2: analysis.FailingOn, 3: analysis.LongFailing} {
		texts := []string{"a:."}
		for i := range runs {
			texts = append(texts, fmt.Sprintf("%c:F", 'b'+i))
		}
		if a := accountOf(t, analysis.Options{}, sample.Cells(texts...)...); a.Attention[0].Kind != want {
			t.Errorf("after %d runs: %s, want %s", runs, a.Attention[0].Kind, want)
		}
	}
}

// A loosening is said where its limit judged the run, and not in a run of another
// machine class, of another workload or without measurements.
func TestALooseningIsSaidWhereItJudged(t *testing.T) {
	limits := []*thresholds.File{{Class: "intel", Path: "thresholds/limits/intel.toml", Ledger: []thresholds.Entry{
		{Date: analysis.Day(sample.Noon), Change: thresholds.Loosened, Workload: "loop", Metric: thresholds.MetricCostRatio, Durability: "process", From: 1, To: 2, Expires: analysis.Day(sample.Noon.AddDate(1, 0, 0))}}}}
	judged := thresholds.Verdict{Outcome: thresholds.Held, Workload: "loop", Metric: thresholds.MetricCostRatio, Durability: "process", Limit: 2, Source: "/elsewhere/intel.toml"}
	amd, other, none := judged, judged, judged
	amd.Source, other.Workload, none.Limit = "thresholds/limits/amd.toml", "map", 0
	for name, tt := range map[string]struct {
		verdicts []thresholds.Verdict
		want     bool
	}{"judged": {[]thresholds.Verdict{judged}, true}, "another class": {[]thresholds.Verdict{amd}, false}, "another workload": {[]thresholds.Verdict{other}, false},
		"no limit": {[]thresholds.Verdict{none}, false}, "results of others": {nil, false}} {
		run := sample.CellsRun(0, "a:.")
		run.Verdicts = tt.verdicts
		a := accountOf(t, analysis.Options{Limits: limits}, run)
		for _, form := range []string{"terminal", "json", "html"} {
			text := output(t, form, a)
			if form == "terminal" {
				text, _, _ = strings.Cut(text, "\nLedger")
			}
			if form == "html" {
				text, _, _ = strings.Cut(text, `data-view="specs"`)
			}
			if got := strings.Contains(text, "limit of loop"); got != tt.want {
				t.Errorf("%s, %s: said %v, want %v", name, form, got, tt.want)
			}
		}
		if len(a.Ledger) != 1 || !a.Ledger[0].Current {
			t.Errorf("%s: the ledger itself is of everybody: %+v", name, a.Ledger)
		}
	}
}

// A list of very many specs is cut, and says how many it leaves out.
func TestThePageOfVeryManyFailuresIsBounded(t *testing.T) {
	r := sample.Results(0)
	for i := range 20_000 {
		r.Specs = append(r.Specs, sample.Spec(fmt.Sprintf("keeps promise %d", i), reports.Failed))
	}
	text := output(t, "html", analysis.Alone(reports.Run{Suites: r}))
	if len(text) > 3<<20 || strings.Count(text, `<article class="item card"`) != maxAttention || !strings.Contains(text, "And 19500 more: they are among") {
		t.Errorf("%d bytes", len(text))
	}
}
