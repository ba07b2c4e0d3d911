package compare

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// A history records the figures of the head only, and a verdict on benchmarks that were not
// measured.
func TestWhatAHistoryHasOfAComparison(t *testing.T) {
	r := Result{
		Differences: []*harness.Difference{{Name: "example.com/shop.Sum-2", Instructions: &harness.Instructions{Base: []float64{90}, Head: []float64{100, 101}},
			Samples: []harness.BenchSample{
				{Name: "Sum-2", Bench: harness.Bench{NS: 10, Counts: map[string]float64{"B/op": 7}}},
				{Head: true, Name: "Sum-2", Bench: harness.Bench{NS: 20, Counts: map[string]float64{"B/op": 8}}},
				{Head: true, Name: "Sum-2", Bench: harness.Bench{NS: 22, Counts: map[string]float64{"B/op": 8}}},
			}}},
		Verdicts:  []thresholds.Verdict{{Outcome: thresholds.Broken, Workload: "example.com/shop.Sum-2", Metric: thresholds.MetricRatio}},
		Identical: []string{"example.com/shop/same"}, Gone: []string{"example.com/shop.Old"}, NotBuilt: []string{"build the tests of example.com/shop/red"},
	}
	figures, verdicts := r.Record("main")
	want := []reports.Benchmark{
		{Name: "example.com/shop.Sum-2", Unit: "B/op", Values: []float64{8, 8}},
		{Name: "example.com/shop.Sum-2", Unit: "instructions/op", Values: []float64{100, 101}},
		{Name: "example.com/shop.Sum-2", Unit: "sec/op", Values: []float64{20e-9, 22e-9}},
	}
	if diff := cmp.Diff(want, figures); diff != "" {
		t.Errorf("figures (-want +got)\n%s", diff)
	}
	var got []string
	for _, v := range verdicts {
		got = append(got, v.Workload+" "+v.String())
	}
	if diff := cmp.Diff([]string{
		"example.com/shop.Sum-2 broken",
		"benchmarks held: packages that need no measurement, because their test binaries and files are the same as at main: 1",
		"benchmarks inconclusive: gone, renamed or not built at main: example.com/shop.Old, build the tests of example.com/shop/red",
	}, got); diff != "" {
		t.Errorf("verdicts (-want +got)\n%s", diff)
	}
	if len(r.Verdicts) != 1 {
		t.Error("the result was changed")
	}
}

func TestNamesOfBenchmarksInTheSource(t *testing.T) {
	for printed, want := range map[string]string{"Sum-2": "BenchmarkSum", "Decode/large-2": "BenchmarkDecode/large", "Sum-4": "BenchmarkSum-4", "Sum-2 (2)": "BenchmarkSum"} {
		if got := plainName(printed, 2); got != want {
			t.Errorf("%q: %q, want %q", printed, got, want)
		}
	}
}
