package stubs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// fakeT records what ForTest reports and runs its cleanups on demand.
type fakeT struct {
	ctx      context.Context
	cleanups []func()
	said     []string
}

func (*fakeT) Helper()                    {}
func (t *fakeT) Cleanup(f func())         { t.cleanups = append(t.cleanups, f) }
func (t *fakeT) Context() context.Context { return t.ctx }
func (t *fakeT) Error(args ...any)        { t.said = append(t.said, fmt.Sprint(args...)) }
func (t *fakeT) end() string {
	for _, f := range t.cleanups {
		f()
	}
	return strings.Join(t.said, "\n")
}

// article is a function that calls two agents, as a user might write it.
func article(ctx context.Context, plan, write core.Agent[string, string], topic string) (string, error) {
	outline, err := plan.Call(ctx, core.Request[string]{Input: topic})
	if err != nil {
		return "", err
	}
	return write.Call(ctx, core.Request[string]{Input: outline})
}

func TestAlwaysNeedsNoBook(t *testing.T) {
	text, err := article(t.Context(), stubs.Always[string]("outline"), stubs.From(func(r core.Request[string]) stubs.Reply[string] {
		return stubs.Say("on " + r.Input).After(stubs.Fixed(time.Nanosecond))
	}), "topic")
	if text != "on outline" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	for name, agent := range map[string]core.Agent[string, string]{
		"a script":    stubs.Outputs[string]("x"),
		"expectation": stubs.Always[string]("x").Expect("in"),
	} {
		var unscripted *stubs.UnscriptedError
		if _, err := agent.Call(t.Context(), core.Request[string]{Input: "in"}); !errors.As(err, &unscripted) {
			t.Errorf("%s, without verification: error %v", name, err)
		}
	}
	broken := stubs.From(func(core.Request[string]) stubs.Reply[string] { return stubs.Stream[string]("a").BreakAt(1) })
	if _, err := broken.Call(t.Context(), core.Request[string]{}); !errors.Is(err, core.ErrHarness) {
		t.Errorf("error %v", err)
	}
}

func TestForTest(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(ctx context.Context) error
		want string // error of the call
		ends string // at the end of the test
	}{
		"all read": {do: func(ctx context.Context) error {
			_, err := article(ctx, stubs.Outputs[string]("one"), stubs.Outputs[string]("two").Expect("one"), "topic")
			return err
		}},
		"runs out": {do: func(ctx context.Context) error {
			a := stubs.Outputs[string]("one")
			_, err := article(ctx, a, a, "topic")
			return err
		}, want: `script of step "" in this test ran dry: it has 1 outputs and output 2 was asked for`, ends: "ran dry"},
		"left unread": {do: func(ctx context.Context) error {
			_, err := article(ctx, stubs.Outputs[string]("one", "more"), stubs.Always[string]("x"), "topic")
			return err
		}, ends: `script of step "" in this test was asked for 1 outputs, but the script has at least 2`},
		"other input": {do: func(ctx context.Context) error {
			_, err := article(ctx, stubs.Always[string]("one").Expect("another"), stubs.Always[string]("x"), "topic")
			return err
		}, want: "had another input than expected", ends: "had another input than expected"},
		"in a loop": {do: func(ctx context.Context) error {
			_, err := stubs.Outputs[string]("x").Call(ctx, core.Request[string]{Path: "l#2/s"})
			return err
		}, want: "ForTest has no plan", ends: "ForTest has no plan"},
	} {
		fake := &fakeT{ctx: t.Context()}
		err := c.do(stubs.ForTest(fake))
		if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) || err != nil && !errors.Is(err, core.ErrHarness) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if got := fake.end(); c.ends == "" && got != "" || !strings.Contains(got, c.ends) {
			t.Errorf("%s: in the end %q, want %s", name, got, c.ends)
		}
	}
}

// Each run of a function reads a script from its beginning.
func TestForTestByRun(t *testing.T) {
	ctx, agent := stubs.ForTest(t), stubs.Outputs[string]("one", "two")
	for _, run := range []string{"a", "b"} {
		for _, want := range []string{"one", "two"} {
			if got, err := agent.Call(ctx, core.Request[string]{Run: core.RunKey{Run: run}, Path: "draft"}); got != want || err != nil {
				t.Errorf("%s: %q, %v", run, got, err)
			}
		}
	}
}

func TestExpectThat(t *testing.T) {
	short := errors.New("too short")
	long := func(in string) error {
		if len(in) < 4 {
			return short
		}
		return nil
	}
	agent := stubs.Always[string]("ok").Expect("first").ExpectThat(nil, long).Expect("last")
	ctx := stubs.ForTest(t)
	for i, in := range []string{"first", "anything", "long enough", "last", "beyond what is stated"} {
		if _, err := agent.Call(ctx, core.Request[string]{Input: in}); err != nil {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	fake := &fakeT{ctx: t.Context()}
	_, err := agent.ExpectThat().Call(stubs.ForTest(fake), core.Request[string]{Input: "first"})
	if err != nil {
		t.Error(err)
	}
	ctx = stubs.ForTest(fake)
	only := stubs.Outputs[string]("a").ExpectThat(long)
	_, err = only.Call(ctx, core.Request[string]{Input: "abc", Path: "s"})
	want := "call 1 of step \"s\" in this test has an unexpected input: too short\n  input: \"abc\""
	if !errors.Is(err, short) || !errors.Is(err, core.ErrHarness) || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if got := fake.end(); !strings.Contains(got, "too short") {
		t.Errorf("in the end %q", got)
	}
}

func TestInOrder(t *testing.T) {
	for name, c := range map[string]struct{ calls, want string }{
		"as stated":     {"aba", ""},
		"retried":       {"a+ba", ""},
		"the other one": {"ba", `step "b" in this test came as call 1, out of order: InOrder lists its agent at place 2, and another agent at place 1`},
		"one missing":   {"ab", `this test ended before call 3 of the 3 that InOrder lists: the agent listed at that place was not called`},
		"one more":      {"abab", `step "b" in this test is one call more than the 3 that InOrder lists (its agent is listed at place 2)`},
	} {
		a, b := stubs.Always[string](1), stubs.Outputs[int]("x").Cycle()
		stubs.InOrder(a, b, a)
		fake := &fakeT{ctx: t.Context()}
		ctx := stubs.ForTest(fake)
		var first error
		for _, call := range c.calls {
			var err error
			switch call {
			case 'a':
				_, err = a.Call(ctx, core.Request[string]{Path: "a", Attempt: 1})
			case '+':
				_, err = a.Call(ctx, core.Request[string]{Path: "a", Attempt: 2})
			case 'b':
				_, err = b.Call(ctx, core.Request[int]{Path: "b"})
			}
			first = errors.Join(first, err)
		}
		if first != nil && !errors.Is(first, core.ErrHarness) {
			t.Errorf("%s: %v", name, first)
		}
		if got := fake.end(); c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q\nwant %q", name, got, c.want)
		}
	}
}

// Every run of a pipeline makes the calls in order, and a resumed one continues.
func TestInOrderInAPipeline(t *testing.T) {
	a, b := stubs.Always[string]("a"), stubs.Always[string]("b")
	stubs.InOrder(a, b)
	p := planned(t, a, b)
	book, _ := sized(t, p, stubs.Load{Arm: "a", Rounds: 3, Batch: 1})
	if err := runs(t, p, book, "a", 3); err != nil {
		t.Error(err)
	}
	if err := book.Verify(); err != nil {
		t.Error(err)
	}
	stubs.InOrder(b, a)
	book, _ = sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 1})
	var wrong *stubs.OrderError
	if err := runs(t, p, book, "a", 1); !errors.As(err, &wrong) || wrong.Came != 2 || wrong.Call != 1 {
		t.Errorf("error %v", err)
	}
}

func TestRequests(t *testing.T) {
	agent := stubs.Always[string]("out")
	ask := stubs.Scoped(core.Func[string, string](func(ctx context.Context, _ core.Request[string]) (out string, err error) {
		scope, ok := stubs.ScopeOf(ctx)
		if !ok {
			return "", errors.New("no scope")
		}
		for range 3 {
			out, err = agent.Call(ctx, core.Request[string]{Run: scope.Run, Path: scope.Path, Attempt: scope.Attempt})
		}
		return out, err
	}))
	p := planned(t, ask)
	book, _ := sized(t, p, stubs.Load{Arm: "a", Rounds: 2, Batch: 1})
	if err := book.Requests("s1", 3); err != nil {
		t.Fatal(err)
	}
	if got, want := book.String(), "a s1: (0 warm-ups + 2 rounds x 1 runs) x 2 calls a run x 3 requests a call = 12\ntotal: 12 outputs"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if err := errors.Join(runs(t, p, book, "a", 2), book.Verify()); err != nil {
		t.Error(err)
	}
	book, _ = sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 1})
	var dry *stubs.ExhaustedError
	if err := runs(t, p, book, "a", 1); !errors.As(err, &dry) || dry.Have != 2 || dry.Asked != 3 {
		t.Errorf("error %v", err)
	}
	for _, err := range []error{book.Requests("none", 2), book.Requests("s1", 0), book.Requests("s1", 1<<52), errors.Join(book.Requests("s1", 2), book.Requests("s1", 2))} {
		if err == nil {
			t.Error("no error")
		}
	}
}
