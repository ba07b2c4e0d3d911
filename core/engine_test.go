package core_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

type doc struct{ Text, Note string }

func read(d doc) string        { return d.Text }
func write(d *doc, out string) { d.Text = out }

// appending is an agent that appends its step's path.
func appending(_ context.Context, req core.Request[string]) (string, error) {
	return strings.TrimSpace(req.Input + " " + req.Path), nil
}

func step(name string, f core.Func[string, string], opts ...core.StepOption) *core.Node[doc] {
	return core.Step(name, f, read, write, opts...)
}

func plan(t testing.TB, nodes ...*core.Node[doc]) *core.Pipeline[doc] {
	t.Helper()
	p, err := core.New("p", nodes...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSequenceRunsInOrderAndSavesNPlus2(t *testing.T) {
	p := plan(t, step("a", appending), core.Then("g", step("b", appending), step("c", appending)))
	b := core.NewMemory()
	key := core.RunKey{Run: "r"}
	res, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), p, key, doc{})
	if err != nil {
		t.Fatal(err)
	}
	want := core.Result[doc]{Status: core.Completed, Scope: doc{Text: "a g/b g/c"}, Steps: 3, Calls: 3, Usage: core.Usage{Calls: 3, Steps: 3}}
	if d := cmp.Diff(want, res); d != "" {
		t.Errorf("result (-want +got):\n%s", d)
	}
	if n := b.Counts().Commits; n != 5 {
		t.Errorf("%d commits for 3 steps, want N+2 = 5", n)
	}
	snap, err := b.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(snap.State); got != `{"Text":"a g/b g/c","Note":""}` {
		t.Errorf("saved state %s", got)
	}
	without, err := core.Run(t.Context(), core.NewEngine(), p, key, doc{})
	if d := cmp.Diff(res, without); d != "" || err != nil {
		t.Errorf("without a backend: error %v, result (-with +without):\n%s", err, d)
	}
}

func TestStateIsSavedOnlyWhenItChanged(t *testing.T) {
	same := func(_ context.Context, req core.Request[string]) (string, error) { return req.Input, nil }
	b := core.NewMemory()
	key := core.RunKey{Run: "r"}
	if _, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), plan(t, step("same", same), step("more", appending)), key, doc{Text: "x"}); err != nil {
		t.Fatal(err)
	}
	snap, err := b.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if snap.Steps[0].State != nil || snap.Steps[1].State == nil {
		t.Errorf("states %q, %q: want none for the step that changed nothing", snap.Steps[0].State, snap.Steps[1].State)
	}
}

func TestRetriesGetTheFeedbackAndTheScopeBefore(t *testing.T) {
	var seen []string
	flaky := func(_ context.Context, req core.Request[string]) (string, error) {
		seen = append(seen, fmt.Sprintf("%d %q %q %s", req.Attempt, req.Input, req.Feedback, req.Key()))
		switch req.Attempt {
		case 1:
			return "", errors.New("too short")
		case 2:
			panic("boom")
		}
		return "done", nil
	}
	b := core.NewMemory()
	key := core.RunKey{Tenant: "t", Run: "r"}
	res, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), plan(t, step("s", flaky, core.Retries(2))), key, doc{Text: "in"})
	if err != nil || res.Scope.Text != "done" || res.Calls != 3 || res.Steps != 1 {
		t.Errorf("result %+v, error %v", res, err)
	}
	want := []string{`1 "in" "" t/r#s`, `2 "in" "too short" t/r#s`, `3 "in" "panic: boom" t/r#s`}
	if d := cmp.Diff(want, seen); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
	snap, err := b.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if s := snap.Steps[0]; s.Attempts != 3 || s.Feedback != "panic: boom" || len(snap.Steps) != 1 {
		t.Errorf("record %+v", s)
	}
}

// Runs whose names print alike are others, and so are their effects.
func TestKeysOfEffectsAreOfOneStepOfOneRun(t *testing.T) {
	seen := map[string]string{}
	agent := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
		at := fmt.Sprintf("tenant %q, run %q, step %q", req.Run.Tenant, req.Run.Run, req.Path)
		if other, taken := seen[req.Key()]; taken {
			t.Errorf("%s and %s have one key: %s", at, other, req.Key())
		}
		seen[req.Key()] = at
		return "", nil
	})
	loop := func(step string) *core.Node[doc] {
		return core.Loop("l", 1, nil, core.Then("1", core.Step(step, agent, read, write)), core.MaxIsSuccess())
	}
	p := plan(t, loop("s"), core.Then("1", core.Then("1", core.Step("s", agent, read, write))))
	for _, key := range []core.RunKey{
		{Tenant: "a", Run: "b/c"}, {Tenant: "a/b", Run: "c"}, {Run: "a/b/c"}, {Run: "r"}, {Tenant: "", Run: "r#l"}, {Run: "/r"}, {Tenant: "/", Run: "r"},
		{Tenant: "a", Run: "%2F"}, {Tenant: "a", Run: "/"}, {Tenant: "a", Run: "%"}, {Tenant: "a", Run: "%25"},
	} {
		if _, err := core.Run(t.Context(), core.NewEngine(), p, key, doc{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFailedStepEndsTheRun(t *testing.T) {
	const cause = core.Code("model is down")
	down := func(context.Context, core.Request[string]) (string, error) { return "", fmt.Errorf("%w", cause) }
	b := core.NewMemory()
	e := core.NewEngine(core.WithBackend(b))
	p := plan(t, step("a", appending), step("b", down, core.Retries(1)), step("c", appending))
	key := core.RunKey{Run: "r"}
	res, err := core.Run(t.Context(), e, p, key, doc{})
	var failed *core.StepError
	if !errors.As(err, &failed) || !errors.Is(err, cause) || failed.Path != "b" || failed.Attempts != 2 {
		t.Errorf("error %v", err)
	}
	if res.Status != core.Failed || res.Scope.Text != "a" || res.Steps != 2 {
		t.Errorf("result %+v", res)
	}
	if n := b.Counts().Saves; n != 4 {
		t.Errorf("%d saves for 2 executed steps, want 4", n)
	}
	if _, err := core.Resume(t.Context(), e, p, key); !errors.Is(err, core.ErrRunFinished) {
		t.Errorf("resume of a failed run: %v", err)
	}
}

func TestPanicCarriesItsStack(t *testing.T) {
	boom := func(context.Context, core.Request[string]) (string, error) { panic("boom") }
	_, err := core.Run(t.Context(), core.NewEngine(), plan(t, step("s", boom)), core.RunKey{Run: "r"}, doc{})
	var p *core.RecordedError
	if !errors.As(err, &p) || !errors.Is(err, core.ErrPanic) || p.Text != "panic: boom" || !strings.Contains(p.Stack, "engine_test.go") || strings.Contains(p.Stack, "core/step.go") {
		t.Errorf("error %v", err)
	}
}

func TestPanickingWriteLeavesTheScope(t *testing.T) {
	n := core.Step("s", core.Func[string, string](appending), read, func(d *doc, out string) {
		d.Note = "half"
		panic("write")
	})
	res, err := core.Run(t.Context(), core.NewEngine(), plan(t, n), core.RunKey{Run: "r"}, doc{Text: "in"})
	if err == nil || res.Scope != (doc{Text: "in"}) {
		t.Errorf("scope %+v, error %v", res.Scope, err)
	}
}

func TestHarnessFaultStopsWithoutRetryOrRecord(t *testing.T) {
	for name, give := range map[string]func() error{
		"returned": func() error { return fmt.Errorf("script: %w", core.ErrHarness) },
		"panicked": func() error { panic(fmt.Errorf("script: %w", core.ErrHarness)) },
	} {
		t.Run(name, func(t *testing.T) { harnessFault(t, give) })
	}
}

func harnessFault(t *testing.T, give func() error) {
	calls := 0
	dry := func(context.Context, core.Request[string]) (string, error) {
		calls++
		return "", give()
	}
	b := core.NewMemory()
	key := core.RunKey{Run: "r"}
	res, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), plan(t, step("s", dry, core.Retries(5))), key, doc{})
	var failed *core.StepError
	if !errors.Is(err, core.ErrHarness) || errors.As(err, &failed) || calls != 1 || res.Status != core.Running {
		t.Errorf("calls %d, result %+v, error %v", calls, res, err)
	}
	if snap, err := b.Load(t.Context(), key); err != nil || len(snap.Steps) != 0 || snap.Status != core.Running {
		t.Errorf("a harness fault was recorded: %+v, %v", snap, err)
	}
}

// What an agent returns is no word of the backend.
func TestErrorOfTheBackendFromAnAgentIsItsFailure(t *testing.T) {
	for name, e := range map[string]*core.Engine{"without a backend": core.NewEngine(), "with one": core.NewEngine(core.WithBackend(core.NewMemory()))} {
		for _, cause := range []error{core.ErrSignalled, core.ErrFenced, core.ErrDiverged} {
			fail := func(context.Context, core.Request[string]) (string, error) { return "", cause }
			res, err := core.Run(t.Context(), e, plan(t, step("s", fail)), core.RunKey{Run: cause.Error()}, doc{})
			if !errors.As(err, new(*core.StepError)) || res.Status != core.Failed {
				t.Errorf("%s, %v: %v, error %v", name, cause, res.Status, err)
			}
		}
	}
}

func TestCancelledRunKeepsPaidWorkAndResumes(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("shutting down")
	calls := 0
	stop := func(_ context.Context, req core.Request[string]) (string, error) {
		calls++
		cancel(why)
		return appending(ctx, req)
	}
	b := core.NewMemory()
	e := core.NewEngine(core.WithBackend(b))
	p := plan(t, step("a", stop), step("b", appending))
	key := core.RunKey{Run: "r"}
	if res, err := core.Run(ctx, e, p, key, doc{}); !errors.Is(err, why) || res.Status != core.Running {
		t.Errorf("result %+v, error %v", res, err)
	}
	res, err := core.Resume(t.Context(), e, p, key)
	if err != nil || res.Scope.Text != "a b" || res.Steps != 1 || calls != 1 {
		t.Errorf("resumed: %+v, error %v, %d calls of the first step", res, err, calls)
	}
}

func TestBackoffDoublesUpToItsMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		fail := func(context.Context, core.Request[string]) (string, error) {
			at = append(at, time.Since(began))
			return "", errors.New("no")
		}
		p := plan(t, step("s", fail, core.Retries(4), core.Backoff(time.Second, 3*time.Second)))
		if _, err := core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, doc{}); err == nil {
			t.Error("no error")
		}
		want := []time.Duration{0, 1 * time.Second, 3 * time.Second, 6 * time.Second, 9 * time.Second}
		if d := cmp.Diff(want, at); d != "" {
			t.Errorf("attempts at (-want +got):\n%s", d)
		}
	})
}

// cutOff fails the nth save of a step, as a crash would.
type cutOff struct {
	*core.Memory
	left int
}

var errCut = errors.New("disk full")

func (c *cutOff) Step(ctx context.Context, l core.Lease, r core.StepRecord) error {
	if c.left--; c.left == 0 {
		return errCut
	}
	return c.Memory.Step(ctx, l, r)
}

func TestResumeContinuesBehindTheLastSavedStep(t *testing.T) {
	b := &cutOff{core.NewMemory(), 2}
	e := core.NewEngine(core.WithBackend(b))
	p := plan(t, step("a", appending), step("b", appending), step("c", appending))
	key := core.RunKey{Run: "r"}
	_, err := core.Run(t.Context(), e, p, key, doc{})
	var save *core.SaveError
	if !errors.As(err, &save) || !errors.Is(err, errCut) || save.What != "step b" {
		t.Fatalf("error %v", err)
	}
	other, err := core.New("q", step("a", appending))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := core.Resume(t.Context(), e, other, key); !errors.Is(err, core.ErrPlanChanged) {
		t.Errorf("resume by another plan: %v", err)
	}
	res, err := core.Resume(t.Context(), e, p, key)
	if err != nil || res.Scope.Text != "a b c" || res.Steps != 2 {
		t.Errorf("resumed: %+v, error %v", res, err)
	}
	if _, err := core.Resume(t.Context(), e, p, core.RunKey{Run: "none"}); !errors.Is(err, core.ErrRunNotFound) {
		t.Errorf("resume of no run: %v", err)
	}
	if _, err := core.Run(t.Context(), e, p, key, doc{}); !errors.Is(err, core.ErrRunExists) {
		t.Errorf("second start: %v", err)
	}
}

func TestUnstorableValuesAreNamed(t *testing.T) {
	nan := core.Step("s", core.Func[string, float64](func(context.Context, core.Request[string]) (float64, error) { return math.NaN(), nil }),
		read, func(*doc, float64) {})
	_, err := run(t, plan(t, nan), doc{}, core.WithBackend(core.NewMemory()))
	var value *core.ValueError
	if want := `save step s of run r: the output of the agent cannot be stored: `; !errors.As(err, &value) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v", err)
	}
	_, err = run(t, plan(t, step("s", appending)), doc{Note: "\xff"}, core.WithBackend(core.NewMemory()))
	if want := `save start of run r: the scope cannot be stored: `; !errors.As(err, &value) || value.Field != "Note" || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v", err)
	}
}

// moody is a scope that panics when it is stored from its second value on.
type moody int

func (m moody) MarshalJSON() ([]byte, error) {
	if m > 0 {
		panic("not today")
	}
	return []byte("0"), nil
}

func (m *moody) UnmarshalJSON([]byte) error { *m = 0; return nil }

func TestScopeThatPanicsWhenStoredStopsItsRunAlone(t *testing.T) {
	next := core.Func[int, int](func(_ context.Context, r core.Request[int]) (int, error) { return r.Input + 1, nil })
	p, err := core.New("p", core.Step("s", next, func(m moody) int { return int(m) }, func(m *moody, out int) { *m = moody(out) }))
	if err != nil {
		t.Fatal(err)
	}
	e := core.NewEngine(core.WithBackend(core.NewMemory()))
	for scope, what := range map[moody]string{0: "step s", 1: "start"} {
		_, err := core.Run(t.Context(), e, p, core.RunKey{Run: what}, scope)
		var save *core.SaveError
		var panicked *core.PanicError
		if !errors.As(err, &save) || !errors.As(err, &panicked) || save.What != what {
			t.Errorf("scope %d: %v", scope, err)
		}
	}
}

func TestBadPlansAreRefused(t *testing.T) {
	ok := step("a", appending)
	for name, tc := range map[string]struct {
		nodes []*core.Node[doc]
		want  string
	}{
		"empty":          {nil, "no step"},
		"nil node":       {[]*core.Node[doc]{nil}, "node 1 is nil"},
		"no name":        {[]*core.Node[doc]{step("", appending)}, "no name"},
		"slash":          {[]*core.Node[doc]{step("a/b", appending)}, "may not contain"},
		"twice":          {[]*core.Node[doc]{ok, step("a", appending)}, "two nodes have this path"},
		"empty sequence": {[]*core.Node[doc]{core.Then[doc]("g")}, "it is empty"},
		"no agent":       {[]*core.Node[doc]{core.Step[doc, string, string]("a", nil, read, write)}, "no agent"},
		"no read":        {[]*core.Node[doc]{core.Step("a", core.Func[string, string](appending), nil, write)}, "no read function"},
		"no write":       {[]*core.Node[doc]{core.Step("a", core.Func[string, string](appending), read, nil)}, "no write function"},
		"retries":        {[]*core.Node[doc]{step("a", appending, core.Retries(-1))}, "-1 retries"},
		"backoff":        {[]*core.Node[doc]{step("a", appending, core.Backoff(2, 1))}, "backoff"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := core.New("p", tc.nodes...)
			var bad *core.PlanError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want a PlanError with %q", err, tc.want)
			}
		})
	}
}

func TestMaxCallsMultipliesRetries(t *testing.T) {
	p := plan(t, step("a", appending), core.Then("g", step("b", appending, core.Retries(3))))
	if d := cmp.Diff(map[string]int{"a": 1, "g/b": 4}, p.MaxCalls()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"a", "g/b"}, p.Paths()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestNextIsShownAsAWord(t *testing.T) {
	if got := fmt.Sprint(core.Here, core.Elsewhere, core.Nobody, core.Next(3), core.Next(-1)); got != "here elsewhere nobody Next(3) Next(-1)" {
		t.Error(got)
	}
}
