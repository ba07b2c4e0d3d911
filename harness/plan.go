package harness

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Plan says how a workload is measured. A session is one process with Blocks
// blocks. A block opens every arm anew and runs Rounds rounds. In a round each
// arm has one slot, in random order, of 1+Batch operations; the first of them is not
// timed, because it runs with the caches of another arm. An operation is one run, or as
// many as the workload makes at the same time.
type Plan struct {
	Sessions int            `json:"sessions" toml:"sessions"` // maximum number of sessions
	Blocks   int            `json:"blocks" toml:"blocks"`     // per session
	Warmups  int            `json:"warmups" toml:"warmups"`   // operations of each arm before the first round of a block
	Rounds   int            `json:"rounds" toml:"rounds"`     // per block
	Batch    map[string]int `json:"batch" toml:"batch"`       // timed operations of a slot, by arm
	SlowBy   float64        `json:"slow_by" toml:"slow_by"`   // share by which the slow arm is slowed down: 0.25 is 25%
	Budget   time.Duration  `json:"budget_ns" toml:"-"`       // no third or later session begins that would end after this time; 0: no limit
}

// DefaultPlan returns a plan of which a session takes about 0.4 s at durability "process". A
// break is proven by 12 blocks if all of them are above the boundary, which two sessions have;
// by 18 (three sessions) if one is not; by 24 (four) if two are not. Batch is empty, so that
// [Measure] fits it to the machine.
func DefaultPlan() Plan {
	return Plan{Sessions: 24, Blocks: 6, Warmups: 4, Rounds: 28, SlowBy: 0.25}
}

// Check returns an error if the plan cannot be measured.
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

// Arms returns the sorted names of the arms.
func (p Plan) Arms() []string { return slices.Sorted(maps.Keys(p.Batch)) }

// ops returns the number of operations of an arm in a block.
func (p Plan) ops(arm string) int { return p.Warmups + p.Rounds*(1+p.Batch[arm]) }
