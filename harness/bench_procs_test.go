package harness

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A benchmark is timed with one processor if both revisions take as long with one as with several.
func TestProcessorsOfATimedBenchmark(t *testing.T) {
	const many = 4
	for name, tc := range map[string]struct {
		given, ops int
		base, head float64 // time with one processor; 100 ns with several
		disturbed  int     // number of first processes that take twice as long
		cpu        float64 // processor time over wall-clock time; 0: unknown
		load       float64 // share of the busy time in which it is ready, but does not run
		fails      bool    // with one processor
		want       int
	}{
		"as long":             {base: 102, head: 99, want: 1},
		"as long, not alike":  {base: 104, head: 96, want: many},
		"as long, on load":    {base: 102, head: 99, cpu: 0.9, load: 0.6, want: many},
		"as long, collected":  {base: 102, head: 99, cpu: 1.1, load: 0.25, want: 1},
		"longer at the base":  {base: 180, head: 100, want: many},
		"longer at the head":  {base: 100, head: 115, want: many},
		"shorter":             {base: 60, head: 60, want: many},
		"disturbed at first":  {base: 100, head: 100, disturbed: 1, want: 1},
		"longer, but serial":  {base: 103, head: 130, cpu: 1.05, want: 1},
		"longer and parallel": {base: 103, head: 130, cpu: 1.3, want: many},
		"longer, on load":     {base: 103, head: 130, cpu: 0.9, load: 0.6, want: many},
		"far longer":          {base: 103, head: 150, cpu: 1.05, want: many},
		"far shorter, serial": {base: 60, head: 60, cpu: 1.05, want: many},
		"given by the caller": {given: many, base: 100, head: 100, want: many},
		"given as one":        {given: 1, base: 100, head: 100, want: 1},
		"one operation":       {ops: 1, base: 100, head: 100, want: many},
		"fails with one":      {base: 100, head: 100, fails: true, want: many},
	} {
		t.Run(name, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(many))
			timed, tries := map[int]int{}, 0
			spec := BenchSpec{Package: "p", Benchmark: "BenchmarkX", Blocks: 6, Seed: 1, Procs: tc.given, Ops: tc.ops, Base: BenchSide{Revision: "old"}, Head: BenchSide{Revision: "new"}, cpus: []int{},
				use: func(_ context.Context, o benchOrder) (u use, known bool) {
					if o.procs != many {
						t.Errorf("its use with GOMAXPROCS %d", o.procs)
					}
					u = use{wall: time.Second, busy: 2 * time.Second, cpu: time.Duration(tc.cpu * 1e9)}
					u.ready = time.Duration(tc.load * float64(u.busy))
					return u, tc.cpu > 0
				},
				run: func(_ context.Context, o benchOrder) (p benchProcess, err error) {
					b := Bench{NS: 100, Ops: 1000}
					if o.procs == 1 {
						if b.NS = tc.base; o.side.Revision == "new" {
							b.NS = tc.head
						}
						if tc.fails {
							return p, errors.New("all goroutines are asleep")
						}
					}
					if o.times == "1000x" {
						if tries++; tries <= tc.disturbed {
							b.NS *= 2
						}
						timed[o.procs]++
					}
					name := fmt.Sprintf("X/size-4-%d", o.procs)
					if o.procs == 1 {
						name = "X/size-4"
					}
					if want := "^BenchmarkX$/^size-4$"; o.times == "1000x" && o.pattern != want {
						t.Errorf("pattern %s, want %s", o.pattern, want)
					}
					p.printed = map[string]Bench{name: b}
					return p, nil
				}}
			m := FindBenchmarks(t.Context(), spec)
			all := m.Measure(t.Context(), 0, func(*Difference, int) More { return More{Time: true} })
			if len(all) != 1 || all[0].NotCompared+all[0].Problem != "" || len(all[0].Blocks) != 6 {
				t.Fatalf("%+v", all)
			}
			d := all[0]
			if tc.ops == 0 && timed[tc.want] < 3*6 {
				t.Errorf("processes by GOMAXPROCS: %v", timed)
			}
			if changed := tc.want == 1 && tc.given != 1; changed != (d.Procs == 1) {
				t.Errorf("it says GOMAXPROCS %d, want %d", d.Procs, tc.want)
			}
			if is := strings.HasSuffix(d.Samples[0].Name, "-4-4"); is != (tc.want == many) {
				t.Errorf("the samples are called %q", d.Samples[0].Name)
			}
			if strings.HasSuffix(d.Name, "-4-4") != (tc.given != 1) {
				t.Errorf("the difference is called %q", d.Name)
			}
		})
	}
}
