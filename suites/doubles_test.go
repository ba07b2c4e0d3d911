package suites_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/stubs/cassette"
	"github.com/flujo/flujo-harness/suites"
	"github.com/flujo/flujo-harness/thresholds"
)

var _ = Describe("Scripted agents", Label("category:test-doubles"), func() {
	loads := []stubs.Load{{Arm: "without", Warmups: 2, Rounds: 10, Batch: 1}, {Arm: "with", Warmups: 2, Rounds: 10, Batch: 1}}

	It("do not run dry with 10 and 10 iterations, warm-ups and retries", func(ctx SpecContext) {
		flaky := stubs.From(func(req core.Request[string]) stubs.Reply[string] {
			if req.Attempt < 3 {
				return stubs.Fail[string](errors.New("transient"))
			}
			return stubs.Say("output")
		})
		p := pipeline(step("a", flaky, core.Retries(2)), step("b", stubs.Always[string]("output")))
		book, err := stubs.Size(p, loads...)
		Expect(err).NotTo(HaveOccurred())
		for _, load := range loads {
			scripted, err := book.In(ctx, load.Arm)
			Expect(err).NotTo(HaveOccurred())
			e := core.NewEngine(core.WithBackend(core.NewMemory()))
			for i := range load.Runs() {
				_, err := core.Run(scripted, e, p, core.RunKey{Run: fmt.Sprint(i)}, note{})
				Expect(err).NotTo(HaveOccurred())
			}
		}
		Expect(book.Verify()).To(Succeed())
	})

	It("report step, arm, have, asked and formula when one output is missing", func(ctx SpecContext) {
		p := pipeline(step("a", stubs.Always[string]("output")))
		book, err := stubs.Size(p, loads...)
		Expect(err).NotTo(HaveOccurred())
		Expect(book.Remove("with", "a", 1)).To(Succeed())
		scripted, err := book.In(ctx, "with")
		Expect(err).NotTo(HaveOccurred())
		for i := range loads[1].Runs() {
			_, err = core.Run(scripted, core.NewEngine(), p, core.RunKey{Run: fmt.Sprint(i)}, note{})
		}
		var dry *stubs.ExhaustedError
		Expect(errors.As(err, &dry)).To(BeTrue(), "%v", err)
		Expect(dry.Calls).To(HaveLen(3))
		dry.Calls = nil
		Expect(*dry).To(Equal(stubs.ExhaustedError{Step: "a", Scope: `arm "with"`, Have: 11, Asked: 12,
			Formula: "(2 warm-ups + 10 rounds x 1 runs) x 1 calls a run = 12, less 1 removed"}))
		Expect(err).To(MatchError(core.ErrHarness))
	})

	It("make a measurement invalid, neither slow nor failed, when one output is missing", Serial, func(ctx SpecContext) {
		plan := harness.DefaultPlan()
		plan.Blocks, plan.Rounds = 1, 1
		c, err := harness.Measure(ctx, harness.Spec{Workload: "default", Durability: "process", Plan: plan, Seed: 1, Dir: GinkgoT().TempDir(), Mutant: harness.MutantShort},
			harness.InProcess(), func(*harness.Comparison) bool { return true })
		Expect(err).NotTo(HaveOccurred())
		v := thresholds.Judge(c, nil, time.Now())
		Expect(v.Outcome).To(Equal(thresholds.Invalid))
		Expect(v.Reason).To(ContainSubstring(`script of step "draft" in arm "backend" ran dry`))
	})
})

// scripts sizes a book for runs of a pipeline, one after the other.
func scripts(ctx context.Context, p stubs.Plan, runs int) (*stubs.Book, context.Context) {
	GinkgoHelper()
	book, err := stubs.Size(p, stubs.Load{Arm: "arm", Rounds: runs, Batch: 1})
	Expect(err).NotTo(HaveOccurred())
	scripted, err := book.In(ctx, "arm")
	Expect(err).NotTo(HaveOccurred())
	return book, scripted
}

var _ = Describe("A script", Label("category:test-doubles"), func() {
	It("that ran dry is reported at the end, even if the error was swallowed", func(ctx SpecContext) {
		p := pipeline(step("a", stubs.Outputs[string]("only one")), step("b", sign))
		book, scripted := scripts(ctx, p, 1)
		swallow := core.Func[string, string](func(ctx context.Context, req core.Request[string]) (string, error) {
			out, err := stubs.Outputs[string, string]().Call(ctx, req)
			if err != nil {
				return "a success, they say", nil
			}
			return out, nil
		})
		ran := suites.Run(scripted, database(sqlite.Process), pipeline(step("a", swallow), step("b", sign)), key, note{})
		Expect(ran).To(suites.HaveCompleted())
		Expect(book.Verify()).To(MatchError(ContainSubstring(`script of step "a" in arm "arm", run "acme/r" ran dry`)))
	})

	It("with unused replies is reported", func(ctx SpecContext) {
		p := pipeline(step("a", stubs.Outputs[string]("one", "two")))
		book, scripted := scripts(ctx, p, 1)
		Expect(suites.Run(scripted, nil, p, key, note{})).To(suites.HaveCompleted())
		Expect(book.Verify()).To(MatchError(ContainSubstring("The run left the others unread: remove them, or AllowLeftovers")))
	})

	It("with planned runs that were not made is reported", func(ctx SpecContext) {
		p := pipeline(step("a", stubs.Always[string]("out")))
		book, scripted := scripts(ctx, p, 3)
		Expect(suites.Run(scripted, nil, p, key, note{})).To(suites.HaveCompleted())
		Expect(book.Verify()).To(MatchError(ContainSubstring("was asked for 1 outputs, but the planned runs need at least 3")))
	})

	It("gives the same replies to every run and branch, whatever runs concurrently", func(ctx SpecContext) {
		list := func() core.Agent[string, string] { return stubs.Outputs[string]("1", "2", "3") }
		merge := func(into *note, branches []core.Ended[note]) error {
			into.Text = fmt.Sprint(branches[0].Scope.Seen, branches[1].Scope.Seen)
			return nil
		}
		three := func(name string) *core.Node[note] {
			return core.Loop(name, 3, nil, add("s", list()), core.MaxIsSuccess())
		}
		p := pipeline(core.Parallel("both", merge, core.Branches(three("a"), three("b"))))
		book, scripted := scripts(ctx, p, 8)
		for i := range 8 {
			ran := suites.Run(scripted, nil, p, core.RunKey{Run: fmt.Sprint(i)}, note{})
			Expect(ran).To(suites.HaveCompleted())
			Expect(ran.Result.Scope.Text).To(Equal("[1 2 3] [1 2 3]"))
		}
		Expect(book.Verify()).To(Succeed())
	})

	It("checks the requests that it gets", func(ctx SpecContext) {
		p := pipeline(step("a", stubs.Outputs[string]("out").Expect("a question")))
		_, scripted := scripts(ctx, p, 1)
		ran := suites.Run(scripted, nil, p, key, note{Text: "another question"})
		Expect(ran.Err).To(And(MatchError(core.ErrHarness), MatchError(ContainSubstring("had another input than expected"))))
	})

	It("may be read from a table, with failures, tokens and cases in it", func(ctx SpecContext) {
		table, err := stubs.ParseTable("drafts.yaml", []byte("stubs: 1\nsteps:\n  a:\n    - fail: the model is down\n    - say: a draft\n      tokens: 50\n"))
		Expect(err).NotTo(HaveOccurred())
		agent, err := stubs.FromTable[string, string](table, "a")
		Expect(err).NotTo(HaveOccurred())
		p := pipeline(step("a", agent, core.Retries(1)))
		book, scripted := scripts(ctx, p, 1)
		ran := suites.Run(scripted, database(sqlite.Process), p, key, note{})
		Expect(ran).To(suites.HaveCompleted())
		Expect(ran.Result.Usage).To(Equal(core.Usage{Calls: 2, Steps: 1, Tokens: 50}))
		Expect(book.Verify()).To(Succeed())
	})

	It("may be a recording: the real agent is asked once, and never again", func(ctx SpecContext) {
		asked := 0
		real := core.Func[string, string](func(context.Context, core.Request[string]) (string, error) {
			asked++
			return fmt.Sprintf("answer %d", asked), nil
		})
		path := filepath.Join(GinkgoT().TempDir(), "agents.jsonl")
		for _, mode := range []cassette.Mode{cassette.Record, cassette.Replay, cassette.Replay} {
			tape, err := cassette.Open(path, mode)
			Expect(err).NotTo(HaveOccurred())
			ran := suites.Run(ctx, database(sqlite.Process), pipeline(step("a", cassette.Recorded(tape, "writer", real))), key, note{})
			Expect(ran).To(suites.HaveCompleted())
			Expect(ran.Result.Scope.Text).To(Equal("answer 1"))
			Expect(tape.Verify()).To(Succeed())
			Expect(tape.Close()).To(Succeed())
		}
		Expect(asked).To(Equal(1))
	})

	It("from a recording has no reply to a request that was never recorded, and no handler hides that", func(ctx SpecContext) {
		path := filepath.Join(GinkgoT().TempDir(), "agents.jsonl")
		run := func(mode cassette.Mode, input string) (*cassette.Cassette, *suites.Ran[note]) {
			tape, err := cassette.Open(path, mode)
			Expect(err).NotTo(HaveOccurred())
			p := pipeline(core.Fallback("any", step("a", cassette.Recorded(tape, "writer", core.Agent[string, string](sign)), core.Retries(3)), step("b", sign)))
			return tape, suites.Run(ctx, database(sqlite.Process), p, key, note{Text: input})
		}
		tape, ran := run(cassette.Record, "a question")
		Expect(ran).To(suites.HaveCompleted())
		Expect(tape.Close()).To(Succeed())
		tape, ran = run(cassette.Replay, "another question")
		Expect(ran.Err).To(And(MatchError(core.ErrHarness), MatchError(ContainSubstring("another question"))))
		Expect(tape.Verify()).To(MatchError(core.ErrHarness))
		Expect(tape.Close()).To(Succeed())
	})
})

// mock is like the values of mock packages: its expectations are in fields that are not stored.
type mock struct {
	Calls    int
	expected []string
}

var _ = Describe("A mock in the state of a run", Label("category:test-doubles"), func() {
	It("is refused before the run, with the field", func() {
		type scope struct{ Client *mock }
		_, err := core.New("p", core.Step("a", sign, func(scope) string { return "" }, func(s *scope, _ string) { s.Client = &mock{expected: []string{"x"}} }))
		Expect(err).To(MatchError(ContainSubstring("field scope.Client.expected of type []string cannot be stored: an unexported field is not stored and would be lost")))
	})

	It("is refused by the save if an any holds it, and the run can continue with a real value", func(ctx SpecContext) {
		type scope struct{ Deep []any }
		p, err := core.New("p", core.Step("a", sign, func(scope) string { return "" }, func(s *scope, _ string) { s.Deep = []any{"real", &mock{}} }))
		Expect(err).NotTo(HaveOccurred())
		ran := suites.Run(ctx, database(sqlite.Process), p, key, scope{})
		Expect(ran.Err).To(MatchError("save step a of run acme/r: the scope cannot be stored: Deep[1] cannot be stored exactly: a *suites_test.mock in an any would come back as something else: give the field a concrete type"))
		Expect(ran.Saved.Status).To(Equal(core.Running))
		Expect(ran.Saved.Steps).To(BeEmpty())
	})
})

var _ = Describe("A backend with faults", Label("category:test-doubles"), func() {
	It("fails the given save, and the run continues after the last successful one", func(ctx SpecContext) {
		b := database(sqlite.Process)
		full := errors.New("disk is full")
		faulty := stubs.FaultyBackend(b, stubs.Fault{When: func(at stubs.Point) bool { return at.Path == "b" }, At: 1, Err: full})
		p := pipeline(step("a", sign), step("b", sign), step("c", sign))
		ran := suites.Run(ctx, faulty, p, key, note{})
		Expect(ran.Err).To(MatchError(full))
		Expect(ran).To(suites.HaveSaved(2))
		Expect(ran.Resume(ctx)).To(And(suites.HaveCompleted(), suites.HaveSaved(5)))
	})

	It("that flips a bit on the way to the disk is detected by a replay", func(ctx SpecContext) {
		corrupt := stubs.CorruptingBackend(database(sqlite.Process), 7, func(at stubs.Point) bool { return at.Path == "a" })
		p := pipeline(step("a", sign), step("b", sign))
		ran := suites.Run(ctx, corrupt, p, key, note{})
		Expect(ran).To(suites.HaveCompleted())
		Expect(ran).NotTo(suites.ReplayIdentically(p))
	})
})
