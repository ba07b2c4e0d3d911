package render

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
)

// BenchmarkPage measures in Chromium how long a reader of the page waits. No test limits these times.
//
//	go test ./reports/render -run '^$' -bench Page -benchtime 15x
//
// first-paint-ms is from the start of the navigation to the first content on the screen,
// open-ms from a click on the tab of specs to the table on the screen, search-ms and filter-ms
// from a key or a choice to the next frame laid out, spec-ms from a click to the page of a spec.
// Each is the median of the iterations; the figures with min in their names are the minimum, which
// depends least on other work on the machine.
//
// Figures that hardly depend on other work: cpu-ms is the processor time of the main thread from the
// navigation to the first paint; parse-ms, style-ms and layout-ms are parts of it. The figures empty-…
// are those of a page of the same size with a single word, which Chromium needs for any page.
func BenchmarkPage(b *testing.B) {
	browser := chromium(b)
	for _, size := range []struct {
		name        string
		specs, runs int
	}{{"specs=2300/runs=200", 2300, 200}, {"specs=100000/runs=60", 100_000, 60}} {
		b.Run(size.name, func(b *testing.B) {
			path := written(b, fullAnalysis(size.specs, size.runs, ""))
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			empty := filepath.Join(b.TempDir(), "empty.html")
			if err := os.WriteFile(empty, []byte("<!doctype html><title>empty</title><p>word<div hidden data-table=\""+strings.Repeat("A", int(info.Size()))+"\"></div>"), 0o600); err != nil {
				b.Fatal(err)
			}
			tb := newTab(b, browser)
			tb.size(1280, 800, false)
			call(tb, cdppage.BringToFront, cdp.Empty{})
			tb.open(path)
			got := map[string][]float64{}
			for b.Loop() {
				for unit, v := range tb.firstPaint(empty) {
					got["empty-"+unit] = append(got["empty-"+unit], v)
				}
				for unit, v := range tb.firstPaint(path) {
					got[unit] = append(got[unit], v)
				}
				tb.until(`'whole' in document.documentElement.dataset`)
				got["open-ms"] = append(got["open-ms"], is[float64](tb, timed(`location.hash = '#view=specs'; await ready('specs')`)))
				got["search-ms"] = append(got["search-ms"], is[float64](tb, timed(`const q = document.querySelector('#q'); q.value = 'promise 17'; q.dispatchEvent(new Event('input'))`)))
				got["filter-ms"] = append(got["filter-ms"], is[float64](tb, timed(`document.querySelector('[data-status=failed]').click()`)))
				got["spec-ms"] = append(got["spec-ms"], is[float64](tb, timed(`document.querySelector('[data-spec-row] a').click(); await ready('spec')`)))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(info.Size()), "file-bytes")
			for unit, values := range got {
				slices.Sort(values)
				b.ReportMetric(values[len(values)/2], unit)
				b.ReportMetric(values[0], "min-"+unit)
			}
		})
	}
}

// timed returns a script that measures the duration of steps in ms, including the layout of the page.
func timed(steps string) string {
	return `(async () => { const ready = want => new Promise(r => { (function look() { document.documentElement.dataset.ready === want ? r() : setTimeout(look) })() });
		const start = performance.now(); ` + steps + `; document.body.offsetHeight; return performance.now() - start })()`
}

// traceEvent is an event of Chromium's trace, with times in µs.
type traceEvent struct {
	Name string  `json:"name"`
	Ph   string  `json:"ph"`
	PID  int     `json:"pid"`
	TID  int     `json:"tid"`
	TS   float64 `json:"ts"`
	TDur float64 `json:"tdur"` // of the thread's processor time
}

// firstPaint opens a page and measures the time until its first content is on the screen.
func (tb *tab) firstPaint(path string) map[string]float64 {
	tb.t.Helper()
	tb.do(chromedp.Navigate("about:blank"))
	var mu sync.Mutex
	var events []traceEvent
	done := make(chan struct{})
	stop := sync.OnceFunc(func() { close(done) })
	if err := chromedp.Listen(tb.ctx, func(event any) {
		switch e := event.(type) {
		case *tracing.EventDataCollected:
			mu.Lock()
			defer mu.Unlock()
			for _, v := range e.Value {
				var t traceEvent
				if json.Unmarshal(v, &t) == nil {
					events = append(events, t)
				}
			}
		case *tracing.EventTracingComplete:
			stop()
		}
	}); err != nil {
		tb.t.Fatal(err)
	}
	call(tb, tracing.Start, tracing.StartParams{TraceConfig: &tracing.TraceConfig{IncludedCategories: []string{"loading", "blink.user_timing", "devtools.timeline", "disabled-by-default-devtools.timeline"}}})
	tb.do(chromedp.Navigate("file://" + path))
	all := map[string]float64{"first-paint-ms": is[float64](tb, `new Promise(r => new PerformanceObserver(l => r(l.getEntries()[0].startTime)).observe({type: 'paint', buffered: true}))`)}
	call(tb, tracing.End, cdp.Empty{})
	<-done
	mu.Lock()
	defer mu.Unlock()
	var began, paint traceEvent
	for _, e := range events {
		if e.Name == "firstPaint" && e.TS > paint.TS {
			paint = e
		}
	}
	for _, e := range events {
		if e.Name == "navigationStart" && e.PID == paint.PID && e.TS < paint.TS && e.TS > began.TS {
			began = e
		}
	}
	if paint.TS == 0 || began.TS == 0 {
		tb.t.Fatal(fmt.Errorf("the trace of %d events has no first paint", len(events)))
	}
	for name, unit := range map[string]string{"RunTask": "cpu-ms", "ParseHTML": "parse-ms", "UpdateLayoutTree": "style-ms", "Layout": "layout-ms"} {
		for _, e := range events {
			if e.Name == name && e.Ph == "X" && e.PID == paint.PID && e.TID == paint.TID && e.TS >= began.TS && e.TS < paint.TS {
				all[unit] += e.TDur / 1000
			}
		}
	}
	return all
}
