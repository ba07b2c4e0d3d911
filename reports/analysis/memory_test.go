package analysis

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

// failing returns a run of n failed specs with distinct messages.
func failing(n, run int) reports.Run {
	r := &reports.Results{Suites: []reports.Suite{{Path: "shop"}}}
	for i := range n {
		r.Specs = append(r.Specs, reports.Spec{Suite: "shop", Containers: []string{fmt.Sprintf("shop.pkg%d.CartTest", i%200)}, Leaf: fmt.Sprintf("spec number %d of the shop", i), Occurrence: 1,
			State: reports.Failed, Attempts: 1, Duration: time.Millisecond, File: fmt.Sprintf("shop/pkg%d/cart_test.py", i%200), Line: i%900 + 1,
			Message: fmt.Sprintf("expected %d to equal %d but it did not\nTraceback of %d\n  File \"shop/cart_test.py\", line 3, in test\n    assert basket.total() == %d", i, run, i, i)})
	}
	return reports.Run{Started: time.Date(2026, 11, 20+run, 0, 0, 0, 0, time.UTC), Commit: fmt.Sprintf("%040d", run), Format: "JUnit XML", Suites: r, Outcome: thresholds.Broken, Complete: true}
}

// The analysis needs most memory for a run in which every spec fails. The test bounds the memory per
// spec, in addition to the run itself.
func TestAnalysisOfFailuresIsBounded(t *testing.T) {
	const n = 5000
	h, err := history.Open(context.Background(), filepath.Join(t.TempDir(), "history.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for run := range 3 {
		if _, err := h.Append(context.Background(), failing(n, run)); err != nil {
			t.Fatal(err)
		}
	}
	live := func() (alive, total uint64) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, m.TotalAlloc
	}
	alive, total := live()
	a, err := Analyze(context.Background(), h, Options{})
	if err != nil {
		t.Fatal(err)
	}
	aliveNow, totalNow := live()
	kept, made := (int64(aliveNow)-int64(alive))/n, int64(totalNow-total)/n
	const mostKept, mostMade = 1200, 11_000 // measured: 978 and 8,663
	if kept > mostKept || made > mostMade {
		t.Errorf("%d bytes are kept of a failing spec and %d were allocated, want at most %d and %d", kept, made, mostKept, mostMade)
	}
	if a.Moves[0].Spec != a.Attention[0].Spec {
		t.Error("two lists have copies of the same spec")
	}
	runtime.KeepAlive(a)
}
