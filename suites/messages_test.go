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
	"github.com/flujo/flujo-harness/suites"
)

var _ = Describe("A message", Label("category:messages"), func() {
	always := func(note) error { return errors.New("too short") }

	DescribeTable("of a failed run says where, what was tried, and why",
		func(ctx SpecContext, node func() *core.Node[note], text string) {
			ran := saved(ctx, node())
			Expect(ran.Err).To(MatchError(text))
			Expect(ran.Saved.Error).To(Equal(text), "the record says the same")
		},
		Entry("of a step", func() *core.Node[note] { return step("draft", broken, core.Retries(2)) },
			`step "draft" failed after 3 attempts: model unavailable`),
		Entry("of a step within others", func() *core.Node[note] { return core.Then("write", core.Then("first", step("draft", broken))) },
			`step "write/first/draft" failed after 1 attempt: model unavailable`),
		Entry("of a validation", func() *core.Node[note] { return core.Validate("check", always, step("draft", sign)) },
			`validation "check" refused the output: too short`),
		Entry("of a fallback, with every alternative", func() *core.Node[note] {
			return core.Fallback("any", step("one", broken), core.Validate("two", always, step("draft", sign)))
		}, "fallback \"any\" failed: step \"any/one\" failed after 1 attempt: model unavailable\nvalidation \"any/two\" refused the output: too short"),
		Entry("of branches, with every one that failed", func() *core.Node[note] {
			return core.Parallel("both", core.Disjoint[note], core.Branches(step("a", broken), step("b", sign), step("c", broken)))
		}, "parallel \"both\" failed: step \"both/a\" failed after 1 attempt: model unavailable\nstep \"both/c\" failed after 1 attempt: model unavailable"),
		Entry("of branches that overwrite each other", func() *core.Node[note] {
			return core.Parallel("both", core.Disjoint[note], core.Branches(step("a", sign), step("b", sign)))
		}, `parallel "both" failed: branches "a" and "b" both changed Text, to different values: let only one of them change it, or merge with a function of your own`),
		Entry("of too many items", func() *core.Node[note] {
			return core.Map("each", 1, func(note) []string { return []string{"a", "b"} },
				core.Step("read", sign, func(s string) string { return s }, func(*string, string) {}), func(*note, []core.Ended[string]) error { return nil })
		}, `map "each" failed: 2 items where the plan allows 1: raise the maximum or split less`),
		Entry("of a panic", func() *core.Node[note] {
			return step("draft", core.Func[string, string](func(context.Context, core.Request[string]) (string, error) { panic("out of tokens") }))
		}, `step "draft" failed after 1 attempt: panic: out of tokens`),
	)

	DescribeTable("of a plan that cannot run comes before any run, with the path and what to do",
		func(nodes []*core.Node[note], text string) {
			_, err := core.New("plan", nodes...)
			Expect(err).To(MatchError("pipeline \"plan\": " + text))
			Expect(errors.As(err, new(*core.PlanError))).To(BeTrue())
		},
		Entry("nothing to do", nil, "there is no step to run: add at least one"),
		Entry("no agent", []*core.Node[note]{core.Then("write", core.Step("draft", nil, text, setText))}, `step "write/draft": no agent: a step needs one to call`),
		Entry("two of one path", []*core.Node[note]{step("a", sign), step("a", sign)}, `step "a": two nodes have this path: rename one`),
		Entry("a name with a slash", []*core.Node[note]{step("a/b", sign)}, `step "a/b": a name may not contain '/' or '#': they separate the parts of a path`),
		Entry("a loop without a condition", []*core.Node[note]{core.Loop("l", 3, nil, step("a", sign))}, `step "l": no condition: without one the loop can only fail; give one, or MaxIsSuccess`),
		Entry("a fallback to nothing", []*core.Node[note]{core.Fallback("f", step("a", sign))}, `step "f": nothing to fall back to: add a node`),
		Entry("fewer retries than none", []*core.Node[note]{step("a", sign, core.Retries(-1))}, `step "a": -1 retries: use 0 or more`),
		Entry("branches without a merge", []*core.Node[note]{core.Parallel("p", nil, core.Branches(step("a", sign)))}, `step "p": no merge function: it puts the results of the branches into the scope; Disjoint is one`),
	)

	It("of a timeout contains its duration", func(ctx SpecContext) {
		waits := core.Func[string, string](func(ctx context.Context, _ core.Request[string]) (string, error) {
			<-ctx.Done()
			return "", context.Cause(ctx)
		})
		ran := suites.Run(ctx, database(sqlite.Process), pipeline(step("draft", waits, core.Timeout(time.Nanosecond))), key, note{}, core.WithGrace(time.Hour))
		Expect(ran.Err).To(MatchError(`step "draft" failed after 1 attempt: its timeout of 1ns passed: context deadline exceeded`))
	})

	It("of an exhausted budget names the resource and what to do", func(ctx SpecContext) {
		ran := suites.Run(ctx, database(sqlite.Process), pipeline(step("a", sign), step("b", sign)).Within(core.Budget{Calls: 1}), key, note{})
		Expect(ran.Err).To(MatchError(`run acme/r stopped in step "b": budget: step "b" needs 1 calls and 0 are left: resume with a larger budget`))
	})

	It("of a start that is refused, and of a resume, names the run and what to do", func(ctx SpecContext) {
		b := database(sqlite.Process)
		p, e := pipeline(step("a", sign)), core.NewEngine(core.WithBackend(b))
		Expect(suites.Run(ctx, b, p, key, note{})).To(suites.HaveCompleted())
		Expect(suites.Run(ctx, b, p, key, note{}).Err).To(MatchError(`save start of run acme/r: run acme/r: run exists`))
		_, err := core.Resume(ctx, e, p, key)
		Expect(err).To(MatchError(`resume run acme/r: run is finished: it has completed: start a new run under another key`))
		_, err = core.Resume(ctx, e, p, core.RunKey{Run: "none"})
		Expect(err).To(MatchError(`resume run none: load run none: run not found`))
	})

	DescribeTable("of a database that cannot be used says why, and no file is created",
		func(ctx SpecContext, path string, durability sqlite.Durability, text string) {
			_, err := sqlite.Open(ctx, path, durability)
			Expect(err).To(MatchError(text))
		},
		Entry("in memory", ":memory:", sqlite.Process, `open database ":memory:": name a file: a database in memory is not durable`),
		Entry("no durability", "runs.db", sqlite.Durability("fast"), `durability "fast": use "power" or "process"`),
	)

	It("of a scope that cannot be stored names the field", func(ctx SpecContext) {
		type scope struct{ Draft struct{ Score float64 } }
		zero := 0.0
		p, err := core.New("p", core.Step("rate", sign, func(scope) string { return "" }, func(s *scope, _ string) { s.Draft.Score = zero / zero }))
		Expect(err).NotTo(HaveOccurred())
		ran := suites.Run(ctx, database(sqlite.Process), p, key, scope{})
		Expect(ran.Err).To(MatchError("save step rate of run acme/r: the scope cannot be stored: Draft.Score cannot be stored exactly: JSON has no NaN: use a pointer or a flag for no value"))
	})

	It("of a database in a missing directory names the file", func(ctx SpecContext) {
		path := filepath.Join(GinkgoT().TempDir(), "nowhere", "runs.db")
		_, err := sqlite.Open(ctx, path, sqlite.Process)
		Expect(err).To(MatchError(ContainSubstring(path)))
	})
})

var _ = Describe("Feedback", Label("category:messages"), func() {
	// heard returns an agent that records its feedback and fails the given number of times.
	heard := func(times int, list *[]string) core.Agent[string, string] {
		return core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
			*list = append(*list, req.Feedback)
			if req.Attempt <= times {
				return "", fmt.Errorf("attempt %d is too short", req.Attempt)
			}
			return "long enough", nil
		})
	}

	It("is the reason of the failure before, empty at first, and is saved with the step", func(ctx SpecContext) {
		var list []string
		ran := saved(ctx, step("draft", heard(2, &list), core.Retries(2)))
		Expect(ran).To(suites.HaveCompleted())
		Expect(list).To(Equal([]string{"", "attempt 1 is too short", "attempt 2 is too short"}))
		Expect(ran.Saved.Steps).To(ConsistOf(And(HaveField("Feedback", "attempt 2 is too short"), HaveField("Attempts", 3), HaveField("Error", ""))))
	})

	It("of one step is not passed to the next, nor to the next round", func(ctx SpecContext) {
		var first, second []string
		ran := saved(ctx, core.Loop("l", 2, nil, core.Then("round", add("a", heard(1, &first), core.Retries(1)), add("b", heard(0, &second))), core.MaxIsSuccess()))
		Expect(ran).To(suites.HaveCompleted())
		Expect(first).To(Equal([]string{"", "attempt 1 is too short", "", "attempt 1 is too short"}))
		Expect(second).To(Equal([]string{"", ""}))
	})

	It("of a validation goes to every step that is run again", func(ctx SpecContext) {
		var list []string
		ran := saved(ctx, core.Validate("check", func(n note) error {
			if len(n.Seen) < 4 {
				return fmt.Errorf("only %d", len(n.Seen))
			}
			return nil
		}, core.Then("both", add("a", heard(0, &list)), add("b", heard(0, &list))), core.Rerun(1)))
		Expect(ran).To(suites.HaveCompleted())
		Expect(list).To(Equal([]string{"", "", "only 2", "only 2"}))
	})

	It("is passed to branches, and later separate for each of them", func(ctx SpecContext) {
		merge := func(into *note, branches []core.Ended[note]) error {
			for _, b := range branches {
				into.Seen = append(into.Seen, b.Scope.Seen...)
			}
			return nil
		}
		ran := saved(ctx, core.Fallback("any", step("one", broken),
			core.Parallel("both", merge, core.Branches(add("a", told), core.Then("b", core.Fallback("inner", step("x", broken), add("y", told)), add("z", told))))))
		Expect(ran).To(suites.HaveCompleted())
		outer := `step "any/one" failed after 1 attempt: model unavailable`
		Expect(ran.Result.Scope.Seen).To(Equal([]string{outer, `step "any/both/b/inner/x" failed after 1 attempt: model unavailable`, outer}))
	})
})
