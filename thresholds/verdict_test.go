package thresholds

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

// Measure continues until the verdict is decided. If Decided were inverted, it would stop after
// the first session and never after a verdict.
func TestDecided(t *testing.T) {
	for _, tc := range []struct {
		v    Verdict
		want bool
	}{
		{Verdict{}, false},
		{Verdict{Outcome: Inconclusive, Limit: 1.4, N: 1000}, false},
		{Verdict{Outcome: Held, Limit: 1.4}, true},
		{Verdict{Outcome: Broken, Limit: 1.4}, true},
		{Verdict{Outcome: Invalid, Limit: 1.4}, true},
		{Verdict{Outcome: Invalid}, true},
		// Without a limit there is nothing to decide, only an interval to have.
		{Verdict{Outcome: Inconclusive, N: 14}, false},
		{Verdict{Outcome: Inconclusive, N: 15}, true},
	} {
		if got := tc.v.Decided(); got != tc.want {
			t.Errorf("%v with limit %v after %d blocks: decided %v, want %v", tc.v.Outcome, tc.v.Limit, tc.v.N, got, tc.want)
		}
	}
}

func TestOutcomesAreWrittenByName(t *testing.T) {
	for o, name := range map[Outcome]string{Inconclusive: "inconclusive", Held: "held", Broken: "broken", Invalid: "invalid"} {
		data, err := json.Marshal(o)
		if err != nil || string(data) != `"`+name+`"` {
			t.Errorf("%v is written %s, error %v", o, data, err)
		}
		var got Outcome
		if err := json.Unmarshal(data, &got); err != nil || got != o {
			t.Errorf("%s is read as %v, error %v", data, got, err)
		}
	}
	var o Outcome
	if err := json.Unmarshal([]byte(`"passed"`), &o); err == nil || !strings.Contains(err.Error(), `verdict "passed": use one of ["inconclusive" "held"`) {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestNextCommandNamesWhatIsNotDefault(t *testing.T) {
	for want, c := range map[string]*harness.Comparison{
		"flujo-harness calibrate --write": {Workload: "default", Durability: "process"},
		"flujo-harness calibrate --backend postgres://HOST/DATABASE --durability postgres-power --write": {Workload: "default", Durability: "postgres-power"},
		"flujo-harness calibrate --workload single --durability power --write":                           {Workload: "single", Durability: "power"},
		"flujo-harness calibrate --suite ./flows --durability power --write":                             {Workload: "default", Durability: "power", Suite: "./flows"},
		"flujo-harness calibrate --suite ./flows --workload 'in review' --write":                         {Workload: "in review", Durability: "process", Suite: "./flows"},
		"flujo-harness calibrate --workload a --durability ci --write":                                   {Workload: "a", Durability: "ci"},
		"flujo-harness calibrate --suite ./a --workload b --durability c --write":                        {Suite: "./a", Workload: "b", Durability: "c"},
		"flujo-harness calibrate --suite ./default --write":                                              {Suite: "./default", Workload: "default", Durability: "process"},
		"flujo-harness calibrate --workload process --durability default --write":                        {Workload: "process", Durability: "default"},
		"flujo-harness calibrate --suite process --workload process --write":                             {Suite: "process", Workload: "process", Durability: "process"},
		"flujo-harness calibrate --suite power --durability power --write":                               {Suite: "power", Workload: "default", Durability: "power"},
	} {
		if got := calibrateCommand(c); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A sync below LeastSync ends in a cache; a session that did not sync says nothing.
func TestQuickSyncsAreNoted(t *testing.T) {
	at := func(syncs float64, took ...time.Duration) *harness.Comparison {
		c := &harness.Comparison{}
		for _, d := range took {
			c.Conditions = append(c.Conditions, harness.Conditions{Syncs: int(syncs), Sync: d})
		}
		return c
	}
	const quick = harness.LeastSync - time.Nanosecond
	for name, tc := range map[string]struct {
		c    *harness.Comparison
		want string
	}{
		"no session":            {at(1), ""},
		"nobody synced":         {at(0, quick, quick), ""},
		"as quick as it may be": {at(1, harness.LeastSync), ""},
		"too quick":             {at(3, quick, quick), "takes 49.999µs here (median of 2 sessions)"},
		"by the median":         {at(1, quick, harness.LeastSync, harness.LeastSync), ""},
	} {
		got := strings.Join(storageNote(tc.c), "\n")
		if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// Where nobody looked at the machine, nothing is known against it.
func TestNoiseIsTheMedianOfSessions(t *testing.T) {
	c := made(3, 1.3, 1, 1.25)
	if got := awayMedian(c); got != 0 {
		t.Errorf("nobody looked: %v", got)
	}
	for _, away := range []float64{0.9, machine.AwayBound, 0} {
		c.Conditions = append(c.Conditions, harness.Conditions{Canary: machine.CanaryResult{Away: away}})
	}
	if got := awayMedian(c); got != machine.AwayBound {
		t.Errorf("median %v", got)
	}
	if v := Judge(c, fileWith(1.3), today); v.Outcome != Held {
		t.Errorf("at the bound: %v: %s", v.Outcome, v.Reason)
	}
}

func TestCountersAreJudged(t *testing.T) {
	with := func(a harness.Counters, goes string) *harness.Comparison {
		c := made(3, 1.3, 1, 1.25)
		c.Counters, c.Environment.Go = map[string]harness.Counters{harness.ArmBackend: a}, goes
		return c
	}
	limit := Limit{Counters: &harness.Counters{Allocs: 10, AllocBytes: 100, Commits: 5, Pages: 1.000001}}
	limit.Provenance.Environment.Go = "go1.26.0"
	for name, tc := range map[string]struct {
		c          *harness.Comparison
		rose, note string
	}{
		"as allowed":             {with(*limit.Counters, "go1.26.0"), "", ""},
		"more":                   {with(harness.Counters{Allocs: 10, AllocBytes: 101, Commits: 6, Pages: 1}, "go1.26.0"), "alloc_bytes 101, at most 100|commits 6, at most 5", ""},
		"as the file rounds it":  {with(harness.Counters{Allocs: 10, AllocBytes: 100, Commits: 5, Pages: 1.0000014}, "go1.26.0"), "", ""},
		"by another compiler":    {with(harness.Counters{Allocs: 11, AllocBytes: 101, Commits: 5, Pages: 1}, "go1.27.0"), "", "allocations were not judged: calibrated with go1.26.0, measured with go1.27.0"},
		"commits by another one": {with(harness.Counters{Allocs: 11, Commits: 6, Pages: 1}, "go1.27.0"), "commits 6, at most 5", "allocations were not judged: calibrated with go1.26.0, measured with go1.27.0"},
		"so few that more pass": {with(harness.Counters{Allocs: 10, AllocBytes: 96, Commits: 3, Pages: 1}, "go1.26.0"), "",
			"a run counts so much less than its limit allows that a rise could pass: commits 3, at most 5: flujo-harness calibrate --write --counts"},
		"nobody counted": {made(3, 1.3, 1, 1.25), "", ""},
	} {
		rose, notes := judgeCounters(tc.c, &limit, false)
		if got := strings.Join(rose, "|"); got != tc.rose || strings.Join(notes, "|") != tc.note {
			t.Errorf("%s: rose %q, notes %q; want %q, %q", name, got, notes, tc.rose, tc.note)
		}
	}
	_, notes := judgeCounters(with(harness.Counters{Allocs: 1, AllocBytes: 100, Commits: 5, Pages: 1}, "go1.26.0"), &limit, true)
	if got := strings.Join(notes, "|"); !strings.HasSuffix(got, "create a limit for this class: flujo-harness calibrate --write") {
		t.Errorf("by the limit of another class: %q", got)
	}
	if rose, notes := judgeCounters(with(harness.Counters{Allocs: 11}, ""), &Limit{}, false); rose != nil || notes != nil {
		t.Errorf("without limits: %v, %q", rose, notes)
	}
}

// The texts that a person decides by, whole.
func TestTexts(t *testing.T) {
	var b strings.Builder
	say := func(name, text string) { b.WriteString("## " + name + "\n" + text + "\n\n") }
	c := made(3, 1.3, 1, 1.25)
	c.CostRatio = harness.Estimate{Value: 1.3, Low: 1.29, High: 1.31, Level: 0.95, N: 15, Of: "blocks", Unit: "ratio"}
	c.Cost = harness.Estimate{Value: 50, Low: 49, High: 51, Level: 0.95, N: 15, Of: "blocks", Unit: "us/run"}
	c.Overhead, c.Scripts = c.CostRatio, c.Cost
	held := Judge(c, fileWith(1.3), today)
	held.Notes = append(held.Notes, "a note")
	say("held", Judged{Comparison: c, Verdict: held}.String())
	say("no limit", Judged{Comparison: c, Verdict: Judge(c, nil, today)}.String())
	say("nothing measured", Judged{Comparison: &harness.Comparison{}, Verdict: Verdict{Reason: "nothing was measured"}}.String())
	say("no comparison", Judged{}.String())
	e := MarginError{Margin: 0.05, Smallest: 0.08, Injected: 0.051, Held: 0.91, False: 0.0021, Broken: 0.87, Replays: 2000}
	say("margin too small", e.Error())
	e.Smallest = 0.05
	say("injection too small for the margin", e.Error())
	e.Smallest = 0
	say("no margin would do", e.Error())
	old := fileWith(1.3).Limits[0]
	for _, to := range []Limit{{Baseline: 1.3, Margin: 0.2, Limit: 1.56}, {Baseline: 1.2, Margin: 0.05, Limit: 1.26}} {
		to.Workload, to.Metric, to.Durability = old.Workload, old.Metric, old.Durability
		say("change", changeOf(old, to).String())
	}
	golden(t, "texts.golden.txt", b.String())
}

// Every field is part of the identity of a limit.
func TestLimitsAreFoundByAllThreeNames(t *testing.T) {
	f := fileWith(1.3)
	for _, tc := range []struct {
		workload, metric, durability string
		found                        bool
	}{
		{"default", MetricCostRatio, "process", true}, {"loop", MetricCostRatio, "process", false},
		{"default", "ratio", "process", false}, {"default", MetricCostRatio, "power", false},
	} {
		if got := f.Find(tc.workload, tc.metric, tc.durability) != nil; got != tc.found {
			t.Errorf("%+v: found %v", tc, got)
		}
		e := Entry{Workload: tc.workload, Metric: tc.metric, Durability: tc.durability}
		if got := e.of(&f.Limits[0]); got != tc.found {
			t.Errorf("entry %+v is of the limit: %v", tc, got)
		}
	}
}

// A limit is stale only if the whole interval is below its baseline by half of the margin, 1.238 here, and a
// machine is noisy only above its bound.
func TestBoundsOfNotes(t *testing.T) {
	limits := fileWith(1.3)
	for high, want := range map[float64]bool{0: false, 1.2: true, 1.25: false} {
		c := made(4, 1.2, 1, 1.25)
		c.CostRatio = harness.Estimate{Value: 1.2, High: high}
		if v := Judge(c, limits, today); v.Stale != want {
			t.Errorf("up to %v: stale %v", high, v.Stale)
		}
	}
	c := made(2, 1.3, 1, 1.25)
	c.Conditions = []harness.Conditions{{Canary: machine.CanaryResult{Away: machine.AwayBound}}}
	if v := Judge(c, limits, today); len(v.Notes) != 0 || !strings.Contains(v.Reason, "the self-check is undecided after") || strings.Contains(v.Reason, "noisy") {
		t.Errorf("%v, notes %q", v, v.Notes)
	}
}
