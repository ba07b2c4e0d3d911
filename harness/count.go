package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/stubs"
)

// Numbers of operations of each counted arm: countWarm warm-ups, then countTries tries of
// countOps each. The try with the fewest allocations counts, because other activity in the
// process only adds to them.
const (
	countWarm  = 2
	countTries = 3
	countOps   = 4
)

// count counts what one run does, in the arms with and without the backend. It times nothing.
func (o *opener) count(ctx context.Context, dir string) (map[string]Counters, error) {
	dir = filepath.Join(dir, "count")
	counters := map[string]Counters{}
	for _, name := range []string{ArmNone, ArmBackend} {
		if o.session.Plan.Batch[name] == 0 {
			continue
		}
		a, err := o.openCount(ctx, name, filepath.Join(dir, "allocs"))
		if err != nil {
			return nil, err
		}
		c, err := a.countAllocs(runKeys(countAll * a.atOnce))
		if err := errors.Join(err, a.close()); err != nil {
			return nil, fmt.Errorf("count what arm %s allocates: %w", name, err)
		}
		if name == ArmBackend {
			if err := o.countWrites(ctx, filepath.Join(dir, "writes"), &c); err != nil {
				return nil, fmt.Errorf("count what arm %s writes: %w", name, err)
			}
		}
		counters[name] = c
	}
	return counters, nil
}

// countAll is the number of all operations of a counted arm.
const countAll = countWarm + countTries*countOps

// openCount opens an arm in a new folder, with scripts for countAll operations.
func (o *opener) openCount(ctx context.Context, name, dir string) (*arm, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for what is counted: %w", err)
	}
	book, err := stubs.Size(o.workload.plan, o.workload.load(name, countAll, 0, 0))
	if err != nil {
		return nil, err
	}
	return o.open(ctx, book, name, dir)
}

// countWrites counts transactions, statements, and the pages, bytes and syncs of files. It uses
// a recording backend, which allocates more than the plain one: allocations are counted apart.
func (o *opener) countWrites(ctx context.Context, dir string, c *Counters) error {
	counted := *o
	var recorder corebench.Recorder
	counted.recorder = &recorder
	a, err := counted.openCount(ctx, ArmBackend, dir)
	if err != nil {
		return err
	}
	keys := runKeys(countAll * a.atOnce)
	for range countWarm {
		if err := a.once(keys, 0); err != nil {
			return errors.Join(err, a.close())
		}
	}
	earlier, err := recorder.Recording()
	if err != nil {
		return errors.Join(err, a.close())
	}
	before := recorder.IO()
	for range countAll - countWarm {
		if err := a.once(keys, 0); err != nil {
			return errors.Join(err, a.close())
		}
	}
	after := recorder.IO()
	tape, err := recorder.Recording()
	if err != nil {
		return errors.Join(err, a.close())
	}
	runs := float64((countAll - countWarm) * a.atOnce)
	c.Commits, c.Statements = float64(tape.Len()-earlier.Len())/runs, float64(tape.Statements()-earlier.Statements())/runs
	c.Pages, c.Bytes = float64(after.Pages-before.Pages)/runs, float64(after.Bytes-before.Bytes)/runs
	c.Syncs = float64(after.Syncs-before.Syncs) / runs
	return a.close()
}

// countAllocs counts the allocations of one run.
func (a *arm) countAllocs(keys []core.RunKey) (c Counters, err error) {
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
