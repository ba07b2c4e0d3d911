package render

import (
	"os"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
)

// BenchmarkPage measures what a reader of the page waits for, in Chromium: no test asserts it.
//
//	go test ./reports/render -run '^$' -bench Page -benchtime 5x
//
// first-paint-ms is from the start of the navigation to the first content on the screen,
// open-ms from a click on the tab of specs to the table on the screen, search-ms and filter-ms
// from a key or a choice to the next frame laid out, spec-ms from a click to the page of a spec.
// Each is the median of the iterations; the least of them, with min in its name, is nearest to
// what a machine without other work takes.
func BenchmarkPage(b *testing.B) {
	browser := chromium(b)
	for _, size := range []struct {
		name        string
		specs, runs int
	}{{"specs=2300/runs=200", 2300, 200}, {"specs=100000/runs=60", 100_000, 60}} {
		b.Run(size.name, func(b *testing.B) {
			path := written(b, fullAccount(size.specs, size.runs, ""))
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			tb := newTab(b, browser)
			tb.size(1280, 800, false)
			call(tb, cdppage.BringToFront, cdp.Empty{})
			tb.open(path)
			tb.until(`document.documentElement.dataset.ready`)
			var paint, opened, search, filter, one []float64
			for b.Loop() {
				tb.open(path)
				paint = append(paint, is[float64](tb, `new Promise(r => new PerformanceObserver(l => r(l.getEntries()[0].startTime)).observe({type: 'paint', buffered: true}))`))
				tb.until(`document.documentElement.dataset.ready`)
				opened = append(opened, is[float64](tb, timed(`location.hash = '#view=specs'; await ready('specs')`)))
				search = append(search, is[float64](tb, timed(`const q = document.querySelector('#q'); q.value = 'promise 17'; q.dispatchEvent(new Event('input'))`)))
				filter = append(filter, is[float64](tb, timed(`document.querySelector('[data-status=failed]').click()`)))
				one = append(one, is[float64](tb, timed(`document.querySelector('[data-spec-row] a').click(); await ready('spec')`)))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(info.Size()), "file-bytes")
			for unit, values := range map[string][]float64{"first-paint-ms": paint, "open-ms": opened, "search-ms": search, "filter-ms": filter, "spec-ms": one} {
				slices.Sort(values)
				b.ReportMetric(values[len(values)/2], unit)
				b.ReportMetric(values[0], "min-"+unit)
			}
		})
	}
}

// timed is a script that gives the milliseconds that steps take, layout of the page included.
func timed(steps string) string {
	return `(async () => { const ready = want => new Promise(r => { (function look() { document.documentElement.dataset.ready === want ? r() : setTimeout(look) })() });
		const start = performance.now(); ` + steps + `; document.body.offsetHeight; return performance.now() - start })()`
}
