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
	Context  string   `json:"context"` // makes the scope large
	Draft    string   `json:"draft"`
	Remarks  []string `json:"remarks"`
	Final    string   `json:"final"`
	Turn     int      `json:"turn"`
	Approved bool     `json:"approved"`
}

var text = strings.Repeat("Durable pipelines keep what was paid for. ", 8) // 336 bytes

// topics are made before anything is timed, so that their cost is in no arm.
var topics = func() (all [64]string) {
	for i := range all {
		all[i] = fmt.Sprintf("topic %02d", i)
	}
	return all
}()

func topic(p paper) string { return p.Topic }

// busy keeps the processor busy for a time. A timer cannot replace it: its error is larger than
// the time of all saves of a run, and differs between runs with and without saves.
func busy(took time.Duration) {
	for began := time.Now(); time.Since(began) < took; {
	}
}

// draft returns a step that writes a draft, and whose agent works for a time.
func draft(name string, took time.Duration, opts ...core.StepOption) *core.Node[paper] {
	say := stubs.Always[string](text)
	if took > 0 {
		say = stubs.From(func(core.Request[string]) stubs.Reply[string] { busy(took); return stubs.Say(text) })
	}
	return core.Step(name, say, topic, func(p *paper, out string) { p.Draft = out }, opts...)
}

// threeSteps returns the steps of a draft, its review and the final text.
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

// of makes a workload whose scope is a paper with a Context of the given number of bytes.
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

// Default returns the workload "default": three steps over a scope of about 1 KB, which write
// a draft, its review and the final text. Each step may retry once, and the scripts are long
// enough for that.
func Default() (Workload, error) {
	return of("default", "3 steps, scope of about 1 KB, one retry allowed each", 0, threeSteps(0)...)
}

// turn returns a step that changes a number in the scope.
func turn(name string) *core.Node[paper] {
	return core.Step(name, stubs.From(func(r core.Request[int]) stubs.Reply[int] { return stubs.Say(r.Input + 1) }),
		func(p paper) int { return p.Turn }, func(p *paper, out int) { p.Turn = out })
}

// glance returns a step that does not change the scope.
func glance(name string) *core.Node[paper] {
	return core.Step(name, stubs.Always[string](true), topic, func(*paper, bool) {})
}

// flaky returns a step whose first attempt fails and whose second succeeds.
func flaky(name string) *core.Node[paper] {
	agent := stubs.From(func(r core.Request[string]) stubs.Reply[string] {
		if r.Attempt == 1 {
			return stubs.Fail[string](errTransient)
		}
		return stubs.Say(text)
	})
	return core.Step(name, agent, topic, func(p *paper, out string) { p.Draft = out }, core.Retries(1))
}

// stuck returns a step all of whose attempts fail.
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
	add(of("large-10k", "3 steps over a scope of 10 KB, which the first and the last change", 10_000, turn("a"), glance("b"), turn("c")))
	add(of("large-1m", "2 steps over a scope of 1 MB, which both change", 1_000_000, turn("a"), turn("b")))
	add(of("unchanged", "5 steps over a scope of 10 KB that none of them changes", 10_000,
		glance("a"), glance("b"), glance("c"), glance("d"), glance("e")))
	add(of("delta", "6 steps over a scope of 10 KB, every second of which changes a number in it", 10_000,
		turn("a"), glance("b"), turn("c"), glance("d"), turn("e"), glance("f")))
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

// workloadOf returns the workload with the given name, from own or a built-in one.
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
