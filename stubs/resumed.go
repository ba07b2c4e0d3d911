package stubs

import (
	"fmt"

	"github.com/flujo/flujo-harness/core"
)

// Resumed prepares an arm for resuming a run that another process executed: its scripts continue
// after the calls in the saved records, as they do within one process. It must be called before the
// run is resumed. If several agents answer for one step, as in [Choose], each of them continues
// after all calls of the step.
func (b *Book) Resumed(armName string, snap core.Snapshot) error {
	a, err := b.arm(armName)
	if err != nil {
		return fmt.Errorf("continue run %q: %w", snap.Start.Key, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, rec := range snap.Steps {
		s := a.scripts[core.PlanPath(rec.Path)]
		if s == nil || rec.Usage.Calls == 0 {
			continue // answered by a person or from the cache
		}
		s.asked.Add(rec.Usage.Calls)
		s.again.Add(rec.Usage.Calls - 1)
		if a.elsewhere == nil {
			a.elsewhere = map[lane]int{}
		}
		a.elsewhere[lane{snap.Start.Key, b.plan.LanePath(rec.Path)}] += int(rec.Usage.Calls)
	}
	return nil
}

// lane identifies a line of execution of a run.
type lane struct {
	run  core.RunKey
	path string
}
