package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"github.com/flujo/flujo-harness/harness/instructions"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/stubs"
)

// Counting describes a counted session: its process runs operations of one arm and times
// nothing, while a tool counts the instructions of the whole process.
type Counting struct {
	Arm    string `json:"arm"`
	Ops    int    `json:"ops"`    // number of operations after the warm-ups
	Record int    `json:"record"` // number of operations whose statements are recorded for the floor; at least Ops

	tool *instructions.Tool // set in the process that starts the session
}

// Each count uses two processes: a small one and a large one, of countedSaving operations for
// arms that save and countedPlain for others. The large process executes at least about
// 10 million instructions more; the starts of two Go programs differ by 30,000 to 80,000,
// which is less than one percent of that.
const (
	countedSmall  = 4
	countedSaving = 100
	countedPlain  = 1000
)

// errNotCounted is the error of a counted session without a count.
var errNotCounted = errors.New("instructions were not counted")

// instructionsOf counts the instructions of one run of an arm. It subtracts the count of a
// process with few operations from that of a process with many, so that the start of a process
// is not counted.
func (s Spec) instructionsOf(ctx context.Context, run Runner, tool *instructions.Tool, arm string) (float64, error) {
	most := countedSaving
	if !saves(arm) && arm != ArmFloor {
		most = countedPlain
	}
	var counted [2]float64
	var failed [2]error
	var wg sync.WaitGroup
	for i, ops := range []int{countedSmall, most} {
		wg.Go(func() {
			order := s.session(s.Plan, 0)
			order.Count = &Counting{Arm: arm, Ops: ops, Record: most, tool: tool}
			res, err := run(ctx, order)
			if counted[i] = res.Instructions; err == nil && res.Problem != "" {
				err = errors.New(res.Problem)
			} else if err == nil && !(res.Instructions > 0) {
				err = errNotCounted
			}
			failed[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return 0, fmt.Errorf("count the instructions of arm %s: %w", arm, err)
	}
	n := (counted[1] - counted[0]) / float64(most-countedSmall)
	if n <= 0 {
		return 0, fmt.Errorf("count the instructions of arm %s: %d operations executed no more of them than %d", arm, most, countedSmall)
	}
	return n, nil
}

// wrap changes the command of a session to run under the tool. It returns a function that reads
// the count and one that removes the tool's files.
func (c *Counting) wrap(cmd *exec.Cmd) (read func() (float64, error), remove func() error, err error) {
	dir, remove, err := workdir.Temporary(os.TempDir(), "flujo-harness-count-")
	if err != nil {
		return nil, nil, err
	}
	record := filepath.Join(dir, "record")
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, countEnv()...)
	c.tool.Wrap(cmd, record)
	return func() (float64, error) { return c.tool.Read(record) }, remove, nil
}

// counting runs the operations of a counted session.
func (s Session) counting(ctx context.Context, o *opener, dir string) (res SessionResult, err error) {
	c, w := s.Count, o.workload
	if c.Ops < 1 || c.Record < c.Ops {
		return res, fmt.Errorf("count %d operations of arm %q with %d recorded: 1 or more, and no more than are recorded", c.Ops, c.Arm, c.Record)
	}
	s.Plan = Plan{Sessions: 2, Blocks: 1, Warmups: countWarm, Rounds: 1, Batch: map[string]int{ArmBackend: c.Record}, SlowBy: 1}
	o.session = s
	if o.expected, err = w.expect(ctx); err != nil {
		res.Problem = err.Error()
		return res, nil
	}
	all := countWarm + c.Record + 1
	keys := runKeys(all * w.AtOnce)
	if c.Arm == ArmFloor {
		if err := o.record(ctx, dir, keys); err != nil {
			res.Problem = err.Error()
			return res, nil
		}
	}
	book, err := stubs.Size(w.plan, w.load(c.Arm, all, 0, 0))
	if err != nil {
		return res, err
	}
	a, err := o.open(ctx, book, c.Arm, dir)
	if err != nil {
		return res, err
	}
	for range countWarm + c.Ops {
		if err := a.once(keys, 0); err != nil {
			res.Problem = err.Error()
			break
		}
	}
	return res, a.close()
}

// RunInstructions has the numbers of instructions that one run executes in user space, by turn. Each
// is the difference of a pair of processes. A count depends on what else the machine does, that of
// the floor by up to 2%, so all three are counted in each turn.
type RunInstructions struct {
	Tool    string    `json:"tool"`              // name of the counting tool, such as "valgrind"
	With    []float64 `json:"with"`              // W: with the backend
	Without []float64 `json:"without"`           // N: the same run without the backend
	Floor   []float64 `json:"floor"`             // F: only the statements of W
	Problem string    `json:"problem,omitempty"` // why counting failed or ended early; "": it did not
}

// Cost returns W-N, the instructions that durability adds to a run, by turn.
func (r *RunInstructions) Cost() []float64 {
	cost := make([]float64, len(r.With))
	for i, w := range r.With {
		cost[i] = w - r.Without[i]
	}
	return cost
}

// CostRatio returns (W-N)/F by turn.
func (r *RunInstructions) CostRatio() []float64 {
	ratio := r.Cost()
	for i, f := range r.Floor {
		ratio[i] /= f
	}
	return ratio
}

// CountRun counts the instructions of a run of the workload. It calls more after each turn and stops
// when more returns false. A failure is recorded in the result, which has only complete turns.
func CountRun(ctx context.Context, spec Spec, run Runner, tool *instructions.Tool, more func(*RunInstructions) bool) *RunInstructions {
	r := &RunInstructions{Tool: tool.Name}
	arms := []string{ArmNone, ArmFloor, ArmBackend}
	for len(r.With) < mostCounts {
		n := map[string]float64{}
		for _, arm := range arms {
			var err error
			if n[arm], err = spec.instructionsOf(ctx, run, tool, arm); err != nil {
				r.Problem = err.Error()
				return r
			}
		}
		slices.Reverse(arms) // so that a load that grows or shrinks changes all arms equally
		if n[ArmBackend] <= n[ArmNone] {
			r.Problem = "a run with the backend executes no more than one without"
			return r
		}
		r.With, r.Without, r.Floor = append(r.With, n[ArmBackend]), append(r.Without, n[ArmNone]), append(r.Floor, n[ArmFloor])
		if !more(r) {
			break
		}
	}
	return r
}
