package cassette_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs/cassette"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with testdata/cassette/<name>. dir is where the test worked.
func golden(t *testing.T, name, dir, got string) {
	t.Helper()
	if dir != "" {
		got = strings.ReplaceAll(got, dir, "DIR")
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, []byte(got), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func open(t testing.TB, path string, mode cassette.Mode, opts ...cassette.Option) *cassette.Cassette {
	t.Helper()
	c, err := cassette.Open(path, mode, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func closed(t testing.TB, c *cassette.Cassette) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

type topic struct {
	Topic string `json:"topic"`
	Style string `json:"style,omitempty"`
	Depth int    `json:"depth,omitempty"`
}

type fn = core.Func[topic, string]

func echo(_ context.Context, r core.Request[topic]) (string, error) {
	return "about " + r.Input.Topic, nil
}

// call calls a recorded agent as a step would.
func call(t testing.TB, a core.Agent[topic, string], run, path string, in topic) (string, error) {
	t.Helper()
	return a.Call(t.Context(), core.Request[topic]{Input: in, Run: core.RunKey{Run: run}, Path: path, Attempt: 1})
}

func must(t testing.TB, a core.Agent[topic, string], run, path string, in topic) string {
	t.Helper()
	out, err := call(t, a, run, path, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// recordOne records the given calls of echo at step "draft" in one file.
func recordOne(t testing.TB, opts []cassette.Option, in ...topic) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record, opts...)
	for _, x := range in {
		must(t, cassette.Recorded(c, "writer", fn(echo)), "r", "draft", x)
	}
	closed(t, c)
	return file
}

type essay struct {
	Topic string
	Draft string
	Notes map[string]string
	Marks []int
}

// essays is a pipeline of every kind of repetition: retries, iterations, branches
// and items with the same input.
func essays(t testing.TB, c *cassette.Cassette, real bool) *core.Pipeline[essay] {
	t.Helper()
	agent := func(name string, f core.Func[string, string]) core.Agent[string, string] {
		if !real {
			return cassette.Recorded[string, string](c, name, nil)
		}
		return cassette.Recorded(c, name, f)
	}
	var drafts, notes atomic.Int64
	draft := agent("writer", func(_ context.Context, r core.Request[string]) (string, error) {
		n := drafts.Add(1)
		if r.Attempt == 1 {
			return "", fmt.Errorf("overloaded, attempt number %d", n)
		}
		return fmt.Sprintf("draft %d after %q", n, r.Feedback), nil
	})
	note := agent("critic", func(_ context.Context, r core.Request[string]) (string, error) {
		return fmt.Sprintf("note %d", notes.Add(1)), nil
	})
	p, err := core.New("essays",
		core.Loop("refine", 2, nil, core.Step("draft", draft, func(e essay) string { return e.Topic },
			func(e *essay, out string) { e.Draft += out + ";" }, core.Retries(1)), core.MaxIsSuccess()),
		core.Map("score", 4, func(e essay) []string { return []string{"same", "same", "same", "other"} },
			core.Step("critic", note, func(s string) string { return s }, func(s *string, out string) { *s = out }),
			func(e *essay, items []core.Ended[string]) error {
				e.Notes = map[string]string{}
				for _, it := range items {
					e.Notes[it.Name] = it.Scope
				}
				return nil
			}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRecordOnceReplayForEver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sub", "essays.jsonl")
	c := open(t, file, cassette.Record)
	want, err := core.Run(t.Context(), core.NewEngine(), essays(t, c, true), core.RunKey{Run: "first"}, essay{Topic: "saves"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there before Close: %v", err)
	}
	closed(t, c)

	c = open(t, file, cassette.Replay)
	p, e := essays(t, c, false), core.NewEngine(core.WithBackend(core.NewMemory()))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			got, err := core.Run(t.Context(), e, p, core.RunKey{Tenant: "other", Run: fmt.Sprint("again ", i)}, essay{Topic: "saves"})
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(want.Scope, got.Scope); diff != "" {
				t.Errorf("run %d (-recorded +replayed):\n%s", i, diff)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(c.Verify(), c.Close()); err != nil {
		t.Error(err)
	}
}

// The order in which calls are made must not be seen in the file.
func TestFileIsTheSameInAnyOrder(t *testing.T) {
	var files [2]string
	for i := range files {
		file := filepath.Join(t.TempDir(), "c.jsonl")
		c := open(t, file, cassette.Record)
		a := cassette.Recorded(c, "writer", fn(echo))
		for k := range 6 {
			if i == 1 {
				k = 5 - k
			}
			must(t, a, fmt.Sprint("run", i, k), fmt.Sprintf("map#%d/draft", k/2), topic{Topic: fmt.Sprint(k % 2)})
		}
		closed(t, c)
		files[i] = read(t, file)
	}
	if diff := cmp.Diff(files[0], files[1]); diff != "" {
		t.Errorf("files differ:\n%s", diff)
	}
	golden(t, "file.golden", "", files[0])
}

func TestOccurrences(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record)
	n := 0
	a := cassette.Recorded(c, "voter", fn(func(context.Context, core.Request[topic]) (string, error) {
		n++
		return fmt.Sprint("vote ", n), nil
	}))
	record := []string{must(t, a, "r", "s", topic{}), must(t, a, "r", "s", topic{}), must(t, a, "r", "t", topic{})}
	closed(t, c)
	c = open(t, file, cassette.Replay)
	a = cassette.Recorded[topic, string](c, "voter", nil)
	for _, run := range []string{"x", "y"} { // each counts for itself
		t3 := must(t, a, run, "t", topic{})
		if diff := cmp.Diff(record, []string{must(t, a, run, "s", topic{}), must(t, a, run, "s", topic{}), t3}); diff != "" {
			t.Errorf("run %s (-recorded +replayed):\n%s", run, diff)
		}
	}
	_, err := call(t, a, "x", "s", topic{})
	golden(t, "miss_once_more.golden", filepath.Dir(file), fmt.Sprint(err))
}

// Runs that ask the same while recording get the same, as they will when replayed.
func TestRunsShareARecording(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "c.jsonl")
		c := open(t, file, cassette.Record)
		var calls atomic.Int64
		release := make(chan struct{})
		a := cassette.Recorded(c, "writer", fn(func(ctx context.Context, r core.Request[topic]) (string, error) {
			n := calls.Add(1)
			select {
			case <-release:
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
			return fmt.Sprint("call ", n), nil
		}))
		ctx, cancel := context.WithCancel(t.Context())
		outs := make(chan string, 5)
		start := func(ctx context.Context, run string) {
			go func() {
				out, err := a.Call(ctx, core.Request[topic]{Run: core.RunKey{Run: run}, Path: "s"})
				outs <- fmt.Sprint(out, " ", err)
			}()
			synctest.Wait()
		}
		start(ctx, "cancelled")
		start(t.Context(), "a")
		start(t.Context(), "b")
		if calls.Load() != 1 {
			t.Errorf("%d calls while the first is under way", calls.Load())
		}
		short, stop := context.WithCancel(t.Context())
		start(short, "short")
		stop() // who waits for another's answer can be cancelled
		if got := <-outs; got != " context canceled" {
			t.Errorf("waiting run: %q", got)
		}
		start(t.Context(), "short") // and resumed: its first call again
		cancel()                    // what it asked must not be lost: another run takes over
		if got := <-outs; got != " context canceled" {
			t.Errorf("cancelled run: %q", got)
		}
		synctest.Wait()
		close(release)
		start(t.Context(), "cancelled") // resumed: its first call again
		for range 4 {
			if got := <-outs; got != "call 2 <nil>" {
				t.Errorf("output %q", got)
			}
		}
		closed(t, c)
		if n := strings.Count(read(t, file), `"n":`); n != 1 {
			t.Errorf("%d recordings, want 1", n)
		}
	})
}

func TestWhatIsRecordedOfErrors(t *testing.T) {
	timeout, stop := context.WithTimeoutCause(t.Context(), 0, fmt.Errorf("its timeout passed: %w", context.DeadlineExceeded))
	defer stop()
	wall, stop := context.WithTimeoutCause(t.Context(), 0, &core.BudgetError{Resource: "wall time"})
	defer stop()
	cancelled, stop := context.WithCancel(t.Context())
	stop()
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		err     error
		kept    bool
		timeout bool
	}{
		{name: "failure", err: errors.New("overloaded"), kept: true},
		{name: "timeout", ctx: timeout, err: context.DeadlineExceeded, kept: true, timeout: true},
		{name: "timeout of its own", err: fmt.Errorf("dial: %w", os.ErrDeadlineExceeded), kept: true, timeout: true},
		{name: "harness", err: fmt.Errorf("ran dry: %w", core.ErrHarness)},
		{name: "cancelled", ctx: cancelled, err: context.Canceled},
		{name: "wall time", ctx: wall, err: context.DeadlineExceeded},
		{name: "budget", err: &core.BudgetError{Resource: "tokens"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "c.jsonl")
			c := open(t, file, cassette.Record)
			must(t, cassette.Recorded(c, "other", fn(echo)), "r", "s", topic{})
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			a := cassette.Recorded(c, "a", fn(func(context.Context, core.Request[topic]) (string, error) { return "", tt.err }))
			if _, err := a.Call(ctx, core.Request[topic]{}); err != tt.err {
				t.Fatalf("while recording: %v", err)
			}
			closed(t, c)
			_, err := call(t, cassette.Recorded[topic, string](open(t, file, cassette.Replay), "a", nil), "", "", topic{})
			if miss := errors.As(err, new(*cassette.MissError)); miss == tt.kept {
				t.Fatalf("recorded %v, want %v: %v", !miss, tt.kept, err)
			}
			if !tt.kept {
				return
			}
			var net interface{ Timeout() bool }
			if err.Error() != tt.err.Error() || errors.Is(err, core.ErrHarness) || !errors.As(err, new(*core.RecordedError)) ||
				errors.Is(err, context.DeadlineExceeded) != tt.timeout || (errors.As(err, &net) && net.Timeout()) != tt.timeout {
				t.Errorf("replayed %#v", err)
			}
		})
	}
}

func TestPanicIsRecorded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	for _, mode := range []cassette.Mode{cassette.Record, cassette.Replay} {
		c := open(t, file, mode)
		a := cassette.Recorded(c, "a", fn(func(context.Context, core.Request[topic]) (string, error) { panic("index out of range") }))
		p, err := core.New("p", core.Step("s", a, func(s string) topic { return topic{} }, func(*string, string) {}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, "")
		if got, want := fmt.Sprint(err), `step "s" failed after 1 attempt: panic: index out of range`; got != want {
			t.Errorf("%v: %s", mode, got)
		}
		var failed *core.RecordedError
		if mode == cassette.Record && (!errors.As(err, &failed) || !strings.Contains(failed.Stack, "TestPanicIsRecorded")) {
			t.Error("the stack of the panic is lost")
		}
		closed(t, c)
	}
}

func TestMiss(t *testing.T) {
	long := strings.Repeat("words in front of it, ", 10)
	file := recordOne(t, nil, topic{Topic: "saves", Style: "short", Depth: 1}, topic{Topic: "loops"}, topic{Topic: long + "gates"})
	for name, ask := range map[string]struct {
		agent, path string
		in          topic
	}{
		"miss_nearest.golden":       {"writer", "refine#2/draft", topic{Topic: "saves", Depth: 2}},
		"miss_long.golden":          {"writer", "draft", topic{Topic: long + "holes"}},
		"miss_other_step.golden":    {"writer", "refine#2/draft", topic{Topic: "loops"}},
		"miss_other_agent.golden":   {"critic", "draft", topic{Topic: "loops"}},
		"miss_secret.golden":        {"writer", "draft", topic{Topic: "loops", Style: "use sk-proj-1234567890abcdefghij"}},
		"miss_nothing_there.golden": {"", "draft", topic{}},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, file, cassette.Replay)
			a := cassette.Recorded[topic, string](c, ask.agent, nil)
			_, err := call(t, a, "r", ask.path, ask.in)
			if !errors.Is(err, core.ErrHarness) {
				t.Errorf("no fault of the harness: %v", err)
			}
			if got := c.Verify(); !errors.Is(got, err) {
				t.Errorf("swallowed: %v", got)
			}
			golden(t, name, filepath.Dir(file), fmt.Sprint(err))
		})
	}
}

// The same step is nearer than the same words, and the same agent nearer than both.
func TestNearestIsOfTheSameStep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record)
	writer, critic := cassette.Recorded(c, "writer", fn(echo)), cassette.Recorded(c, "critic", fn(echo))
	must(t, writer, "r", "loop#1/draft", topic{Topic: "something else", Depth: 9})
	must(t, writer, "r", "other", topic{Topic: "saves"})
	must(t, critic, "r", "loop#2/draft", topic{Topic: "saves"})
	closed(t, c)
	for _, q := range []struct{ agent, path, nearest string }{
		{"writer", "loop#2/draft", `agent "writer", step "loop#1/draft"`},
		{"writer", "third", `agent "writer", step "other"`},
		{"critic", "other", `agent "critic", step "loop#2/draft"`},
	} {
		_, err := call(t, cassette.Recorded[topic, string](open(t, file, cassette.Replay), q.agent, nil), "r", q.path, topic{Topic: "saves", Depth: 1})
		var miss *cassette.MissError
		if !errors.As(err, &miss) || miss.Nearest != q.nearest {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// An agent sees why the attempt before failed: it is part of the request.
func TestFeedbackIsAsked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	req := core.Request[topic]{Path: "s", Feedback: "too long"}
	c := open(t, file, cassette.Record)
	if _, err := cassette.Recorded(c, "a", fn(echo)).Call(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	closed(t, c)
	req.Feedback = "too short"
	_, err := cassette.Recorded[topic, string](open(t, file, cassette.Replay), "a", nil).Call(t.Context(), req)
	golden(t, "miss_feedback.golden", filepath.Dir(file), fmt.Sprint(err))
}

func TestMissIsNeverRetriedOrCaught(t *testing.T) {
	c := open(t, recordOne(t, nil, topic{Topic: "x"}), cassette.Replay)
	var others atomic.Int64
	input, write := func(s string) topic { return topic{Topic: s} }, func(s *string, out string) { *s = out }
	p, err := core.New("p", core.Fallback("f",
		core.Step("draft", cassette.Recorded[topic, string](c, "writer", nil), input, write, core.Retries(3)),
		core.Step("other", fn(func(context.Context, core.Request[topic]) (string, error) { others.Add(1); return "", nil }), input, write)))
	if err != nil {
		t.Fatal(err)
	}
	res, err := core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, "y")
	if !errors.As(err, new(*cassette.MissError)) || res.Calls != 1 || others.Load() != 0 {
		t.Errorf("%d calls, %d of the fallback: %v", res.Calls, others.Load(), err)
	}
}

func TestVerifyMode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record)
	must(t, cassette.Recorded(c, "writer", fn(echo)), "r", "f/draft", topic{Topic: "saves"})
	closed(t, c)
	before := read(t, file)
	var calls, others atomic.Int64
	now := func(_ context.Context, r core.Request[topic]) (string, error) {
		calls.Add(1)
		return "about " + r.Input.Topic + ", in long", nil
	}
	run := func(agent core.Agent[topic, string]) (*cassette.Cassette, error) {
		c := open(t, file, cassette.Verify)
		write := func(s *string, out string) { *s = out }
		p, err := core.New("p", core.Fallback("f",
			core.Step("draft", cassette.Recorded(c, "writer", agent), func(s string) topic { return topic{Topic: s} }, write, core.Retries(2)),
			core.Step("b", cassette.Recorded(c, "other", fn(func(context.Context, core.Request[topic]) (string, error) { others.Add(1); return "", nil })),
				func(s string) topic { return topic{Topic: s} }, write)))
		if err != nil {
			t.Fatal(err)
		}
		var last error // as the agent returned it: the run returns its recorded form
		e := core.NewEngine(core.WithFailures(func(_ core.RunKey, _ string, _ int, err error) { last = err }))
		_, err = core.Run(t.Context(), e, p, core.RunKey{Run: "r"}, "saves")
		if err != nil {
			err = errors.Join(err, last)
		}
		return c, err
	}
	if c, err := run(fn(echo)); errors.Join(err, c.Verify(), c.Close()) != nil {
		t.Errorf("the same answer: %v", errors.Join(err, c.Verify()))
	}
	c, err := run(fn(now))
	var found *cassette.MismatchError
	if !errors.As(err, &found) || errors.Is(err, core.ErrHarness) || calls.Load() != 1 || others.Load() != 0 {
		t.Errorf("%d calls, %d of the fallback: %v", calls.Load(), others.Load(), err)
	}
	golden(t, "mismatch.golden", filepath.Dir(file), found.Error())
	if err := c.Verify(); !errors.As(err, &found) {
		t.Errorf("Verify forgot it: %v", err)
	}
	c, err = run(fn(func(context.Context, core.Request[topic]) (string, error) {
		return "", errors.New("gone, key sk-1234567890abcdef1234")
	}))
	if !errors.As(err, &found) {
		t.Errorf("an error in place of an output: %v", err)
	}
	golden(t, "mismatch_error.golden", filepath.Dir(file), found.Error())
	closed(t, c)
	if after := read(t, file); after != before {
		t.Error("mode Verify has changed the file")
	}
}

func TestUnusedRecordings(t *testing.T) {
	file := recordOne(t, nil, topic{Topic: "a"}, topic{Topic: "b"}, topic{Topic: "c"})
	c := open(t, file, cassette.Replay)
	must(t, cassette.Recorded[topic, string](c, "writer", nil), "r", "draft", topic{Topic: "b"})
	var unused *cassette.UnusedError
	if err := c.Verify(); !errors.As(err, &unused) || !errors.Is(err, core.ErrHarness) || len(unused.Lines) != 2 {
		t.Fatalf("verify: %v", err)
	}
	golden(t, "unused.golden", filepath.Dir(file), unused.Error())
}

func TestLongListsAreCutShort(t *testing.T) {
	var all []topic
	for i := range 15 {
		all = append(all, topic{Depth: i})
	}
	file := recordOne(t, nil, all...)
	if got := open(t, file, cassette.Replay).Verify().Error(); !strings.Contains(got, "15 of 15 recordings were not requested") || !strings.Contains(got, "    and 5 more\n") {
		t.Error(got)
	}
}

func TestCloseNeverLosesACassette(t *testing.T) {
	t.Run("nothing recorded", func(t *testing.T) {
		file := recordOne(t, nil, topic{Topic: "a"})
		before := read(t, file)
		err := open(t, file, cassette.Record).Close()
		golden(t, "close_nothing.golden", filepath.Dir(file), fmt.Sprint(err))
		if read(t, file) != before {
			t.Error("the file has changed")
		}
	})
	t.Run("not writable, then writable", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "sub", "c.jsonl")
		c := open(t, file, cassette.Record)
		must(t, cassette.Recorded(c, "writer", fn(echo)), "r", "draft", topic{})
		if err := os.Rename(filepath.Dir(file), filepath.Join(dir, "away")); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); !errors.Is(err, os.ErrNotExist) || !errors.Is(err, core.ErrHarness) || !strings.Contains(err.Error(), "Close can be called again") {
			t.Errorf("close: %v", err)
		}
		if err := os.Mkdir(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		closed(t, c)
		must(t, cassette.Recorded[topic, string](open(t, file, cassette.Replay), "writer", nil), "r", "draft", topic{})
	})
	t.Run("not replaceable", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "c.jsonl")
		c := open(t, file, cassette.Record)
		must(t, cassette.Recorded(c, "writer", fn(echo)), "r", "draft", topic{})
		if err := os.MkdirAll(filepath.Join(file, "in the way"), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err == nil {
			t.Error("no error")
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".cassette-*")); left != nil {
			t.Errorf("left behind: %v", left)
		}
	})
	t.Run("after a process was killed", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "c.jsonl")
		old, young := filepath.Join(filepath.Dir(file), ".cassette-1"), filepath.Join(filepath.Dir(file), ".cassette-2")
		for _, path := range []string{old, young} {
			if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if before := time.Now().Add(-2 * time.Hour); os.Chtimes(old, before, before) != nil {
			t.Fatal(old)
		}
		c := open(t, file, cassette.Record)
		must(t, cassette.Recorded(c, "writer", fn(echo)), "r", "draft", topic{})
		closed(t, c)
		if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what a killed process has left is still there: %v", err)
		}
		if _, err := os.Stat(young); err != nil {
			t.Errorf("what another process writes is gone: %v", err)
		}
	})
	t.Run("in one piece", func(t *testing.T) {
		file := recordOne(t, nil, topic{Topic: "a"})
		before := read(t, file)
		reader, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		c := open(t, file, cassette.Record)
		must(t, cassette.Recorded(c, "writer", fn(echo)), "r", "draft", topic{Topic: "new"})
		closed(t, c)
		if got, err := io.ReadAll(reader); string(got) != before || err != nil {
			t.Errorf("who reads the old file meanwhile gets %q: %v", got, err)
		}
	})
	t.Run("mode and link stay", func(t *testing.T) {
		file := recordOne(t, nil, topic{Topic: "a"})
		link := filepath.Join(t.TempDir(), "link")
		if err := errors.Join(os.Chmod(file, 0o600), os.Symlink(file, link)); err != nil {
			t.Fatal(err)
		}
		c := open(t, link, cassette.Record)
		must(t, cassette.Recorded(c, "writer", fn(echo)), "r", "draft", topic{Topic: "new"})
		closed(t, c)
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(read(t, file), "new") {
			t.Errorf("behind the link: %v %v", info.Mode(), err)
		}
	})
	t.Run("under way", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "c.jsonl")
			c := open(t, file, cassette.Record)
			must(t, cassette.Recorded(c, "writer", fn(echo)), "r", "draft", topic{})
			release := make(chan struct{})
			defer close(release)
			go func() {
				_, _ = call(t, cassette.Recorded(c, "slow", fn(func(context.Context, core.Request[topic]) (string, error) {
					<-release
					return "late", nil
				})), "r", "wait", topic{})
			}()
			synctest.Wait()
			err := c.Close()
			golden(t, "close_busy.golden", filepath.Dir(file), fmt.Sprint(err))
			if text := read(t, file); !strings.Contains(text, "writer") || strings.Contains(text, "slow") {
				t.Errorf("the file:\n%s", text)
			}
		})
	})
}

func TestUseAfterClose(t *testing.T) {
	file := recordOne(t, nil, topic{})
	for _, mode := range []cassette.Mode{cassette.Replay, cassette.Verify, cassette.Record} {
		c := open(t, file, mode)
		a := cassette.Recorded(c, "writer", fn(echo))
		must(t, a, "r", "draft", topic{})
		closed(t, c)
		if _, err := call(t, a, "r2", "draft", topic{}); !errors.Is(err, core.ErrHarness) || !strings.Contains(err.Error(), "after the cassette was closed") {
			t.Errorf("%v: %v", mode, err)
		}
		closed(t, c) // once more does no harm
	}
}

func TestMisuseOfRecorded(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "c.jsonl"), cassette.Record)
	type creds struct {
		Token map[string]int `json:"token"`
		PIN   time.Duration  `json:"password"`
		At    time.Time      `json:"secret"`
	}
	_, noName := cassette.Recorded(c, "", fn(echo)).Call(t.Context(), core.Request[topic]{Path: "s"})
	_, noAgent := cassette.Recorded[topic, string](c, "a", nil).Call(t.Context(), core.Request[topic]{Path: "s"})
	_, noKey := cassette.Recorded(c, "a", core.Func[chan int, int](func(context.Context, core.Request[chan int]) (int, error) { return 0, nil })).Call(t.Context(), core.Request[chan int]{Path: "s"})
	_, noJSON := cassette.Recorded(c, "a", core.Func[int, func()](func(context.Context, core.Request[int]) (func(), error) { return func() {}, nil })).Call(t.Context(), core.Request[int]{Path: "s"})
	_, face := cassette.Recorded(c, "a", core.Func[int, error](func(context.Context, core.Request[int]) (error, error) { return errors.New("x"), nil })).Call(t.Context(), core.Request[int]{Path: "s"})
	_, unfit := cassette.Recorded(c, "a", core.Func[int, creds](func(context.Context, core.Request[int]) (creds, error) {
		return creds{map[string]int{"a": 1}, 7, time.Unix(0, 0).UTC()}, nil
	})).Call(t.Context(), core.Request[int]{Path: "s"})
	var text strings.Builder
	for _, err := range []error{noName, noAgent, noKey, noJSON, face, unfit} {
		if !errors.Is(err, core.ErrHarness) || !errors.Is(c.Verify(), err) {
			t.Errorf("no fault of the harness, or forgotten: %v", err)
		}
		fmt.Fprintln(&text, err)
	}
	golden(t, "misuse.golden", "", strings.ReplaceAll(text.String(), t.TempDir()[:strings.LastIndex(t.TempDir(), "/")], "DIR"))
}

// The whole text of what else is refused while a cassette is used.
func TestRefusalsOfCassettes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.jsonl")
	answers := func(v any) core.Agent[int, any] {
		return core.Func[int, any](func(context.Context, core.Request[int]) (any, error) { return v, nil })
	}
	c := open(t, file, cassette.Record)
	req := core.Request[int]{Path: "s"}
	if _, err := cassette.Recorded(c, "a", answers("x")).Call(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	_, err := (&http.Client{Transport: c.Transport(newProvider(t))}).Get("https://x.test/compressed")
	var encoded *cassette.FileError // within what net/http says of it
	if !errors.As(err, &encoded) {
		t.Fatal(err)
	}
	closed(t, c)
	_, late := cassette.Recorded(c, "a", answers("x")).Call(t.Context(), req)
	v := open(t, file, cassette.Verify)
	_, unlike := cassette.Recorded(v, "a", answers(func() {})).Call(t.Context(), req)
	var text strings.Builder
	for err, of := range map[error]*cassette.Cassette{encoded: c, late: c, unlike: v} {
		if !errors.Is(err, core.ErrHarness) || !errors.Is(of.Verify(), err) {
			t.Errorf("no fault of the harness, or forgotten: %v", err)
		}
	}
	_, folder := cassette.Open(dir, cassette.Replay)
	_, within := cassette.Open(filepath.Join(file, "c.jsonl"), cassette.Record)
	for _, err := range []error{encoded, late, unlike, folder, within} {
		fmt.Fprintln(&text, err)
	}
	golden(t, "refused.golden", dir, text.String())
}

// An output whose type has changed must not come back with a part missing.
func TestOutputOfAnotherType(t *testing.T) {
	type old struct{ Text string }
	type new struct{ Content string }
	file := filepath.Join(t.TempDir(), "c.jsonl")
	c := open(t, file, cassette.Record)
	_, err := cassette.Recorded(c, "a", core.Func[int, old](func(context.Context, core.Request[int]) (old, error) { return old{"x"}, nil })).Call(t.Context(), core.Request[int]{})
	if err != nil {
		t.Fatal(err)
	}
	closed(t, c)
	_, err = cassette.Recorded[int, new](open(t, file, cassette.Replay), "a", nil).Call(t.Context(), core.Request[int]{})
	golden(t, "other_type.golden", filepath.Dir(file), fmt.Sprint(err))
}

func TestOptions(t *testing.T) {
	type in struct {
		Topic string         `json:"topic"`
		At    string         `json:"at"`
		Meta  map[string]any `json:"meta"`
	}
	type agent = core.Func[in, map[string]string]
	file := filepath.Join(t.TempDir(), "c.jsonl")
	first := in{"saves", "monday", map[string]any{"trace": 1, "next_token": "page-2-of-9", "by": "ticket INT-4711"}}
	opts := []cassette.Option{
		cassette.IgnoreFields("at"), cassette.KeepFields("NextToken"), cassette.AllowAltered(),
		cassette.RedactWith(func(s string) string { return strings.ReplaceAll(s, "INT-4711", "[redacted:ticket]") }),
	}
	c := open(t, file, cassette.Record, opts...)
	out := map[string]string{"answer": "INT-4711 is done", "at": "monday"}
	if _, err := cassette.Recorded(c, "a", agent(func(context.Context, core.Request[in]) (map[string]string, error) { return out, nil })).Call(t.Context(), core.Request[in]{Input: first}); err != nil {
		t.Fatal(err)
	}
	closed(t, c)
	golden(t, "options_file.golden", "", read(t, file))

	second := in{"saves", "tuesday", map[string]any{"trace": 1, "next_token": "page-2-of-9", "by": "ticket INT-4711"}}
	replay := func(q in, opts ...cassette.Option) error {
		_, err := cassette.Recorded[in, map[string]string](open(t, file, cassette.Replay, opts...), "a", nil).Call(t.Context(), core.Request[in]{Input: q})
		return err
	}
	if err := replay(second, opts...); err != nil {
		t.Error(err)
	}
	if err := replay(second, opts[1:]...); err == nil {
		t.Error("without IgnoreFields the time was not compared")
	}
	second.Meta["trace"] = 2
	if err := replay(second, opts...); err == nil {
		t.Error("a field that is not ignored was not compared")
	}
	if err := replay(second, append(opts, cassette.IgnoreFields("trace"))...); err != nil {
		t.Errorf("a field that is ignored since needs no new recording: %v", err)
	}
	second.Meta["trace"], second.Meta["by"] = 1, "ticket INT-4711 of Ann"
	ann := cassette.RedactWith(func(s string) string {
		return strings.NewReplacer("INT-4711", "[redacted:ticket]", " of Ann", "", "sav", "s[redacted:v]").Replace(s)
	})
	if err := replay(second, opts[0], opts[1], ann); err != nil {
		t.Errorf("a rule that is new needs no new recording: %v", err)
	}
	v := open(t, file, cassette.Verify, opts...)
	if _, err := cassette.Recorded(v, "a", agent(func(context.Context, core.Request[in]) (map[string]string, error) {
		return map[string]string{"answer": "INT-4711 is done", "at": "friday"}, nil
	})).Call(t.Context(), core.Request[in]{Input: first}); err != nil {
		t.Errorf("an ignored field of an output was compared: %v", err)
	}
}

func TestModeIsAFlag(t *testing.T) {
	var mode cassette.Mode
	set := flag.NewFlagSet("x", flag.ContinueOnError)
	set.SetOutput(&strings.Builder{})
	set.TextVar(&mode, "cassette", cassette.Replay, "replay, record or verify")
	if err := set.Parse([]string{"-cassette=record"}); err != nil || mode != cassette.Record {
		t.Errorf("%v %v", mode, err)
	}
	if err := set.Parse([]string{"-cassette=tape"}); err == nil || !strings.Contains(err.Error(), `"tape" is not a mode of a cassette: use one of ["replay" "record" "verify" "once" "add"]`) {
		t.Error(err)
	}
	if _, err := cassette.Open("x", 7); err == nil || err.Error() != "cassette x: mode 7: use Replay, Record, Verify, Once or Add" {
		t.Error(err)
	}
}

// A replayed error has the codes of the recorded one: a final error is not tried again.
func TestCodesOfErrorsAreRecorded(t *testing.T) {
	const refused = core.Code("refused")
	file := filepath.Join(t.TempDir(), "c.jsonl")
	for _, mode := range []cassette.Mode{cassette.Record, cassette.Replay} {
		c := open(t, file, mode)
		a := cassette.Recorded(c, "a", fn(func(context.Context, core.Request[topic]) (string, error) {
			return "", core.Final(fmt.Errorf("ask: %w", refused))
		}))
		p, err := core.New("p", core.Step("s", a, func(string) topic { return topic{} }, func(*string, string) {}, core.Retries(3)))
		if err != nil {
			t.Fatal(err)
		}
		res, err := core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, "")
		if !errors.Is(err, refused) || !errors.Is(err, core.ErrFinal) || res.Calls != 1 {
			t.Errorf("%v: %d calls, %v", mode, res.Calls, err)
		}
		closed(t, c)
	}
}
