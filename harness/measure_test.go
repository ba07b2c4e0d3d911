package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/google/go-cmp/cmp"
)

// slotsOf makes two rounds of plausible slots.
func slotsOf() map[string][]float64 {
	return map[string][]float64{
		ArmNone: {1000, 1000}, ArmBackend: {101000, 121000}, ArmFloor: {50000, 60000}, ArmTwin: {111000, 121000}, ArmSlow: {126000, 151000}, ArmStubs: {30, 50},
	}
}

func TestBlockIsOfTheQuickerSlots(t *testing.T) {
	b, err := blockOf(3, slotsOf())
	b.Slots = nil
	want := Block{Session: 3, CostRatio: 2, Overhead: 100, CostUS: 100, Twin: 1.1, Slow: 2.5, Injected: 1.25, ScriptsUS: 0.03}
	if err != nil || !cmp.Equal(b, want) {
		t.Errorf("block %+v, error %v; want %+v", b, err, want)
	}
}

func TestBadSamplesAreNeverFigures(t *testing.T) {
	for _, bad := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		slots := slotsOf()
		slots[ArmBackend][1] = bad
		if _, err := blockOf(1, slots); !errors.Is(err, errNotPositive) || !strings.Contains(err.Error(), "round 2: the slot of arm backend") {
			t.Errorf("a slot of %v ns: %v", bad, err)
		}
	}
	for _, arm := range costArms {
		slots := slotsOf()
		delete(slots, arm)
		if _, err := blockOf(1, slots); !errors.Is(err, errMissingArm) {
			t.Errorf("no slots of arm %s: %v", arm, err)
		}
	}
}

// Noise as large as a difference may turn it round. That is a fact like any other: the
// figures bear it, and the judge counts it below every boundary.
func TestADifferenceBelowZeroIsAFact(t *testing.T) {
	c := &Comparison{}
	for i := range 8 {
		slots := slotsOf()
		if i == 3 {
			slots[ArmNone] = []float64{201000, 221000}
		}
		b, err := blockOf(1, slots)
		if err != nil {
			t.Fatal(err)
		}
		if i == 3 && (b.CostRatio != -2 || b.CostUS != -100) {
			t.Errorf("the block with the noise: %+v", b)
		}
		c.Blocks = append(c.Blocks, b)
	}
	equal := slotsOf()
	equal[ArmBackend] = equal[ArmNone]
	if b, err := blockOf(1, equal); err != nil || math.IsInf(b.Twin, 0) || math.IsNaN(b.Injected) || b.CostRatio > 1e-9 {
		t.Errorf("no difference at all: %+v, %v", b, err)
	}
	c.estimate()
	for name, e := range map[string]Estimate{"(W-N)/F": c.CostRatio, "(W-N)/N": c.Overhead, "W-N": c.Cost, "injected": c.Injected} {
		if !(e.Low <= e.Value && e.Value <= e.High) || math.IsInf(e.High, 0) {
			t.Errorf("%s: %v", name, e)
		}
	}
	if c.CostRatio.Value != 2 {
		t.Errorf("(W-N)/F: %v, want that of the other blocks", c.CostRatio)
	}
}

// The machine was away in some slots: they are not in the quicker half.
func TestSlowSlotsDoNotChangeABlock(t *testing.T) {
	slots := map[string][]float64{
		ArmNone: {1000, 1000, 1000, 900000, 1000}, ArmBackend: {9e6, 101000, 9e7, 101000, 101000}, ArmFloor: {50000, 50000, 50000, 50000, 9e9},
		ArmTwin: {101000, 101000, 1e9, 101000, 101000}, ArmSlow: {126000, 126000, 1e6, 2e6, 126000}, ArmStubs: {30, 30, 30, 40, 50},
	}
	b, err := blockOf(1, slots)
	b.Slots = nil
	want := Block{Session: 1, CostRatio: 2, Overhead: 100, CostUS: 100, Twin: 1, Slow: 2.5, Injected: 1.25, ScriptsUS: 0.03}
	if err != nil || !cmp.Equal(b, want) {
		t.Errorf("block %+v, error %v; want %+v", b, err, want)
	}
}

// fake is a session of the given blocks with a good audit.
func fake(blocks int) SessionResult {
	res := SessionResult{Audit: []Finding{{checkWork, true, "fine"}}}
	for range blocks {
		res.Slots = append(res.Slots, slotsOf())
	}
	return res
}

func specOf(t *testing.T) Spec {
	p := small()
	p.Sessions = 3
	return Spec{Workload: "default", Durability: "process", Plan: p, Seed: 1, Dir: t.TempDir()}
}

func TestMeasureStopsWhenThereIsEnough(t *testing.T) {
	asked := 0
	c, err := Measure(t.Context(), specOf(t), func(_ context.Context, s Session) (SessionResult, error) { return fake(5), nil },
		func(c *Comparison) bool { asked++; return c.Sessions() == 2 })
	if err != nil || asked != 2 || len(c.Blocks) != 10 || !c.Complete || !c.Valid() {
		t.Errorf("asked %d times, %d blocks, complete %v, problem %q, error %v", asked, len(c.Blocks), c.Complete, c.Problem, err)
	}
	if c.CostRatio.Value < 1.9999 || c.CostRatio.Value > 2.0001 || c.CostRatio.N != 10 || c.CostRatio.Of != "blocks" || c.Cost.Unit != "us/run" {
		t.Errorf("estimate %+v", c.CostRatio)
	}
	if b, err := json.Marshal(c); err != nil || bytes.Contains(b, []byte("Inf")) {
		t.Errorf("as JSON: %v", err)
	}
}

func TestAFaultySessionEndsTheMeasurement(t *testing.T) {
	n := 0
	c, err := Measure(t.Context(), specOf(t), func(context.Context, Session) (SessionResult, error) {
		n++
		res := fake(5)
		if n == 2 {
			res.Audit = append(res.Audit, Finding{checkSaves, false, "none were made"})
		}
		return res, nil
	}, func(*Comparison) bool { return false })
	if err != nil || n != 2 || c.Valid() || c.Complete || c.Problem != "saves counted: session 2: none were made" {
		t.Errorf("%d sessions, problem %q, error %v", n, c.Problem, err)
	}
}

func TestInterruptedMeasurementKeepsWhatItHas(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	c, err := Measure(ctx, specOf(t), func(ctx context.Context, _ Session) (SessionResult, error) {
		if n++; n == 2 {
			cancel()
			return SessionResult{}, ctx.Err()
		}
		return fake(5), nil
	}, func(*Comparison) bool { return false })
	if err != nil || c.Complete || len(c.Blocks) != 5 {
		t.Errorf("%+v, error %v", c, err)
	}
}

func TestSessionsGoThroughAProcessUnchanged(t *testing.T) {
	o := order(t, MutantNone)
	o.Plan.Batch = batches(40, 1600) // long enough for any clock: 40 runs with and 1,600 without saves
	in, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := ServeSession(t.Context(), bytes.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	var res SessionResult
	if err := json.Unmarshal(out.Bytes(), &res); err != nil || res.Problem != "" || len(res.Slots) != 2 {
		t.Errorf("result %+v, error %v", res, err)
	}
	if err := ServeSession(t.Context(), strings.NewReader(`{"nonsense":1}`), &out); err == nil {
		t.Error("an unknown field was taken")
	}
	if _, err := Exec("/bin/false")(t.Context(), o); err == nil {
		t.Error("a process that failed gave a result")
	}
}

func TestFitChoosesSlotsThatTheClockCanMeasure(t *testing.T) {
	spec := specOf(t)
	spec.Plan.Batch = nil
	p, err := spec.fitted(t.Context(), InProcess(), costArms)
	if err != nil || len(p.Batch) != len(costArms) || p.Check() != nil {
		t.Errorf("plan %+v, error %v", p, err)
	}
}

func TestBadOrdersAreRefused(t *testing.T) {
	never := func(context.Context, Session) (SessionResult, error) { panic("run") }
	for name, change := range map[string]func(*Spec){
		"workload":   func(s *Spec) { s.Workload, s.Plan.Batch = "nope", nil },
		"durability": func(s *Spec) { s.Durability, s.Plan.Batch = "OFF", nil },
		"sessions":   func(s *Spec) { s.Plan.Sessions = 1 },
		"slow-down":  func(s *Spec) { s.Plan.SlowBy = math.NaN() },
		"folder":     func(s *Spec) { s.Dir, s.Plan.Batch = s.Dir+"/none", nil },
	} {
		spec := specOf(t)
		change(&spec)
		run := never
		if spec.Plan.Batch == nil { // the session that fits it finds out
			run = InProcess()
		}
		if _, err := Measure(t.Context(), spec, run, nil); err == nil {
			t.Errorf("bad %s was taken", name)
		}
	}
}

// The example of Wilcox, Introduction to Robust Estimation (the "self-awareness"
// data): 20% trimmed mean 282.7, winsorized standard error 56.1, t(12) = 2.1788.
func TestYuenAgainstAPrintedExample(t *testing.T) {
	v := []float64{77, 87, 88, 114, 151, 210, 219, 246, 253, 262, 296, 299, 306, 376, 428, 515, 666, 1310, 2611}
	mid, half := yuen(v)
	if math.Abs(mid-282.7) > 0.05 || math.Abs(mid-half-160.4) > 0.5 || math.Abs(mid+half-404.99) > 0.5 {
		t.Errorf("trimmed mean %.2f, interval %.2f to %.2f; printed are 282.7, 160 to 405", mid, mid-half, mid+half)
	}
	if mean, _, kept := machine.TrimmedMean(v, 0); kept != len(v) || math.Abs(mean-448.1) > 0.05 {
		t.Errorf("mean of %d values %.2f, want 448.1", kept, mean)
	}
	if _, half := yuen(v[:4]); !math.IsInf(half, 1) {
		t.Errorf("4 values gave an interval of +-%v", half)
	}
}

// How often the 95% interval misses the truth, normal data, n = 20.
func TestYuenCoversNominally(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	const trials = 10000
	missed := 0
	for range trials {
		v := make([]float64, 20)
		for i := range v {
			v[i] = rng.NormFloat64()
		}
		if mid, half := yuen(v); math.Abs(mid) > half {
			missed++
		}
	}
	t.Logf("missed %d of %d", missed, trials)
	if missed < 400 || missed > 620 {
		t.Errorf("missed %d of %d, nominal is 500", missed, trials)
	}
}

func TestMedianLeavesItsInput(t *testing.T) {
	v := []float64{3, 1, 2, 9}
	if m := machine.Median(v); m != 2.5 || !slices.Equal(v, []float64{3, 1, 2, 9}) {
		t.Errorf("median %v of %v", m, v)
	}
}

func TestSessionsThatDisagreeAreTheSample(t *testing.T) {
	var v []float64
	var sessions []int
	for s := range 6 {
		for b := range 5 {
			v, sessions = append(v, math.Exp(float64(s)+0.01*float64(b))), append(sessions, s+1)
		}
	}
	if e := estimate(v, sessions, "ratio"); e.Of != "sessions" || e.N != 6 {
		t.Errorf("%v", e)
	}
	slices.Reverse(sessions[:15])
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
	if e := estimate(v, sessions, "ratio"); e.Of != "blocks" || e.N != 30 {
		t.Errorf("%v", e)
	}
}

func TestSessionsCountTheFewestAndTheMost(t *testing.T) {
	var c Comparison
	for _, n := range []Counters{{Allocs: 121, Commits: 5, Pages: 9}, {Allocs: 120, Commits: 6, Pages: 8}, {Allocs: 125, Commits: 4, Pages: 8}} {
		c.count(map[string]Counters{ArmBackend: n})
	}
	if got, want := c.Counters[ArmBackend], (Counters{Allocs: 120, Commits: 4, Pages: 8}); got != want {
		t.Errorf("the fewest are %+v, want %+v", got, want)
	}
	if got, want := c.Most[ArmBackend], (Counters{Allocs: 125, Commits: 6, Pages: 9}); got != want {
		t.Errorf("the most are %+v, want %+v", got, want)
	}
}
