package stubs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

type typedError struct{ Code int }

func (e *typedError) Error() string { return fmt.Sprint("code ", e.Code) }

// The replies are tested in a pipeline with one step, one retry and one run.
func TestRepliesThroughTheEngine(t *testing.T) {
	run := func(t *testing.T, agent core.Agent[string, string], opts ...core.StepOption) (core.Result[string], *stubs.Book, error) {
		t.Helper()
		p, err := core.New("p", core.Step("s1", agent, func(s string) string { return s }, func(s *string, out string) { *s = out }, append(opts, core.Retries(2))...))
		if err != nil {
			t.Fatal(err)
		}
		b, ctx := sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 1})
		var last error // error of the agent; the run returns its recorded form
		e := core.NewEngine(core.WithFailures(func(_ core.RunKey, _ string, _ int, err error) { last = err }))
		res, err := core.Run(ctx, e, p.Within(core.Budget{Tokens: 100, Cost: 100}), core.RunKey{Run: "r"}, "in")
		if err != nil {
			err = errors.Join(err, last)
		}
		return res, b, err
	}
	t.Run("a typed error n times", func(t *testing.T) {
		res, b, err := run(t, stubs.Script[string](stubs.Fail[string](&typedError{7}).Times(2), stubs.Say("ok")))
		if err != nil || res.Scope != "ok" || res.Calls != 3 || b.Verify() != nil {
			t.Errorf("%+v, %v, %v", res, err, b.Verify())
		}
		var typed *typedError
		if _, _, err := run(t, stubs.Script[string](stubs.Fail[string](&typedError{7}).Times(3))); !errors.As(err, &typed) || typed.Code != 7 {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a panic", func(t *testing.T) {
		var panicked *core.PanicError
		if _, _, err := run(t, stubs.Script[string](stubs.Panic[string]("boom").Times(3))); !errors.As(err, &panicked) || panicked.Value != "boom" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("malformed output", func(t *testing.T) {
		var bad *stubs.MalformedError
		var syntax *json.SyntaxError
		_, _, err := run(t, stubs.Script[string](stubs.Malformed[string](`"half`).Times(3)))
		if !errors.As(err, &bad) || bad.Raw != `"half` || !errors.As(err, &syntax) {
			t.Errorf("error %v", err)
		}
		if res, _, err := run(t, stubs.Script[string](stubs.Malformed[string](`"whole"`))); err != nil || res.Scope != "whole" {
			t.Errorf("%+v, %v", res, err)
		}
	})
	t.Run("tokens and cost", func(t *testing.T) {
		res, _, err := run(t, stubs.Script[string](stubs.Say("ok").Using(60, 7)))
		if err != nil || res.Usage.Tokens != 60 || res.Usage.Cost != 7 {
			t.Errorf("%+v, %v", res, err)
		}
		var over *core.BudgetError
		res, b, err := run(t, stubs.Script[string](stubs.Fail[string](errors.New("no")).Using(60, 0), stubs.Say("ok").Using(60, 0)))
		if !errors.As(err, &over) || over.Resource != "tokens" || over.Left != 40 || over.Need != 60 || res.Status != core.Stopped || b.Verify() != nil {
			t.Errorf("%+v, %v, %v", res, err, b.Verify())
		}
	})
	t.Run("tools", func(t *testing.T) {
		var used []string
		tool := func(name string, err error) func(context.Context) error {
			return func(context.Context) error { used = append(used, name); return err }
		}
		down := errors.New("down")
		reply := stubs.Say("ok").Tool("search", tool("search", nil))
		res, _, err := run(t, stubs.Script[string](reply.Tool("pay", tool("pay", down)), reply.Tool("ask", tool("ask", nil))))
		if err != nil || res.Scope != "ok" || !slices.Equal(used, []string{"search", "pay", "search", "ask"}) {
			t.Errorf("%+v, %v, used %q", res, err, used)
		}
		var failed *stubs.ToolError
		_, _, err = run(t, stubs.Script[string](stubs.Say("ok").Tool("pay", tool("pay", down)).Times(3)))
		if !errors.As(err, &failed) || failed.Tool != "pay" || !errors.Is(err, down) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("rate limit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			res, _, err := run(t, stubs.Script[string](stubs.RateLimited[string](2*time.Minute), stubs.RateLimited[string](time.Second), stubs.Say("ok")),
				core.Backoff(10*time.Second, time.Hour))
			// The wait is the longer one of the time that the service asks for and the backoff: 2m,
			// then 20s.
			if took := time.Since(began); err != nil || res.Scope != "ok" || took != 2*time.Minute+20*time.Second {
				t.Errorf("%+v, %v after %v", res, err, took)
			}
		})
	})
	t.Run("hang", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			res, b, err := run(t, stubs.Script[string](stubs.Hang[string](), stubs.Say("ok").After(stubs.Fixed(time.Hour)), stubs.Say("ok").After(stubs.Fixed(time.Second))),
				core.Timeout(time.Minute))
			if took := time.Since(began); err != nil || res.Scope != "ok" || res.Abandoned != 0 || took != 2*time.Minute+time.Second || b.Verify() != nil {
				t.Errorf("%+v, %v after %v", res, err, took)
			}
			if _, _, err := run(t, stubs.Script[string](stubs.Hang[string]().Times(3)), core.Timeout(time.Minute)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
		})
	})
}

func TestStreams(t *testing.T) {
	agent := stubs.Script[string](stubs.Stream[string]("a", "b", "c"), stubs.Stream[string]("a", "b", "c").BreakAt(2), stubs.Stream[string]("a").BreakAt(0),
		stubs.Stream[string]("a").BreakAt(1), stubs.Say("no stream").BreakAt(0))
	b, ctx := sized(t, planned(t, agent), stubs.Load{Arm: "a", Rounds: 1, Batch: 9})
	var got []string
	ctx = stubs.WithChunks(ctx, func(path, chunk string) { got = append(got, path+" "+chunk) })
	for range 5 {
		got = append(got, outcome(agent, ctx, core.Request[string]{Path: "s1"}))
	}
	want := []string{"s1 a", "s1 b", "s1 c", `"abc"`, "s1 a", "s1 b", `stream broke at chunk 2, after "ab"`, `stream broke at chunk 0, after ""`,
		`step "s1" has no script: its reply breaks at chunk 1 of 1: BreakAt takes the number of a chunk of Stream, from 0`,
		`step "s1" has no script: its reply breaks at chunk 0 of 0: BreakAt takes the number of a chunk of Stream, from 0`}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if err := b.Verify(); err == nil || !strings.Contains(err.Error(), "chunk 1 of 1") {
		t.Errorf("a break that never comes was not reported: %v", err)
	}
	// This tests the end of the context, and chunks that the caller changes later.
	chunks := []string{"x", "y"}
	keeps := stubs.Script[string](stubs.Stream[string](chunks...)).Cycle()
	chunks[0] = "changed"
	_, ctx = sized(t, planned(t, keeps), stubs.Load{Arm: "a", Rounds: 1, Batch: 9})
	ctx, cancel := context.WithCancelCause(ctx)
	each := func(_, chunk string) {
		if chunk != "x" {
			t.Errorf("chunk %q", chunk)
		}
		cancel(errors.New("enough"))
	}
	if text := outcome(keeps, stubs.WithChunks(ctx, each), core.Request[string]{Path: "s1"}); text != "enough" {
		t.Errorf("cancelled stream: %s", text)
	}
}

func TestTimesAndCycle(t *testing.T) {
	agent := stubs.Script[string](stubs.Say("a").Times(2), stubs.Say("never").Times(0), stubs.Say("b"))
	_, ctx := sized(t, planned(t, agent), stubs.Load{Arm: "a", Rounds: 1, Batch: 9})
	read := func(a core.Agent[string, string], run string, n int) (texts []string) {
		for range n {
			text := outcome(a, ctx, core.Request[string]{Run: core.RunKey{Run: run}, Path: "s1"})
			if strings.Contains(text, "ran dry") {
				text = "dry"
			}
			texts = append(texts, text)
		}
		return texts
	}
	for _, run := range []string{"r", "q"} {
		if d := cmp.Diff([]string{`"a"`, `"a"`, `"b"`, "dry", "dry"}, read(agent, run, 5)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	if d := cmp.Diff([]string{`"a"`, `"a"`, `"b"`, `"a"`}, read(agent.Cycle(), "c", 4)); d != "" {
		t.Errorf("cycle (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"dry"}, read(stubs.Script[string, string]().Cycle(), "e", 1)); d != "" {
		t.Errorf("a cycle of nothing (-want +got):\n%s", d)
	}
}

func TestLatencies(t *testing.T) {
	n := func() *stubs.Numbers { return rand.New(rand.NewPCG(1, 2)) }
	if d := stubs.Fixed(time.Second)(n()); d != time.Second {
		t.Errorf("fixed: %v", d)
	}
	if d := stubs.Sampled()(n()); d != 0 {
		t.Errorf("a sample of nothing: %v", d)
	}
	if d := stubs.LogNormal(math.MaxInt64, 10)(n()); d < 0 {
		t.Errorf("overflow: %v", d)
	}
	recorded := []time.Duration{1, 2, 3}
	sampled := stubs.Sampled(recorded...)
	recorded[0] = 9
	logNormal, numbers := stubs.LogNormal(time.Second, 0.5), n()
	var logs []float64
	counts := map[time.Duration]int{}
	const draws = 10_000
	for range draws {
		logs = append(logs, math.Log(logNormal(numbers).Seconds()))
		counts[sampled(numbers)]++
	}
	if len(counts) != 3 || counts[9] != 0 || counts[1] == 0 {
		t.Errorf("sampled %v", counts)
	}
	// For a normal sample with n = 10,000 the mean is 0 with a standard error of 0.005, and the
	// 95th percentile is 1.645 x 0.5. The random seed is fixed.
	slices.Sort(logs)
	if median, p95 := logs[draws/2], logs[draws*95/100]; math.Abs(median) > 0.02 || math.Abs(p95-1.645*0.5) > 0.03 {
		t.Errorf("log of the median %v, of the 95th percentile %v", median, p95)
	}
}

func TestExpectedInputs(t *testing.T) {
	for name, agent := range map[string]*stubs.Agent[string, string]{
		"always": stubs.Always[string]("out"), "script": stubs.Outputs[string]("out").Cycle(),
		"from": stubs.From(func(core.Request[string]) stubs.Reply[string] { return stubs.Say("out") }),
	} {
		inputs := []string{"x", "y"}
		expecting := agent.Expect(inputs...)
		inputs[1] = "changed"
		b, ctx := sized(t, planned(t, expecting), stubs.Load{Arm: "a", Rounds: 1, Batch: 1})
		ask := func(in string) string {
			return outcome(expecting, ctx, core.Request[string]{Path: "s1", Input: in, Run: core.RunKey{Run: "r"}})
		}
		if text := ask("x"); text != `"out"` {
			t.Errorf("%s: %s", name, text)
		}
		var left *stubs.LeftoverError
		if err := b.Verify(); !errors.As(err, &left) || left.Asked != 1 || left.Least != 2 || !left.PerRun {
			t.Errorf("%s: one call of two: %v", name, err)
		}
		text := ask("z")
		var other *stubs.InputError
		if err := b.Verify(); !errors.As(err, &other) || other.Call != 2 || !strings.Contains(text, `"y"`) || !strings.Contains(text, `"z"`) || !errors.Is(err, core.ErrHarness) {
			t.Errorf("%s: %s, verify %v", name, text, err)
		}
	}
}

// Identifiers are compared in all digits.
func TestExpectedNumbersAreExact(t *testing.T) {
	agent := stubs.Always[int64]("out").Expect(1 << 53)
	p, err := core.New("p", core.Step("s", agent, func(string) int64 { return 0 }, func(*string, string) {}))
	if err != nil {
		t.Fatal(err)
	}
	_, ctx := sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 1})
	_, err = agent.Call(ctx, core.Request[int64]{Path: "s", Input: 1<<53 + 1})
	var other *stubs.InputError
	if !errors.As(err, &other) || !strings.Contains(other.Diff, "9007199254740992") || !strings.Contains(other.Diff, "9007199254740993") {
		t.Errorf("error %v", err)
	}
}

func TestChoose(t *testing.T) {
	is := func(want string) func(string) bool { return func(in string) bool { return in == want } }
	agent := stubs.Choose(stubs.When(is("x"), core.Agent[string, string](stubs.Outputs[string]("one", "two"))), stubs.When(is("y"), core.Agent[string, string](stubs.Always[string]("why"))))
	b, ctx := sized(t, planned(t, agent), stubs.Load{Arm: "a", Rounds: 1, Batch: 3})
	var got []string
	for _, in := range []string{"x", "y", "x", "z"} {
		got = append(got, outcome(agent, ctx, core.Request[string]{Path: "s1", Input: in}))
	}
	want := []string{`"one"`, `"why"`, `"two"`, `step "s1" has no script: none of its 2 cases matches the input "z": add one, or an Else`}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if err := b.Verify(); err == nil || err.Error() != want[3] {
		t.Errorf("verify: %v", err)
	}
	if text := outcome(stubs.Choose(stubs.Else(core.Agent[string, string](pathAgent))), t.Context(), core.Request[string]{Path: "p"}); text != `"p 0"` {
		t.Errorf("else: %s", text)
	}
}
