package harness

import (
	"fmt"

	"github.com/flujo/flujo-harness/stubs"
)

// Plan says how a workload is measured. A session is one process of Blocks
// blocks; a block opens every arm afresh and runs Rounds rounds; in a round each
// arm has one slot, in random order, of 1+Batch runs, the first of which is
// dropped: it pays for the switch. The arm without a backend is so quick that its
// slot repeats the batch NoneBatch times.
type Plan struct {
	Sessions  int     `json:"sessions" toml:"sessions"`     // at most
	Blocks    int     `json:"blocks" toml:"blocks"`         // per session
	Warmups   int     `json:"warmups" toml:"warmups"`       // runs of each arm before the first round of a block
	Rounds    int     `json:"rounds" toml:"rounds"`         // per block
	Batch     int     `json:"batch" toml:"batch"`           // timed runs of a slot
	NoneBatch int     `json:"none_batch" toml:"none_batch"` // times Batch, for the arm without a backend
	SlowBy    float64 `json:"slow_by" toml:"slow_by"`       // share that the slow arm is slowed down by: 0.25
}

// DefaultPlan takes about a second and a half a session at durability "process". Batch
// and NoneBatch are left to [Measure], which fits them to the machine.
func DefaultPlan() Plan {
	return Plan{Sessions: 24, Blocks: 5, Warmups: 8, Rounds: 20, SlowBy: 0.25}
}

// Check returns what is wrong with the plan.
func (p Plan) Check() error {
	if p.Sessions < 2 || p.Blocks < 1 || p.Warmups < 1 || p.Rounds < 1 || p.Batch < 1 || p.NoneBatch < 1 {
		return fmt.Errorf("plan %+v: at least 2 sessions and 1 of everything else", p)
	}
	if !(p.SlowBy > 0 && p.SlowBy <= 10) {
		return fmt.Errorf("plan: slow-down of %v: use a share above 0, up to 10 (0.25 is 25%%)", p.SlowBy)
	}
	return nil
}

// batch is the number of timed runs in a slot of the arm.
func (p Plan) batch(arm string) int {
	if arm == ArmNone {
		return p.Batch * p.NoneBatch
	}
	return p.Batch
}

// load is what the scripts of an arm are sized from, for one block.
func (p Plan) load(arm string) stubs.Load {
	return stubs.Load{Arm: arm, Warmups: p.Warmups, Rounds: p.Rounds, Batch: 1 + p.batch(arm)}
}
