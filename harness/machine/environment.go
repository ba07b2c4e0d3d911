package machine

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
)

// Class names the kind of machine for which limits are stored, such as
// "linux-amd64-2cpu-amd-epyc-7b13". It includes the processor's model, because the overhead ratio
// (backend - none)/floor of an unchanged program differed by up to 20% between two processors
// of otherwise equal machines.
func Class() string { return class(processor(context.Background())) }

func class(cpu string) string {
	words := strings.FieldsFunc(strings.ToLower(cpu), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	words = slices.DeleteFunc(words, func(w string) bool { return slices.Contains([]string{"r", "tm", "cpu", "processor"}, w) })
	return strings.Join(append([]string{runtime.GOOS, runtime.GOARCH, fmt.Sprintf("%dcpu", runtime.GOMAXPROCS(0))}, words...), "-")
}

// processor returns the name of the processor's model, or "unknown".
func processor(ctx context.Context) string {
	if infos, err := cpu.InfoWithContext(ctx); err == nil && len(infos) > 0 && infos[0].ModelName != "" {
		return unmasked(infos[0])
	}
	return "unknown"
}

// unmasked returns the name of a processor's model. Hypervisors mask it to a name that several
// models share, such as "AMD EPYC": (W-N)/F of an unchanged program was 1.13 on one machine of this
// name and 1.22 on another. Then the numbers that CPUID gives tell the models apart.
func unmasked(info cpu.InfoStat) string {
	name, _, _ := strings.Cut(info.ModelName, "@") // the clock rate is not part of the model
	if strings.ContainsAny(name, "0123456789") || info.Family == "" {
		return info.ModelName
	}
	return fmt.Sprintf("%s family %s model %s stepping %d", strings.TrimSpace(name), info.Family, info.Model, info.Stepping)
}

// Describe returns the environment of a measurement whose databases are in dir. Properties that
// cannot be determined are "unknown".
func Describe(ctx context.Context, dir string) Environment {
	e := Environment{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		CPU: processor(ctx), Kernel: "unknown", Filesystem: "unknown", SQLite: "unknown",
	}
	e.Class = class(e.CPU)
	if k, err := host.KernelVersionWithContext(ctx); err == nil {
		e.Kernel = k
	}
	if u, err := disk.UsageWithContext(ctx, dir); err == nil && u.Fstype != "" {
		e.Filesystem = filesystemName(u.Fstype)
	}
	if module := sqliteModule(); module != "" {
		e.SQLite = module
	}
	return e
}

// sqliteModule returns the module of SQLite that this program is built with, and its version, or ""
// if it is unknown. A test program has no list of its modules: there the go command is asked, in
// the working directory, which is the folder of the tested package.
var sqliteModule = sync.OnceValue(func() string {
	const module = "modernc.org/sqlite"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Path + " " + m.Version
		}
	}
	if len(info.Deps) > 0 || !strings.HasSuffix(info.Path, ".test") {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Version}}", module).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
})

// filesystemName shortens gopsutil's "ext2/ext3". The kernel reports one magic number for
// ext2, ext3 and ext4 (statfs(2)).
func filesystemName(kind string) string {
	if strings.HasPrefix(kind, "ext2") {
		return "ext2/3/4"
	}
	return kind
}

// Environment describes the machine and the software of a measurement. It is stored with
// results and with limits.
type Environment struct {
	Class      string `json:"class" toml:"class"` // see the function [Class]
	OS         string `json:"os" toml:"os"`
	Arch       string `json:"arch" toml:"arch"`
	Cores      int    `json:"cores" toml:"cores"` // GOMAXPROCS
	CPU        string `json:"cpu" toml:"cpu"`
	Kernel     string `json:"kernel" toml:"kernel"`
	Filesystem string `json:"filesystem" toml:"filesystem"`
	Go         string `json:"go" toml:"go"`
	SQLite     string `json:"sqlite" toml:"sqlite"`                       // version of the driver module
	Backend    string `json:"backend,omitempty" toml:"backend,omitempty"` // what is measured, where that is not SQLite: versions of a server and its driver
}
