package render

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

// severalRepositories serves two histories, a damaged one, and one without runs.
func severalRepositories(t testing.TB) (address string) {
	t.Helper()
	tell := func(branch string, failed error) func(context.Context, int64, string) (*analysis.Analysis, error) {
		return func(context.Context, int64, string) (*analysis.Analysis, error) {
			run, earlier := sample.BrokenRun()
			run.Branch = branch
			return analyzed(run, earlier), failed
		}
	}
	all := &Repositories{Door: &Live{Token: liveToken, Once: "once-only"}}
	for name, tell := range map[string]func(context.Context, int64, string) (*analysis.Analysis, error){
		"shop": tell("<b>main</b>", nil), "pay": tell("pay", nil), "damaged": tell("", errors.New("it is <b>damaged</b>")), "new": tell("", analysis.ErrNoRuns)} {
		all.All = append(all.All, Repository{Name: name, Live: &Live{Every: time.Millisecond, Prefix: "/" + name, Analyze: tell,
			State: func(context.Context) (string, error) { return "1", nil },
			Find: func(_ context.Context, name string) (int64, error) {
				if name == "1" {
					return 1, nil
				}
				return 0, history.ErrNoRun
			}}})
	}
	s := httptest.NewServer(all)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	all.Door.Hosts = []string{strings.TrimPrefix(s.URL, "http://")}
	return s.URL
}

// One server serves several histories, each below its name, and links on its pages stay below it.
func TestRepositories(t *testing.T) {
	address := severalRepositories(t)
	for path, want := range map[string]int{"/": 200, "/shop": 303, "/shop/": 200, "/shop/run/1": 200, "/shop/run/2": 404, "/shop/compare?a=1&b=1": 200, "/shop/spec/0123abcd": 303, "/shop/live": 200,
		"/shopping/": 404, "/run/1": 404, "/events": 404, "/damaged/": 500, "/new/": 200, "/pay/": 200, "/nothing": 404} {
		if res, body := fetch(t, "GET", address+path, "", liveToken); res.StatusCode != want {
			t.Errorf("%s: status %d, want %d: %.200s", path, res.StatusCode, want, body)
		}
		// The token is required for every page.
		for what, res := range map[string]int{"no token": code(t, "GET", address+path, "", ""), "another host": code(t, "GET", address+path, "attack.invalid", liveToken), "POST": code(t, "POST", address+path, "", liveToken)} {
			if res != map[string]int{"no token": 403, "another host": 421, "POST": 405}[what] {
				t.Errorf("%s, %s: status %d", path, what, res)
			}
		}
	}
	res, page := fetch(t, "GET", address+"/", "", liveToken)
	for _, want := range []string{`<a href="/shop/">shop</a>`, `<a href="/pay/">pay</a>`, "&lt;b&gt;main&lt;/b&gt;", "it is &lt;b&gt;damaged&lt;/b&gt;", "no run yet"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of all has no %s", want)
		}
	}
	if _, again := fetch(t, "GET", address+"/?reload", "", liveToken); !strings.Contains(again, `http-equiv="refresh"`) || strings.Contains(page, `http-equiv="refresh"`) {
		t.Error("the page is loaded again unasked, or not when asked")
	}
	if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(page, "<script") {
		t.Errorf("policy %q", policy)
	}
	_, page = fetch(t, "GET", address+"/shop/", "", liveToken)
	if !strings.Contains(page, `data-live="/shop/events?after=1"`) || !strings.Contains(page, `<a href="/" rel="noreferrer noopener">all repositories</a>`) {
		t.Error("the page of one does not ask for its own news, or does not lead back")
	}
	for _, link := range regexp.MustCompile(`href="(/[^"]*)"`).FindAllStringSubmatch(page, -1) {
		if link[1] != "/" && !strings.HasPrefix(link[1], "/shop/") {
			t.Errorf("a link leads to %s", link[1])
		}
	}
	if res, _ := fetch(t, "GET", address+"/shop/spec/0123abcd", "", liveToken); res.Header.Get("Location") != "/shop/#spec=0123abcd" {
		t.Error(res.Header.Get("Location"))
	}
}

func code(t *testing.T, method, address, host, token string) int {
	t.Helper()
	res, _ := fetch(t, method, address, host, token)
	return res.StatusCode
}

// The jobs of one commit are shown together, each with its newest run.
func TestJobsOfACommit(t *testing.T) {
	run, earlier := sample.BrokenRun()
	a := analyzed(run, earlier)
	a.Run.Commit = "aaaaaaaaaaaa"
	a.Trend.Points = nil
	for i, cell := range []string{"test|linux/amd64 go1.26|", "test|windows/amd64 go1.26|", "test|linux/amd64 go1.26|"} {
		l := history.RunLine{ID: int64(i + 1), Commit: "aaaaaaaaaaaa", Cell: cell}
		if i == 2 {
			l.Outcome = a.Run.Outcome
		}
		a.Trend.Points = append(a.Trend.Points, l)
	}
	got := fmt.Sprint(jobMarks(a))
	if want := "[{test linux/amd64 go1.26 broken ✗ broken} {test windows/amd64 go1.26 inconclusive ? inconclusive}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// What a job compared after its tests does not hide them.
	a.Trend.Points = append(a.Trend.Points, history.RunLine{ID: 4, Commit: "aaaaaaaaaaaa", Cell: a.Trend.Points[2].Cell, Measured: true})
	got = fmt.Sprint(jobMarks(a))
	if !strings.Contains(got, ", measured inconclusive") || !strings.Contains(got, "broken ✗ broken") {
		t.Errorf("%s: want both the comparison and the tests", got)
	}
	a.Trend.Points = a.Trend.Points[:1]
	if jobMarks(a) != nil {
		t.Error("one job has a matrix")
	}
}

func TestNamesOfRepositories(t *testing.T) {
	for _, bad := range []string{"", ".", "..", "a/b", "a b", "-a", "a?", strings.Repeat("a", 65), "ä"} {
		if CheckRepository(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
