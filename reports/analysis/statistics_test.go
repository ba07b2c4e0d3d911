package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

// The exact McNemar test is a sign test: Siegel, "Nonparametric Statistics" (1956), table D, one-tailed,
// three digits.
func TestMcNemarAgainstAPrintedTable(t *testing.T) {
	for _, row := range []struct {
		n, x int
		p    string
	}{{5, 0, "0.031"}, {6, 0, "0.016"}, {8, 1, "0.035"}, {10, 2, "0.055"}, {12, 3, "0.073"}, {15, 3, "0.018"}, {20, 5, "0.021"}, {25, 7, "0.022"}} {
		for _, m := range []McNemar{newMcNemar(row.x, row.n-row.x), newMcNemar(row.n-row.x, row.x)} {
			if got := fmt.Sprintf("%.3f", m.P/2); got != row.p {
				t.Errorf("%d of %d: one-tailed %s, the table has %s", row.x, row.n, got, row.p)
			}
		}
	}
}

// A reference implementation that counts all outcomes for n specs.
func TestMcNemarAgainstCounting(t *testing.T) {
	for n := range 13 {
		for fixed := range n + 1 {
			extreme := 0
			for ways := range 1 << n {
				up := 0
				for i := range n {
					up += ways >> i & 1
				}
				if min(up, n-up) <= min(fixed, n-fixed) {
					extreme++
				}
			}
			want := float64(extreme) / float64(int(1)<<n)
			if got := newMcNemar(fixed, n-fixed).P; math.Abs(got-want) > 1e-12 {
				t.Errorf("%d fixed of %d: P = %v, counted %v", fixed, n, got, want)
			}
		}
	}
}

// The example of Benjamini and Hochberg (1995), section 3.2: four are rejected at 5%.
func TestBenjaminiHochbergAgainstItsPaper(t *testing.T) {
	ps := []float64{.0001, .0004, .0019, .0095, .0201, .0278, .0298, .0344, .0459, .3240, .4262, .5719, .6528, .7590, 1}
	rejected := 0
	for i, p := range benjaminiHochberg(ps) {
		if p <= 0.05 {
			rejected++
			if i > 3 {
				t.Errorf("number %d is rejected", i+1)
			}
		}
	}
	if rejected != 4 {
		t.Errorf("%d rejected, the paper has 4", rejected)
	}
}

// The adjusted values agree with the step-up rule as published, for random lists with ties.
func TestBenjaminiHochbergAgainstItsRule(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		ps := make([]float64, random.IntN(12))
		for i := range ps {
			ps[i] = float64(random.IntN(40)) / 200
		}
		before := slices.Clone(ps)
		adjusted := benjaminiHochberg(ps)
		if !slices.Equal(before, ps) {
			t.Fatal("the caller's values were changed")
		}
		for _, q := range []float64{0.0101, 0.0501, 0.1001} {
			sorted := slices.Sorted(slices.Values(ps))
			limit := -1.0
			for k, p := range sorted {
				if p <= float64(k+1)/float64(len(ps))*q {
					limit = p
				}
			}
			for i, p := range ps {
				if (adjusted[i] <= q) != (p <= limit) {
					t.Fatalf("%v at %v: %v is adjusted to %v", ps, q, p, adjusted[i])
				}
			}
		}
	}
}

// Siegel (1956), table J: n = m = 4, P(U <= u).
func TestRankTestAgainstAPrintedTable(t *testing.T) {
	var test mannWhitney
	for u, want := range []string{"0.014", "0.029", "0.057", "0.100", "0.171", "0.243", "0.343", "0.443"} {
		tail := test.tail(4, 4) // symmetric: P(U <= u) is P(U >= 16-u)
		if got := fmt.Sprintf("%.3f", tail[16-u]); got != want {
			t.Errorf("u = %d: %s, the table has %s", u, got, want)
		}
	}
	// Critical values, one-sided 5%: the largest u with P(U <= u) <= 0.05.
	for n, want := range map[int]int{5: 4, 8: 15, 10: 27, 20: 138} {
		tail := test.tail(n, n)
		got := -1
		for u := range tail {
			if tail[n*n-u] <= 0.05 {
				got = u
			}
		}
		if got != want {
			t.Errorf("n = %d: critical value %d, the table has %d", n, got, want)
		}
	}
}

// A reference implementation that counts all assignments of values to the two samples.
func TestRankTestAgainstCounting(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	u := func(older, newer []float64) (u int) {
		for _, a := range newer {
			for _, b := range older {
				if a > b {
					u++
				}
			}
		}
		return u
	}
	var test mannWhitney
	for range 40 {
		n, m := 3+random.IntN(4), 3+random.IntN(5)
		all := make([]float64, n+m)
		for i := range all {
			all[i] = random.Float64()
		}
		seen := u(all[n:], all[:n])
		extreme, ways := 0, 0
		for set := range 1 << (n + m) {
			var older, newer []float64
			for i, v := range all {
				if set>>i&1 == 1 {
					newer = append(newer, v)
				} else {
					older = append(older, v)
				}
			}
			if len(newer) != n {
				continue
			}
			ways++
			if u(older, newer) >= seen {
				extreme++
			}
		}
		want := float64(extreme) / float64(ways)
		if got := test.larger(all[n:], all[:n]); math.Abs(got-want) > 1e-12 {
			t.Errorf("%d newer and %d older: %v, counted %v", n, m, got, want)
		}
	}
	for range 200 { // however ties would be broken, P is no smaller
		older, newer := make([]float64, 8), make([]float64, 5)
		var brokenOld, brokenNew []float64
		for i := range older {
			older[i] = float64(random.IntN(4))
			brokenOld = append(brokenOld, older[i]+random.Float64()/2)
		}
		for i := range newer {
			newer[i] = float64(random.IntN(5))
			brokenNew = append(brokenNew, newer[i]+random.Float64()/2)
		}
		if tied, broken := test.larger(older, newer), test.larger(brokenOld, brokenNew); tied < broken {
			t.Errorf("%v after %v: %v, and %v with ties broken", newer, older, tied, broken)
		}
	}
	if p := test.larger(nil, nil); p != 1 {
		t.Errorf("of nothing: %v", p)
	}
}

// The flow of the Nile at Aswan, 1871 to 1970: it fell after 1898 (Cobb, Biometrika 65,
// 1978, 243-251), and at no other time.
func TestChangePointOfTheNile(t *testing.T) {
	nile := []float64{1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140, 1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100,
		774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969, 831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759, 781, 865, 845, 944,
		984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890, 744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740}
	at, ps := changePoints(nile)
	if !slices.Equal(at, []int{28}) {
		t.Fatalf("changes at %v (%v), want at 28: 1899", at, ps)
	}
	best, where := 0.0, 0 // the statistic as it is defined
	for k := 1; k < len(nile); k++ {
		u := 0.0
		for _, old := range nile[:k] {
			for _, now := range nile[k:] {
				switch {
				case now > old:
					u++
				case now < old:
					u--
				}
			}
		}
		if math.Abs(u) > best {
			best, where = math.Abs(u), k
		}
	}
	if p := 2 * math.Exp(-6*best*best/1010000); where != 28 || math.Abs(p-ps[0]) > 1e-12 {
		t.Errorf("by definition K = %v at %d, p = %v; got %v", best, where, p, ps[0])
	}
}

// Series in which nothing changes, and the same with a step of 12 failures in 2,275.
func TestChangePointsOfRandomSeries(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	const series, runs = 400, 60
	alarms, found := 0, 0
	for range series {
		values := make([]float64, runs)
		for i := range values {
			values[i] = math.Round(2216 + 4*random.NormFloat64())
		}
		if at, _ := changePoints(values); len(at) > 0 {
			alarms++
		}
		for i := 40; i < runs; i++ {
			values[i] += 12
		}
		if at, _ := changePoints(values); len(at) > 0 && at[0] >= 37 && at[0] <= 43 {
			found++
		}
	}
	if alarms > series/50 { // 1% asked for
		t.Errorf("%d of %d series without a change raise an alarm", alarms, series)
	}
	if found < series*9/10 {
		t.Errorf("only %d of %d steps were found at their place", found, series)
	}
	if at, _ := changePoints([]float64{1, 1, 1, 1, 9, 9, 9, 9}); at != nil {
		t.Errorf("eight runs show a change at %v", at)
	}
	if at, _ := changePoints(nil); at != nil {
		t.Errorf("no run shows a change at %v", at)
	}
}

func TestForecast(t *testing.T) {
	steady, why := newForecast([]int{70, 68, 66, 64, 62, 60}, 19)
	if why != "" || steady.Runs != 9.5 || steady.Low != 10 || steady.High != 10 || steady.N != 5 {
		t.Errorf("two fewer each run, 19 to go: %+v, %q", steady, why)
	}
	if last, why := newForecast([]int{5000, 4999, 4998, 4997, 4996, 4995}, forecastLongest); why != "" || last.High != forecastLongest {
		t.Errorf("in as many runs as a forecast looks ahead: %+v, %q", last, why)
	}
	// Steps 1, 3, 2, 2, 1, 3, 2, 2: mean 2, s = 0.7559, t(7) = 2.3646 (printed tables: 2.365).
	f, why := newForecast([]int{80, 79, 76, 74, 72, 71, 68, 66, 64}, 10)
	if f == nil {
		t.Fatal(why)
	}
	at := func(k, sign float64) float64 { return k*2 + sign*2.3646*0.7559*math.Sqrt(k+k*k/8) }
	low, high := 1.0, 1.0
	for at(low, 1) < 10 {
		low++
	}
	for at(high, -1) < 10 {
		high++
	}
	if f.Low != int(low) || f.High != int(high) || f.Runs != 5 {
		t.Errorf("%+v, want 5 (%v to %v)", f, low, high)
	}
	for name, tt := range map[string]struct {
		failed []int
		toGo   int
		why    string
	}{
		"the seed's":      {sample.SeedFailures, 19, "3 changes between runs, and a forecast needs 5"},
		"reached":         {[]int{9, 8, 7, 6, 5, 4, 3}, 0, "reached"},
		"no trend":        {[]int{60, 50, 61, 49, 60, 52, 59, 50}, 10, "unbounded"},
		"for the worse":   {[]int{50, 52, 54, 56, 58, 60}, 10, "unbounded"},
		"nothing moves":   {[]int{50, 50, 50, 50, 50, 50}, 10, "unbounded"},
		"too slow by far": {[]int{5000, 4999, 4998, 4997, 4996, 4995}, 4000, "unbounded"},
	} {
		if f, why := newForecast(tt.failed, tt.toGo); f != nil || !strings.Contains(why, tt.why) {
			t.Errorf("%s: %+v, %q", name, f, why)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, tt := range []struct {
		percent        float64
		passed, failed int
		maxFail, toGo  int
		reached        bool
	}{
		{98.5, 2222, 53, 34, 19, false},
		{98.5, 2241, 34, 34, 0, true},
		{98.5, 2240, 35, 34, 1, false},
		{100, 5, 0, 0, 0, true},
		{100, 4, 1, 0, 1, false},
		{55, 55, 45, 45, 0, true}, // 55% of 100 are 55, and 55.00000000000001 as a product
		{50, 0, 0, 0, 0, false},   // nothing ran: nothing is reached
	} {
		got := NewTarget(tt.percent, reports.Counts{Passed: tt.passed, Failed: tt.failed})
		if got.MaxFail != tt.maxFail || got.ToGo != tt.toGo || got.Reached != tt.reached {
			t.Errorf("%v%% with %d passed and %d failed: %+v", tt.percent, tt.passed, tt.failed, got)
		}
	}
}
