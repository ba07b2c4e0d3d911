package provider

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// Server answers requests to a model from a script. It is safe for concurrent use if the
// script is. It stores nothing of a request.
type Server struct {
	model  core.Agent[Request, Answer]
	within context.Context
}

// New returns a server that answers with model.
func New(model core.Agent[Request, Answer]) *Server {
	return &Server{model, context.Background()}
}

// Within returns a copy of the server for clients that do not pass a context on: their requests
// are answered in the scope of ctx. If the context of a request has a scope, that one is used.
// Cancelling ctx has no effect.
func (s *Server) Within(ctx context.Context) *Server { return &Server{s.model, ctx} }

// RoundTrip implements http.RoundTripper without a network. Because SDKs retry if RoundTrip fails,
// a fault of the harness is returned as an error while reading the body of a response with status
// 400.
func (s *Server) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	data, err := readBody(req.Body)
	if req.Body != nil {
		err = errors.Join(err, req.Body.Close())
	}
	var r *reply
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && !errors.Is(err, errTooLarge):
		return nil, err
	}
	if r, err = s.reply(ctx, req, data, err); err != nil {
		return nil, err
	}
	if r.fault != nil {
		r.parts, r.end = nil, r.fault
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", r.status, http.StatusText(r.status)), StatusCode: r.status, Header: r.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: &body{ctx: ctx, reply: r}, ContentLength: -1, Request: req,
	}, nil
}

// ServeHTTP implements http.Handler. It rejects connections to other addresses than those of the
// loopback interface, so that no other machine can use the server.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if addr, ok := req.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && !loopback(addr) {
		http.Error(w, "a scripted provider answers on the loopback interface only", http.StatusForbidden)
		return
	}
	data, err := readBody(req.Body)
	if err != nil && !errors.Is(err, errTooLarge) {
		return // the client has gone
	}
	r, err := s.reply(req.Context(), req, data, err)
	if err != nil {
		if req.Context().Err() == nil {
			panic(http.ErrAbortHandler) // breaks the connection
		}
		return
	}
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.WriteHeader(r.status)
	out := &body{ctx: req.Context(), reply: r}
	flush := http.NewResponseController(w)
	if err := flush.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return
	}
	for {
		part, err := out.next()
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if _, err := io.WriteString(w, part); err != nil {
			return
		}
		if err := flush.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return
		}
	}
}

func loopback(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// reply is the response to a request.
type reply struct {
	status int
	header http.Header
	parts  []piece
	end    error // error after the last part; nil for io.EOF
	fault  error // fault of the harness, which parts contain as text
}

// piece is a piece of a body.
type piece struct {
	text string
	wait time.Duration // delay before it
}

// body is the body of a response. Each Read returns data of one part at most.
type body struct {
	ctx    context.Context
	reply  *reply
	rest   string
	closed bool
}

// next returns the next part after its delay.
func (b *body) next() (string, error) {
	if len(b.reply.parts) == 0 {
		if b.reply.end != nil {
			return "", b.reply.end
		}
		return "", io.EOF
	}
	p := b.reply.parts[0]
	b.reply.parts = b.reply.parts[1:]
	if p.wait > 0 {
		t := time.NewTimer(p.wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-b.ctx.Done():
		}
	}
	if b.ctx.Err() != nil {
		return "", context.Cause(b.ctx)
	}
	return p.text, nil
}

func (b *body) Read(p []byte) (n int, err error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	for b.rest == "" {
		if b.rest, err = b.next(); err != nil {
			return 0, err
		}
	}
	n = copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *body) Close() error {
	b.closed = true
	return nil
}

// valued is a context that falls back to the values of another one.
type valued struct {
	context.Context
	fallback context.Context
}

func (v valued) Value(key any) any {
	if value := v.Context.Value(key); value != nil {
		return value
	}
	return v.fallback.Value(key)
}

// reply answers a request. An error means that the connection breaks or that ctx is done.
func (s *Server) reply(ctx context.Context, req *http.Request, data []byte, tooLarge error) (*reply, error) {
	ctx = valued{ctx, s.within}
	scope, _ := stubs.ScopeOf(ctx)
	format, known := formatOf(req)
	f := wires[format]
	switch {
	case !known:
		err := stubs.Report(ctx, &stubs.UnscriptedError{Step: scope.Path, Problem: fmt.Sprintf("the request is %s %s, and a scripted provider answers only POST …/chat/completions, …/responses, …/messages and …/models/MODEL:generateContent or :streamGenerateContent", req.Method, shown(req.URL.Path))})
		return refused(f, err, http.StatusNotFound), nil
	case req.Method != http.MethodPost:
		r := failure{Status: http.StatusMethodNotAllowed, Message: "the method is " + shown(req.Method) + ": use POST"}.reply(f)
		r.header.Set("Allow", http.MethodPost)
		return r, nil
	case tooLarge != nil:
		return failure{Status: http.StatusRequestEntityTooLarge, Message: tooLarge.Error()}.reply(f), nil
	}
	q, err := f.read(req.URL.Path, data)
	if err != nil {
		return failure{Status: http.StatusBadRequest, Message: err.Error()}.reply(f), nil
	}
	q.Format, q.Body = format, data
	q.array = format == Gemini && q.Stream && req.URL.Query().Get("alt") != "sse"
	a, err := s.ask(ctx, scope, q)
	if err == nil {
		if problem := a.complete(&q); problem != nil {
			err = stubs.Report(ctx, &stubs.UnscriptedError{Step: scope.Path, Problem: "its answer is invalid: " + problem.Error()})
		}
	}
	if err != nil {
		return s.failed(ctx, f, &q, err)
	}
	return answered(f, &q, &a), nil
}

// errBroken means that the connection breaks before a response.
var errBroken = fmt.Errorf("the scripted provider broke the connection: %w", io.ErrUnexpectedEOF)

// ask calls the script. A panic of it breaks the connection.
func (s *Server) ask(ctx context.Context, scope stubs.Scope, q Request) (a Answer, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w (its script panicked: %v)", errBroken, v)
		}
	}()
	return s.model.Call(scope.In(ctx), core.Request[Request]{Input: q, Run: scope.Run, Path: scope.Path, Attempt: scope.Attempt})
}

// failed returns the response to an error of the script.
func (s *Server) failed(ctx context.Context, f wire, q *Request, err error) (*reply, error) {
	var limit *stubs.RateLimitError
	var raw *stubs.MalformedError
	var stated *Error
	switch {
	case errors.Is(err, core.ErrHarness):
		return refused(f, err, http.StatusBadRequest), nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, errBroken):
		return nil, err
	case errors.As(err, &raw):
		return &reply{status: http.StatusOK, header: q.header(), parts: []piece{{text: raw.Raw}}}, nil
	case errors.As(err, &limit):
		return failure{Status: http.StatusTooManyRequests, Message: "rate limit reached", limited: true, wait: limit.After}.reply(f), nil
	case errors.Is(err, ErrOverloaded):
		return failure{Status: f.overloaded(), Message: ErrOverloaded.Error()}.reply(f), nil
	case errors.As(err, &stated):
		if stated.Status < 400 || stated.Status > 599 {
			err := stubs.Report(ctx, &stubs.UnscriptedError{Problem: fmt.Sprintf("its error has the status %d: use one from 400 to 599", stated.Status)})
			return refused(f, err, http.StatusBadRequest), nil
		}
		return failure{Status: stated.Status, Type: stated.Type, Message: stated.text(), Header: stated.Header}.reply(f), nil
	}
	return failure{Status: http.StatusInternalServerError, Message: err.Error()}.reply(f), nil
}

// failure is an error of the provider.
type failure struct {
	Status        int
	Type, Message string
	Header        http.Header
	limited       bool
	wait          time.Duration // time until the rate limit allows another request
}

func (e failure) reply(f wire) *reply {
	h := http.Header{"Content-Type": {"application/json"}}
	if e.limited {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.wait.Seconds()))))
		h.Set("Retry-After-Ms", strconv.FormatInt(e.wait.Milliseconds(), 10))
		f.limits(h, e.wait)
	}
	for name, values := range e.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	return &reply{status: e.Status, header: h, parts: []piece{{text: string(written(f.failure(e)))}}}
}

// refused returns the response to a request that the script cannot answer.
func refused(f wire, err error, status int) *reply {
	r := failure{Status: status, Type: "script_error", Message: err.Error()}.reply(f)
	r.header.Set("X-Should-Retry", "false")
	r.fault = err
	return r
}

// answered returns the response with an answer.
func answered(f wire, q *Request, a *Answer) *reply {
	r := &reply{status: http.StatusOK, header: q.header()}
	if !q.Stream {
		text := string(written(f.whole(q, a)))
		if a.BreakAt != nil {
			text, r.end = text[:len(text)/2], io.ErrUnexpectedEOF
		}
		r.parts = []piece{{text: text}}
		return r
	}
	n, wait := 0, time.Duration(a.FirstToken)
	for _, e := range f.stream(q, a) {
		p := piece{text: e.text(q)}
		if e.chunk {
			if a.BreakAt != nil && n == *a.BreakAt {
				r.end = io.ErrUnexpectedEOF
				break
			}
			p.wait, wait = wait, 0
			n++
		}
		r.parts = append(r.parts, p)
	}
	return r
}

// header returns the header of an answer to the request.
func (q *Request) header() http.Header {
	kind := "application/json"
	if q.Stream && !q.array {
		kind = "text/event-stream; charset=utf-8"
	}
	h := http.Header{"Content-Type": {kind}}
	h.Set("X-Request-Id", "req_"+q.id())
	h.Set("Request-Id", "req_"+q.id())
	return h
}

// id is derived from the request, so that equal requests get equal answers.
func (q *Request) id() string {
	return fmt.Sprintf("%x", sha256.Sum256(q.Body))[:24]
}

// formatOf determines the format of a request by its path. If the path belongs to no format, known
// is false, and the format is the one in which the client can probably read an error.
func formatOf(req *http.Request) (f Format, known bool) {
	path := req.URL.Path
	switch {
	case strings.HasSuffix(path, "/chat/completions"):
		return Chat, true
	case strings.HasSuffix(path, "/responses"):
		return Responses, true
	case strings.HasSuffix(path, "/messages"):
		return Messages, true
	case geminiModel(path) != "":
		return Gemini, true
	case req.Header.Get("Anthropic-Version") != "":
		return Messages, false
	case strings.Contains(path, "/v1beta"):
		return Gemini, false
	}
	return Chat, false
}

// shown shortens and quotes a text of a request for a message.
func shown(s string) string { return fmt.Sprintf("%.100q", s) }
