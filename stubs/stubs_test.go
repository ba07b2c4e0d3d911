package stubs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// planned returns a pipeline with a step for each agent, s1, s2, …, with one retry.
func planned(t testing.TB, agents ...core.Agent[string, string]) *core.Pipeline[string] {
	t.Helper()
	var nodes []*core.Node[string]
	for i, a := range agents {
		nodes = append(nodes, core.Step(fmt.Sprint("s", i+1), a, func(s string) string { return s }, func(s *string, out string) { *s = out }, core.Retries(1)))
	}
	p, err := core.New("p", nodes...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sized returns a book for one load, and the context of its arm.
func sized(t testing.TB, p stubs.Plan, load stubs.Load) (*stubs.Book, context.Context) {
	t.Helper()
	b, err := stubs.Size(p, load)
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := b.In(t.Context(), load.Arm)
	if err != nil {
		t.Fatal(err)
	}
	return b, ctx
}

// outcome returns the result of a call as text: the quoted output or the error.
func outcome[In, Out any](agent core.Agent[In, Out], ctx context.Context, req core.Request[In]) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprint("panic: ", v)
		}
	}()
	out, err := agent.Call(ctx, req)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%q", fmt.Sprint(out))
}

// runs executes n runs in an arm and returns the first error.
func runs(t testing.TB, p *core.Pipeline[string], b *stubs.Book, arm string, n int) error {
	t.Helper()
	ctx, err := b.In(t.Context(), arm)
	if err != nil {
		t.Fatal(err)
	}
	e := core.NewEngine(core.WithBackend(core.NewMemory()))
	for i := range n {
		if _, err := core.Run(ctx, e, p, core.RunKey{Run: fmt.Sprint(i)}, "in"); err != nil {
			return err
		}
	}
	return nil
}

// This is a load with 10 + 10 iterations, warm-ups and retries, and no size given by hand.
func TestLargeLoadIsSizedFromThePlan(t *testing.T) {
	flaky := stubs.From(func(r core.Request[string]) stubs.Reply[string] {
		if r.Attempt == 1 {
			return stubs.Fail[string](errors.New("transient"))
		}
		return stubs.Say("out")
	})
	p := planned(t, stubs.Always[string]("out"), flaky)
	without, with := stubs.Load{Arm: "without", Warmups: 2, Rounds: 10, Batch: 1}, stubs.Load{Arm: "with", Warmups: 2, Rounds: 10, Batch: 1}
	b, err := stubs.Size(p, without, with)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []stubs.Load{without, with} {
		if err := runs(t, p, b, l.Arm, l.Runs()); err != nil {
			t.Error(err)
		}
	}
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
	want := `with s1: (2 warm-ups + 10 rounds x 1 runs) x 2 calls a run = 24
with s2: (2 warm-ups + 10 rounds x 1 runs) x 2 calls a run = 24
without s1: (2 warm-ups + 10 rounds x 1 runs) x 2 calls a run = 24
without s2: (2 warm-ups + 10 rounds x 1 runs) x 2 calls a run = 24
total: 96 outputs`
	if b.String() != want {
		t.Errorf("book:\n%s\nwant:\n%s", b, want)
	}
}

func TestOneOutputTooFew(t *testing.T) {
	failing := stubs.From(func(core.Request[string]) stubs.Reply[string] { return stubs.Fail[string](errors.New("always")) })
	p := planned(t, failing)
	b, err := stubs.Size(p, stubs.Load{Arm: "a", Rounds: 1, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Remove("a", "s1", 1); err != nil {
		t.Fatal(err)
	}
	err = runs(t, p, b, "a", 1)
	want := `run 0 stopped in step "s1": script of step "s1" in arm "a" ran dry: it has 1 outputs and output 2 was asked for; ` +
		`sized as (0 warm-ups + 1 rounds x 1 runs) x 2 calls a run = 2, less 1 removed. ` +
		`More runs or calls were made than planned: size the book from the load that is run, with Resumes if runs are interrupted. ` +
		`Before it: call 1: s1 of run "0" in arm "a", attempt 1`
	var dry *stubs.ExhaustedError
	if !errors.As(err, &dry) || !errors.Is(err, core.ErrHarness) || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

func TestSwallowedExhaustionIsReported(t *testing.T) {
	inner := stubs.Outputs[string]("only one")
	swallow := core.Func[string, string](func(ctx context.Context, r core.Request[string]) (out string, err error) {
		for range 2 {
			if out, err = inner.Call(ctx, r); err != nil {
				return "made up", nil // swallows all errors, as some programs do
			}
		}
		return out, nil
	})
	p := planned(t, swallow)
	b, err := stubs.Size(p, stubs.Load{Arm: "a", Rounds: 1, Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := runs(t, p, b, "a", 2); err != nil {
		t.Fatalf("the error was to be swallowed: %v", err)
	}
	var dry *stubs.ExhaustedError
	if err := b.Verify(); !errors.As(err, &dry) || dry.Have != 1 || dry.Asked != 2 || dry.Formula != "1 replies for each run, written out" || !dry.PerRun || dry.Scope != `arm "a", run "0"` {
		t.Errorf("verify: %v", err)
	}
}

func TestLeftoversAreReported(t *testing.T) {
	p := planned(t, stubs.Always[string]("out"))
	b, err := stubs.Size(p, stubs.Load{Arm: "a", Rounds: 3, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := runs(t, p, b, "a", 2); err != nil {
		t.Fatal(err)
	}
	var left *stubs.LeftoverError
	if err := b.Verify(); !errors.As(err, &left) || left.Asked != 2 || left.Least != 3 || !errors.Is(err, core.ErrHarness) {
		t.Errorf("verify: %v", err)
	}
}

// Retries do not compensate for missing runs.
func TestRetriesDoNotHideMissingRuns(t *testing.T) {
	flaky := stubs.Script[string](stubs.Fail[string](errors.New("transient")), stubs.Say("out"))
	p := planned(t, flaky)
	b, _ := sized(t, p, stubs.Load{Arm: "a", Rounds: 3, Batch: 1})
	if err := runs(t, p, b, "a", 2); err != nil {
		t.Fatal(err)
	}
	var left *stubs.LeftoverError
	if err := b.Verify(); !errors.As(err, &left) || left.Asked != 2 || left.Least != 3 || left.PerRun {
		t.Errorf("verify: %v", err)
	}
}

func TestUnreadRepliesAreReported(t *testing.T) {
	agent := stubs.Outputs[string]("one", "two")
	for name, c := range map[string]struct {
		agent core.Agent[string, string]
		left  int
	}{"each run": {agent, 2}, "allowed": {agent.AllowLeftovers(), 0}, "cycle": {agent.Cycle(), 0}} {
		p := planned(t, c.agent)
		b, _ := sized(t, p, stubs.Load{Arm: "a", Rounds: 2, Batch: 1})
		if err := runs(t, p, b, "a", 2); err != nil {
			t.Fatal(err)
		}
		left := 0
		if err := b.Verify(); err != nil {
			left = len(strings.Split(err.Error(), "\n"))
		}
		if left != c.left {
			t.Errorf("%s: %d leftovers, want %d: %v", name, left, c.left, b.Verify())
		}
	}
}

// A step whose agent is not scripted, or not always called, must be declared.
func TestOptionalSteps(t *testing.T) {
	cached := core.Cached("c", core.NewMemoryCache(9), core.Agent[string, string](stubs.Always[string]("out")))
	p := planned(t, cached, pathAgent)
	b, _ := sized(t, p, stubs.Load{Arm: "a", Rounds: 3, Batch: 1})
	if err := runs(t, p, b, "a", 3); err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(); err == nil || strings.Count(err.Error(), "Optional") != 2 {
		t.Errorf("verify: %v", err)
	}
	if err := b.Optional("s1", "s2"); err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
}

// A loop that swallows errors neither exhausts memory nor hides the number of errors.
func TestFaultsAreBounded(t *testing.T) {
	agent := stubs.Always[string]("out")
	b, ctx := sized(t, planned(t, agent), stubs.Load{Arm: "a", Rounds: 1, Batch: 1})
	for range 250 {
		outcome(agent, ctx, core.Request[string]{Path: "s1"})
	}
	err := b.Verify()
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 101 || lines[100] != "scripts: 148 more faults: harness fault" {
		t.Errorf("%d lines, the last one %s", len(lines), lines[len(lines)-1])
	}
}

// An agent that is used in two arms concurrently reads the script of each.
func TestArmsAreApart(t *testing.T) {
	agent := stubs.Outputs[string]("one", "two")
	p := planned(t, agent, agent)
	b, err := stubs.Size(p, stubs.Load{Arm: "a", Warmups: 1}, stubs.Load{Arm: "b", Warmups: 1})
	if err != nil {
		t.Fatal(err)
	}
	var ctxs []context.Context
	for _, arm := range []string{"a", "b"} {
		ctx, err := b.In(t.Context(), arm)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(ctx) // like the wrapping by the engine
		defer cancel()
		ctxs = append(ctxs, ctx)
	}
	for _, want := range []string{`"one"`, `"two"`} {
		for _, path := range []string{"s1", "s2"} {
			for _, ctx := range ctxs {
				if text := outcome(agent, ctx, core.Request[string]{Path: path}); text != want {
					t.Errorf("%s: %s, want %s", path, text, want)
				}
			}
		}
	}
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
}

func TestCallsWithoutAScript(t *testing.T) {
	agent := stubs.Outputs[string]("out")
	p := planned(t, agent)
	_, err := core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, "in")
	want := `run r stopped in step "s1": step "s1" has no script: it was called outside a book: run under the context of Book.In, or of ForTest if there is no pipeline`
	var unscripted *stubs.UnscriptedError
	if !errors.As(err, &unscripted) || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	b, _ := sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 1})
	want = `step "s2" has no script: the book of arm "a" has no script for it: size the book from the pipeline that is run`
	if err := runs(t, planned(t, agent, agent), b, "a", 1); !errors.As(err, &unscripted) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if err := b.Verify(); err == nil || err.Error() != want {
		t.Errorf("verify: %v\nwant  %s", err, want)
	}
}

// calls are the calls whose speed is measured.
var calls = map[string]struct {
	agent core.Agent[string, string]
	ring  int
	path  string
}{
	"without recording":   {stubs.Always[string]("out"), 0, "s1"},
	"with recording":      {stubs.Always[string]("out"), 256, "s1"},
	"in a loop":           {stubs.Always[string]("out"), 0, "l#2/s2"},
	"in order":            {stubs.Outputs[string]("out").Cycle(), 0, "s1"},
	"in order, in a loop": {stubs.Outputs[string]("out").Cycle(), 0, "l#2/s2"},
}

// callable returns a context in which an agent can be called in s1 and l/s2 any number of times.
func callable(t testing.TB, agent core.Agent[string, string], ring int) context.Context {
	t.Helper()
	in, out := func(s string) string { return s }, func(s *string, out string) { *s = out }
	p, err := core.New("p", core.Step("s1", agent, in, out), core.Loop("l", 2, nil, core.Step("s2", agent, in, out), core.MaxIsSuccess()))
	if err != nil {
		t.Fatal(err)
	}
	book, ctx := sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 1 << 39})
	book.Transcript(ring)
	return ctx
}

// The garbage of a stub must not disturb what is measured with it.
func TestCallsAllocateNothing(t *testing.T) {
	for name, c := range calls {
		ctx := callable(t, c.agent, c.ring)
		allocs := testing.AllocsPerRun(300, func() {
			if _, err := c.agent.Call(ctx, core.Request[string]{Path: c.path, Input: "some input"}); err != nil {
				t.Error(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations a call", name, allocs)
		}
	}
}

// BenchmarkCall measures one more scripted call of a run, without creating the request, which the
// caller does. The position of the caller's stack changes the result by up to 2 ns.
func BenchmarkCall(b *testing.B) {
	for name, c := range calls {
		b.Run(name, func(b *testing.B) {
			agent, ctx, req := c.agent, callable(b, c.agent, c.ring), core.Request[string]{Path: c.path, Input: "some input"}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := agent.Call(ctx, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
