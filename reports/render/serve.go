package render

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
)

// Live shows the pages of a history as runs arrive. It is an [http.Handler] for one
// person on one machine: it answers only requests that name it by one of Hosts exactly
// (a page elsewhere can make its own name lead here, but not change the name it asks
// for), that GET, and that know the token. Nothing can be changed through it.
type Live struct {
	Tell  func(ctx context.Context, run int64) (*analysis.Analysis, error) // of a run, the newest for 0
	State func(ctx context.Context) (string, error)                        // of the history: another one when a run has come or gone
	Hosts []string                                                         // "127.0.0.1:8517"
	Token string
	Every time.Duration // between looks for a new run; more than 0
}

// cookie keeps the token out of the address. Cookies are of a host, not of a port: the
// name tells one server from another.
func cookie(r *http.Request) string {
	_, port, _ := net.SplitHostPort(r.Host)
	return "flujo-" + port
}

// ServeHTTP answers "/", with "?run=N" for an older run, and "/events".
func (l *Live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	case l.knows(r.URL.Query().Get("token")):
		http.SetCookie(w, &http.Cookie{Name: cookie(r), Value: l.Token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		h.Set("Location", "/")
		w.WriteHeader(http.StatusSeeOther)
	case !l.allowed(r):
		http.Error(w, "no token: use the address that flujo-harness serve printed", http.StatusForbidden)
	case r.URL.Path == "/":
		l.page(w, r)
	case r.URL.Path == "/events":
		l.events(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (l *Live) knows(token string) bool {
	return l.Token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(l.Token)) == 1
}

func (l *Live) allowed(r *http.Request) bool {
	c, err := r.Cookie(cookie(r))
	return err == nil && l.knows(c.Value)
}

func (l *Live) page(w http.ResponseWriter, r *http.Request) {
	run, live := int64(0), true
	if text := r.URL.Query().Get("run"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			http.Error(w, "run: give the number of a run", http.StatusBadRequest)
			return
		}
		run, live = n, false
	}
	state, failed := l.State(r.Context()) // before the account: what comes between is news
	a, err := l.Tell(r.Context(), run)
	switch err = errors.Join(err, failed); {
	case errors.Is(err, history.ErrNoRun), errors.Is(err, analysis.ErrNoRuns):
		http.Error(w, reports.Visible(err.Error()), http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, reports.Visible(err.Error()), http.StatusInternalServerError)
		return
	}
	p := newPage(a)
	if live {
		p.Live = "/events?after=" + url.QueryEscape(state)
	}
	var text bytes.Buffer
	if err := render(&text, p); err != nil {
		http.Error(w, reports.Visible(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text.Bytes()) // who went away needs no answer
}

// events tells, as server-sent events, when the history is in another state than the
// one asked for, and ends: the page is loaded anew then.
func (l *Live) events(w http.ResponseWriter, r *http.Request) {
	after := r.URL.Query().Get("after")
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	tick := time.NewTicker(l.Every)
	defer tick.Stop()
	for {
		state, err := l.State(r.Context())
		text := ": nothing new\n\n" // and a reader that has gone is found out
		switch {
		case err != nil:
			text = "event: fault\ndata: " + reports.Visible(err.Error()) + "\n\n"
		case state != after:
			text = "event: run\ndata: " + reports.Visible(state) + "\n\n"
		}
		if _, err := w.Write([]byte(text)); err != nil || out.Flush() != nil || text[0] == 'e' {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}
