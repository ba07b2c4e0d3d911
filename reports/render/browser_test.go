package render

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdpinput "github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/google/go-cmp/cmp"
)

// chromium starts one browser for a test and its subtests, or skips the test if none is installed. The
// browser has an empty profile and makes no requests of its own.
func chromium(t testing.TB) context.Context {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		t.Skip("no Chromium here: install Debian's chromium, or name one in CHROMIUM")
	}
	options := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(2 * time.Minute),
	}, flags("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
		"disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars", "mute-audio")...)
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	browser, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(browser) // waits until the browser has exited, so that its profile can be removed
		cancel()
	})
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return browser
}

func flags(names ...string) []chromedp.ExecAllocatorOption {
	var all []chromedp.ExecAllocatorOption
	for _, name := range names {
		all = append(all, chromedp.Flag(name, true))
	}
	return all
}

// tab is one page with the requests that it made.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	requests []string
	dialogs  []string
}

func newTab(t testing.TB, browser context.Context) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	tb := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, tb.hear); err != nil {
		t.Fatal(err)
	}
	call(tb, network.Enable, network.EnableParams{})
	return tb
}

func (tb *tab) hear(event any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if url := e.Request.URL; !strings.HasPrefix(url, "data:") && url != "about:blank" { // the empty icon
			tb.requests = append(tb.requests, url)
		}
	case *cdppage.EventJavascriptDialogOpening:
		tb.dialogs = append(tb.dialogs, e.Message)
	}
}

// call runs a protocol command.
func call[P, R any](tb *tab, command cdp.Command[P, R], params P) {
	tb.t.Helper()
	if _, err := chromedp.Call(tb.ctx, command, params); err != nil {
		tb.t.Fatal(err)
	}
}

func (tb *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	if err := chromedp.Do(tb.ctx, steps...); err != nil {
		tb.t.Fatal(err)
	}
}

// load loads a page, even if it is already shown.
func (tb *tab) load(path string) {
	tb.t.Helper()
	tb.do(chromedp.Navigate("about:blank"), chromedp.Navigate("file://"+path))
}

// open loads a page and waits until it has parsed its noscript elements.
func (tb *tab) open(path string) {
	tb.t.Helper()
	tb.load(path)
	tb.until(`'whole' in document.documentElement.dataset`)
}

// is evaluates a script.
func is[T any](tb *tab, script string) T {
	tb.t.Helper()
	v, err := chromedp.Run(tb.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		tb.t.Fatalf("%s: %v", script, err)
	}
	return v
}

func want[T any](tb *tab, what string, want T, script string) {
	tb.t.Helper()
	if diff := cmp.Diff(want, is[T](tb, script)); diff != "" {
		tb.t.Errorf("%s: %s", what, diff)
	}
}

func (tb *tab) size(width, height int64, phone bool) {
	tb.t.Helper()
	call(tb, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: phone})
}

func (tb *tab) media(media, scheme string) {
	tb.t.Helper()
	call(tb, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

func written(t testing.TB, a *analysis.Analysis) string {
	t.Helper()
	path, err := WriteReport(t.TempDir(), a)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The panels in their order, by the ids of their headings.
var panels = []string{"rate", "attention", "trend", "specs", "moves", "clusters", "flakes", "slow", "suites", "cost", "runs", "notes", "ledger", "run"}

// The views of the page, by the fragments that lead to them.
var viewNames = []string{"overview", "specs", "cost", "runs", "trust"}

func TestPageInChromium(t *testing.T) {
	browser := chromium(t)
	path, short := written(t, fullAnalysis(240, 40, "")), written(t, fullAnalysis(60, 40, ""))
	for _, test := range []struct {
		name string
		do   func(*tab, string)
	}{{"panels", seesPanels}, {"filters", filters}, {"keyboard", keyboard}, {"schemes", schemes}, {"phone", phone}, {"copy", copies}, {"compare", comparesRuns}, {"charts", chartsLead}, {"without script", withoutScript}, {"access", accessible}, {"axe", axe}, {"axe elsewhere", axeElsewhere}} {
		t.Run(test.name, func(t *testing.T) {
			path := path
			if test.name == "access" || test.name == "axe" {
				path = short // they look at each element
			}
			tb := newTab(t, browser)
			tb.size(1280, 900, false)
			tb.open(path)
			test.do(tb, path)
		})
	}
	if *sample.Pages != "" {
		pictures(newTab(t, browser), path)
	}
	t.Run("layout", func(t *testing.T) { layouts(t, newTab(t, browser)) })
	t.Run("keys alone", func(t *testing.T) { keysAlone(newTab(t, browser), path) })
	t.Run("attached", func(t *testing.T) {
		a := attachedTo(t, attachedSamples...)
		path, err := WriteReport(filepath.Join(a.Root, ".flujo", "report"), a)
		if err != nil {
			t.Fatal(err)
		}
		attachedInBrowser(newTab(t, browser), path)
	})
	t.Run("live", func(t *testing.T) { livePage(newTab(t, browser)) })
	t.Run("hostile", func(t *testing.T) { obeysNobody(newTab(t, browser)) })
	t.Run("large", func(t *testing.T) { large(newTab(t, browser)) })
}

// pictures writes pictures for people: go test ./reports/render -run Chromium -pages DIR.
func pictures(tb *tab, path string) {
	for _, p := range []struct {
		media, scheme string
		width         int64
	}{{"", "light", 1280}, {"", "dark", 1280}, {"", "light", 390}, {"", "dark", 768}, {"", "light", 1920}, {"print", "light", 794}} {
		tb.size(p.width, 900, p.width < 600)
		tb.media(p.media, p.scheme)
		for _, name := range append(viewNames, "spec") {
			if p.media != "" && name != "overview" {
				continue
			}
			tb.open(path)
			if name == "spec" {
				tb.view("specs")
				is[int](tb, `(document.querySelector('[data-spec-row] a').click(), 0)`)
				tb.until(`document.documentElement.dataset.ready === 'spec'`)
			} else {
				tb.view(name)
			}
			png, err := chromedp.Run(tb.ctx, chromedp.FullScreenshot(100))
			if err == nil {
				err = os.WriteFile(filepath.Join(*sample.Pages, fmt.Sprintf("%s-%d-%s%s.png", name, p.width, p.scheme, p.media)), png, 0o644)
			}
			if err != nil {
				tb.t.Fatal(err)
			}
		}
	}
}

// view changes to a view as a click on its tab does, and waits until it is shown.
func (tb *tab) view(name string) {
	tb.t.Helper()
	is[int](tb, fmt.Sprintf(`(location.hash = '#view=%s', 0)`, name))
	tb.until(fmt.Sprintf(`document.documentElement.dataset.ready === %q && document.querySelector('.view[data-view=%s]').checkVisibility()`, name, name))
}

func seesPanels(tb *tab, path string) {
	want(tb, "sections in order", panels, `[...document.querySelectorAll('main section')].map(s => s.getAttribute('aria-labelledby'))`)
	for _, name := range viewNames {
		tb.view(name)
		want(tb, "views shown", []string{name}, `[...document.querySelectorAll('.view')].filter(v => v.checkVisibility()).map(v => v.dataset.view)`)
		want(tb, "the current tab", name, `document.querySelector('.tabs [aria-current]').getAttribute('href').slice(6)`)
		want(tb, "empty sections", []string{}, `[...document.querySelectorAll('main section')].filter(s => s.checkVisibility() && s.getBoundingClientRect().height < 60).map(s => s.getAttribute('aria-labelledby'))`)
		marksInside(tb)
	}
	is[int](tb, `new Promise(r => { addEventListener('hashchange', () => r(0), {once: true}); history.back() })`)
	want(tb, "the view after going back", "runs", `document.documentElement.dataset.ready`)
	tb.view("overview")
	tb.size(1280, 800, false)
	want(tb, "what of the overview is below a screen of 800", []string{}, `[...document.querySelectorAll('main *')].filter(e => e.checkVisibility() && e.getBoundingClientRect().bottom > 800).map(e => e.getBoundingClientRect().bottom + ': ' + e.outerHTML.slice(0, 80)).filter(e => !/: <(main|div class="(view|split))/.test(e))`)
	want(tb, "cards that wait behind one line", "and 14 more", `document.querySelector('details.more > summary').textContent`)
	tb.size(1280, 900, false)
	want(tb, "formulas in the overview", false, `document.querySelector('.view[data-view=overview]').textContent.includes('(W-N)')`)
	want(tb, "charts: blocks, trend, curve, parts, four over the commits", 8, `document.querySelectorAll('figure svg').length`)
	if diff := cmp.Diff([]string{"file://" + path}, tb.asked()); diff != "" {
		tb.t.Errorf("requests: %s", diff)
	}
}

func marksInside(tb *tab) {
	tb.t.Helper()
	want(tb, "marks outside of their chart", []string{}, `[...document.querySelectorAll('figure svg')].flatMap(svg => { const box = svg.getBoundingClientRect();
		return [...svg.querySelectorAll('text,rect,circle,path,line')].filter(m => { const r = m.getBoundingClientRect(); return r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 1 }).map(m => svg.querySelector('title').textContent + ': ' + m.outerHTML) })`)
}

func (tb *tab) asked() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return tb.requests
}

// click clicks at the middle of an element, as a mouse does.
func (tb *tab) click(css string) {
	tb.t.Helper()
	at := is[[]float64](tb, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2] })()`, css))
	tb.do(chromedp.MouseClickXY(at[0], at[1]))
}

// fill focuses a field and types into it.
func (tb *tab) fill(css, text string) {
	tb.t.Helper()
	is[bool](tb, fmt.Sprintf(`(document.querySelector(%q).focus(), true)`, css))
	tb.do(chromedp.KeyEvent(text))
}

// until waits until a script returns true.
func (tb *tab) until(script string) {
	tb.t.Helper()
	is[bool](tb, `new Promise((r, no) => {
		const end = Date.now() + 120000;
		(function look() { (`+script+`) ? r(true) : Date.now() > end ? no(new Error('not after two minutes')) : setTimeout(look, 2) })()
	})`)
}

const listed = `[...document.querySelectorAll('[data-spec-row]')]`

func filters(tb *tab, path string) {
	tb.view("specs")
	all := is[int](tb, listed+".length")
	tb.fill("#q", "promise 44 ")
	want(tb, "the fragment", "#view=specs&q=promise+44+", `location.hash`)
	some := is[int](tb, listed+".length")
	if some == 0 || some >= all {
		tb.t.Errorf("%d of %d entries match", some, all)
	}
	want(tb, "rows that do not match", 0, listed+`.filter(e => !e.textContent.includes('promise 44 ')).length`)
	want(tb, "what is hidden is said", true, fmt.Sprintf(`document.querySelector('#hides').textContent.startsWith('%d of ')`, some))

	tb.open(path + "#q=promise+44+") // a link in the form of older pages
	tb.until(`document.documentElement.dataset.ready === 'specs'`)
	want(tb, "rows after opening the link", some, listed+".length")
	want(tb, "the field after opening the link", "promise 44 ", `document.querySelector('#q').value`)

	tb.click("#clear")
	want(tb, "rows after 'show all'", all, listed+".length")
	failed := is[string](tb, `document.querySelector('[data-status=failed]').textContent`)
	tb.click("[data-status=failed]")
	want(tb, "rows of the state", failed, `'failed ' + `+listed+`.length`)
	want(tb, "rows of another state", 0, listed+`.filter(e => !e.textContent.includes('failed')).length`)
	tb.click("#clear")
	tb.click("[data-sort=took]")
	want(tb, "the slowest first", "97.0 ms", listed+`[0].lastChild.textContent`)
	tb.click("[data-sort=took]")
	want(tb, "sorted the other way", "descending", `document.querySelector('[data-sort=took]').parentElement.getAttribute('aria-sort')`)
	tb.click("#clear")

	n := is[string](tb, `document.querySelector('a[href="#cell-passed-failed"]').textContent`)
	tb.click(`a[href="#cell-passed-failed"]`)
	tb.until(`document.querySelector('#hides').textContent.includes(' match: passed before, failed now')`)
	want(tb, "specs of the cell", n, `String(`+listed+`.length)`)

	tb.open(path + "#owner=storage")
	tb.until(`document.documentElement.dataset.ready === 'specs'`)
	want(tb, "the owner asked for", "storage", `document.querySelector('#owner').value`)

	tb.open(path + "#category=pauses&group=owner")
	tb.until(`document.documentElement.dataset.ready === 'specs'`)
	want(tb, "the groups", []string{"engine", "storage", "agents"}, `[...document.querySelectorAll('tr.suite')].map(e => e.textContent)`)
	want(tb, "specs of the category", 120, `Number(document.querySelector('#hides').textContent.split(' ')[0])`)

	is[int](tb, `(document.querySelector('[data-spec-row] a').click(), 0)`)
	tb.until(`document.documentElement.dataset.ready === 'spec'`)
	want(tb, "the page of a spec", true, `document.querySelector('#spec-page h2').textContent.includes('promise') && document.activeElement.tagName === 'H2'`)
	is[int](tb, openAll)
	want(tb, "its failures before", []string{"1 run, the last: run 4", "2 runs, the last: run 3"}, `[...document.querySelectorAll('#spec-page details > summary')].map(e => e.textContent.split(', 20')[0])`)
	want(tb, "what differs from this run", "-     <int>: 3|+     <int>: 4", `[...document.querySelectorAll('#spec-page details:last-of-type pre span')].map(e => e.textContent.trim()).join('|')`)
	tb.open(path + "#spec=nonesuch")
	tb.until(`document.documentElement.dataset.ready === 'spec'`)
	want(tb, "a spec that is not there", "No such spec", `document.querySelector('#spec-page h2').textContent`)
}

func keyboard(tb *tab, _ string) {
	tb.slash()
	all := is[int](tb, listed+".length")
	tb.do(chromedp.KeyEvent("promise 44 j"))
	want(tb, "keys go to the field", "promise 44 j", `document.activeElement.value`)
	tb.do(chromedp.KeyEvent("\x1b"))
	want(tb, "rows after Esc", all, listed+".length")
	want(tb, "the fragment after Esc", "#view=specs", `location.hash`)
	tb.view("overview")
	tb.do(chromedp.KeyEvent("j"))
	want(tb, "focus after j", "item-1", `document.activeElement.id`)
	tb.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("k"))
	want(tb, "focus after j, j, k", "item-2", `document.activeElement.id`)
	tb.do(chromedp.KeyEvent("\r"))
	want(tb, "Enter opens the card", true, `document.activeElement.firstElementChild.open`)
	want(tb, "a ring around what has the focus", true, `getComputedStyle(document.activeElement).outlineStyle === 'solid' || !document.activeElement.matches(':focus-visible')`)
	want(tb, "things to click that the keyboard cannot reach", []string{}, `[...document.querySelectorAll('a[href],button,input,select,summary')].filter(e => e.tabIndex < 0).map(e => e.outerHTML)`)
}

// slash presses the key for the search.
func (tb *tab) slash() {
	tb.t.Helper()
	call(tb, cdpinput.DispatchKeyEvent, cdpinput.DispatchKeyEventParams{Type: cdpinput.DispatchKeyEventTypeKeyDown, Key: "/", Text: "/"}) // one event, as from a keyboard
	tb.until(`document.activeElement.id === 'q'`)
}

// tabTo presses the Tab key until an element that css selects has the focus.
func (tb *tab) tabTo(css string) {
	tb.t.Helper()
	for range 200 {
		tb.do(chromedp.KeyEvent("\t"))
		if is[bool](tb, fmt.Sprintf(`document.activeElement.matches(%q)`, css)) {
			want(tb, "a ring around "+css, true, `getComputedStyle(document.activeElement).outlineStyle !== 'none' && document.activeElement.matches(':focus-visible')`)
			return
		}
	}
	tb.t.Fatalf("200 times Tab do not lead to %s", css)
}

// keysAlone answers the questions of a reader of a failed run by the keyboard alone: why did a spec
// fail, what did it do before, which others fail like it, and what differs from another run.
func keysAlone(tb *tab, path string) {
	tb.size(1280, 800, false)
	tb.open(path)
	tb.until(`document.documentElement.dataset.ready === 'overview'`)
	tb.tabTo("#item-1 summary")
	tb.do(chromedp.KeyEvent("\r"))
	tb.until(`document.querySelector('#item-1 > details').open`)
	tb.tabTo("#item-1 a[href^='#spec=']")
	tb.do(chromedp.KeyEvent("\r"))
	tb.until(`document.documentElement.dataset.ready === 'spec'`)
	want(tb, "the heading has the focus", "H2", `document.activeElement.tagName`)
	tb.tabTo("#spec-page button.copy")
	tb.slash()
	tb.do(chromedp.KeyEvent("promise 4"))
	tb.tabTo("[data-sort=took]")
	tb.do(chromedp.KeyEvent("\r"))
	tb.until(`location.hash.includes('sort=took')`)
	tb.tabTo("[data-spec-row] a")
	tb.do(chromedp.KeyEvent("\r"))
	tb.until(`document.documentElement.dataset.ready === 'spec'`)
	tb.do(chromedp.KeyEvent("\x1b"))
	tb.until(`document.documentElement.dataset.ready === 'specs'`)
	tb.tabTo(".tabs a[href='#view=runs']")
	tb.do(chromedp.KeyEvent("\r"))
	tb.until(`document.documentElement.dataset.ready === 'runs' && document.querySelector('#compare-0')`)
	tb.tabTo("#compare-0")
	tb.do(chromedp.KeyEvent(kb.ArrowDown))
	tb.until(`location.hash.startsWith('#compare=38,40') && document.querySelector('#compared p')`)
}

// comparesRuns compares two runs of the window.
func comparesRuns(tb *tab, path string) {
	a, differ, broke := fullAnalysis(240, 40, ""), 0, 0
	for i := range a.Run.Suites.Specs {
		cells, _ := a.Outcomes.Of(&a.Run.Suites.Specs[i])
		if cells[2] != cells[39] {
			differ++
			if cells[39] == 'F' {
				broke++
			}
		}
	}
	tb.view("runs")
	is[int](tb, `(['3', '40'].forEach((run, i) => { const s = document.querySelector('#compare-' + i); s.value = run; s.dispatchEvent(new Event('input')) }), 0)`)
	tb.until(`location.hash === '#compare=3,40' && document.documentElement.dataset.ready === 'runs' && document.querySelector('#compared p')`)
	want(tb, "specs that differ", true, fmt.Sprintf(`document.querySelector('#compared p').textContent.startsWith('%d specs of this run differ: ')`, differ))
	want(tb, "those that broke", true, fmt.Sprintf(`document.querySelector('#compared p').textContent.includes('%d passed, then failed')`, broke))
	tb.open(path + "#compare=1,1") // a link to it
	tb.until(`document.documentElement.dataset.ready === 'runs'`)
	want(tb, "a run and itself", "No spec of this run differs between the two.", `document.querySelector('#compared p').textContent`)
}

// chartsLead checks that a point of a chart links to its run.
func chartsLead(tb *tab, _ string) {
	tb.view("cost")
	want(tb, "the last points", []string{"#run-40", "#run-40", "#run-40", "#run-40"}, `[...document.querySelectorAll('.charts svg')].map(s => [...s.querySelectorAll('a')].pop().getAttribute('href'))`)
	want(tb, "points above their limit", true, `document.querySelectorAll('.charts .bad').length > 5 && document.querySelectorAll('.charts .fence').length === 1`)
	want(tb, "marks of a change", 1, `document.querySelectorAll('.charts .mark').length`)
	is[int](tb, `(document.querySelector('.charts a[href="#run-35"]').dispatchEvent(new MouseEvent('click', {bubbles: true})), 0)`)
	tb.until(`document.documentElement.dataset.ready === 'runs'`)
	want(tb, "the run in view", true, `(() => { const r = document.getElementById('run-35').getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight })()`)
}

func schemes(tb *tab, _ string) {
	background := `getComputedStyle(document.body).backgroundColor`
	tb.media("", "light")
	light := is[string](tb, background)
	tb.media("", "dark")
	dark := is[string](tb, background)
	if light != "rgb(255, 255, 255)" || dark == light {
		tb.t.Errorf("light is %s, dark is %s", light, dark)
	}
	tb.media("print", "dark")
	want(tb, "paper", light, background)
	tb.size(794, 1123, false) // A4
	want(tb, "what is wider than paper", []string{}, wider(794, "svg,pre"))
	want(tb, "the tabs on paper", "none", `getComputedStyle(document.querySelector('.tabs')).display`)
}

// wider returns the elements whose right edge is beyond the given number of pixels, except those in a
// box that scrolls. innerWidth cannot be used, because it grows with the content.
func wider(than int, scrolling string) string {
	return fmt.Sprintf(`document.fonts.ready.then(() => [...document.querySelectorAll('body *')].filter(e => !e.parentElement.closest('%s') && !e.matches('.skip') && e.getBoundingClientRect().right > %d + 0.5).map(e => e.getBoundingClientRect().right + ': ' + e.outerHTML.slice(0, 120)))`, scrolling, than)
}

const openAll = `document.querySelectorAll('details').forEach(d => { d.open = true }), 0`

func phone(tb *tab, path string) {
	tb.size(390, 844, true)
	tb.open(path)
	for _, name := range viewNames {
		tb.view(name)
		is[int](tb, openAll)
		want(tb, name+": what is wider than the screen", []string{}, wider(390, ".scroll,svg,pre"))
		want(tb, name+": width of the page", 390, `document.documentElement.scrollWidth`)
		marksInside(tb)
	}
}

func copies(tb *tab, _ string) {
	is[int](tb, openAll)
	command := is[string](tb, `document.querySelector('button.copy').dataset.copy`)
	tb.click("button.copy")
	tb.until(`document.querySelector('#say').textContent.startsWith('Copied')`)
	want(tb, "what is said", "Copied: "+command, `document.querySelector('#say').textContent`)
}

func withoutScript(tb *tab, path string) {
	call(tb, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	tb.load(path)
	call(tb, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{}) // the test itself needs scripts
	want(tb, "the page's script ran", false, `document.documentElement.classList.contains('js')`)
	want(tb, "panels", panels, `[...document.querySelectorAll('main section')].filter(s => s.getBoundingClientRect().height >= 60).map(s => s.getAttribute('aria-labelledby'))`)
	n := is[int](tb, `Number(document.querySelector('a[href="#cell-passed-failed"]').textContent)`)
	want(tb, "specs of a cell of the matrix", n, `document.getElementById('cell-passed-failed').nextElementSibling.children.length`)
	want(tb, "links to nowhere", []string{}, `[...document.links].filter(a => a.checkVisibility() && a.hash && !document.getElementById(a.hash.slice(1)) && !a.hash.startsWith('#view=')).map(a => a.hash)`)
	want(tb, "buttons that would do nothing", 0, `[...document.querySelectorAll('button,input,select')].filter(e => e.checkVisibility()).length`)
	want(tb, "red and flaky specs", true, `document.querySelectorAll('article.card').length >= 10`)
}

// axe checks the page with axe-core, which CI downloads: in light and dark colours, and on a phone.
func axe(tb *tab, path string) {
	script := axeScript(tb.t)
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			tb.size(width, 844, width < 600)
			tb.media("", scheme)
			tb.open(path)
			is[bool](tb, script)
			for _, name := range append(viewNames, "spec") {
				if name == "spec" {
					tb.view("specs")
					is[int](tb, `(document.querySelector('[data-spec-row] a').click(), 0)`)
					tb.until(`document.documentElement.dataset.ready === 'spec'`)
				} else {
					tb.view(name)
				}
				tb.noViolations(fmt.Sprintf("%s, %s, %d wide", name, scheme, width))
			}
		}
	}
}

// axeElsewhere checks what the analysis of [axe] does not contain: the comparison of two runs,
// attachments, a run in progress, several repositories.
func axeElsewhere(tb *tab, path string) {
	script := axeScript(tb.t)
	look := func(what string) {
		for _, scheme := range []string{"light", "dark"} {
			tb.media("", scheme)
			tb.noViolations(what + ", " + scheme)
		}
	}
	tb.open(path + "#compare=3,40")
	is[bool](tb, script)
	tb.until(`document.querySelector('#compared table')`)
	look("two runs")
	a := attachedTo(tb.t, attachedSamples...)
	tb.open(written(tb.t, a) + "#spec=" + shortID(&a.Run.Suites.Specs[3]))
	is[bool](tb, script)
	tb.until(`document.querySelector('#spec-page .attached')`)
	look("attachments")
	var runs underWay
	runs.set(halfWay(4))
	address, _ := servingRuns(tb.t, runs.get)
	tb.do(chromedp.Navigate(address + "/?token=" + liveToken))
	is[bool](tb, script)
	look("a run in progress")
	tb.do(chromedp.Navigate(severalRepositories(tb.t) + "/?token=" + liveToken))
	is[bool](tb, script)
	look("repositories")
}

// axeScript returns axe-core as a script. It skips the test if no file is given.
func axeScript(t testing.TB) string {
	t.Helper()
	file := os.Getenv("AXE_CORE")
	if file == "" {
		t.Skip("AXE_CORE does not name axe.min.js of the npm package axe-core")
	}
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(script) + ";true"
}

// noViolations runs axe-core, which the page has loaded, with all details open.
func (tb *tab) noViolations(what string) {
	tb.t.Helper()
	is[int](tb, openAll)
	want(tb, "axe, "+what, []string{}, `axe.run({resultTypes: ['violations']}).then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.failureSummary.replace(/\n/g, ' ') + ' at ' + n.html.slice(0, 160)).slice(0, 3).join('; ')))`)
}

// attacks contains names and messages that try to run a script, to make a request, to break out of
// their element or to control a terminal.
func attacks() []string {
	var all []string
	for i := range 10 {
		run := fmt.Sprintf("hit(%d)", i)
		for _, form := range []string{
			"<script>%s</script>", "</title><script>%s</script>", "<img src=x onerror=%s>", "\" onmouseover=\"%s\" autofocus onfocus=\"%[1]s", "' onfocus='%s' autofocus='",
			"<svg onload=%s>", "<svg><script>%s</script></svg>", "javascript:%s", "</script><script>%s</script>", "<iframe srcdoc=\"<script>parent.%s</script>\">",
			"<style>@import 'http://attack.invalid/%s';</style>", "<link rel=stylesheet href=http://attack.invalid/%s>", "<img src=//attack.invalid/%s>", "<meta http-equiv=refresh content='0;url=http://attack.invalid/%s'>",
			"<form action=http://attack.invalid/%s><button autofocus>", "<base href=http://attack.invalid/%s>", "{{%s}}", "</pre></article></main><a href=javascript:%s>x</a>", "\x1b[31m%s\u202e\u2066\u009b\x00\x7f", "-->]]></style></svg><script>%s//",
		} {
			all = append(all, fmt.Sprintf(form, run))
		}
	}
	return all // 200
}

// attacked returns an analysis with an attack in every field that others can write.
func attacked() *analysis.Analysis {
	a := fullAnalysis(60, 12, " "+strings.Join(attacks()[:20], " "))
	for i, attack := range attacks() {
		s := sample.Spec(attack, reports.Failed)
		s.Suite, s.Containers, s.Message, s.Detail, s.File, s.Occurrence = attack, []string{attack}, attack, attack, attack, i
		s.Labels = []string{attack, "owner:" + attack}
		a.Moves = append(a.Moves, analysis.Move{Kind: reports.Broke, Spec: &s, Before: reports.Passed, Now: reports.Failed})
		a.Run.Suites.Specs = append(a.Run.Suites.Specs, s)
		a.Attention = append([]analysis.Attention{{Kind: analysis.NewlyBroken, Spec: &s, Message: attack, Rerun: "go test -run " + attack, Owner: attack, Cluster: -1}}, a.Attention...)
		a.Clusters = append(a.Clusters, analysis.Cluster{Message: attack, Pattern: attack, Place: attack, Specs: []*reports.Spec{&s}})
	}
	a.Headline.Reason, a.Headline.Next, a.Notes = strings.Join(attacks()[:20], " "), attacks()[:20], attacks()
	long := strings.Repeat("w", 300)
	a.Facts = append(a.Facts, reports.Fact{Name: long, Value: long})
	return a
}

func obeysNobody(tb *tab) {
	a := attacked()
	path := written(tb.t, a)
	call(tb, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: `window.hits = []; window.hit = i => window.hits.push(i)`})
	tb.open(path)
	tb.view("specs")
	tb.fill("#q", "hit(3)")
	is[int](tb, `(document.querySelector('[data-spec-row] a').click(), 0)`)
	tb.until(`document.documentElement.dataset.ready === 'spec'`)
	tb.view("overview")
	is[int](tb, `document.querySelectorAll('a,button,summary').forEach(e => { if (!e.hash || !e.hash.startsWith('#cell')) { e.focus(); } }), 0`)
	is[int](tb, `document.querySelectorAll('summary').forEach(e => e.click()), new Promise(r => requestAnimationFrame(() => r(0)))`)
	want(tb, "scripts that ran", []int{}, `window.hits`)
	want(tb, "scripts, frames, forms, images", "1 0 0 0", `['script', 'iframe', 'form', 'img'].map(n => document.querySelectorAll(n).length).join(' ')`)
	want(tb, "handlers", 0, `[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length`)
	want(tb, "links elsewhere", []string{}, `[...document.links].map(a => a.getAttribute('href')).filter(h => !h.startsWith('#'))`)
	want(tb, "characters that act", 0, `(document.documentElement.outerHTML.match(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g) || []).length`)
	if diff := cmp.Diff([]string{"file://" + path}, tb.asked()); diff != "" || len(tb.dialogs) > 0 {
		tb.t.Errorf("requests: %s; dialogs: %q", diff, tb.dialogs)
	}
	tb.size(390, 844, true)
	tb.open(path)
	is[int](tb, openAll)
	want(tb, "what is wider than a phone", []string{}, wider(390, ".scroll,svg,pre"))
}

// large checks a page of the largest supported size; [BenchmarkPage] measures it.
func large(tb *tab) {
	path := written(tb.t, fullAnalysis(2300, 200, ""))
	if info, err := os.Stat(path); err != nil || info.Size() > 1500<<10 {
		tb.t.Errorf("%d bytes, at most 1.5 MB: %v", info.Size(), err)
	}
	path = written(tb.t, fullAnalysis(100_000, 60, ""))
	if info, err := os.Stat(path); err != nil || info.Size() > 8<<20 {
		tb.t.Errorf("%d bytes, at most 8 MB: %v", info.Size(), err)
	}
	tb.open(path)
	want(tb, "cards in the document", maxAttention, `document.querySelectorAll('article.card').length`)
	tb.view("specs")
	want(tb, "rows in the document", 100, listed+".length")
	want(tb, "pages", true, `document.querySelector('.pager').textContent.includes('page 1 of 1,001')`)
	tb.click("[data-page='2']")
	want(tb, "rows of the second page", 100, listed+".length")
	is[int](tb, `(document.querySelector('#q').value = 'promise 99999 ', document.querySelector('#q').dispatchEvent(new Event('input')), 0)`)
	want(tb, "the one that is searched", 1, listed+".length")
	is[int](tb, `(document.querySelector('[data-spec-row] a').click(), 0)`)
	tb.until(`document.documentElement.dataset.ready === 'spec'`)
	want(tb, "its page", true, `document.querySelector('#spec-page h2').textContent.includes('promise 99999 ')`)
}
