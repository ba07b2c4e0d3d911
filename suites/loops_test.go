package suites_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/suites"
)

// upTo returns the condition of a loop that is met after n answers.
func upTo(n int) func(note) (bool, error) {
	return func(s note) (bool, error) { return len(s.Seen) >= n, nil }
}

// nth returns an agent that calls do in the nth iteration.
func nth(n int, do func() (string, error)) core.Agent[string, string] {
	return core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
		if core.PlanPath(req.Path) != req.Path && req.Path == fmt.Sprintf("refine#%d/draft", n) {
			return do()
		}
		return req.Path, nil
	})
}

var _ = Describe("A loop", Label("category:loops"), func() {
	no := func() (string, error) { return "", errors.New("model unavailable") }

	DescribeTable("ends for a reason, which is saved with the run and the iterations begun",
		func(ctx SpecContext, reason core.ExitReason, iterations int, end types.GomegaMatcher, loop func() *core.Node[note], text string) {
			ran := saved(ctx, loop())
			Expect(ran).To(And(end, suites.HaveExitReason(reason)))
			Expect(ran.Saved).To(suites.HaveExitReason(reason).Of("refine"))
			Expect(ran.Result.Exits).To(Equal(map[string]core.Exit{"refine": {Reason: reason, Iterations: iterations}}))
			if text == "" {
				Expect(ran.Err).NotTo(HaveOccurred())
			} else {
				Expect(ran.Err).To(MatchError(text))
				Expect(ran.Saved.Error).To(Equal(text))
			}
		},
		Entry("its condition", core.ExitCondition, 3, suites.HaveCompleted(), func() *core.Node[note] {
			return core.Loop("refine", 5, upTo(3), add("draft", sign))
		}, ""),
		Entry("the most iterations, which is a failure", core.ExitMax, 5, suites.HaveFailedAt("refine"), func() *core.Node[note] {
			return core.Loop("refine", 5, upTo(9), add("draft", sign))
		}, `loop "refine" ended after 5 iterations: max`),
		Entry("the maximum of iterations, if that is not a failure", core.ExitMax, 5, suites.HaveCompleted(), func() *core.Node[note] {
			return core.Loop("refine", 5, nil, add("draft", sign), core.MaxIsSuccess())
		}, ""),
		Entry("the condition in the last iteration allowed", core.ExitCondition, 5, suites.HaveCompleted(), func() *core.Node[note] {
			return core.Loop("refine", 5, upTo(5), add("draft", sign))
		}, ""),
		Entry("no progress", core.ExitNoProgress, 3, suites.HaveFailedAt("refine"), func() *core.Node[note] {
			return core.Loop("refine", 9, upTo(9), step("draft", core.Func[string, string](func(context.Context, core.Request[string]) (string, error) {
				return "the same", nil
			})), core.NoProgress(2))
		}, `loop "refine" ended after 3 iterations: no progress`),
		Entry("a body that failed", core.ExitBodyError, 2, suites.HaveFailedAt("refine#2/draft"), func() *core.Node[note] {
			return core.Loop("refine", 5, upTo(3), add("draft", nth(2, no)))
		}, `loop "refine" ended after 2 iterations: body error: step "refine#2/draft" failed after 1 attempt: model unavailable`),
		Entry("a condition that failed", core.ExitConditionError, 1, suites.HaveFailedAt("refine"), func() *core.Node[note] {
			return core.Loop("refine", 5, func(note) (bool, error) { return true, errors.New("cannot tell") }, add("draft", sign))
		}, `loop "refine" ended after 1 iteration: condition error: cannot tell`),
		Entry("a condition that panicked", core.ExitConditionError, 1, suites.HaveFailedAt("refine"), func() *core.Node[note] {
			return core.Loop("refine", 5, func(n note) (bool, error) { return n.Seen[7] == "", nil }, add("draft", sign))
		}, `loop "refine" ended after 1 iteration: condition error: panic: runtime error: index out of range [7] with length 1`),
	)

	It("that is out of budget stops, and continues from there with a larger one", func(ctx SpecContext) {
		p := pipeline(core.Loop("refine", 9, upTo(4), add("draft", sign)))
		b := database(sqlite.Process)
		short := suites.Run(ctx, b, p.Within(core.Budget{Calls: 2}), key, note{})
		Expect(short).To(And(suites.HaveStoppedFor("calls"), suites.HaveExitReason(core.ExitBudget)))
		Expect(short.Result.Scope.Seen).To(HaveLen(2))
		res, err := core.Resume(ctx, core.NewEngine(core.WithBackend(b)), p, key)
		Expect(res, err).To(And(suites.HaveCompleted(), suites.HaveExitReason(core.ExitCondition)))
		Expect(res.Exits["refine"].Iterations).To(Equal(4))
		Expect(res.Calls).To(Equal(2), "iterations that are saved were made again")
	})

	It("that is cancelled reports that, and is not a failure", func(ctx SpecContext) {
		cut, cancel := context.WithCancelCause(ctx)
		p := pipeline(core.Loop("refine", 9, upTo(4), add("draft", nth(2, func() (string, error) {
			cancel(errors.New("shutting down"))
			return "paid for", nil
		}))))
		b := database(sqlite.Process)
		ran := suites.Run(cut, b, p, key, note{})
		Expect(ran.Err).To(MatchError(ContainSubstring("shutting down")))
		Expect(ran.Result).To(suites.HaveExitReason(core.ExitCancelled))
		Expect(ran.Result.Status).To(Equal(core.Running))
		Expect(ran.Result.Scope.Seen).To(ContainElement("paid for"), "work that was done is kept")
		res, err := core.Resume(ctx, core.NewEngine(core.WithBackend(b)), p, key)
		Expect(res, err).To(suites.HaveCompleted())
		Expect(res.Scope.Seen).To(HaveLen(4))
	})

	It("continues with its next iteration if the error of its body is handled", func(ctx SpecContext) {
		ran := saved(ctx, core.Loop("refine", 5, upTo(3), core.Fallback("any", add("draft", broken, core.Retries(1)), add("spare", sign))))
		Expect(ran).To(And(suites.HaveCompleted(), suites.HaveExitReason(core.ExitCondition)))
		Expect(ran.Result.Scope.Seen).To(Equal([]string{"spare", "spare", "spare"}))
		Expect(ran.Result.Calls).To(Equal(9))
	})

	It("leaves its scope as of its last complete step if it fails", func(ctx SpecContext) {
		ran := saved(ctx, core.Loop("refine", 5, upTo(9), core.Then("round", add("draft", sign), add("check", core.Func[string, string](
			func(_ context.Context, req core.Request[string]) (string, error) {
				if req.Path == "refine#3/round/check" {
					return "half", errors.New("refused")
				}
				return "ok", nil
			})))))
		Expect(ran).To(suites.HaveFailedAt("refine#3/round/check"))
		Expect(ran.Result.Scope.Seen).To(Equal([]string{"draft", "ok", "draft", "ok", "draft"}))
		Expect(ran.Saved.State).To(MatchJSON(`{"Text":"","Seen":["draft","ok","draft","ok","draft"]}`))
	})

	It("within a loop has an exit for each time, and the inner failure is a body error of the outer one", func(ctx SpecContext) {
		inner := core.Loop("inner", 2, func(n note) (bool, error) { return len(n.Seen) < 4, nil }, add("draft", sign))
		ran := saved(ctx, core.Loop("outer", 9, upTo(99), inner))
		Expect(ran).To(And(suites.HaveFailedAt("outer"), suites.HaveFailedAt("outer#4/inner")))
		for i := 1; i < 4; i++ {
			Expect(ran).To(suites.HaveExitReason(core.ExitCondition).Of(fmt.Sprintf("outer#%d/inner", i)))
		}
		Expect(ran.Saved).To(And(suites.HaveExitReason(core.ExitMax).Of("outer#4/inner"), suites.HaveExitReason(core.ExitBodyError).Of("outer")))
	})

	It("whose failure is handled around it is an exit, not the end of the run", func(ctx SpecContext) {
		ran := saved(ctx, core.Fallback("any", core.Loop("refine", 2, upTo(9), add("draft", sign)), add("spare", sign)))
		Expect(ran).To(And(suites.HaveCompleted(), suites.HaveExitReason(core.ExitMax).Of("any/refine")))
		Expect(ran.Result.Scope.Seen).To(Equal([]string{"draft", "draft", "spare"}))
	})

	It("is not ended by a fault of the harness", func(ctx SpecContext) {
		p := pipeline(core.Loop("refine", 5, upTo(3), core.Fallback("any", add("draft", stubs.Outputs[string]("only one"), core.Retries(3)), add("spare", sign))))
		_, scripted := scripts(ctx, p, 1)
		ran := suites.Run(scripted, database(sqlite.Process), p, key, note{})
		Expect(ran.Err).To(MatchError(core.ErrHarness))
		Expect(ran.Result.Exits).To(BeEmpty())
		Expect(ran.Saved.Steps).To(HaveLen(1))
	})

	It("has the same exit whatever the number of restarts", func(ctx SpecContext) {
		path := filepath.Join(GinkgoT().TempDir(), "runs.db")
		p := pipeline(core.Loop("refine", 5, upTo(3), add("draft", sign)))
		for calls := int64(1); calls < 3; calls++ {
			b, err := sqlite.Open(ctx, path, sqlite.Process)
			Expect(err).NotTo(HaveOccurred())
			e, small := core.NewEngine(core.WithBackend(b)), p.Within(core.Budget{Calls: calls})
			if calls == 1 {
				_, err = core.Run(ctx, e, small, key, note{})
			} else {
				_, err = core.Resume(ctx, e, small, key)
			}
			Expect(err).To(suites.HaveStoppedFor("calls"))
			Expect(b.Close()).To(Succeed())
		}
		res, err := core.Resume(ctx, core.NewEngine(core.WithBackend(opened(path, sqlite.Process))), p, key)
		Expect(res, err).To(suites.HaveExitReason(core.ExitCondition))
		Expect(res.Exits["refine"].Iterations).To(Equal(3))
		Expect(res.Usage.Calls).To(BeEquivalentTo(3))
	})
})
