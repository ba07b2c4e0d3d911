package stubs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// busy returns a pipeline with everything that could make runs and lanes affect each other: one
// agent in several steps, a map, parallel branches, a loop and retries.
func busy(t *testing.T, atOnce int) *core.Pipeline[string] {
	t.Helper()
	drawn := func(name string) stubs.Reply[string] {
		return stubs.Draw(func(n *stubs.Numbers) string { return fmt.Sprint(name, n.IntN(1_000_000)) }).After(stubs.LogNormal(1, 1))
	}
	var shared core.Agent[string, string] = stubs.Script[string](stubs.Say("one"), stubs.Fail[string](errors.New("again")), stubs.Say("two"), drawn("three "))
	random := stubs.From(func(r core.Request[string]) stubs.Reply[string] {
		if r.Attempt == 1 && strings.HasSuffix(r.Path, "b") {
			return stubs.Fail[string](errors.New("again"))
		}
		return drawn(r.Input + " ")
	})
	yielding := core.Func[string, string](func(ctx context.Context, r core.Request[string]) (string, error) {
		runtime.Gosched()
		return shared.Call(ctx, r)
	})
	same := func(s string) string { return s }
	set := func(s *string, out string) { *s = strings.TrimPrefix(*s+" | "+out, " | ") }
	alone := func(s *string, out string) { *s = out }
	gather := func(s *string, all []core.Ended[string]) error {
		for _, e := range all {
			*s += " | " + e.Scope
		}
		return nil
	}
	p, err := core.New("busy",
		core.Loop("loop", 3, nil, core.Step("x", yielding, func(string) string { return "" }, set, core.Retries(1)), core.MaxIsSuccess()),
		core.Map("map", 3, func(string) []string { return []string{"i", "j", "k"} },
			core.Step("y", random, same, alone), gather, core.AtOnce(atOnce)),
		core.Parallel("fork", gather, core.Branches(
			core.Map("maps", 2, func(string) []string { return []string{"l", "m"} },
				core.Loop("turns", 2, nil, core.Step("z", yielding, same, alone), core.MaxIsSuccess()), gather, core.AtOnce(atOnce), core.CollectFailures()),
			core.Step("b", random, func(string) string { return "b" }, alone, core.Retries(1)),
		), core.AtOnce(atOnce)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// results executes the runs, concurrently if atOnce is more than 1.
func results(t *testing.T, keys []core.RunKey, atOnce int, seed uint64) map[core.RunKey]string {
	t.Helper()
	p := busy(t, atOnce)
	b, err := stubs.Size(p, stubs.Load{Arm: "a", Warmups: len(keys) / 2, Rounds: 1, Batch: len(keys) - len(keys)/2})
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := b.Seed(seed).RecordInputs().In(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	got := map[core.RunKey]string{}
	var mu sync.Mutex
	var all sync.WaitGroup
	e := core.NewEngine(core.WithBackend(core.NewMemory()))
	for _, key := range keys {
		run := func() {
			res, err := core.Run(ctx, e, p, key, "")
			mu.Lock()
			defer mu.Unlock()
			got[key] = fmt.Sprint(res.Scope, " ", err)
		}
		if atOnce > 1 {
			all.Go(run)
		} else {
			run()
		}
	}
	all.Wait()
	// Each "z" reads two of the four replies. There are no other errors.
	var left *stubs.LeftoverError
	if err := b.Verify(); !errors.As(err, &left) || strings.Count(err.Error(), "\n") != 100 || strings.Contains(err.Error(), "dry") || strings.Contains(err.Error(), `"loop/x"`) {
		t.Errorf("verify: %v", err)
	}
	return got
}

func TestScheduleNeverChangesWhatARunSees(t *testing.T) {
	var keys []core.RunKey
	for i := range 64 {
		keys = append(keys, core.RunKey{Tenant: fmt.Sprint("t", i%2), Run: fmt.Sprint("r", i/2)})
	}
	concurrent := results(t, keys, 8, 1)
	shuffled := slices.Clone(keys)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	oneByOne := results(t, shuffled, 1, 1)
	if d := cmp.Diff(oneByOne, concurrent); d != "" {
		t.Errorf("(-one after the other +concurrent):\n%s", d)
	}
	// The loop reads three outputs, with a retry in between. Each item of a map starts with the
	// first output again, and its second call fails.
	own := regexp.MustCompile(`^(one \| two \| three \d+ \| i \d+ \| j \d+ \| k \d+) \| (one \| two \| three \d+ \| i \d+ \| j \d+ \| k \d+) \| one \| one \| b \d+ <nil>$`)
	seen := map[string]core.RunKey{}
	for key, text := range oneByOne {
		if !own.MatchString(text) {
			t.Errorf("run %v: %s", key, text)
		}
		if other, ok := seen[text]; ok {
			t.Errorf("runs %v and %v drew the same numbers: %s", key, other, text)
		}
		seen[text] = key
	}
	if cmp.Equal(oneByOne, results(t, keys, 1, 2)) {
		t.Error("another seed drew the same numbers")
	}
}

// The random seed depends on arm, tenant, run, path and attempt.
func TestSeedsOfRepliesFromARequest(t *testing.T) {
	agent := stubs.From(func(core.Request[string]) stubs.Reply[string] {
		return stubs.Draw(func(n *stubs.Numbers) string { return fmt.Sprint(n.Uint64()) })
	})
	p, err := core.New("p", core.Loop("l", 9, nil, core.Step("s", agent, func(s string) string { return s }, func(*string, string) {}, core.Retries(1)), core.MaxIsSuccess()))
	if err != nil {
		t.Fatal(err)
	}
	b, err := stubs.Size(p, stubs.Load{Arm: "a", Rounds: 1, Batch: 1}, stubs.Load{Arm: "b", Rounds: 1, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	first := core.Request[string]{Run: core.RunKey{Tenant: "t", Run: "r"}, Path: "l#1/s", Attempt: 1}
	tenant, run, iteration, attempt := first, first, first, first
	tenant.Run.Tenant, run.Run.Run, iteration.Path, attempt.Attempt = "u", "q", "l#2/s", 2
	seen := map[string]bool{}
	for _, arm := range []string{"a", "b"} {
		ctx, err := b.In(t.Context(), arm)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []core.Request[string]{first, tenant, run, iteration, attempt} {
			text := outcome(agent, ctx, r)
			if seen[text] {
				t.Errorf("arm %s, %+v: the numbers of another call", arm, r)
			}
			if again := outcome(agent, ctx, r); again != text {
				t.Errorf("arm %s, %+v: %s, and the same call again %s", arm, r, text, again)
			}
			seen[text] = true
		}
	}
}

func TestResumeGoesOnAndANewExecutionBeginsAnew(t *testing.T) {
	agent := stubs.Outputs[string]("one", "two", "three")
	set := func(s *string, out string) { *s += out + " " }
	body := core.Step("s", agent, func(s string) string { return s }, set)
	var cut context.CancelCauseFunc
	stop := core.Func[string, string](func(ctx context.Context, r core.Request[string]) (string, error) {
		if strings.Contains(r.Path, "#2") && cut != nil {
			cut(errors.New("cut off"))
		}
		return "", nil
	})
	p, err := core.New("p", core.Loop("l", 3, nil, core.Then("b", body, core.Step("t", stop, func(s string) string { return s }, func(*string, string) {})), core.MaxIsSuccess()))
	if err != nil {
		t.Fatal(err)
	}
	b, ctx := sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 3})
	if err := b.Optional("l/b/t"); err != nil {
		t.Fatal(err)
	}
	key := core.RunKey{Run: "r"}
	cutOff := func() *core.Engine {
		e := core.NewEngine(core.WithBackend(core.NewMemory()))
		c, cancel := context.WithCancelCause(ctx)
		cut = cancel
		if res, err := core.Run(c, e, p, key, ""); err == nil || res.Scope != "one two " {
			t.Errorf("cut off: %+v, %v", res, err)
		}
		cut = nil
		return e
	}
	anew := func() {
		if res, err := core.Run(ctx, core.NewEngine(), p, key, ""); err != nil || res.Scope != "one two three " {
			t.Errorf("started again: %+v, %v", res, err)
		}
	}
	anew()
	e := cutOff()
	if err := b.Verify(); err == nil || !strings.Contains(err.Error(), "asked for 2 outputs, but the script has at least 3") {
		t.Errorf("the execution that was cut off read two: %v", err)
	}
	if res, err := core.Resume(ctx, e, p, key); err != nil || res.Scope != "one two three " {
		t.Errorf("resumed: %+v, %v", res, err)
	}
	anew()
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
}

func TestExecutionsUnderOneKeyAtOnce(t *testing.T) {
	agent := stubs.Outputs[string]("one", "two", "three")
	turns := []chan struct{}{make(chan struct{}), make(chan struct{}), make(chan struct{})}
	ordered := core.Func[string, string](func(ctx context.Context, r core.Request[string]) (string, error) {
		turn := turns[r.Input[0]-'0']
		<-turn
		defer func() { turn <- struct{}{} }()
		return agent.Call(ctx, r)
	})
	p, err := core.New("p", core.Loop("l", 3, nil, core.Step("s", ordered, func(s string) string { return s }, func(s *string, out string) { *s += " " + out }), core.MaxIsSuccess()))
	if err != nil {
		t.Fatal(err)
	}
	b, ctx := sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 3})
	got := make([]string, len(turns))
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			res, err := core.Run(ctx, core.NewEngine(), p, core.RunKey{Run: "same"}, fmt.Sprint(i))
			got[i] = fmt.Sprint(res.Scope, " ", err)
		})
	}
	for _, i := range []int{1, 0, 2, 0, 1, 2, 2, 1, 0} {
		turns[i] <- struct{}{}
		<-turns[i]
	}
	all.Wait()
	if want := []string{"0 one two three <nil>", "1 one two three <nil>", "2 one two three <nil>"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
}

// A run that is interrupted during a call repeats that call. The size of the script includes this.
func TestResumesAreSized(t *testing.T) {
	var cancel context.CancelFunc
	agent := stubs.From(func(r core.Request[string]) stubs.Reply[string] {
		cancel()
		return stubs.Hang[string]()
	})
	p, err := core.New("p", core.Step("s", agent, func(s string) string { return s }, func(*string, string) {}))
	if err != nil {
		t.Fatal(err)
	}
	b, ctx := sized(t, p, stubs.Load{Arm: "a", Warmups: 1, Resumes: 2})
	if want := "a s: (1 warm-ups + 0 rounds x 0 runs) x (1 + 2 resumes) x 1 calls a run = 3\ntotal: 3 outputs"; b.String() != want {
		t.Errorf("book:\n%s\nwant:\n%s", b, want)
	}
	e, key := core.NewEngine(core.WithBackend(core.NewMemory())), core.RunKey{Run: "r"}
	for i := range 4 {
		c, stop := context.WithCancel(ctx)
		cancel = stop
		if i == 0 {
			_, err = core.Run(c, e, p, key, "")
		} else {
			_, err = core.Resume(c, e, p, key)
		}
		stop()
		if dry := errors.Is(err, core.ErrHarness); dry != (i == 3) || !dry && !errors.Is(err, context.Canceled) {
			t.Errorf("execution %d: %v", i, err)
		}
	}
}
