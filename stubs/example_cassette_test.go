package stubs_test

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
	"github.com/flujo/flujo-harness/stubs"
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
	for _, mode := range []stubs.Mode{stubs.Record, stubs.Replay} { // in a test: flag.TextVar(&mode, "cassette", stubs.Replay, "…")
		tape, err := stubs.OpenCassette(filepath.Join(dir, "writer.jsonl"), mode)
		if err != nil {
			fmt.Println(err)
			return
		}
		p, err := core.New("essay", core.Step("draft", stubs.Recorded(tape, "writer", real),
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

	for _, mode := range []stubs.Mode{stubs.Record, stubs.Replay} {
		tape, err := stubs.OpenCassette(filepath.Join(dir, "model.jsonl"), mode)
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
