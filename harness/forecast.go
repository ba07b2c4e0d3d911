package harness

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Forecast is how long a measurement will take on this machine, computed from the durations of
// single operations. It is a guess: on a busy machine a session takes longer.
type Forecast struct {
	Session time.Duration // one session

	fixed, pair time.Duration // see Counts
}

// Counts returns how long it takes to count instructions: of N and F once, and of W in so many pairs of
// processes.
func (f Forecast) Counts(pairs int) time.Duration { return f.fixed + time.Duration(pairs)*f.pair }

const (
	// sessionStart is what a session takes besides its operations: a process, the conditions, files.
	sessionStart = 150 * time.Millisecond
	// countedStart and countedSlower are the start of a process under valgrind, and how many times
	// slower than alone its operations are.
	countedStart  = 2 * time.Second
	countedSlower = 50
)

// Forecast times single operations of each arm in a session of their own. The plan of the spec
// decides how many of them a session makes; batches that it lacks are fitted.
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

// forecast computes the durations from those of one operation of each arm.
func forecast(p Plan, took map[string]time.Duration) (f Forecast) {
	all := time.Duration(p.ops(ArmBackend)+2*countAll) * took[ArmBackend] // recorded for the floor, and counted
	for _, arm := range p.Arms() {
		all += time.Duration(p.Blocks*p.ops(arm)) * took[arm]
	}
	f.Session = sessionStart + all
	counted := func(ops int, arm string) time.Duration {
		return countedStart + time.Duration(countWarm+ops)*took[arm]*countedSlower
	}
	f.fixed = counted(countedPlain, ArmNone) + counted(2*countedSaving, ArmFloor) // the floor's statements are recorded first
	f.pair = counted(countedSaving, ArmBackend)
	return f
}
