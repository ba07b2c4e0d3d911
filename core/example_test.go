package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/core"
)

type paper struct {
	Topic, Draft string
	Rounds       int
	Approved     bool
}

// A review loop with a fallback, a check and a person at its end.
func Example() {
	write := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
		return req.Input + ", in short", nil
	})
	expert := core.Func[string, string](func(context.Context, core.Request[string]) (string, error) {
		return "", errors.New("the expert is away")
	})
	topic := func(p paper) string { return p.Topic }
	keep := func(p *paper, draft string) { p.Draft, p.Rounds = draft, p.Rounds+1 }

	p, err := core.New("paper",
		core.Loop("refine", 3, func(p paper) (bool, error) { return p.Rounds >= 2, nil },
			core.Fallback("draft",
				core.Step("expert", expert, topic, keep, core.Retries(1)),
				core.Validate("short", func(p paper) error {
					if !strings.HasSuffix(p.Draft, "in short") {
						return errors.New("too long")
					}
					return nil
				}, core.Step("junior", write, topic, keep)))),
		core.Human("approve", func(p paper) string { return "Print \"" + p.Draft + "\"?" },
			func(p *paper, yes bool) { p.Approved = yes }))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("worst case:", p.MaxCalls())

	ctx, key := context.Background(), core.RunKey{Run: "first"}
	engine := core.NewEngine(core.WithBackend(core.NewMemory())) // sqlite.Open gives a durable one
	res, err := core.Run(ctx, engine, p.Within(core.Budget{Calls: 20}), key, paper{Topic: "saves"})
	fmt.Println(res.Status, res.Exits["refine"], res.Pauses[0].Prompt, err)

	// Hours later, in any process that has the same database and plan:
	res, err = core.Signal(ctx, engine, p, key, res.Pauses[0].Token, true)
	fmt.Println(res.Status, res.Scope, err)
	// Output:
	// worst case: map[refine/draft/expert:6 refine/draft/short/junior:3]
	// paused {condition 2} Print "saves, in short"? <nil>
	// completed {saves saves, in short 2 true} <nil>
}
