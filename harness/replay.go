package harness

import (
	"context"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core"
)

// ErrForeignPipeline: a run is of a pipeline that no built-in workload has.
var ErrForeignPipeline = errors.New("no built-in workload has this pipeline")

// replayer is an instance of a workload, with its scope.
type replayer interface {
	fingerprint() uint64
	replay(ctx context.Context, snap core.Snapshot) (core.Status, error)
}

var _ replayer = (*runs[struct{}])(nil)

func (r *runs[S]) fingerprint() uint64 { return r.plan.Fingerprint() }

func (r *runs[S]) replay(ctx context.Context, snap core.Snapshot) (core.Status, error) {
	res, err := core.Replay(ctx, r.plan, snap)
	return res.Status, err
}

// Replay replays a recorded run of a built-in workload: see [core.Replay]. It
// returns the status that the replay ended with, which the run must have too.
func Replay(ctx context.Context, snap core.Snapshot) (core.Status, error) {
	all, err := Workloads()
	if err != nil {
		return core.Running, err
	}
	for _, w := range all {
		if r, ok := w.fresh().(replayer); ok && r.fingerprint() == snap.Start.Plan {
			return r.replay(ctx, snap)
		}
	}
	return core.Running, fmt.Errorf("replay run %s of %q: %w", snap.Start.Key, snap.Start.Pipeline, ErrForeignPipeline)
}
