package machine

import (
	"context"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/corebench"
)

// site is where the checks get their facts from. Tests make up their own.
type site struct {
	dir     string // absolute, without links
	scratch string // empty folder in it, to write to
	files   fs.FS  // the machine's root: /proc and /sys, where there are any

	now    func() time.Time
	canary func(context.Context) CanaryResult
	rate   func(ctx context.Context, goroutines int) float64 // loops a second of each
	procs  int                                               // GOMAXPROCS
	cpus   int                                               // that the process may run on
	race   bool
	getenv func(string) string

	usage   func(context.Context, string) (*disk.UsageStat, error)
	virtual func(context.Context) (system, role string, err error)
	sync    func(*os.File) error
	backend corebench.Backend
	open    func(ctx context.Context, path, durability string) (core.Backend, error)

	before counters // when the inspection began
}

// counters of the machine that only a difference makes sense of.
type counters struct {
	ticks     cpuTicks
	throttled int64 // times the group of the process was stopped for its quota; -1 unknown
}

func (s *site) counters() counters {
	_, throttled := s.quota()
	return counters{s.ticks(), throttled}
}

// thisSite is the machine itself. Off Linux the root has no /proc, and what is read from
// there is unknown.
func thisSite(dir, scratch string, backend corebench.Backend) *site {
	return &site{
		dir: dir, scratch: scratch, files: os.DirFS("/"),
		now: time.Now, canary: Canary, rate: spinRate,
		procs: runtime.GOMAXPROCS(0), cpus: runtime.NumCPU(), race: builtWithRace(), getenv: os.Getenv,
		usage: disk.UsageWithContext, virtual: host.VirtualizationWithContext,
		sync:    (*os.File).Sync,
		backend: backend,
		open: func(ctx context.Context, path, durability string) (core.Backend, error) {
			return backend.Open(ctx, path, durability)
		},
	}
}

// builtWithRace reads the setting that the go command leaves in every program it builds.
func builtWithRace() bool {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-race" {
				return setting.Value == "true"
			}
		}
	}
	return false
}

// inspect makes the checks in the order they are shown in. What is measured comes
// first: steal and throttling are counted over it.
func (s *site) inspect(ctx context.Context, doing func(string)) ([]Check, error) {
	s.before = s.counters()
	var checks []Check
	for _, c := range []struct {
		name string
		make func(context.Context) (Check, error)
	}{
		{"clock", s.checkClock}, {"canary", s.checkCanary}, {"cores", s.checkCores},
		{"fsync", s.checkSync}, {s.backend.Name(), s.checkSaves},
		{"filesystem", s.checkFilesystem}, {"space", s.checkSpace},
		{"quota", s.checkQuota}, {"frequency", s.checkFrequency}, {"load", s.checkLoad}, {"steal", s.checkSteal},
		{"machine", s.checkMachine}, {"memory", s.checkMemory}, {"race", s.checkRace},
	} {
		doing(c.name)
		check, err := c.make(ctx)
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if err != nil {
			return nil, err
		}
		check.Name = c.name
		checks = append(checks, check)
	}
	return checks, nil
}
