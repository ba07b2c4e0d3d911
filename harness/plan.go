package harness

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Plan says how a workload is measured. A session is one process of Blocks
// blocks; a block opens every arm afresh and runs Rounds rounds; in a round each
// arm has one slot, in random order, of 1+Batch operations, the first of which is
// dropped: it pays for the switch. An operation is one run, or as many as the
// workload makes at the same time.
type Plan struct {
	Sessions int            `json:"sessions" toml:"sessions"` // at most
	Blocks   int            `json:"blocks" toml:"blocks"`     // per session
	Warmups  int            `json:"warmups" toml:"warmups"`   // operations of each arm before the first round of a block
	Rounds   int            `json:"rounds" toml:"rounds"`     // per block
	Batch    map[string]int `json:"batch" toml:"batch"`       // timed operations of a slot, by arm
	SlowBy   float64        `json:"slow_by" toml:"slow_by"`   // share that the slow arm is slowed down by: 0.25
	Budget   time.Duration  `json:"budget_ns" toml:"-"`       // no session begins that would end after it, but two are made; 0: no bound
}

// DefaultPlan takes about 0.4 s a session at durability "process". Two sessions have the
// 12 blocks that the evidence of a break needs where all are above the boundary, three of
// them (18) allow one that is not, and four (24) two. Batch is
// left to [Measure], which fits it to the machine.
func DefaultPlan() Plan {
	return Plan{Sessions: 24, Blocks: 6, Warmups: 4, Rounds: 28, SlowBy: 0.25}
}

// Check returns what is wrong with the plan.
func (p Plan) Check() error {
	if p.Sessions < 2 || p.Blocks < 1 || p.Warmups < 1 || p.Rounds < 1 || len(p.Batch) == 0 {
		return fmt.Errorf("plan %+v: at least 2 sessions and 1 of everything else", p)
	}
	for _, arm := range p.Arms() {
		if p.Batch[arm] < 1 {
			return fmt.Errorf("plan: a slot of %d operations in arm %q: at least 1 is needed", p.Batch[arm], arm)
		}
	}
	if !(p.SlowBy > 0 && p.SlowBy <= 10) {
		return fmt.Errorf("plan: slow-down of %v: use a share above 0, up to 10 (0.25 is 25%%)", p.SlowBy)
	}
	return nil
}

// Arms that are measured, by name.
func (p Plan) Arms() []string { return slices.Sorted(maps.Keys(p.Batch)) }

// ops is the number of operations that an arm makes in a block.
func (p Plan) ops(arm string) int { return p.Warmups + p.Rounds*(1+p.Batch[arm]) }
