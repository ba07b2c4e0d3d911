package suites_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
)

// sign appends the last part of the step's path to the text.
var sign = core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
	return req.Input + path.Base(req.Path), nil
})

// broken always fails.
var broken = core.Func[string, string](func(context.Context, core.Request[string]) (string, error) {
	return "", errors.New("model unavailable")
})

var _ = Describe("A sequence", Label("category:pipeline"), func() {
	for _, durability := range []sqlite.Durability{sqlite.Process, sqlite.Power} {
		It(fmt.Sprintf("makes N+2 saves for N steps at durability %s", durability), func(ctx SpecContext) {
			b := database(durability)
			p := pipeline(step("a", sign), core.Then("group", step("b", sign), step("c", sign)))
			res, err := core.Run(ctx, core.NewEngine(core.WithBackend(b)), p, core.RunKey{Run: "r"}, note{})
			Expect(err).NotTo(HaveOccurred())
			Expect(res.Scope.Text).To(Equal("abc"))
			Expect(res.Status).To(Equal(core.Completed))
			Expect(b.Counts()).To(Equal(core.Counts{Saves: 5, Commits: 5}))
		})
	}

	It("ends the same without a backend", func(ctx SpecContext) {
		p := pipeline(step("a", sign), step("b", sign))
		without, err := core.Run(ctx, core.NewEngine(), p, core.RunKey{Run: "r"}, note{})
		Expect(err).NotTo(HaveOccurred())
		with, err := core.Run(ctx, core.NewEngine(core.WithBackend(database(sqlite.Process))), p, core.RunKey{Run: "r"}, note{})
		Expect(err).NotTo(HaveOccurred())
		Expect(with).To(Equal(without))
	})

	It("stops at the first step that fails, and reports which and why", func(ctx SpecContext) {
		b := database(sqlite.Process)
		p := pipeline(step("a", sign), step("b", broken, core.Retries(2)), step("c", sign))
		res, err := core.Run(ctx, core.NewEngine(core.WithBackend(b)), p, core.RunKey{Run: "r"}, note{})
		Expect(err).To(MatchError(`step "b" failed after 3 attempts: model unavailable`))
		Expect(res.Status).To(Equal(core.Failed))
		saved, err := b.Load(ctx, core.RunKey{Run: "r"})
		Expect(err).NotTo(HaveOccurred())
		Expect(saved.Status).To(Equal(core.Failed))
		Expect(saved.Steps).To(HaveLen(2))
		Expect(saved.Steps[1].Error).To(Equal("model unavailable"))
	})

	It("separates the runs of two tenants", func(ctx SpecContext) {
		b := database(sqlite.Process)
		p := pipeline(step("a", sign))
		e := core.NewEngine(core.WithBackend(b))
		for _, tenant := range []string{"one", "two"} {
			_, err := core.Run(ctx, e, p, core.RunKey{Tenant: tenant, Run: "r"}, note{Text: tenant + " "})
			Expect(err).NotTo(HaveOccurred())
		}
		saved, err := b.Load(ctx, core.RunKey{Tenant: "two", Run: "r"})
		Expect(err).NotTo(HaveOccurred())
		Expect(saved.State).To(ContainSubstring("two a"))
		_, err = b.Load(ctx, core.RunKey{Run: "r"})
		Expect(err).To(MatchError(core.ErrRunNotFound))
	})

	It("runs many times concurrently on one database", func(ctx SpecContext) {
		b := database(sqlite.Process)
		e := core.NewEngine(core.WithBackend(b))
		p := pipeline(step("a", sign), step("b", sign), step("c", sign))
		const runs = 64
		var wg sync.WaitGroup
		errs := make([]error, runs)
		for i := range runs {
			wg.Go(func() {
				res, err := core.Run(ctx, e, p, core.RunKey{Run: fmt.Sprint(i)}, note{Text: fmt.Sprint(i)})
				if want := fmt.Sprint(i, "abc"); err == nil && res.Scope.Text != want {
					err = fmt.Errorf("run %d ended with %q", i, res.Scope.Text)
				}
				errs[i] = err
			})
		}
		wg.Wait()
		Expect(errors.Join(errs...)).NotTo(HaveOccurred())
		Expect(b.Counts().Saves).To(BeEquivalentTo(runs * 5))
	})
})

var _ = Describe("Retries", Label("category:error-recovery"), func() {
	It("turn a panic into a failed attempt", func(ctx SpecContext) {
		once := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
			if req.Attempt == 1 {
				panic("out of tokens")
			}
			return "recovered", nil
		})
		res, err := core.Run(ctx, core.NewEngine(), pipeline(step("a", once, core.Retries(1))), core.RunKey{Run: "r"}, note{})
		Expect(err).NotTo(HaveOccurred())
		Expect(res.Scope.Text).To(Equal("recovered"))
	})
})
