package sdks

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/stubs/cassette"
	"github.com/flujo/flujo-harness/stubs/provider"
)

// Four ways to the same answers: asked over the network, recorded there, replayed, and
// scripted within the process.
func TestRecordIsPlainIsReplayIsScripted(t *testing.T) {
	answers := []provider.Answer{
		{Reasoning: "Let me look.", Calls: parallel, Usage: usage},
		{Text: "Sunny in Rome, <é 漢>, at noon.", Usage: usage},
		{Refusal: "No."},
		{Text: "cut", Stop: provider.TooLong},
	}
	for _, s := range all {
		for _, stream := range []bool{false, true} {
			talk := func(base string, hc *http.Client, fake *fakeT) (got []result) {
				ctx := stubs.ForTest(fake)
				for i, conversation := range [][]turn{{{user: "weather?"}}, {{user: "weather?"}, {calls: parallel}, {results: []string{"sunny", "noon"}}}, {{user: "bad"}}, {{user: "long"}}} {
					r, err := s.ask(ctx, base, hc, conversation, stream)
					if err != nil {
						t.Fatalf("%s, request %d: %v", s.name, i+1, err)
					}
					got = append(got, r)
				}
				return got
			}
			m := stubs.From(byPrompt(answers))
			l, err := provider.New(m).Listen()
			if err != nil {
				t.Fatal(err)
			}
			base, file := l.URL(t.Context()), filepath.Join(t.TempDir(), "c.jsonl")
			plain := talk(base, &http.Client{}, &fakeT{T: t})

			rec, err := cassette.Open(file, cassette.Record)
			if err != nil {
				t.Fatal(err)
			}
			recorded := talk(base, &http.Client{Transport: rec.Transport(nil)}, &fakeT{T: t})
			if err := rec.Close(); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			rep, err := cassette.Open(file, cassette.Replay)
			if err != nil {
				t.Fatal(err)
			}
			replayed := talk(base, &http.Client{Transport: rep.Transport(nil)}, &fakeT{T: t})
			if err := rep.Verify(); err != nil {
				t.Error(err)
			}
			scripted := talk("http://provider.invalid", &http.Client{Transport: provider.New(m)}, &fakeT{T: t})
			for name, got := range map[string][]result{"recorded": recorded, "replayed": replayed, "scripted": scripted} {
				if d := cmp.Diff(plain, got); d != "" {
					t.Errorf("%s, stream=%v: (-plain +%s):\n%s", s.name, stream, name, d)
				}
			}
			if plain[0].Reasoning == "" || len(plain[0].Calls) != 2 || plain[1].Text == "" {
				t.Errorf("%s: %+v", s.name, plain)
			}
			data, err := os.ReadFile(file)
			if err != nil || bytes.Contains(data, []byte(secretKey)) {
				t.Errorf("%s: the file holds the key, or: %v", s.name, err)
			}
		}
	}
}
