package render

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/sample"
	"github.com/flujo/flujo-harness/thresholds"
)

// pageText returns the page of the newest of the given runs.
func pageText(t *testing.T, runs ...reports.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Render(&b, analysisOf(t, analysis.Options{}, runs...)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// originRun returns a run with a complete origin.
func originRun(i int, cells string) reports.Run {
	r := sample.CellsRun(i, cells)
	r.Branch, r.Seconds = "main", 14.2
	if strings.Contains(cells, "F") {
		r.Outcome = thresholds.Broken
	}
	r.Origin = reports.Origin{Module: "example.com/shop", Repository: "github.com/shop/cart", Subject: "cart: count <b>twice</b>", Job: "tests", OS: "windows", Arch: "amd64",
		CommitURL: "https://github.com/shop/cart/commit/" + r.Commit, JobURL: "https://github.com/shop/cart/actions/runs/7", FileURL: "https://github.com/shop/cart/blob/" + r.Commit + "/"}
	return r
}

func TestThePageSaysWhoseItIs(t *testing.T) {
	page := pageText(t, originRun(0, "c0ffee0:..."), originRun(1, "c0ffee1:.F."))
	for _, want := range []string{
		"<title>broken, run 2: example.com/shop</title>",
		"<b>example.com/shop</b>",
		"<span>took 14.2 s</span>",
		"<span>github.com/shop/cart</span>",
		`<a href="https://github.com/shop/cart/commit/c0ffee1" rel="noreferrer noopener">commit c0ffee1: cart: count &lt;b&gt;twice&lt;/b&gt;</a>`,
		`<a href="https://github.com/shop/cart/actions/runs/7" rel="noreferrer noopener">job tests, windows/amd64</a>`,
		`<a href="https://github.com/shop/cart/blob/c0ffee1/shop/order_test.go#L11" rel="noreferrer noopener">shop/order_test.go:11</a></code>`,
		`<code><a href="https://github.com/shop/cart/commit/c0ffee0" rel="noreferrer noopener">c0ffee0</a></code> <span class="soft">cart: count`, // the previous run, in the list
	} {
		if !strings.Contains(page, want) {
			t.Errorf("page lacks %q", want)
		}
	}
}

// Only web addresses become links, whatever a file of results contains.
func TestLinksLeadToTheWebOnly(t *testing.T) {
	for address, good := range map[string]bool{"https://ci.example/7": true, "http://ci.example": true, "javascript:alert(1)": false, "data:text/html,x": false, "//ci.example": false,
		"https://ann:secret@ci.example/": false, "/7": false, "": false, "https://ci.example/\u202e": false, "file:///etc/passwd": false} {
		if got := reports.WebAddress(address); got != "" != good {
			t.Errorf("%q: %q", address, got)
		}
	}
	const base = "https://ci.example/blob/c0ffee/"
	for file, want := range map[string]string{"a b/c_test.go": base + "a%20b/c_test.go#L7", `a\b.go`: base + "a/b.go#L7", "../b.go": "", "/usr/lib/b.go": "", `C:\b.go`: "", "": "", "a/../../b.go": ""} {
		if got := sourceLink(base, file, 7).URL; got != want {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
	if l := sourceLink("javascript:", "a.go", 7); l.URL != "" || l.Text != "a.go:7" {
		t.Errorf("%+v", l)
	}
}

func TestWhatTookFarLongerIsSaid(t *testing.T) {
	quick, slow := sample.CellsRun(0, "a:.."), sample.CellsRun(1, "b:..")
	quick.Suites.Specs[0].Duration, slow.Suites.Specs[0].Duration = 200*time.Microsecond, 300*time.Millisecond
	slow.Seconds = 2
	a := analysisOf(t, analysis.Options{}, quick, slow)
	if all := tiles(a); all[len(all)-1].Note != "aaaaaaaa: 300 ms, was 200 µs" {
		t.Errorf("the tile of the duration: %+v", all[len(all)-1])
	}
	for name, want := range map[string]string{"html": "aaaaaaaa</span>: 200 &#181;s in the previous run, 300 ms now", "md": "200 µs in the previous run, 300 ms now", "terminal": "aaaaaaaa: 300 ms in this run, was 200 µs"} {
		if text := output(t, name, a); !strings.Contains(text, want) {
			t.Errorf("no %q in %s:\n%s", want, name, text)
		}
	}
}

// Intervals and tests are shown for rates over time and for flakes. For specs with the same outcome in
// each run, counts are shown.
func TestNoStatisticsOnCounts(t *testing.T) {
	_, page, _ := strings.Cut(pageText(t, originRun(0, "a:....F"), originRun(1, "b:..FFF")), "<main>")
	for _, banned := range []string{"McNemar", "<th scope=\"col\" class=\"num\">95% band", "p = "} {
		if strings.Contains(page, banned) {
			t.Errorf("page has %q", banned)
		}
	}
}

func TestJobText(t *testing.T) {
	for want, o := range map[string]reports.Origin{
		"":                                   {},
		"job":                                {JobURL: "https://ci.example"},
		"job tests, shard 2/3, linux go1.26": {Job: "tests", Shard: "2/3", OS: "linux", Go: "go1.26"},
	} {
		if diff := cmp.Diff(want, jobText(o)); diff != "" {
			t.Error(diff)
		}
	}
	if row := newTrendRow(history.RunLine{ID: 3}, reports.Origin{}, ""); row.Job.Text != "" || row.Took != "" {
		t.Errorf("%+v", row)
	}
}

// A known flake is counted once.
func TestTheTileOfFailuresCountsAFlakeOnce(t *testing.T) {
	bad := sample.Spec("loses an order", reports.Failed)
	a := analysis.AnalyzeSingleRun(reports.Run{Suites: sample.Results(3, bad)})
	a.Matrix.Compared = true
	a.Failures, a.Flakes = []analysis.Failure{{Spec: &bad, Whose: analysis.KnownFlaky}}, []analysis.Flake{{Spec: bad}}
	if note := tiles(a)[1].Note; note != "1 known flaky" {
		t.Error(note)
	}
}
