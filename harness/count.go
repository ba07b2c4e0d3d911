package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// Operations of each counted arm: some to warm up, and then the tries, of whose
// allocations the fewest count: whatever else allocates in the process adds to them.
const (
	countWarm  = 2
	countTries = 3
	countOps   = 4
)

// count counts what one run does in the arms with and without the backend. Nothing
// of it is timed.
func (o *opener) count(ctx context.Context, dir string) (map[string]Counters, error) {
	dir = filepath.Join(dir, "count")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for what is counted: %w", err)
	}
	counters := map[string]Counters{}
	for _, name := range []string{ArmNone, ArmBackend} {
		if o.session.Plan.Batch[name] == 0 {
			continue
		}
		book, err := stubs.Size(o.workload.plan, o.workload.load(name, countWarm, countTries, countOps))
		if err != nil {
			return nil, err
		}
		a, err := o.open(ctx, book, name, dir)
		if err != nil {
			return nil, err
		}
		c, err := a.count(runKeys((countWarm + countTries*countOps) * a.atOnce))
		if err := errors.Join(err, a.close()); err != nil {
			return nil, fmt.Errorf("count what arm %s does: %w", name, err)
		}
		counters[name] = c
	}
	return counters, nil
}

// count returns the counters of one run.
func (a *arm) count(keys []core.RunKey) (c Counters, err error) {
	for range countWarm {
		if err := a.once(keys, 0); err != nil {
			return c, err
		}
	}
	var before, after runtime.MemStats
	for try := range countTries {
		runtime.ReadMemStats(&before)
		for range countOps {
			if err := a.once(keys, 0); err != nil {
				return c, err
			}
		}
		runtime.ReadMemStats(&after)
		per := float64(countOps * a.atOnce)
		allocs, bytes := float64(after.Mallocs-before.Mallocs)/per, float64(after.TotalAlloc-before.TotalAlloc)/per
		if try == 0 || allocs < c.Allocs {
			c.Allocs = allocs
		}
		if try == 0 || bytes < c.AllocBytes {
			c.AllocBytes = bytes
		}
		if _, err := a.work.evidence(); err != nil {
			return c, err
		}
	}
	return c, nil
}
