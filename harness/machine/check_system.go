package machine

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// read returns the text of a file; ok is false if it cannot be read.
func (s *site) read(name string) (text string, ok bool) {
	b, err := fs.ReadFile(s.files, name)
	return strings.TrimSpace(string(b)), err == nil
}

// field returns the number that follows word at the start of a line.
func field(text, word string) (int64, bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == word {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// unlimited is the quota of a control group without a limit.
const unlimited = -1

// quota returns the number of cores that the control group of this process may use: the lowest
// limit of the group and its ancestors, [unlimited] if none has a limit, and 0 if it cannot be
// determined. throttled counts how often the group with that limit was stopped, -1 if unknown.
func (s *site) quota() (cores float64, throttled int64) {
	groups, ok := s.read("proc/self/cgroup")
	if !ok {
		return 0, -1
	}
	cores, throttled = 0, -1
	limit := func(root, group string, read func(dir string) float64) {
		for dir := path.Join(root, path.Clean("/"+group)); ; dir = path.Dir(dir) {
			if _, err := fs.Stat(s.files, dir); err == nil && cores == 0 {
				cores = unlimited // the group is visible
			}
			if q := read(dir); q > 0 && (cores <= 0 || q < cores) {
				cores, throttled = q, -1
				if text, ok := s.read(path.Join(dir, "cpu.stat")); ok {
					if n, ok := field(text, "nr_throttled"); ok {
						throttled = n
					}
				}
			}
			if dir == root {
				return
			}
		}
	}
	for line := range strings.Lines(groups) { // "0::/path" of version 2, "4:cpu,cpuacct:/path" of version 1
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		controllers := strings.Split(parts[1], ",")
		switch {
		case slices.Contains(controllers, "cpu"):
			for _, root := range []string{"sys/fs/cgroup/" + parts[1], "sys/fs/cgroup/cpu"} {
				if _, err := fs.Stat(s.files, root); err == nil {
					limit(root, parts[2], s.quotaV1)
					break
				}
			}
		case parts[0] == "0":
			if _, ok := s.read("sys/fs/cgroup/cgroup.controllers"); ok { // otherwise version 1 controls the CPU
				limit("sys/fs/cgroup", parts[2], s.quotaV2)
			}
		}
	}
	return cores, throttled
}

// quotaV2 reads cpu.max, "50000 100000" or "max 100000": µs of CPU time per period in µs
// (Linux, Documentation/admin-guide/cgroup-v2.rst).
func (s *site) quotaV2(dir string) float64 {
	text, _ := s.read(path.Join(dir, "cpu.max"))
	quota, period, _ := strings.Cut(text, " ")
	return coresOf(quota, period)
}

// quotaV1 reads the quota and the period, in µs, from two files; a quota of -1 is no limit
// (Linux, Documentation/scheduler/sched-bwc.rst).
func (s *site) quotaV1(dir string) float64 {
	quota, _ := s.read(path.Join(dir, "cpu.cfs_quota_us"))
	period, _ := s.read(path.Join(dir, "cpu.cfs_period_us"))
	return coresOf(quota, period)
}

// coresOf returns quota/period, or 0 unless both are positive integers.
func coresOf(quota, period string) float64 {
	x, errX := strconv.ParseInt(quota, 10, 64)
	y, errY := strconv.ParseInt(period, 10, 64)
	if errX != nil || errY != nil || x <= 0 || y <= 0 {
		return 0
	}
	return float64(x) / float64(y)
}

// checkQuota compares the control group's quota with GOMAXPROCS.
func (s *site) checkQuota(context.Context) (Check, error) {
	cores, throttled := s.quota()
	c := Check{Mark: MarkOK, Figures: []Figure{{"GOMAXPROCS", float64(s.procs), "cores", 0}, {"cpus", float64(s.cpus), "cores", 0}}}
	has := fmt.Sprintf("GOMAXPROCS %d of %d cores", s.procs, s.cpus)
	switch {
	case cores == 0:
		c.Mark, c.Finding = MarkUnknown, has+"; control groups cannot be read"
		return c, nil
	case cores == unlimited:
		c.Finding = has + "; no quota"
		return c, nil
	}
	c.Figures = append(c.Figures, Figure{"quota", cores, "cores", 0})
	c.Finding = fmt.Sprintf("%s; quota %.3g cores", has, cores)
	more := int64(0)
	if throttled >= 0 {
		more = max(0, throttled-max(0, s.before.throttled))
		c.Figures = append(c.Figures, Figure{"throttled", float64(more), "times", 0})
		c.Finding += fmt.Sprintf("; throttled %d times during this inspection, %d in all", more, throttled)
	}
	switch {
	case cores < float64(s.procs):
		c.Mark = MarkWarn
		c.Do = fmt.Sprintf("the kernel stops the group for the rest of each period once it has used its quota: raise it to %d cores, or lower GOMAXPROCS", s.procs)
	case more > 0:
		c.Mark = MarkWarn
		c.Do = "something else in this control group uses the quota: end it or raise the quota"
	}
	return c, nil
}

// checkFrequency reports the settings that let the clock rate of the cores change.
func (s *site) checkFrequency(context.Context) (Check, error) {
	names, _ := fs.Glob(s.files, "sys/devices/system/cpu/cpu*/cpufreq/scaling_governor") // the only error is a malformed pattern
	governors := map[string]int{}
	for _, name := range names {
		if g, ok := s.read(name); ok {
			governors[g]++
		}
	}
	boost := ""
	if v, ok := s.read("sys/devices/system/cpu/cpufreq/boost"); ok {
		boost = map[string]string{"0": "off", "1": "on"}[v]
	} else if v, ok := s.read("sys/devices/system/cpu/intel_pstate/no_turbo"); ok {
		boost = map[string]string{"0": "on", "1": "off"}[v]
	}
	if len(governors) == 0 && boost == "" {
		return Check{Mark: MarkUnknown, Finding: "the governor and boost are not visible from here"}, nil
	}
	c := Check{Mark: MarkOK}
	var finding, do []string
	for _, g := range slices.Sorted(maps.Keys(governors)) {
		finding = append(finding, fmt.Sprintf("governor %s on %d cores", g, governors[g]))
	}
	if len(governors) > 1 || len(governors) == 1 && governors["performance"] == 0 {
		do = append(do, `set the governor "performance"`)
	}
	if boost != "" {
		finding = append(finding, "boost "+boost)
	}
	if boost == "on" {
		do = append(do, "switch boost off if you compare times rather than ratios: with boost the clock rate follows heat and load")
	}
	c.Finding = strings.Join(finding, ", ")
	if c.Do = strings.Join(do, "; "); c.Do != "" {
		c.Mark = MarkNote
	}
	return c, nil
}

// checkLoad compares the load average of the last minute (runnable tasks; on Linux also those
// in uninterruptible sleep, proc_loadavg(5)) with the number of cores.
func (s *site) checkLoad(context.Context) (Check, error) {
	text, _ := s.read("proc/loadavg")
	first, _, _ := strings.Cut(text, " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return Check{Mark: MarkUnknown, Finding: "this system reports no load average"}, nil
	}
	c := Check{Mark: MarkOK, Finding: fmt.Sprintf("%.2f over the last minute, on %d cores", load, s.cpus),
		Figures: []Figure{{"load", load, "tasks", 0}}}
	if load > float64(s.cpus) {
		c.Mark = MarkWarn
		c.Do = "more tasks are runnable than there are cores: end some, or wait"
	}
	return c, nil
}

// cpuTicks are sums over all cores since the machine was started, in units of USER_HZ (usually
// 10 ms).
type cpuTicks struct{ steal, all int64 }

// ticks reads /proc/stat; both values are zero if it cannot be read. The columns from guest on
// are left out of the sum, because user time already includes guest time (proc_stat(5)).
func (s *site) ticks() (t cpuTicks) {
	const steal, guest = 7, 8 // columns
	text, _ := s.read("proc/stat")
	line, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(line)
	if len(f) <= guest || f[0] != "cpu" {
		return t
	}
	for i, v := range f[1 : 1+guest] {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return cpuTicks{}
		}
		t.all += n
		if i == steal {
			t.steal = n
		}
	}
	return t
}

// checkSteal reports the share of the cores' time that the host gave to other machines since
// the inspection started. The bound of 2% is a rule of thumb.
func (s *site) checkSteal(context.Context) (Check, error) {
	now := s.ticks()
	all := now.all - s.before.ticks.all
	if s.before.ticks.all == 0 || all <= 0 {
		return Check{Mark: MarkUnknown, Finding: "stolen time is not visible from here"}, nil
	}
	share := float64(now.steal-s.before.ticks.steal) / float64(all)
	c := Check{Mark: MarkOK, Finding: fmt.Sprintf("%.1f%% of the cores' time went to other machines of the host (n=%d ticks)", 100*share, all),
		Figures: []Figure{{"steal", share, "share", int(all)}}}
	if share > 0.02 {
		c.Mark = MarkWarn
		c.Do = "the host is overcommitted: measure at another hour, or on a dedicated machine"
	}
	return c, nil
}

// checkMachine reports whether this is a virtual machine or a container.
func (s *site) checkMachine(ctx context.Context) (Check, error) {
	system, role, err := s.virtual(ctx)
	info, read := s.read("proc/cpuinfo")
	hypervisor := false
	for line := range strings.Lines(info) {
		if name, flags, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "flags" {
			hypervisor = slices.Contains(strings.Fields(flags), "hypervisor")
			break
		}
	}
	const do = "the hardware may be shared: compare ratios rather than times, and calibrate on this kind of machine"
	switch {
	case role == "guest" && system != "":
		return Check{Mark: MarkNote, Finding: fmt.Sprintf("a guest: %s", system), Do: do}, nil
	case role == "guest" || hypervisor:
		return Check{Mark: MarkNote, Finding: "a virtual machine", Do: do}, nil
	case err != nil || !read:
		return Check{Mark: MarkUnknown, Finding: "whether this is a virtual machine or a container is not visible"}, nil
	}
	return Check{Mark: MarkOK, Finding: "no sign of a virtual machine or a container"}, nil
}

// checkMemory reports environment variables that change when garbage is collected.
func (s *site) checkMemory(context.Context) (Check, error) {
	var set []string
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if v := s.getenv(name); v != "" {
			set = append(set, name+"="+v)
		}
	}
	if set == nil {
		return Check{Mark: MarkOK, Finding: "GOGC and GOMEMLIMIT are not set"}, nil
	}
	return Check{Mark: MarkNote, Finding: strings.Join(set, " "),
		Do: "unset them unless production sets them too: they change the cost of allocations"}, nil
}

// checkRace rejects programs built with -race: they run several times slower, and different
// code by different factors.
func (s *site) checkRace(context.Context) (Check, error) {
	if s.race {
		return Check{Mark: MarkBad, Bars: NoTimings, Finding: "built with -race", Do: "do not measure with -race: build without it"}, nil
	}
	return Check{Mark: MarkOK, Finding: "built without -race"}, nil
}
