package sdks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/stubs/provider"
)

// model is a script.
type model = core.Agent[provider.Request, provider.Answer]

func script(replies ...stubs.Reply[provider.Answer]) model {
	return stubs.Script[provider.Request](replies...)
}

func says(a provider.Answer) stubs.Reply[provider.Answer] { return stubs.Say(a) }

var usage = provider.Usage{Input: 20, Cached: 5, Output: 9, Reasoning: 4}

var parallel = []provider.ToolCall{{ID: "one", Name: "weather", Args: `{"city":"Rome"}`}, {ID: "two", Name: "time", Args: `{}`}}

// everywhere runs a test through each SDK, whole and streamed, over the loopback interface
// and in the process.
func everywhere(t *testing.T, do func(t *testing.T, s sdk, stream bool, ask func(m model, talk ...turn) (result, error))) {
	for _, s := range all {
		for _, stream := range []bool{false, true} {
			for _, network := range []bool{false, true} {
				within := func(t *testing.T, f func(*testing.T)) { f(t) }
				if !network {
					within = synctest.Test // no time passes where SDKs wait
				}
				t.Run(fmt.Sprintf("%s/stream=%v/network=%v", s.name, stream, network), func(t *testing.T) {
					within(t, func(t *testing.T) {
						do(t, s, stream, func(m model, talk ...turn) (result, error) {
							ctx := stubs.ForTest(t)
							if !network {
								return s.ask(ctx, "http://provider.invalid", &http.Client{Transport: provider.New(m)}, talk, stream)
							}
							if m, ok := m.(patient); ok && m.tries > 1 {
								t.Skip("the SDK waits before it tries again: tested where time is not real")
							}
							l, err := provider.New(m).Listen()
							if err != nil {
								t.Fatal(err)
							}
							defer l.Close()
							return s.ask(t.Context(), l.URL(ctx), &http.Client{}, talk, stream)
						})
					})
				})
			}
		}
	}
}

func TestText(t *testing.T) {
	everywhere(t, func(t *testing.T, s sdk, stream bool, ask func(model, ...turn) (result, error)) {
		seen := stubs.From(func(r core.Request[provider.Request]) stubs.Reply[provider.Answer] {
			q := r.Input
			if q.Format != s.format || q.Model != "a-model" || q.Stream != stream || q.System != "be brief" || q.Prompt() != "hello" || fmt.Sprint(q.Tools) != "[weather time]" {
				t.Errorf("request %+v", q)
			}
			if strings.Contains(fmt.Sprintf("%+v %s", q, q.Body), secretKey) {
				t.Error("the script sees the key")
			}
			return says(provider.Answer{Text: "It is sunny, <é 漢>.\nAnd \"warm\".", Usage: usage, Chunks: nil})
		})
		r, err := ask(seen, turn{user: "hello"})
		if err != nil || r.Text != "It is sunny, <é 漢>.\nAnd \"warm\"." || r.Usage != usage || r.Calls != nil {
			t.Errorf("%+v, %v", r, err)
		}
		if stream && r.Chunks != 6 {
			t.Errorf("%d chunks, want the 6 words", r.Chunks)
		}
	})
}

func TestChunksAsGiven(t *testing.T) {
	everywhere(t, func(t *testing.T, s sdk, stream bool, ask func(model, ...turn) (result, error)) {
		r, err := ask(script(says(provider.Answer{Chunks: []string{"It", " is", " sunny."}})), turn{user: "hello"})
		if err != nil || r.Text != "It is sunny." || stream && r.Chunks != 3 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestToolRoundTrip(t *testing.T) {
	for _, calls := range [][]provider.ToolCall{parallel[:1], parallel} {
		everywhere(t, func(t *testing.T, s sdk, _ bool, ask func(model, ...turn) (result, error)) {
			m := stubs.Script[provider.Request](says(provider.Answer{Reasoning: "I look it up.", Calls: calls}), says(provider.Answer{Text: "done"})).
				ExpectThat(nil, func(q provider.Request) error {
					if got := q.Results(); len(got) != len(calls) || got[0].ID != "one" || !strings.Contains(got[0].Text, "sunny") {
						return fmt.Errorf("results %+v", got)
					}
					return nil
				})
			both := stubs.ForTest(t)
			hc := &http.Client{Transport: provider.New(m)}
			r, err := s.ask(both, "http://provider.invalid", hc, []turn{{user: "weather?"}}, false)
			if err != nil || r.Stop != s.tools {
				t.Fatalf("%+v, %v", r, err)
			}
			if d := cmp.Diff(calls, r.Calls); d != "" {
				t.Errorf("calls (-want +got):\n%s", d)
			}
			results := []string{"sunny", "noon"}[:len(calls)]
			if r, err = s.ask(both, "http://provider.invalid", hc, []turn{{user: "weather?"}, {calls: r.Calls}, {results: results}}, false); err != nil || r.Text != "done" {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func TestParallelTools(t *testing.T) {
	everywhere(t, func(t *testing.T, s sdk, stream bool, ask func(model, ...turn) (result, error)) {
		r, err := ask(script(says(provider.Answer{Text: "I look both up.", Calls: parallel})), turn{user: "both?"})
		if err != nil || r.Text != "I look both up." || r.Stop != s.tools {
			t.Errorf("%+v, %v", r, err)
		}
		if d := cmp.Diff(parallel, r.Calls); d != "" {
			t.Errorf("calls (-want +got):\n%s", d)
		}
	})
}

// Calls without an id get one that no call of the conversation has.
func TestToolCallIDs(t *testing.T) {
	everywhere(t, func(t *testing.T, s sdk, _ bool, ask func(model, ...turn) (result, error)) {
		r, err := ask(script(says(provider.Answer{Calls: []provider.ToolCall{{Name: "time"}, {Name: "time"}}})),
			turn{user: "weather?"}, turn{calls: parallel[:1]}, turn{results: []string{"sunny"}})
		if err != nil || len(r.Calls) != 2 || r.Calls[0].ID != "call_2" || r.Calls[1].ID != "call_3" || r.Calls[0].Args != "{}" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestReasoning(t *testing.T) {
	everywhere(t, func(t *testing.T, s sdk, _ bool, ask func(model, ...turn) (result, error)) {
		r, err := ask(script(says(provider.Answer{Reasoning: "Let me see.", Text: "Yes.", Usage: usage})), turn{user: "?"})
		if err != nil || r.Reasoning != "Let me see." || r.Text != "Yes." || r.Usage != usage {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestRefusal(t *testing.T) {
	everywhere(t, func(t *testing.T, s sdk, _ bool, ask func(model, ...turn) (result, error)) {
		r, err := ask(script(says(provider.Answer{Refusal: "I can not help with that."})), turn{user: "?"})
		want := "I can not help with that."
		if s.format == provider.Gemini {
			want = "" // the SDK does not read finishMessage from this API
		}
		if err != nil || r.Refusal != want || r.Text != "" || r.Stop != s.refuses {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestStops(t *testing.T) {
	want := map[provider.Format][2]string{provider.Chat: {"length", "content_filter"}, provider.Responses: {"incomplete", "incomplete"},
		provider.Messages: {"max_tokens", "refusal"}, provider.Gemini: {"MAX_TOKENS", "SAFETY"}}
	everywhere(t, func(t *testing.T, s sdk, _ bool, ask func(model, ...turn) (result, error)) {
		for i, stop := range []provider.Stop{provider.TooLong, provider.Suppressed} {
			if r, err := ask(script(says(provider.Answer{Text: "It is", Stop: stop})), turn{user: "?"}); err != nil || r.Stop != want[s.format][i] || r.Text != "It is" {
				t.Errorf("%+v, %v", r, err)
			}
		}
	})
}

// An SDK that tries again by itself gets the next reply of the script.
func TestRateLimit(t *testing.T) {
	everywhere(t, func(t *testing.T, s sdk, _ bool, ask func(model, ...turn) (result, error)) {
		if s.retries {
			if r, err := ask(script(stubs.RateLimited[provider.Answer](time.Millisecond).Times(2), says(provider.Answer{Text: "now"})), turn{user: "?"}); err != nil || r.Text != "now" {
				t.Errorf("%+v, %v", r, err)
			}
		}
		_, err := ask(script(stubs.RateLimited[provider.Answer](time.Millisecond).Times(map[bool]int{true: 3, false: 1}[s.retries])), turn{user: "?"})
		if s.status(err) != 429 {
			t.Errorf("error %v", err)
		}
	})
}

// The SDKs wait as long as they like: time is not real here, since there is no network.
func TestOverload(t *testing.T) {
	for _, s := range all {
		synctest.Test(t, func(t *testing.T) {
			times := map[bool]int{true: 3, false: 1}[s.retries]
			for _, stream := range []bool{false, true} {
				m := script(stubs.Fail[provider.Answer](provider.ErrOverloaded).Times(times))
				_, err := s.ask(stubs.ForTest(t), "http://provider.invalid", &http.Client{Transport: provider.New(m)}, []turn{{user: "?"}}, stream)
				if s.status(err) != s.busy {
					t.Errorf("%s: error %v", s.name, err)
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	everywhere(t, func(t *testing.T, s sdk, _ bool, ask func(model, ...turn) (result, error)) {
		for _, status := range []int{400, 401, 403, 404, 422} {
			_, err := ask(script(stubs.Fail[provider.Answer](&provider.Error{Status: status, Message: "no"})), turn{user: "?"})
			if s.status(err) != status || errors.Is(err, core.ErrHarness) {
				t.Errorf("status %d: error %v", status, err)
			}
		}
	})
}

// patient is the script of an SDK that waits and tries again where the body of an answer
// breaks.
type patient struct {
	model
	tries int
}

// breaking gives an answer that breaks, as often as the SDK asks for it.
func (s sdk) breaking(a provider.Answer, stream bool) model {
	tries := 1
	if s.format == provider.Messages && !stream {
		tries = 3
	}
	return patient{script(says(a).Times(tries)), tries}
}

func TestCutAtEachChunk(t *testing.T) {
	everywhere(t, func(t *testing.T, s sdk, stream bool, ask func(model, ...turn) (result, error)) {
		for k := range 4 {
			r, err := ask(s.breaking(provider.Answer{Text: "one two three four", BreakAt: &k}, stream), turn{user: "?"})
			if err == nil || errors.Is(err, core.ErrHarness) || s.status(err) != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("chunk %d: error %v", k, err)
			}
			if want := strings.Join(strings.SplitAfter("one two three four", " ")[:k], ""); stream && (r.Text != want || r.Chunks != k) {
				t.Errorf("chunk %d: %+v, want %q", k, r, want)
			}
		}
	})
}

// A call that breaks within its arguments is no call.
func TestCutInArguments(t *testing.T) {
	everywhere(t, func(t *testing.T, s sdk, stream bool, ask func(model, ...turn) (result, error)) {
		k := 1
		if s.format == provider.Gemini {
			k = 0
		}
		r, err := ask(s.breaking(provider.Answer{Calls: parallel[:1], BreakAt: &k}, stream), turn{user: "?"})
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(r.Calls) != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestSlowFirstToken(t *testing.T) {
	for _, s := range all {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			m := stubs.Always[provider.Request](provider.Answer{Text: "one two", FirstToken: provider.Wait(20 * time.Second)})
			hc := &http.Client{Transport: provider.New(m)}
			if r, err := s.ask(t.Context(), "http://provider.invalid", hc, []turn{{user: "?"}}, true); err != nil || r.Text != "one two" || time.Since(began) != 20*time.Second {
				t.Errorf("%s: %+v, %v after %v", s.name, r, err, time.Since(began))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if _, err := s.ask(ctx, "http://provider.invalid", hc, []turn{{user: "?"}}, true); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: a client that waits 5 s: %v", s.name, err)
			}
		})
	}
}

// fakeT is a test that may fail.
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

// A script that runs out says the same as for any agent, at once and in the end. The SDK
// does not try again.
func TestExhaustion(t *testing.T) {
	for _, s := range all {
		for _, stream := range []bool{false, true} {
			fake := &fakeT{T: t}
			ctx := stubs.ForTest(fake)
			m := script(says(provider.Answer{Text: "only one"}))
			hc := &http.Client{Transport: provider.New(m)}
			_, err := s.ask(ctx, "http://provider.invalid", hc, []turn{{user: "?"}}, stream)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.ask(ctx, "http://provider.invalid", hc, []turn{{user: "?"}}, stream)
			var dry *stubs.ExhaustedError
			if !errors.As(err, &dry) || !errors.Is(err, core.ErrHarness) || dry.Have != 1 || dry.Asked != 2 {
				t.Errorf("%s: error %v", s.name, err)
			}
			_, agent := m.Call(ctx, core.Request[provider.Request]{})
			dry.Asked++
			if agent == nil || !strings.HasPrefix(agent.Error(), strings.SplitN(dry.Error(), ". Before it", 2)[0]) {
				t.Errorf("%s: as an agent it says %v", s.name, agent)
			}
			if said := fake.end(); strings.Count(said, "ran dry") != 2 {
				t.Errorf("%s: in the end %s", s.name, said)
			}

			l, err := provider.New(m).Listen()
			if err != nil {
				t.Fatal(err)
			}
			fake = &fakeT{T: t}
			ctx = stubs.ForTest(fake)
			for range 2 {
				_, err = s.ask(t.Context(), l.URL(ctx), &http.Client{}, []turn{{user: "?"}}, stream)
			}
			if s.status(err) != 400 {
				t.Errorf("%s, over the network: %v", s.name, err)
			}
			if said := fake.end(); strings.Count(said, "ran dry") != 1 {
				t.Errorf("%s, over the network: in the end %s", s.name, said)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// The pipeline of an agent behind an SDK: sized from its plan, with a fault that stops the
// run and is not retried.
func TestSizedFromThePlan(t *testing.T) {
	for _, s := range all {
		m := stubs.Script[provider.Request](says(provider.Answer{Calls: parallel[:1]}), says(provider.Answer{Text: "sunny"}))
		hc := &http.Client{Transport: provider.New(m)}
		agent := stubs.Scoped(core.Func[string, string](func(ctx context.Context, req core.Request[string]) (string, error) {
			talk := []turn{{user: req.Input}}
			for {
				r, err := s.ask(ctx, "http://provider.invalid", hc, talk, false)
				if err != nil || r.Calls == nil {
					return r.Text, err
				}
				talk = append(talk, turn{calls: r.Calls}, turn{results: []string{"22 C"}})
			}
		}))
		p, err := core.New("p", core.Step("ask", agent, func(in string) string { return in }, func(in *string, out string) { *in = out }))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			requests, runs int
			want           string
		}{{2, 3, ""}, {1, 3, `script of step "ask" in arm "a" ran dry`}, {2, 2, `was asked for 4 outputs`}} {
			book, err := stubs.Size(p, stubs.Load{Arm: "a", Rounds: 3, Batch: 1})
			if err == nil && c.requests > 1 {
				err = book.Requests("ask", c.requests)
			}
			ctx, inErr := book.In(t.Context(), "a")
			if err = errors.Join(err, inErr); err != nil {
				t.Fatal(err)
			}
			var failed error
			for i := range c.runs {
				res, err := core.Run(ctx, core.NewEngine(), p, core.RunKey{Run: fmt.Sprint(i)}, "weather?")
				if err == nil && res.Scope != "sunny" {
					t.Errorf("%s: %q", s.name, res.Scope)
				}
				failed = errors.Join(failed, err)
			}
			if failed != nil && !errors.Is(failed, core.ErrHarness) {
				t.Errorf("%s: %v", s.name, failed)
			}
			if err := book.Verify(); c.want == "" && (err != nil || failed != nil) || c.want != "" && !strings.Contains(fmt.Sprint(err), c.want) && c.runs == 3 {
				t.Errorf("%s: %+v: %v, %v", s.name, c, failed, err)
			}
		}
	}
}

// byPrompt gives the answers by what the request asks.
func byPrompt(answers []provider.Answer) func(core.Request[provider.Request]) stubs.Reply[provider.Answer] {
	return func(r core.Request[provider.Request]) stubs.Reply[provider.Answer] {
		switch q := r.Input; {
		case q.Prompt() == "bad":
			return says(answers[2])
		case q.Prompt() == "long":
			return says(answers[3])
		case len(q.Results()) > 0:
			return says(answers[1])
		}
		return says(answers[0])
	}
}
