package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/harness/machine"
)

// Conditions describes how busy the machine was when a session began, and how fast its storage
// was.
type Conditions struct {
	Canary machine.CanaryResult `json:"canary"`
	Sync   time.Duration        `json:"sync_ns"` // median time to overwrite and sync 4 KiB
	Syncs  int                  `json:"syncs"`   // number of syncs measured; 0: none
}

// LeastSync is the shortest time in which a sync can have reached stable storage. Faster syncs
// end in a cache, and whether that cache survives a loss of power must be known otherwise.
const LeastSync = 50 * time.Microsecond

// conditions examines the machine before anything is measured.
func (s Session) conditions(ctx context.Context, level corebench.Level, dir string) (c Conditions, err error) {
	c.Canary = machine.Canary(ctx)
	if level.Waits && level.Local {
		c.Syncs = 20
		c.Sync, err = syncTime(dir, c.Syncs)
	}
	switch s.Mutant {
	case MutantNoisy:
		c.Canary.Away = 0.9
	case MutantLyingDisk:
		c.Sync, c.Syncs = 5*time.Microsecond, 20
	}
	return c, err
}

// syncTime measures n times how long it takes to overwrite and sync 4 KiB in a file of dir.
func syncTime(dir string, n int) (median time.Duration, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "sync"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("measure a sync: %w", err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	took := make([]time.Duration, 0, n)
	for i := range n + 1 {
		page[0] = byte(i)
		began := time.Now()
		if _, err = f.WriteAt(page, 0); err == nil {
			err = f.Sync()
		}
		if err != nil {
			return 0, fmt.Errorf("measure a sync: %w", err)
		}
		if i > 0 { // the first write allocates the block
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
