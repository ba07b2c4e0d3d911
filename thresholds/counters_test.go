package thresholds

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

// counting is a comparison of a workload whose time is not judged: it is ten times its limit.
func counting(sessions int, c harness.Counters) *harness.Comparison {
	m := made(sessions, 13, 1.5, 1)
	m.Untimed = "its floor is bistable"
	m.Counters = map[string]harness.Counters{harness.ArmBackend: c}
	return m
}

func countsFile(c harness.Counters) *File {
	return &File{Schema: 1, Class: "here", Path: "here.toml", Limits: []Limit{{Workload: "default", Metric: MetricCounts, Durability: "process", Counters: &c}}}
}

func TestAWorkloadWithoutTimeIsJudgedByCounts(t *testing.T) {
	allowed := harness.Counters{Allocs: 117, Commits: 1.5, Statements: 6, Syncs: 0.02}
	more := allowed
	more.Statements = 7
	loosened := countsFile(allowed)
	loosened.Ledger = []Entry{{Change: Loosened, Workload: "default", Metric: MetricCounts, Durability: "process", Reason: "bigger records", Expires: "2026-02-28", FromCounters: &harness.Counters{Allocs: 116}}}
	invalid := counting(3, allowed)
	invalid.Problem = "equal work: arm backend"
	withoutWork := counting(3, allowed)
	for i := range withoutWork.Blocks {
		withoutWork.Blocks[i].CostRatio = 0.1
	}
	for name, tc := range map[string]struct {
		c      *harness.Comparison
		limits *File
		want   Outcome
		says   string
	}{
		"as many":              {counting(2, allowed), countsFile(allowed), Held, "a run counts no more than its limit allows"},
		"a statement more":     {counting(2, more), countsFile(allowed), Broken, "statements 7, at most 6"},
		"one session":          {counting(1, more), countsFile(allowed), Inconclusive, "one session: too few"},
		"no limit":             {counting(2, allowed), nil, Inconclusive, "no limit exists for it"},
		"a limit of its time":  {counting(2, allowed), fileWith(1.3), Inconclusive, "no limit exists for it"},
		"an expired loosening": {counting(2, allowed), loosened, Broken, "expired on 2026-02-28 (reason given: bigger records)"},
		"an invalid one":       {invalid, countsFile(allowed), Invalid, "equal work"},
		"work is not done":     {withoutWork, countsFile(allowed), Invalid, "below the floor"},
	} {
		v := Judge(tc.c, tc.limits, today)
		if v.Outcome != tc.want || !strings.Contains(v.Reason, tc.says) || v.Limit != 0 {
			t.Errorf("%s: %v, limit %v; want %v, %q", name, v, v.Limit, tc.want, tc.says)
		}
		if tc.want != Invalid && !strings.Contains(strings.Join(v.Notes, "; "), "its time is not judged: its floor is bistable") {
			t.Errorf("%s: notes %q", name, v.Notes)
		}
	}
	other := counting(2, allowed)
	other.Environment.Go = "go1.99"
	if v := Judge(other, countsFile(allowed), today); v.Outcome != Held || !strings.Contains(strings.Join(v.Notes, "; "), "allocations were not judged") {
		t.Errorf("with another Go: %v, notes %q", v, v.Notes)
	}
	// The same comparison of a workload that is timed.
	timed := counting(4, allowed)
	timed.Untimed = ""
	if v := Judge(timed, countsFile(allowed), today); v.Outcome == Held {
		t.Errorf("a limit of counts held a workload whose time is judged: %v", v)
	}
}

func TestLimitsOfCountsAreReadAndWritten(t *testing.T) {
	dir := t.TempDir()
	f := countsFile(harness.Counters{Allocs: 117})
	f.Path, f.Limits = filepath.Join(dir, "here.toml"), nil
	l := countsFile(harness.Counters{Allocs: 117}).Limits[0]
	c := f.Compare(l)
	if got := c.String(); got != "added      default counts at process: at most allocs 117, alloc_bytes 0, commits 0, statements 0, pages 0, bytes 0, syncs 0" {
		t.Error(got)
	}
	if err := f.Apply(c, "", "", today); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	read, err := Read(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.Limits, read.Limits); diff != "" {
		t.Errorf("read again (-want +got)\n%s", diff)
	}
	l.Counters = &harness.Counters{Allocs: 118}
	c = read.Compare(l)
	if got := c.String(); c.Kind != Loosened || got != "loosened   default counts at process: rose: allocs 117 -> 118" {
		t.Error(got)
	}
	if err := read.Apply(c, "", "", today); err == nil {
		t.Error("counts were loosened in silence")
	}
	for name, bad := range map[string]func(*Limit){
		"no counters": func(l *Limit) { l.Counters = nil },
		"a baseline":  func(l *Limit) { l.Baseline = 1 },
		"a limit":     func(l *Limit) { l.Limit = 1.1 },
	} {
		one := countsFile(harness.Counters{Allocs: 117})
		one.Path = filepath.Join(dir, "bad.toml")
		if bad(&one.Limits[0]); one.Save() == nil {
			t.Errorf("with %s it was saved", name)
		}
	}
	one := countsFile(harness.Counters{Allocs: 117})
	one.Class, one.Path = AnyClass, filepath.Join(dir, "any.toml")
	if one.Save() == nil {
		t.Error("a limit of counts for any machine was saved: how many saves share a transaction depends on the machine")
	}
}

// The counters of a limit are derived anew, and its time is left as it is.
func TestCountersAreCalibratedAlone(t *testing.T) {
	untimed, ok := "", true
	sessions, blocks := 0, 0
	run := func(_ context.Context, s harness.Session) (harness.SessionResult, error) {
		sessions, blocks = sessions+1, s.Plan.Blocks
		res := measured(s)
		res.Slots = res.Slots[:1]
		res.Untimed = untimed
		res.Audit[0].OK = ok
		res.Counters = map[string]harness.Counters{harness.ArmBackend: {Allocs: 110, Commits: 1 + float64(s.Number)/4}}
		return res, nil
	}
	spec := harness.Spec{Workload: "default", Durability: "process", Plan: identity().Plan, Seed: 1, Dir: t.TempDir()}
	spec.Plan.Batch = map[string]int{"none": 6, "backend": 2, "floor": 2, "twin": 2, "slow": 2, "stubs": 6}
	spec.Plan.Sessions = 4
	here, err := spec.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := &Limit{Workload: "default", Metric: MetricCostRatio, Durability: "process", Baseline: 1.3, Margin: 0.1, Limit: 1.43, Provenance: Provenance{Commit: "old", Environment: here}}
	reported := 0
	calibrate := func(old *Limit) (Limit, error) {
		l, _, err := CalibrateCounts(t.Context(), spec, old, Order{Commit: "new"}, run, func(*harness.Comparison) { reported++ })
		return l, err
	}
	want := &harness.Counters{Allocs: 110, Commits: 2.75} // the most, and the range once more
	l, err := calibrate(old)
	if err != nil || l.Baseline != old.Baseline || l.Limit != old.Limit || l.Metric != MetricCostRatio || l.Provenance.Commit != "old" || l.Provenance.CountsOf != "new" || sessions != 4 || blocks != 1 || reported != 4 {
		t.Errorf("%+v, %d sessions of %d blocks, %d reported, error %v", l, sessions, blocks, reported, err)
	}
	if diff := cmp.Diff(want, l.Counters); diff != "" {
		t.Errorf("counters (-want +got)\n%s", diff)
	}
	if _, err := calibrate(nil); err == nil || !strings.Contains(err.Error(), "no limit for this class of machine") {
		t.Errorf("without a limit: error %v", err)
	}
	other := *old
	other.Provenance.Environment = machine.Environment{Go: "go1.2"}
	if _, err := calibrate(&other); err == nil || !strings.Contains(err.Error(), "the limit was derived with go1.2") {
		t.Errorf("with another Go: error %v", err)
	}
	untimed = "its floor is bistable"
	if l, err := calibrate(nil); err != nil || l.Metric != MetricCounts || l.Baseline != 0 || cmp.Diff(want, l.Counters) != "" {
		t.Errorf("without time: %+v, error %v", l, err)
	}
	// So does a calibration that is not told.
	if l, _, err := Calibrate(t.Context(), spec, prove(0.1, 100), run, func(*harness.Comparison) {}); err != nil || l.Metric != MetricCounts || l.Provenance.Replays != 0 {
		t.Errorf("calibrated: %+v, error %v", l, err)
	}
	ok = false
	if _, err := calibrate(old); err == nil || !strings.Contains(err.Error(), "equal work") {
		t.Errorf("of a failed audit: error %v", err)
	}
	ok = true
	spec.Plan.Sessions = 3
	if _, err := calibrate(old); err == nil {
		t.Error("a calibration of 3 sessions")
	}
}

// Against another revision, too, the time of such a workload decides nothing.
func TestADifferenceWithoutTimeIsJudgedByCountsAndInstructions(t *testing.T) {
	slow := func(units float64, counts *harness.Instructions) *harness.Difference {
		d := apart(4, 2, 1.3, 1.1)
		d.Untimed, d.Instructions = "its floor is bistable", counts
		d.Counts = []harness.Count{{Unit: harness.UnitStatements, BaseLow: 6, BaseHigh: 6, HeadLow: units, HeadHigh: units, Base: 6, Head: 3}}
		return d
	}
	same, more := []float64{1000, 1000, 1000, 1000, 1000}, []float64{1100, 1100, 1100, 1100, 1100}
	j := Judging{Margin: 0.05, Family: 1, Lower: harness.AgainstUnits()}
	for name, tc := range map[string]struct {
		d    *harness.Difference
		want Outcome
		by   string
	}{
		"no valgrind":       {slow(6, nil), Held, ByCounts},
		"a statement more":  {slow(7, nil), Broken, ByCounts},
		"as many executed":  {slow(6, &harness.Instructions{Tool: "valgrind", Base: same, Head: same}), Held, ByInstructions},
		"more executed":     {slow(6, &harness.Instructions{Tool: "valgrind", Base: same, Head: more}), Broken, ByInstructions},
		"not counted yet":   {slow(6, &harness.Instructions{}), Inconclusive, ByInstructions},
		"varies too widely": {slow(6, &harness.Instructions{Base: []float64{900, 1000}, Head: []float64{1000, 1000}}), Held, ByCounts},
	} {
		v := j.Judge(tc.d)
		if v.Outcome != tc.want || v.By != tc.by {
			t.Errorf("%s: %v by %q, want %v by %q", name, v, v.By, tc.want, tc.by)
		}
		if m := j.More(tc.d); m.Time || m.Layouts || m.Instructions != (tc.want == Inconclusive) {
			t.Errorf("%s: more %+v", name, m)
		}
	}
}
