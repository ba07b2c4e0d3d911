package cassette_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs/cassette"
)

// An agent is recorded once; from then on the file answers in its place.
func ExampleRecorded() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	real := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
		fmt.Println("the real agent is called")
		return "about " + req.Input, nil
	})
	for _, mode := range []cassette.Mode{cassette.Record, cassette.Replay} { // in a test: flag.TextVar(&mode, "cassette", stubs.Replay, "…")
		tape, err := cassette.Open(filepath.Join(dir, "writer.jsonl"), mode)
		if err != nil {
			fmt.Println(err)
			return
		}
		p, err := core.New("essay", core.Step("draft", cassette.Recorded(tape, "writer", real),
			func(s string) string { return s }, func(s *string, out string) { *s = out }))
		if err != nil {
			fmt.Println(err)
			return
		}
		res, err := core.Run(context.Background(), core.NewEngine(), p, core.RunKey{Run: mode.String()}, "saves")
		fmt.Println(mode, res.Scope, errors.Join(err, tape.Verify(), tape.Close()))
	}
	// Output:
	// the real agent is called
	// record about saves <nil>
	// replay about saves <nil>
}

// A model that streams over HTTP: each event is replayed by its own.
func ExampleCassette_Transport() {
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("the real model is asked")
		w.Header().Set("Content-Type", "text/event-stream")
		for _, word := range []string{"durable", "pipelines"} {
			fmt.Fprintf(w, "data: {\"delta\":{\"content\":%q}}\n\n", word)
		}
		fmt.Fprint(w, "data: [DONE]\n\n")
	}))
	defer model.Close()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	for _, mode := range []cassette.Mode{cassette.Record, cassette.Replay} {
		tape, err := cassette.Open(filepath.Join(dir, "model.jsonl"), mode)
		if err != nil {
			fmt.Println(err)
			return
		}
		client := &http.Client{Transport: tape.Transport(nil)}
		resp, err := client.Post(model.URL+"/v1/chat/completions", "application/json", strings.NewReader(`{"stream":true}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if lines.Text() != "" {
				fmt.Println(lines.Text())
			}
		}
		fmt.Println(mode, errors.Join(resp.Body.Close(), tape.Verify(), tape.Close()))
	}
	// Output:
	// the real model is asked
	// data: {"delta":{"content":"durable"}}
	// data: {"delta":{"content":"pipelines"}}
	// data: [DONE]
	// record <nil>
	// data: {"delta":{"content":"durable"}}
	// data: {"delta":{"content":"pipelines"}}
	// data: [DONE]
	// replay <nil>
}

// The real agent has changed since it was recorded, and a pipeline asks for what was
// not: both are named, with the difference.
func ExampleMode() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	answer := "about "
	real := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) { return answer + req.Input, nil })
	ask := func(mode cassette.Mode, input string) error {
		tape, err := cassette.Open(filepath.Join(dir, "writer.jsonl"), mode)
		if err != nil {
			return err
		}
		_, err = cassette.Recorded(tape, "writer", real).Call(context.Background(), core.Request[string]{Path: "draft", Input: input})
		return errors.Join(err, tape.Close())
	}
	fmt.Println(ask(cassette.Record, "saves"), ask(cassette.Verify, "saves"))

	answer = "all about "
	var mismatch *cassette.MismatchError
	if errors.As(ask(cassette.Verify, "saves"), &mismatch) {
		fmt.Println("line", mismatch.Line, mismatch.Diff)
	}
	var miss *cassette.MissError
	if errors.As(ask(cassette.Replay, "loops"), &miss) {
		fmt.Println("line", miss.Line, miss.Diff)
	}
	// Output:
	// <nil> <nil>
	// line 2 [output: recorded "about saves", now "all about saves"]
	// line 2 [input: recorded "saves", now "loops"]
}

// No secret is written: those of known names and forms, those that look random, and
// those that are named.
func ExampleSecrets() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	file := filepath.Join(dir, "writer.jsonl")
	tape, err := cassette.Open(file, cassette.Record, cassette.Secrets("correct horse battery"), cassette.AllowAltered())
	if err != nil {
		fmt.Println(err)
		return
	}
	real := core.Func[map[string]string, string](func(context.Context, core.Request[map[string]string]) (string, error) {
		return "the staple is correct horse battery", nil
	})
	_, err = cassette.Recorded(tape, "writer", real).Call(context.Background(), core.Request[map[string]string]{Path: "draft", Input: map[string]string{
		"api_key": "4711",
		"text":    "use sk-" + "made-up-0123456789 or 9hJ2kL5mN8pQ" + "1rS4tV7wX0yZ3aB6",
	}})
	err = errors.Join(err, tape.Close())
	data, readErr := os.ReadFile(file)
	_, line, _ := strings.Cut(string(data), `"input":`)
	fmt.Println(line, errors.Join(err, readErr))
	// Output:
	// {"api_key":"[redacted:field]","text":"use [redacted:api-key] or [redacted:entropy]"},"output":"the staple is [redacted:known]"}
	//  <nil>
}
