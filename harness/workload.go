package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"reflect"
	"regexp"
	"sync"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// Workload is a pipeline with scripted agents, the durability of which is measured.
// [NewWorkload] makes one.
type Workload struct {
	Name        string
	Description string
	AtOnce      int           // number of runs at the same time; 1: one after the other
	Latency     time.Duration // time that the agent of each step takes
	Pauses      int           // number of pauses of each run for a human; they are answered at once
	Answer      any           // the answer to each pause; nil: true

	// Untimed is the reason why the time of the workload cannot be judged, for example a floor
	// that differs between files by more than any margin. Only its counts are judged then. If
	// Untimed is empty, time is judged too.
	Untimed string

	plan     stubs.Plan
	instance func(answer any) instance
}

// instance runs a workload for one arm in one block.
type instance interface {
	// once runs one operation: a run for each key, all at the same time. It is what is timed.
	once(ctx context.Context, e *core.Engine, keys []core.RunKey, input int) error
	// copies makes as many copies of the scope as one run needs at least.
	copies(input int) error
	// evidence describes the runs since its last call.
	evidence() (evidence, error)
}

// evidence describes the runs of a slot, to be compared between arms.
type evidence struct {
	runs   int
	steps  int    // steps of all runs
	digest uint64 // hash of the final scope, steps and exits of one run; 0 if two runs differ
}

// NewWorkload makes a workload from a pipeline with scripted agents. input returns the scope
// of a run for the number of its round; all arms of a round get the same scope.
func NewWorkload[S any](name, description string, p *core.Pipeline[S], input func(round int) S) Workload {
	w := Workload{Name: name, Description: description, AtOnce: 1, plan: p}
	w.instance = func(answer any) instance { return &runs[S]{plan: p, input: input, answer: answer} }
	return w
}

// branching matches the lines of nodes in a plan whose branches may save at the same time.
var branching = regexp.MustCompile(`(?m)^\s*(parallel|map) "`)

// sharing reports whether saves of the workload may share a transaction, as saves of
// simultaneous runs or branches may. Then a run makes at most N+2 transactions; otherwise it
// makes exactly N+2.
func (w Workload) sharing() bool {
	p, ok := w.plan.(interface{ Plan() string })
	return w.AtOnce > 1 || ok && branching.MatchString(p.Plan())
}

// fresh returns a new instance, for one arm in one block.
func (w Workload) fresh() instance {
	if w.Answer == nil {
		return w.instance(true)
	}
	return w.instance(w.Answer)
}

// load returns the number of runs of an arm, from which its scripts are sized.
func (w Workload) load(arm string, warmups, rounds, batch int) stubs.Load {
	n := max(1, w.AtOnce)
	return stubs.Load{Arm: arm, Warmups: warmups * n, Rounds: rounds, Batch: batch * n, Resumes: w.Pauses}
}

type runs[S any] struct {
	plan    *core.Pipeline[S]
	input   func(int) S
	answer  any
	results []core.Result[S]
	errs    []error
	kept    S // keeps the compiler from removing copies
}

func (r *runs[S]) once(ctx context.Context, e *core.Engine, keys []core.RunKey, input int) error {
	n := len(r.results)
	if len(keys) == 1 {
		res, err := r.one(ctx, e, keys[0], input)
		if err != nil {
			return err
		}
		r.results = append(r.results, res)
		return nil
	}
	for range keys {
		r.results = append(r.results, core.Result[S]{})
	}
	if len(r.errs) < len(keys) {
		r.errs = make([]error, len(keys))
	}
	var wg sync.WaitGroup
	for i, key := range keys {
		wg.Go(func() { r.results[n+i], r.errs[i] = r.one(ctx, e, key, input) })
	}
	wg.Wait()
	for i := range keys {
		if r.errs[i] != nil {
			return r.errs[i]
		}
	}
	return nil
}

// one runs the pipeline once and answers its pauses.
func (r *runs[S]) one(ctx context.Context, e *core.Engine, key core.RunKey, input int) (core.Result[S], error) {
	res, err := core.Run(ctx, e, r.plan, key, r.input(input))
	for err == nil && res.Status == core.Paused {
		steps := res.Steps
		res, err = core.Signal(ctx, e, r.plan, key, res.Pauses[0].Token, r.answer)
		res.Steps += steps
	}
	return res, err
}

func (r *runs[S]) copies(input int) error {
	scope := r.input(input)
	for range 1 + len(r.plan.Paths()) {
		var err error
		if r.kept, err = r.plan.Copy(scope); err != nil {
			return err
		}
	}
	return nil
}

func (r *runs[S]) evidence() (evidence, error) {
	ev := evidence{runs: len(r.results)}
	equal := true
	for i := range r.results {
		ev.steps += r.results[i].Steps
		equal = equal && reflect.DeepEqual(r.results[i], r.results[0])
	}
	if equal && ev.runs > 0 {
		b, err := json.Marshal(r.results[0])
		if err != nil {
			return ev, err
		}
		h := fnv.New64a()
		h.Write(b)
		ev.digest = h.Sum64()
	}
	clear(r.results)
	r.results = r.results[:0]
	return ev, nil
}

// expected is what one operation of a workload does on the backend in memory. Every arm must
// do the same.
type expected struct {
	runs    int
	steps   int
	saves   int // start, steps, answers and finish
	records int // records of steps and of the start
	digest  uint64
	calls   *stubs.Rehearsal // calls of agents in one run
}

// expect runs one operation of the workload on the backend in memory.
func (w Workload) expect(ctx context.Context) (expected, error) {
	var x expected
	book, err := stubs.Size(w.plan, w.load(ArmBackend, 1, 0, 0))
	if err != nil {
		return x, err
	}
	if ctx, err = book.In(ctx, ArmBackend); err != nil {
		return x, err
	}
	if x.calls, err = book.Rehearse(ArmBackend); err != nil {
		return x, err
	}
	memory, work, keys := core.NewMemory(), w.fresh(), runKeys(w.AtOnce)
	if err := work.once(ctx, core.NewEngine(core.WithBackend(memory)), keys, 0); err != nil {
		return x, fmt.Errorf("make one operation of workload %q: %w", w.Name, err)
	}
	if err := book.Verify(); err != nil {
		return x, fmt.Errorf("make one operation of workload %q: %w", w.Name, err)
	}
	ev, err := work.evidence()
	if err != nil {
		return x, err
	}
	x.runs, x.steps, x.saves, x.digest = ev.runs, ev.steps, int(memory.Counts().Saves), ev.digest
	for _, key := range keys {
		snap, err := memory.Load(ctx, key)
		if err != nil {
			return x, err
		}
		x.records += 1 + len(snap.Steps)
	}
	// A pause is a step and makes two further saves: the finish with status "paused", and the answer.
	if want := x.steps + 2*x.runs + 2*w.Pauses*x.runs; x.saves != want {
		return x, &auditError{Finding{Check: checkSaves, Detail: fmt.Sprintf(
			"one operation of workload %q makes %d saves on the backend in memory, want %d: N+2 for each of %d runs with %d steps in all, and 2 for each pause",
			w.Name, x.saves, want, x.runs, x.steps)}}
	}
	return x, nil
}
