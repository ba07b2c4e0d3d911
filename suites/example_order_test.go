package suites_test

import (
	"errors"
	"fmt"
	"time"

	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/suites"
)

// An order is checked for fraud and reserved concurrently, approved by a person if it is large,
// charged, and shipped.

type order struct {
	Item      string
	Cents     int
	Risk      int // percent
	Reserved  string
	Decision  string
	Receipt   string
	Shipments []string
}

// services are the agents of the pipeline. A program uses its own.
type services struct {
	fraud   core.Agent[order, int]
	stock   core.Agent[string, string]
	payment core.Agent[int, string]
	parcels core.Agent[order, string]
}

func newOrder(s services) (*core.Pipeline[order], error) {
	whole := func(o order) order { return o }
	item := func(o order) string { return o.Item }
	cents := func(o order) int { return o.Cents }
	size := func(o order) (string, error) {
		if o.Cents > 10_000 || o.Risk > 50 {
			return "large", nil
		}
		return "small", nil
	}
	return core.New("order",
		core.Parallel("prepare", core.Disjoint[order], core.Branches(
			core.Step("fraud", s.fraud, whole, func(o *order, risk int) { o.Risk = risk }),
			core.Step("stock", s.stock, item, func(o *order, where string) { o.Reserved = where }, core.Retries(1)))),
		core.Branch("size", size,
			core.Human("large", func(o order) string { return fmt.Sprintf("ship %s for %d cents?", o.Item, o.Cents) },
				func(o *order, decision string) { o.Decision = decision },
				core.Accept(func(decision string) error {
					if decision != "yes" && decision != "no" {
						return errors.New("yes or no")
					}
					return nil
				})),
			core.Pass[order]("small")),
		core.Validate("approved", func(o order) error {
			if o.Decision == "no" {
				return errors.New("a person has refused it")
			}
			return nil
		}, core.Pass[order]("decision")),
		core.Step("charge", s.payment, cents, func(o *order, receipt string) { o.Receipt = receipt }, core.Retries(2)),
		core.Step("ship", s.parcels, whole, func(o *order, parcel string) { o.Shipments = append(o.Shipments, parcel) }),
	)
}

// scriptedServices are services without failures.
var scriptedServices = services{
	fraud: stubs.Always[order](3),
	stock: stubs.From(func(req core.Request[string]) stubs.Reply[string] { return stubs.Say("shelf of " + req.Input) }),
	payment: stubs.From(func(req core.Request[int]) stubs.Reply[string] {
		return stubs.Say(fmt.Sprintf("receipt for %d", req.Input))
	}),
	parcels: stubs.From(func(req core.Request[order]) stubs.Reply[string] { return stubs.Say("parcel with " + req.Input.Item) }),
}

type orderCase = suites.Case[order, services]

var _ = suites.DescribePipeline("order", newOrder, scriptedServices,
	orderCase{
		Name:    "a small one is shipped",
		Input:   order{Item: "tea", Cents: 900},
		Outcome: And(suites.HaveCompleted(), suites.HaveSaved(6)),
		Scope: Equal(order{Item: "tea", Cents: 900, Risk: 3, Reserved: "shelf of tea", Receipt: "receipt for 900",
			Shipments: []string{"parcel with tea"}}),
	},
	orderCase{
		Name:    "a large one waits for a person",
		Input:   order{Item: "piano", Cents: 900_000},
		Outcome: suites.HavePausedAt("size/large"),
	},
	orderCase{
		Name:    "a large one is shipped after a person has approved it",
		Input:   order{Item: "piano", Cents: 900_000},
		Answers: []suites.Answer{{Path: "size/large", With: "yes"}},
		Outcome: suites.HaveCompleted(),
		Scope:   HaveField("Shipments", ConsistOf("parcel with piano")),
	},
	orderCase{
		Name:    "a suspicious one is neither charged nor shipped if a person rejects it",
		Input:   order{Item: "phone", Cents: 5_000},
		Change:  func(s *services) { s.fraud = stubs.Always[order](90) },
		Answers: []suites.Answer{{Path: "size/large", With: "no"}},
		Outcome: suites.HaveFailedAt("approved"),
		Scope:   And(HaveField("Receipt", BeEmpty()), HaveField("Shipments", BeEmpty())),
	},
	orderCase{
		Name:  "a payment that is refused twice is tried a third time, while saves fail",
		Input: order{Item: "tea", Cents: 900},
		Change: func(s *services) {
			s.payment = stubs.Script[int](stubs.RateLimited[string](time.Microsecond), stubs.Fail[string](errors.New("no answer")), stubs.Say("third receipt"))
		},
		Faults:  []stubs.Fault{{At: 3, Err: errors.New("disk is full")}, {At: 7, After: true, Err: errors.New("answer was lost")}},
		Outcome: suites.HaveCompleted(),
		Scope:   HaveField("Receipt", "third receipt"),
	},
	orderCase{
		Name:    "a payment that is refused for good is the failure",
		Input:   order{Item: "tea", Cents: 900},
		Change:  func(s *services) { s.payment = stubs.From(refuseCard) },
		Outcome: suites.HaveFailedAt("charge"),
		Scope:   HaveField("Shipments", BeEmpty()),
	},
)

func refuseCard(core.Request[int]) stubs.Reply[string] {
	return stubs.Fail[string](errors.New("card refused"))
}

func ExampleDescribePipeline_order() {}
