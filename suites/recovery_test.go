package suites_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
)

const victimPath = "FLUJO_SUITES_VICTIM" // set only in the process that is to be killed

var orderKey = core.RunKey{Tenant: "shop", Run: "order-1"}

// tracked is three steps that note where they ran; hold is called in each.
func tracked(where string, hold func(path string)) (*core.Pipeline[note], error) {
	agent := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
		hold(req.Path)
		return where + ":" + req.Path, nil
	})
	keep := func(n *note, out string) { n.Seen = append(n.Seen, out) }
	return core.New("order", core.Step("reserve", agent, text, keep), core.Step("charge", agent, text, keep), core.Step("ship", agent, text, keep))
}

// victim runs the pipeline up to its second step, says so, and waits to be killed.
func victim(path string) int {
	ctx := context.Background()
	b, err := sqlite.Open(ctx, path, sqlite.Process)
	if err == nil {
		var p *core.Pipeline[note]
		if p, err = tracked("before", func(path string) {
			if path == "charge" {
				fmt.Println("charging")
				select {}
			}
		}); err == nil {
			_, err = core.Run(ctx, core.NewEngine(core.WithBackend(b)), p, orderKey, note{})
		}
	}
	fmt.Fprintln(os.Stderr, "the victim was not killed:", err)
	return 1
}

var _ = Describe("Recovery", Label("category:recovery"), func() {
	It("continues behind the last saved step after kill -9", func(ctx SpecContext) {
		path := GinkgoT().TempDir() + "/runs.db"
		exe, err := os.Executable()
		Expect(err).NotTo(HaveOccurred())
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), victimPath+"="+path)
		cmd.Stderr = GinkgoWriter
		out, err := cmd.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(cmd.Start()).To(Succeed())
		line, err := bufio.NewReader(out).ReadString('\n')
		Expect(cmd.Process.Kill()).To(Succeed())
		Expect(cmd.Wait()).To(MatchError("signal: killed"))
		Expect(err).NotTo(HaveOccurred())
		Expect(line).To(Equal("charging\n"))

		b, err := sqlite.Open(ctx, path, sqlite.Process)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(b.Close)
		p, err := tracked("after", func(string) {})
		Expect(err).NotTo(HaveOccurred())
		res, err := core.Resume(ctx, core.NewEngine(core.WithBackend(b)), p, orderKey)
		Expect(err).NotTo(HaveOccurred())
		Expect(res.Scope.Seen).To(Equal([]string{"before:reserve", "after:charge", "after:ship"}))
		saved, err := b.Load(ctx, orderKey)
		Expect(err).NotTo(HaveOccurred())
		Expect(saved.Steps).To(HaveLen(3))
		Expect(saved.Status).To(Equal(core.Completed))
	})

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
			_, err := core.Run(ctx, e, sleepy, orderKey, note{})
			late <- err
		}()
		<-inFirst
		awake, err := tracked("new", func(string) {})
		Expect(err).NotTo(HaveOccurred())
		res, err := core.Resume(ctx, e, awake, orderKey)
		Expect(err).NotTo(HaveOccurred())
		close(resumed)
		Expect(<-late).To(MatchError(core.ErrFenced))
		Expect(res.Scope.Seen).To(Equal([]string{"new:reserve", "new:charge", "new:ship"}))
	})

	DescribeTable("refuses a resume that makes no sense",
		func(ctx SpecContext, prepare func(ctx context.Context, e *core.Engine) error, want error) {
			e := core.NewEngine(core.WithBackend(database(sqlite.Process)))
			Expect(prepare(ctx, e)).To(Succeed())
			_, err := core.Resume(ctx, e, pipeline(step("a", sign)), orderKey)
			Expect(err).To(MatchError(want))
		},
		Entry("of a run that never was", func(context.Context, *core.Engine) error { return nil }, core.ErrRunNotFound),
		Entry("of a finished run", func(ctx context.Context, e *core.Engine) error {
			_, err := core.Run(ctx, e, pipeline(step("a", sign)), orderKey, note{})
			return err
		}, core.ErrRunFinished),
		Entry("by another pipeline", func(ctx context.Context, e *core.Engine) error {
			cut, cancel := context.WithCancel(ctx)
			stop := core.Func[string, string](func(context.Context, core.Request[string]) (string, error) {
				cancel()
				return "", nil
			})
			if _, err := core.Run(cut, e, pipeline(step("b", stop), step("c", sign)), orderKey, note{}); err == nil {
				return fmt.Errorf("the run was to be cut")
			}
			return nil
		}, core.ErrPlanChanged),
	)
})
