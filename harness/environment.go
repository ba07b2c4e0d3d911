package harness

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
)

// Class names the kind of machine that limits are kept by: "linux-amd64-2cpu".
func Class() string {
	return fmt.Sprintf("%s-%s-%dcpu", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
}

// Describe returns the environment of a measurement whose databases lie in dir.
// What cannot be found out is "unknown".
func Describe(ctx context.Context, dir string) Environment {
	e := Environment{
		Class: Class(), OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		CPU: "unknown", Kernel: "unknown", Filesystem: "unknown", SQLite: "unknown",
	}
	if infos, err := cpu.InfoWithContext(ctx); err == nil && len(infos) > 0 {
		e.CPU = infos[0].ModelName
	}
	if k, err := host.KernelVersionWithContext(ctx); err == nil {
		e.Kernel = k
	}
	if u, err := disk.UsageWithContext(ctx, dir); err == nil && u.Fstype != "" {
		e.Filesystem = filesystemName(u.Fstype)
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "modernc.org/sqlite" {
				e.SQLite = m.Path + " " + m.Version
			}
		}
	}
	return e
}

// filesystemName shortens gopsutil's "ext2/ext3": the kernel gives one magic
// number to all three.
func filesystemName(kind string) string {
	if strings.HasPrefix(kind, "ext2") {
		return "ext2/3/4"
	}
	return kind
}
