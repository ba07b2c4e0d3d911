package harness

import (
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flujo/flujo-harness/harness/instructions"
)

// made is a program whose sessions are made up: a run without the backend takes 10 µs, the
// floor 100 µs, and a run with the backend 10 µs and cost times 100 µs.
type made struct {
	cost    float64
	noise   float64 // standard deviation of the logarithm of a block
	counter Counters
	fails   error
	times   int // sessions that fail; 0: all
	problem string
	count   map[string]float64 // instructions of a run of an arm
	rng     *rand.Rand
}

func (m *made) run(_ context.Context, s Session) (res SessionResult, err error) {
	if m.fails != nil {
		failed := m.fails
		if m.times--; m.times == 0 {
			m.fails = nil
		}
		return res, failed
	}
	if s.Count != nil {
		const start = 1e7
		res.Instructions = start + float64(s.Count.Ops)*m.count[s.Count.Arm]
		return res, nil
	}
	res.Problem = m.problem
	res.Audit = []Finding{{checkRuns, true, "made up"}}
	res.Counters = map[string]Counters{ArmBackend: m.counter}
	for range s.Plan.Blocks {
		jitter := func(ns float64) float64 { return ns * math.Exp(m.noise*m.rng.NormFloat64()) }
		with := 10_000 + m.cost*100_000
		slots := map[string][]float64{ArmNone: {10_000}, ArmBackend: {jitter(with)}, ArmFloor: {100_000}, ArmTwin: {with}, ArmSlow: {with * (1 + s.Plan.SlowBy)}, ArmStubs: {500}}
		res.Slots = append(res.Slots, slots)
	}
	return res, nil
}

func againstSpec(base, head *made) AgainstSpec {
	p := DefaultPlan()
	p.Batch, p.SlowBy, p.Rounds = batches(1, 1), 0.1, 1
	for i, m := range []*made{base, head} {
		if m.rng == nil {
			m.rng = rand.New(rand.NewPCG(7, uint64(i)))
		}
	}
	return AgainstSpec{Spec: Spec{Workload: "default", Durability: "process", Plan: p, Seed: 7},
		Base: Revision{"main", base.run}, Head: Revision{"working tree", head.run}}
}

// three sessions of each, and no more.
func upTo(blocks int) func(*Difference) More {
	return func(d *Difference) More { return More{Time: len(d.Blocks) < blocks} }
}

func TestAgainstComparesTheCostOfTwoPrograms(t *testing.T) {
	counters := Counters{Allocs: 132, Commits: 5, Statements: 12, Bytes: 40960, Syncs: 0}
	d, head, err := Against(t.Context(), againstSpec(&made{cost: 1.3, counter: counters}, &made{cost: 1.3 * 1.07, counter: counters}), upTo(18))
	if err != nil || d.Problem != "" {
		t.Fatal(err, d.Problem)
	}
	if len(d.Blocks) != 18 || d.Blocks[17].Session != 3 || !d.Complete {
		t.Errorf("%d blocks, complete %v; want 18 of 3 sessions", len(d.Blocks), d.Complete)
	}
	if math.Abs(d.Ratio.Value-1.07) > 1e-9 || d.Blocks[0].Twin != 1 {
		t.Errorf("ratio %v, twin %v", d.Ratio, d.Blocks[0].Twin)
	}
	// The slowed arm of the head, against the base: the self-check has the strength asked for.
	if want := (10 + 1.3*1.07*100) * 1.1; math.Abs(d.Blocks[0].Slow-(want-10)/130) > 1e-9 {
		t.Errorf("slowed %v", d.Blocks[0].Slow)
	}
	var units []string
	for _, c := range d.Counts {
		units = append(units, c.Unit)
		if c.Base != 6 || c.Head != 3 {
			t.Errorf("%+v: want 6 sessions of the base and 3 of the head", c)
		}
	}
	if !slices.Equal(units, AgainstUnits()) {
		t.Errorf("counts %q", units)
	}
	if head == nil || head.Sessions() != 3 || len(head.Blocks) != 18 || math.Abs(head.CostRatio.Value-1.3*1.07) > 1e-9 {
		t.Errorf("the comparison of the head: %+v", head)
	}
}

// Two sessions of each are made whatever the budget, and a further one if the budget has room for
// the mean of those before.
func TestAgainstKeepsToItsBudget(t *testing.T) {
	for budget, want := range map[time.Duration]int{time.Second: 12, 11 * time.Second: 18, 12 * time.Second: 24} {
		synctest.Test(t, func(t *testing.T) {
			spec := againstSpec(&made{cost: 1.3}, &made{cost: 1.3})
			spec.Plan.Budget = budget
			for _, r := range []*Revision{&spec.Base, &spec.Head} {
				quick := r.Run
				r.Run = func(ctx context.Context, s Session) (SessionResult, error) {
					time.Sleep(time.Second) // of the fake clock
					return quick(ctx, s)
				}
			}
			d, _, err := Against(t.Context(), spec, upTo(24))
			if err != nil || len(d.Blocks) != want || !d.Complete {
				t.Errorf("%v: %d blocks, want %d; error %v", budget, len(d.Blocks), want, err)
			}
		})
	}
}

func TestCountsAreThoseOfBothSides(t *testing.T) {
	one, two := []float64{1}, []float64{2, 3}
	got := countsOf([]string{"a", "b", "c", "d"}, [2]map[string][]float64{{"a": one, "b": one}, {"b": two, "c": one}})
	if len(got) != 1 || got[0] != (Count{Unit: "b", BaseLow: 1, BaseHigh: 1, HeadLow: 2, HeadHigh: 3, Base: 1, Head: 2}) {
		t.Errorf("%+v", got)
	}
}

func TestAgainstSaysWhichSideFails(t *testing.T) {
	good := func() *made { return &made{cost: 1.3} }
	for name, row := range map[string]struct {
		base, head *made
		want       func(*Difference) bool
	}{
		"the head's audit": {good(), &made{problem: "saves counted: 4"}, func(d *Difference) bool { return strings.Contains(d.HeadFails, "saves counted") }},
		"the base's audit": {&made{problem: "saves counted: 4"}, good(), func(d *Difference) bool {
			return d.FailsAtBase && strings.Contains(d.NotCompared, "at main: saves counted")
		}},
		"the head's process": {good(), &made{fails: errors.New("killed")}, func(d *Difference) bool { return strings.Contains(d.HeadFails, "killed") }},
		"the base's process": {&made{fails: errors.New("no workload")}, good(), func(d *Difference) bool { return d.FailsAtBase && strings.Contains(d.NotCompared, "no workload") }},
		"a session of the head": {good(), &made{cost: 1.3, fails: errors.New("killed"), times: 1}, func(d *Difference) bool {
			return d.HeadFails == "" && strings.Contains(d.NotCompared, "1 of 2 failed: killed")
		}},
		"no cost at all": {good(), &made{cost: 0}, func(d *Difference) bool { return strings.Contains(d.NotCompared, "not quicker than the floor") }},
	} {
		d, _, err := Against(t.Context(), againstSpec(row.base, row.head), upTo(18))
		if err != nil || !row.want(d) {
			t.Errorf("%s: error %v, %+v", name, err, d)
		}
	}
}

// What is counted is W-N of each program, without what its process does to start.
func TestAgainstCountsInstructions(t *testing.T) {
	base := &made{cost: 1.3, count: map[string]float64{ArmNone: 8000, ArmBackend: 468_000}}
	head := &made{cost: 1.3, count: maps.Clone(base.count)}
	head.count[ArmBackend] += 23_000 // 5% of W-N
	spec := againstSpec(base, head)
	spec.Counter = &instructions.Tool{Name: "valgrind"}
	d, _, err := Against(t.Context(), spec, func(d *Difference) More { return More{Instructions: len(d.Instructions.Base) < 5} })
	if err != nil {
		t.Fatal(err)
	}
	i := d.Instructions
	if i.Problem != "" || i.Tool != "valgrind" || len(i.Base) != 5 || len(i.Head) != 5 || i.Base[4] != 460_000 || i.Head[4] != 483_000 {
		t.Errorf("%+v", i)
	}
}

// A program of a revision before sessions could be counted does not know the order.
func TestAProgramThatCannotCountIsNotCounted(t *testing.T) {
	old := &made{cost: 1.3}
	spec := againstSpec(&made{cost: 1.3}, old)
	spec.Counter = &instructions.Tool{Name: "valgrind"}
	spec.Base.Run = func(ctx context.Context, s Session) (SessionResult, error) {
		if s.Count != nil {
			return SessionResult{}, errors.New(`json: unknown field "count"`)
		}
		return old.run(ctx, s)
	}
	d, _, err := Against(t.Context(), spec, func(d *Difference) More {
		return More{Time: len(d.Blocks) < 12, Instructions: d.Instructions.Problem == ""}
	})
	if err != nil || !strings.Contains(d.Instructions.Problem, `main under valgrind: `) || len(d.Instructions.Base) != 0 || len(d.Blocks) != 12 {
		t.Errorf("error %v, %+v, %d blocks", err, d.Instructions, len(d.Blocks))
	}
}

// This test program serves sessions of a workload like the default one.
func init() {
	if w, err := WorkloadNamed("default"); err == nil {
		w.Name = "served" // that of a built-in one is not served
		Serve(w)
	}
}

// Sessions that are counted run for real, in processes of their own, where there is a tool.
func TestCountedSessions(t *testing.T) {
	tool, err := instructions.FindPortable(t.Context())
	if errors.Is(err, instructions.ErrNone) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	if testing.Short() {
		t.Skip("starts processes under valgrind")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := ExecTest(exe, "", "served")
	spec := Spec{Workload: "served", Durability: "process", Plan: small(), Seed: 7, Dir: t.TempDir()}
	of := map[string]float64{}
	for _, arm := range []string{ArmNone, ArmFloor, ArmBackend} {
		if of[arm], err = spec.instructionsOf(t.Context(), run, tool, arm); err != nil {
			t.Fatal(err)
		}
	}
	t.Log(of)
	// Of what a run executes: a few thousand without saves; the floor is part of what a run
	// with saves does.
	if !(of[ArmNone] > 1000 && of[ArmFloor] > 10*of[ArmNone] && of[ArmBackend] > of[ArmFloor]+of[ArmNone]) {
		t.Errorf("instructions of a run: %v", of)
	}
}
