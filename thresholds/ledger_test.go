package thresholds

import (
	"path/filepath"
	"strings"
	"testing"
)

// A limit must equal its newest ledger entry. So must its boundary, since a higher baseline with a
// smaller margin gives the same limit but a higher boundary.
func TestLimitsFollowTheirLedger(t *testing.T) {
	made := func() *File {
		l := Limit{Workload: "default", Metric: MetricCostRatio, Durability: "process", Baseline: 1, Margin: 0.21, Limit: 1.21}
		f := &File{Schema: 1, Class: "here", Path: filepath.Join(t.TempDir(), "here.toml")}
		if err := f.Apply(f.Compare(l), "", "", today); err != nil {
			t.Fatal(err)
		}
		return f
	}
	for name, tc := range map[string]struct {
		edit func(*File)
		want string // "" if the file is valid
	}{
		"as it was made":   {func(*File) {}, ""},
		"without a ledger": {func(f *File) { f.Ledger = nil }, ""},
		"loosened": {func(f *File) { f.Limits[0].Baseline, f.Limits[0].Limit = 2, 2.42 },
			"limit 2.42, and the newest entry of the ledger, of"},
		"tightened": {func(f *File) { f.Limits[0].Baseline, f.Limits[0].Limit = 0.5, 0.605 }, "made it 1.21"},
		"the same limit, a later boundary": {func(f *File) { f.Limits[0].Baseline, f.Limits[0].Margin = 1.2, 1.21/1.2-1 },
			"made it 1.1"},
		"by rounding":       {func(f *File) { f.Limits[0].Limit += 1.1e-9 }, ""},
		"by more than that": {func(f *File) { f.Limits[0].Limit += 1.3e-9 }, "the newest entry of the ledger"},
		"dropped": {func(f *File) {
			f.Ledger = append(f.Ledger, Entry{Change: Dropped, Workload: "default", Metric: MetricCostRatio, Durability: "process"})
		}, "dropped"},
	} {
		t.Run(name, func(t *testing.T) {
			f := made()
			tc.edit(f)
			err := f.check()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// The sixth decimal of a limit is rounded, which is no edit by hand, however large the limit is.
func TestLimitsOfManyInstructionsAreSaved(t *testing.T) {
	l := Limit{Workload: "default", Metric: MetricInstructions, Durability: "process", Baseline: 250_000.123457, Margin: 0.07}
	l.Limit = round(l.Baseline * (1 + l.Margin))
	f := &File{Schema: 1, Class: AnyClass, Path: filepath.Join(t.TempDir(), "any.toml"), Limits: []Limit{l}}
	if err := f.Save(); err != nil {
		t.Error(err)
	}
}

func TestALooseningIsUndoneByItsOwnLimit(t *testing.T) {
	f := fileWith(1.3) // limit 1.43
	other := f.Limits[0]
	other.Workload, other.Baseline, other.Limit = "loop", 2.6, 2.86
	f.Limits = append(f.Limits, other)
	for name, tc := range map[string]struct {
		workload string
		from     float64
		want     bool
	}{
		"looser than before":          {"loop", 2.75, false},
		"as tight as before":          {"loop", 2.86, true},
		"the same of the first":       {"default", 1.3, false},
		"tighter than before":         {"default", 1.5, true},
		"of a limit that was dropped": {"tools", 1, false},
	} {
		e := Entry{Change: Loosened, Workload: tc.workload, Metric: MetricCostRatio, Durability: "process", From: tc.from}
		if got := f.Undone(e); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
