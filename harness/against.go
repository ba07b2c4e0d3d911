package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/flujo/flujo-harness/harness/instructions"
)

// Revision is a program that runs sessions, and the name of the revision it was built from.
type Revision struct {
	Name string
	Run  Runner
}

// AgainstSpec says how [Against] compares the cost of durability in two programs that have
// the same workload.
type AgainstSpec struct {
	Spec                          // Plan.Sessions is the maximum for each program, Plan.SlowBy the slow-down of the self-check
	Base, Head Revision           // two programs with the same workload
	Counter    *instructions.Tool // nil: instructions are not counted
}

// Units of the counts of [Against], per run with the backend. Less is better for all of them.
const (
	UnitAllocs     = "allocs/run"
	UnitCommits    = "commits/run"
	UnitStatements = "statements/run"
	UnitBytes      = "bytes/run"
	UnitSyncs      = "syncs/run"
)

// AgainstUnits returns all units of the counts of [Against].
func AgainstUnits() []string {
	return []string{UnitAllocs, UnitCommits, UnitStatements, UnitBytes, UnitSyncs}
}

// Against measures a workload in two programs in turns: a session of the base, one of the head
// and one of the base again, in random order, each in a process of its own. A block of the
// result is (W-N)/F of the head divided by that of the base. Both are measured within a second
// of each other on the same disk, so no limit and no class of machines is needed. If head
// writes more, its floor rises with its cost, which the ratio cannot show; therefore what a
// run writes is counted too, see [AgainstUnits]. Instructions, if counted, are those of W-N.
//
// After each three sessions, next returns what to measure further. A failure of a program is
// recorded in the difference; an error means that nothing could be measured. The comparison
// returned has the sessions of the head only, and is nil if there were none.
func Against(ctx context.Context, spec AgainstSpec, next func(*Difference) More) (*Difference, *Comparison, error) {
	began := time.Now()
	d := &Difference{Schema: 1, Name: spec.Workload + " at " + string(spec.Durability), Base: spec.Base.Name, Head: spec.Head.Name,
		Started: began.UTC(), Seed: spec.Seed, Audit: []Finding{{checkRuns, true, "nothing was measured"}}}
	var err error
	if d.Environment, err = spec.Describe(ctx); err != nil {
		return nil, nil, err
	}
	head := &Comparison{Schema: 1, Workload: spec.Workload, Suite: spec.Suite, Durability: string(spec.Durability), Started: began.UTC(), Seed: spec.Seed, Environment: d.Environment}
	if spec.Plan, err = spec.fitted(ctx, spec.Head.Run, costArms); err != nil {
		if ctx.Err() != nil {
			d.NotCompared = ErrNoTime.Error()
			return d, nil, nil
		}
		return nil, nil, err
	}
	head.Plan = spec.Plan
	if err := spec.Plan.Check(); err != nil {
		return nil, nil, err
	}
	a := &against{spec: spec, d: d, head: head, rng: rand.New(rand.NewPCG(spec.Seed, 0xa6a1)), counts: [2]map[string][]float64{{}, {}}}
	if spec.Counter != nil {
		d.Instructions = &Instructions{Waits: 1}
	}
	more := More{Time: true}
	for n := 1; more != (More{}) && ctx.Err() == nil; {
		spent := time.Since(began)
		over, did := n > 2 && spec.Plan.Budget > 0 && spent+spent/time.Duration(n-1) > spec.Plan.Budget, false
		if more.Time && n <= spec.Plan.Sessions && !over {
			if !a.three(ctx, n) {
				break
			}
			n, did = n+1, true
		}
		if more.Instructions && spec.Counter != nil && d.Instructions.Problem == "" && len(d.Instructions.Base) < mostCounts && !over {
			a.instructions(ctx)
			did = true
		}
		if !did {
			break
		}
		more = next(d)
	}
	d.Complete = ctx.Err() == nil && d.Problem == ""
	d.Seconds = time.Since(began).Seconds()
	head.Complete, head.Seconds = d.Complete, d.Seconds
	if len(head.Blocks) == 0 {
		head = nil
	}
	return d, head, nil
}

// against is the state of a comparison in progress.
type against struct {
	spec   AgainstSpec
	d      *Difference
	head   *Comparison
	rng    *rand.Rand
	counts [2]map[string][]float64 // of base and head: unit -> the figure of each session
	plain  [2]float64              // of base and head: instructions of a run without the backend
}

// three runs a session of the base, one of the head and one of the base again, and adds their
// blocks in pairs. It reports whether the comparison can go on.
func (a *against) three(ctx context.Context, n int) bool {
	programs := [3]Revision{a.spec.Base, a.spec.Head, a.spec.Base}
	var blocks [3][]Block
	for _, i := range a.rng.Perm(3) {
		c := a.head
		if i != 1 {
			c = &Comparison{}
		}
		res, made, err := a.session(ctx, programs[i], n, c)
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			a.failed(i, confirmed(ctx, err, func() error {
				_, _, err := a.session(ctx, programs[i], n, &Comparison{})
				return err
			}))
			return false
		}
		blocks[i] = made
		for unit, v := range perRun(res.Counters[ArmBackend]) {
			a.counts[i%2][unit] = append(a.counts[i%2][unit], v)
		}
	}
	if len(blocks[0]) != len(blocks[1]) || len(blocks[0]) != len(blocks[2]) {
		a.d.Problem = fmt.Sprintf("sessions of one plan gave %d, %d and %d blocks", len(blocks[0]), len(blocks[1]), len(blocks[2]))
		return false
	}
	for k, base := range blocks[0] {
		head, twin := blocks[1][k], blocks[2][k]
		if least := min(base.CostRatio, head.CostRatio, twin.CostRatio); least < leastCost {
			a.d.NotCompared = fmt.Sprintf("(W-N)/F is %.3g: a run that does all of its work is not quicker than the floor", least)
			return false
		}
		a.d.Blocks = append(a.d.Blocks, DifferenceBlock{Session: n, Ratio: head.CostRatio / base.CostRatio, Twin: twin.CostRatio / base.CostRatio,
			Slow: head.Slow / base.CostRatio, BaseNS: base.CostUS * 1e3, HeadNS: head.CostUS * 1e3})
	}
	a.d.Estimate()
	a.head.estimate()
	a.d.Audit, a.d.Untimed = a.head.Audit, a.head.Untimed
	a.d.Counts = countsOf(AgainstUnits(), a.counts)
	return true
}

// session runs a session of a program and adds it to c. It returns the blocks that it added.
func (a *against) session(ctx context.Context, program Revision, n int, c *Comparison) (SessionResult, []Block, error) {
	res, err := program.Run(ctx, a.spec.session(a.spec.Plan, n))
	if err == nil && res.Problem != "" {
		err = errors.New(res.Problem)
	}
	if err != nil || ctx.Err() != nil {
		return res, nil, err
	}
	before := len(c.Blocks)
	if c.add(n, res); c.Problem != "" {
		return res, nil, errors.New(c.Problem)
	}
	return res, c.Blocks[before:], nil
}

// leastCost is the least (W-N)/F that is plausible for a run that does all that the floor does.
const leastCost = 0.5

// failed records that a session of the base (0, 2) or of the head (1) failed.
func (a *against) failed(i int, err error) {
	switch {
	case errors.Is(err, errSometimes) || errors.Is(err, ErrNoTime):
		a.d.NotCompared = err.Error()
		return
	case i == 1:
		a.d.HeadFails = err.Error()
		return
	}
	a.d.NotCompared, a.d.FailsAtBase = fmt.Sprintf("it cannot be measured at %s: %v", a.spec.Base.Name, err), true
}

// perRun returns the counters to compare, by unit.
func perRun(c Counters) map[string]float64 {
	return map[string]float64{UnitAllocs: c.Allocs, UnitCommits: c.Commits, UnitStatements: c.Statements, UnitBytes: c.Bytes, UnitSyncs: c.Syncs}
}

// instructions counts W-N of both programs, several times in the first call and fewer later.
func (a *against) instructions(ctx context.Context) {
	result, tool := a.d.Instructions, a.spec.Counter
	result.Tool, result.Ops = tool.Name, countedSaving
	times := furtherCount
	if len(result.Base) == 0 {
		times = firstCounts
	}
	programs := [2]Revision{a.spec.Base, a.spec.Head}
	for range times {
		var cost [2]float64
		for side, program := range programs {
			var err error
			if a.plain[side] == 0 {
				a.plain[side], err = a.spec.instructionsOf(ctx, program.Run, tool, ArmNone)
			}
			if err == nil {
				cost[side], err = a.spec.instructionsOf(ctx, program.Run, tool, ArmBackend)
			}
			if cost[side] -= a.plain[side]; err == nil && cost[side] <= 0 {
				err = errors.New("a run with the backend executes no more than one without")
			}
			if err != nil {
				if ctx.Err() == nil {
					result.Problem = fmt.Sprintf("%s under %s: %.300s", program.Name, tool.Name, err)
				}
				return
			}
		}
		result.Base, result.Head = append(result.Base, cost[0]), append(result.Head, cost[1])
	}
}
