package suites

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/stubs"
)

// DescribePipeline describes a pipeline by a table of cases. build builds the pipeline from its
// agents, as the program does; agents are the scripted agents of all cases. For each case there are
// specs that the run
//
//   - ends as the case requires (category:outcome);
//   - can be replayed from its records (category:replay);
//   - shares nothing between steps, branches and concurrent runs (category:isolation);
//   - stops when its budget is exhausted and continues with a larger one (category:budget);
//   - accepts one answer to each pause, from any process (category:human-in-the-loop);
//   - has the same result with the faults of the case, and if its process is killed at any save
//     (category:recovery).
//
// All have the label "workload:NAME". Scripts are sized from the plan and checked after every run: an
// exhausted script and unused replies fail the spec. Agents must depend only on their requests, and
// not on the names of runs.
//
// Call it at package level, because it starts this test program again to kill it.
//
//	var _ = suites.DescribePipeline("order", newOrder, scripted,
//		suites.Case[Order, Agents]{Name: "is shipped", Input: Order{ID: 1}, Outcome: suites.HaveCompleted()})
func DescribePipeline[S, A any](name string, build func(A) (*core.Pipeline[S], error), agents A, cases ...Case[S, A]) bool {
	here := types.NewCodeLocation(1)
	var subjects []*subject[S, A]
	for _, c := range cases {
		subjects = append(subjects, &subject[S, A]{c, build, agents, here})
	}
	first := pipelines.reserve(name)
	if first {
		serve(name, subjects)
	}
	return Describe("The pipeline "+name, here, labelled("workload", name), func() {
		if !first {
			pipelines.refuse(name, here)
			return
		}
		seen := names{"cases of a pipeline", map[string]bool{}}
		for _, c := range subjects {
			Describe(c.Name+":", here, func() {
				if !seen.reserve(c.Name) {
					seen.refuse(c.Name, here)
					return
				}
				c.describe(name)
			})
		}
	})
}

// caseKey is the run of a case.
var caseKey = core.RunKey{Tenant: "suite", Run: "case"}

func (c *subject[S, A]) describe(pipeline string) {
	It("ends as it should", c.at, Label("category:outcome"), func(ctx SpecContext) {
		Expect(c.Outcome).NotTo(BeNil(), "the case has no Outcome: set the expected one, for example suites.HaveCompleted()")
		ran := c.undisturbed(ctx)
		Expect(ran).To(c.Outcome)
		if c.Scope != nil {
			Expect(ran.Result.Scope).To(c.Scope)
		}
		Expect(c.unasked(ran.Saved)).To(BeEmpty(), "answers that no pause asked for; the run paused at %q", pausePaths(ran.Result.Pauses))
	})
	It("can be replayed from its records", c.at, Label("category:replay"), func(ctx SpecContext) {
		ran := c.undisturbed(ctx)
		Expect(ran).To(ReplayIdentically(ran.pipeline))
	})
	It("shares nothing between steps, branches and concurrent runs", c.at, Label("category:isolation"), c.isolated)
	It("stops when its budget is exhausted, and continues with a larger one", c.at, Label("category:budget"), c.budgeted)
	if len(c.Answers) > 0 {
		It("accepts one answer to each pause, from any process", c.at, Label("category:human-in-the-loop"), func(ctx SpecContext) {
			c.same(c.undisturbed(ctx).Saved, c.end(ctx, drive{key: caseKey, open: temporary(), twice: true}).Saved, "answered twice")
		})
	}
	if len(c.Faults) > 0 {
		It("ends the same in spite of its faults", c.at, Label("category:recovery"), func(ctx SpecContext) {
			b := core.NewMemory()
			d := drive{key: caseKey, open: kept(b), through: stubs.FaultyBackend(b, c.Faults...), again: true}
			c.same(c.undisturbed(ctx).Saved, c.end(ctx, d).Saved, "with faults")
		})
	}
	It("ends the same when its process is killed at any save", c.at, Label("category:recovery"), func(ctx SpecContext) {
		c.mortal(ctx, pipeline)
	})
}

// end drives the case to its end.
func (c *subject[S, A]) end(ctx context.Context, d drive) *Ran[S] {
	GinkgoHelper()
	ran, err := c.to(ctx, d)
	Expect(err).NotTo(HaveOccurred())
	Expect(ran.facts().ended()).To(Succeed())
	return ran
}

// undisturbed runs the case without interruptions.
func (c *subject[S, A]) undisturbed(ctx context.Context) *Ran[S] {
	GinkgoHelper()
	return c.end(ctx, drive{key: caseKey, open: temporary()})
}

// temporary returns an opener of a database that belongs to this spec.
func temporary() func(context.Context) (core.Backend, error) {
	return file(filepath.Join(GinkgoT().TempDir(), "runs.db"))
}

// same checks that a run has ended like the undisturbed one.
func (c *subject[S, A]) same(want, got core.Snapshot, how string, args ...any) {
	GinkgoHelper()
	Expect(unlike(want, got)).To(BeEmpty(), fmt.Sprintf(how, args...)+" the run differs (-undisturbed +this)")
}

// isolated runs the case with the isolation checks of the engine, and several times concurrently.
func (c *subject[S, A]) isolated(ctx SpecContext) {
	want := c.undisturbed(ctx).Saved
	checked := c.end(ctx, drive{key: caseKey, open: temporary(), options: []core.Option{core.WithIsolationChecks()}})
	c.same(want, checked.Saved, "with isolation checks")
	b, err := sqlite.Open(ctx, filepath.Join(GinkgoT().TempDir(), "runs.db"), sqlite.Process)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(b.Close)
	const atOnce = 4
	runs, errs := make([]*Ran[S], atOnce), make([]error, atOnce)
	var wg sync.WaitGroup
	for i := range atOnce {
		wg.Go(func() {
			key := core.RunKey{Tenant: fmt.Sprint("tenant ", i), Run: caseKey.Run}
			runs[i], errs[i] = c.to(ctx, drive{key: key, open: kept(b)})
		})
	}
	wg.Wait()
	for i := range atOnce {
		Expect(errs[i]).NotTo(HaveOccurred())
		Expect(runs[i].facts().ended()).To(Succeed())
		c.same(want, runs[i].Saved, "concurrently with %d others", atOnce-1)
	}
}

// budgeted gives the run a budget that is one call, or one step, too small.
func (c *subject[S, A]) budgeted(ctx SpecContext) {
	want := c.undisturbed(ctx)
	used, small, resource := want.Result.Usage, core.Budget{}, "calls"
	switch {
	case used.Calls > 1:
		small.Calls = used.Calls - 1
	case used.Steps > 1:
		small.Steps, resource = used.Steps-1, "steps"
	default:
		Skip("a run of one step and one call has no budget that is too small")
	}
	d := drive{key: caseKey, open: temporary(), budget: small}
	stopped := c.end(ctx, d)
	Expect(stopped).To(HaveStoppedFor(resource))
	d.budget, d.larger = core.Budget{}, true
	c.same(want.Saved, c.end(ctx, d).Saved, "stopped out of %s and resumed", resource)
}

// mostKills is the maximum number of times that the process of one case is killed.
const mostKills = 32

// mortal kills the process of the run at each of its saves, or at mostKills of them, evenly spread.
func (c *subject[S, A]) mortal(ctx SpecContext, pipeline string) {
	b := core.NewMemory()
	want := c.end(ctx, drive{key: caseKey, open: kept(b)}).Saved
	commits := int(b.Counts().Commits)
	kills := min(commits, mostKills)
	if instrumented {
		kills = min(kills, 4) // because such a process starts slowly
	}
	for i := range kills + 1 {
		at := i * commits / kills // 0 means before the first one
		k := killing{Pipeline: pipeline, Case: c.Name, Path: filepath.Join(GinkgoT().TempDir(), "runs.db"), Commit: max(at, 1), Before: at == 0}
		ran, err := c.killed(ctx, k)
		Expect(err).NotTo(HaveOccurred())
		c.same(want, ran.Saved, "killed after commit %d of %d", at, commits)
	}
	GinkgoWriter.Printf("killed %d times, at %d commits: the same result each time\n", kills+1, commits)
}
