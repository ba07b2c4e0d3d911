package suites_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/suites"
)

// failing returns an agent that fails the given number of times in every run before it answers.
func failing(times int) core.Agent[string, string] {
	return core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
		if req.Attempt <= times {
			return "", fmt.Errorf("failure %d of %s", req.Attempt, req.Path)
		}
		return req.Path, nil
	})
}

// told answers with the feedback that it got.
var told = core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) { return req.Feedback, nil })

var _ = Describe("Recovery from errors, one within the other", Label("category:error-recovery"), func() {
	It("uses the nearest handler first: retries, then validation, then fallback, then the loop's next round", func(ctx SpecContext) {
		checked := core.Validate("check", func(n note) error {
			if len(n.Seen) < 3 {
				return fmt.Errorf("%d of 3", len(n.Seen))
			}
			return nil
		}, add("draft", failing(1), core.Retries(1)), core.Rerun(1))
		ran := saved(ctx, core.Loop("refine", 3, upTo(4), core.Fallback("any", checked, add("spare", told))))
		Expect(ran).To(And(suites.HaveCompleted(), suites.HaveExitReason(core.ExitCondition)))
		Expect(ran.Result.Scope.Seen).To(Equal([]string{
			"refine#1/any/check#1/draft", "refine#1/any/check#2/draft",
			`validation "refine#1/any/check" refused the output: 2 of 3`,
			"refine#2/any/check#1/draft",
		}))
		Expect(ran.Result.Calls).To(Equal(7), "each draft is tried twice")
	})

	It("passes the failure of one alternative to the next, and that of all to the outer fallback", func(ctx SpecContext) {
		inner := core.Fallback("inner", add("one", broken), add("two", failing(9), core.Retries(1)))
		ran := saved(ctx, core.Fallback("outer", inner, add("spare", told)), add("last", told))
		Expect(ran).To(suites.HaveCompleted())
		Expect(ran.Result.Scope.Seen).To(Equal([]string{
			"fallback \"outer/inner\" failed: step \"outer/inner/one\" failed after 1 attempt: model unavailable\n" +
				"step \"outer/inner/two\" failed after 2 attempts: failure 2 of outer/inner/two",
			"", // the feedback ends with the fallback
		}))
	})

	It("works at any depth of sub-pipelines, and the path shows where", func(ctx SpecContext) {
		deepest := pipeline(core.Fallback("any", add("one", broken), add("two", broken)))
		middle := pipeline(core.Sub("deepest", deepest, func(n note) note { return n }, func(n *note, m note) { n.Seen = m.Seen }))
		ran := saved(ctx, core.Sub("middle", middle, func(n note) note { return n }, func(n *note, m note) { n.Seen = m.Seen }))
		Expect(ran).To(suites.HaveFailedAt("middle/deepest/any/two"))
		handled := saved(ctx, core.Fallback("any", core.Sub("middle", middle, func(n note) note { return n }, func(n *note, m note) { n.Seen = m.Seen }), add("spare", sign)))
		Expect(handled).To(suites.HaveCompleted())
		Expect(handled.Result.Scope.Seen).To(Equal([]string{"spare"}))
	})

	DescribeTable("lets branches fail as the plan allows",
		func(ctx SpecContext, seen []string, failed string, opts ...core.ForkOption) {
			merge := func(into *note, branches []core.Ended[note]) error {
				for _, b := range branches {
					into.Seen = append(into.Seen, fmt.Sprintf("%s %v", b.Name, b.Err))
				}
				return nil
			}
			ran := saved(ctx, core.Parallel("both", merge, core.Branches(add("a", sign), add("b", broken), core.Fallback("c", add("x", broken), add("y", sign))), opts...))
			if failed != "" {
				Expect(ran).To(And(suites.HaveFailedAt("both"), suites.HaveFailedAt(failed)))
				Expect(ran.Saved.Steps).To(HaveLen(4), "what was begun is finished")
				return
			}
			Expect(ran).To(suites.HaveCompleted())
			Expect(ran.Result.Scope.Seen).To(Equal(seen))
		},
		Entry("not at all", nil, "both/b"),
		Entry("but one", []string{"a <nil>", "c <nil>"}, "", core.AnySucceeds()),
		Entry("all of them", []string{"a <nil>", `b step "both/b" failed after 1 attempt: model unavailable`, "c <nil>"}, "", core.CollectFailures()),
	)

	It("keeps the good items of a map in which others fail", func(ctx SpecContext) {
		odd := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
			if strings.HasSuffix(req.Input, "bad") {
				return "", errors.New("unreadable")
			}
			return strings.ToUpper(req.Input), nil
		})
		ran := saved(ctx, core.Map("each", 4, func(note) []string { return []string{"a", "bad", "c"} },
			core.Step("read", odd, func(s string) string { return s }, func(s *string, out string) { *s = out }, core.Retries(1)),
			func(into *note, items []core.Ended[string]) error {
				for _, i := range items {
					if i.Err == nil {
						into.Seen = append(into.Seen, i.Scope)
					} else {
						into.Text = i.Err.Error()
					}
				}
				return nil
			}, core.CollectFailures()))
		Expect(ran).To(suites.HaveCompleted())
		Expect(ran.Result.Scope).To(Equal(note{Text: `step "each#2/read" failed after 2 attempts: unreadable`, Seen: []string{"A", "C"}}))
	})

	It("contains a panic, wherever it is, and the attempt leaves no trace in the scope", func(ctx SpecContext) {
		scribbles := core.Step("scribble", sign, text, func(n *note, _ string) {
			n.Seen = append(n.Seen, "half")
			panic("out of paper")
		})
		ran := saved(ctx, add("first", sign), core.Fallback("any", core.Then("deep", core.Loop("l", 1, nil, scribbles, core.MaxIsSuccess())), add("spare", told)))
		Expect(ran).To(suites.HaveCompleted())
		Expect(ran.Result.Scope.Seen).To(Equal([]string{"first",
			`loop "any/deep/l" ended after 1 iteration: body error: step "any/deep/l#1/scribble" failed after 1 attempt: panic: out of paper`}))
	})

	It("handles a failed merge, a failed choice and a cycle like other failures", func(ctx SpecContext) {
		merge := func(*note, []core.Ended[note]) error { return errors.New("they do not fit") }
		choose := func(note) (string, error) { return "nowhere", nil }
		round := func(_ note, from string) (string, error) { return map[string]string{"a": "b", "b": "a"}[from], nil }
		ran := saved(ctx,
			core.Fallback("1", core.Parallel("p", merge, core.Branches(add("a", sign))), add("spare", told)),
			core.Fallback("2", core.Branch("b", choose, add("a", sign)), add("spare", told)),
			core.Fallback("3", core.Redirect("r", round, add("a", sign), add("b", sign)), add("spare", told)))
		Expect(ran).To(suites.HaveCompleted())
		Expect(ran.Result.Scope.Seen).To(Equal([]string{
			`parallel "1/p" failed: they do not fit`,
			`branch "2/b" failed: no case is named "nowhere", and there is no "default"`,
			"a", "b", `redirect "3/r" failed: redirect cycle: a -> b -> a`,
		}))
	})

	It("does not catch what no handler may catch", func(ctx SpecContext) {
		wrapped := func(n *core.Node[note]) *core.Node[note] {
			merge := func(into *note, _ []core.Ended[note]) error { into.Seen = append(into.Seen, "caught"); return nil }
			return core.Fallback("any", core.Parallel("p", merge, core.Branches(core.Validate("v", func(note) error { return nil }, core.Loop("l", 3, upTo(9), n), core.Rerun(2))),
				core.CollectFailures()), add("caught", sign))
		}
		by := func(do func() (string, error)) *core.Node[note] {
			return add("step", core.Func[string, string](func(context.Context, core.Request[string]) (string, error) { return do() }), core.Retries(3))
		}
		cut, cancel := context.WithCancel(ctx)
		for name, tc := range map[string]struct {
			ctx    context.Context
			node   *core.Node[note]
			budget core.Budget
			status core.Status
		}{
			"a pause":                {ctx, ask("boss"), core.Budget{}, core.Paused},
			"exhausted budget":       {ctx, add("step", sign), core.Budget{Calls: 1}, core.Stopped},
			"a fault of the harness": {ctx, by(func() (string, error) { return "", fmt.Errorf("%w: no recording", core.ErrHarness) }), core.Budget{}, core.Running},
			"a cancelled context":    {cut, by(func() (string, error) { cancel(); return "", cut.Err() }), core.Budget{}, core.Running},
		} {
			ran := suites.Run(tc.ctx, database(sqlite.Process), pipeline(wrapped(tc.node)).Within(tc.budget), key, note{})
			Expect(ran.Result.Status).To(Equal(tc.status), name)
			Expect(ran.Saved.Steps).NotTo(ContainElement(HaveField("Path", "any/caught")), name)
			Expect(ran.Result.Scope.Seen).NotTo(ContainElement("caught"), name)
		}
	})

	It("does not stop for a pause in an alternative, and has the earlier failure after the answer", func(ctx SpecContext) {
		ran := saved(ctx, core.Fallback("any", add("one", broken, core.Retries(2)), core.Then("manual", ask("person"), add("note", told))))
		Expect(ran).To(suites.HavePausedAt("any/manual/person"))
		ran = ran.Answer(ctx, "any/manual/person", "by hand")
		Expect(ran).To(suites.HaveCompleted())
		Expect(ran.Result.Calls).To(Equal(1), "what has failed is not tried again")
		Expect(ran.Result.Scope).To(Equal(note{Text: "by hand", Seen: []string{`step "any/one" failed after 3 attempts: model unavailable`}}))
	})

	It("continues after a recorded failure if its process died in the next alternative", func(ctx SpecContext) {
		b := database(sqlite.Process)
		p := pipeline(core.Fallback("any", add("one", stubs.Always[string]("never asked")), add("two", sign)))
		dying := stubs.FaultyBackend(b, stubs.Fault{When: func(at stubs.Point) bool { return at.Path == "any/two" }, Err: errors.New("killed")})
		first := pipeline(core.Fallback("any", add("one", broken), add("two", sign)))
		Expect(suites.Run(ctx, dying, first, key, note{}).Err).To(MatchError(ContainSubstring("killed")))
		res, err := core.Resume(ctx, core.NewEngine(core.WithBackend(b)), p, key) // it would be an error to call "one"
		Expect(res, err).To(suites.HaveCompleted())
		Expect(res.Scope.Seen).To(Equal([]string{"two"}))
	})
})
