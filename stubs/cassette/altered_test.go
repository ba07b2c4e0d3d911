package cassette_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/stubs/cassette"
)

// answering is a server with one answer.
func answering(kind, body string) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}, nil
	}
}

func alteredIn(err error) (list []string) {
	var altered *cassette.AlteredError
	if errors.As(err, &altered) {
		for _, a := range altered.Altered {
			list = append(list, fmt.Sprintf("%d %s %d", a.Line, a.Path, a.Values))
		}
	}
	return list
}

// Every answer that a recording changes is listed, when it is recorded and when it is
// replayed.
func TestAlteredAnswers(t *testing.T) {
	const secret = "tok-5b1f9c2e77aa41d0b3c4"
	for name, c := range map[string]struct {
		kind, body string
		want       []string
	}{
		"JSON": {"application/json", `{"access_token":"` + secret + `","n":1,"list":[{"password":"hunter22"},{"password":"hunter23"},{"password":""}]}`,
			[]string{"2 body.access_token 1", "2 body.list[].password 2"}},
		"number":          {"application/json", `{"password":12345678}`, []string{"2 body.password 1"}},
		"JSON in a text":  {"application/json", `{"arguments":"{\"password\":\"hunter22\"}"}`, []string{"2 body.arguments.password 1"}},
		"text":            {"text/plain", "password=hunter22", []string{"2 text 1"}},
		"events":          {"text/event-stream", "event: a\ndata: {\"token\":\"" + secret + "\"}\n\ndata: {\"b\":1}\n\n", []string{"2 chunks[].token 1"}},
		"split in pieces": {"text/event-stream", "data: {\"delta\":\"password: hun\"}\n\ndata: {\"delta\":\"ter22 ok\"}\n\n", []string{"2 chunks[].delta 2"}},
		"nothing":         {"application/json", `{"max_tokens":5,"token":15339,"text":"pass the salt"}`, nil},
	} {
		file := filepath.Join(t.TempDir(), "c.jsonl")
		rec := open(t, file, cassette.Record)
		seen((&http.Client{Transport: rec.Transport(answering(c.kind, c.body))}).Get("https://x.test/"))
		if d := cmp.Diff(c.want, alteredIn(rec.Close())); d != "" {
			t.Errorf("%s, recorded (-want +got):\n%s", name, d)
		}
		if d := cmp.Diff(c.want, alteredIn(rec.Verify())); d != "" {
			t.Errorf("%s, verified after recording (-want +got):\n%s", name, d)
		}
		for _, allowed := range []bool{false, true} {
			var opts []cassette.Option
			if allowed {
				opts = append(opts, cassette.AllowAltered())
			}
			rep := open(t, file, cassette.Replay, opts...)
			seen((&http.Client{Transport: rep.Transport(nil)}).Get("https://x.test/"))
			err := rep.Verify()
			want := c.want
			switch {
			case allowed:
				want = nil
			case name == "number":
				want = nil // 0 may be what was there
			case name == "split in pieces":
				want = []string{"2 chunks[].delta 1"} // the marker stands in the first
			}
			if d := cmp.Diff(want, alteredIn(err)); d != "" || len(want) > 0 != errors.Is(err, core.ErrHarness) {
				t.Errorf("%s, replayed, allowed=%v: %v (-want +got):\n%s", name, allowed, err, d)
			}
		}
	}
}

func TestAlteredAgents(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	rec := open(t, file, cassette.Record)
	for _, name := range []string{"says", "fails"} {
		agent := cassette.Recorded(rec, name, core.Func[string, map[string]string](func(context.Context, core.Request[string]) (map[string]string, error) {
			if name == "fails" {
				return nil, errors.New("denied: password=hunter22")
			}
			return map[string]string{"note": "ok", "secret": "hunter22"}, nil
		}))
		_, _ = agent.Call(t.Context(), core.Request[string]{Path: "s"})
	}
	err := rec.Close()
	if d := cmp.Diff([]string{"2 error 1", "3 output.secret 1"}, alteredIn(err)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	want := `line 3: agent "says", step "s": output.secret (1 value)`
	if !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// Fields of providers that only look secret stay as they are, in every form.
func TestFieldsOfProvidersStay(t *testing.T) {
	const sealed = "gAAAAABpK3mQ7tYxV0uR9sW2eKzLdFhJ8bNcQ5aTqPwXyZ1oGmIvEuHrSk4D6jL"
	for name, body := range map[string]string{
		"encrypted_content": `{"type":"reasoning","id":"rs_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b","encrypted_content":"` + sealed + `"}`,
		"signature":         `{"type":"thinking","thinking":"hm","signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"}`,
		"signature_delta":   `{"type":"content_block_delta","delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"}}`,
		"redacted_thinking": `{"content":[{"type":"redacted_thinking","data":"EmwKAhgBEgy3va3pzix1LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpPkNRj2YfWXGmKDxH4mPnZ5sQ7kB9LsN"}]}`,
		"thoughtSignature":  `{"text":"lo","thoughtSignature":"CpQBAdHtim9QxK2v7bLzWy5eRtUaSdFgHjKlMnBvCxZq"}`,
		"ids":               `{"id":"resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b","call_id":"call_9aXbYcZd1234567890abcdEF","previous_response_id":"resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795c","item_id":"msg_01XFDUDYJgAACzvnptvVoYEL"}`,
		"tool use":          `{"type":"tool_use","id":"toolu_01T1x1fJ34qAmk2tNTrN7Up6","name":"weather","input":{"city":"Rome"}}`,
		"eos_token":         `{"eos_token":"<|endoftext|>","bos_token":"<s>","pad_token":"[PAD]"}`,
		"next_page_token":   `{"next_page_token":"CiAKGjBpNDd2Nmp2Zml2cXRwb2k5dzRvdGZhY2E0cBgB","nextPageToken":"CiAKGjBpNDd2Nmp2Zml2cXRwb2k5dzRvdGZhY2E0cBgB"}`,
		"logprobs":          `{"logprobs":{"content":[{"token":"Hello","logprob":-0.1,"bytes":[72],"top_logprobs":[{"token":"Hey","logprob":-2}]}]}}`,
		"numbers":           `{"token":15339,"tokens":[15339,1917],"max_tokens":100,"usage":{"prompt_tokens":5,"cached_tokens":0,"total_tokens":12}}`,
		"fingerprint":       `{"system_fingerprint":"fp_44709d6fcb","service_tier":"default","responseId":"mAitaLmkHPPlz7IPvtfUqQ4"}`,
		"obfuscation":       `{"type":"response.output_text.delta","delta":"Hi","obfuscation":"aKx91mQz7LpW3vRt"}`,
		"embedding":         `{"object":"embedding","embedding":"` + strings.Repeat("mZmZPpqZGb8AAIA/q83vPg", 8) + `"}`,
		"image":             `{"b64_json":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}`,
		"inline data":       `{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}}`,
		"audio":             `{"audio":{"id":"audio_6744555c6b5c8190a7d8a4b5","data":"UklGRsYAAABXQVZFZm10IBAAAAABAAEAwF0AAIC7AAACABAAZGF0YaIAAAABAP7/AgD9/wQA","transcript":"hi"}}`,
		"container":         `{"container":{"id":"container_011CPR5CNjB747bTd36fQLFk","expires_at":"2025-05-23T21:13:31.749448Z"}}`,
	} {
		if !json.Valid([]byte(body)) {
			t.Fatalf("%s: no JSON", name)
		}
		for kind, text := range map[string]string{
			"application/json":     body,
			"text/event-stream":    "event: x\ndata: " + body + "\n\ndata: " + body + "\n\n",
			"application/x-ndjson": body + "\n" + body + "\n",
		} {
			file := filepath.Join(t.TempDir(), "c.jsonl")
			rec := open(t, file, cassette.Record)
			plain := seen((&http.Client{Transport: rec.Transport(answering(kind, text))}).Get("https://x.test/"))
			if err := rec.Close(); err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
				continue
			}
			rep := open(t, file, cassette.Replay)
			if got := seen((&http.Client{Transport: rep.Transport(nil)}).Get("https://x.test/")); kind != "application/json" && got != plain || rep.Verify() != nil {
				t.Errorf("%s, %s: %v\n%s\n%s", name, kind, rep.Verify(), plain, got)
			}
		}
	}
}

// A response that its reader forgets is named, and another run that asks the same does not
// wait for it.
func TestLeakedBody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record)
	client := &http.Client{Transport: c.Transport(answering("text/plain", "some text"))}
	of := func(run string) context.Context {
		return stubs.Scope{Run: core.RunKey{Run: run}, Path: "ask"}.In(t.Context())
	}
	first, err := get(of("a"), client)
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 4)
	if _, err := io.ReadFull(first.Body, part); err != nil {
		t.Fatal(err)
	}
	if got := seen(get(of("b"), client)); !strings.Contains(got, "some text") {
		t.Errorf("the other run got %q", got)
	}
	rest, err := io.ReadAll(first.Body)
	if string(part)+string(rest) != "some text" || err != nil {
		t.Errorf("the first reader got %q and %q, %v", part, rest, err)
	}
	if _, err := get(of("c"), client); err != nil { // and forgets it: of another run, so from memory
		t.Fatal(err)
	}
	want := "neither read completely nor closed, which leaks connections: 1\n    GET https://x.test/, step \"ask\"\n"
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v", err)
	}

	c = open(t, file, cassette.Replay)
	if _, err := get(of("a"), &http.Client{Transport: c.Transport(nil)}); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("replayed: error %v", err)
	}
}

func get(ctx context.Context, client *http.Client) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://x.test/", nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

// A run that waits before there is a response reads it when it comes.
func TestWaitingForALeakedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, filepath.Join(t.TempDir(), "c.jsonl"), cassette.Record)
		come := make(chan struct{})
		client := &http.Client{Transport: c.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			<-come
			return answering("text/plain", "late")(r)
		}))}
		for _, run := range []string{"a", "b"} {
			go func() {
				resp, err := get(stubs.Scope{Run: core.RunKey{Run: run}}.In(t.Context()), client)
				if run == "b" {
					if got := seen(resp, err); !strings.Contains(got, "late") {
						t.Error(got)
					}
				}
			}()
			synctest.Wait()
		}
		close(come)
		synctest.Wait()
		if err := c.Close(); err == nil || !strings.Contains(err.Error(), "connections: 1\n") {
			t.Errorf("error %v", err)
		}
	})
}

// Close names the calls whose responses are open.
func TestCloseNamesOpenResponses(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "c.jsonl"), cassette.Record)
	client := &http.Client{Transport: c.Transport(answering("text/plain", "x"))}
	seen(client.Get("https://x.test/done"))
	for _, path := range []string{"a", "b"} {
		if _, err := client.Get("https://x.test/" + path); err != nil {
			t.Fatal(err)
		}
	}
	err := c.Close()
	for _, want := range []string{"calls that are still in progress (2)", "GET https://x.test/a, whose response body is open", "GET https://x.test/b, whose response body is open"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v\nwant %s", err, want)
		}
	}
}

// A replay does not make clients wait, unless it is asked to. Waits on which they give up stay.
func TestReplayOfWaits(t *testing.T) {
	for _, c := range []struct{ header, value, want string }{
		{"Retry-After", "7", "0"}, {"Retry-After-Ms", "1500", "0"}, {"Retry-After", "60", "0"}, {"Retry-After", "3600", "3600"}, {"Retry-After-Ms", "3600000", "3600000"},
		{"Retry-After", "Fri, 28 Nov 2026 12:00:00 GMT", "0"}, {"Retry-After", "soon", "soon"}, {"Retry-After", "-1", "-1"}, {"Retry-After", "NaN", "NaN"},
	} {
		file := filepath.Join(t.TempDir(), "c.jsonl")
		rec := open(t, file, cassette.Record)
		limited := roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := answering("text/plain", "x")(r)
			resp.Header.Set(c.header, c.value)
			return resp, err
		})
		seen((&http.Client{Transport: rec.Transport(limited)}).Get("https://x.test/"))
		closed(t, rec)
		for _, keep := range []bool{false, true} {
			opts, want := []cassette.Option{}, c.want
			if keep {
				opts, want = append(opts, cassette.KeepDelays()), c.value
			}
			resp, err := (&http.Client{Transport: open(t, file, cassette.Replay, opts...).Transport(nil)}).Get("https://x.test/")
			if err != nil || resp.Header.Get(c.header) != want {
				t.Errorf("%+v, keep=%v: %q, %v", c, keep, resp.Header.Get(c.header), err)
			}
		}
	}
}

// A miss at another host says so, and an SDK that would try again is stopped.
func TestMissTellsHostFromBody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	rec := open(t, file, cassette.Record)
	client := &http.Client{Transport: rec.Transport(answering("application/json", "{}"))}
	seen(post(t.Context(), client, "http://127.0.0.1:4711/v1/chat", `{"model":"m"}`))
	seen(post(t.Context(), client, "http://127.0.0.1:4712/v1/other", `{"model":"m","x":1}`))
	closed(t, rec)
	rep := open(t, file, cassette.Replay)
	client = &http.Client{Transport: rep.Transport(nil)}
	ask := func(body string, header ...string) (*http.Response, error) {
		return post(t.Context(), client, "http://127.0.0.1:4712/v1/chat", body, header...)
	}
	var miss *cassette.MissError
	_, err := ask(`{"model":"m"}`)
	if !errors.As(err, &miss) || len(miss.Diff) != 1 || miss.Diff[0] != "host: recorded http://127.0.0.1:4711, now http://127.0.0.1:4712 (AnyHost does not compare it)" {
		t.Errorf("%v", err)
	}
	_, err = ask(`{"model":"n"}`)
	if !errors.As(err, &miss) || len(miss.Diff) != 2 || !strings.HasPrefix(miss.Diff[0], "host: ") || miss.Diff[1] != `input.body.model: recorded "m", now "n"` {
		t.Errorf("%v", err)
	}
	resp, err := ask(`{"model":"sdk"}`, "X-Stainless-Retry-Count", "0")
	if err != nil || resp.StatusCode != 400 || resp.Header.Get("X-Should-Retry") != "false" {
		t.Fatalf("%v, %v", resp, err)
	}
	if _, err := io.ReadAll(resp.Body); !errors.As(err, &miss) || !strings.Contains(miss.Asked, "sdk") || !errors.Is(err, core.ErrHarness) {
		t.Errorf("%v", err)
	}
}
