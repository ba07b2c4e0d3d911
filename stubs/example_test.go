package stubs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// play executes one run of a pipeline, with a budget of a hundred tokens.
func play(p *core.Pipeline[string]) (res core.Result[string], book *stubs.Book, err error) {
	book, err = stubs.Size(p, stubs.Load{Arm: "test", Rounds: 1, Batch: 1})
	if err != nil {
		return res, nil, err
	}
	ctx, err := book.RecordInputs().In(context.Background(), "test")
	if err != nil {
		return res, nil, err
	}
	ctx = stubs.WithChunks(ctx, func(_, chunk string) { fmt.Printf("chunk: %q\n", chunk) })
	res, err = core.Run(ctx, core.NewEngine(), p.Within(core.Budget{Tokens: 100}), core.RunKey{Run: "1"}, "hello")
	return res, book, err
}

// run executes one run of a single step, "draft".
func run(agent core.Agent[string, string], opts ...core.StepOption) (res core.Result[string], book *stubs.Book, err error) {
	p, err := core.New("example", core.Step("draft", agent,
		func(s string) string { return s }, func(s *string, out string) { *s = out }, opts...))
	if err != nil {
		return res, nil, err
	}
	return play(p)
}

// thrice makes one run of a loop of three iterations, and prints the outputs.
func thrice(agent core.Agent[string, string]) {
	p, err := core.New("example", core.Loop("refine", 3, nil, core.Step("draft", agent,
		func(s string) string { return s }, func(s *string, out string) { *s += ", " + out }), core.MaxIsSuccess()))
	if err != nil {
		fmt.Println(err)
		return
	}
	res, book, err := play(p)
	if book == nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Scope, errors.Join(err, book.Verify()))
}

// once prints what a step with up to two retries came to.
func once(agent core.Agent[string, string], opts ...core.StepOption) {
	res, book, err := run(agent, append(opts, core.Retries(2))...)
	if book == nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("calls: %d, %s %v\n", res.Calls, res.Scope, errors.Join(err, book.Verify()))
}

// A script is sized from the plan and the load: nothing is counted by hand.
func Example() {
	p, err := core.New("example", core.Step("draft", stubs.Always[string]("a draft"),
		func(s string) string { return s }, func(s *string, out string) { *s = out }, core.Retries(2)))
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
	fmt.Println(book)
	ctx, err := book.In(context.Background(), "with")
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range load.Runs() {
		if _, err := core.Run(ctx, core.NewEngine(), p, core.RunKey{Run: fmt.Sprint(i)}, "a question"); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("verified:", book.Verify())
	// Output:
	// with draft: (2 warm-ups + 10 rounds x 1 runs) x 3 calls a run = 36
	// total: 36 outputs
	// verified: <nil>
}

func ExampleSize() {
	p, err := core.New("p", core.Loop("refine", 5, nil, core.Step("draft", stubs.Always[string]("a draft"),
		func(s string) string { return s }, func(s *string, out string) { *s = out }, core.Retries(2)), core.MaxIsSuccess()))
	if err != nil {
		fmt.Println(err)
		return
	}
	book, err := stubs.Size(p,
		stubs.Load{Arm: "without", Warmups: 2, Rounds: 10, Batch: 1},
		stubs.Load{Arm: "with", Warmups: 2, Rounds: 10, Batch: 1, Resumes: 1})
	fmt.Println(book, err)
	// Output:
	// with refine/draft: (2 warm-ups + 10 rounds x 1 runs) x (1 + 1 resumes) x 15 calls a run = 360
	// without refine/draft: (2 warm-ups + 10 rounds x 1 runs) x 15 calls a run = 180
	// total: 540 outputs <nil>
}

func ExampleAlways() {
	once(stubs.Always[string]("a draft"))
	// Output: calls: 1, a draft <nil>
}

// Outputs that are generated from the input, or from the attempt.
func ExampleFrom() {
	once(stubs.From(func(r core.Request[string]) stubs.Reply[string] {
		if r.Attempt < 3 {
			return stubs.Fail[string](errors.New("transient"))
		}
		return stubs.Say(strings.ToUpper(r.Input))
	}))
	// Output: calls: 3, HELLO <nil>
}

// Errors come n times, and the text follows.
func ExampleScript() {
	once(stubs.Script[string](stubs.Fail[string](errors.New("transient")).Times(2), stubs.Say("a draft")))
	// Output: calls: 3, a draft <nil>
}

// What is left over is a fault, unless it is allowed, and so is what is missing,
// unless the script may begin again.
func ExampleOutputs() {
	agent := stubs.Outputs[string]("one", "two")
	once(agent.AllowLeftovers())
	once(agent.Cycle())
	// Output:
	// calls: 1, one <nil>
	// calls: 1, one <nil>
}

func ExampleRateLimited() {
	once(stubs.Script[string](stubs.RateLimited[string](time.Millisecond), stubs.Say("a draft")))
	// Output: calls: 2, a draft <nil>
}

// A reply that blocks until its context is cancelled: here by its tool, so that the example needs no
// clock. core.Timeout ends it as well.
func ExampleHang() {
	var hangUp context.CancelCauseFunc
	hangs := stubs.Script[string](stubs.Hang[string]().Tool("hang up", func(context.Context) error {
		hangUp(errors.New("the caller hung up"))
		return nil
	}), stubs.Say("a draft"))
	once(core.Func[string, string](func(ctx context.Context, req core.Request[string]) (string, error) {
		ctx, hangUp = context.WithCancelCause(ctx)
		return hangs.Call(ctx, req)
	}))
	// Output: calls: 2, a draft <nil>
}

// Replies take a fixed time, a time of a distribution, or one that was recorded.
func ExampleReply_After() {
	fails := stubs.Fail[string](errors.New("transient"))
	once(stubs.Script[string](
		fails.After(stubs.Fixed(time.Millisecond)),
		fails.After(stubs.LogNormal(time.Millisecond, 0.5)),
		stubs.Say("a draft").After(stubs.Sampled(900*time.Microsecond, 1200*time.Microsecond))))
	// Output: calls: 3, a draft <nil>
}

func ExamplePanic() {
	once(stubs.Script[string](stubs.Panic[string]("boom"), stubs.Say("a draft")))
	// Output: calls: 2, a draft <nil>
}

func ExampleMalformed() {
	once(stubs.Script[string](stubs.Malformed[string](`"half a dr`).Times(3)))
	// Output: calls: 3, hello step "draft" failed after 3 attempts: malformed output "\"half a dr": unexpected end of JSON input
}

func ExampleStream() {
	once(stubs.Script[string](stubs.Stream[string]("a", " draft").BreakAt(1), stubs.Stream[string]("a", " draft")))
	// Output:
	// chunk: "a"
	// chunk: "a"
	// chunk: " draft"
	// calls: 2, a draft <nil>
}

// The same random seed, run and step draw the same number, independently of concurrent runs.
func ExampleDraw() {
	dice := stubs.Script[string](stubs.Draw(func(n *stubs.Numbers) string { return fmt.Sprint(1 + n.IntN(6)) }))
	once(dice)
	once(dice)
	// Output:
	// calls: 1, 5 <nil>
	// calls: 1, 5 <nil>
}

func ExampleReply_Tool() {
	search := func(context.Context) error { fmt.Println("searched"); return nil }
	once(stubs.Script[string](stubs.Say("a draft").Tool("search", search)))
	// Output:
	// searched
	// calls: 1, a draft <nil>
}

func ExampleReply_Using() {
	once(stubs.Script[string](stubs.Say("a long draft").Using(101, 0)))
	// Output: calls: 1, hello run 1 stopped in step "draft": budget: step "draft" needs 101 tokens and 100 are left: resume with a larger budget
}

func ExampleChoose() {
	urgent := func(in string) bool { return strings.Contains(in, "!") }
	once(stubs.Choose(
		stubs.When(urgent, core.Agent[string, string](stubs.Always[string]("at once"))),
		stubs.Else(core.Agent[string, string](stubs.Always[string]("a draft")))))
	// Output: calls: 1, a draft <nil>
}

func ExampleFromTable() {
	table, err := stubs.ParseTable("drafts.yaml", []byte(`
stubs: 1
steps:
  draft:
    - fail: the model is down
    - say: a draft
      tokens: 50
`))
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
	// Output: calls: 2, a draft <nil>
}

// A response that is lost after its effect.
func ExampleFaulty() {
	pays := stubs.Script[string](stubs.Say("paid")).Cycle()
	once(stubs.Faulty(core.Agent[string, string](pays), stubs.Fault{At: 1, Err: errors.New("connection lost"), After: true}))
	// Output: calls: 2, paid <nil>
}

// A function that calls an agent without a pipeline. In a test, ForTest(t) verifies at the end that
// every reply was read.
func ExampleAlways_function() {
	summarize := func(ctx context.Context, model core.Agent[string, string], text string) (string, error) {
		return model.Call(ctx, core.Request[string]{Input: "Summarize: " + text})
	}
	fmt.Println(summarize(context.Background(), stubs.Always[string]("short"), "a long text"))
	// Output: short <nil>
}
