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

// site is the source of the facts that the checks use. Tests replace parts of it.
type site struct {
	dir     string // absolute, without symbolic links
	scratch string // empty folder in dir, for writing
	files   fs.FS  // the machine's root, for /proc and /sys

	now    func() time.Time
	canary func(context.Context) CanaryResult
	filled func(context.Context) CanaryResult                // a canary whose loop fills a core
	rate   func(ctx context.Context, goroutines int) float64 // loops per second of each goroutine
	procs  int                                               // GOMAXPROCS
	cpus   int                                               // processors that the process may use
	race   bool
	getenv func(string) string

	usage   func(context.Context, string) (*disk.UsageStat, error)
	virtual func(context.Context) (system, role string, err error)
	sync    func(*os.File) error
	backend corebench.Backend
	open    func(ctx context.Context, path, durability string) (core.Backend, error)

	before counters // at the start of the inspection
}

// counters are totals since the machine was started, of which only differences have a meaning.
type counters struct {
	ticks     cpuTicks
	throttled int64 // times the control group was stopped because of its quota; -1 if unknown
}

func (s *site) counters() counters {
	_, throttled := s.quota()
	return counters{s.ticks(), throttled}
}

// thisSite returns the facts of this machine. Systems other than Linux have no /proc and /sys,
// and the checks that read from there report unknown.
func thisSite(dir, scratch string, backend corebench.Backend) *site {
	return &site{
		dir: dir, scratch: scratch, files: os.DirFS("/"),
		now: time.Now, canary: Canary, rate: spinRate,
		filled: func(ctx context.Context) CanaryResult { return canary(ctx, time.Now, fill) },
		procs:  runtime.GOMAXPROCS(0), cpus: runtime.NumCPU(), race: builtWithRace(), getenv: os.Getenv,
		usage: disk.UsageWithContext, virtual: host.VirtualizationWithContext,
		sync:    (*os.File).Sync,
		backend: backend,
		open: func(ctx context.Context, path, durability string) (core.Backend, error) {
			return backend.Open(ctx, path, durability)
		},
	}
}

// builtWithRace reads the build setting that the go command records in every program.
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

// inspect runs the checks in the order of their output. Checks that measure run first, so that
// steal and throttling are counted while they load the machine.
func (s *site) inspect(ctx context.Context, doing func(string)) ([]Check, error) {
	s.before = s.counters()
	var checks []Check
	for _, c := range []struct {
		name string
		make func(context.Context) (Check, error)
	}{
		{"clock", s.checkClock}, {"canary", s.checkCanary}, {"cores", s.checkCores}, {"neighbours", s.checkNeighbours},
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
