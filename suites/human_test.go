package suites_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/suites"
)

// claim is a scope with values at every depth.
type claim struct {
	Title    string
	Facts    map[string]string
	Log      []string
	Decision struct {
		By      string
		Granted bool
		Cents   int
	}
}

// decision is the answer of a person.
type decision struct {
	By    string
	Cents int
}

// work returns a step that notes that it ran and its input.
func work(name string) *core.Node[claim] {
	agent := core.Func[claim, string](func(_ context.Context, req core.Request[claim]) (string, error) {
		return fmt.Sprintf("%s of %s with %d facts, %d cents", req.Path, req.Input.Title, len(req.Input.Facts), req.Input.Decision.Cents), nil
	})
	return core.Step(name, agent, func(c claim) claim { return c }, func(c *claim, out string) {
		c.Log = append(c.Log, out)
		c.Facts = map[string]string{"last": name}
	})
}

// decide asks a person and stores the answer deep in the scope.
func decide(name string) *core.Node[claim] {
	return core.Human(name, func(c claim) string { return "grant " + c.Title + "?" }, func(c *claim, d decision) {
		c.Decision.By, c.Decision.Cents, c.Decision.Granted = d.By, d.Cents, d.Cents > 0
		c.Log = append(c.Log, name+" by "+d.By)
	}, core.Accept(func(d decision) error {
		if d.By == "" {
			return errors.New("say who decides")
		}
		return nil
	}))
}

func claims(nodes ...*core.Node[claim]) *core.Pipeline[claim] {
	GinkgoHelper()
	p, err := core.New("claim", nodes...)
	Expect(err).NotTo(HaveOccurred())
	return p
}

var _ = Describe("A person in the loop", Label("category:human-in-the-loop"), func() {
	var path string

	BeforeEach(func() { path = filepath.Join(GinkgoT().TempDir(), "runs.db") })

	// another opens the database as another process would.
	another := func() *sqlite.Backend {
		GinkgoHelper()
		return opened(path, sqlite.Process)
	}
	// signal answers the only pause of the run as another process would.
	signal := func(ctx context.Context, p *core.Pipeline[claim], answer any) (core.Result[claim], error) {
		GinkgoHelper()
		b := another()
		defer b.Close()
		snap, err := b.Load(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		token := ""
		for _, rec := range snap.Steps {
			token += rec.Token
		}
		return core.Signal(ctx, core.NewEngine(core.WithBackend(b)), p, key, token, answer)
	}

	It("gives the answer to the steps that follow, in another process, with all that was there before", func(ctx SpecContext) {
		p := claims(work("collect"), decide("boss"), work("pay"))
		b := another()
		ran := suites.Run(ctx, b, p, key, claim{Title: "roof", Facts: map[string]string{"damage": "storm", "year": "1999"}})
		Expect(ran).To(suites.HavePausedAt("boss"))
		Expect(ran.Result.Pauses[0].Prompt).To(Equal("grant roof?"))
		Expect(b.Close()).To(Succeed())

		Expect(signal(ctx, p, decision{"Ada", 700})).To(And(suites.HaveCompleted(), HaveField("Scope.Log", []string{
			"collect of roof with 2 facts, 0 cents", "boss by Ada", "pay of roof with 1 facts, 700 cents"})))
		saved, err := another().Load(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		Expect(saved).To(And(suites.HaveCompleted(), suites.ReplayIdentically(p)))
		Expect(saved.State).To(ContainSubstring(`"Decision":{"By":"Ada","Granted":true,"Cents":700}`))
	})

	It("asks in every round of a loop, about the scope as it is then", func(ctx SpecContext) {
		rounds := core.Loop("negotiate", 5, func(c claim) (bool, error) { return c.Decision.Granted, nil }, core.Then("round", work("offer"), decide("boss")))
		p := claims(rounds)
		ran := suites.Run(ctx, another(), p, key, claim{Title: "roof"})
		for i := 1; i < 3; i++ {
			Expect(ran).To(suites.HavePausedAt(fmt.Sprintf("negotiate#%d/round/boss", i)))
			ran = ran.Answer(ctx, fmt.Sprintf("negotiate#%d/round/boss", i), decision{"Bo", 0})
		}
		ran = ran.Answer(ctx, "negotiate#3/round/boss", decision{"Bo", 5})
		Expect(ran).To(And(suites.HaveCompleted(), suites.HaveExitReason(core.ExitCondition), suites.ReplayIdentically(p)))
		Expect(ran.Result.Scope.Log).To(HaveLen(6))
		Expect(ran.Saved.Answers).To(HaveLen(3))
	})

	It("holds up only its own branch, and its answer is merged with the results of the others", func(ctx SpecContext) {
		p := claims(core.Parallel("both", func(into *claim, branches []core.Ended[claim]) error {
			for _, b := range branches {
				into.Log = append(into.Log, b.Scope.Log...)
			}
			into.Decision = branches[0].Scope.Decision
			return nil
		}, core.Branches(core.Then("slow", decide("boss"), work("pay")), core.Then("quick", work("inspect"), work("photograph")))))
		ran := suites.Run(ctx, another(), p, key, claim{Title: "roof"})
		Expect(ran).To(suites.HavePausedAt("both/slow/boss"))
		Expect(ran.Saved.Steps).To(ContainElements(HaveField("Path", "both/quick/inspect"), HaveField("Path", "both/quick/photograph")))

		res, err := signal(ctx, p, decision{"Cy", 9})
		Expect(err).NotTo(HaveOccurred())
		Expect(res.Calls).To(Equal(1), "the other branch was called again")
		Expect(res.Scope.Decision.Cents).To(Equal(9))
		Expect(res.Scope.Log).To(Equal([]string{"boss by Cy", "both/slow/pay of roof with 0 facts, 9 cents",
			"both/quick/inspect of roof with 0 facts, 0 cents", "both/quick/photograph of roof with 1 facts, 0 cents"}))
	})

	It("may answer pauses of two branches in any order", func(ctx SpecContext) {
		orders := []*suites.Ran[claim]{}
		for _, order := range [][]string{{"both/a", "both/b"}, {"both/b", "both/a"}} {
			p := claims(core.Parallel("both", func(into *claim, branches []core.Ended[claim]) error {
				into.Log = append(branches[0].Scope.Log, branches[1].Scope.Log...)
				return nil
			}, core.Branches(decide("a"), decide("b"))))
			ran := suites.Run(ctx, database(sqlite.Process), p, key, claim{})
			for _, path := range order {
				ran = ran.Answer(ctx, path, decision{By: path})
			}
			Expect(ran).To(suites.HaveCompleted())
			orders = append(orders, ran)
		}
		Expect(orders[0].Result.Scope).To(Equal(orders[1].Result.Scope))
	})

	It("reaches the scope around a sub-pipeline within a branch within a loop", func(ctx SpecContext) {
		inner := claims(work("draft"), decide("lawyer"))
		p := claims(core.Loop("cases", 2, nil, core.Branch("kind", func(claim) (string, error) { return "legal", nil },
			core.Sub("legal", inner, func(c claim) claim { return claim{Title: strings.ToUpper(c.Title)} }, func(c *claim, in claim) {
				c.Log, c.Decision = append(c.Log, in.Log...), in.Decision
			})), core.MaxIsSuccess()))
		ran := suites.Run(ctx, another(), p, key, claim{Title: "roof"})
		ran = ran.Answer(ctx, "cases#1/kind/legal/lawyer", decision{"Di", 1}).Answer(ctx, "cases#2/kind/legal/lawyer", decision{"Ed", 2})
		Expect(ran).To(And(suites.HaveCompleted(), suites.ReplayIdentically(p)))
		Expect(ran.Result.Scope.Log).To(HaveLen(4))
		Expect(ran.Result.Scope.Decision.By).To(Equal("Ed"))
		Expect(ran.Result.Scope.Title).To(Equal("roof"))
	})

	It("is asked again if the answer is refused, and the refusal is not saved", func(ctx SpecContext) {
		p := claims(decide("boss"))
		ran := suites.Run(ctx, another(), p, key, claim{Title: "roof"})
		refused := ran.Answer(ctx, "boss", decision{Cents: 5})
		Expect(refused.Err).To(MatchError(`answer to "boss" of run acme/r: refused: say who decides: answer again`))
		Expect(refused).To(suites.HaveSaved(3))
		Expect(refused.Saved).To(Equal(ran.Saved))
		Expect(ran.Answer(ctx, "boss", decision{"Flo", 5})).To(suites.HaveCompleted())
	})

	DescribeTable("may give valid answers from a program or from a form", func(ctx SpecContext, answer any, refusal string) {
		ran := suites.Run(ctx, another(), claims(decide("boss")), key, claim{}).Answer(ctx, "boss", answer)
		if refusal == "" {
			Expect(ran).To(suites.HaveCompleted())
			Expect(ran.Result.Scope.Decision.By).To(Equal("Gil"))
			return
		}
		Expect(ran.Err).To(MatchError(ContainSubstring(refusal)))
		Expect(ran.Saved).To(suites.HavePausedAt("boss"))
	},
		Entry("a value", decision{"Gil", 1}, ""),
		Entry("JSON", json.RawMessage(`{"By": "Gil", "Cents": 1}`), ""),
		Entry("text for a record", "yes", "it is not a suites_test.decision"),
		Entry("a field that is not there", json.RawMessage(`{"By": "Gil", "Dollars": 1}`), "Dollars"),
		Entry("what is no JSON", json.RawMessage(`{"By"`), "unexpected end"),
		Entry("what has no stored form", make(chan int), "unsupported type"),
	)

	It("may answer once: of many answers the first counts, all others are refused, and the run continues once", func(ctx SpecContext) {
		p, b := claims(decide("boss"), work("pay")), another()
		ran := suites.Run(ctx, b, p, key, claim{Title: "roof"})
		const people = 16
		errs := make([]error, people)
		var wg sync.WaitGroup
		for i := range people {
			wg.Go(func() {
				_, errs[i] = core.Signal(ctx, core.NewEngine(core.WithBackend(b)), p, key, ran.Result.Pauses[0].Token, decision{fmt.Sprint(i), i})
			})
		}
		wg.Wait()
		winner := ""
		for i, err := range errs {
			if err == nil {
				Expect(winner).To(BeEmpty(), "two answers were taken")
				winner = fmt.Sprint(i)
				continue
			}
			Expect(err).To(Or(MatchError(core.ErrAnswered), MatchError(core.ErrRunFinished)))
		}
		snap, err := b.Load(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		Expect(snap).To(suites.HaveCompleted())
		Expect(snap.Answers).To(HaveLen(1))
		Expect(snap.State).To(ContainSubstring(fmt.Sprintf(`"boss by %s"`, winner)))
	})

	It("does not lose an answer if its process dies before the run continues", func(ctx SpecContext) {
		p, b := claims(decide("boss"), work("pay")), another()
		dying := stubs.FaultyBackend(b, stubs.Fault{When: func(at stubs.Point) bool { return at.Name == "Claim" }, Err: errors.New("killed")})
		ran := suites.Run(ctx, dying, p, key, claim{Title: "roof"})
		Expect(ran.Answer(ctx, "boss", decision{"Hal", 3}).Err).To(MatchError(ContainSubstring("killed")))
		res, err := core.Resume(ctx, core.NewEngine(core.WithBackend(b)), p, key)
		Expect(res, err).To(suites.HaveCompleted())
		Expect(res.Scope.Decision.By).To(Equal("Hal"))
	})

	It("may take a year: waiting uses no budget of time", func(ctx SpecContext) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		p := claims(decide("boss"), work("pay")).Within(core.Budget{Wall: time.Hour})
		ran := suites.Run(ctx, another(), p, key, claim{}, core.WithClock(func() time.Time { return now }))
		now = now.AddDate(1, 0, 0)
		ran = ran.Answer(ctx, "boss", decision{"Ida", 1})
		Expect(ran).To(suites.HaveCompleted())
		Expect(ran.Saved.Ended).To(BeTemporally("==", now))
	})

	It("cannot be asked without a backend", func(ctx SpecContext) {
		ran := suites.Run(ctx, nil, claims(decide("boss")), key, claim{})
		Expect(ran.Err).To(MatchError(core.ErrNoBackend))
		Expect(ran.Err).To(MatchError(ContainSubstring("a pause lives in it")))
	})

	It("gets an error if there is no such pause", func(ctx SpecContext) {
		p, b := claims(decide("boss")), another()
		ran := suites.Run(ctx, b, p, key, claim{})
		e := core.NewEngine(core.WithBackend(b))
		_, err := core.Signal(ctx, e, p, key, "guessed", decision{"Jo", 1})
		Expect(err).To(MatchError(`answer to run acme/r, token "guessed": no pause has this token: take the token from the result of the run, or from its trace`))
		_, err = core.Signal(ctx, e, p, core.RunKey{Run: "r"}, ran.Result.Pauses[0].Token, decision{"Jo", 1})
		Expect(err).To(MatchError(core.ErrRunNotFound), "the token of another tenant")
		Expect(ran.Answer(ctx, "boss", decision{"Jo", 1})).To(suites.HaveCompleted())
		_, err = core.Signal(ctx, e, p, key, ran.Result.Pauses[0].Token, decision{"Kim", 1})
		Expect(err).To(MatchError(core.ErrRunFinished))
	})
})
