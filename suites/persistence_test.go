package suites_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/suites"
)

// measured makes one small measurement of a built-in workload. Its durations are not checked here:
// that is the purpose of limits, measured in separate processes.
func measured(ctx context.Context, workload string) *harness.Comparison {
	GinkgoHelper()
	plan := harness.DefaultPlan()
	plan.Blocks, plan.Rounds = 1, 1
	c, err := harness.Measure(ctx, harness.Spec{Workload: workload, Durability: string(sqlite.Process), Plan: plan, Seed: uint64(GinkgoRandomSeed()), Dir: GinkgoT().TempDir()},
		harness.InProcess(), func(*harness.Comparison) bool { return true })
	Expect(err).NotTo(HaveOccurred())
	return c
}

// These are the eight tests of the TestPersistencePerformanceOverhead in flujo's suite, by their
// names. What was measured there is measured here. Three of them were about data, not about speed.
var _ = Describe("The persistence tests of flujo's suite", Serial, Label("category:persistence-overhead"), func() {
	DescribeTable("measures the cost of saves against runs without saves and against bare saves, with equal work in every arm:",
		func(ctx SpecContext, workload string, saves, states int) {
			c := measured(ctx, workload)
			Expect(c.Valid()).To(BeTrue(), "%s %v", c.Problem, c.Audit)
			Expect(c.Blocks).To(HaveLen(1))
			for _, arm := range []string{harness.ArmNone, harness.ArmBackend, harness.ArmFloor, harness.ArmTwin, harness.ArmSlow, harness.ArmStubs} {
				Expect(c.Blocks[0].Slots).To(HaveKeyWithValue(arm, Not(BeEmpty())))
			}
			run := c.Counters[harness.ArmBackend]
			Expect(run.Commits).To(BeEquivalentTo(saves))
			// There are at most two pages for each save and four for each state of 10 KB: no state
			// is stored twice.
			Expect(run.Pages).To(BeNumerically("<", 2*saves+4*states))
			Expect(c.Counters[harness.ArmNone].Commits).To(BeZero())
		},
		Entry("test_default_backend_performance_overhead", Label("workload:default"), "default", 5, 4),
		Entry("test_persistence_overhead_with_large_context", Label("workload:large-10k"), "large-10k", 5, 3),
		Entry("test_first_principles_caching_effectiveness", Label("workload:unchanged"), "unchanged", 7, 1),
		Entry("test_delta_detection_accuracy", Label("workload:delta"), "delta", 8, 4),
	)

	It("test_serialization_optimization_effectiveness: a megabyte is stored once for each change of it", func(ctx SpecContext) {
		change := core.Step("change", sign, func(carried[string]) string { return "" }, func(c *carried[string], _ string) { c.Steps++ })
		look := core.Step("look", sign, func(carried[string]) string { return "" }, func(*carried[string], string) {})
		p, err := core.New("large", change, look)
		Expect(err).NotTo(HaveOccurred())
		big := carried[string]{Value: strings.Repeat("x", 1_000_000)}
		ran := suites.Run(ctx, database(sqlite.Process), p, key, big)
		Expect(ran).To(And(suites.HaveCompleted(), suites.HaveSaved(4)))
		Expect(len(ran.Saved.Steps[0].State)).To(BeNumerically(">", 1_000_000))
		Expect(ran.Saved.Steps[1].State).To(BeNil())
		Expect(ran.Result.Scope).To(Equal(carried[string]{big.Value, 1}))
	})

	It("test_cache_consistency_data_loss_prevention: a paid call is neither lost nor repeated", func(ctx SpecContext) {
		paid := 0
		agent := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
			paid++
			return fmt.Sprintf("answer %d to %q", paid, req.Input), nil
		})
		p := pipeline(step("ask", core.Cached("model", core.NewMemoryCache(8), core.Agent[string, string](agent))), step("use", core.Func[string, string](
			func(_ context.Context, req core.Request[string]) (string, error) { return req.Input + "!", nil })))
		path := filepath.Join(GinkgoT().TempDir(), "runs.db")
		for i := range 3 {
			k := core.RunKey{Tenant: "acme", Run: fmt.Sprint(i)}
			b, err := sqlite.Open(ctx, path, sqlite.Process)
			Expect(err).NotTo(HaveOccurred())
			dying := stubs.FaultyBackend(b, stubs.Fault{When: func(at stubs.Point) bool { return at.Path == "ask" }, Err: errors.New("killed")})
			Expect(suites.Run(ctx, dying, p, k, note{}).Err).To(MatchError(ContainSubstring("killed")))
			Expect(b.Close()).To(Succeed())
			b, err = sqlite.Open(ctx, path, sqlite.Process)
			Expect(err).NotTo(HaveOccurred())
			Expect(core.Resume(ctx, core.NewEngine(core.WithBackend(b)), p, k)).To(HaveField("Scope.Text", `answer 1 to ""!`))
			Expect(b.Close()).To(Succeed())
		}
		Expect(paid).To(Equal(1))
		b := opened(path, sqlite.Process)
		for i := range 3 {
			Expect(b.Load(ctx, core.RunKey{Tenant: "acme", Run: fmt.Sprint(i)})).To(suites.HaveCompleted())
		}
	})

	It("test_cache_eviction_logic_fixes: only evicted entries are asked again", func(ctx SpecContext) {
		var asked []string
		agent := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
			asked = append(asked, req.Input)
			return strings.ToUpper(req.Input), nil
		})
		p := pipeline(step("ask", core.Cached("model", core.NewMemoryCache(2), core.Agent[string, string](agent))))
		for i, input := range []string{"a", "b", "a", "c", "c", "b", "a"} {
			ran := suites.Run(ctx, nil, p, core.RunKey{Run: fmt.Sprint(i)}, note{Text: input})
			Expect(ran).To(suites.HaveCompleted())
			Expect(ran.Result.Scope.Text).To(Equal(strings.ToUpper(input)))
		}
		Expect(asked).To(Equal([]string{"a", "b", "c", "a"}), "c has evicted a, which was put first")
	})

	It("test_buffer_pooling_consistency_fix: many large concurrent runs do not mix their bytes", func(ctx SpecContext) {
		b := database(sqlite.Process)
		e := core.NewEngine(core.WithBackend(b))
		double := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) { return req.Input + req.Input, nil })
		p := pipeline(step("a", double), step("b", double))
		filler := func(i int) string { return strings.Repeat(string(rune('a'+i)), 2500+100*i) }
		const runs = 24
		errs := make([]error, runs)
		var wg sync.WaitGroup
		for i := range runs {
			wg.Go(func() { _, errs[i] = core.Run(ctx, e, p, core.RunKey{Run: fmt.Sprint(i)}, note{Text: filler(i)}) })
		}
		wg.Wait()
		Expect(errors.Join(errs...)).NotTo(HaveOccurred())
		for i := range runs {
			snap, err := b.Load(ctx, core.RunKey{Run: fmt.Sprint(i)})
			Expect(snap, err).To(And(suites.HaveCompleted(), suites.ReplayIdentically(p)))
			Expect(string(snap.State)).To(Equal(fmt.Sprintf(`{"Text":%q,"Seen":null}`, strings.Repeat(filler(i), 4))))
		}
	})
})
