package cassette_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs/cassette"
)

// tells records, or replays, what echo says about topics.
func tells(t *testing.T, c *cassette.Cassette, topics ...string) {
	t.Helper()
	for _, s := range topics {
		if out := must(t, cassette.Recorded(c, "writer", fn(echo)), "r", "draft", topic{Topic: s}); !strings.HasSuffix(out, s) {
			t.Errorf("%s: %q", s, out)
		}
	}
}

func lines(t *testing.T, file string) int { return strings.Count(read(t, file), "\n") - 1 }

func TestOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Once)
	tells(t, c, "a", "b")
	closed(t, c)
	c = open(t, file, cassette.Once)
	tells(t, c, "a")
	var miss *cassette.MissError
	if _, err := call(t, cassette.Recorded(c, "writer", fn(echo)), "r", "draft", topic{Topic: "new"}); !errors.As(err, &miss) {
		t.Errorf("a second run recorded: %v", err)
	}
	closed(t, c)
	if n := lines(t, file); n != 2 {
		t.Errorf("%d recordings", n)
	}
}

func TestAdd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "c.jsonl")
	c := open(t, file, cassette.Add)
	tells(t, c, "a", "b")
	closed(t, c)
	before := read(t, file)

	c = open(t, file, cassette.Add) // nothing new
	tells(t, c, "a")
	if err := errors.Join(c.Verify(), c.Close()); err != nil || read(t, file) != before {
		t.Errorf("%v, or the file has changed", err)
	}
	asked := 0
	c = open(t, file, cassette.Add)
	for _, s := range []string{"a", "c", "c"} {
		counting := fn(func(ctx context.Context, r core.Request[topic]) (string, error) { asked++; return echo(ctx, r) })
		must(t, cassette.Recorded(c, "writer", counting), "r", "draft", topic{Topic: s})
	}
	if err := errors.Join(c.Verify(), c.Close()); err != nil || asked != 2 {
		t.Errorf("%v; the agent was asked %d times, want twice", err, asked)
	}
	if n := lines(t, file); n != 4 {
		t.Errorf("%d recordings, want a, b and twice c:\n%s", n, read(t, file))
	}
	c = open(t, file, cassette.Replay)
	tells(t, c, "a", "b", "c", "c")
	if err := c.Verify(); err != nil {
		t.Error(err)
	}
}

// Two runs that make the same new request get one answer, as when recording.
func TestAddOfTwoRuns(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "c.jsonl"), cassette.Add)
	asked := 0
	a := cassette.Recorded(c, "writer", fn(func(ctx context.Context, r core.Request[topic]) (string, error) { asked++; return echo(ctx, r) }))
	must(t, a, "r1", "draft", topic{Topic: "x"})
	must(t, a, "r2", "draft", topic{Topic: "x"})
	if closed(t, c); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestPartialRunsDropNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	record := func(partial bool, topics ...string) error {
		c := open(t, file, cassette.Record, cassette.Partial(partial))
		tells(t, c, topics...)
		return c.Close()
	}
	if err := record(true, "a", "b"); err != nil { // there is nothing to drop
		t.Fatal(err)
	}
	before := read(t, file)
	want := "would be lost (1): use mode Add, which keeps them, run all tests, or use Partial(false)\n    agent \"writer\", step \"draft\"\n"
	if err := record(true, "b", "c"); err == nil || !strings.HasSuffix(err.Error(), want) || !errors.Is(err, core.ErrHarness) || read(t, file) != before {
		t.Errorf("%v\nwant … %s", err, want)
	}
	if err := record(true, "b", "a", "c"); err != nil || lines(t, file) != 3 {
		t.Errorf("all asked for, and one more: %v", err)
	}
	if err := record(false, "b"); err != nil || lines(t, file) != 1 {
		t.Errorf("a whole run: %v", err)
	}
}

func TestMaxAge(t *testing.T) {
	day := time.Date(2026, 11, 28, 23, 0, 0, 0, time.UTC)
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record)
	tells(t, c, "a")
	closed(t, c)
	month := func(days int) cassette.Option { return cassette.MaxAge(30*24*time.Hour, day.AddDate(0, 0, days)) }
	if _, err := cassette.Open(file, cassette.Replay, month(0)); err == nil || !strings.Contains(err.Error(), "c.jsonl:2: ") || !strings.Contains(err.Error(), "has no date") {
		t.Errorf("error %v", err)
	}
	c = open(t, file, cassette.Record, month(0))
	tells(t, c, "a")
	closed(t, c)
	c = open(t, file, cassette.Add, month(10))
	tells(t, c, "b")
	closed(t, c)
	for _, mode := range []cassette.Mode{cassette.Replay, cassette.Once, cassette.Add} {
		if _, err := cassette.Open(file, mode, month(30)); err != nil {
			t.Errorf("%v: %v", mode, err)
		}
		_, err := cassette.Open(file, mode, month(31))
		if want := `agent "writer", step "draft" was recorded on 2026-11-28, 31 days ago, and MaxAge allows 30 days: record it again`; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v: %v\nwant %s", mode, err, want)
		}
	}
	if _, err := cassette.Open(file, cassette.Record, month(400)); err != nil {
		t.Errorf("recording again: %v", err)
	}
	if _, err := cassette.Open(file, cassette.Replay); err != nil {
		t.Errorf("without an age: %v", err)
	}
}

func TestPassthrough(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	metrics := cassette.Passthrough(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/metrics") })
	for _, mode := range []cassette.Mode{cassette.Record, cassette.Replay} {
		asked := 0
		base := roundTrip(func(r *http.Request) (*http.Response, error) {
			asked++
			return answering("text/plain", "x")(r)
		})
		c := open(t, file, mode, metrics)
		client := &http.Client{Transport: c.Transport(base)}
		seen(client.Get("https://x.test/a"))
		for range 2 {
			if got := seen(client.Get("https://x.test/metrics/1")); !strings.HasPrefix(got, "200") {
				t.Errorf("%v: %s", mode, got)
			}
		}
		if err := errors.Join(c.Close(), c.Verify()); err != nil || asked != map[cassette.Mode]int{cassette.Record: 3, cassette.Replay: 2}[mode] || lines(t, file) != 1 {
			t.Errorf("%v: %v, asked %d times", mode, err, asked)
		}
	}
}

// Each matcher lets through what it names, and nothing else.
func TestMatchers(t *testing.T) {
	const host, body = "http://127.0.0.1:4711", `{"model":"m","at":"2026-11-28T10:00:00Z","prompt":"on 2026-11-28: hi"}`
	for name, c := range map[string]struct {
		opts []cassette.Option
		same []string // requests that are the recorded one
		not  []string
	}{
		"any host": {[]cassette.Option{cassette.AnyHost()},
			[]string{host + " " + body, "https://127.0.0.1:9 " + body, "http://api.test " + body},
			[]string{host + "/x " + body, host + ` {"model":"n"}`}},
		"only": {[]cassette.Option{cassette.OnlyFields("model")},
			[]string{host + ` {"model":"m"}`, host + ` {"model":"m","prompt":5}`},
			[]string{host + ` {"model":"n"}`, host + ` {}`, "http://api.test " + body}},
		"dates": {[]cassette.Option{cassette.Compare(cassette.Dates)},
			[]string{host + ` {"model":"m","at":"2027-01-01T01:02:03.5+01:00","prompt":"on 1999-01-01: hi"}`},
			[]string{host + ` {"model":"m","at":"2027-01-01T01:02:03Z","prompt":"on 1999-01-01: bye"}`, host + ` {"model":"m","at":"now","prompt":"on 2026-11-28: hi"}`}},
		"a function of a field": {[]cassette.Option{cassette.Compare(func(field, text string) string {
			if field == "input.body.prompt" {
				return strings.ToLower(text)
			}
			return text
		})},
			[]string{host + " " + strings.Replace(body, "hi", "HI", 1)}, []string{host + " " + strings.Replace(body, `"m"`, `"M"`, 1)}},
		"all": {[]cassette.Option{cassette.AnyHost(), cassette.IgnoreFields("at"), cassette.OnlyFields("prompt", "at"), cassette.Compare(cassette.Dates)},
			[]string{"http://api.test " + `{"model":"n","at":1,"prompt":"on 1999-01-01: hi"}`}, []string{host + ` {"prompt":"hi"}`}},
	} {
		file := filepath.Join(t.TempDir(), "c.jsonl")
		ask := func(c *cassette.Cassette, q string) error {
			base, body, _ := strings.Cut(q, " ")
			resp, err := post(t.Context(), &http.Client{Transport: c.Transport(answering("text/plain", "x"))}, base+"/v1", body)
			if err == nil {
				seen(resp, nil)
			}
			return err
		}
		rec := open(t, file, cassette.Record, c.opts...)
		if err := ask(rec, host+" "+body); err != nil {
			t.Fatal(err)
		}
		closed(t, rec)
		for _, q := range append(c.same, host+" "+body) {
			if err := ask(open(t, file, cassette.Replay, c.opts...), q); err != nil {
				t.Errorf("%s: %s: %v", name, q, err)
			}
		}
		var miss *cassette.MissError
		for _, q := range c.not {
			if err := ask(open(t, file, cassette.Replay, c.opts...), q); !errors.As(err, &miss) {
				t.Errorf("%s: %s: %v", name, q, err)
			}
		}
		// What is compared is a matter of the options of today, not of the recording.
		plain, err := cassette.Open(file, cassette.Replay)
		if strings.Contains(read(t, file), `"compare":true`) {
			if err == nil || !strings.Contains(err.Error(), "recorded with Compare") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if err := ask(plain, c.same[len(c.same)-2]); !errors.As(err, &miss) {
			t.Errorf("%s: without the option: %v", name, err)
		}
	}
}

// Two requests that differ in what is not compared are two recordings of one request, in
// the order in which they were made.
func TestMatchedRequestsInOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	n := 0
	rec := open(t, file, cassette.Record, cassette.AnyHost())
	client := &http.Client{Transport: rec.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		n++
		return answering("text/plain", fmt.Sprint("answer ", n))(r)
	}))}
	for _, host := range []string{"z", "a"} {
		seen(client.Get("http://" + host + ".test/"))
	}
	closed(t, rec)
	rep := open(t, file, cassette.Replay, cassette.AnyHost())
	for i := range 2 {
		if got := seen((&http.Client{Transport: rep.Transport(nil)}).Get("http://b.test/")); !strings.Contains(got, fmt.Sprint("answer ", i+1)) {
			t.Errorf("request %d: %s", i+1, got)
		}
	}
	if err := rep.Verify(); err != nil {
		t.Error(err)
	}
}
