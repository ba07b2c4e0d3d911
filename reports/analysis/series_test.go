package analysis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/sample"
	"github.com/flujo/flujo-harness/thresholds"
)

// Series have points in the order of the runs, for times and counts, with the limits, and are separate
// for machines of different kinds.
func TestSeries(t *testing.T) {
	var runs []reports.Run
	for i, ratio := range []float64{1.31, 1.33, 1.53} {
		r := sample.CellsRun(i, fmt.Sprintf("c%d:.", i))
		c := sample.Comparison("default", ratio)
		c.Counters = map[string]harness.Counters{harness.ArmBackend: {Statements: 12, Allocs: float64(300 + i)}}
		if i == 1 {
			c.Environment.Class = "another"
		}
		v := sample.Verdict("default", thresholds.Held, 0)
		if i == 2 {
			v.Outcome = thresholds.Broken
		}
		r.Comparisons, r.Verdicts = []harness.Comparison{c}, []thresholds.Verdict{v}
		r.Benchmarks = []reports.Benchmark{{Name: "Add-8", Unit: "sec/op", Values: []float64{1e-9, 2e-9, 3e-9}}, {Name: "Add-8", Unit: "B/op", Values: []float64{64}}}
		runs = append(runs, r)
	}
	runs = append(runs, sample.CellsRun(3, "c3:.")) // measured nothing
	a := analysisOf(t, Options{}, runs...)
	var got []string
	for _, s := range a.Series {
		line := fmt.Sprintf("%s, %s, %s, counted %v:", s.Name, s.Unit, s.Where, s.Counted)
		for _, p := range s.Points {
			line += fmt.Sprintf(" run %d %g", p.Run.ID, p.Value)
			if p.Judged {
				line += fmt.Sprintf(" of %g %s", p.Limit, p.Outcome)
			}
		}
		got = append(got, line)
	}
	want := []string{
		"default at process, x the floor, linux-amd64-2cpu, counted false: run 1 1.31 of 1.452 held run 3 1.53 of 1.452 broken",
		"default at process, statements a run, linux-amd64-2cpu, counted true: run 1 12 run 3 12",
		"default at process, allocations a run, linux-amd64-2cpu, counted true: run 1 300 run 3 302",
		"Add-8, sec/op, , counted false: run 1 2e-09 run 2 2e-09 run 3 2e-09",
		"Add-8, B/op, , counted true: run 1 64 run 2 64 run 3 64",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p := a.Series[0].Points[0]; p.Low >= p.Value || p.High <= p.Value {
		t.Errorf("no interval: %+v", p)
	}
}

// The trend has a text for runs that measured or compared and ran no tests, and for no others.
func TestTheTrendSaysWhatWasMeasured(t *testing.T) {
	benchmarks := []reports.Benchmark{{Name: "Add-8", Unit: "sec/op", Values: []float64{1e-9}}}
	compared, tests, measured := sample.CellsRun(0, ""), sample.CellsRun(1, "c1:."), sample.CellsRun(2, "")
	compared.Suites, measured.Suites = nil, nil
	compared.Format, measured.Format = "", ""
	compared.Benchmarks, measured.Benchmarks, tests.Benchmarks = benchmarks, benchmarks, benchmarks
	compared.Verdicts = []thresholds.Verdict{{Workload: "Add-8", Outcome: thresholds.Broken, Against: "main"}, {Workload: reports.NotMeasured, Outcome: thresholds.Held, Against: "main"}}
	a := analysisOf(t, Options{}, compared, tests, measured)
	want := map[int64]string{1: "1 benchmark compared: 1 broken", 3: "1 benchmark measured"}
	if diff := cmp.Diff(want, a.Trend.Measured); diff != "" {
		t.Error(diff)
	}
}

func TestSeriesHaveChangePoints(t *testing.T) {
	var runs []reports.Run
	for i := range 30 {
		r := sample.CellsRun(i, fmt.Sprintf("c%d:.", i))
		value := 2e-9 + 1e-11*float64((i+1)%3)
		if i >= 18 {
			value *= 1.5
		}
		r.Benchmarks = []reports.Benchmark{{Name: "Add-8", Unit: "sec/op", Values: []float64{value}}}
		runs = append(runs, r)
	}
	if a := analysisOf(t, Options{}, runs...); len(a.Series) != 1 || len(a.Series[0].Points) != 30 || !cmp.Equal(a.Series[0].Changes, []int{18}) {
		t.Errorf("%d series, changes at %v", len(a.Series), a.Series[0].Changes)
	}
}

// A note names workloads whose steps became slower, because limits on durability do not judge that.
func TestSlowerStepsAreNoted(t *testing.T) {
	for name, test := range map[string]struct {
		times  []float64 // ns a run without saves, by run
		commit string    // "": one for each run
		want   string
	}{
		"slower":               {[]float64{1e6, 1.1e6, 3e6}, "", "the steps of default at process take 3.00 ms a run without saves, 1.05 ms before (n=2): limits of durability judge what saving adds, not this; compare the benchmarks of the steps: flujo-harness compare c1"},
		"slower at one commit": {[]float64{1e6, 3e6}, "c", "compare REVISION"},
		"equal":                {[]float64{1e6, 1.1e6, 1.4e6}, "", ""},
		"alone":                {[]float64{3e6}, "", ""},
	} {
		var runs []reports.Run
		for i, ns := range test.times {
			r := sample.CellsRun(i, fmt.Sprintf("c%d:.", i))
			if r.Commit = test.commit; r.Commit == "" {
				r.Commit = fmt.Sprintf("c%d", i)
			}
			c := sample.Comparison("default", 1.31)
			for b := range c.Blocks {
				c.Blocks[b].Slots = map[string][]float64{harness.ArmNone: {ns, ns, 9 * ns, ns}}
			}
			r.Comparisons = []harness.Comparison{c}
			runs = append(runs, r)
		}
		got := ""
		for _, n := range analysisOf(t, Options{}, runs...).Notes {
			if strings.Contains(n, "without saves") {
				got = n
			}
		}
		if (got == "") != (test.want == "") || !strings.HasSuffix(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
