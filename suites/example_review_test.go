package suites_test

import (
	"errors"
	"fmt"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/suites"
)

// A text is drafted and reviewed repeatedly until the critic has no objections. If the expert
// fails, a junior drafts it. Facts are looked up one by one, and those that cannot be found are
// omitted.

type article struct {
	Topic   string
	Facts   []string
	Missing int
	Draft   string
	Remarks string
	Rounds  int
}

type staff struct {
	research core.Agent[string, string]
	expert   core.Agent[article, string]
	junior   core.Agent[article, string]
	critic   core.Agent[string, string] // returns objections, or "" if there are none
}

func newReview(s staff) (*core.Pipeline[article], error) {
	whole := func(a article) article { return a }
	keep := func(a *article, draft string) { a.Draft, a.Rounds = draft, a.Rounds+1 }
	collect := func(a *article, facts []core.Ended[string]) error {
		for _, f := range facts {
			if f.Err != nil {
				a.Missing++
			} else {
				a.Facts = append(a.Facts, f.Scope)
			}
		}
		return nil
	}
	return core.New("review",
		core.Map("facts", 5, func(a article) []string { return strings.Fields(a.Topic) },
			core.Step("look up", s.research, func(q string) string { return q }, func(q *string, fact string) { *q = fact }),
			collect, core.CollectFailures(), core.AtOnce(2)),
		core.Loop("refine", 3, func(a article) (bool, error) { return a.Remarks == "", nil },
			core.Then("round",
				core.Fallback("draft",
					core.Step("expert", s.expert, whole, keep, core.Retries(1)),
					core.Step("junior", s.junior, whole, keep)),
				core.Step("critic", s.critic, func(a article) string { return a.Draft }, func(a *article, remarks string) { a.Remarks = remarks }))),
	)
}

var scriptedStaff = staff{
	research: stubs.From(func(req core.Request[string]) stubs.Reply[string] { return stubs.Say("fact about " + req.Input) }),
	expert: stubs.From(func(req core.Request[article]) stubs.Reply[string] {
		return stubs.Say(fmt.Sprintf("draft %d with %d facts", req.Input.Rounds+1, len(req.Input.Facts))).Using(100, 5)
	}),
	junior: stubs.Outputs[article, string]().AllowLeftovers(), // may remain unused
	critic: stubs.Outputs[string]("be brief", ""),
}

type reviewCase = suites.Case[article, staff]

var _ = suites.DescribePipeline("review loop", newReview, scriptedStaff,
	reviewCase{
		Name:    "a draft is accepted in the second round",
		Input:   article{Topic: "saves cost"},
		Outcome: And(suites.HaveCompleted(), suites.HaveExitReason(core.ExitCondition), suites.HaveSaved(8)),
		Scope: Equal(article{Topic: "saves cost", Facts: []string{"fact about saves", "fact about cost"},
			Draft: "draft 2 with 2 facts", Rounds: 2}),
	},
	reviewCase{
		Name:    "the run fails if the critic always objects",
		Input:   article{Topic: "saves"},
		Change:  func(s *staff) { s.critic = stubs.Always[string]("again") },
		Outcome: And(suites.HaveFailedAt("refine"), suites.HaveExitReason(core.ExitMax)),
		Scope:   HaveField("Rounds", 3),
	},
	reviewCase{
		Name:  "the junior drafts where the expert is down, with the facts that were found",
		Input: article{Topic: "known unknown"},
		Change: func(s *staff) {
			s.research = stubs.Choose(
				stubs.When(func(q string) bool { return q == "unknown" }, core.Agent[string, string](stubs.From(notFound))),
				stubs.Else(s.research))
			s.expert = stubs.From(func(core.Request[article]) stubs.Reply[string] {
				return stubs.Fail[string](errors.New("model unavailable"))
			})
			s.junior = stubs.From(func(req core.Request[article]) stubs.Reply[string] {
				return stubs.Say("simple draft, " + req.Input.Facts[0])
			})
		},
		Outcome: suites.HaveCompleted(),
		Scope:   And(HaveField("Draft", "simple draft, fact about known"), HaveField("Missing", 1), HaveField("Rounds", 2)),
	},
)

func notFound(core.Request[string]) stubs.Reply[string] {
	return stubs.Fail[string](errors.New("nothing found"))
}

func ExampleDescribePipeline_review() {}
