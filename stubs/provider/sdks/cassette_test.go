package sdks

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// A miss is one request, also for SDKs that try again, and is what the SDK returns.
func TestMissIsOneRequest(t *testing.T) {
	for _, s := range all {
		for _, stream := range []bool{false, true} {
			file := filepath.Join(t.TempDir(), "c.jsonl")
			rec, err := cassette.Open(file, cassette.Record)
			if err != nil {
				t.Fatal(err)
			}
			m := stubs.Always[provider.Request](provider.Answer{Text: "x"})
			if _, err := s.ask(t.Context(), "http://provider.invalid", &http.Client{Transport: rec.Transport(provider.New(m))}, []turn{{user: "recorded"}}, stream); err != nil {
				t.Fatal(err)
			}
			if err := rec.Close(); err != nil {
				t.Fatal(err)
			}
			rep, err := cassette.Open(file, cassette.Replay)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.ask(t.Context(), "http://provider.invalid", &http.Client{Transport: rep.Transport(nil)}, []turn{{user: "another"}}, stream)
			var miss *cassette.MissError
			if !errors.As(err, &miss) || miss.N != 1 || len(miss.Diff) == 0 {
				t.Errorf("%s: error %v", s.name, err)
			}
			if n := strings.Count(rep.Verify().Error(), "has no recording"); n != 1 {
				t.Errorf("%s: %d misses", s.name, n)
			}
		}
	}
}

// Retry-After of a recording does not make the SDK wait in a replay.
func TestReplayDoesNotWait(t *testing.T) {
	for _, s := range all {
		if !s.retries {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "c.jsonl")
			m := script(stubs.RateLimited[provider.Answer](30*time.Second), says(provider.Answer{Text: "now"}))
			rec, err := cassette.Open(file, cassette.Record)
			if err != nil {
				t.Fatal(err)
			}
			ask := func(c *cassette.Cassette) time.Duration {
				began := time.Now()
				r, err := s.ask(stubs.ForTest(&fakeT{T: t}), "http://provider.invalid", &http.Client{Transport: c.Transport(provider.New(m))}, []turn{{user: "?"}}, false)
				if err != nil || r.Text != "now" {
					t.Errorf("%s: %+v, %v", s.name, r, err)
				}
				return time.Since(began)
			}
			if took := ask(rec); took != 30*time.Second {
				t.Errorf("%s: recorded in %v", s.name, took)
			}
			if err := rec.Close(); err != nil {
				t.Error(err)
			}
			for opt, want := range map[bool]time.Duration{false: 0, true: 30 * time.Second} {
				var opts []cassette.Option
				if opt {
					opts = append(opts, cassette.KeepDelays())
				}
				rep, err := cassette.Open(file, cassette.Replay, opts...)
				if err != nil {
					t.Fatal(err)
				}
				if took := ask(rep); took != want {
					t.Errorf("%s: replayed in %v, want %v", s.name, took, want)
				}
			}
		})
	}
}
