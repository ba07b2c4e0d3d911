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

func pipeline(t testing.TB, agents ...core.Agent[string, string]) *core.Pipeline[string] {
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

// runs makes n runs in an arm and returns the first error.
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

// The seed's case: 10 + 10 iterations, warm-ups and retries, and no size by hand.
func TestSeedsCaseIsSizedFromThePlan(t *testing.T) {
	flaky := stubs.From(func(r core.Request[string]) stubs.Reply[string] {
		if r.Attempt == 1 {
			return stubs.Fail[string](errors.New("transient"))
		}
		return stubs.Say("out")
	})
	p := pipeline(t, stubs.Always[string]("out"), flaky)
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
	p := pipeline(t, failing)
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
		`More runs or calls were made than planned: size the book from the load that is run. ` +
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
				return "made up", nil // the broad catch of the seed's project
			}
		}
		return out, nil
	})
	p := pipeline(t, swallow)
	b, err := stubs.Size(p, stubs.Load{Arm: "a", Rounds: 1, Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := runs(t, p, b, "a", 2); err != nil {
		t.Fatalf("the error was to be swallowed: %v", err)
	}
	var dry *stubs.ExhaustedError
	if err := b.Verify(); !errors.As(err, &dry) || dry.Have != 1 || dry.Asked != 2 || dry.Formula != "1 replies a run, written out" || dry.Scope != `arm "a", run "0"` {
		t.Errorf("verify: %v", err)
	}
}

func TestLeftoversAreReported(t *testing.T) {
	p := pipeline(t, stubs.Always[string]("out"))
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

func TestMisuseIsNamed(t *testing.T) {
	agent := stubs.Always[string]("out")
	p := pipeline(t, agent)
	_, err := core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, "in")
	var unscripted *stubs.UnscriptedError
	if !errors.As(err, &unscripted) || !strings.Contains(err.Error(), "outside a book") {
		t.Errorf("outside a book: %v", err)
	}
	b, err := stubs.Size(p, stubs.Load{Arm: "a", Rounds: 1, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := runs(t, pipeline(t, agent, agent), b, "a", 1); !errors.As(err, &unscripted) || unscripted.Step != "s2" {
		t.Errorf("a step that was not sized: %v", err)
	}
	if _, err := b.In(t.Context(), "b"); err == nil || !strings.Contains(err.Error(), "[a]") {
		t.Errorf("unknown arm: %v", err)
	}
	for _, loads := range [][]stubs.Load{
		{}, {{Arm: "a"}}, {{Rounds: 1, Batch: 1}}, {{Arm: "a", Warmups: -1, Rounds: 9, Batch: 9}},
		{{Arm: "a", Warmups: 1}, {Arm: "a", Warmups: 1}},
	} {
		if _, err := stubs.Size(p, loads...); err == nil {
			t.Errorf("loads %+v were accepted", loads)
		}
	}
	if b.Remove("a", "nope", 1) == nil {
		t.Error("an output of an unknown step was removed")
	}
}

// BenchmarkCall is one scripted call, with and without the transcript.
func BenchmarkCall(b *testing.B) {
	always, outputs := stubs.Always[string]("out"), stubs.Outputs[string]("out").Cycle()
	for name, bench := range map[string]struct {
		agent core.Agent[string, string]
		ring  int
	}{"without recording": {always, 0}, "with recording": {always, 256}, "in order": {outputs, 0}} {
		b.Run(name, func(b *testing.B) {
			book, err := stubs.Size(pipeline(b, bench.agent), stubs.Load{Arm: "a", Rounds: 1, Batch: 1 << 39})
			if err != nil {
				b.Fatal(err)
			}
			ctx, err := book.Transcript(bench.ring).In(b.Context(), "a")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.agent.Call(ctx, core.Request[string]{Path: "s1", Input: "some input"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleSize() {
	drafter := stubs.Always[string]("a draft")
	p, err := core.New("p", core.Step("draft", drafter,
		func(s string) string { return s }, func(s *string, out string) { *s = out }, core.Retries(2)))
	if err != nil {
		fmt.Println(err)
		return
	}
	book, err := stubs.Size(p,
		stubs.Load{Arm: "without", Warmups: 2, Rounds: 10, Batch: 1},
		stubs.Load{Arm: "with", Warmups: 2, Rounds: 10, Batch: 1})
	fmt.Println(book, err)
	// Output:
	// with draft: (2 warm-ups + 10 rounds x 1 runs) x 3 calls a run = 36
	// without draft: (2 warm-ups + 10 rounds x 1 runs) x 3 calls a run = 36
	// total: 72 outputs <nil>
}
