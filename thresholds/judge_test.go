package thresholds

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

var today = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// made returns a comparison with the given number of sessions whose (W-N)/F is ratio, whose twins
// differ by the factor twin and whose slow arm is slower by the factor slow.
func made(sessions int, ratio, twin, slow float64) *harness.Comparison {
	rng := rand.New(rand.NewPCG(3, 4))
	noise := func() float64 { return math.Exp(0.01 * rng.NormFloat64()) }
	c := &harness.Comparison{Workload: "default", Durability: "process", Complete: true, Plan: harness.DefaultPlan(),
		Environment: machine.Environment{Class: "here"}, Seed: 5}
	for s := 1; s <= sessions; s++ {
		for range 5 {
			c.Blocks = append(c.Blocks, harness.Block{Session: s, CostRatio: ratio * noise(), Twin: twin * noise(), Slow: ratio * slow * noise()})
		}
	}
	return c
}

func fileWith(baseline float64) *File {
	return &File{Schema: 1, Class: "here", Path: "here.toml", Limits: []Limit{{
		Workload: "default", Metric: MetricCostRatio, Durability: "process", Baseline: baseline, Margin: 0.1, Limit: round(baseline * 1.1)}}}
}

// stale sets the interval of the ratio, by which a stale limit is recognised.
func stale(c *harness.Comparison) *harness.Comparison {
	ratios, _ := c.Column(func(b harness.Block) float64 { return b.CostRatio })
	mid := machine.Median(ratios)
	c.CostRatio = harness.Estimate{Value: mid, Low: mid * 0.99, High: mid * 1.01, N: len(c.Blocks), Of: "blocks"}
	return c
}

func TestVerdicts(t *testing.T) {
	bad := made(3, 1.3, 1, 1.25)
	bad.Audit = []harness.Finding{{Check: "equal work", Detail: "arm backend"}}
	bad.Problem = "equal work: arm backend"
	noisy := func(sessions int, allocs float64) *harness.Comparison {
		c := made(sessions, 1.3, 1, 1.25)
		c.Conditions = []harness.Conditions{{Canary: machine.CanaryResult{Away: 0.9}}}
		c.Counters = map[string]harness.Counters{harness.ArmBackend: {Allocs: allocs}}
		return c
	}
	counted := fileWith(1.3)
	counted.Limits[0].Counters = &harness.Counters{Allocs: 120}
	whole := map[string]Verdict{}
	for name, tc := range map[string]struct {
		c      *harness.Comparison
		limits *File
		want   Outcome
		reason string
	}{
		"noisy, and decided":      {noisy(3, 120), counted, Held, "within its limit"},
		"too noisy to time":       {noisy(2, 120), counted, Inconclusive, "too noisy"},
		"counts have no noise":    {noisy(3, 121), counted, Broken, "allocs 121, at most 120"},
		"one process may err":     {noisy(1, 121), counted, Inconclusive, "self-check is undecided"},
		"unchanged":               {made(3, 1.3, 1, 1.25), fileWith(1.3), Held, "within its limit 1.43"},
		"slower by the margin":    {made(3, 1.43, 1, 1.25), fileWith(1.3), Broken, "above its limit"},
		"at the boundary":         {made(3, 1.3*math.Sqrt(1.1), 1, 1.25), fileWith(1.3), Inconclusive, "decides nothing"},
		"limit far too loose":     {stale(made(3, 1.3, 1, 1.25)), fileWith(3), Inconclusive, "only a slow-down of more than 142% would be noticed here, not one of 10%"},
		"nothing was injected":    {stale(made(3, 1.3, 1, 1)), fileWith(1.3), Invalid, "injected +25% was held"},
		"stale, with injection":   {stale(made(4, 1.2, 1, 1.10)), fileWith(1.3), Inconclusive, "stale"},
		"arms of the pair vary":   {made(4, 1.3, 1.25, 1.25), fileWith(1.3), Invalid, "A/A pair was broken"},
		"arms vary the other way": {made(4, 1.3, 0.8, 1.25), fileWith(1.3), Invalid, "A/A pair was broken"},
		"too few sessions":        {made(2, 1.3, 1, 1.25), fileWith(1.3), Inconclusive, "self-check is undecided"},
		"no limit":                {made(3, 1.3, 1, 1.25), nil, Inconclusive, "no limit"},
		"no such limit":           {made(3, 1.3, 1, 1.25), &File{}, Inconclusive, "no limit"},
		"audit failed":            {bad, fileWith(1.3), Invalid, "equal work: arm backend"},
		"work not done":           {made(3, 0.5, 1, 1.25), fileWith(1.3), Invalid, "below the floor"},
		"costs less than nothing": {made(3, -0.5, 1, 1.25), fileWith(1.3), Invalid, "below the floor"},
		"nothing measured":        {made(0, 1, 1, 1), fileWith(1.3), Inconclusive, "nothing was measured"},
	} {
		t.Run(name, func(t *testing.T) {
			v := Judge(tc.c, tc.limits, today)
			whole[name] = v
			if v.Outcome != tc.want || !strings.Contains(v.Reason, tc.reason) {
				t.Errorf("%v: %s; want %v with %q", v.Outcome, v.Reason, tc.want, tc.reason)
			}
			if v.Next == "" {
				t.Error("the verdict does not say what to do")
			}
		})
	}
	goldenJSON(t, "verdicts.golden.json", whole)
}

// A held direction does not imply that the other one holds.
func TestTwinsMustHoldBothWays(t *testing.T) {
	up := math.Sqrt(1.1)
	for twin, want := range map[float64]Outcome{1: Held, up: Inconclusive, 1 / up: Inconclusive, 1.2: Broken, 1 / 1.2: Broken} {
		c := made(3, 1.3, twin, 1.25)
		twins, sessions := c.Column(func(b harness.Block) float64 { return b.Twin })
		if got := judgeTwins(twins, sessions, 0.1); got.Got != want || got.Want != Held {
			t.Errorf("twins %v apart: %+v, want %v", twin, got, want)
		}
	}
}

func TestInverseOfWhatIsNotPositiveIsInfinite(t *testing.T) {
	for _, x := range []float64{0, math.Copysign(0, -1), -1, math.NaN()} {
		if got := inverse([]float64{2, x}); got[0] != 0.5 || !math.IsInf(got[1], 1) {
			t.Errorf("of %v: %v", x, got)
		}
	}
}

func TestExcludedIsAShareOfTheBaseline(t *testing.T) {
	for high, want := range map[float64]string{
		1.5:             "an increase of more than 25% above it is excluded",
		1.2:             "an increase of more than 0% above it is excluded",
		1:               "an increase of more than 0% above it is excluded",
		math.MaxFloat64: "no increase is excluded: too few blocks",
	} {
		if got := excluded(harness.Estimate{High: high}, 1.2, " above it"); got != want {
			t.Errorf("up to %v: %q, want %q", high, got, want)
		}
	}
}

// A verdict contains the smallest slow-down that the limit detects on this machine.
func TestALimitSaysWhatItNotices(t *testing.T) {
	if v := Judge(stale(made(4, 1.3, 1, 1.25)), fileWith(1.3), today); v.Outcome != Held || math.Abs(v.Notices-0.049) > 0.005 {
		t.Errorf("%v: notices %v: %s", v.Outcome, v.Notices, v.Reason)
	}
	if v := Judge(stale(made(4, 1.2, 1, 1.25)), fileWith(1.3), today); v.Outcome != Inconclusive || !strings.Contains(v.Reason, "its limit is stale") || !strings.Contains(v.Reason, "only a slow-down of more than 13") {
		t.Errorf("%v, notices %v: %s", v.Outcome, v.Notices, v.Reason)
	}
}

func TestZeroVerdictIsInconclusive(t *testing.T) {
	if (Verdict{}).Outcome != Inconclusive {
		t.Error("the zero verdict speaks in somebody's favour")
	}
}

func TestForeignClassIsSaid(t *testing.T) {
	limits := fileWith(1.3)
	limits.Class = "elsewhere"
	if v := Judge(made(3, 1.3, 1, 1.25), limits, today); len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "another class") {
		t.Errorf("notes %q", v.Notes)
	}
	other := made(3, 1.3, 1, 1.25)
	other.Workload = "without a limit"
	if v := Judge(other, limits, today); len(v.Notes) != 0 {
		t.Errorf("no limit judged it: notes %q", v.Notes)
	}
}

// The command in Next is quoted for a shell.
func TestNextCommandIsQuoted(t *testing.T) {
	c := made(3, 1, 1, 1.25)
	c.Workload, c.Suite = "a review", "./flows"
	if v := Judge(c, nil, today); v.Next != `create one: flujo-harness calibrate --suite ./flows --workload 'a review' --write` {
		t.Errorf("next: %s", v.Next)
	}
}

// By limits of another class, times do not break, but counts do.
func TestForeignLimitsDoNotBreakByTime(t *testing.T) {
	limits := fileWith(1.3)
	limits.Class = "elsewhere"
	for name, c := range map[string]*harness.Comparison{
		"above the limit":          made(3, 1.6, 1, 1.25),
		"the injection not enough": made(3, 1, 1, 1.25),
	} {
		v := Judge(c, limits, today)
		if v.Outcome != Inconclusive || !strings.Contains(v.Reason, "another class of machine") || !strings.Contains(v.Next, "calibrate --write") {
			t.Errorf("%s: %v: %s; %s", name, v.Outcome, v.Reason, v.Next)
		}
	}
	c := made(3, 1.3, 1, 1.25)
	c.Counters = map[string]harness.Counters{harness.ArmBackend: {Commits: 6}}
	limits.Limits[0].Counters = &harness.Counters{Commits: 5}
	if v := Judge(c, limits, today); v.Outcome != Broken {
		t.Errorf("a commit more: %v: %s", v.Outcome, v.Reason)
	}
}

func TestExpiredLooseningBreaks(t *testing.T) {
	limits := fileWith(1.3)
	limits.Ledger = []Entry{{Change: Loosened, Workload: "default", Metric: MetricCostRatio, Durability: "process", Reason: "new disk", Expires: "2026-02-28"}}
	v := Judge(made(3, 1.3, 1, 1.25), limits, today)
	if v.Outcome != Broken || !strings.Contains(v.Reason, "new disk") {
		t.Errorf("%v: %s", v.Outcome, v.Reason)
	}
	limits.Ledger[0].Expires = "2026-03-01"
	if v := Judge(made(3, 1.3, 1, 1.25), limits, today); v.Outcome != Held {
		t.Errorf("on its last day: %v: %s", v.Outcome, v.Reason)
	}
}

func TestVerdictInOneLine(t *testing.T) {
	if got := (Verdict{Outcome: Broken, Reason: "30 of 36 blocks are above 1.38"}).String(); got != "broken: 30 of 36 blocks are above 1.38" {
		t.Error(got)
	}
	if got := (Verdict{}).String(); got != "inconclusive" {
		t.Error(got)
	}
}
