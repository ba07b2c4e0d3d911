package machine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shirou/gopsutil/v4/disk"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitebench"
)

// made returns a fake site for which every check is ok, its clock, and its files.
func made(t *testing.T) (*site, *hands, fstest.MapFS) {
	h := newHands(50 * time.Nanosecond)
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"proc/self/mountinfo":                 "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n28 27 0:24 / /data/pool rw shared:1 - xfs /dev/vdb rw\n",
		"proc/self/cgroup":                    "0::/user/session\n",
		"proc/loadavg":                        "0.40 0.30 0.20 1/90 10296\n",
		"proc/stat":                           "cpu  1000 0 100 9000 0 0 10 5 0 0\ncpu0 1 2 3\n",
		"proc/cpuinfo":                        "processor\t: 0\nflags\t\t: fpu sse avx\n",
		"sys/fs/cgroup/cgroup.controllers":    "cpu memory\n",
		"sys/fs/cgroup/user/session/cpu.max":  "max 100000\n",
		"sys/fs/cgroup/user/session/cpu.stat": "usage_usec 5\nnr_periods 0\nnr_throttled 0\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
		"sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n",
		"sys/devices/system/cpu/cpufreq/boost":                 "0\n",
	} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	s := &site{
		dir: "/data/pool/db", scratch: t.TempDir(), files: files,
		now: h.now,
		canary: func(context.Context) CanaryResult {
			return CanaryResult{Loops: 200, LoopUS: 100, Spread: 0.01, Away: 0.02}
		},
		filled: func(context.Context) CanaryResult { return CanaryResult{LoopUS: 100} },
		rate:   func(_ context.Context, n int) float64 { return 10_000 },
		procs:  2, cpus: 2,
		getenv: func(string) string { return "" },
		usage: func(context.Context, string) (*disk.UsageStat, error) {
			return &disk.UsageStat{Free: 50 << 30, Total: 100 << 30}, nil
		},
		virtual: func(context.Context) (string, string, error) { return "", "", nil },
		sync:    func(*os.File) error { h.at = h.at.Add(200 * time.Microsecond); return nil },
		backend: sqlitebench.Backend{},
		open: func(ctx context.Context, path, d string) (core.Backend, error) {
			b, err := sqlitebench.Backend{}.Open(ctx, path, d)
			cost := 30 * time.Microsecond
			if d == "power" {
				cost = 240 * time.Microsecond
			}
			return timedSaves{b, h, cost}, err
		},
	}
	s.before = s.counters()
	files["proc/stat"] = &fstest.MapFile{Data: []byte("cpu  1100 0 100 9100 0 0 10 5 0 0\n")} // since then
	return s, h, files
}

// timedSaves is a backend whose step saves take a fixed time on a fake clock.
type timedSaves struct {
	core.Backend
	h    *hands
	cost time.Duration
}

func (b timedSaves) Step(ctx context.Context, lease core.Lease, rec core.StepRecord) error {
	b.h.at = b.h.at.Add(b.cost)
	return b.Backend.Step(ctx, lease, rec)
}

// said holds the fields of a check that the tests compare.
type said struct {
	mark Mark
	bars Advice
	says string // substring of Finding
	do   string // substring of Do
}

// fires runs one check on changed copies of the fake site and compares the results.
func fires(t *testing.T, check func(*site) func(context.Context) (Check, error), cases map[string]struct {
	change func(*site, *hands, fstest.MapFS)
	want   said
}) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, h, files := made(t)
			if tc.change != nil {
				tc.change(s, h, files)
			}
			got, err := check(s)(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.Mark != tc.want.mark || got.Bars != tc.want.bars || !strings.Contains(got.Finding, tc.want.says) || !strings.Contains(got.Do, tc.want.do) {
				t.Errorf("%+v\nwant %+v", got, tc.want)
			}
			if got.Mark == MarkOK && got.Do != "" || (got.Mark == MarkWarn || got.Mark == MarkBad) && got.Do == "" {
				t.Errorf("mark %s with %q to do", got.Mark, got.Do)
			}
		})
	}
}

type change = map[string]struct {
	change func(*site, *hands, fstest.MapFS)
	want   said
}

// put writes files: name, text, name, text.
func put(pairs ...string) func(*site, *hands, fstest.MapFS) {
	return func(_ *site, _ *hands, files fstest.MapFS) {
		for i := 0; i < len(pairs); i += 2 {
			files[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
		}
	}
}

// gone removes the files whose names start with prefix.
func gone(prefix string) func(*site, *hands, fstest.MapFS) {
	return func(_ *site, _ *hands, files fstest.MapFS) {
		for name := range files {
			if strings.HasPrefix(name, prefix) {
				delete(files, name)
			}
		}
	}
}

func TestAdvice(t *testing.T) {
	process, timings := Check{Name: "a", Bars: ProcessOnly}, Check{Name: "b", Bars: NoTimings}
	for _, tc := range []struct {
		checks  []Check
		advice  Advice
		reasons []string
	}{
		{[]Check{{Name: "x", Mark: MarkWarn}}, MeasureHere, []string{}},
		{[]Check{{Name: "x"}, process}, ProcessOnly, []string{"a"}},
		{[]Check{timings, process, {Name: "c", Bars: NoTimings}}, NoTimings, []string{"b", "c"}},
	} {
		advice, reasons := advise(tc.checks)
		if advice != tc.advice || !cmp.Equal(reasons, tc.reasons) {
			t.Errorf("%v: %q because of %q, want %q because of %q", tc.checks, advice, reasons, tc.advice, tc.reasons)
		}
	}
}

// Every check of the fake site is ok, and each runs once.
func TestAGoodSiteIsOneToMeasureIn(t *testing.T) {
	s, _, files := made(t)
	put("proc/stat", "cpu  1000 0 100 9000 0 0 10 5 0 0\n")(s, nil, files)
	s.before = counters{}
	var told, names []string
	checks, err := s.inspect(t.Context(), func(check string) {
		told = append(told, check)
		if check == "steal" {
			put("proc/stat", "cpu  1100 0 100 9100 0 0 10 5 0 0\n")(s, nil, files)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		names = append(names, c.Name)
		if c.Mark != MarkOK {
			t.Errorf("%+v", c)
		}
	}
	want := []string{"clock", "canary", "cores", "neighbours", "fsync", "sqlite", "filesystem", "space", "quota", "frequency", "load", "steal", "machine", "memory", "race"}
	if !cmp.Equal(names, want) || !cmp.Equal(told, want) {
		t.Errorf("checks %q, announced %q; want %q", names, told, want)
	}
}

// Systems other than Linux have no /proc and no /sys: checks that read them must not be ok.
func TestWhatCannotBeReadIsUnknown(t *testing.T) {
	s, _, files := made(t)
	clear(files)
	s.usage = func(context.Context, string) (*disk.UsageStat, error) { return nil, errors.ErrUnsupported }
	s.virtual = func(context.Context) (string, string, error) { return "", "", errors.ErrUnsupported }
	checks, err := s.inspect(t.Context(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	var unknown []string
	for _, c := range checks {
		if c.Mark == MarkUnknown {
			unknown = append(unknown, c.Name)
		}
	}
	want := []string{"filesystem", "space", "quota", "frequency", "load", "steal", "machine"}
	if !cmp.Equal(unknown, want) {
		t.Errorf("unknown are %q, want %q", unknown, want)
	}
}

func TestInspectCannotFindOut(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), filepath.Join(dir, "none"), sqlitebench.Backend{}, func(string) {}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
	if _, err := Inspect(t.Context(), file, sqlitebench.Backend{}, func(string) {}); err == nil || !strings.Contains(err.Error(), "name a writable folder") {
		t.Errorf("a file for a folder: %v", err)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	_, err := Inspect(ctx, dir, sqlitebench.Backend{}, func(check string) {
		if check == "sqlite" { // the check before it has created a file
			cancel(why)
		}
	})
	if !errors.Is(err, why) {
		t.Errorf("cancelled: %v", err)
	}
	s, _, _ := made(t)
	s.sync = func(*os.File) error { return errors.ErrUnsupported }
	if _, err := s.inspect(t.Context(), func(string) {}); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), s.dir) {
		t.Errorf("a disk that cannot sync: %v", err)
	}
	s.scratch = filepath.Join(dir, "none")
	if _, err := s.checkSync(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nowhere to write to: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("remaining files: %v, error %v", left, err)
	}
}

// On the real machine every check has a result, and no file remains.
func TestInspectThisMachine(t *testing.T) {
	dir := t.TempDir()
	p, err := Inspect(t.Context(), dir, sqlitebench.Backend{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if p.Schema != 1 || p.Dir != dir || p.Advice == "" || p.Environment.Class != Class() || len(p.Checks) != 15 {
		t.Errorf("%+v", p)
	}
	for _, c := range p.Checks {
		if c.Mark == "" || c.Finding == "" {
			t.Errorf("%+v", c)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("remaining files: %v, error %v", left, err)
	}
}
