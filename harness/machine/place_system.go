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

// read returns the text of a file of the machine; ok is false where there is none.
func (s *site) read(name string) (text string, ok bool) {
	b, err := fs.ReadFile(s.files, name)
	return strings.TrimSpace(string(b)), err == nil
}

// field returns the number behind a word at the start of a line.
func field(text, word string) (int64, bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == word {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// unlimited is the quota of a group that has none.
const unlimited = -1

// quota returns the cores that the group of this process may use: the least of its own
// group and those above; [unlimited] where none has a limit, 0 where it cannot be
// found out. throttled is how often that group was stopped for it; -1 unknown.
func (s *site) quota() (cores float64, throttled int64) {
	groups, ok := s.read("proc/self/cgroup")
	if !ok {
		return 0, -1
	}
	cores, throttled = 0, -1
	limit := func(root, group string, read func(dir string) float64) {
		for dir := path.Join(root, path.Clean("/"+group)); ; dir = path.Dir(dir) {
			if _, err := fs.Stat(s.files, dir); err == nil && cores == 0 {
				cores = unlimited // the group can be seen
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
			if _, ok := s.read("sys/fs/cgroup/cgroup.controllers"); ok { // else version 2 has no say on CPU
				limit("sys/fs/cgroup", parts[2], s.quotaV2)
			}
		}
	}
	return cores, throttled
}

// quotaV2 reads "50000 100000" or "max 100000" (Documentation/admin-guide/cgroup-v2.rst).
func (s *site) quotaV2(dir string) float64 {
	text, _ := s.read(path.Join(dir, "cpu.max"))
	quota, period, _ := strings.Cut(text, " ")
	return coresOf(quota, period)
}

// quotaV1 reads two files, -1 in the first being no limit (Documentation/scheduler/sched-bwc.rst).
func (s *site) quotaV1(dir string) float64 {
	quota, _ := s.read(path.Join(dir, "cpu.cfs_quota_us"))
	period, _ := s.read(path.Join(dir, "cpu.cfs_period_us"))
	return coresOf(quota, period)
}

// coresOf divides quota by period; 0 where the texts are not both positive numbers.
func coresOf(quota, period string) float64 {
	x, errX := strconv.ParseInt(quota, 10, 64)
	y, errY := strconv.ParseInt(period, 10, 64)
	if errX != nil || errY != nil || x <= 0 || y <= 0 {
		return 0
	}
	return float64(x) / float64(y)
}

// checkQuota compares what the control group allows with what Go was told to use.
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
		c.Do = fmt.Sprintf("the group is stopped for the rest of each period once it has used the quota: raise it to %d cores, or lower GOMAXPROCS", s.procs)
	case more > 0:
		c.Mark = MarkWarn
		c.Do = "something else in this control group uses up the quota: end it or raise the quota"
	}
	return c, nil
}

// checkFrequency tells what may change the clock rate of the cores.
func (s *site) checkFrequency(context.Context) (Check, error) {
	names, _ := fs.Glob(s.files, "sys/devices/system/cpu/cpu*/cpufreq/scaling_governor") // the pattern is good
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
		return Check{Mark: MarkUnknown, Finding: "governor and boost cannot be seen from here"}, nil
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
		do = append(do, "switch boost off where times, and not ratios, are compared: its clock rate follows heat and load")
	}
	c.Finding = strings.Join(finding, ", ")
	if c.Do = strings.Join(do, "; "); c.Do != "" {
		c.Mark = MarkNote
	}
	return c, nil
}

// checkLoad compares the mean number of runnable tasks over the last minute with the cores.
func (s *site) checkLoad(context.Context) (Check, error) {
	text, _ := s.read("proc/loadavg")
	first, _, _ := strings.Cut(text, " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return Check{Mark: MarkUnknown, Finding: "there is no load average here"}, nil
	}
	c := Check{Mark: MarkOK, Finding: fmt.Sprintf("%.2f over the last minute, on %d cores", load, s.cpus),
		Figures: []Figure{{"load", load, "tasks", 0}}}
	if load > float64(s.cpus) {
		c.Mark = MarkWarn
		c.Do = "more wants to run than there are cores: end it, or wait"
	}
	return c, nil
}

// cpuTicks are of all cores, since the machine was started.
type cpuTicks struct{ steal, all int64 }

// ticks are zero where they cannot be read. Guest time is counted in user time too
// (proc_stat(5)).
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

// checkSteal tells how much of the cores' time the host gave to others while the checks
// before this one ran. The bound is a rule of thumb.
func (s *site) checkSteal(context.Context) (Check, error) {
	now := s.ticks()
	all := now.all - s.before.ticks.all
	if s.before.ticks.all == 0 || all <= 0 {
		return Check{Mark: MarkUnknown, Finding: "stolen time cannot be seen from here"}, nil
	}
	share := float64(now.steal-s.before.ticks.steal) / float64(all)
	c := Check{Mark: MarkOK, Finding: fmt.Sprintf("%.1f%% of the cores' time went to other machines of the host (n=%d ticks)", 100*share, all),
		Figures: []Figure{{"steal", share, "share", int(all)}}}
	if share > 0.02 {
		c.Mark = MarkWarn
		c.Do = "the host is oversold: measure at another hour, or on a machine of your own"
	}
	return c, nil
}

// checkMachine tells what the machine is made of, where it shows.
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
	const do = "others share the hardware: compare with ratios, and calibrate on this kind of machine"
	switch {
	case role == "guest" && system != "":
		return Check{Mark: MarkNote, Finding: fmt.Sprintf("a guest: %s", system), Do: do}, nil
	case role == "guest" || hypervisor:
		return Check{Mark: MarkNote, Finding: "a virtual machine", Do: do}, nil
	case err != nil || !read:
		return Check{Mark: MarkUnknown, Finding: "whether this is a virtual machine or a container cannot be seen"}, nil
	}
	return Check{Mark: MarkOK, Finding: "no sign of a virtual machine or a container"}, nil
}

// checkMemory tells of settings that change when garbage is collected.
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
		Do: "unset them unless production sets them too: they change what allocations cost"}, nil
}

// checkRace refuses a build that is several times slower than the real one, unevenly so.
func (s *site) checkRace(context.Context) (Check, error) {
	if s.race {
		return Check{Mark: MarkBad, Bars: NoTimings, Finding: "built with -race", Do: "do not measure with -race: build without it"}, nil
	}
	return Check{Mark: MarkOK, Finding: "built without -race"}, nil
}
