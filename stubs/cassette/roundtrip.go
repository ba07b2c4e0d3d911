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

// keptHeaders are the response headers that are recorded by default: those that clients act on,
// except headers with the time of day and headers of a single provider.
var keptHeaders = []string{"Content-Type", "Location", "Link", "Retry-After", "Retry-After-Ms", "X-Should-Retry", "Etag", "Www-Authenticate"}

// Transport returns an HTTP transport that records requests and their responses or replays them.
// Requests are sent with base, or with http.DefaultTransport if it is nil.
//
// A request consists of method, URL and body, with the names of its query, form and JSON sorted;
// a body that is not text is represented by its hash. The body of a request is read before it is
// sent; that of a response is passed on as it arrives. In event streams (text/event-stream and
// JSON Lines) each event is replayed separately, without its delay, and a connection that broke
// breaks at the same place. JSON is replayed as equal JSON, not as the same bytes. Of a response
// that its reader closed early, the part that was read is recorded. Responses are requested
// uncompressed because secrets could not be found in compressed ones.
func (c *Cassette) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{c, base}
}

type transport struct {
	cassette *Cassette
	base     http.RoundTripper
}

// RoundTrip implements http.RoundTripper. Its own errors are those of [Recorded]. openai-go and
// anthropic-sdk-go retry if RoundTrip fails, which would count one request several times. To them
// (they send the number of the attempt in a header) it returns a response with status 400 whose
// body cannot be read because of the error.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.cassette.passes != nil && t.cassette.passes(req) {
		return t.base.RoundTrip(req)
	}
	resp, err := t.roundTrip(req)
	if err != nil && errors.Is(err, core.ErrHarness) && req.Header.Get("X-Stainless-Retry-Count") != "" {
		body := &playback{ctx: context.WithoutCancel(req.Context()), end: func() error { return err }, done: func() {}}
		return &http.Response{
			Status: "400 Bad Request", StatusCode: http.StatusBadRequest, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"X-Should-Retry": {"false"}}, Body: body, ContentLength: -1, Request: req,
		}, nil
	}
	return resp, err
}

func (t *transport) roundTrip(req *http.Request) (*http.Response, error) {
	c, ctx := t.cassette, req.Context()
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
	case track.line == 0: // recorded by another run of this process
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

// question returns a request in its recorded form.
func question(req *http.Request, body []byte, path string) interaction {
	u := *req.URL
	u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment, u.User = "", false, "", "", nil
	input := map[string]any{}
	if query := req.URL.Query(); len(query) > 0 {
		input["query"] = query
	}
	kind, params, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if mark := params["boundary"]; mark != "" {
		body = bytes.ReplaceAll(body, []byte(mark), []byte("boundary")) // clients choose it randomly
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

// send sends a request to the real server.
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
		err := t.cassette.refuse(0, "%s %s: a response of status %d in encoding %q cannot be recorded: secrets could not be found in it", req.Method, req.URL.Path, resp.StatusCode, code)
		return nil, errors.Join(err, resp.Body.Close())
	}
	return resp, nil
}

func (t *transport) record(req *http.Request, body []byte, track *track) (*http.Response, error) {
	ended := false
	defer func() {
		if !ended {
			t.cassette.drop(track) // a panic, or runtime.Goexit
		}
	}()
	resp, err := t.send(req, body)
	ended = true
	switch {
	case err == nil:
		size := resp.ContentLength
		if resp.Body == http.NoBody {
			size = 0 // the Content-Length of a response to HEAD is that of the body of a GET
		}
		body := &tee{body: resp.Body, size: size, end: func(data []byte, err error, cut bool) {
			if err != nil && unrecordable(req.Context(), err) {
				t.cassette.drop(track)
			} else {
				t.cassette.keep(track, t.cassette.answer(resp, data, err, cut), nil)
			}
		}}
		body.done = func() { t.cassette.ended(body) }
		resp.Body = body
		t.cassette.reading(track, body)
	case unrecordable(req.Context(), err):
		t.cassette.drop(track)
	default:
		t.cassette.keep(track, nil, err)
	}
	return resp, err
}

// reading registers the body of a response. An empty body need not be read or closed.
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
			return t.cassette.refuse(recorded.line, "%s: its recording is not a response: %v", recorded.what(), err)
		}
	}
	if was.Cut { // the reader, not the server, decided where the body ends: do not compare it
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
		output = t.cassette.answer(resp, data, broken, was.Cut)
	}
	if err != nil && unrecordable(req.Context(), err) {
		return err
	}
	return t.cassette.compare(recorded, run, output, err)
}

// response is the output of an HTTP interaction. At most one of Body, Text, Base64 and Chunks is
// set, the most readable one.
type response struct {
	Status int                 `json:"status"`
	Header map[string][]string `json:"header,omitempty"`
	Body   json.RawMessage     `json:"body,omitempty"`
	Text   string              `json:"text,omitempty"`
	Base64 []byte              `json:"base64,omitempty"`
	Chunks []string            `json:"chunks,omitempty"` // events
	Broken *failure            `json:"broken,omitempty"` // error after the part that was read
	Cut    bool                `json:"cut,omitempty"`    // the reader closed the body early
}

// answer encodes a response for the file.
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
		r.Cut = false // complete: this event ends streams of OpenAI
	}
	return canonical(r)
}

// KeepDelays replays the headers Retry-After and Retry-After-Ms unchanged. Without it, a replay
// replaces waits of up to a minute by 0, so that clients do not sleep. Longer ones are kept,
// because clients give up instead of waiting that long.
func KeepDelays() Option { return func(c *Cassette) { c.keepDelays = true } }

// shorten sets the waits of up to a minute to 0.
func shorten(h http.Header) {
	for name, unit := range map[string]time.Duration{"Retry-After": time.Second, "Retry-After-Ms": time.Millisecond} {
		v := h.Get(name)
		if _, err := http.ParseTime(v); err == nil {
			h[name] = []string{"0"} // an absolute time, which is past in a replay
		}
		if n, err := strconv.ParseFloat(v, 64); err == nil && n >= 0 && n*float64(unit) <= float64(time.Minute) {
			h[name] = []string{"0"}
		}
	}
}

// events splits a stream after each separator. Lines may end in CR LF.
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

// replay returns the response of a recorded output.
func (c *Cassette) replay(req *http.Request, output []byte, t *track) (*http.Response, error) {
	var r response
	if err := decode(output, &r); err != nil {
		return nil, c.refuse(t.line, "%s: its recording is not a response: %v", t.what(), err)
	}
	ends := func(err error) func() error { return func() error { return err } }
	body := &playback{ctx: req.Context(), end: ends(io.EOF)}
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
	case r.Cut: // remembered for Verify, because a client may swallow the error
		body.end, size = sync.OnceValue(func() error {
			return c.refuse(t.line, "%s: its reader closed the body at this point during recording, and now reads on: record it again", t.what())
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
