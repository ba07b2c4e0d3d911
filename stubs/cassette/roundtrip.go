package cassette

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// keptHeaders are the headers of responses that are recorded: those a client acts
// on, none with the time of day and none that only one server in the world sends.
var keptHeaders = []string{"Content-Type", "Location", "Link", "Retry-After", "Retry-After-Ms", "X-Should-Retry", "Etag", "Www-Authenticate"}

// Transport records what is asked over HTTP, or replays it: then base may be nil,
// and so it may for http.DefaultTransport.
//
// The request is method, URL and body, in order of the names of query, form and
// JSON; bodies that are no text go by their hash. The body of a request is read
// before it is sent, that of a response passes through as it comes. Of event streams
// (text/event-stream, and JSON Lines) each event is replayed by its own, without its
// delay, and a connection that broke breaks there again. JSON is replayed as the same
// JSON, not the same bytes. A response that its reader closed early is recorded so
// far. Responses are asked for uncompressed, since secrets must be found in them.
func (c *Cassette) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{c, base}
}

type transport struct {
	tape *Cassette
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper. Its own errors are those of [Recorded]. SDKs
// that try again where RoundTrip fails get them as the error of reading the body of a
// response with status 400, so that one request stays one: openai-go and anthropic-sdk-go,
// which say in a header which attempt a request is.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.tape.passes != nil && t.tape.passes(req) {
		return t.base.RoundTrip(req)
	}
	resp, err := t.roundTrip(req)
	if err != nil && errors.Is(err, core.ErrHarness) && req.Header.Get("X-Stainless-Retry-Count") != "" {
		body := &tape{ctx: context.WithoutCancel(req.Context()), end: func() error { return err }, done: func() {}}
		return &http.Response{
			Status: "400 Bad Request", StatusCode: http.StatusBadRequest, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"X-Should-Retry": {"false"}}, Body: body, ContentLength: -1, Request: req,
		}, nil
	}
	return resp, err
}

func (t *transport) roundTrip(req *http.Request) (*http.Response, error) {
	c, ctx := t.tape, req.Context()
	body, err := readAll(req.Body)
	if err != nil {
		return nil, err
	}
	if c.mode == Replay && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	c.red.Request(req)
	who, _ := stubs.ScopeOf(ctx)
	track, live, err := c.take(ctx, question(req, body, who.Path), who.Run)
	switch {
	case err != nil:
		return nil, err
	case live:
		return t.record(req, body, track)
	case track.line == 0: // of another run
		if track.err != nil {
			return nil, track.err
		}
		return c.replay(req, track.live, track)
	case c.mode == Verify:
		if err := t.verify(req, body, track, who.Run); err != nil {
			return nil, err
		}
	}
	if track.Error != nil {
		return nil, track.Error.replayed()
	}
	return c.replay(req, track.Output, track)
}

func readAll(body io.ReadCloser) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	data, err := io.ReadAll(body)
	return data, errors.Join(err, body.Close())
}

// question is a request as it is recorded.
func question(req *http.Request, body []byte, path string) interaction {
	u := *req.URL
	u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment, u.User = "", false, "", "", nil
	input := map[string]any{}
	if query := req.URL.Query(); len(query) > 0 {
		input["query"] = query
	}
	kind, params, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if mark := params["boundary"]; mark != "" {
		body = bytes.ReplaceAll(body, []byte(mark), []byte("boundary")) // a random one
	}
	tree, jsonErr := parse(body)
	form, formErr := url.ParseQuery(string(body))
	switch {
	case len(body) == 0:
	case !utf8.Valid(body):
		input["sha256"] = fmt.Sprintf("%x", sha256.Sum256(body))
	case jsonErr == nil:
		input["body"] = tree
	case kind == "application/x-www-form-urlencoded" && formErr == nil:
		input["form"] = form
	default:
		input["text"] = string(body)
	}
	return interaction{Kind: httpKind, Name: req.Method + " " + u.String(), Path: path, Input: canonical(input)}
}

// send asks the real server.
func (t *transport) send(req *http.Request, body []byte) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.Header.Del("Accept-Encoding")
	if req.Body != nil {
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	resp, err := t.base.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	resp.Request = req
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if code := resp.Header.Get("Content-Encoding"); code != "" && code != "identity" || resp.StatusCode == http.StatusSwitchingProtocols {
		err := t.tape.refuse(0, "%s %s: a response of status %d in encoding %q cannot be recorded: secrets could not be found in it", req.Method, req.URL.Path, resp.StatusCode, code)
		return nil, errors.Join(err, resp.Body.Close())
	}
	return resp, nil
}

func (t *transport) record(req *http.Request, body []byte, track *track) (*http.Response, error) {
	ended := false
	defer func() {
		if !ended {
			t.tape.drop(track) // a panic, or runtime.Goexit
		}
	}()
	resp, err := t.send(req, body)
	ended = true
	switch {
	case err == nil:
		size := resp.ContentLength
		if resp.Body == http.NoBody {
			size = 0 // of a HEAD it is another's
		}
		body := &tee{body: resp.Body, size: size, end: func(data []byte, err error, cut bool) {
			if err != nil && unrecordable(req.Context(), err) {
				t.tape.drop(track)
			} else {
				t.tape.keep(track, t.tape.answer(resp, data, err, cut), nil)
			}
		}}
		body.done = func() { t.tape.ended(body) }
		resp.Body = body
		t.tape.reading(track, body)
	case unrecordable(req.Context(), err):
		t.tape.drop(track)
	default:
		t.tape.keep(track, nil, err)
	}
	return resp, err
}

// reading notes the body of a response. An empty one may be left unread.
func (c *Cassette) reading(track *track, body *tee) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if body.size != 0 {
		c.open[body] = track.what()
	}
	if track.body = body; track.awaited {
		go body.drain()
	}
}

func (t *transport) verify(req *http.Request, body []byte, recorded *track, run core.RunKey) error {
	var was response
	if recorded.Output != nil {
		if err := decode(recorded.Output, &was); err != nil {
			return t.tape.refuse(recorded.line, "%s: its recording is no response: %v", recorded.what(), err)
		}
	}
	if was.Cut { // where its reader stopped is not the server's doing
		recorded = &track{interaction: recorded.interaction, line: recorded.line}
		recorded.Output = canonical(response{Status: was.Status, Header: was.Header, Cut: true})
	}
	resp, err := t.send(req, body)
	var output []byte
	if err == nil {
		data, broken := readAll(resp.Body)
		if broken != nil && unrecordable(req.Context(), broken) {
			return broken
		}
		if was.Cut {
			data, broken = nil, nil
		}
		output = t.tape.answer(resp, data, broken, was.Cut)
	}
	if err != nil && unrecordable(req.Context(), err) {
		return err
	}
	return t.tape.compare(recorded, run, output, err)
}

// response is the output of an interaction over HTTP: of body, text, base64 and
// chunks the one that shows it best.
type response struct {
	Status int                 `json:"status"`
	Header map[string][]string `json:"header,omitempty"`
	Body   json.RawMessage     `json:"body,omitempty"`
	Text   string              `json:"text,omitempty"`
	Base64 []byte              `json:"base64,omitempty"`
	Chunks []string            `json:"chunks,omitempty"` // events
	Broken *failure            `json:"broken,omitempty"` // the error behind what was read
	Cut    bool                `json:"cut,omitempty"`    // the reader wanted no more
}

// answer makes the output of a response.
func (c *Cassette) answer(resp *http.Response, data []byte, err error, cut bool) []byte {
	r := response{Status: resp.StatusCode, Header: map[string][]string{}, Cut: cut}
	for _, name := range c.header {
		if v := resp.Header.Values(name); len(v) > 0 {
			r.Header[http.CanonicalHeaderKey(name)] = v
		}
	}
	if err != nil {
		r.Broken = failed(err)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	_, jsonErr := parse(data)
	sep := map[string]string{"text/event-stream": "\n\n", "application/x-ndjson": "\n", "application/jsonl": "\n"}[kind]
	switch {
	case !utf8.Valid(data):
		r.Base64 = data
	case sep != "":
		r.Chunks = events(string(data), sep)
	case jsonErr == nil:
		r.Body, r.Cut = data, false
	default:
		r.Text = string(data)
	}
	if n := len(r.Chunks); n > 0 && strings.TrimSpace(r.Chunks[n-1]) == "data: [DONE]" {
		r.Cut = false // its reader knew that nothing follows
	}
	return canonical(r)
}

// KeepDelays replays the headers Retry-After and Retry-After-Ms as they were recorded.
// Without it a replay writes 0 for waits of up to a minute, so that clients do not sleep.
// Longer ones stay, since clients give up on them instead of waiting.
func KeepDelays() Option { return func(c *Cassette) { c.keepDelays = true } }

// shorten makes 0 of the waits that a client would make.
func shorten(h http.Header) {
	for name, unit := range map[string]time.Duration{"Retry-After": time.Second, "Retry-After-Ms": time.Millisecond} {
		v := h.Get(name)
		if _, err := http.ParseTime(v); err == nil {
			h[name] = []string{"0"} // a time of the recording
		}
		if n, err := strconv.ParseFloat(v, 64); err == nil && n >= 0 && n*float64(unit) <= float64(time.Minute) {
			h[name] = []string{"0"}
		}
	}
}

// events splits a stream behind each separator, whose lines may end in CR LF.
func events(s, sep string) (out []string) {
	if strings.Contains(s, "\r\n") {
		sep = strings.ReplaceAll(sep, "\n", "\r\n")
	}
	for _, part := range strings.SplitAfter(s, sep) {
		if part != "" {
			out = append(out, part)
		}
	}
	return out
}

// replay makes a response of an output.
func (c *Cassette) replay(req *http.Request, output []byte, t *track) (*http.Response, error) {
	var r response
	if err := decode(output, &r); err != nil {
		return nil, c.refuse(t.line, "%s: its recording is no response: %v", t.what(), err)
	}
	ends := func(err error) func() error { return func() error { return err } }
	body := &tape{ctx: req.Context(), end: ends(io.EOF)}
	body.done = func() { c.ended(body) }
	size := int64(-1)
	for _, part := range append(r.Chunks, string(r.Body), r.Text, string(r.Base64)) {
		if part != "" {
			body.parts = append(body.parts, part)
		}
	}
	if r.Chunks == nil {
		size = int64(len(r.Body) + len(r.Text) + len(r.Base64))
	}
	switch {
	case r.Broken != nil && r.Broken.Text == io.ErrUnexpectedEOF.Error():
		body.end, size = ends(io.ErrUnexpectedEOF), -1
	case r.Broken != nil:
		body.end, size = ends(r.Broken.replayed()), -1
	case r.Cut: // remembered, since a client may swallow it
		body.end, size = sync.OnceValue(func() error {
			return c.refuse(t.line, "%s: its reader closed it here when it was recorded, and now reads on: record it again", t.what())
		}), -1
	}
	resp := &http.Response{
		Status: fmt.Sprintf("%d %s", r.Status, http.StatusText(r.Status)), StatusCode: r.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: body, ContentLength: size, Request: req,
	}
	for name, values := range r.Header {
		resp.Header[http.CanonicalHeaderKey(name)] = values
	}
	if !c.keepDelays {
		shorten(resp.Header)
	}
	if size != 0 {
		c.opened(body, t.what())
	}
	return resp, nil
}
