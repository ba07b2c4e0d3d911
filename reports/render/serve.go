package render

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/live"
)

// Live serves the pages of a history and updates them when runs arrive. It is an [http.Handler] for
// one user on one machine: it answers only GET requests with the token whose Host is exactly one of
// Hosts. The last condition prevents DNS rebinding: another page can let its own host name resolve
// to this machine, but cannot change the Host of its requests. Nothing can be changed through it.
type Live struct {
	// Analyze analyzes a run, or the newest one for 0. against is the run to compare with, as in
	// [analysis.Options]; "" means the baseline run.
	Analyze func(ctx context.Context, run int64, against string) (*analysis.Analysis, error)

	Find  func(ctx context.Context, name string) (int64, error) // returns the ID of a run given by its ID or digest
	State func(ctx context.Context) (string, error)             // returns a text that changes when a run is added to or removed from the history
	Runs  func() []live.Following                               // returns runs in progress and interrupted runs; may be nil
	Hosts []string                                              // such as "127.0.0.1:8517"
	Token string
	Every time.Duration // interval of the checks for a new run; must be positive

	// Prefix is the start of the addresses of all pages, such as "/shop" for one of several
	// [Repositories]. It may be "".
	Prefix string

	// Once is a second token, which is valid for one request, for an address that others may see,
	// such as in the arguments of a browser process. "" means none.
	Once string
	used atomic.Bool
}

// cookie returns the name of the cookie that replaces the token in the address. Cookies belong to a
// host, not to a port, so the name distinguishes several servers.
func cookie(r *http.Request) string {
	_, port, _ := net.SplitHostPort(r.Host)
	return "flujo-" + port
}

// ServeHTTP answers
//
//	/                   the newest run, live; with "?run=NAME" another one
//	/run/NAME           a run by its digest, or by its number in this history
//	/compare?a=A&b=B    run B compared with run A
//	/spec/ID            a spec of the newest run
//	/file/RUN/PATH      a file that is attached to a spec of a run
//	/live               the part of the page that shows runs in progress
//	/events             news of the history and of runs in progress, as server-sent events
func (l *Live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.admits(w, r) {
		l.answer(w, r)
	}
}

// admits reports whether a request may be answered. If not, it writes the error.
func (l *Live) admits(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Set("Content-Security-Policy", policy(true)+"; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	switch {
	case !slices.Contains(l.Hosts, r.Host):
		http.Error(w, "this server has another name: use the address that flujo-harness serve printed", http.StatusMisdirectedRequest)
	case r.Method != http.MethodGet:
		h.Set("Allow", http.MethodGet)
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
	case l.opens(r.URL.Query().Get("token")):
		http.SetCookie(w, &http.Cookie{Name: cookie(r), Value: l.Token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		h.Set("Location", "/")
		w.WriteHeader(http.StatusSeeOther)
	case !l.allowed(r):
		http.Error(w, "no token: use the address that flujo-harness serve printed", http.StatusForbidden)
	default:
		return true
	}
	return false
}

// answer answers an admitted request.
func (l *Live) answer(w http.ResponseWriter, r *http.Request) {
	switch at := strings.TrimPrefix(r.URL.Path, l.Prefix); {
	case at == "/":
		l.page(w, r, r.URL.Query().Get("run"), "")
	case strings.HasPrefix(at, "/run/"):
		l.page(w, r, strings.TrimPrefix(at, "/run/"), "")
	case at == "/compare":
		l.compare(w, r)
	case specPath.MatchString(at):
		w.Header().Set("Location", l.Prefix+"/#spec="+path.Base(at))
		w.WriteHeader(http.StatusSeeOther)
	case strings.HasPrefix(at, "/file/"):
		l.file(w, r, strings.TrimPrefix(at, "/file/"))
	case at == "/live":
		l.running(w)
	case at == "/events":
		l.events(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (l *Live) knows(token string) bool {
	return l.Token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(l.Token)) == 1
}

// opens reports whether a token in the address is valid.
func (l *Live) opens(token string) bool {
	if l.knows(token) {
		return true
	}
	return l.Once != "" && subtle.ConstantTimeCompare([]byte(token), []byte(l.Once)) == 1 && !l.used.Swap(true)
}

var specPath = regexp.MustCompile(`^/spec/[0-9a-f]+$`)

func (l *Live) allowed(r *http.Request) bool {
	c, err := r.Cookie(cookie(r))
	return err == nil && l.knows(c.Value)
}

// compare answers with run b compared with run a.
func (l *Live) compare(w http.ResponseWriter, r *http.Request) {
	a, b := r.URL.Query().Get("a"), r.URL.Query().Get("b")
	if a == "" || b == "" {
		http.Error(w, "compare: name two runs, as in /compare?a=12&b=15", http.StatusBadRequest)
		return
	}
	number, err := l.Find(r.Context(), a)
	if err != nil {
		refuse(w, err)
		return
	}
	l.page(w, r, b, strconv.FormatInt(number, 10))
}

// refuse responds with an error.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var against *analysis.AgainstError
	switch {
	case errors.Is(err, history.ErrNoRun), errors.Is(err, analysis.ErrNoRuns):
		status = http.StatusNotFound
	case errors.As(err, &against):
		status = http.StatusBadRequest
	}
	http.Error(w, reports.Visible(err.Error()), status)
}

// page answers with the page of a run, the newest for "".
func (l *Live) page(w http.ResponseWriter, r *http.Request, name, against string) {
	run := int64(0)
	if name != "" {
		var err error
		if run, err = l.Find(r.Context(), name); err != nil {
			refuse(w, err)
			return
		}
	}
	state, failed := l.State(r.Context()) // before the analysis: what comes between is news
	a, err := l.Analyze(r.Context(), run, against)
	var p page
	switch {
	case run == 0 && failed == nil && errors.Is(err, analysis.ErrNoRuns):
		p = beforeTheFirst()
	case errors.Join(err, failed) != nil:
		refuse(w, errors.Join(err, failed))
		return
	default:
		files := openAttached(a)
		defer files.close()
		files.href = l.fileAddress(a.Run.ID)
		p = newPage(a, files)
		p.serve(a.Trend.Points, l.Prefix)
	}
	if l.Prefix != "" {
		p.Meta = append(p.Meta, link{"all repositories", "/"})
	}
	if run != 0 {
		p.Meta = append(p.Meta, link{"to the newest run", l.Prefix + "/"})
	} else {
		p.Live, p.Running = l.Prefix+"/events?after="+url.QueryEscape(state), runningViews(l.runs())
	}
	var text bytes.Buffer
	if err := render(&text, p); err != nil {
		http.Error(w, reports.Visible(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text.Bytes()) // who went away needs no answer
}

// serve adds the links that only a server answers.
func (p *page) serve(lines []history.RunLine, prefix string) {
	p.serveSeries(lines, prefix)
	for i := range p.Trend.Rows { // the newest first
		if digest := lines[len(lines)-1-i].Digest; digest != "" {
			p.Trend.Rows[i].URL = prefix + "/run/" + digest
		}
	}
}

// runs are those in progress.
func (l *Live) runs() []live.Following {
	if l.Runs == nil {
		return nil
	}
	return l.Runs()
}

// running answers with the part of the page that shows runs in progress.
func (l *Live) running(w http.ResponseWriter) {
	var text bytes.Buffer
	if err := pageTemplate().ExecuteTemplate(&text, "running", runningViews(l.runs())); err != nil {
		http.Error(w, reports.Visible(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text.Bytes()) // who went away needs no answer
}

// events sends server-sent events when a run makes progress and when the history differs from the
// requested state. After the latter it ends, because the page reloads.
func (l *Live) events(w http.ResponseWriter, r *http.Request) {
	after, moved := r.URL.Query().Get("after"), "null" // no run in progress
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	tick := time.NewTicker(l.Every)
	defer tick.Stop()
	for {
		state, err := l.State(r.Context())
		runs, _ := json.Marshal(l.runs()) // texts, numbers and times
		text := ": nothing new\n\n"       // and a reader that has gone is found out
		switch {
		case err != nil:
			text = "event: fault\ndata: " + reports.Visible(err.Error()) + "\n\n"
		case state != after:
			text = "event: run\ndata: " + reports.Visible(state) + "\n\n"
		case string(runs) != moved:
			text = "event: live\ndata: moved\n\n"
		}
		moved = string(runs)
		if _, gone := w.Write([]byte(text)); gone != nil || out.Flush() != nil || err != nil || state != after {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}
