package suites_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
)

// tracked returns three steps that note where they ran and call hold.
func tracked(where string, hold func(path string)) (*core.Pipeline[note], error) {
	agent := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
		hold(req.Path)
		return where + ":" + req.Path, nil
	})
	keep := func(n *note, out string) { n.Seen = append(n.Seen, out) }
	return core.New("order", core.Step("reserve", agent, text, keep), core.Step("charge", agent, text, keep), core.Step("ship", agent, text, keep))
}

var _ = Describe("Recovery", Label("category:recovery"), func() {
	It("fences off an executor that wakes up late", func(ctx SpecContext) {
		b := database(sqlite.Process)
		e := core.NewEngine(core.WithBackend(b))
		inFirst, resumed := make(chan struct{}), make(chan struct{})
		sleepy, err := tracked("late", func(path string) {
			if path == "reserve" {
				close(inFirst)
				<-resumed
			}
		})
		Expect(err).NotTo(HaveOccurred())
		late := make(chan error, 1)
		go func() {
			_, err := core.Run(ctx, e, sleepy, key, note{})
			late <- err
		}()
		<-inFirst
		awake, err := tracked("new", func(string) {})
		Expect(err).NotTo(HaveOccurred())
		// An engine does not take over a run that it executes itself.
		Expect(core.Resume(ctx, e, awake, key)).To(HaveField("Next", core.Elsewhere))
		res, err := core.Resume(ctx, core.NewEngine(core.WithBackend(b)), awake, key)
		Expect(err).NotTo(HaveOccurred())
		close(resumed)
		Expect(<-late).To(MatchError(core.ErrFenced))
		Expect(res.Scope.Seen).To(Equal([]string{"new:reserve", "new:charge", "new:ship"}))
	})

	DescribeTable("refuses a resume that makes no sense",
		func(ctx SpecContext, prepare func(ctx context.Context, e *core.Engine) error, want error) {
			e := core.NewEngine(core.WithBackend(database(sqlite.Process)))
			Expect(prepare(ctx, e)).To(Succeed())
			_, err := core.Resume(ctx, e, pipeline(step("a", sign)), key)
			Expect(err).To(MatchError(want))
		},
		Entry("of a run that never was", func(context.Context, *core.Engine) error { return nil }, core.ErrRunNotFound),
		Entry("of a finished run", func(ctx context.Context, e *core.Engine) error {
			_, err := core.Run(ctx, e, pipeline(step("a", sign)), key, note{})
			return err
		}, core.ErrRunFinished),
		Entry("by another pipeline", func(ctx context.Context, e *core.Engine) error {
			cut, cancel := context.WithCancel(ctx)
			stop := core.Func[string, string](func(context.Context, core.Request[string]) (string, error) {
				cancel()
				return "", nil
			})
			if _, err := core.Run(cut, e, pipeline(step("b", stop), step("c", sign)), key, note{}); err == nil {
				return fmt.Errorf("the run was to be cut")
			}
			return nil
		}, core.ErrPlanChanged),
	)
})
