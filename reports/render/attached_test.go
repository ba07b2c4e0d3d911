package render

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

// attachedTo returns an analysis of a run in which a failed and a passed spec have the given
// attachments, in a module with the file "out/a b.txt".
func attachedTo(t testing.TB, all ...reports.Attachment) *analysis.Analysis {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"out/a b.txt": "<b>what it wrote</b>", "out/page.html": "<script>alert(1)</script>", "secret.txt": "secret"} {
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bad, good := sample.Spec("loses an order", reports.Failed), sample.Spec("keeps an order", reports.Passed)
	bad.Attachments, good.Attachments = all, all
	a := analysis.AnalyzeSingleRun(reports.Run{ID: 1, Suites: sample.Results(2, bad, good), Complete: true})
	a.Root = root
	return a
}

var attachedSamples = []reports.Attachment{
	{Name: "output", Type: "text/plain", Path: "out/a b.txt"},
	{Name: "gone", Type: "image/png", Path: "out/gone.png"},
	{Name: "job", Path: "https://ci.example.com/a?b=1&c"},
	{Name: "elsewhere"},
	{Name: "<script>", Path: "javascript:alert(1)"}, // as another user of the store may have written it
	{Name: "up", Path: "../secret.txt"},
}

func TestAttachmentsAreLinkedFromThePlaceOfThePage(t *testing.T) {
	a := attachedTo(t, attachedSamples...)
	want := []attachedView{
		{Name: "output", Note: "text/plain", URL: "../../out/a%20b.txt"},
		{Name: "gone", Note: "no longer there: out/gone.png"},
		{Name: "job", URL: "https://ci.example.com/a?b=1&c"},
		{Name: "elsewhere", Note: "outside of the module"},
		{Name: "<script>", Note: "outside of the module"},
		{Name: "up", Note: "outside of the module"},
	}
	files := filesFrom(a, filepath.Join(a.Root, ".flujo", "report"))
	defer files.close()
	if diff := cmp.Diff(want, files.views(&reports.Spec{Attachments: attachedSamples})); diff != "" {
		t.Error(diff)
	}
	var nowhere attachedFiles // as for a page on standard output
	if v := nowhere.views(&reports.Spec{Attachments: attachedSamples}); v[0].URL != "" || v[0].Note != "out/a b.txt" || v[2].URL == "" {
		t.Errorf("%+v", v)
	}
	path, err := WriteReport(filepath.Join(a.Root, ".flujo", "report"), a)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`<a href="../../out/a%20b.txt" rel="noreferrer noopener">output</a>`, `gone <span class="soft small">(no longer there: out/gone.png)</span>`, `&lt;script&gt; <span`} {
		if !strings.Contains(string(page), text) {
			t.Errorf("the page lacks %s", text)
		}
	}
	if strings.Contains(string(page), `href="javascript`) || strings.Contains(string(page), `secret.txt"`) {
		t.Error("the page leads where it must not")
	}
}

// Beyond the limit, the page of a spec contains a hint where its attachments are.
func TestAttachmentsOfManySpecsAreBounded(t *testing.T) {
	r := sample.Results(maxAttached + 3)
	for i := range r.Specs {
		r.Specs[i].Attachments = []reports.Attachment{{Name: "log", Path: "out/a.log"}}
	}
	details := map[string]specDetails{}
	addAttached(analysis.AnalyzeSingleRun(reports.Run{Suites: r, Complete: true}), details, attachedFiles{})
	cut := 0
	for _, d := range details {
		if d.Attached[0].Name != "log" {
			cut++
		}
	}
	if len(details) != len(r.Specs) || cut != 3 {
		t.Errorf("%d of %d specs are cut", cut, len(details))
	}
}

func TestServeAttachedFiles(t *testing.T) {
	a := attachedTo(t, append(attachedSamples, reports.Attachment{Name: "page", Path: "out/page.html"}, reports.Attachment{Name: "folder", Path: "out"}, reports.Attachment{Name: "link", Path: "link.txt"})...)
	outside := filepath.Join(t.TempDir(), "outside.txt")
	if err := os.WriteFile(outside, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(a.Root, "link.txt")); err != nil {
		t.Skip(err)
	}
	live := &Live{Token: liveToken, Analyze: func(context.Context, int64, string) (*analysis.Analysis, error) { return a, nil },
		Find: func(context.Context, string) (int64, error) { return 1, nil }, State: func(context.Context) (string, error) { return "1", nil }}
	s := httptest.NewServer(live)
	defer s.Close()
	live.Hosts = []string{strings.TrimPrefix(s.URL, "http://")}
	if _, page := fetch(t, "GET", s.URL+"/", "", liveToken); !strings.Contains(page, `<a href="/file/1/out/a%20b.txt" rel="noreferrer noopener">output</a>`) {
		t.Error("the page does not lead to the file")
	}
	res, text := fetch(t, "GET", s.URL+"/file/1/out/a%20b.txt", "", liveToken)
	if res.StatusCode != http.StatusOK || text != "<b>what it wrote</b>" || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%s %q %q", res.Status, text, res.Header)
	}
	res, _ = fetch(t, "GET", s.URL+"/file/1/out/page.html", "", liveToken)
	if res.Header.Get("Content-Disposition") != "attachment" || !strings.HasPrefix(res.Header.Get("Content-Security-Policy"), "sandbox; default-src 'none'") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a page that a test wrote is shown as one of the server: %q", res.Header)
	}
	for at, want := range map[string]string{"/file/1/out/gone.png": "this file no longer exists", "/file/1/secret.txt": "404", "/file/1/link.txt": "404", "/file/1/out": "404", "/file/1/..%2fsecret.txt": "404", "/file/x/out/a%20b.txt": "404", "/file/1/": "404"} {
		if res, text := fetch(t, "GET", s.URL+at, "", liveToken); res.StatusCode != http.StatusNotFound || !strings.Contains(text, want) {
			t.Errorf("%s: %s %q", at, res.Status, text)
		}
	}
	if res, _ := fetch(t, "GET", s.URL+"/file/1/out/a%20b.txt", "", ""); res.StatusCode != http.StatusForbidden {
		t.Errorf("without a token: %s", res.Status)
	}
}

// The page of a spec without a card shows its attachments as links or as text.
func attachedInBrowser(tb *tab, path string) {
	tb.open(path)
	tb.view("specs")
	is[int](tb, `([...document.querySelectorAll('[data-spec-row] a')].find(a => a.textContent.includes('keeps an order')).click(), 0)`)
	tb.until(`document.documentElement.dataset.ready === 'spec'`)
	want(tb, "attachments of a spec", "Attached: output (text/plain), gone (no longer there: out/gone.png), job, elsewhere (outside of the module), <script> (outside of the module), up (outside of the module)", `document.querySelector('#spec-page .attached').textContent`)
	want(tb, "addresses of attachments", []string{"../../out/a%20b.txt", "https://ci.example.com/a?b=1&c"}, `[...document.querySelectorAll('#spec-page .attached a')].map(a => a.getAttribute('href'))`)
	is[int](tb, `(document.querySelector('#spec-page .attached a').click(), 0)`)
	tb.do(chromedp.WaitReady("pre"))
	want(tb, "the attached file", "<b>what it wrote</b>", `document.body.innerText`)
}
