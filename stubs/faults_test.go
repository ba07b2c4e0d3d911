package stubs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

func named(name string) func(stubs.Point) bool {
	return func(p stubs.Point) bool { return p.Name == name }
}

// pathAgent returns its path and attempt.
var pathAgent = core.Func[string, string](func(_ context.Context, r core.Request[string]) (string, error) {
	return fmt.Sprint(r.Path, " ", r.Attempt), nil
})

func TestFaultsOfAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom, lost := errors.New("boom"), errors.New("lost")
		for name, c := range map[string]struct {
			faults []stubs.Fault
			want   []string // outcomes and times of three calls
		}{
			"none":         {nil, []string{`"s1 1" 0s`, `"s2 1" 0s`, `"s1 2" 0s`}},
			"every":        {[]stubs.Fault{{Err: boom}}, []string{"boom 0s", "boom 0s", "boom 0s"}},
			"once":         {[]stubs.Fault{{At: 2, Err: boom}}, []string{`"s1 1" 0s`, "boom 0s", `"s1 2" 0s`}},
			"sticky":       {[]stubs.Fault{{At: 2, Sticky: true, Err: boom}}, []string{`"s1 1" 0s`, "boom 0s", "boom 0s"}},
			"of one step":  {[]stubs.Fault{{At: 2, When: named("s1"), Err: boom}}, []string{`"s1 1" 0s`, `"s2 1" 0s`, "boom 0s"}},
			"delay":        {[]stubs.Fault{{At: 1, Delay: time.Second}}, []string{`"s1 1" 1s`, `"s2 1" 0s`, `"s1 2" 0s`}},
			"delay, error": {[]stubs.Fault{{At: 1, Delay: time.Second}, {At: 1, Err: boom}}, []string{"boom 1s", `"s2 1" 0s`, `"s1 2" 0s`}},
			"first lost":   {[]stubs.Fault{{At: 1, Err: lost, After: true}, {At: 1, Err: boom, After: true}}, []string{"lost 0s", `"s2 1" 0s`, `"s1 2" 0s`}},
			"by attempt":   {[]stubs.Fault{{When: func(p stubs.Point) bool { return p.Attempt == 2 }, Err: boom}}, []string{`"s1 1" 0s`, `"s2 1" 0s`, "boom 0s"}},
			"by number":    {[]stubs.Fault{{When: func(p stubs.Point) bool { return p.N == 3 && p.Run.Run == "r" }, Err: boom}}, []string{`"s1 1" 0s`, `"s2 1" 0s`, "boom 0s"}},
		} {
			var hits []stubs.Point
			for i := range c.faults {
				c.faults[i].Hit = func(p stubs.Point) { hits = append(hits, p) }
			}
			agent := stubs.Faulty(pathAgent, c.faults...)
			var got []string
			for _, r := range []core.Request[string]{{Path: "s1", Attempt: 1}, {Path: "s2", Attempt: 1}, {Path: "s1", Attempt: 2}} {
				r.Run.Run = "r"
				began := time.Now()
				text := outcome(agent, t.Context(), r)
				got = append(got, fmt.Sprint(text, " ", time.Since(began)))
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", name, d)
			}
			if (len(hits) > 0) != (len(c.faults) > 0) {
				t.Errorf("%s: hits %v", name, hits)
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(boom)
		if text := outcome(stubs.Faulty(pathAgent, stubs.Fault{Delay: time.Hour}), ctx, core.Request[string]{}); text != "boom" {
			t.Errorf("a delay under a context that has ended: %s", text)
		}
	})
}

func TestLostAnswerKeepsTheEffect(t *testing.T) {
	calls := 0
	pay := core.Func[string, string](func(context.Context, core.Request[string]) (string, error) { calls++; return "paid", nil })
	p := planned(t, stubs.Faulty(pay, stubs.Fault{At: 1, Err: errors.New("lost"), After: true}))
	res, err := core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, "")
	if err != nil || res.Scope != "paid" || calls != 2 {
		t.Errorf("%+v, %v, %d effects, want 2", res, err, calls)
	}

	b := core.NewMemory()
	lossy := stubs.FaultyBackend(b, stubs.Fault{At: 1, When: named("Step"), Err: errors.New("lost"), After: true})
	key := core.RunKey{Run: "r"}
	var unsaved *core.SaveError
	if _, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(lossy)), planned(t, pay), key, ""); !errors.As(err, &unsaved) {
		t.Errorf("the answer of the save was to be lost: %v", err)
	}
	if snap, err := b.Load(t.Context(), key); err != nil || len(snap.Steps) != 1 {
		t.Errorf("the save itself was to stay: %+v, %v", snap, err)
	}
}

func TestFaultsOfBackends(t *testing.T) {
	boom := errors.New("boom")
	key := core.RunKey{Tenant: "t", Run: "r"}
	calls := map[string]func(core.Backend) error{
		"Start": func(b core.Backend) error { _, err := b.Start(t.Context(), core.StartRecord{Key: key}); return err },
		"Step": func(b core.Backend) error {
			return b.Step(t.Context(), core.Lease{ID: 1, Epoch: 1}, core.StepRecord{Path: "s"})
		},
		"Finish": func(b core.Backend) error {
			return b.Finish(t.Context(), core.Lease{ID: 1, Epoch: 1}, core.FinishRecord{})
		},
		"Claim":  func(b core.Backend) error { _, _, err := b.Claim(t.Context(), key, 0); return err },
		"Signal": func(b core.Backend) error { return b.Signal(t.Context(), key, core.AnswerRecord{}) },
		"Load":   func(b core.Backend) error { _, err := b.Load(t.Context(), key); return err },
	}
	for name, call := range calls {
		var hit stubs.Point
		b := stubs.FaultyBackend(core.NewMemory(), stubs.Fault{When: named(name), Err: boom, Hit: func(p stubs.Point) { hit = p }})
		if name != "Start" {
			if _, err := b.Start(t.Context(), core.StartRecord{Key: key}); err != nil {
				t.Fatal(err)
			}
		}
		if err := call(b); err != boom || hit.Name != name || hit.Run != key || (hit.Path == "s") != (name == "Step") {
			t.Errorf("%s: error %v, hit %+v", name, err, hit)
		}
		if n := b.Counts().Saves; name != "Start" && n != 1 {
			t.Errorf("%s: %d saves, want that of the start alone", name, n)
		}
	}
	// The lease of a claim is known as well.
	inner := core.NewMemory()
	if _, err := inner.Start(t.Context(), core.StartRecord{Key: key}); err != nil {
		t.Fatal(err)
	}
	var run core.RunKey
	b := stubs.FaultyBackend(inner, stubs.Fault{When: named("Step"), Hit: func(p stubs.Point) { run = p.Run }})
	lease, _, err := b.Claim(t.Context(), key, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Step(t.Context(), lease, core.StepRecord{Seq: 1}); err != nil || run != key {
		t.Errorf("run %v, %v", run, err)
	}
}

// Seldom selects the same calls in any order, about one in n. A repeated call may succeed.
func TestSeldomDependsOnTheCallAlone(t *testing.T) {
	var points []stubs.Point
	for i := range 1000 {
		points = append(points, stubs.Point{Name: "s", Path: "s", Run: core.RunKey{Run: fmt.Sprint(i)}, Attempt: 1})
	}
	hits := func(points []stubs.Point, seed uint64) map[string]int {
		seldom, got := stubs.Seldom(seed, 10), map[string]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for i, p := range points {
			all.Go(func() {
				for again := range 2 {
					p.N = i + again*len(points)
					if seldom(p) {
						mu.Lock()
						got[p.Run.Run]++
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
		return got
	}
	forward := hits(points, 1)
	slices.Reverse(points)
	if d := cmp.Diff(forward, hits(points, 1)); d != "" {
		t.Errorf("(-forward +backward):\n%s", d)
	}
	if cmp.Equal(forward, hits(points, 2)) {
		t.Error("another seed hits the same calls")
	}
	// The expected number is 200, for 2000 calls and 1 in 10, with a standard deviation of 13.4.
	// The random seed is fixed.
	total, twice := 0, 0
	for _, n := range forward {
		total += n
		if n == 2 {
			twice++
		}
	}
	if total < 140 || total > 260 || twice == len(forward) {
		t.Errorf("%d of 2000 calls hit, %d of %d runs twice", total, twice, len(forward))
	}
	if stubs.Seldom(1, 0)(stubs.Point{}) {
		t.Error("one in 0 hits")
	}
}

func TestCorruption(t *testing.T) {
	agent := stubs.Corrupting(pathAgent, func(p stubs.Point) bool { return p.N == 2 }, func(out *string) { *out = "?" + *out })
	var got []string
	for range 3 {
		got = append(got, outcome(agent, t.Context(), core.Request[string]{Path: "s", Attempt: 1}))
	}
	if d := cmp.Diff([]string{`"s 1"`, `"?s 1"`, `"s 1"`}, got); d != "" {
		t.Errorf("agent (-want +got):\n%s", d)
	}

	stored := func(seed uint64) []byte {
		inner := core.NewMemory()
		b := stubs.CorruptingBackend(inner, seed, named("Step"))
		key := core.RunKey{Run: "r"}
		lease, err := b.Start(t.Context(), core.StartRecord{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		state := []byte(`{"a":1}`)
		if err := b.Step(t.Context(), lease, core.StepRecord{Seq: 1, Path: "s", State: state}); err != nil {
			t.Fatal(err)
		}
		if string(state) != `{"a":1}` {
			t.Errorf("the caller's bytes were changed: %s", state)
		}
		lease, snap, err := b.Claim(t.Context(), key, 0)
		if err != nil || lease.Epoch != 2 {
			t.Fatal(lease, err)
		}
		return snap.Steps[0].State
	}
	once := stored(1)
	bits := 0
	for i, c := range []byte(`{"a":1}`) {
		for d := once[i] ^ c; d != 0; d &= d - 1 {
			bits++
		}
	}
	if bits != 1 || !slices.Equal(once, stored(1)) || slices.Equal(once, stored(2)) {
		t.Errorf("%d bits flipped, %q, then %q, with another seed %q", bits, once, stored(1), stored(2))
	}
}
