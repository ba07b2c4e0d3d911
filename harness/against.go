package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/flujo/flujo-harness/harness/instructions"
)

// Revision is a program that runs sessions, with the name of the revision it was built from.
type Revision struct {
	Name string
	Run  Runner
}

// AgainstSpec orders the comparison of what durability costs in two programs that have the
// same workload.
type AgainstSpec struct {
	Spec                          // Plan.Sessions is the most sessions of each program, Plan.SlowBy the slow-down of the self-check
	Base, Head Revision           // the same workload in two programs
	Counter    *instructions.Tool // nil: instructions are not counted
}

// Units of the counts of [Against]: what one run with the backend does, of which less is better.
const (
	UnitAllocs     = "allocs/run"
	UnitCommits    = "commits/run"
	UnitStatements = "statements/run"
	UnitBytes      = "bytes/run"
	UnitSyncs      = "syncs/run"
)

// AgainstUnits are all of them.
func AgainstUnits() []string {
	return []string{UnitAllocs, UnitCommits, UnitStatements, UnitBytes, UnitSyncs}
}

// Against measures a workload in two programs, in turns: a session of the base, of the head
// and of the base again, in random order, each in a process of its own. A block of the result
// is (W-N)/F of the head over that of the base, each measured within a second of the other on
// the same disk, so that no limit and no class of machines is needed. Since a floor that does
// more hides a cost that does more, what a run writes is counted beside it: see
// [AgainstUnits]. Instructions, where they are counted, are those of W-N.
//
// next is asked after each three sessions what it still needs. A failure of a program is recorded
// in the difference; an error means that nothing could be measured. The comparison is that of
// the head's sessions alone; nil where there were none.
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

// against is one comparison that is under way.
type against struct {
	spec   AgainstSpec
	d      *Difference
	head   *Comparison
	rng    *rand.Rand
	counts [2]map[string][]float64 // unit -> the figure of each session of the base, and of the head
	plain  [2]float64              // instructions of a run without the backend, of the base and of the head
}

// three runs a session of the base, of the head and of the base again, and takes their blocks
// in pairs. It reports whether there can be more.
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

// leastCost is a (W-N)/F that is not the noise of a run which does all that the floor does.
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

// perRun are the counters that are compared, by unit.
func perRun(c Counters) map[string]float64 {
	return map[string]float64{UnitAllocs: c.Allocs, UnitCommits: c.Commits, UnitStatements: c.Statements, UnitBytes: c.Bytes, UnitSyncs: c.Syncs}
}

// instructions counts W-N of both programs, at first twice each.
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
