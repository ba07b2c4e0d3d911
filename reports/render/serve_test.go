package render

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/reports/live"
)

const liveToken = "a-token-of-the-test"

// serving is a server whose test decides when the next run is recorded.
func serving(t testing.TB) (address string, next func()) {
	t.Helper()
	return servingRuns(t, nil)
}

// servingRuns is [serving] of a module in which runs are in progress.
func servingRuns(t testing.TB, inProgress func() []live.Following) (address string, next func()) {
	t.Helper()
	var runs atomic.Int64
	runs.Store(1)
	live := &Live{Token: liveToken, Once: "once-only", Every: time.Millisecond, Runs: inProgress,
		Find: func(_ context.Context, name string) (int64, error) {
			if id, ok := map[string]int64{"1": 1, "9": 9, "c0ffee01": 1}[name]; ok {
				return id, nil
			}
			return 0, history.ErrNoRun
		},
		State: func(context.Context) (string, error) { return strings.Repeat("+", int(runs.Load())), nil },
		Analyze: func(_ context.Context, id int64, against string) (*analysis.Analysis, error) {
			run, earlier := sample.HeldRun()
			if against != "" {
				run.Branch = "against-" + against
			}
			switch run.ID = runs.Load(); {
			case id > run.ID:
				return nil, history.ErrNoRun
			case id != 0:
				run.ID = id
			}
			return analyzed(run, earlier), nil
		}}
	s := httptest.NewServer(live)
	t.Cleanup(func() {
		s.CloseClientConnections() // a page may still wait for events
		s.Close()
	})
	live.Hosts = []string{strings.TrimPrefix(s.URL, "http://")}
	return s.URL, func() { runs.Add(1) }
}

// fetch makes a request and does not follow redirects.
func fetch(t *testing.T, method, address, host, token string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	if token != "" {
		r.AddCookie(&http.Cookie{Name: "flujo-" + r.URL.Port(), Value: token})
	}
	r.Header.Set("Origin", "http://attack.invalid")
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestServeRefuses(t *testing.T) {
	address, _ := serving(t)
	u, _ := url.Parse(address)
	for name, test := range map[string]struct {
		method, path, host, token string
		status                    int
	}{
		"right":                   {"GET", "/", "", liveToken, 200},
		"an older run":            {"GET", "/?run=1", "", liveToken, 200},
		"a run that is not there": {"GET", "/?run=9", "", liveToken, 404},
		"a run that is no number": {"GET", "/?run=x", "", liveToken, 404},
		"a run by its digest":     {"GET", "/run/c0ffee01", "", liveToken, 200},
		"no such digest":          {"GET", "/run/c0ffee02", "", liveToken, 404},
		"an empty name":           {"GET", "/run/../history.db", "", liveToken, 404},
		"two runs":                {"GET", "/compare?a=1&b=c0ffee01", "", liveToken, 200},
		"one of two runs":         {"GET", "/compare?a=1", "", liveToken, 400},
		"two runs, one not there": {"GET", "/compare?a=1&b=2", "", liveToken, 404},
		"the first not there":     {"GET", "/compare?a=2&b=1", "", liveToken, 404},
		"a spec":                  {"GET", "/spec/0123abcd", "", liveToken, 303},
		"a spec that is none":     {"GET", "/spec/..%2f", "", liveToken, 404},
		"a digest, no token":      {"GET", "/run/c0ffee01", "", "", 403},
		"two runs, no token":      {"GET", "/compare?a=1&b=1", "", "", 403},
		"a spec, no token":        {"GET", "/spec/0123abcd", "", "", 403},
		"no token":                {"GET", "/", "", "", 403},
		"another token":           {"GET", "/", "", liveToken + "x", 403},
		"another in the address":  {"GET", "/?token=x", "", "", 403},
		"events without a token":  {"GET", "/events?after=x", "", "", 403},
		"a foreign name":          {"GET", "/", "attack.invalid", liveToken, 421},
		"a name that ends so":     {"GET", "/", "attack.invalid." + u.Host, liveToken, 421},
		"another port":            {"GET", "/", "127.0.0.1:1", liveToken, 421},
		"a name with a dot":       {"GET", "/", "127.0.0.1.:" + u.Port(), liveToken, 421},
		"runs in progress":        {"GET", "/live", "", liveToken, 200},
		"in progress, no token":   {"GET", "/live", "", "", 403},
		"POST":                    {"POST", "/", "", liveToken, 405},
		"OPTIONS":                 {"OPTIONS", "/", "", liveToken, 405},
		"HEAD":                    {"HEAD", "/", "", liveToken, 405},
		"elsewhere":               {"GET", "/history.db", "", liveToken, 404},
		"up":                      {"GET", "/../history.db", "", liveToken, 404},
	} {
		t.Run(name, func(t *testing.T) {
			res, body := fetch(t, test.method, address+test.path, test.host, test.token)
			if res.StatusCode != test.status {
				t.Errorf("status %d, want %d: %s", res.StatusCode, test.status, text.Cut(body, 200))
			}
			csp := res.Header.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
				if !strings.Contains(csp, part) {
					t.Errorf("policy %q lacks %q", csp, part)
				}
			}
			if strings.Contains(csp, "unsafe") {
				t.Errorf("policy %q", csp)
			}
			for header := range res.Header {
				if strings.HasPrefix(header, "Access-Control-") {
					t.Errorf("%s: %s", header, res.Header.Get(header))
				}
			}
			if test.status != 200 && strings.Contains(body, "resumes") {
				t.Error("a refusal tells of the run")
			}
		})
	}
}

// The server moves the token from the address to a cookie that scripts and other sites cannot read.
func TestServeKeepsTheTokenOutOfTheAddress(t *testing.T) {
	address, _ := serving(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Jar: jar}).Get(address + "/?token=" + liveToken)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != 200 || res.Request.URL.String() != address+"/" || !strings.Contains(string(body), `data-live="/events?after=`) || strings.Contains(string(body), liveToken) {
		t.Errorf("status %d at %s", res.StatusCode, res.Request.URL)
	}
	first, _ := fetch(t, "GET", address+"/?token="+liveToken, "", "")
	if c := first.Header.Get("Set-Cookie"); !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Strict") {
		t.Errorf("cookie %q", c)
	}
}

// A one-time address admits only the first client that uses it.
func TestServeTakesAnotherTokenOnce(t *testing.T) {
	address, _ := serving(t)
	for i, want := range []int{303, 403} {
		if res, _ := fetch(t, "GET", address+"/?token=once-only", "", ""); res.StatusCode != want {
			t.Errorf("use %d: status %d, want %d", i+1, res.StatusCode, want)
		}
	}
}

func TestServeAddresses(t *testing.T) {
	address, _ := serving(t)
	if res, _ := fetch(t, "GET", address+"/spec/0123abcd", "", liveToken); res.Header.Get("Location") != "/#spec=0123abcd" {
		t.Errorf("the spec is at %q", res.Header.Get("Location"))
	}
	if _, page := fetch(t, "GET", address+"/compare?a=c0ffee01&b=1", "", liveToken); !strings.Contains(page, "against-1") || strings.Contains(page, `data-live="/`) {
		t.Error("the page is not of the two runs, or is replaced when a run arrives")
	}
	if _, page := fetch(t, "GET", address+"/run/1", "", liveToken); !strings.Contains(page, `<a href="/" rel="noreferrer noopener">to the newest run</a>`) {
		t.Error("no way back to the newest run")
	}
}

// The list of runs links to the page of each run by its digest, which is the same in every copy of the
// history.
func TestServedRunsHaveAddresses(t *testing.T) {
	a := analysisOf(t, analysis.Options{}, sample.Cells("a:.", "b:.")...)
	p := newPage(a, attachedFiles{})
	if p.Trend.Rows[0].URL != "" {
		t.Errorf("a file leads to %q", p.Trend.Rows[0].URL)
	}
	p.serve(a.Trend.Points, "")
	for i, row := range p.Trend.Rows {
		if digest := a.Trend.Points[1-i].Digest; len(digest) != 16 || row.URL != "/run/"+digest {
			t.Errorf("run %s is at %q", row.Run, row.URL)
		}
	}
}

func TestServeTellsOfNewRuns(t *testing.T) {
	address, next := serving(t)
	r, _ := http.NewRequestWithContext(t.Context(), "GET", address+"/events?after=%2B", nil)
	r.AddCookie(&http.Cookie{Name: "flujo-" + r.URL.Port(), Value: liveToken})
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in := bufio.NewReader(res.Body)
	if line, err := in.ReadString('\n'); err != nil || line != ": nothing new\n" {
		t.Fatalf("%q, %v", line, err)
	}
	next()
	rest, err := io.ReadAll(in) // it ends when there is news
	if err != nil || !strings.HasSuffix(string(rest), "event: run\ndata: ++\n\n") {
		t.Errorf("%q, %v", rest, err)
	}
}

// underWay is a run in progress, whose state the test changes.
type underWay struct {
	mu   sync.Mutex
	runs []live.Following
}

func (u *underWay) set(runs ...live.Following) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.runs = runs
}

func (u *underWay) get() []live.Following {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.runs
}

// halfWay returns a run in which some specs have ended.
func halfWay(done int) live.Following {
	r := live.Run{Command: "flujo-harness run", Started: sample.Noon, Updated: sample.Noon.Add(time.Minute), Known: 10, Left: 12, Now: "adds <b>" + sample.Hostile,
		Counts: reports.Counts{Passed: done - 1, Failed: 1}, Last: []string{"orders > adds" + sample.Hostile},
		Suites: []live.Suite{{Name: "orders", State: live.Running, Counts: reports.Counts{Passed: done - 1, Failed: 1}, Seconds: 2}, {Name: "flows" + sample.Hostile, State: live.Waiting}},
		Failed: []live.Failure{{Name: "orders > pays" + sample.Hostile, File: "orders/a_test.go", Line: 7, Message: "got 495" + sample.Hostile}}}
	return live.Following{Run: r}
}

// The page shows a run in progress, even if the history has no runs, and a run whose process ended early.
func TestServeShowsRunsInProgress(t *testing.T) {
	var runs underWay
	runs.set(halfWay(4))
	address, _ := servingRuns(t, runs.get)
	for _, path := range []string{"/", "/live"} {
		_, body := fetch(t, "GET", address+path, "", liveToken)
		for _, part := range []string{"4 of 10 specs, 1 failed, 1 package to begin, about 12 s left.", "orders &gt; pays", "orders/a_test.go:7", "got 495", "RUNNING"} {
			if !strings.Contains(body, part) {
				t.Errorf("%s lacks %q", path, part)
			}
		}
		if i := strings.Index(body, sample.Hostile); i >= 0 {
			t.Errorf("%s has the text of others as it was", path)
		}
	}
	if _, body := fetch(t, "GET", address+"/run/1", "", liveToken); strings.Contains(body, "RUNNING") {
		t.Error("the page of an older run shows the run in progress")
	}
	died := halfWay(4)
	died.CutOff = true
	runs.set(died)
	_, body := fetch(t, "GET", address+"/live", "", liveToken)
	for _, part := range []string{"CUT OFF", "its process ended at 12:01:00 UTC, after 4 of 10 specs, 1 failed. This run is not in the history.", "cut off</td>"} {
		if !strings.Contains(body, part) {
			t.Errorf("cut off: no %q in %s", part, body)
		}
	}
	for _, part := range []string{"RUNNING", "Running now"} {
		if strings.Contains(body, part) {
			t.Errorf("cut off: %q", part)
		}
	}
}

func TestServeOfAHistoryWithoutARun(t *testing.T) {
	var runs underWay
	runs.set(halfWay(4))
	l := &Live{Token: liveToken, Every: time.Millisecond, Runs: runs.get, State: func(context.Context) (string, error) { return "empty", nil },
		Analyze: func(context.Context, int64, string) (*analysis.Analysis, error) { return nil, analysis.ErrNoRuns }}
	s := httptest.NewServer(l)
	defer s.Close()
	l.Hosts = []string{strings.TrimPrefix(s.URL, "http://")}
	res, body := fetch(t, "GET", s.URL+"/", "", liveToken)
	if res.StatusCode != 200 || !strings.Contains(body, "NO RUN YET") || !strings.Contains(body, "4 of 10 specs") {
		t.Errorf("status %d: %s", res.StatusCode, text.Cut(body, 2000))
	}
}

func TestServeTellsOfRunsInProgress(t *testing.T) {
	var runs underWay
	runs.set(halfWay(4))
	address, next := servingRuns(t, runs.get)
	r, _ := http.NewRequestWithContext(t.Context(), "GET", address+"/events?after=%2B", nil)
	r.AddCookie(&http.Cookie{Name: "flujo-" + r.URL.Port(), Value: liveToken})
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in := bufio.NewReader(res.Body)
	until := func(want string) {
		t.Helper()
		for {
			switch line, err := in.ReadString('\n'); {
			case err != nil:
				t.Fatalf("no %q: %v", want, err)
			case line == want+"\n":
				return
			}
		}
	}
	until("event: live") // the current state
	until(": nothing new")
	runs.set(halfWay(5))
	until("event: live")
	until(": nothing new")
	runs.set()
	until("event: live")
	next()
	until("event: run")
}

// livePage checks in the browser that the page reloads when a run is recorded, and keeps its filter.
func livePage(tb *tab) {
	var runs underWay
	runs.set(halfWay(4))
	address, next := servingRuns(tb.t, runs.get)
	tb.do(chromedp.Navigate(address + "/?token=" + liveToken))
	want(tb, "the address", address+"/", `location.href`)
	want(tb, "the run in progress", true, `document.querySelector('#live').textContent.includes('4 of 10 specs')`)
	is[int](tb, `(window.sameDocument = 1)`)
	runs.set(halfWay(9))
	tb.until(`document.querySelector('#live').textContent.includes('9 of 10 specs')`)
	want(tb, "the document was not loaded again", 1, `window.sameDocument`)
	want(tb, "elements made of the text of others", 0, `document.querySelectorAll('#live b, #live script, #live img').length`)
	want(tb, "its failure", true, `document.querySelector('#live article pre').textContent.startsWith('got 495')`)
	runs.set()
	tb.until(`document.querySelector('#live').childElementCount === 0`)
	tb.view("specs")
	tb.fill("#q", "loop")
	loaded := chromedp.Events(tb.ctx, cdppage.LoadEventFired)
	next()
	for _, err := range loaded {
		if err != nil {
			tb.t.Fatal(err)
		}
		break
	}
	want(tb, "the title", "held, run 2: flujo-harness report", `document.title`)
	want(tb, "the filter", "#view=specs&q=loop", `location.hash`)
	for _, asked := range tb.asked() {
		if !strings.HasPrefix(asked, address+"/") {
			tb.t.Errorf("request to %s", asked)
		}
	}
}
