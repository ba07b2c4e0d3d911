package provider_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/stubs/provider"
)

// paths of the formats, with a request that is right.
var paths = map[provider.Format]struct{ path, body string }{
	provider.Chat:      {"/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"t"}}]}`},
	provider.Responses: {"/v1/responses", `{"model":"m","input":"hi","tools":[{"type":"function","name":"t"}]}`},
	provider.Messages:  {"/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"t"}]}`},
	provider.Gemini:    {"/v1beta/models/m:generateContent", `{"contents":[{"parts":[{"text":"hi"}]}],"tools":[{"functionDeclarations":[{"name":"t"}]}]}`},
}

const key = "made-up-key-of-a-test-5b1f"

// post sends a body to a model, in the process, and returns status and body, with its error.
func post(ctx context.Context, m core.Agent[provider.Request, provider.Answer], method, path, body string) (int, http.Header, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://provider.invalid"+path+"?key="+key, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	for _, name := range []string{"Authorization", "X-Api-Key", "X-Goog-Api-Key", "Cookie"} {
		req.Header.Set(name, "Bearer "+key)
	}
	resp, err := provider.New(m).RoundTrip(req)
	if err != nil {
		return 0, nil, "", err
	}
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(data), errors.Join(err, resp.Body.Close())
}

func script(replies ...stubs.Reply[provider.Answer]) core.Agent[provider.Request, provider.Answer] {
	return stubs.Script[provider.Request](replies...)
}

// failing is an error in the form of its provider.
func failing(t *testing.T, f provider.Format, body string) (message string) {
	t.Helper()
	var v struct {
		Type  string
		Error struct {
			Message, Type, Status string
			Code                  any
		}
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil || v.Error.Message == "" {
		t.Errorf("%s: no error of the provider: %v: %s", f, err, body)
	}
	if v.Error.Type == "" && f != provider.Gemini || f == provider.Gemini && (v.Error.Status == "" || v.Error.Code == nil) || f == provider.Messages && v.Type != "error" {
		t.Errorf("%s: no error of the provider: %s", f, body)
	}
	return v.Error.Message
}

// What a client does wrong is an error in the form of its provider, and says why.
func TestBadRequests(t *testing.T) {
	never := stubs.From(func(core.Request[provider.Request]) stubs.Reply[provider.Answer] {
		t.Error("the model was asked")
		return stubs.Say(provider.Answer{})
	})
	call := map[provider.Format]string{
		provider.Chat:      `{"model":"m","messages":[{"role":"user","content":"hi"},%s]}`,
		provider.Responses: `{"model":"m","input":[{"role":"user","content":"hi"},%s]}`,
		provider.Messages:  `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},%s]}`,
		provider.Gemini:    `{"contents":[{"parts":[{"text":"hi"}]},%s]}`,
	}
	asked := map[provider.Format]string{
		provider.Chat:      `{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"t","arguments":"{}"}}]}`,
		provider.Responses: `{"type":"function_call","call_id":"c1","name":"t","arguments":"{}"}`,
		provider.Messages:  `{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"t","input":{}}]}`,
		provider.Gemini:    `{"role":"model","parts":[{"functionCall":{"name":"t","args":{}}}]}`,
	}
	result := map[provider.Format]string{
		provider.Chat:      `{"role":"tool","tool_call_id":"c2","content":"x"}`,
		provider.Responses: `{"type":"function_call_output","call_id":"c2","output":"x"}`,
		provider.Messages:  `{"role":"user","content":[{"type":"tool_result","tool_use_id":"c2","content":"x"}]}`,
		provider.Gemini:    `{"role":"user","parts":[{"functionResponse":{"name":"other","response":{}}}]}`,
	}
	for f, p := range paths {
		for _, c := range []struct {
			name, method, body string
			status             int
			want               string
		}{
			{"empty", "POST", "", 400, "the body is empty"},
			{"no JSON", "POST", "{", 400, "not the JSON object"},
			{"a list", "POST", "[]", 400, "not the JSON object"},
			{"null", "POST", "null", 400, "required"},
			{"two values", "POST", p.body + p.body, 400, "more than one JSON value"},
			{"wrong type", "POST", strings.NewReplacer(`"model":"m"`, `"model":[1]`, `"contents":[`, `"contents":[5,`).Replace(p.body), 400, ""},
			{"nothing", "POST", "{}", 400, "required"},
			{"deep", "POST", strings.Repeat(`{"messages":[`, 20_000), 400, ""},
			{"binary", "POST", "\x00\xff\xfe", 400, ""},
			{"huge", "POST", `{"model":"` + strings.Repeat("a", 33<<20) + `"}`, 413, "32 MiB"},
			{"GET", "GET", "", 405, "use POST"},
			{"DELETE", "DELETE", p.body, 405, "use POST"},
			{"call without its result", "POST", fmt.Sprintf(call[f], asked[f]), 400, "has no result"},
			{"result of no call", "POST", fmt.Sprintf(call[f], result[f]), 400, "no such call"},
			{"result of another call", "POST", fmt.Sprintf(call[f], asked[f]+","+result[f]), 400, "no such call"},
		} {
			status, header, body, err := post(t.Context(), never, c.method, p.path, c.body)
			if status != c.status || err != nil {
				t.Errorf("%s, %s: status %d, %v: %s", f, c.name, status, err, body)
				continue
			}
			if said := failing(t, f, body); !strings.Contains(said, c.want) {
				t.Errorf("%s, %s: %s, want %s", f, c.name, said, c.want)
			}
			if c.status == 405 && header.Get("Allow") != "POST" {
				t.Errorf("%s, %s: header %v", f, c.name, header)
			}
		}
	}
}

// What a script does wrong is a fault of the harness.
func TestBadAnswers(t *testing.T) {
	minus, far := -1, 99
	for name, c := range map[string]struct {
		reply stubs.Reply[provider.Answer]
		want  string
	}{
		"a tool that is not offered": {stubs.Say(provider.Answer{Calls: []provider.ToolCall{{Name: "other"}}}), `it calls the tool "other", and the request offers only ["t"]`},
		"arguments":                  {stubs.Say(provider.Answer{Calls: []provider.ToolCall{{Name: "t", Args: `[1]`}}}), "which are not a JSON object"},
		"arguments cut":              {stubs.Say(provider.Answer{Calls: []provider.ToolCall{{Name: "t", Args: `{"a`}}}), "which are not a JSON object"},
		"blank arguments":            {stubs.Say(provider.Answer{Calls: []provider.ToolCall{{Name: "t", Args: ` `}}}), "which are not a JSON object"},
		"refusal and text":           {stubs.Say(provider.Answer{Text: "a", Refusal: "b"}), "a refusal in addition to a text or calls"},
		"chunks and text":            {stubs.Say(provider.Answer{Text: "a", Chunks: []string{"b"}}), "give one of the two"},
		"ids":                        {stubs.Say(provider.Answer{Calls: []provider.ToolCall{{ID: "a", Name: "t"}, {ID: "a", Name: "t"}}}), `two calls with the ID "a"`},
		"half a character":           {stubs.Say(provider.Answer{Chunks: []string{"\xc3", "\xa9"}}), "is not UTF-8"},
		"usage":                      {stubs.Say(provider.Answer{Usage: provider.Usage{Input: 1, Cached: 2}}), "cached at most input"},
		"stop":                       {stubs.Say(provider.Answer{Stop: "late"}), `its stop is "late"`},
		"break before":               {stubs.Say(provider.Answer{Text: "a", BreakAt: &minus}), "its break_at is -1 of 1"},
		"status":                     {stubs.Fail[provider.Answer](&provider.Error{Status: 200}), "use one from 400 to 599"},
		"exhausted":                  {stubs.Say(provider.Answer{}).Times(0), "ran dry"},
	} {
		for f, p := range paths {
			fake := &fakeT{T: t}
			ctx := stubs.ForTest(fake)
			status, header, _, err := post(ctx, script(c.reply), "POST", p.path, p.body)
			if status != 400 || header.Get("X-Should-Retry") != "false" || !errors.Is(err, core.ErrHarness) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: status %d, %v, want %s", f, name, status, err, c.want)
			}
			if said := fake.end(); !strings.Contains(said, c.want) {
				t.Errorf("%s, %s: in the end %q", f, name, said)
			}
			// Over the network it is the provider's error.
			w := httptest.NewRecorder()
			provider.New(script(c.reply)).Within(stubs.ForTest(fake)).ServeHTTP(w, httptest.NewRequest("POST", p.path, strings.NewReader(p.body)))
			if said := failing(t, f, w.Body.String()); w.Code != 400 || !strings.Contains(said, c.want) {
				t.Errorf("%s, %s: %d %s", f, name, w.Code, said)
			}
		}
	}
	stream := `{"model":"m","input":"hi","stream":true}`
	if _, _, _, err := post(stubs.ForTest(&fakeT{T: t}), script(stubs.Say(provider.Answer{Text: "a b", BreakAt: &far})), "POST", "/v1/responses", stream); err == nil || !strings.Contains(err.Error(), "its break_at is 99 of 2") {
		t.Errorf("error %v", err)
	}
}

type fakeT struct {
	*testing.T
	ends []func()
	said string
}

func (f *fakeT) Cleanup(end func()) { f.ends = append(f.ends, end) }
func (f *fakeT) Error(args ...any)  { f.said += fmt.Sprint(args...) }
func (f *fakeT) end() string {
	for _, end := range f.ends {
		end()
	}
	return f.said
}

// An endpoint that no script can answer is a fault of the test.
func TestOtherEndpoints(t *testing.T) {
	for _, path := range []string{"/v1/embeddings", "/v1beta/models/m:embedContent", "/v1/messages/count_tokens", "/", "/v1beta/models/m"} {
		fake := &fakeT{T: t}
		status, _, _, err := post(stubs.ForTest(fake), stubs.Always[provider.Request](provider.Answer{}), "POST", path, "{}")
		if status != 404 || !errors.Is(err, core.ErrHarness) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %d, %v", path, status, err)
		}
		if said := fake.end(); !strings.Contains(said, "a scripted provider answers") || strings.Contains(said, key) {
			t.Errorf("%s: in the end %s", path, said)
		}
	}
}

func TestHeadersOfLimits(t *testing.T) {
	for f, p := range paths {
		limit := stubs.From(func(core.Request[provider.Request]) stubs.Reply[provider.Answer] {
			return stubs.RateLimited[provider.Answer](1500 * time.Millisecond)
		})
		status, h, body, err := post(t.Context(), limit, "POST", p.path, p.body)
		if status != 429 || err != nil || h.Get("Retry-After") != "2" || h.Get("Retry-After-Ms") != "1500" {
			t.Errorf("%s: %d %v %v", f, status, h, err)
		}
		failing(t, f, body)
		switch f {
		case provider.Messages:
			if h.Get("Anthropic-Ratelimit-Requests-Remaining") != "0" {
				t.Errorf("%s: %v", f, h)
			}
		case provider.Gemini:
			if !strings.Contains(body, `"retryDelay":"1.5s"`) {
				t.Errorf("%s: %s", f, body)
			}
		default:
			if h.Get("X-Ratelimit-Remaining-Requests") != "0" || h.Get("X-Ratelimit-Reset-Requests") != "1.5s" {
				t.Errorf("%s: %v", f, h)
			}
		}
		own := &provider.Error{Status: 402, Type: "billing", Header: http.Header{"x-left": {"0"}}}
		status, h, body, err = post(t.Context(), stubs.From(func(core.Request[provider.Request]) stubs.Reply[provider.Answer] {
			return stubs.Fail[provider.Answer](own)
		}), "POST", p.path, p.body)
		if status != 402 || err != nil || h.Get("X-Left") != "0" || !strings.Contains(body, "billing") || !strings.Contains(body, "Payment Required") {
			t.Errorf("%s: %d %v %v %s", f, status, h, err, body)
		}
	}
}

// Garbage comes as it was written; a panic of the script breaks the connection; a hanging
// model ends with its client.
func TestOtherFaults(t *testing.T) {
	for f, p := range paths {
		status, _, body, err := post(stubs.ForTest(t), script(stubs.Malformed[provider.Answer](`{"choices": [`)), "POST", p.path, p.body)
		if status != 200 || body != `{"choices": [` || err != nil {
			t.Errorf("%s: %d %q %v", f, status, body, err)
		}
		if _, _, _, err := post(stubs.ForTest(t), script(stubs.Panic[provider.Answer]("boom")), "POST", p.path, p.body); !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, core.ErrHarness) {
			t.Errorf("%s: %v", f, err)
		}
		gone := errors.New("the client is gone")
		ctx, cancel := context.WithCancelCause(stubs.ForTest(t))
		asked := stubs.From(func(core.Request[provider.Request]) stubs.Reply[provider.Answer] {
			cancel(gone)
			return stubs.Hang[provider.Answer]()
		})
		if _, _, _, err := post(ctx, asked, "POST", p.path, p.body); !errors.Is(err, gone) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func TestGeminiStreamAsArray(t *testing.T) {
	status, h, body, err := post(t.Context(), stubs.Always[provider.Request](provider.Answer{Text: "a b"}), "POST", "/v1beta/models/m:streamGenerateContent", paths[provider.Gemini].body)
	var list []any
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list) != 3 {
		t.Errorf("%v: %s", err, body)
	}
	if status != 200 || err != nil || h.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %v", status, h, err)
	}
}

func TestLoopbackOnly(t *testing.T) {
	s := provider.New(stubs.Always[provider.Request](provider.Answer{Text: "x"}))
	for addr, want := range map[string]int{"127.0.0.1": 200, "::1": 200, "10.0.0.5": 403, "2001:db8::1": 403} {
		req := httptest.NewRequest("POST", paths[provider.Chat].path, strings.NewReader(paths[provider.Chat].body))
		req = req.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(addr)}))
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, req); w.Code != want {
			t.Errorf("%s: %d, want %d", addr, w.Code, want)
		}
	}
	l, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	base := l.URL(t.Context())
	host, _, err := net.SplitHostPort(strings.Split(base, "/")[2])
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		t.Errorf("it listens on %s", base)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := http.Post(base+"/v1/responses", "application/json", strings.NewReader("{}")); err == nil {
		t.Error("it still answers")
	}
}

// A URL belongs to one scope, and ends with it.
func TestURLsOfScopes(t *testing.T) {
	l, err := provider.New(script(stubs.Say(provider.Answer{Text: "one"}), stubs.Say(provider.Answer{Text: "two"}))).Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ask := func(base string) (int, string) {
		resp, err := http.Post(base+"/v1/responses", "application/json", strings.NewReader(`{"model":"m","input":"hi"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp.StatusCode, string(data)
	}
	ctx, cancel := context.WithCancel(stubs.ForTest(t))
	other := l.URL(stubs.ForTest(t))
	ending := l.URL(ctx)
	for _, word := range []string{"one", "two"} {
		for _, base := range []string{other, ending} {
			if status, body := ask(base); status != 200 || !strings.Contains(body, word) {
				t.Errorf("%d %s", status, body)
			}
		}
	}
	cancel()
	if status, body := ask(ending); status != 404 || !strings.Contains(body, "unknown scope") {
		t.Errorf("after its end: %d %s", status, body)
	}
	if status, _ := ask(strings.Replace(other, "scope-", "none-", 1)); status != 404 {
		t.Errorf("status %d", status)
	}
}

// Nothing that a script, an error or a transcript shows has the key.
func TestKeepsNoKey(t *testing.T) {
	for f, p := range paths {
		var seen bytes.Buffer
		m := stubs.From(func(r core.Request[provider.Request]) stubs.Reply[provider.Answer] {
			fmt.Fprintf(&seen, "%+v %s", r, r.Input.Body)
			return stubs.Fail[provider.Answer](errors.New("down"))
		})
		_, h, body, err := post(stubs.ForTest(t), m, "POST", p.path, p.body)
		if text := fmt.Sprint(seen.String(), h, body, err); strings.Contains(text, key) || seen.Len() == 0 {
			t.Errorf("%s: %s", f, text)
		}
	}
}

// The answers that a table writes are those of Go.
func TestTable(t *testing.T) {
	table, err := stubs.ParseTable("t.yaml", []byte(`stubs: 1
steps:
  ask:
    - say: {reasoning: hm, calls: [{name: t, args: '{"a":1}'}], usage: {input: 3, output: 2, reasoning: 1}}
    - rate_limit: 2s
    - say: {text: a b, first_token: 1ns, break_at: 1}
`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := stubs.FromTable[provider.Request, provider.Answer](table, "ask")
	if err != nil {
		t.Fatal(err)
	}
	ctx, p := stubs.ForTest(t), paths[provider.Messages]
	var got []string
	for range 3 {
		status, _, body, err := post(ctx, m, "POST", p.path, p.body)
		got = append(got, fmt.Sprint(status, strings.Contains(body, `"input":{"a":1}`), errors.Is(err, io.ErrUnexpectedEOF)))
	}
	if want := "[200 true false 429 false false 200 false true]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// FuzzServer sends anything anywhere. The answer is the script's, or an error in the form
// of a provider.
func FuzzServer(f *testing.F) {
	for _, p := range paths {
		f.Add("POST", p.path, []byte(p.body))
		f.Add("GET", p.path, []byte(p.body[:len(p.body)/2]))
	}
	f.Add("POST", "/v1/responses", []byte(`{"model":"m","input":[{"type":"function_call","call_id":"a"},{"type":"function_call_output","call_id":"a","output":[{"type":"input_text","text":"x"}]}],"stream":true}`))
	f.Add("POST", "/v1/chat/completions", []byte(`{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{}]},{"role":"tool"}],"stream":true,"stream_options":{"include_usage":true}}`))
	f.Add("POST", "/models/:streamGenerateContent", []byte(`{"contents":[{"role":"model","parts":[{"functionCall":{}}]},{"parts":[{"functionResponse":{}}]}]}`))
	f.Add("POST", "/messages", []byte(`{"model":"m","max_tokens":1,"system":[{"type":"text","text":"x"}],"messages":[{"role":"assistant","content":[{"type":"tool_use"}]},{"role":"user","content":[{"type":"tool_result","content":[{"type":"image"}]}]}],"stream":true}`))
	m := stubs.From(func(r core.Request[provider.Request]) stubs.Reply[provider.Answer] {
		a := provider.Answer{Text: "a b", Reasoning: "hm"}
		if len(r.Input.Tools) > 0 {
			a.Calls = []provider.ToolCall{{Name: r.Input.Tools[0], Args: `{"a":"é"}`}}
		}
		return stubs.Say(a)
	})
	f.Fuzz(func(t *testing.T, method, path string, data []byte) {
		req, err := http.NewRequest(method, "http://provider.invalid/", bytes.NewReader(data))
		if err != nil {
			return
		}
		req.URL.Path = path
		resp, err := provider.New(m).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		switch {
		case err != nil && (!errors.Is(err, core.ErrHarness) || resp.StatusCode < 400):
			t.Errorf("%d: %v", resp.StatusCode, err)
		case err == nil && resp.StatusCode != 200 && !bytes.Contains(body, []byte(`"error":{`)):
			t.Errorf("%d: %s", resp.StatusCode, body)
		case err == nil && resp.Header.Get("Content-Type") == "application/json" && !json.Valid(body):
			t.Errorf("%d: %s", resp.StatusCode, body)
		}
	})
}

// FuzzAnswer gives any answer in each format, whole and streamed. It is refused as a fault
// of the script, or comes as JSON that holds its text.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{}`, `{"text":"a b\nc","reasoning":"hm","usage":{"input":3,"output":2}}`, `{"refusal":"no"}`, `{"chunks":["a","","é"],"stop":"length"}`,
		`{"calls":[{"name":"t","args":" {\"a\": [1, \"é\"]}\n"},{"name":"t"}],"break_at":1,"first_token":"0s"}`, `{"text":"\u2028 <x> \u0000","stop":"filter"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var a provider.Answer
		if json.Unmarshal(data, &a) != nil || a.FirstToken > 0 {
			return
		}
		m := stubs.Always[provider.Request](a)
		for format, p := range paths {
			for _, stream := range []bool{false, true} {
				path, body := p.path, p.body
				switch {
				case stream && format == provider.Gemini:
					path = strings.Replace(path, "generateContent", "streamGenerateContent", 1)
				case stream:
					body = `{"stream":true,` + body[1:]
				}
				status, _, got, err := post(t.Context(), m, "POST", path, body)
				cut := errors.Is(err, io.ErrUnexpectedEOF) && a.BreakAt != nil
				switch {
				case status == 400 && errors.Is(err, core.ErrHarness), cut:
					continue
				case status != 200 || err != nil:
					t.Fatalf("%s: %d %v", format, status, err)
				}
				if !stream || format == provider.Gemini {
					if !json.Valid([]byte(got)) {
						t.Fatalf("%s: no JSON: %s", format, got)
					}
					continue
				}
				for line := range strings.Lines(got) {
					if data, ok := strings.CutPrefix(line, "data: "); ok && data != "[DONE]\n" && !json.Valid([]byte(data)) {
						t.Fatalf("%s: no JSON: %s", format, line)
					}
				}
			}
		}
	})
}
