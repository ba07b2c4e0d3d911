package machine

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"
)

func TestQuotaCheck(t *testing.T) {
	const own = "sys/fs/cgroup/user/session/"
	v1 := func(root string, pairs ...string) func(*site, *hands, fstest.MapFS) {
		return func(s *site, h *hands, files fstest.MapFS) {
			gone("sys/fs/cgroup")(s, h, files)
			put(append([]string{"proc/self/cgroup", "4:memory:/x\n1:cpu,cpuacct:/docker/abc\n0::/\n", root + "/cpu.shares", "1024"}, pairs...)...)(s, h, files)
		}
	}
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkQuota }, change{
		"none":          {nil, said{MarkOK, "", "GOMAXPROCS 2 of 2 cores; no quota", ""}},
		"half a core":   {put(own+"cpu.max", "50000 100000"), said{MarkWarn, "", "quota 0.5 cores; throttled 0 times", "raise it to 2 cores"}},
		"of a parent":   {put("sys/fs/cgroup/user/cpu.max", "150000 100000"), said{MarkWarn, "", "quota 1.5 cores", "raise it"}},
		"the least":     {put("sys/fs/cgroup/user/cpu.max", "100000 100000", own+"cpu.max", "150000 100000"), said{MarkWarn, "", "quota 1 cores", ""}},
		"enough":        {put(own+"cpu.max", "400000 100000"), said{MarkOK, "", "quota 4 cores", ""}},
		"throttled now": {put(own+"cpu.max", "400000 100000", own+"cpu.stat", "nr_periods 9\nnr_throttled 7\n"), said{MarkWarn, "", "throttled 7 times during this inspection, 7 in all", "something else"}},
		"throttled before": {func(s *site, h *hands, files fstest.MapFS) {
			put(own+"cpu.max", "400000 100000", own+"cpu.stat", "nr_throttled 7\n")(s, h, files)
			s.before = s.counters()
		}, said{MarkOK, "", "throttled 0 times during this inspection, 7 in all", ""}},
		"no counters": {func(s *site, h *hands, files fstest.MapFS) {
			put(own+"cpu.max", "400000 100000")(s, h, files)
			delete(files, own+"cpu.stat")
		}, said{MarkOK, "", "quota 4 cores", ""}},
		"version 1":          {v1("sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "50000", "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000"), said{MarkWarn, "", "quota 0.5 cores", ""}},
		"version 1 in a box": {v1("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "120000", "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"), said{MarkWarn, "", "quota 1.2 cores", ""}},
		"version 1, none":    {v1("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"), said{MarkOK, "", "no quota", ""}},
		"outside the box":    {put("proc/self/cgroup", "0::/../../other\n", "sys/fs/cgroup/cpu.max", "50000 100000"), said{MarkWarn, "", "quota 0.5 cores", ""}},
		"no groups":          {gone("sys/fs/cgroup"), said{MarkUnknown, "", "control groups cannot be read", ""}},
		"no /proc":           {gone("proc"), said{MarkUnknown, "", "control groups cannot be read", ""}},
		"nonsense":           {put(own+"cpu.max", "a lot"), said{MarkOK, "", "no quota", ""}},
		"no period":          {put(own+"cpu.max", "50000 0"), said{MarkOK, "", "no quota", ""}},
	})
}

func TestFrequencyCheck(t *testing.T) {
	const cpu = "sys/devices/system/cpu/"
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkFrequency }, change{
		"steady":     {nil, said{MarkOK, "", "governor performance on 2 cores, boost off", ""}},
		"powersave":  {put(cpu+"cpu0/cpufreq/scaling_governor", "powersave", cpu+"cpu1/cpufreq/scaling_governor", "powersave"), said{MarkNote, "", "governor powersave on 2 cores", `"performance"`}},
		"one of two": {put(cpu+"cpu1/cpufreq/scaling_governor", "schedutil\n"), said{MarkNote, "", "governor performance on 1 cores, governor schedutil on 1 cores", `"performance"`}},
		"boost":      {put(cpu+"cpufreq/boost", "1\n"), said{MarkNote, "", "boost on", "switch boost off"}},
		"turbo": {func(s *site, h *hands, files fstest.MapFS) {
			gone(cpu+"cpufreq")(s, h, files)
			put(cpu+"intel_pstate/no_turbo", "0")(s, h, files)
		}, said{MarkNote, "", "boost on", "heat"}},
		"nothing there": {gone("sys/devices"), said{MarkUnknown, "", "not visible", ""}},
	})
}

func TestLoadCheck(t *testing.T) {
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkLoad }, change{
		"idle":     {nil, said{MarkOK, "", "0.40 over the last minute, on 2 cores", ""}},
		"busy":     {put("proc/loadavg", "2.01 1 1 1/9 9"), said{MarkWarn, "", "2.01 over", "wait"}},
		"none":     {gone("proc/loadavg"), said{MarkUnknown, "", "no load average", ""}},
		"nonsense": {put("proc/loadavg", "x"), said{MarkUnknown, "", "no load average", ""}},
	})
}

func TestStealCheck(t *testing.T) {
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkSteal }, change{
		"none":     {nil, said{MarkOK, "", "0.0% of the cores' time went to other machines of the host (n=200 ticks)", ""}},
		"oversold": {put("proc/stat", "cpu  1100 0 100 9090 0 0 10 15 0 0\n"), said{MarkWarn, "", "5.0% of", "another hour"}},
		// 100 ticks of guest time are in the user time already.
		"guests":        {put("proc/stat", "cpu  1100 0 100 9096 0 0 10 9 100 0\n"), said{MarkOK, "", "2.0% of the cores' time went to other machines of the host (n=200 ticks)", ""}},
		"no time":       {put("proc/stat", "cpu  1000 0 100 9000 0 0 10 5 0 0\n"), said{MarkUnknown, "", "not visible", ""}},
		"none any more": {gone("proc/stat"), said{MarkUnknown, "", "not visible", ""}},
		"none before":   {func(s *site, _ *hands, _ fstest.MapFS) { s.before = counters{} }, said{MarkUnknown, "", "not visible", ""}},
		"nonsense":      {put("proc/stat", "cpu  1100 0 x 9090 0 0 10 15 0 0\n"), said{MarkUnknown, "", "not visible", ""}},
	})
}

func TestMachineCheck(t *testing.T) {
	virtual := func(system, role string, err error) func(*site, *hands, fstest.MapFS) {
		return func(s *site, _ *hands, _ fstest.MapFS) {
			s.virtual = func(context.Context) (string, string, error) { return system, role, err }
		}
	}
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkMachine }, change{
		"metal":     {nil, said{MarkOK, "", "no sign", ""}},
		"docker":    {virtual("docker", "guest", nil), said{MarkNote, "", "a guest: docker", "ratios"}},
		"guest":     {virtual("", "guest", nil), said{MarkNote, "", "a virtual machine", ""}},
		"host":      {virtual("kvm", "host", nil), said{MarkOK, "", "no sign", ""}},
		"flag":      {put("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor avx\n"), said{MarkNote, "", "a virtual machine", "ratios"}},
		"not there": {virtual("", "", errors.ErrUnsupported), said{MarkUnknown, "", "not visible", ""}},
		"no /proc":  {gone("proc"), said{MarkUnknown, "", "not visible", ""}},
	})
}

func TestMemoryAndRaceChecks(t *testing.T) {
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkMemory }, change{
		"unset": {nil, said{MarkOK, "", "not set", ""}},
		"set": {func(s *site, _ *hands, _ fstest.MapFS) {
			s.getenv = func(name string) string { return map[string]string{"GOGC": "off", "GOMEMLIMIT": "1GiB"}[name] }
		}, said{MarkNote, "", "GOGC=off GOMEMLIMIT=1GiB", "unset them"}},
	})
	fires(t, func(s *site) func(context.Context) (Check, error) { return s.checkRace }, change{
		"without": {nil, said{MarkOK, "", "without -race", ""}},
		"with":    {func(s *site, _ *hands, _ fstest.MapFS) { s.race = true }, said{MarkBad, NoTimings, "built with -race", "do not measure with -race"}},
	})
}
