package suites_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/suites"
	"github.com/flujo/flujo-harness/thresholds"
)

// undecided checks that a matcher returns an error, so that neither To nor NotTo passes, nor a
// matcher made from it.
func undecided(m types.GomegaMatcher, actual any, text string) {
	GinkgoHelper()
	for _, assert := range []func(){
		func() { Expect(actual).To(m) },
		func() { Expect(actual).NotTo(m) },
		func() { Expect(actual).To(Not(m)) },
		func() { Expect(actual).NotTo(And(m, m)) },
	} {
		Expect(InterceptGomegaFailure(assert)).To(MatchError(ContainSubstring(text)))
	}
}

// refused checks that a matcher fails, and that its message contains the texts.
func refused(m types.GomegaMatcher, actual any, texts ...string) {
	GinkgoHelper()
	Expect(m.Match(actual)).To(BeFalse())
	for _, text := range texts {
		Expect(m.FailureMessage(actual)).To(ContainSubstring(text))
	}
}

// passed checks that a matcher succeeds, and what its message is for NotTo.
func passed(m types.GomegaMatcher, actual any, negated string) {
	GinkgoHelper()
	Expect(m.Match(actual)).To(BeTrue())
	Expect(m.NegatedFailureMessage(actual)).To(ContainSubstring(negated))
}

var _ = Describe("Matchers for runs", Label("category:matchers"), func() {
	key := core.RunKey{Run: "r"}
	run := func(ctx context.Context, nodes ...*core.Node[note]) *suites.Ran[note] {
		return suites.Run(ctx, core.NewMemory(), pipeline(nodes...), key, note{})
	}
	cutOff := func(ctx context.Context) *suites.Ran[note] {
		cut, cancel := context.WithCancel(ctx)
		return run(cut, step("a", sign), step("b", core.Func[string, string](func(context.Context, core.Request[string]) (string, error) {
			cancel()
			return "", nil
		})), step("c", sign))
	}
	dry := func(ctx context.Context) *suites.Ran[note] {
		return run(ctx, step("a", stubs.Outputs[string]("called outside a book")))
	}

	It("Run does not change the options of its caller", func(ctx SpecContext) {
		opts := make([]core.Option, 0, 1)
		suites.Run(ctx, core.NewMemory(), pipeline(step("a", sign)), key, note{}, opts...)
		Expect(opts[:1][0]).To(BeNil())
	})

	Describe("HaveCompleted", func() {
		It("distinguishes runs that completed from those that ended otherwise", func(ctx SpecContext) {
			done := run(ctx, step("a", sign))
			passed(suites.HaveCompleted(), done, `Expected run "r" of pipeline "suite" not to have completed, but it has completed`)
			passed(suites.HaveCompleted(), done.Result, "Expected the run not to have completed")
			passed(suites.HaveCompleted(), done.Saved, "")
			passed(suites.HaveCompleted(), &done.Saved, "")
			failed := run(ctx, step("a", sign), step("b", broken, core.Retries(2)))
			refused(suites.HaveCompleted(), failed, `but it has failed: step "b" failed after 3 attempts: model unavailable`,
				"  save  what   status     attempts  why\n"+
					"  1     start\n"+
					"  2     a      completed  1\n"+
					"  3     b      failed     3         model unavailable\n"+
					"  +     end    failed               step \"b\" failed after 3 attempts: model unavailable\n"+
					"  save count of the backend: 4")
			refused(suites.HaveCompleted(), failed.Saved, "it has failed: step")
			refused(suites.HaveCompleted(), run(ctx, ask("boss")), `it has paused at ["boss"]`, "2     boss   paused")
		})

		It("accepts the results of core.Run", func(ctx SpecContext) {
			Expect(core.Run(ctx, core.NewEngine(), pipeline(step("a", sign)), key, note{})).To(suites.HaveCompleted())
		})

		It("is an error, also with NotTo, if a run was interrupted or the test is at fault", func(ctx SpecContext) {
			cut := cutOff(ctx)
			undecided(suites.HaveCompleted(), cut, "unknown: run \"r\" of pipeline \"suite\" has not ended: run r stopped before step \"c\": context canceled\n  save")
			undecided(suites.HaveCompleted(), cut.Result, "has not ended")
			undecided(suites.HaveCompleted(), cut.Saved, "has not ended: it was interrupted or is in progress")
			undecided(suites.HaveCompleted(), dry(ctx), "INVALID: the test is at fault")
			undecided(suites.HaveCompleted(), core.Result[note]{}, "has not ended")
		})

		It("reports what it wants if it is given something else", func() {
			for _, actual := range []any{nil, 1, errors.New("no"), core.Counts{}, (*core.Snapshot)(nil), (*core.Result[note])(nil), (*suites.Ran[note])(nil)} {
				undecided(suites.HaveCompleted(), actual, "HaveCompleted wants a run: the *suites.Ran of suites.Run")
			}
		})
	})

	Describe("HaveFailedAt", func() {
		nested := core.Loop("refine", 2, nil, core.Fallback("any", step("one", broken), core.Then("two", step("x", broken))), core.MaxIsSuccess())

		It("accepts every node that is part of the failure", func(ctx SpecContext) {
			ran := run(ctx, nested)
			for _, path := range []string{"refine", "refine#1/any", "refine#1/any/one", "refine#1/any/two/x"} {
				passed(suites.HaveFailedAt(path), ran, fmt.Sprintf("not to have failed at %q, but it has failed: loop", path))
				passed(suites.HaveFailedAt(path), ran.Err, "")
			}
			refused(suites.HaveFailedAt("refine#1/any/two"), ran, "refine#1/any/two/x  failed")
			passed(suites.HaveFailedAt("check"), run(ctx, core.Validate("check", func(note) error { return errors.New("no") }, step("a", sign))), "")
		})

		It("does not accept a failure that was handled", func(ctx SpecContext) {
			ran := run(ctx, core.Fallback("any", step("one", broken), step("two", sign)))
			Expect(ran).To(suites.HaveCompleted())
			refused(suites.HaveFailedAt("any/one"), ran, `to have failed at "any/one", but it has completed`)
			ran = run(ctx, core.Fallback("any", step("one", broken), step("two", sign)), step("last", broken))
			refused(suites.HaveFailedAt("any/one"), ran, `but it has failed: step "last"`)
		})

		It("is an error if the path is unknown", func(ctx SpecContext) {
			ran := run(ctx, step("a", broken))
			undecided(suites.HaveFailedAt("a"), ran.Result, "a result or a snapshot does not contain the path")
			undecided(suites.HaveFailedAt("a"), ran.Saved, "a result or a snapshot does not contain the path")
			undecided(suites.HaveFailedAt("a"), core.ErrFenced, "this error is none: run was claimed by another executor")
			undecided(suites.HaveFailedAt("a"), dry(ctx), "INVALID")
			undecided(suites.HaveFailedAt("a"), dry(ctx).Err, "INVALID")
			undecided(suites.HaveFailedAt("a"), cutOff(ctx), "has not ended")
			undecided(suites.HaveFailedAt("a"), nil, "wants a run or its failure")
			undecided(suites.HaveFailedAt("a"), core.NewMemory(), "wants a run or its failure")
		})
	})

	It("HavePausedAt accepts each pause of a run that waits", func(ctx SpecContext) {
		ran := run(ctx, core.Parallel("both", core.Disjoint[note], core.Branches(ask("a"), ask("b"))))
		for _, path := range []string{"both/a", "both/b"} {
			passed(suites.HavePausedAt(path), ran, fmt.Sprintf("not to have paused at %q, but it has paused at", path))
			passed(suites.HavePausedAt(path), ran.Result, "")
			passed(suites.HavePausedAt(path), ran.Saved, "")
		}
		refused(suites.HavePausedAt("both"), ran, `it has paused at ["both/a" "both/b"]`, "both/a  paused")
		one := ran.Answer(ctx, "both/a", "yes")
		refused(suites.HavePausedAt("both/a"), one, "+     answer to both/a                    \"yes\"\n")
		refused(suites.HavePausedAt("both/a"), one.Saved, "")
		done := one.Answer(ctx, "both/b", "")
		refused(suites.HavePausedAt("both/b"), done, "but it has completed")
		Expect(done.Answer(ctx, "both/b", "").Err).To(MatchError(core.ErrNoPause))
		undecided(suites.HavePausedAt("a"), cutOff(ctx), "has not ended")
		undecided(suites.HavePausedAt("a"), dry(ctx), "INVALID")
	})

	It("HaveStoppedFor names the resource that was exhausted", func(ctx SpecContext) {
		p := pipeline(step("a", sign), step("b", sign)).Within(core.Budget{Calls: 1})
		ran := suites.Run(ctx, core.NewMemory(), p, key, note{})
		passed(suites.HaveStoppedFor("calls"), ran, "not to have stopped because it was out of calls, but it has stopped: run r stopped in step")
		passed(suites.HaveStoppedFor("calls"), ran.Err, "")
		refused(suites.HaveStoppedFor("tokens"), ran, "to have stopped because it was out of tokens")
		refused(suites.HaveStoppedFor("calls"), run(ctx, step("a", sign)), "but it has completed")
		undecided(suites.HaveStoppedFor("calls"), ran.Saved, "a result or a snapshot does not contain")
		refused(suites.HaveStoppedFor("calls"), run(ctx, step("a", broken)).Err, "to have stopped because it was out of calls")
		undecided(suites.HaveStoppedFor("calls"), cutOff(ctx), "has not ended")
		undecided(suites.HaveStoppedFor("calls"), cutOff(ctx).Err, "HaveStoppedFor wants the failure of a run; this error is none")
		undecided(suites.HaveStoppedFor("calls"), dry(ctx), "INVALID")
		undecided(suites.HaveStoppedFor("call"), ran, `HaveStoppedFor wants one of ["calls" "steps"`)
	})

	It("HaveSaved compares the number that the backend counted", func(ctx SpecContext) {
		b := core.NewMemory()
		p := pipeline(step("a", sign), ask("boss"))
		ran := suites.Run(ctx, b, p, key, note{})
		passed(suites.HaveSaved(4), ran, "not to have a save count of 4")
		ran = ran.Answer(ctx, "boss", "yes")
		passed(suites.HaveSaved(6), ran, "")
		second := suites.Run(ctx, b, p, core.RunKey{Run: "second"}, note{})
		passed(suites.HaveSaved(4), second, "")
		passed(suites.HaveSaved(10), b, "not to have a save count of 10")
		passed(suites.HaveSaved(10), b.Counts(), "")
		refused(suites.HaveSaved(5), ran, "to have a save count of 5, but it has completed", "3     boss            paused", "save count of the backend: 6")
		refused(suites.HaveSaved(5), b, "Expected the backend to have a save count of 5\n  save count of the backend: 10")
		undecided(suites.HaveSaved(0), suites.Run(ctx, nil, pipeline(step("a", sign)), key, note{}), "contains no counts")
		undecided(suites.HaveSaved(4), ran.Saved, "contains no counts")
		undecided(suites.HaveSaved(1), dry(ctx), "INVALID")
		undecided(suites.HaveSaved(1), "b", "it got string")
	})

	Describe("HaveExitReason", func() {
		loop := func(name string, node *core.Node[note], opts ...core.LoopOption) *core.Node[note] {
			return core.Loop(name, 2, func(note) (bool, error) { return false, nil }, node, opts...)
		}

		It("accepts the reason of the only loop", func(ctx SpecContext) {
			ran := run(ctx, loop("refine", step("a", sign)))
			passed(suites.HaveExitReason(core.ExitMax), ran, `not to have a loop that ended for "max", but it has failed`)
			passed(suites.HaveExitReason(core.ExitMax), ran.Result, "")
			passed(suites.HaveExitReason(core.ExitMax), ran.Saved, "")
			passed(suites.HaveExitReason(core.ExitMax).Of("refine"), ran, `not to have ended the loop "refine" for "max"`)
			refused(suites.HaveExitReason(core.ExitCondition), ran, "refine#2/a  completed", `loop "refine" ended after 2 iterations: max`)
		})

		It("requires a path if there are several loops", func(ctx SpecContext) {
			ran := run(ctx, loop("outer", loop("inner", step("a", sign), core.MaxIsSuccess()), core.MaxIsSuccess()))
			undecided(suites.HaveExitReason(core.ExitMax), ran, `select one with Of: ["outer" "outer#1/inner" "outer#2/inner"]`)
			passed(suites.HaveExitReason(core.ExitMax).Of("outer#2/inner"), ran, "")
			undecided(suites.HaveExitReason(core.ExitMax).Of("outer#3/inner"), ran, `no loop "outer#3/inner"`)
		})

		It("is an error if no loop has ended", func(ctx SpecContext) {
			undecided(suites.HaveExitReason(core.ExitMax), run(ctx, step("a", sign)), "no loop of run \"r\" of pipeline \"suite\" has ended\n  save")
			undecided(suites.HaveExitReason(core.ExitMax), dry(ctx), "INVALID")
			undecided(suites.HaveExitReason(core.ExitMax), cutOff(ctx), "no loop of run")
			undecided(suites.HaveExitReason(core.ExitMax), errors.New("no"), "wants a run")
			damaged := run(ctx, step("a", sign)).Saved
			damaged.Exits = []byte("{")
			undecided(suites.HaveExitReason(core.ExitMax), damaged, "exits of run")
		})
	})

	Describe("ReplayIdentically", func() {
		It("accepts records from which the pipeline computes the same", func(ctx SpecContext) {
			p := pipeline(step("a", sign), core.Fallback("any", step("b", broken), ask("boss")))
			ran := suites.Run(ctx, core.NewMemory(), p, key, note{})
			passed(suites.ReplayIdentically(p), ran, "not to replay identically, but it has paused")
			ran = ran.Answer(ctx, "any/boss", "yes")
			passed(suites.ReplayIdentically(p), ran, "")
			passed(suites.ReplayIdentically(p), ran.Saved, "")
			failing := pipeline(step("a", sign), step("b", broken))
			passed(suites.ReplayIdentically(failing), suites.Run(ctx, core.NewMemory(), failing, key, note{}), "")
		})

		It("accepts the partial records of a run without an end", func(ctx SpecContext) {
			cut := cutOff(ctx)
			passed(suites.ReplayIdentically(pipeline(step("a", sign), step("b", sign), step("c", sign))), cut, "")
			short := pipeline(step("a", sign), step("b", sign)).Within(core.Budget{Calls: 1})
			passed(suites.ReplayIdentically(short), suites.Run(ctx, core.NewMemory(), short, key, note{}), "")
		})

		It("shows the first step with another result", func(ctx SpecContext) {
			ran := run(ctx, step("a", sign), step("b", sign))
			changed := pipeline(core.Step("a", sign, text, setText), core.Step("b", sign, text, func(n *note, out string) { n.Text = out + "!" }))
			refused(suites.ReplayIdentically(changed), ran, "to replay identically, but it has completed", "3     b      completed", `the difference: replay: step "b" makes another scope`)
		})

		It("does not accept records that the pipeline cannot read, even if the run has no end", func(ctx SpecContext) {
			p := pipeline(step("a", sign), step("b", sign), step("c", sign))
			for text, damage := range map[string]func(*core.Snapshot){
				"the recorded output does not fit": func(s *core.Snapshot) { s.Steps[0].Output = []byte("7") },
				"stored record is damaged":         func(s *core.Snapshot) { s.Steps[0].Status = core.Paused },
			} {
				cut := cutOff(ctx).Saved
				damage(&cut)
				refused(suites.ReplayIdentically(p), cut, "to replay identically", "the difference: ", text)
			}
		})

		It("is an error if nothing can be compared", func(ctx SpecContext) {
			ran := run(ctx, step("a", sign))
			undecided(suites.ReplayIdentically(pipeline(step("other", sign))), ran, "INVALID: run \"r\" of pipeline \"suite\" cannot be replayed by this pipeline: replay run r: pipeline differs")
			undecided(suites.ReplayIdentically(pipeline(step("a", sign))), ran.Result, "this has no saved records")
			undecided(suites.ReplayIdentically(pipeline(step("a", sign))), dry(ctx), "has no record to replay")
			late := pipeline(step("a", sign), step("b", stubs.Outputs[string]("called outside a book")))
			undecided(suites.ReplayIdentically(late), suites.Run(ctx, core.NewMemory(), late, key, note{}), "INVALID: the test is at fault")
			undecided(suites.ReplayIdentically(pipeline(step("a", sign))), 7, "it got int")
		})
	})
})

var _ = Describe("LeakNothing", Serial, Label("category:matchers"), func() {
	It("accepts a function that cleans up, also if its goroutine ends a moment later", func(ctx SpecContext) {
		passed(suites.LeakNothing(), func() {}, "to leak something")
		passed(suites.LeakNothing(), func() error {
			f, err := os.Create(filepath.Join(GinkgoT().TempDir(), "x"))
			if err != nil {
				return err
			}
			go func() { time.Sleep(time.Millisecond) }()
			return f.Close()
		}, "")
		passed(suites.LeakNothing(), func() {
			b := database("process")
			Expect(suites.Run(ctx, b, pipeline(step("a", sign)), core.RunKey{Run: "r"}, note{})).To(suites.HaveCompleted())
			Expect(b.Close()).To(Succeed())
		}, "")
	})

	It("names the goroutine and the file that were left", func() {
		stop, path := make(chan struct{}), filepath.Join(GinkgoT().TempDir(), "left open")
		DeferCleanup(func() { close(stop) })
		refused(suites.LeakNothing(), func() { go func() { <-stop }() }, "but it left\nfound unexpected goroutines", "matchers_test.go")
		if _, err := os.Stat("/proc/self/fd"); err != nil {
			return // this system does not list open files
		}
		leave := func() error {
			f, err := os.Create(path)
			DeferCleanup(f.Close)
			return err
		}
		refused(suites.LeakNothing(), leave, "open file: "+path)
	})

	It("is an error if the function failed, or is not a function", func() {
		undecided(suites.LeakNothing(), func() error { return errors.New("no disk") }, "the result is unknown, because the function failed: no disk")
		undecided(suites.LeakNothing(), "f", "LeakNothing wants a func() or func() error, which it calls; it got string")
		undecided(suites.LeakNothing(), nil, "it got <nil>")
	})
})

var _ = Describe("HoldLimit", Label("category:gate"), func() {
	// measured returns a comparison in which every block has the same ratio.
	measured := func(ratio float64) *harness.Comparison {
		c := &harness.Comparison{Workload: "review", Durability: "process", Complete: true, Plan: harness.DefaultPlan(),
			Environment: machine.Environment{Class: "here"}}
		for i := range 20 {
			c.Blocks = append(c.Blocks, harness.Block{Session: 1 + i/5, CostRatio: ratio, Twin: 1, Slow: 1.25 * ratio})
		}
		return c
	}
	limits := func() string {
		GinkgoHelper()
		dir := GinkgoT().TempDir()
		f := thresholds.File{Schema: 1, Class: "here", Path: filepath.Join(dir, "here.toml"), Limits: []thresholds.Limit{
			{Workload: "review", Metric: thresholds.MetricCostRatio, Durability: "process", Baseline: 1.3, Margin: 0.1, Limit: 1.43}}}
		Expect(f.Save()).To(Succeed())
		return dir
	}

	It("judges a comparison by the limit of its workload", func() {
		m := suites.HoldLimit("review", limits())
		passed(m, measured(1.3), "not to hold, but HELD: review at process: (W-N)/F is within its limit 1.43")
		refused(m, measured(1.5), "to hold, but BROKEN: review at process", "boundary", "15 of 15 blocks")
	})

	It("uses the verdict of a comparison that is judged already", func() {
		c := measured(1.5)
		judged := thresholds.Judged{Comparison: c, Verdict: thresholds.Verdict{Outcome: thresholds.Held, Reason: "as the base branch has it"}}
		passed(suites.HoldLimit("review", "nowhere"), judged, "as the base branch has it")
	})

	It("is an error, also with NotTo, if the result is unknown", func() {
		undecided(suites.HoldLimit("review", GinkgoT().TempDir()), measured(1.3), "INCONCLUSIVE: review at process: no limit exists for it")
		bad := measured(1.3)
		bad.Problem = "arms did unequal work"
		undecided(suites.HoldLimit("review", limits()), bad, "INVALID")
		undecided(suites.HoldLimit("order", limits()), measured(1.3), `wants workload "order"; this comparison is of "review"`)
		undecided(suites.HoldLimit("review", limits()), thresholds.Verdict{}, "HoldLimit wants a *harness.Comparison")
		undecided(suites.HoldLimit("review", limits()), (*harness.Comparison)(nil), "HoldLimit wants")
		broken := limits()
		Expect(os.WriteFile(filepath.Join(broken, "here.toml"), []byte("schema = 9"), 0o600)).To(Succeed())
		undecided(suites.HoldLimit("review", broken), measured(1.3), "schema 9")
	})
})
