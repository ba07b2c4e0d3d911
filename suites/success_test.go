package suites_test

import (
	"context"
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/suites"
)

var _ = Describe("A run is a success", Label("category:success-conditions"), func() {
	none := func(*note, []core.Ended[note]) error { return nil }
	bad := func(note) error { return errors.New("too short") }

	DescribeTable("if everything that must succeed did",
		func(ctx SpecContext, node func() *core.Node[note]) {
			ran := saved(ctx, node())
			Expect(ran).To(suites.HaveCompleted())
			Expect(ran.Err).NotTo(HaveOccurred())
			Expect(ran.Saved).To(suites.HaveCompleted())
			Expect(ran.Saved.Error).To(BeEmpty())
			Expect(ran).To(suites.HaveSaved(len(ran.Saved.Steps) + 2))
		},
		Entry("a step in its last attempt", func() *core.Node[note] { return add("a", failing(2), core.Retries(2)) }),
		Entry("a fallback in its last alternative", func() *core.Node[note] { return core.Fallback("f", add("a", broken), add("b", broken), add("c", sign)) }),
		Entry("a loop at its maximum that may reach it", func() *core.Node[note] { return core.Loop("l", 2, upTo(9), add("a", sign), core.MaxIsSuccess()) }),
		Entry("a validation in its last rerun", func() *core.Node[note] {
			return core.Validate("v", func(n note) error {
				if len(n.Seen) < 3 {
					return errors.New("too short")
				}
				return nil
			}, add("a", sign), core.Rerun(2))
		}),
		Entry("one branch of those that may fail", func() *core.Node[note] {
			return core.Parallel("p", none, core.Branches(add("a", broken), add("b", sign)), core.AnySucceeds())
		}),
		Entry("no branch of those whose failures are collected", func() *core.Node[note] {
			return core.Parallel("p", none, core.Branches(add("a", broken), add("b", broken)), core.CollectFailures())
		}),
		Entry("a map over nothing", func() *core.Node[note] {
			return core.Then("t", core.Map("m", 3, func(note) []note { return nil }, add("a", broken), none), add("b", sign))
		}),
		Entry("a case with nothing to do", func() *core.Node[note] {
			return core.Then("t", core.Branch("which", func(note) (string, error) { return "other", nil }, core.Pass[note]("default"), add("a", broken)), add("b", sign))
		}),
		Entry("an output that is empty", func() *core.Node[note] {
			return step("a", core.Func[string, string](func(context.Context, core.Request[string]) (string, error) { return "", nil }))
		}),
	)

	DescribeTable("and a failure if one thing did not, however much else did",
		func(ctx SpecContext, path string, node func() *core.Node[note]) {
			ran := saved(ctx, add("before", sign), node(), add("behind", sign))
			Expect(ran).To(suites.HaveFailedAt(path))
			Expect(ran).NotTo(suites.HaveCompleted())
			Expect(ran.Saved).NotTo(suites.HaveCompleted())
			Expect(ran.Saved.Steps).NotTo(ContainElement(HaveField("Path", "behind")))
			Expect(ran.Result.Scope.Seen).To(ContainElement("before"), "what was done stays done")
		},
		Entry("an attempt too few", "a", func() *core.Node[note] { return add("a", failing(3), core.Retries(2)) }),
		Entry("an output that is refused, though the step succeeded", "v", func() *core.Node[note] { return core.Validate("v", bad, add("a", sign)) }),
		Entry("the last of many steps", "t/c", func() *core.Node[note] { return core.Then("t", add("a", sign), add("b", sign), add("c", broken)) }),
		Entry("one branch", "p/b", func() *core.Node[note] {
			return core.Parallel("p", none, core.Branches(add("a", sign), add("b", broken)))
		}),
		Entry("all branches where one was enough", "p", func() *core.Node[note] {
			return core.Parallel("p", none, core.Branches(add("a", broken), add("b", broken)), core.AnySucceeds())
		}),
		Entry("a loop at its maximum", "l", func() *core.Node[note] { return core.Loop("l", 2, upTo(9), add("a", sign)) }),
		Entry("an answer together with an error", "a", func() *core.Node[note] {
			return add("a", core.Func[string, string](func(context.Context, core.Request[string]) (string, error) { return "a good answer", errors.New("but") }))
		}),
	)

	It("and neither if it waits, or is out of budget", func(ctx SpecContext) {
		waits := saved(ctx, ask("boss"))
		Expect(waits.Err).NotTo(HaveOccurred())
		stopped := suites.Run(ctx, database(sqlite.Process), pipeline(add("a", sign), add("b", sign)).Within(core.Budget{Calls: 1}), key, note{})
		for _, ran := range []*suites.Ran[note]{waits, stopped} {
			Expect(ran).NotTo(suites.HaveCompleted())
			Expect(ran).NotTo(suites.HaveFailedAt("a"))
			Expect(ran.Saved.Status).To(Equal(ran.Result.Status))
		}
	})

	It("or unknown if the test ran out of answers: even NotTo fails", func(ctx SpecContext) {
		p := pipeline(core.Fallback("any", add("a", stubs.Script[string, string](), core.Retries(5)), add("b", sign)))
		_, scripted := scripts(ctx, p, 1)
		ran := suites.Run(scripted, database(sqlite.Process), p, key, note{})
		undecided(suites.HaveCompleted(), ran, "INVALID: the test is at fault")
		undecided(suites.HaveFailedAt("any/a"), ran, "INVALID: the test is at fault")
		Expect(ran.Saved.Status).To(Equal(core.Running), "the run can be resumed")
		Expect(ran.Saved.Steps).To(BeEmpty())
	})

	It("the same with a backend and without", func(ctx SpecContext) {
		for _, node := range []*core.Node[note]{
			core.Fallback("f", add("a", broken, core.Retries(1)), add("b", sign)),
			core.Loop("l", 3, upTo(9), add("a", sign)),
			core.Parallel("p", core.Disjoint[note], core.Branches(step("a", sign), add("b", sign))),
		} {
			with, without := saved(ctx, node), suites.Run(ctx, nil, pipeline(node), key, note{})
			Expect(with.Result).To(Equal(without.Result))
			if with.Err != nil {
				Expect(without.Err).To(MatchError(with.Err.Error()))
			}
		}
	})
})
