package thresholds

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

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
		"negative limit":   {"limit = 1.43", "limit = -1.43", "limit is -1.43: use a positive, finite number"},
		"infinite limit":   {"limit = 1.43", "limit = inf", "limit is +Inf"},
		"not a number":     {"baseline = 1.3", "baseline = nan", "baseline is NaN"},
		"zero margin":      {"margin = 0.1", "margin = 0", "margin is 0"},
		"edited by hand":   {"limit = 1.43", "limit = 9", "limits must not be edited by hand"},
		"unknown metric":   {"cost_ratio", "cost", "unknown metric"},
		"newer schema":     {"schema = 1", "schema = 2", "schema 2: this program reads 1"},
		"no class":         {`class = "here"`, "", "no class"},
		"syntax":           {"margin = 0.1", "margin = ", "line 8"},
		"wrong type":       {"margin = 0.1", `margin = "ten"`, "line 8"},
		"twice":            {"[[limit]]", good[strings.Index(good, "[[limit]]"):] + "[[limit]]", "duplicate limit"},
		"negative counter": {"limit = 1.43\n", "limit = 1.43\n[limit.counters]\npages = -1\n", "counter pages is -1: use a finite number"},
		"counter not one":  {"limit = 1.43\n", "limit = 1.43\n[limit.counters]\nsyncs = nan\n", "counter syncs is NaN"},
		"endless counter":  {"limit = 1.43\n", "limit = 1.43\n[limit.counters]\nallocs = inf\n", "counter allocs is +Inf"},
		"unknown counter":  {"limit = 1.43\n", "limit = 1.43\n[limit.counters]\nlocks = 1\n", `unknown key "limit.counters.locks"`},
		"bad expiry":       {"limit = 1.43\n", "limit = 1.43\n[[ledger]]\nchange = \"tightened\"\nexpires = \"soon\"\n", "needs a reason and an expiry"},
		"loosened, no day": {"limit = 1.43\n", "limit = 1.43\n[[ledger]]\nchange = \"loosened\"\nreason = \"why\"\nexpires = \"soon\"\n", "needs a reason and an expiry"},
		"loosened, no why": {"limit = 1.43\n", "limit = 1.43\n[[ledger]]\nchange = \"loosened\"\nexpires = \"2026-04-01\"\n", "needs a reason and an expiry"},
		"further off":      {"limit = 1.43", "limit = 1.430003", "limits must not be edited by hand"},
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

func TestTheClassMostAlikeIsTaken(t *testing.T) {
	dir := t.TempDir()
	for _, class := range []string{"darwin-arm64-2cpu-m4", "linux-amd64-16cpu-amd-epyc", "linux-amd64-2cpu-amd-epyc"} {
		f := fileWith(1.3)
		f.Class, f.Path = class, filepath.Join(dir, class+".toml")
		if err := f.Save(); err != nil {
			t.Fatal(err)
		}
	}
	if got := alike("linux-amd64.toml", "linux-amd64-2cpu"); got != 2 {
		t.Errorf("a class that is the beginning of another is alike in %d words, want 2", got)
	}
	for class, want := range map[string]string{
		"linux-amd64-2cpu-intel-xeon": "linux-amd64-2cpu-amd-epyc",
		"linux-amd64-4cpu-intel-xeon": "linux-amd64-16cpu-amd-epyc", // both are equally similar: the first by name
		"linux-amd64-2cpu-amd-epyc":   "linux-amd64-2cpu-amd-epyc",
		"darwin-arm64-8cpu-m4":        "darwin-arm64-2cpu-m4",
		"plan9-386-1cpu-unknown":      "darwin-arm64-2cpu-m4",
	} {
		if f, err := Load(dir, class); err != nil || f.Class != want {
			t.Errorf("for %s: %v, error %v; want %s", class, f, err, want)
		}
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
	if data, err := os.ReadFile(f.Path); err != nil || !strings.HasPrefix(string(data), "# Written by flujo-harness calibrate. Not to be edited by hand.\n") {
		t.Errorf("error %v; the file begins %.80q", err, data)
	}
	for _, class := range []string{"here", "elsewhere"} { // another class uses the existing limits
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

// A loosening ends only when the limit is as tight as before; another calibration does not end it.
func TestALooseningIsNotForgotten(t *testing.T) {
	april, may := time.Date(2026, 4, 2, 0, 0, 0, 0, time.UTC), time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
	f := fileWith(1.3)
	f.Limits[0].Counters = &harness.Counters{Pages: 4}
	apply := func(baseline, pages float64, reason, expires string) {
		t.Helper()
		l := fileWith(baseline).Limits[0]
		l.Counters = &harness.Counters{Pages: pages}
		if err := f.Apply(f.Compare(l), reason, expires, today); err != nil {
			t.Fatal(err)
		}
	}
	expired := func(now time.Time) bool { return f.expired(&f.Limits[0], now) != nil }
	apply(1.5, 4, "bigger records", "2026-04-01")
	if expired(today) || !expired(april) {
		t.Error("a loosening does not end when it says")
	}
	apply(1.49, 4, "", "")
	if !expired(april) {
		t.Error("a little tighter, and the expiry is forgotten")
	}
	if err := f.Apply(f.Compare(f.Limits[0]), "", "2026-05-01", today); !errors.Is(err, ErrSilentLoosening) {
		t.Errorf("extended without a reason: %v", err)
	}
	apply(1.49, 4, "still being mended", "2026-05-01")
	if expired(april) || !expired(may) {
		t.Error("the extension does not count")
	}
	apply(1.3, 4, "", "")
	if expired(may) {
		t.Error("as tight as before, and still called loosened")
	}
	apply(1.2, 5, "an index", "2026-04-01")
	if !expired(april) {
		t.Error("a loosening of a counter does not end")
	}
	apply(1.2, 4, "", "2026-05-01")
	if expired(may) || f.Ledger[len(f.Ledger)-1].Expires != "" {
		t.Error("nothing is loosened, and yet it expires")
	}
}

// Ledger entries without boundaries, from older versions, are compared by their limits.
func TestALooseningIsMeasuredByItsBoundary(t *testing.T) {
	for name, tc := range map[string]struct {
		from, boundary float64
		looser         bool
	}{
		"above an old limit": {1.42, 0, true}, "at an old limit": {1.43, 0, false},
		"above the boundary": {9, 1.2, true}, "below the boundary": {1, 9, false},
	} {
		f := fileWith(1.3)
		f.Ledger = []Entry{{Change: Loosened, Workload: "default", Metric: MetricCostRatio, Durability: "process", From: tc.from, FromBoundary: tc.boundary, Expires: "2026-04-01"}}
		if got := f.tolerance(&f.Limits[0]) != nil; got != tc.looser {
			t.Errorf("%s: looser %v", name, got)
		}
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
	// P(Binomial(2, 1/2) = 0) is 1/4: confidence exactly reached is sufficient.
	for confidence, want := range map[float64]float64{0.2499: 1, 0.2501: 2} {
		if got := upperTolerance([]float64{2, 1}, 0.5, confidence); got != want {
			t.Errorf("confidence %v: %v, want %v", confidence, got, want)
		}
	}
}

func TestRatesThatProve(t *testing.T) {
	for _, tc := range []struct {
		r    rates
		want bool
	}{
		{rates{1, 0, 1}, true}, {rates{needHeld, mostFalse, needBroken}, true},
		{rates{0.949, 0, 1}, false}, {rates{1, 0.0011, 1}, false}, {rates{1, 0, 0.949}, false},
	} {
		if got := tc.r.proven(); got != tc.want {
			t.Errorf("%+v proves: %v, want %v", tc.r, got, tc.want)
		}
	}
}

// Equal sessions and seeds must give equal rates in every version, because limits in use were
// proven with them. With 4 sessions, the minimum, draws leave out 2 or 3.
func TestReplayIsReproducible(t *testing.T) {
	for _, tc := range []struct {
		sessions int
		want     rates
	}{{4, rates{0.775, 0.195, 0.55}}, {12, rates{0.915, 0.015, 0.095}}} {
		rng := rand.New(rand.NewPCG(31, 32))
		null, slow := noisy(rng, tc.sessions, 1, 0.03, 0.03), noisy(rng, tc.sessions, 1.05, 0.03, 0.03)
		if got := replay(null, slow, 0.05, 200, 9); got != tc.want {
			t.Errorf("%d sessions: %+v, want %+v", tc.sessions, got, tc.want)
		}
	}
}

func TestProvenanceNamesTheMeasuredModules(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Path: "example.org/shop", Version: "v1.2.0"}, Deps: []*debug.Module{
		{Path: "example.org/other", Version: "v1.0.0"}, {Path: "modernc.org/libc", Version: "v1.80.1"}, {Path: "modernc.org/sqlite", Version: "v1.62.0"}}}
	if got, want := modules(info), []string{"example.org/shop v1.2.0", "modernc.org/libc v1.80.1", "modernc.org/sqlite v1.62.0"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := modules(nil); got != nil {
		t.Errorf("without information: %q", got)
	}
}

// prove returns an order with the given number of replays.
func prove(margin float64, replays int) Order { return Order{Margin: margin, Replays: replays} }

func TestCalibrationProvesItsMargin(t *testing.T) {
	l, err := derive(made(30, 1.3, 1, 1.1), prove(0.1, 2000))
	if err != nil {
		t.Fatal(err)
	}
	p := l.Provenance
	if l.Baseline < 1.3 || l.Baseline > 1.33 || p.NullHeld < 0.99 || p.SlowBroken < 0.99 || p.NullBroken != 0 || p.Replays != 2000 || p.Method != "out-of-bag" {
		t.Errorf("limit %+v", l)
	}
	if math.Abs(l.Limit-1.1*l.Baseline) > 1e-6 {
		t.Errorf("limit %v of the baseline %v", l.Limit, l.Baseline)
	}
	// The injection had no effect: no limit may be derived.
	dull := made(30, 1.3, 1, 1)
	dull.Injected.Value = 1.004
	_, err = derive(dull, prove(0.1, 500))
	var margin *MarginError
	if !errors.As(err, &margin) || margin.Broken != 0 || !strings.Contains(err.Error(), "but the injected slow-down measured +0.4%: use a larger margin") {
		t.Errorf("a slow-down that slows nothing: %v", err)
	}
	// A margin below the noise is refused; the error contains the smallest possible one.
	_, err = derive(made(30, 1.3, 1, 1.001), prove(0.001, 500))
	if !errors.As(err, &margin) || margin.Smallest != 0.03 {
		t.Errorf("a margin of 0.1%%: %v, smallest %v", err, margin.Smallest)
	}
}

func TestBadCalibrationsAreRefused(t *testing.T) {
	plan := harness.DefaultPlan()
	few := plan
	few.Sessions = 3
	for name, tc := range map[string]struct {
		plan  harness.Plan
		order Order
		want  string
	}{
		"margin of 200%":   {plan, prove(2, 2000), "use a share"},
		"no margin":        {plan, prove(0, 2000), "use a share"},
		"few replays":      {plan, prove(0.1, 99), "at least 100"},
		"too few sessions": {few, prove(0.1, 2000), "at least 4"},
	} {
		if _, _, err := Calibrate(context.Background(), harness.Spec{Plan: tc.plan}, tc.order, nil, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	least := plan
	least.Sessions = 4
	if err := prove(1, 100).check(harness.Spec{Plan: least}); err != nil {
		t.Errorf("the least that may be ordered: %v", err)
	}
}

// noisy returns sessions of 5 blocks around a level, with the given standard deviations between
// sessions and between blocks on a logarithmic scale.
func noisy(rng *rand.Rand, sessions int, level, session, block float64) [][]float64 {
	all := make([][]float64, sessions)
	for s := range all {
		mid := math.Log(level) + session*rng.NormFloat64()
		for range 5 {
			all[s] = append(all[s], math.Exp(mid+block*rng.NormFloat64()))
		}
	}
	return all
}

// The rates that a calibration reports must not be better than those on new sessions: n
// calibrations of 30 sessions with 100 replays, against n times 20 sequences of 24 new sessions.
func TestRatesOfReplayAreThoseOfFreshSessions(t *testing.T) {
	const n = 40
	rng := rand.New(rand.NewPCG(21, 22))
	var all []int
	for i := range replayBudget {
		all = append(all, i)
	}
	for _, tc := range []struct{ session, block, margin float64 }{
		{0.01, 0.02, 0.10},
		{0.01, 0.02, 0.05},
		{0.02, 0.02, 0.05},
		{0.03, 0.02, 0.02}, // the unchanged program does not always hold
	} {
		var told, truth rates
		for range n {
			null, slow := noisy(rng, 30, 1, tc.session, tc.block), noisy(rng, 30, 1+tc.margin, tc.session, tc.block)
			r := replay(null, slow, tc.margin, 100, rng.Uint64())
			told = rates{told.held + r.held/n, told.wrong + r.wrong/n, told.broken + r.broken/n}
			boundary := Limit{Baseline: baseline(null), Margin: tc.margin}.Boundary()
			for range 20 {
				const each = 1.0 / (n * 20)
				switch outcome(noisy(rng, replayBudget, 1, tc.session, tc.block), all, boundary, rng) {
				case Held:
					truth.held += each
				case Broken:
					truth.wrong += each
				}
				if outcome(noisy(rng, replayBudget, 1+tc.margin, tc.session, tc.block), all, boundary, rng) == Broken {
					truth.broken += each
				}
			}
		}
		t.Logf("sd %v of sessions, %v of blocks, margin %v: told %.3f, truth %.3f (held, broken, slowed broken; seed 21,22; n=%d, %d)",
			tc.session, tc.block, tc.margin, told, truth, n*100, n*20)
		for name, d := range map[string]float64{"held": truth.held - told.held, "broke": told.wrong - truth.wrong, "slowed broke": truth.broken - told.broken} {
			if d < -0.05 || d > 0.10 {
				t.Errorf("sd %v and %v, margin %v: the share that %s is %.3f worse than the truth, want -0.05 to 0.10", tc.session, tc.block, tc.margin, name, d)
			}
		}
	}
}
