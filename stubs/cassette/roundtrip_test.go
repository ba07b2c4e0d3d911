package cassette_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs/cassette"
	"github.com/google/go-cmp/cmp"
)

// provider is a local server that behaves like two model providers. It is reached
// under the names of the real ones.
type provider struct {
	server *httptest.Server
	calls  atomic.Int64
	bodies sync.Map // what arrived
	step   chan struct{}
}

func newProvider(t testing.TB) *provider {
	p := &provider{step: make(chan struct{}, 100)}
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.server.Close)
	for range cap(p.step) {
		p.step <- struct{}{}
	}
	return p
}

// RoundTrip sends what is for the providers to the local server.
func (p *provider) RoundTrip(req *http.Request) (*http.Response, error) {
	local, err := url.Parse(p.server.URL)
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host = "http", local.Host
	return http.DefaultTransport.RoundTrip(out)
}

var openAIStream = []string{
	"data: {\"id\":\"chatcmpl-9hJ2kL5mN8pQ1rS4tV7wX0yZ\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Saves\"}}]}\n\n",
	"data: {\"id\":\"chatcmpl-9hJ2kL5mN8pQ1rS4tV7wX0yZ\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" are atomic\"}}]}\n\n",
	"data: [DONE]\n\n",
}

var anthropicStream = []string{
	"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01XFDUDYJgAACzvnptvVoYEL\",\"role\":\"assistant\"}}\n\n",
	"event: ping\ndata: {\"type\":\"ping\"}\n\n",
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Saves are atomic\"}}\n\n",
	"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
}

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	n := p.calls.Add(1)
	body, _ := io.ReadAll(r.Body)
	p.bodies.Store(n, string(body))
	var q struct {
		Stream bool
		Model  string
	}
	_ = json.Unmarshal(body, &q)
	w.Header().Set("X-Request-Id", fmt.Sprint("req-", n)) // not kept
	stream := func(events []string) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for i, e := range events {
			<-p.step
			if q.Model == "breaks" && i == 2 {
				_, _ = io.WriteString(w, e[:10])
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, e)
			_ = http.NewResponseController(w).Flush()
		}
	}
	switch r.URL.Path {
	case "/v1/chat/completions":
		if q.Stream {
			stream(openAIStream)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{\n  \"id\": \"chatcmpl-%d\", \"choices\": [{\"message\": {\"role\": \"assistant\", \"content\": \"call %d\"}}], \"usage\": {\"total_tokens\": 12}\n}\n", n, n)
	case "/v1/messages":
		if r.Header.Get("X-Api-Key") == "" {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", "2")
			w.Header().Set("X-Kept", "yes")
			w.WriteHeader(529)
			_, _ = io.WriteString(w, `{"type":"error","error":{"type":"overloaded_error"}}`)
			return
		}
		if q.Stream {
			stream(anthropicStream)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"msg_%d","content":[{"type":"text","text":"call %d"}],"stop_reason":"end_turn"}`, n, n)
	case "/binary":
		_, _ = w.Write([]byte{0xff, 0, 1, 2})
	case "/text":
		_, _ = io.WriteString(w, "plain text\n")
	case "/moved":
		http.Redirect(w, r, "/text?token=abc", http.StatusFound)
	case "/compressed":
		w.Header().Set("Content-Encoding", "br")
		_, _ = w.Write([]byte{0x1f, 0x8b})
	case "/encoding":
		_, _ = io.WriteString(w, r.Header.Get("Accept-Encoding"))
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

const (
	chatURL     = "https://api.openai.com/v1/chat/completions"
	messagesURL = "https://api.anthropic.com/v1/messages"
)

func post(ctx context.Context, client *http.Client, url, body string, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return client.Do(req)
}

// seen is all that a caller sees of an answer.
func seen(resp *http.Response, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s %s\n%s\nerror: %v close: %v", resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Retry-After"), body, err, resp.Body.Close())
}

// exchange makes one request of every kind.
func exchange(t *testing.T, client *http.Client, key string) []string {
	t.Helper()
	ctx := t.Context()
	get := func(url string) string { return seen(client.Get(url)) }
	sorted := func(s string) string { // the same JSON, not the same bytes
		head, rest, _ := strings.Cut(s, "\n")
		body, end, _ := strings.Cut(rest, "\nerror: ")
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		same, _ := json.Marshal(v)
		return head + string(same) + end
	}
	return []string{
		sorted(seen(post(ctx, client, chatURL, `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, "Authorization", "Bearer "+key))),
		sorted(seen(post(ctx, client, chatURL, `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, "Authorization", "Bearer "+key))),
		seen(post(ctx, client, chatURL, `{"model":"m","stream":true}`, "Authorization", "Bearer "+key)),
		sorted(seen(post(ctx, client, messagesURL, `{"model":"c"}`, "X-Api-Key", key))),
		seen(post(ctx, client, messagesURL, `{"model":"c","stream":true}`, "X-Api-Key", key)),
		seen(post(ctx, client, messagesURL, `{"model":"breaks","stream":true}`, "X-Api-Key", key)),
		sorted(seen(post(ctx, client, messagesURL, `{"model":"c"}`))), // overloaded
		get("https://x.test/binary?b=2&a=1"), get("https://x.test/text"), get("https://x.test/moved"), get("https://x.test/empty"),
	}
}

func TestTransportRecordsAndReplays(t *testing.T) {
	p := newProvider(t)
	file := filepath.Join(t.TempDir(), "http.jsonl")
	c := open(t, file, cassette.Record, cassette.KeepHeaders("x-kept"), cassette.AllowAltered())
	want := exchange(t, &http.Client{Transport: c.Transport(p)}, "key-of-recording-1234567890")
	closed(t, c)
	if got, _ := p.bodies.Load(int64(1)); got != `{"model":"m","messages":[{"role":"user","content":"hi"}]}` {
		t.Errorf("the server got %q", got)
	}
	golden(t, "http_file.golden", "", read(t, file))

	c = open(t, file, cassette.Replay, cassette.AllowAltered(), cassette.KeepDelays())
	before := p.calls.Load()
	got := exchange(t, &http.Client{Transport: c.Transport(nil)}, "key-of-replay-0987654321")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-recorded +replayed):\n%s", diff)
	}
	if p.calls.Load() != before {
		t.Error("the server was called")
	}
	if err := errors.Join(c.Verify(), c.Close()); err != nil {
		t.Error(err)
	}

	c = open(t, file, cassette.Verify, cassette.IgnoreFields("id", "content"), cassette.KeepHeaders("x-kept"), cassette.AllowAltered())
	exchange(t, &http.Client{Transport: c.Transport(p)}, "key-of-verification-123123")
	if err := c.Verify(); err != nil {
		t.Errorf("verify: %v", err)
	}
	c = open(t, file, cassette.Verify)
	_, err := post(t.Context(), &http.Client{Transport: c.Transport(p)}, chatURL, `{"messages":[{"content":"hi","role":"user"}],"model":"m"}`)
	var found *cassette.MismatchError
	if !errors.As(err, &found) || errors.Is(err, core.ErrHarness) {
		t.Fatalf("another answer: %v", err)
	}
	text := strings.ReplaceAll(found.Error(), fmt.Sprint("chatcmpl-", p.calls.Load()), "chatcmpl-N")
	golden(t, "http_mismatch.golden", filepath.Dir(file), strings.ReplaceAll(text, fmt.Sprint("call ", p.calls.Load()), "call N"))
}

// The caller sees each event while it is recorded; the replay gives one at a time.
func TestStreamIsSeenAsItComes(t *testing.T) {
	p := newProvider(t)
	for range cap(p.step) {
		<-p.step // now each event waits
	}
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record)
	p.step <- struct{}{}
	resp, err := post(t.Context(), &http.Client{Transport: c.Transport(p)}, chatURL, `{"stream":true}`)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(resp.Body)
	for i, want := range openAIStream {
		line, err := in.ReadString('\n')
		if err != nil || line+"\n" != want {
			t.Fatalf("event %d: %q %v", i, line, err)
		}
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			p.step <- struct{}{} // only now the server goes on
		}
	}
	// A client that knows [DONE] closes without reading the end.
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	closed(t, c)
	if strings.Contains(read(t, file), `"cut"`) {
		t.Error("a stream that was read to [DONE] is taken for cut off")
	}

	resp, err = post(t.Context(), &http.Client{Transport: open(t, file, cassette.Replay).Transport(nil)}, chatURL, `{"stream":true}`)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	for i, want := range openAIStream {
		if n, err := resp.Body.Read(buf); string(buf[:n]) != want || err != nil {
			t.Errorf("chunk %d: %q %v", i, buf[:n], err)
		}
	}
	if n, err := resp.Body.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("end: %d %v", n, err)
	}
}

func TestBrokenStream(t *testing.T) {
	p := newProvider(t)
	file := filepath.Join(t.TempDir(), "c.jsonl")
	for _, mode := range []cassette.Mode{cassette.Record, cassette.Replay} {
		c := open(t, file, mode)
		resp, err := post(t.Context(), &http.Client{Transport: c.Transport(p)}, chatURL, `{"stream":true,"model":"breaks"}`)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if want := openAIStream[0] + openAIStream[1] + openAIStream[2][:10]; string(got) != want || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: %q %v", mode, got, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		closed(t, c)
	}
	if n := p.calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// What ends the reading of a real body ends that of a recorded one.
func TestRecordedBodyCanBeCancelledAndClosed(t *testing.T) {
	p := newProvider(t)
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record)
	seen(post(t.Context(), &http.Client{Transport: c.Transport(p)}, chatURL, `{"stream":true}`))
	closed(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := post(ctx, &http.Client{Transport: open(t, file, cassette.Replay).Transport(nil)}, chatURL, `{"stream":true}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(make([]byte, 5)); err != nil {
		t.Error(err)
	}
	cancel()
	if _, err := resp.Body.Read(make([]byte, 5)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if _, err := resp.Body.Read(make([]byte, 5)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("closed: %v", err)
	}
}

// Streams whose lines end in CR LF, and JSON Lines, are recorded event by event too.
func TestOtherStreams(t *testing.T) {
	for kind, body := range map[string]string{
		"text/event-stream":    "data: {\"password\":\"x\"}\r\n\r\ndata: {\"b\":2}\r\n\r\n",
		"application/x-ndjson": "{\"password\":\"x\"}\n{\"b\":2}\n",
	} {
		file := filepath.Join(t.TempDir(), "c.jsonl")
		c := open(t, file, cassette.Record, cassette.AllowAltered())
		base := roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}, nil
		})
		seen((&http.Client{Transport: c.Transport(base)}).Get("https://x.test/"))
		closed(t, c)
		resp, err := (&http.Client{Transport: open(t, file, cassette.Replay).Transport(nil)}).Get("https://x.test/")
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1000)
		n, _ := resp.Body.Read(buf)
		rest, err := io.ReadAll(resp.Body)
		if want := strings.Replace(body, `"x"`, `"[redacted:field]"`, 1); string(buf[:n])+string(rest) != want || !bytes.HasSuffix(buf[:n], []byte("\n")) || len(rest) == 0 || err != nil {
			t.Errorf("%s: %q then %q, want %q: %v", kind, buf[:n], rest, want, err)
		}
		body = strings.Replace(body, "2", "3", 1)
		for ignore, same := range map[string]bool{"b": true, "c": false} {
			v := open(t, file, cassette.Verify, cassette.IgnoreFields(ignore))
			if _, err := (&http.Client{Transport: v.Transport(base)}).Get("https://x.test/"); errors.As(err, new(*cassette.MismatchError)) == same {
				t.Errorf("%s: ignoring %q: %v", kind, ignore, err)
			}
		}
	}
}

// Who knows the last event closes without asking for the end.
func TestReaderThatKnowsTheEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record)
	last := "data: [DONE]\n\n"
	resp, err := (&http.Client{Transport: c.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(strings.NewReader(last)), ContentLength: -1}, nil
	}))}).Get("https://x.test/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, len(last))); errors.Join(err, resp.Body.Close(), c.Close()) != nil {
		t.Fatal(err)
	}
	if text := read(t, file); !strings.Contains(text, "[DONE]") || strings.Contains(text, `"cut"`) {
		t.Errorf("a stream that was read to its last event is taken for cut off: %s", text)
	}
}

// Who closes a body early and reads on when it is replayed is told so.
func TestStreamCutByItsReader(t *testing.T) {
	p := newProvider(t)
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record)
	resp, err := post(t.Context(), &http.Client{Transport: c.Transport(p)}, chatURL, `{"stream":true}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(resp.Body.Close(), c.Close()); err != nil {
		t.Fatal(err)
	}
	c = open(t, file, cassette.Replay)
	resp, err = post(t.Context(), &http.Client{Transport: c.Transport(nil)}, chatURL, `{"stream":true}`)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(resp.Body)
	if !errors.Is(err, core.ErrHarness) || !errors.Is(c.Verify(), err) {
		t.Errorf("no fault of the harness, or forgotten: %v", err)
	}
	v := open(t, file, cassette.Verify) // where the reader stopped is not the server's doing
	resp, again := post(t.Context(), &http.Client{Transport: v.Transport(p)}, chatURL, `{"stream":true}`)
	if again != nil {
		t.Fatal(again)
	}
	if _, again := io.ReadFull(resp.Body, make([]byte, 10)); errors.Join(again, resp.Body.Close(), v.Verify()) != nil {
		t.Error(again, v.Verify())
	}
	golden(t, "http_cut.golden", filepath.Dir(file), fmt.Sprint(err))
}

func TestTransportErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	base := func(err error) http.RoundTripper {
		return roundTrip(func(req *http.Request) (*http.Response, error) { return nil, err })
	}
	c := open(t, file, cassette.Record)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = post(t.Context(), &http.Client{Transport: c.Transport(base(refused))}, chatURL, `1`)
	_, _ = post(t.Context(), &http.Client{Transport: c.Transport(base(context.DeadlineExceeded))}, chatURL, `2`)
	_, _ = post(t.Context(), &http.Client{Transport: c.Transport(base(core.ErrHarness))}, chatURL, `3`)
	_, _ = post(cancelled, &http.Client{Transport: c.Transport(base(context.Canceled))}, chatURL, `4`)
	closed(t, c)
	c = open(t, file, cassette.Replay)
	client := &http.Client{Transport: c.Transport(base(errors.New("called")))}
	var timeout interface{ Timeout() bool }
	if _, err := post(t.Context(), client, chatURL, `1`); fmt.Sprint(err) != `Post "`+chatURL+`": dial tcp: connection refused` {
		t.Error(err)
	}
	if _, err := post(t.Context(), client, chatURL, `2`); !errors.As(err, &timeout) || !timeout.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for _, body := range []string{`3`, `4`} {
		if _, err := post(t.Context(), client, chatURL, body); !errors.As(err, new(*cassette.MissError)) {
			t.Errorf("request %s: %v", body, err)
		}
	}
	_, err := post(t.Context(), client, chatURL+"?stream=1", `{"model":"m"}`)
	var miss *cassette.MissError
	if !errors.As(err, &miss) {
		t.Fatal(err)
	}
	golden(t, "http_miss.golden", filepath.Dir(file), miss.Error())
	if _, err := post(cancelled, client, chatURL, `1`); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request was replayed: %v", err)
	}

	c = open(t, filepath.Join(t.TempDir(), "c.jsonl"), cassette.Record)
	client = &http.Client{Transport: c.Transport(newProvider(t))}
	if _, err := client.Get("https://x.test/compressed"); !errors.Is(err, core.ErrHarness) || !strings.Contains(err.Error(), `encoding "br" cannot be recorded`) {
		t.Errorf("compressed: %v", err)
	}
	req, _ := http.NewRequest(http.MethodGet, "https://x.test/encoding", nil)
	req.Header.Set("Accept-Encoding", "br")
	if got := seen(client.Do(req)); strings.Contains(got, "br") || req.Header.Get("Accept-Encoding") != "br" {
		t.Errorf("asked for what cannot be recorded, or changed the request of the caller: %s", got)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type spyBody struct {
	io.Reader
	closed atomic.Int64
}

func (b *spyBody) Close() error { b.closed.Add(1); return nil }

func TestBodiesAreClosed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	var answer *spyBody
	base := roundTrip(func(req *http.Request) (*http.Response, error) {
		sent, err := io.ReadAll(req.Body)
		again, err2 := req.GetBody()
		if err := errors.Join(err, err2, req.Body.Close()); err != nil {
			return nil, err
		}
		twice, err := io.ReadAll(again)
		if string(sent) != "{}" || string(twice) != "{}" || err != nil {
			t.Errorf("the base reads %q and %q: %v", sent, twice, err)
		}
		answer = &spyBody{Reader: strings.NewReader("{}")}
		return &http.Response{StatusCode: 200, Body: answer, ContentLength: -1}, nil
	})
	for _, mode := range []cassette.Mode{cassette.Record, cassette.Replay, cassette.Verify} {
		c := open(t, file, mode)
		body := &spyBody{Reader: strings.NewReader("{}")}
		req, err := http.NewRequest(http.MethodPost, chatURL, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Transport(base).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || body.closed.Load() == 0 || answer.closed.Load() == 0 {
			t.Errorf("%v: closed request %d, response %d times: %v", mode, body.closed.Load(), answer.closed.Load(), err)
		}
		miss := &spyBody{Reader: strings.NewReader("{1}")}
		req, _ = http.NewRequest(http.MethodPost, chatURL, miss)
		if mode == cassette.Replay {
			if _, err := c.Transport(base).RoundTrip(req); err == nil || miss.closed.Load() == 0 {
				t.Errorf("a miss leaves the body open: %v", err)
			}
		}
		closed(t, c)
	}
}

// A base of a test's own may panic, and leave out the body.
func TestBasesThatAreNotHTTP(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "c.jsonl"), cassette.Record)
	client := &http.Client{Transport: c.Transport(roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.URL.Path == "/panics" {
			panic("no network here")
		}
		return &http.Response{StatusCode: 204}, nil
	}))}
	if got := seen(client.Get("https://x.test/none")); !strings.HasPrefix(got, "204 ") || !strings.HasSuffix(got, "error: <nil> close: <nil>") {
		t.Errorf("without a body: %s", got)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = client.Get("https://x.test/panics")
	}()
	if err := c.Close(); err != nil { // else who asks the same would wait for ever
		t.Errorf("the call that panicked: %v", err)
	}
}

// A JSON body that is closed before its end was read is whole all the same.
func TestDecoderThatStopsEarly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	for _, mode := range []cassette.Mode{cassette.Record, cassette.Replay} {
		c := open(t, file, mode)
		client := &http.Client{Transport: c.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
			body := io.MultiReader(strings.NewReader(`{"a":1}`), strings.NewReader("\n"))
			return &http.Response{StatusCode: 200, Body: io.NopCloser(body), ContentLength: -1}, nil
		}))}
		resp, err := client.Get("https://x.test/")
		if err != nil {
			t.Fatal(err)
		}
		var v struct{ A int }
		if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.A != 1 {
			t.Errorf("%v: %v %v", mode, v, err)
		}
		if mode == cassette.Replay {
			if rest, err := io.ReadAll(resp.Body); len(rest) != 0 || err != nil {
				t.Errorf("after it %q %v", rest, err)
			}
		}
		if err := errors.Join(resp.Body.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestSameRequests(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "c.jsonl"), cassette.Record)
	client := &http.Client{Transport: c.Transport(newProvider(t))}
	form := func(mark string) (string, string) {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		_ = errors.Join(w.SetBoundary(mark), w.WriteField("purpose", "batch"), w.Close())
		return body.String(), w.FormDataContentType()
	}
	one, kindOne := form("0123456789abcdef")
	two, kindTwo := form("fedcba9876543210")
	for _, same := range [][2][3]string{ // URL, body, content type
		{{"https://x.test/?a=1&b=2", "", ""}, {"https://x.test/?b=2&a=1#part", "", ""}},
		{{"https://x.test/j", `{"a":1,"b":[1.0]}`, ""}, {"https://x.test/j", `{ "b": [1.0], "a": 1 }`, ""}},
		{{"https://x.test/k?api_key=abc", "", ""}, {"https://x.test/k?api_key=xyz", "", ""}},
		{{"https://u:p@x.test/u", "", ""}, {"https://u:q@x.test/u", "", ""}},
		{{"https://x.test/f", "a=1&password=p", "application/x-www-form-urlencoded"}, {"https://x.test/f", "password=q&a=1", "application/x-www-form-urlencoded"}},
		{{"https://x.test/m", one, kindOne}, {"https://x.test/m", two, kindTwo}},
		{{"https://x.test/b", "\xff\x00", ""}, {"https://x.test/b", "\xff\x00", ""}},
	} {
		for _, q := range same {
			seen(post(t.Context(), client, q[0], q[1], "Content-Type", q[2]))
		}
	}
	for _, other := range [][3]string{{"https://x.test/?a=1&b=3"}, {"https://x.test/j", `{"a":1,"b":[1]}`}, {"https://y.test/b", "\xff\x00"}, {"https://x.test/b", "\xff\x01"}} {
		seen(post(t.Context(), client, other[0], other[1]))
	}
	closed(t, c)
	golden(t, "http_same.golden", "", read(t, c2file(c)))
}

func c2file(c *cassette.Cassette) string { // the file is named in every error
	_, err := cassette.Recorded[int, int](c, "", nil).Call(context.Background(), core.Request[int]{})
	var bad *cassette.FileError
	_ = errors.As(err, &bad)
	return bad.File
}

// Under -race. Requests of scoped agents are told apart, whatever their order.
func TestTransportUnderConcurrentRuns(t *testing.T) {
	p := newProvider(t)
	file := filepath.Join(t.TempDir(), "c.jsonl")
	pipeline := func(client *http.Client) *core.Pipeline[map[string]string] {
		ask := core.Func[string, string](func(ctx context.Context, r core.Request[string]) (string, error) {
			resp, err := post(ctx, client, chatURL, `{"model":"m"}`) // the same everywhere
			if err != nil {
				return "", err
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			return string(bytes.Join(bytes.Fields(body), nil)), err
		})
		var branches []*core.Node[map[string]string]
		for i := range 8 {
			name := fmt.Sprint("b", i)
			branches = append(branches, core.Step(name, cassette.Scoped(ask), func(map[string]string) string { return "" },
				func(m *map[string]string, out string) { *m = map[string]string{name: out} }))
		}
		p, err := core.New("p", core.Parallel("all", func(into *map[string]string, done []core.Ended[map[string]string]) error {
			*into = map[string]string{}
			for _, d := range done {
				(*into)[d.Name] = d.Scope[d.Name]
			}
			return nil
		}, branches))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	decoded := func(m map[string]string) map[string]any {
		out := map[string]any{}
		for k, s := range m {
			var v any
			if err := json.Unmarshal([]byte(s), &v); err != nil {
				t.Errorf("%q: %v", s, err)
			}
			out[k] = v
		}
		return out
	}
	var want map[string]any
	for _, mode := range []cassette.Mode{cassette.Record, cassette.Replay} {
		c := open(t, file, mode)
		plan := pipeline(&http.Client{Transport: c.Transport(p)})
		var wg sync.WaitGroup
		var mu sync.Mutex
		for i := range 10 {
			wg.Go(func() {
				res, err := core.Run(t.Context(), core.NewEngine(), plan, core.RunKey{Run: fmt.Sprint(mode, i)}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if want == nil {
					want = decoded(res.Scope)
				}
				if diff := cmp.Diff(want, decoded(res.Scope)); diff != "" {
					t.Errorf("%v: run %d:\n%s", mode, i, diff)
				}
			})
		}
		wg.Wait()
		if err := errors.Join(c.Verify(), c.Close()); err != nil {
			t.Error(err)
		}
	}
	if n := p.calls.Load(); n != 8 {
		t.Errorf("the server was asked %d times, want 8", n)
	}
}

// canaries are secrets of every kind; none may be in the file in any form.
var canaries = []string{
	"canary-in-input-4711", "canary-in-output-4712", "sk-" + "canary-in-prose-4713abcd", "canary-in-header-4714", "canary-in-error-4715",
	"canary-in-json-string-4716", "canary-in-query-4717", "canary-in-stream-4718", "canary-in-cookie-4719", "canary-in-env-no-rule-finds", "canary/in+url&4720",
	"canary-in-redirect-4721", "canary-in-feedback-4722", "canary-in-bytes-4723", "canary-in-map-key-no-rule", "canary-repeated-late-4724",
}

func TestCanary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record, cassette.Secrets(canaries[9], canaries[14]), cassette.AllowAltered())
	type doc struct {
		APIKey string
		Text   string
		Args   string
		Blob   []byte
		Env    map[string]string
	}
	// Found late: said in prose before a field gives it away.
	early := cassette.Recorded(c, "early", fn(echo))
	must(t, early, "r", "s0", topic{Topic: "say " + canaries[15] + " and " + canaries[0]})
	in := doc{
		APIKey: canaries[0], Text: "the key " + canaries[2] + " and " + canaries[9] + " at https://h/?q=1&token=" + canaries[6],
		Args: `{"tool":"login","password":"` + canaries[5] + `"}`, Blob: []byte("password=" + canaries[13] + "\n"),
		Env: map[string]string{canaries[14]: "x", "SECRET": canaries[15]},
	}
	agent := cassette.Recorded(c, "a", core.Func[doc, doc](func(_ context.Context, r core.Request[doc]) (doc, error) {
		if r.Feedback == "" {
			return doc{}, errors.New("401: token=" + canaries[4] + " for " + canaries[0])
		}
		return doc{APIKey: canaries[1], Text: canaries[0] + canaries[1] + " " + base64.StdEncoding.EncodeToString([]byte(canaries[0])), Blob: []byte(canaries[9])}, nil
	}))
	for _, feedback := range []string{"", "failed: password: \"" + canaries[12] + "\""} {
		_, _ = agent.Call(t.Context(), core.Request[doc]{Input: in, Feedback: feedback, Path: "s"})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: canaries[8]})
		w.Header().Set("Location", "/next?access_token="+canaries[11])
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(201)
		echo := r.Header.Get("X-Api-Key") // a server that repeats the key, in pieces
		for _, part := range []string{"you sent ", echo[:5], echo[5:], ", " + canaries[9][:7], canaries[9][7:]} {
			fmt.Fprintf(w, "data: {\"delta\":{\"content\":%q}}\n\n", part)
		}
		fmt.Fprintf(w, "data: {\"secret\":%q}\n\n", canaries[7])
		if cookie, err := r.Cookie("s"); err == nil { // and one that repeats a cookie
			fmt.Fprintf(w, "data: {\"seen\":%q}\n\n", cookie.Value)
		}
	}))
	defer server.Close()
	client := &http.Client{Transport: c.Transport(nil)}
	target := server.URL + "/?api_key=" + url.QueryEscape(canaries[10])
	resp, err := post(t.Context(), client, target, `{"messages":[{"content":"my key is `+canaries[3]+`"}]}`, "X-Api-Key", canaries[3], "Cookie", "s="+canaries[8])
	if got := seen(resp, err); !strings.Contains(got, canaries[3][5:]) {
		t.Errorf("the caller must see what the server sent: %s", got)
	}
	closed(t, c)

	text := read(t, file)
	for _, secret := range canaries {
		for name, form := range map[string]string{"plain": secret, "query": url.QueryEscape(secret), "base64": base64.StdEncoding.EncodeToString([]byte(secret))[:len(secret)/3*4],
			"base64 from 1": base64.StdEncoding.EncodeToString([]byte("x" + secret))[2 : len(secret)/3*4], "base64 from 2": base64.StdEncoding.EncodeToString([]byte("xx" + secret))[3 : len(secret)/3*4],
			"hex": fmt.Sprintf("%x", secret)} {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("%s (%s) is in the file: …%s…", secret, name, text[max(0, i-60):min(len(text), i+60)])
			}
		}
	}
	if n := strings.Count(text, "[redacted:"); n < 15 {
		t.Errorf("only %d redactions: was it recorded at all?\n%s", n, text)
	}

	resp, err = post(t.Context(), &http.Client{Transport: open(t, file, cassette.Replay).Transport(nil)}, target, `{"messages":[{"content":"my key is other-key-in-header-1"}]}`, "X-Api-Key", "other-key-in-header-1")
	got := strings.NewReplacer("data: {\"delta\":{\"content\":\"", "", "\"}}\n\n", "").Replace(seen(resp, err))
	if !strings.Contains(got, "you sent [redacted:known], [redacted:known]data:") {
		t.Errorf("a secret that was streamed in pieces: %s", got)
	}

	// Another secret in the same place finds the recording.
	c = open(t, file, cassette.Replay, cassette.Secrets(canaries[9], canaries[14]))
	in.APIKey, in.Args = "other-key-1234567", `{"tool":"login","password":"other"}`
	in.Text = "the key sk-" + "another-one-987654321 and " + canaries[9] + " at https://h/?q=1&token=zzz"
	in.Blob, in.Env = []byte("password=another-1\n"), map[string]string{canaries[14]: "x", "SECRET": "q"}
	if _, err := cassette.Recorded[doc, doc](c, "a", nil).Call(t.Context(), core.Request[doc]{Input: in, Path: "s"}); err == nil || errors.Is(err, core.ErrHarness) {
		t.Errorf("replay with other secrets: %v", err)
	}
}

// What no rule can redact is refused, and a file that holds a secret is not opened.
func TestSecretsAreRefused(t *testing.T) {
	const secret = "correct horse battery"
	dir := t.TempDir()
	c := open(t, filepath.Join(dir, "c.jsonl"), cassette.Record, cassette.Secrets(secret))
	must(t, cassette.Recorded(c, "agent of "+secret, fn(echo)), "r", "draft", topic{})
	refused := c.Close()
	if _, err := os.Stat(filepath.Join(dir, "c.jsonl")); err == nil {
		t.Error("it was written")
	}
	file := recordOne(t, nil, topic{Topic: "so " + secret})
	_, leaked := cassette.Open(file, cassette.Replay, cassette.Secrets(secret))
	for skip := range 3 {
		coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", skip) + secret + "!"))
		var bad *cassette.FileError
		if _, err := cassette.Open(recordOne(t, nil, topic{}, topic{Topic: coded}), cassette.Replay, cassette.Secrets(secret)); !errors.As(err, &bad) || bad.Line == 0 {
			t.Errorf("base64 from place %d: %v", skip, err)
		}
	}
	_, short := cassette.Open(file, cassette.Replay, cassette.Secrets("", "abc"))
	golden(t, "secrets.golden", "", strings.NewReplacer(dir, "DIR", filepath.Dir(file), "DIR").Replace(fmt.Sprintln(refused)+fmt.Sprintln(leaked)+fmt.Sprintln(short)))
}
