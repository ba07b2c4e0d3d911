package thresholds

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness"
)

const good = `schema = 1
class = "here"
[[limit]]
workload = "default"
metric = "cost_ratio"
durability = "process"
baseline = 1.3
margin = 0.1
limit = 1.43
`

func TestBadLimitsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct{ from, to, want string }{
		"unknown key":      {"margin = 0.1", "margin = 0.1\nmargn = 2", `line 9: unknown key "limit.margn"`},
		"negative limit":   {"limit = 1.43", "limit = -1.43", "limit is -1.43: a positive, finite number"},
		"infinite limit":   {"limit = 1.43", "limit = inf", "limit is +Inf"},
		"not a number":     {"baseline = 1.3", "baseline = nan", "baseline is NaN"},
		"zero margin":      {"margin = 0.1", "margin = 0", "margin is 0"},
		"edited by hand":   {"limit = 1.43", "limit = 9", "limits are not edited by hand"},
		"unknown metric":   {"cost_ratio", "cost", "unknown metric"},
		"newer schema":     {"schema = 1", "schema = 2", "schema 2: this program reads 1"},
		"no class":         {`class = "here"`, "", "no class"},
		"syntax":           {"margin = 0.1", "margin = ", "line 8"},
		"wrong type":       {"margin = 0.1", `margin = "ten"`, "line 8"},
		"twice":            {"[[limit]]", good[strings.Index(good, "[[limit]]"):] + "[[limit]]", "given twice"},
		"silent loosening": {"limit = 1.43\n", "limit = 1.43\n[[ledger]]\nchange = \"loosened\"\n", "needs a reason and an expiry"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "here.toml")
			if err := os.WriteFile(path, []byte(strings.Replace(good, tc.from, tc.to, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Read(path)
			var bad *LimitsError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestSavedLimitsAreRead(t *testing.T) {
	dir := t.TempDir()
	f := fileWith(1.3)
	f.Path = filepath.Join(dir, "new", "here.toml")
	f.Ledger = []Entry{{Date: "2026-03-01", Change: Added, Workload: "default", Metric: MetricCostRatio, Durability: "process", To: 1.43}}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	for _, class := range []string{"here", "elsewhere"} { // another class is judged by what there is
		got, err := Load(filepath.Dir(f.Path), class)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(f, got); d != "" {
			t.Errorf("class %s (-saved +read):\n%s", class, d)
		}
	}
	if got, err := Load(dir, "here"); got != nil || err != nil {
		t.Errorf("a folder without limits: %v, %v", got, err)
	}
	f.Limits[0].Limit = -1
	if err := f.Save(); err == nil {
		t.Error("a bad limit was written")
	}
	if _, err := Read(filepath.Join(dir, "none.toml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestNothingIsLoosenedInSilence(t *testing.T) {
	f := fileWith(1.3)
	looser, tighter := fileWith(1.4).Limits[0], fileWith(1.2).Limits[0]
	c := f.Compare(looser)
	if c.Kind != Loosened || !strings.Contains(c.String(), "loosened   default cost_ratio at process: limit 1.43 -> 1.54 (+7.69%)") {
		t.Errorf("%s", c)
	}
	for _, tc := range []struct{ reason, expires string }{{"", "2026-04-01"}, {"why", ""}, {"why", "soon"}} {
		if err := f.Apply(c, tc.reason, tc.expires, today); !errors.Is(err, ErrSilentLoosening) {
			t.Errorf("reason %q, expiry %q: %v", tc.reason, tc.expires, err)
		}
	}
	if err := f.Apply(c, "why", "2026-03-01", today); err == nil {
		t.Error("an expiry of today was taken")
	}
	if len(f.Ledger) != 0 || f.Limits[0].Baseline != 1.3 {
		t.Error("a refused loosening left a trace")
	}
	if err := f.Apply(c, "bigger records", "2026-04-01", today); err != nil {
		t.Fatal(err)
	}
	if c := f.Compare(tighter); c.Kind != Tightened {
		t.Errorf("%s", c)
	} else if err := f.Apply(c, "", "", today); err != nil {
		t.Error(err)
	}
	want := []Kind{Loosened, Tightened}
	for i, e := range f.Ledger {
		if e.Change != want[i] {
			t.Errorf("ledger %d: %v", i, e)
		}
	}
	if f.Compare(tighter).Kind != Unchanged || f.Compare(Limit{Workload: "other"}).Kind != Added {
		t.Error("unchanged or added is not seen")
	}
}

func TestUpperToleranceIsTheRankThatWilksGives(t *testing.T) {
	values := func(n int) (v []float64) {
		for i := range n {
			v = append(v, float64(i+1))
		}
		slices.Reverse(v)
		return v
	}
	// 0.9 and 0.95: the largest of 29 to 45, the second largest from 46 (Wilks's tables).
	for n, want := range map[int]float64{5: 5, 29: 29, 45: 45, 46: 45, 61: 59} {
		if got := upperTolerance(values(n), 0.9, 0.95); got != want {
			t.Errorf("n=%d: %v, want %v", n, got, want)
		}
	}
}

func TestCalibrationProvesItsMargin(t *testing.T) {
	l, err := derive(made(30, 1.3, 1, 1.1), 0.1)
	if err != nil {
		t.Fatal(err)
	}
	if l.Baseline < 1.3 || l.Baseline > 1.33 || l.Provenance.NullHeld < 0.99 || l.Provenance.SlowBroken < 0.99 || l.Provenance.NullBroken != 0 {
		t.Errorf("limit %+v", l)
	}
	// The injection did nothing: no limit may come of it.
	_, err = derive(made(30, 1.3, 1, 1), 0.1)
	var margin *MarginError
	if !errors.As(err, &margin) || margin.Broken != 0 {
		t.Errorf("a slow-down that slows nothing: %v", err)
	}
	// A margin smaller than the noise: refused, and the smallest that would do is named.
	_, err = derive(made(30, 1.3, 1, 1.001), 0.001)
	if !errors.As(err, &margin) || margin.Smallest < 0.01 || margin.Smallest > 0.1 {
		t.Errorf("a margin of 0.1%%: %v", err)
	}
	if _, _, err := Calibrate(context.Background(), harness.Spec{}, 2, nil, "", nil); err == nil {
		t.Error("a margin of 200% was taken")
	}
}
