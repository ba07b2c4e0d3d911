package suites_test

import (
	"errors"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/thresholds"

	"time"
)

var _ = Describe("Scripted agents", Label("category:scripts"), func() {
	loads := []stubs.Load{{Arm: "without", Warmups: 2, Rounds: 10, Batch: 1}, {Arm: "with", Warmups: 2, Rounds: 10, Batch: 1}}

	It("do not run dry in the seed's case: 10 and 10 iterations, warm-ups, retries", func(ctx SpecContext) {
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

	It("say step, arm, have, asked and formula when one output is missing", func(ctx SpecContext) {
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
