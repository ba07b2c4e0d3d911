package harness

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// paper is the scope of most workloads: about 1 KB as JSON.
type paper struct {
	Topic    string   `json:"topic"`
	Context  string   `json:"context"` // what a large context carries along
	Draft    string   `json:"draft"`
	Remarks  []string `json:"remarks"`
	Final    string   `json:"final"`
	Turn     int      `json:"turn"`
	Approved bool     `json:"approved"`
}

var text = strings.Repeat("Durable pipelines keep what was paid for. ", 8) // 336 bytes

// topics are made before anything is timed, so that no arm pays for them.
var topics = func() (all [64]string) {
	for i := range all {
		all[i] = fmt.Sprintf("topic %02d", i)
	}
	return all
}()

func topic(p paper) string { return p.Topic }

// busy keeps the processor for so long. A timer would not do: it varies by more than
// all saves of a run take, and not alike with and without them.
func busy(took time.Duration) {
	for began := time.Now(); time.Since(began) < took; {
	}
}

// draft is a step that writes a draft, whose agent takes some time.
func draft(name string, took time.Duration, opts ...core.StepOption) *core.Node[paper] {
	say := stubs.Always[string](text)
	if took > 0 {
		say = stubs.From(func(core.Request[string]) stubs.Reply[string] { busy(took); return stubs.Say(text) })
	}
	return core.Step(name, say, topic, func(p *paper, out string) { p.Draft = out }, opts...)
}

// threeSteps are a draft, its review and the final text.
func threeSteps(took time.Duration) []*core.Node[paper] {
	remarks := []string{"say what it costs", "say how it is known"}
	review := stubs.Always[string](remarks)
	final := stubs.Always[[]string](text)
	if took > 0 {
		review = stubs.From(func(core.Request[string]) stubs.Reply[[]string] { busy(took); return stubs.Say(remarks) })
		final = stubs.From(func(core.Request[[]string]) stubs.Reply[string] { busy(took); return stubs.Say(text) })
	}
	return []*core.Node[paper]{
		draft("draft", took, core.Retries(1)),
		core.Step("review", review,
			func(p paper) string { return p.Draft }, func(p *paper, out []string) { p.Remarks = out }, core.Retries(1)),
		core.Step("final", final,
			func(p paper) []string { return p.Remarks }, func(p *paper, out string) { p.Final = out }, core.Retries(1)),
	}
}

// of makes a workload over a paper with a context of so many bytes.
func of(name, description string, context int, nodes ...*core.Node[paper]) (Workload, error) {
	p, err := core.New(strings.ReplaceAll(name, "-", "_"), nodes...)
	if err != nil {
		return Workload{}, fmt.Errorf("workload %q: %w", name, err)
	}
	carried := strings.Repeat("x", context)
	return NewWorkload(name, description, p, func(round int) paper {
		return paper{Topic: topics[round%len(topics)], Context: carried}
	}), nil
}

// Default is three steps over a scope of about 1 KB: a draft, its review, the
// final text. Each step may retry once, which its scripts are sized for.
func Default() (Workload, error) {
	w, err := of("default", "3 steps, scope of about 1 KB, one retry allowed each", 0, threeSteps(0)...)
	w.Seed = "test_default_backend_performance_overhead"
	return w, err
}

// turn is a step that changes the scope a little.
func turn(name string) *core.Node[paper] {
	return core.Step(name, stubs.From(func(r core.Request[int]) stubs.Reply[int] { return stubs.Say(r.Input + 1) }),
		func(p paper) int { return p.Turn }, func(p *paper, out int) { p.Turn = out })
}

// glance is a step that leaves the scope as it is.
func glance(name string) *core.Node[paper] {
	return core.Step(name, stubs.Always[string](true), topic, func(*paper, bool) {})
}

// flaky is a step that fails once and then succeeds; stuck one that always fails.
func flaky(name string) *core.Node[paper] {
	agent := stubs.From(func(r core.Request[string]) stubs.Reply[string] {
		if r.Attempt == 1 {
			return stubs.Fail[string](errTransient)
		}
		return stubs.Say(text)
	})
	return core.Step(name, agent, topic, func(p *paper, out string) { p.Draft = out }, core.Retries(1))
}

func stuck(name string) *core.Node[paper] {
	agent := stubs.From(func(core.Request[string]) stubs.Reply[string] { return stubs.Fail[string](errTransient) })
	return core.Step(name, agent, topic, func(p *paper, out string) { p.Draft = out }, core.Retries(1))
}

var errTransient = errors.New("the model is busy")

// Workloads returns all built-in workloads.
func Workloads() ([]Workload, error) {
	var all []Workload
	var problems []error
	add := func(w Workload, err error) *Workload {
		problems = append(problems, err)
		all = append(all, w)
		return &all[len(all)-1]
	}
	add(Default())
	add(of("single", "1 step, scope of about 0.5 KB", 0, draft("draft", 0)))
	add(of("large-10k", "3 steps over a scope of 10 KB, which the first and the last change", 10_000, turn("a"), glance("b"), turn("c"))).
		Seed = "test_persistence_overhead_with_large_context"
	add(of("large-1m", "2 steps over a scope of 1 MB, which both change", 1_000_000, turn("a"), turn("b"))).
		Seed = "test_serialization_optimization_effectiveness"
	add(of("unchanged", "5 steps over a scope of 10 KB that none of them changes", 10_000,
		glance("a"), glance("b"), glance("c"), glance("d"), glance("e"))).
		Seed = "test_first_principles_caching_effectiveness"
	add(of("delta", "6 steps over a scope of 10 KB, every second of which changes a number in it", 10_000,
		turn("a"), glance("b"), turn("c"), glance("d"), turn("e"), glance("f"))).
		Seed = "test_delta_detection_accuracy"
	add(of("loop-10", "a loop of 10 rounds of one step", 0,
		core.Loop("refine", 10, func(p paper) (bool, error) { return p.Turn == 10, nil }, turn("turn"))))
	branches := make([]*core.Node[paper], 8)
	for i := range branches {
		branches[i] = glance(fmt.Sprintf("b%d", i+1))
	}
	add(of("parallel-8", "8 branches with a copy of the scope each", 0,
		core.Parallel("ask", func(*paper, []core.Ended[paper]) error { return nil }, branches)))
	add(of("pause", "1 step, a pause that is answered, 1 step; the arm without a backend pauses in memory", 0,
		draft("draft", 0), core.Human("approve", topic, func(p *paper, yes bool) { p.Approved = yes }), turn("publish"))).Pauses = 1
	add(of("retry-fallback", "a step that succeeds at the second attempt; one that fails twice, and its fallback", 0,
		flaky("flaky"), core.Fallback("write", stuck("expert"), draft("junior", 0))))
	for _, n := range []int{8, 64} {
		w, err := of(fmt.Sprintf("at-once-%d", n), fmt.Sprintf("%d runs of the default workload at the same time", n), 0, threeSteps(0)...)
		if w.AtOnce = n; n == 64 {
			w.Untimed = "its floor alone takes either 31 or 45 µs a run, from one database file to the next"
		}
		add(w, err)
	}
	for _, took := range []time.Duration{10 * time.Microsecond, 100 * time.Microsecond, time.Millisecond} {
		w, err := of("latency-"+took.String(), fmt.Sprintf("3 steps that work for %v each", took), 0, threeSteps(took)...)
		w.Name, w.Latency = strings.ReplaceAll(w.Name, "µ", "u"), took
		add(w, err)
	}
	return all, errors.Join(problems...)
}

// workloadOf finds a workload among those of a program and the built-in ones.
func workloadOf(name string, own []Workload) (Workload, error) {
	for _, w := range own {
		if _, err := WorkloadNamed(w.Name); err == nil {
			return w, fmt.Errorf("workload %q is a built-in one: give yours another name", w.Name)
		}
		if w.Name == name {
			return w, nil
		}
	}
	return WorkloadNamed(name)
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
