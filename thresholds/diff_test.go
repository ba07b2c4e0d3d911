package thresholds

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness"
)

// named returns the limit for another workload.
func named(workload string, baseline float64) Limit {
	l := fileWith(baseline).Limits[0]
	l.Workload = workload
	return l
}

func TestDiffNamesEveryChange(t *testing.T) {
	base, head := fileWith(1.3), fileWith(1.4)
	base.Limits = append(base.Limits, named("tighter", 2), named("same", 1), named("gone", 3))
	head.Limits = append(head.Limits, named("new", 5), named("same", 1), named("tighter", 1.9))
	var got []string
	for _, c := range Diff(base, head) {
		got = append(got, c.String())
	}
	want := []string{
		"loosened   default cost_ratio at process: limit 1.43 -> 1.54 (+7.69%)",
		"tightened  tighter cost_ratio at process: limit 2.2 -> 2.09 (-5.00%)",
		"dropped    gone cost_ratio at process: limit 3.3",
		"added      new cost_ratio at process: limit 5.5 (baseline 5, margin 10%)",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := Diff(base, nil); len(got) != 4 || got[0].Kind != Dropped {
		t.Errorf("all limits dropped: %v", got)
	}
	if got := Diff(base, base); len(got) != 0 {
		t.Errorf("no difference: %v", got)
	}
}

// Equal figures, but a later expiry date of the loosening that led to them.
func TestAPostponedExpiryIsALoosening(t *testing.T) {
	file := func(expires string, baseline float64) *File {
		f := fileWith(1.3)
		c := f.Compare(fileWith(1.4).Limits[0])
		if err := f.Apply(c, "bigger records", expires, today); err != nil {
			t.Fatal(err)
		}
		f.Limits[0] = fileWith(baseline).Limits[0]
		return f
	}
	forgotten := file("2026-04-01", 1.4)
	forgotten.Ledger = nil
	for name, tc := range map[string]struct {
		head *File
		want Kind
	}{
		"later":                      {file("2027-04-01", 1.4), Loosened},
		"later and tighter":          {file("2027-04-01", 1.39), Loosened},
		"for ever":                   {forgotten, Loosened},
		"sooner":                     {file("2026-03-02", 1.4), Unchanged},
		"later, but tight as before": {file("2027-04-01", 1.3), Tightened},
		"as it was":                  {file("2026-04-01", 1.4), Unchanged},
	} {
		got := Diff(file("2026-04-01", 1.4), tc.head)
		switch {
		case tc.want == Unchanged && len(got) != 0:
			t.Errorf("%s: %v", name, got)
		case tc.want == Tightened && (len(got) != 1 || got[0].Kind != Tightened):
			t.Errorf("%s: %v", name, got)
		case tc.want == Loosened && (len(got) != 1 || got[0].Kind != Loosened || !strings.Contains(got[0].String(), "no longer until 2026-04-01")):
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestBaseJudges(t *testing.T) {
	base, head := fileWith(1.3), fileWith(3)
	base.Path = "main:limits/here.toml"
	base.Limits = append(base.Limits, named("gone", 3))
	head.Limits = append(head.Limits, named("new", 5))
	head.Ledger = []Entry{
		{Change: Loosened, Workload: "default", Metric: MetricCostRatio, Durability: "process", Reason: "so", Expires: "2020-01-01"},
		{Change: Added, Workload: "new", Metric: MetricCostRatio, Durability: "process"},
	}
	f := Base(base, head)
	var got []string
	for _, l := range f.Limits {
		got = append(got, l.Workload)
	}
	if d := cmp.Diff([]string{"default", "gone", "new"}, got); d != "" {
		t.Errorf("limits (-want +got):\n%s", d)
	}
	if f.Limits[0].Baseline != 1.3 || len(f.Ledger) != 1 || f.Ledger[0].Workload != "new" || f.Path != base.Path || len(base.Limits) != 2 {
		t.Errorf("%+v", f)
	}
	// The slow program breaks the limit of the base, whatever the change contains.
	slow := made(3, 1.43, 1, 1.25)
	if v := Judge(slow, f, today); v.Outcome != Broken {
		t.Errorf("%v: %s", v.Outcome, v.Reason)
	}
	if Base(base, nil) != base {
		t.Error("without a head it is not the base")
	}
}

func TestCountersAreLimits(t *testing.T) {
	with := func(c *harness.Counters) Limit {
		l := fileWith(1.3).Limits[0]
		l.Counters = c
		return l
	}
	old := with(&harness.Counters{Allocs: 120, Pages: 4, Syncs: 1})
	for name, tc := range map[string]struct {
		to   *harness.Counters
		kind Kind
		says string
	}{
		"rise":      {&harness.Counters{Allocs: 121, Pages: 4, Syncs: 1}, Loosened, "limit 1.43; rose: allocs 120 -> 121"},
		"fall":      {&harness.Counters{Allocs: 120, Pages: 4}, Tightened, "limit 1.43; fell: syncs 1 -> 0"},
		"mix":       {&harness.Counters{Allocs: 100, Pages: 5, Syncs: 1}, Loosened, "; rose: pages 4 -> 5; fell: allocs 120 -> 100"},
		"the same":  {&harness.Counters{Allocs: 120, Pages: 4, Syncs: 1}, Unchanged, "limit 1.43"},
		"unlimited": {nil, Loosened, "counters are no longer limited"},
	} {
		c := changeOf(old, with(tc.to))
		if c.Kind != tc.kind || !strings.HasSuffix(c.String(), tc.says) {
			t.Errorf("%s: %s", name, c)
		}
	}
	if c := changeOf(with(nil), old); c.Kind != Tightened {
		t.Errorf("limited for the first time: %s", c)
	}
	quicker := with(&harness.Counters{Allocs: 121, Pages: 4, Syncs: 1})
	quicker.Baseline, quicker.Limit = 1.2, 1.32
	if c := changeOf(old, quicker); c.Kind != Loosened || !strings.Contains(c.String(), "(-7.69%)") {
		t.Errorf("quicker, with more allocations: %s", c)
	}
	// Every counter is compared, limited and stored.
	for _, n := range counts {
		more := *old.Counters
		*n.of(&more)++
		if c := changeOf(old, with(&more)); c.Kind != Loosened || !strings.Contains(c.String(), "rose: "+n.name) {
			t.Errorf("%s: %s", n.name, c)
		}
	}
	if d := cmp.Diff(&harness.Counters{Allocs: 125, Bytes: 7}, limitCounters(harness.Counters{Allocs: 121, Bytes: 7}, harness.Counters{Allocs: 123, Bytes: 7})); d != "" {
		t.Errorf("limits (-want +got):\n%s", d)
	}
	f := &File{Schema: 1, Class: "here", Path: filepath.Join(t.TempDir(), "here.toml"), Limits: []Limit{old}, Ledger: []Entry{}}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(f.Path); err != nil || !cmp.Equal(f, got) {
		t.Errorf("error %v (-saved +read):\n%s", err, cmp.Diff(f, got))
	}
}

// The counters of a measurement become limits: exact ones, and where its sessions varied
// as much looser as they did. A pause draws what it allocates: its limit was the fewest of 30
// sessions, which two sessions of the same program were above.
func TestCalibrationLimitsCounters(t *testing.T) {
	c := made(30, 1.3, 1, 1.1)
	c.Counters = map[string]harness.Counters{harness.ArmBackend: {Allocs: 120, Commits: 5}, harness.ArmFloor: {Allocs: 3}}
	c.Most = map[string]harness.Counters{harness.ArmBackend: {Allocs: 123, Commits: 5}, harness.ArmFloor: {Allocs: 9}}
	l, err := derive(c, prove(0.1, 100))
	if err != nil || l.Counters == nil || l.Counters.Allocs != 126 || l.Counters.Commits != 5 {
		t.Errorf("counters %+v, error %v", l.Counters, err)
	}
}
