package harness

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/perf/benchfmt"
)

func TestBenchmarksAreReadByBenchfmt(t *testing.T) {
	r := recorded(t)
	r.Dirty, r.Comparisons[0].Workload = true, "a review"
	var out bytes.Buffer
	if err := r.WriteBenchmarks(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "NaN") {
		t.Errorf("%s", out.String())
	}
	type line struct {
		Name   string
		Iters  int
		Values map[string]float64 // seconds are what benchfmt makes of nanoseconds
	}
	var first []line
	lines, config := 0, map[string]string{}
	in := benchfmt.NewReader(&out, "out")
	for in.Scan() {
		switch rec := in.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Errorf("%v", rec)
		case *benchfmt.Result:
			lines++
			if len(first) < 6 {
				l := line{rec.Name.String(), rec.Iters, map[string]float64{}}
				for _, v := range rec.Values {
					l.Values[v.Unit] = v.Value
				}
				first = append(first, l)
			}
			for _, c := range rec.Config {
				config[c.Key] = string(c.Value)
			}
		}
	}
	if in.Err() != nil || lines != 6*6 {
		t.Errorf("%d lines, error %v; want one for each of 6 blocks and 6 arms", lines, in.Err())
	}
	name := func(arm string) string { return "Durability/workload=a_review/durability=process/arm=" + arm + "-2" }
	want := []line{
		{name(ArmNone), 16, map[string]float64{"sec/op": 1e-6}}, // 2 rounds of 2 x 4 runs
		{name(ArmBackend), 4, map[string]float64{"sec/op": 111e-6, "B/op": 9000, "allocs/op": 120, "commits/op": 5, "fsyncs/op": 1,
			"statements/op": 0, "pages/op": 0, "written-B/op": 0, "cost-ratio": 2}},
		{name(ArmFloor), 4, map[string]float64{"sec/op": 55e-6}},
		{name(ArmTwin), 4, map[string]float64{"sec/op": 116e-6}},
		{name(ArmSlow), 4, map[string]float64{"sec/op": 138.5e-6}},
		{name(ArmStubs), 16, map[string]float64{"sec/op": 40e-9}},
	}
	if d := cmp.Diff(want, first, cmp.Comparer(near)); d != "" {
		t.Errorf("(-want +read):\n%s", d)
	}
	wantConfig := map[string]string{"goos": "linux", "goarch": "amd64", "cpu": "Some CPU", "pkg": "github.com/flujo/flujo-harness/harness",
		"durability": "process", "filesystem": "ext4", "seed": "1", "commit": "abc1234+changes"}
	if d := cmp.Diff(wantConfig, config); d != "" {
		t.Errorf("configuration (-want +read):\n%s", d)
	}
	for unit, want := range map[string]string{"cost-ratio": "nothing", "allocs/op": "exact"} {
		if got := in.Units().Get(unit, "assume"); got == nil || got.Value != want {
			t.Errorf("unit %s is assumed to be %v, want %s", unit, got, want)
		}
	}
}
