package stubs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// errQuota is a custom error that callers branch on.
const errQuota = core.Code("no calls left")

// An error keeps its text and its codes, in the run and after it was resumed.
func ExampleFail() {
	agent := stubs.Script[string](stubs.Fail[string](fmt.Errorf("ask the model: %w", errQuota)).Times(3))
	_, _, err := run(agent, core.Retries(2))
	fmt.Println(errors.Is(err, errQuota), err)
	// Output: true step "draft" failed after 3 attempts: ask the model: no calls left
}

// Two times, but not a third time.
func ExampleReply_Times() {
	_, _, err := run(stubs.Script[string](stubs.Fail[string](errors.New("transient")).Times(2)), core.Retries(2))
	var dry *stubs.ExhaustedError
	fmt.Println(errors.As(err, &dry), dry.Have, dry.Asked, dry.Formula)
	// Output: true 2 3 2 replies for each run, written out
}

// Only a script with Cycle starts again.
func ExampleAgent_Cycle() {
	thrice(stubs.Outputs[string]("one", "two").Cycle())
	// Output: hello, one, two, one <nil>
}

func ExampleAgent_AllowLeftovers() {
	agent := stubs.Outputs[string]("one", "two")
	for _, agent := range []core.Agent[string, string]{agent, agent.AllowLeftovers()} {
		_, book, err := run(agent)
		fmt.Println(errors.Join(err, book.Verify()))
	}
	// Output:
	// script of step "draft" in arm "test", run "1" was asked for 1 outputs, but the script has at least 2; sized as 2 replies for each run, written out. The run left the others unread: remove them, or AllowLeftovers
	// <nil>
}

// An unexpected input is reported.
func ExampleAgent_Expect() {
	_, book, _ := run(stubs.Always[string]("a draft").Expect("good bye"))
	var other *stubs.InputError
	fmt.Println(errors.As(book.Verify(), &other), other.Step, other.Call)
	// Output: true draft 1
}

func ExampleFixed() {
	took := stubs.Fixed(20 * time.Millisecond)
	fmt.Println(took(rand.New(rand.NewPCG(1, 2))))
	// Output: 20ms
}

// Half of the latencies are at most the median. The slow ones form the tail.
func ExampleLogNormal() {
	latency, numbers := stubs.LogNormal(100*time.Millisecond, 0.5), rand.New(rand.NewPCG(1, 2))
	var took []time.Duration
	for range 10_000 {
		took = append(took, latency(numbers))
	}
	slices.Sort(took)
	for _, percent := range []int{50, 95, 99} {
		fmt.Printf("%d%% take at most %v\n", percent, took[len(took)*percent/100-1].Round(10*time.Millisecond))
	}
	// Output:
	// 50% take at most 100ms
	// 95% take at most 230ms
	// 99% take at most 330ms
}

// Latencies are drawn from recorded ones, with a fixed random seed.
func ExampleSampled() {
	latency, numbers := stubs.Sampled(80*time.Millisecond, 95*time.Millisecond, 2*time.Second), rand.New(rand.NewPCG(1, 2))
	fmt.Println(latency(numbers), latency(numbers), latency(numbers))
	// Output: 2s 95ms 2s
}

// The error when the end of a sized script was removed.
func ExampleBook_Remove() {
	p, err := core.New("example", core.Step("draft", stubs.Always[string]("a draft"),
		func(s string) string { return s }, func(s *string, out string) { *s = out }))
	if err != nil {
		fmt.Println(err)
		return
	}
	load := stubs.Load{Arm: "with", Warmups: 2, Rounds: 10, Batch: 1}
	book, err := stubs.Size(p, load)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, err := book.Transcript(1).In(context.Background(), "with")
	if err := errors.Join(err, book.Remove("with", "draft", 1)); err != nil {
		fmt.Println(err)
		return
	}
	for i := range load.Runs() {
		if _, err := core.Run(ctx, core.NewEngine(), p, core.RunKey{Run: fmt.Sprint(i)}, ""); err != nil {
			fmt.Println(errors.Is(err, core.ErrHarness), err)
		}
	}
	// Output: true run 11 stopped in step "draft": script of step "draft" in arm "with" ran dry: it has 11 outputs and output 12 was asked for; sized as (2 warm-ups + 10 rounds x 1 runs) x 1 calls a run = 12, less 1 removed. More runs or calls were made than planned: size the book from the load that is run, with Resumes if runs are interrupted. Before it: call 11: draft of run "10" in arm "with", attempt 1
}

// The transcript keeps the calls and, on request, a copy of every input.
func ExampleBook_RecordInputs() {
	agent := stubs.Script[string](stubs.Fail[string](errors.New("transient")), stubs.Say("a draft"))
	_, book, err := run(agent, core.Retries(1))
	for _, call := range book.Calls(10) {
		fmt.Println(call)
	}
	fmt.Println(err)
	// Output:
	// call 1: draft of run "1" in arm "test", attempt 1, input "hello"
	// call 2: draft of run "1" in arm "test", attempt 2, input "hello"
	// <nil>
}

// A table in Go with the replies of a step.
func ExampleScript_table() {
	for _, c := range []struct {
		name    string
		replies []stubs.Reply[string]
	}{
		{"at once", []stubs.Reply[string]{stubs.Say("a draft")}},
		{"overloaded", []stubs.Reply[string]{stubs.RateLimited[string](time.Millisecond), stubs.Say("a draft")}},
		{"garbled", []stubs.Reply[string]{stubs.Malformed[string](`"a dr`), stubs.Stream[string]("a", " draft")}},
	} {
		res, book, err := run(stubs.Script[string](c.replies...), core.Retries(2))
		fmt.Printf("%s: calls: %d, %s %v\n", c.name, res.Calls, res.Scope, errors.Join(err, book.Verify()))
	}
	// Output:
	// at once: calls: 1, a draft <nil>
	// overloaded: calls: 2, a draft <nil>
	// chunk: "a"
	// chunk: " draft"
	// garbled: calls: 2, a draft <nil>
}

// Scripts from a file, one of them conditional on the input.
func ExampleLoadTable() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "drafts.yaml")
	err = os.WriteFile(file, []byte(`stubs: 1
steps:
  draft:
    - case: urgent
      replies: [{say: at once}]
    - replies: [{rate_limit: 1ms}, {say: a draft, tokens: 50, cost: 2}]
`), 0o600)
	if err != nil {
		fmt.Println(err)
		return
	}
	table, err := stubs.LoadTable(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	agent, err := stubs.FromTable[string, string](table, "draft")
	if err != nil {
		fmt.Println(err)
		return
	}
	once(agent)

	_, err = stubs.ParseTable("typo.yaml", []byte("stubs: 1\nsteps:\n  draft:\n    - say: a draft\n      time: 2\n"))
	fmt.Println(err)
	// Output:
	// calls: 2, a draft <nil>
	// read scripts typo.yaml: line 5: unknown field "time": it may be say, draw, fail, rate_limit, malformed, stream, panic, hang, replies, break_at, times, after, tokens, cost, tools, expect, expect_text, case, cycle, allow_leftovers
}

// One output in three is changed.
func ExampleCorrupting() {
	agent := core.Agent[string, string](stubs.Always[string]("a draft"))
	thrice(stubs.Corrupting(agent, func(p stubs.Point) bool { return p.N%3 == 0 }, func(out *string) { *out = strings.ToUpper(*out) }))
	// Output: hello, a draft, a draft, A DRAFT <nil>
}

// About one call in ten fails. The random seed and the call determine which ones.
func ExampleSeldom() {
	seldom, failed := stubs.Seldom(1, 10), 0
	for i := range 1000 {
		if seldom(stubs.Point{Name: "draft", Path: "draft", Run: core.RunKey{Run: fmt.Sprint(i)}, Attempt: 1}) {
			failed++
		}
	}
	fmt.Println(failed, "of 1000")
	// Output: 105 of 1000
}

// The first save of a step fails and the run stops. Resuming it continues the run.
func ExampleFaultyBackend() {
	p, err := core.New("example", core.Step("draft", core.Func[string, string](func(context.Context, core.Request[string]) (string, error) {
		fmt.Println("the agent is called")
		return "a draft", nil
	}), func(s string) string { return s }, func(s *string, out string) { *s = out }))
	if err != nil {
		fmt.Println(err)
		return
	}
	full := stubs.Fault{At: 1, When: func(p stubs.Point) bool { return p.Name == "Step" }, Err: errors.New("disk full")}
	engine := core.NewEngine(core.WithBackend(stubs.FaultyBackend(core.NewMemory(), full)))
	key := core.RunKey{Run: "1"}
	_, err = core.Run(context.Background(), engine, p, key, "hello")
	fmt.Println(err)
	res, err := core.Resume(context.Background(), engine, p, key)
	fmt.Println(res.Scope, err)
	// Output:
	// the agent is called
	// save step draft of run 1: disk full
	// the agent is called
	// a draft <nil>
}

// One bit of a stored state is flipped. A reader must detect it.
func ExampleCorruptingBackend() {
	ctx, key := context.Background(), core.RunKey{Run: "1"}
	inner := core.NewMemory()
	b := stubs.CorruptingBackend(inner, 1, func(p stubs.Point) bool { return p.Path == "draft" })
	lease, err := b.Start(ctx, core.StartRecord{Key: key})
	if err == nil {
		err = b.Step(ctx, lease, core.StepRecord{Seq: 1, Path: "draft", State: []byte(`"a draft"`)})
	}
	snap, loadErr := inner.Load(ctx, key)
	fmt.Printf("%q %v\n", snap.Steps[0].State, errors.Join(err, loadErr))
	// Output: "\"a eraft\"" <nil>
}
