package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"reflect"
	"strings"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// Workload is a pipeline with scripted agents whose durability is measured. Make
// one with [NewWorkload].
type Workload struct {
	Name        string
	Description string
	plan        stubs.Plan
	steps       int // executed in a run
	instance    func() instance
}

// instance is one arm's own use of a workload in one block.
type instance interface {
	// run makes one run. It is what is timed.
	run(ctx context.Context, e *core.Engine, key core.RunKey, input int) error
	// evidence says what the runs since the last call have done, and forgets them.
	evidence() (evidence, error)
}

// evidence is what the runs of a slot have done, to be compared between arms.
type evidence struct {
	runs   int
	steps  int
	digest uint64 // of one run's final scope and steps; 0 where two runs differ
}

// NewWorkload makes a workload of a pipeline of scripted agents. input makes the
// scope of a run from the number of its round; all arms of a round get the same.
func NewWorkload[S any](name, description string, p *core.Pipeline[S], input func(round int) S) Workload {
	return Workload{
		Name: name, Description: description, plan: p, steps: len(p.Paths()),
		instance: func() instance { return &runs[S]{plan: p, input: input} },
	}
}

type runs[S any] struct {
	plan    *core.Pipeline[S]
	input   func(int) S
	results []core.Result[S]
}

func (r *runs[S]) run(ctx context.Context, e *core.Engine, key core.RunKey, input int) error {
	res, err := core.Run(ctx, e, r.plan, key, r.input(input))
	if err != nil {
		return err
	}
	r.results = append(r.results, res)
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

// paper is the scope of the default workload: about 1 KB as JSON.
type paper struct {
	Topic   string   `json:"topic"`
	Draft   string   `json:"draft"`
	Remarks []string `json:"remarks"`
	Final   string   `json:"final"`
}

// Default is three steps over a scope of about 1 KB: a draft, its review, the
// final text. Each step may retry once, which its scripts are sized for.
func Default() (Workload, error) {
	text := strings.Repeat("Durable pipelines keep what was paid for. ", 8) // 336 bytes
	draft := stubs.Always[string](text)
	review := stubs.Always[string]([]string{"say what it costs", "say how it is known"})
	final := stubs.Always[[]string](text)
	p, err := core.New("paper",
		core.Step("draft", draft,
			func(s paper) string { return s.Topic }, func(s *paper, out string) { s.Draft = out }, core.Retries(1)),
		core.Step("review", review,
			func(s paper) string { return s.Draft }, func(s *paper, out []string) { s.Remarks = out }, core.Retries(1)),
		core.Step("final", final,
			func(s paper) []string { return s.Remarks }, func(s *paper, out string) { s.Final = out }, core.Retries(1)))
	if err != nil {
		return Workload{}, err
	}
	topics := make([]string, 64) // made before, so that no arm pays for them
	for i := range topics {
		topics[i] = fmt.Sprintf("topic %02d", i)
	}
	return NewWorkload("default", "3 steps, scope of about 1 KB, one retry allowed each", p,
		func(round int) paper { return paper{Topic: topics[round%len(topics)]} }), nil
}

// Workloads returns all built-in workloads.
func Workloads() ([]Workload, error) {
	w, err := Default()
	return []Workload{w}, err
}

// WorkloadNamed returns a built-in workload.
func WorkloadNamed(name string) (Workload, error) {
	all, err := Workloads()
	if err != nil {
		return Workload{}, err
	}
	var names []string
	for _, w := range all {
		if w.Name == name {
			return w, nil
		}
		names = append(names, w.Name)
	}
	return Workload{}, fmt.Errorf("no workload %q: there is %s", name, strings.Join(names, ", "))
}
