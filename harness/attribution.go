package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/harness/machine"
)

// Waterfall splits the cost of a run into parts. Each arm adds one part to the arm before it;
// the differences are the parts.
type Waterfall struct {
	Schema      int                 `json:"schema"` // 1
	Workload    string              `json:"workload"`
	Durability  string              `json:"durability"`
	Started     time.Time           `json:"started"`
	Seconds     float64             `json:"seconds"`
	Seed        uint64              `json:"seed"`
	Plan        Plan                `json:"plan"`
	Environment machine.Environment `json:"environment"`

	Increments []Increment `json:"increments"`
	Total      Estimate    `json:"total"`   // µs per run with everything, measured in an arm of its own
	Gap        Estimate    `json:"gap"`     // the sum of the increments minus Total, µs per run
	AddsUp     bool        `json:"adds_up"` // the interval of Gap includes 0
	Open       Estimate    `json:"open"`    // µs to create a database, which a process does once

	Sessions []SessionResult `json:"sessions"`
	Audit    []Finding       `json:"audit"`
	Complete bool            `json:"complete"`
	Problem  string          `json:"problem,omitempty"`
}

// Increment is one bar of a [Waterfall].
type Increment struct {
	Arm      string   `json:"arm"`
	Category string   `json:"category"` // such as "state management"
	Adds     string   `json:"adds"`     // what the arm does more than the one before it
	Cost     Estimate `json:"cost"`     // µs per run
}

// increments returns the arms of an attribution in their order. The levels of the backend,
// up to the measured one, are in the middle.
func increments(levels []corebench.Level, measured string) []Increment {
	all := []Increment{
		{Arm: ArmCopies, Category: "context isolation", Adds: "a copy of the scope for the run and for each attempt"},
		{Arm: ArmNone, Category: "engine", Adds: "the walk over the plan, the calls of the scripted agents, the result"},
		{Arm: ArmEncoded, Category: "state management", Adds: "encoding of states and outputs, keys and times of the records"},
	}
	for _, l := range levels {
		all = append(all, Increment{Arm: l.Durability, Category: l.Category, Adds: l.Adds})
		if l.Durability == measured {
			break
		}
	}
	return append(all, Increment{Arm: ArmTraced, Category: "logging and tracing", Adds: "a log line and a span for every step"})
}

// Attribute measures the parts of the cost of a run. It runs all sessions of the plan, for
// no verdict can end it early. progress is called after each session.
func Attribute(ctx context.Context, spec Spec, run Runner, progress func(sessions int)) (*Waterfall, error) {
	if w, err := WorkloadNamed(spec.Workload); err == nil && w.Pauses > 0 {
		return nil, fmt.Errorf("workload %q pauses, which an engine that keeps nothing cannot: attribute another one", w.Name)
	}
	backend, _, err := levelAt(spec.Backend, spec.Durability)
	if err != nil {
		return nil, err
	}
	f := &Waterfall{Schema: 1, Workload: spec.Workload, Durability: spec.Durability, Started: time.Now().UTC(), Seed: spec.Seed,
		Increments: increments(backend.Levels(), spec.Durability)}
	if f.Environment, err = spec.Describe(ctx); err != nil {
		return nil, err
	}
	arms := []string{ArmTotal, ArmBackend, ArmFloor} // the audit needs the last two
	for _, i := range f.Increments {
		arms = append(arms, i.Arm)
	}
	if f.Plan, err = spec.fitted(ctx, run, arms); err != nil {
		return nil, err
	}
	if f.Open, err = opening(ctx, backend, spec); err != nil {
		return nil, err
	}
	f.Complete, err = spec.each(ctx, f.Plan, run, func(n int, res SessionResult) bool {
		f.Audit = mergeAudit(f.Audit, res.Audit, n)
		for _, a := range f.Audit {
			if !a.OK && f.Problem == "" {
				f.Problem = a.Check + ": " + a.Detail
			}
		}
		if f.Problem == "" {
			f.Sessions = append(f.Sessions, res)
		}
		progress(n)
		return f.Problem != ""
	})
	f.Complete = f.Complete && f.Problem == ""
	f.Seconds = time.Since(f.Started).Seconds()
	return f, errors.Join(err, f.estimate())
}

// estimate computes the median of the rounds of each block, then the estimates from the
// blocks.
func (f *Waterfall) estimate() error {
	if len(f.Sessions) == 0 {
		return nil
	}
	var sessions []int
	costs := make([][]float64, len(f.Increments))
	var total, gap []float64
	for n, s := range f.Sessions {
		for b, slots := range s.Slots {
			rounds := len(slots[ArmTotal])
			cost := make([]float64, len(f.Increments))
			for i := range f.Increments {
				diffs := make([]float64, rounds)
				for r := range rounds {
					v := slots[f.Increments[i].Arm][r]
					if i > 0 {
						v -= slots[f.Increments[i-1].Arm][r]
					}
					diffs[r] = v / 1e3
				}
				cost[i] = machine.Median(diffs)
				costs[i] = append(costs[i], cost[i])
			}
			all := make([]float64, rounds)
			for r := range rounds {
				if all[r] = slots[ArmTotal][r] / 1e3; !(all[r] > 0) {
					return fmt.Errorf("session %d, block %d: the slot of arm %s is %v us: %w", n+1, b+1, ArmTotal, all[r], errNotPositive)
				}
			}
			sum := 0.0
			for _, c := range cost {
				sum += c
			}
			total, gap, sessions = append(total, machine.Median(all)), append(gap, sum-machine.Median(all)), append(sessions, n+1)
		}
	}
	for i := range f.Increments {
		f.Increments[i].Cost = estimateSum(costs[i], sessions, "us/run")
	}
	f.Total, f.Gap = estimateSum(total, sessions, "us/run"), estimateSum(gap, sessions, "us/run")
	f.AddsUp = f.Gap.Low <= 0 && f.Gap.High >= 0
	return nil
}

// Parts splits the cost of a run with a backend into the parts that the arms of a comparison
// can tell apart. Each part is a difference of two arms in the same block, so the parts add
// up. Parts returns nil if the comparison is invalid, or no block has finite differences.
func (c *Comparison) Parts() *Waterfall {
	if !c.Valid() {
		return nil
	}
	w := &Waterfall{Workload: c.Workload, Durability: c.Durability, AddsUp: true, Increments: []Increment{
		{Arm: ArmStubs, Category: "scripts", Adds: "the calls of the scripted agents"},
		{Arm: ArmNone, Category: "engine", Adds: "the walk over the plan, copies of the scope, the result"},
		{Arm: ArmFloor, Category: "floor", Adds: "the same bytes in the same transactions, by bare driver calls"},
		{Arm: ArmBackend, Category: "over the floor", Adds: "encoding, keys and times of the records, the way to the driver"},
	}}
	var sessions []int
	var total []float64
	costs := make([][]float64, len(w.Increments))
	for _, b := range c.Blocks {
		none := b.CostUS / b.Overhead   // (W-N) / ((W-N)/N)
		floor := b.CostUS / b.CostRatio // (W-N) / ((W-N)/F)
		if math.IsNaN(none+floor) || math.IsInf(none+floor, 0) {
			continue
		}
		sessions, total = append(sessions, b.Session), append(total, none+b.CostUS)
		for i, v := range []float64{b.ScriptsUS, none - b.ScriptsUS, floor, b.CostUS - floor} {
			costs[i] = append(costs[i], v)
		}
	}
	if len(total) == 0 {
		return nil
	}
	for i := range w.Increments {
		w.Increments[i].Cost = estimateSum(costs[i], sessions, "us/run")
	}
	w.Total = estimateSum(total, sessions, "us/run")
	if c.Scripts.N == 0 { // not measured on their own: they are part of the engine's time
		w.Increments = w.Increments[1:]
	}
	return w
}

// opening measures how long this process takes to create a database.
func opening(ctx context.Context, backend corebench.Backend, spec Spec) (Estimate, error) {
	dir, err := os.MkdirTemp(spec.Dir, "open-")
	if err != nil {
		return Estimate{}, err
	}
	defer os.RemoveAll(dir)
	var took []float64
	var each []int
	for n := range 21 {
		began := time.Now()
		b, err := backend.Open(ctx, filepath.Join(dir, fmt.Sprint(n, ".db")), spec.Durability)
		if err != nil {
			return Estimate{}, fmt.Errorf("measure how long a database takes to open: %w", err)
		}
		d := time.Since(began)
		if err := b.Discard(); err != nil {
			return Estimate{}, err
		}
		if n > 0 { // the first one includes work that a process does once
			took, each = append(took, float64(d.Nanoseconds())/1e3), append(each, n)
		}
	}
	e := estimateSum(took, each, "us")
	e.Of = "openings"
	return e, nil
}
