package render

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/thresholds"
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

func TestOutsideFailuresAreInEveryOutput(t *testing.T) {
	broken := analysisOf(t, analysis.Options{}, goRuns(t, "", "build")...)
	fixed := analysisOf(t, analysis.Options{}, goRuns(t, "", "build", "")...)
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

// Failures with one cause are one group; a single failure is not a group.
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
	a := analysis.AnalyzeSingleRun(sample.CellsRun(0, "a:.F."))
	if len(a.Clusters) != 0 || a.Attention[0].Cluster != -1 || strings.Contains(output(t, "html", a), "same message as others") {
		t.Errorf("a lone failure is in a group: %+v", a.Clusters)
	}
}

// A loosening is shown if its limit judged the run, but not for a run of another class of machine, of
// another workload or without measurements.
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
		a := analysisOf(t, analysis.Options{Limits: limits}, run)
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

// A list of very many specs is shortened and states how many are missing.
func TestThePageOfVeryManyFailuresIsBounded(t *testing.T) {
	r := sample.Results(0)
	for i := range 20_000 {
		r.Specs = append(r.Specs, sample.Spec(fmt.Sprintf("keeps promise %d", i), reports.Failed))
	}
	text := output(t, "html", analysis.AnalyzeSingleRun(reports.Run{Suites: r}))
	if len(text) > 3<<20 || strings.Count(text, `<article class="item card"`) != maxAttention || !strings.Contains(text, "And 19500 more: they are among") {
		t.Errorf("%d bytes", len(text))
	}
}
