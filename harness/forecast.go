package harness

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Forecast is an estimate of how long a measurement will take on this machine, computed from
// the durations of single operations. On a busy machine a measurement takes longer.
type Forecast struct {
	Session time.Duration // duration of one session

	turn time.Duration // see Counts
}

// Counts returns how long it takes to count instructions: those of N, F and W in each of the given
// number of turns.
func (f Forecast) Counts(turns int) time.Duration { return time.Duration(turns) * f.turn }

const (
	// sessionStart is the time that a session takes for everything but its operations: starting a
	// process, examining the machine, opening files.
	sessionStart = 150 * time.Millisecond
	// Under valgrind a process takes countedStart to start, and operations take countedSlower times
	// as long.
	countedStart  = 2 * time.Second
	countedSlower = 50
)

// Forecast times single operations of each arm in a session of its own, and multiplies them by
// the numbers of the plan. Batches that the plan does not have are fitted first.
func (s Spec) Forecast(ctx context.Context, run Runner) (f Forecast, err error) {
	order := s.session(s.Plan, 0)
	order.Fit = costArms
	res, err := run(ctx, order)
	if err == nil && res.Problem != "" {
		err = errors.New(res.Problem)
	}
	if err != nil {
		return f, fmt.Errorf("time single operations of %s at %s: %w", s.Workload, s.Durability, err)
	}
	plan := s.Plan
	if len(plan.Batch) == 0 {
		plan.Batch = res.Batch
	}
	return forecast(plan, res.Took), nil
}

// forecast computes the durations from the time of one operation of each arm.
func forecast(p Plan, took map[string]time.Duration) (f Forecast) {
	all := time.Duration(p.ops(ArmBackend)+2*countAll) * took[ArmBackend] // recorded for the floor, and counted
	for _, arm := range p.Arms() {
		all += time.Duration(p.Blocks*p.ops(arm)) * took[arm]
	}
	f.Session = sessionStart + all
	counted := func(ops int, arm string) time.Duration {
		return countedStart + time.Duration(countWarm+ops)*took[arm]*countedSlower
	}
	f.turn = counted(countedPlain, ArmNone) + counted(2*countedSaving, ArmFloor) + // the floor's statements are recorded first
		counted(countedSaving, ArmBackend)
	return f
}
