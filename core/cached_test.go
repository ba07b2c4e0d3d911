package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// counted counts the calls of an agent that answers the input in brackets.
func counted(calls *int) core.Func[string, string] {
	return func(_ context.Context, req core.Request[string]) (string, error) {
		*calls++
		return "[" + req.Input + "]", nil
	}
}

func asking(name string, agent core.Agent[string, string], opts ...core.StepOption) *core.Node[doc] {
	return core.Step(name, agent, read, write, opts...)
}

// engines are one without a backend and one with.
func engines() map[string]*core.Engine {
	return map[string]*core.Engine{"without a backend": core.NewEngine(), "with one": core.NewEngine(core.WithBackend(core.NewMemory()))}
}

// runAs runs p as the given run and returns what it came to.
func runAs(t *testing.T, e *core.Engine, p *core.Pipeline[doc], key core.RunKey, text string) core.Result[doc] {
	t.Helper()
	res, err := core.Run(t.Context(), e, p, key, doc{Text: text})
	if err != nil {
		t.Fatalf("run %s: %v", key, err)
	}
	return res
}

func TestSecondRunIsAnsweredFromTheCacheAndCountsNoCall(t *testing.T) {
	for name, e := range engines() {
		t.Run(name, func(t *testing.T) {
			calls := 0
			p := plan(t, asking("a", core.Cached("c", core.NewMemoryCache(9), counted(&calls)), core.Reserve(10, 20)))
			first := runAs(t, e, p, core.RunKey{Run: "1"}, "in")
			second := runAs(t, e, p, core.RunKey{Run: "2"}, "in")
			if calls != 1 || first.Scope.Text != "[in]" || second.Scope.Text != "[in]" {
				t.Errorf("%d calls, %+v, %+v", calls, first.Scope, second.Scope)
			}
			if want := (core.Usage{Calls: 1, Steps: 1, Tokens: 10, Cost: 20}); first.Usage != want {
				t.Errorf("usage %+v, want %+v", first.Usage, want)
			}
			if want := (core.Usage{Steps: 1}); second.Usage != want {
				t.Errorf("usage of a hit %+v, want %+v", second.Usage, want)
			}
		})
	}
}

func TestHitIsNoCallOfTheResult(t *testing.T) {
	calls := 0
	p := plan(t, asking("a", core.Cached("c", core.NewMemoryCache(9), counted(&calls))))
	for i, want := range []int{1, 0} {
		if res := runAs(t, core.NewEngine(), p, core.RunKey{Run: "r"}, "in"); res.Calls != want || res.Usage.Calls != int64(want) {
			t.Errorf("run %d: %d calls in the result and %d in its usage, want %d", i+1, res.Calls, res.Usage.Calls, want)
		}
	}
}

func TestHitGivesItsReservationBackWithinTheRun(t *testing.T) {
	calls := 0
	agent := core.Cached("c", core.NewMemoryCache(9), counted(&calls))
	again := core.Step("b", agent, func(doc) string { return "in" }, write)
	p := plan(t, asking("a", agent), again, asking("c", agent)).Within(core.Budget{Calls: 2})
	if res := runAs(t, core.NewEngine(), p, core.RunKey{Run: "r"}, "in"); res.Scope.Text != "[[in]]" || calls != 2 || res.Usage.Calls != 2 {
		t.Errorf("%+v, %d calls", res, calls)
	}
}

func TestCacheKeepsTenantsNamesAndInputsApart(t *testing.T) {
	for name, e := range engines() {
		t.Run(name, func(t *testing.T) {
			cache, calls := core.NewMemoryCache(99), 0
			run := 0
			ask := func(tenant, agent, input string) {
				run++
				p := plan(t, asking("a", core.Cached(agent, cache, counted(&calls))))
				res := runAs(t, e, p, core.RunKey{Tenant: tenant, Run: fmt.Sprint(run)}, input)
				if res.Scope.Text != "["+input+"]" {
					t.Errorf("%q, %q, %q: %q", tenant, agent, input, res.Scope.Text)
				}
			}
			keys := [][3]string{{"", "n", "i"}, {"t", "n", "i"}, {"t", "m", "i"}, {"t", "n", "j"}, {`t","n`, "n", "i"}, {"t", `n","n`, "i"}}
			for range 2 {
				for _, k := range keys {
					ask(k[0], k[1], k[2])
				}
				if calls != len(keys) {
					t.Errorf("%d calls for %d different keys", calls, len(keys))
				}
			}
		})
	}
}

func TestErrorsAreNotCached(t *testing.T) {
	for name, e := range engines() {
		t.Run(name, func(t *testing.T) {
			calls := 0
			flaky := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
				if calls++; calls < 3 {
					return "half", fmt.Errorf("no %d", calls)
				}
				return "done", nil
			})
			p := plan(t, asking("a", core.Cached("c", core.NewMemoryCache(9), flaky), core.Retries(1)))
			_, err := core.Run(t.Context(), e, p, core.RunKey{Run: "1"}, doc{})
			wantText(t, err, `step "a" failed after 2 attempts: no 2`)
			for _, run := range []string{"2", "3"} {
				if res := runAs(t, e, p, core.RunKey{Run: run}, ""); res.Scope.Text != "done" {
					t.Errorf("%+v", res)
				}
			}
			if calls != 3 {
				t.Errorf("%d calls, want two that failed and one that was kept", calls)
			}
		})
	}
}

// brokenCache fails its next calls of each kind.
type brokenCache struct {
	core.Cache
	get, put int
}

func (c *brokenCache) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if c.get--; c.get >= 0 {
		return nil, false, errors.New("down")
	}
	return c.Cache.Get(ctx, key)
}

func (c *brokenCache) Put(ctx context.Context, key string, value []byte) error {
	if c.put--; c.put >= 0 {
		return errors.New("full")
	}
	return c.Cache.Put(ctx, key, value)
}

func TestBrokenCacheFailsTheAttemptAndIsTriedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		get, put int
		feedback string
		calls    int
	}{
		"read":  {1, 0, `cached agent "c": read the cache: down`, 1},
		"write": {0, 1, `cached agent "c": write the cache: full`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			b := core.NewMemory()
			cache := &brokenCache{core.NewMemoryCache(9), tc.get, tc.put}
			got := once(t, stopped(b), plan(t, asking("a", core.Cached("c", cache, counted(&calls)), core.Retries(1))), doc{Text: "in"})
			if got.Err != nil || got.Scope.Text != "[in]" || calls != tc.calls {
				t.Errorf("%+v, %d calls, error %v", got.Result, calls, got.Err)
			}
			if rec := load(t, b).Steps[0]; rec.Attempts != 2 || rec.Feedback != tc.feedback {
				t.Errorf("%d attempts, feedback %q", rec.Attempts, rec.Feedback)
			}
		})
	}
}

func TestCacheThatStaysBrokenFailsTheStep(t *testing.T) {
	for want, cache := range map[string]*brokenCache{
		`step "a" failed after 2 attempts: cached agent "c": read the cache: down`:  {core.NewMemoryCache(9), 9, 0},
		`step "a" failed after 2 attempts: cached agent "c": write the cache: full`: {core.NewMemoryCache(9), 0, 9},
	} {
		calls := 0
		got := once(t, core.NewEngine(), plan(t, asking("a", core.Cached("c", cache, counted(&calls)), core.Retries(1))), doc{Text: "in"})
		wantText(t, got.Err, want)
		if got.Status != core.Failed || got.Scope.Text != "in" {
			t.Errorf("%+v", got.Result)
		}
	}
}

// oneValue is a cache with the same answer to every key.
type oneValue string

func (c oneValue) Get(context.Context, string) ([]byte, bool, error) { return []byte(c), true, nil }
func (c oneValue) Put(context.Context, string, []byte) error         { return nil }

func TestCachedOutputOfAnotherTypeFailsTheAttempt(t *testing.T) {
	calls := 0
	got := once(t, core.NewEngine(), plan(t, asking("a", core.Cached("c", oneValue("17"), counted(&calls)))), doc{})
	wantText(t, got.Err, `step "a" failed after 1 attempt: cached agent "c": the cached output does not fit string: `+
		`json: cannot unmarshal number into Go value of type string`)
	if calls != 0 {
		t.Errorf("%d calls", calls)
	}
}

func TestCallThatACrashCutOffIsAnsweredFromTheCache(t *testing.T) {
	for kept, want := range map[bool]int64{false: 0, true: 1} {
		calls := 0
		p := plan(t, asking("a", core.Cached("c", core.NewMemoryCache(9), counted(&calls))), work("z", appending))
		b := &cutting{core.NewMemory(), 2, kept}
		if got := once(t, stopped(b), p, doc{Text: "in"}); !errors.Is(got.Err, errCut) || calls != 1 {
			t.Fatalf("%d calls, error %v", calls, got.Err)
		}
		res, err := core.Resume(t.Context(), stopped(b), p, runR)
		if err != nil || res.Scope.Text != "[in] z" || calls != 1 || res.Usage.Calls != want+1 {
			t.Errorf("record kept %v: %+v, %d calls, error %v", kept, res, calls, err)
		}
	}
}

func TestMemoryCacheKeepsTheMostRecentlyPut(t *testing.T) {
	for name, tc := range map[string]struct {
		most int
		put  []string
		want string
	}{
		"room":      {3, []string{"a", "b", "c"}, "abc"},
		"full":      {2, []string{"a", "b", "c", "d"}, "cd"},
		"one":       {1, []string{"a", "b"}, "b"},
		"put again": {2, []string{"a", "b", "a", "c"}, "ac"},
		"none":      {0, []string{"a"}, ""},
		"negative":  {-1, []string{"a"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := core.NewMemoryCache(tc.most)
			for i, key := range tc.put {
				if err := c.Put(t.Context(), key, []byte(fmt.Sprint(key, i))); err != nil {
					t.Fatal(err)
				}
			}
			has, latest := "", map[string]string{}
			for i, key := range tc.put {
				latest[key] = fmt.Sprint(key, i)
			}
			for _, key := range []string{"a", "b", "c", "d"} {
				value, ok, err := c.Get(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					has += key
					if string(value) != latest[key] {
						t.Errorf("%s is %s, want %s", key, value, latest[key])
					}
				}
			}
			if has != tc.want {
				t.Errorf("it has %q, want %q", has, tc.want)
			}
		})
	}
}

func TestMemoryCacheKeepsBytesOfItsOwn(t *testing.T) {
	c := core.NewMemoryCache(1)
	in := []byte("in")
	if err := c.Put(t.Context(), "k", in); err != nil {
		t.Fatal(err)
	}
	in[0] = 'x'
	out, _, _ := c.Get(t.Context(), "k")
	out[0] = 'y'
	got, ok, err := c.Get(t.Context(), "k")
	if d := cmp.Diff("in", string(got)); d != "" || !ok || err != nil {
		t.Errorf("%v, error %v (-want +got):\n%s", ok, err, d)
	}
}

// Requests for one input that come at once are one call, whoever asks.
func TestRequestsAtOnceAreOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		slow := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
			calls.Add(1)
			time.Sleep(time.Second)
			return "[" + req.Input + "]", nil
		})
		cache := core.NewMemoryCache(9)
		p := plan(t, core.Map("m", 9, func(d doc) []doc { return make([]doc, 8) }, core.Then("t",
			asking("a", core.Cached("c", cache, slow)),
			core.Step("b", core.Cached("c", cache, slow), func(doc) string { return "" }, write)),
			func(into *doc, items []core.Ended[doc]) error {
				for _, i := range items {
					into.Text += i.Scope.Text
				}
				return nil
			}))
		b := core.NewMemory()
		res, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), p, core.RunKey{Run: "r"}, doc{})
		if err != nil || calls.Load() != 1 || res.Calls != 1 || res.Usage.Calls != 1 || res.Scope.Text != "[][][][][][][][]" {
			t.Errorf("%d calls, %+v, %v", calls.Load(), res, err)
		}
	})
}

// A request that fails is nobody's answer: the next one calls for itself.
func TestRequestsAtOnceDoNotShareFailures(t *testing.T) {
	for how, fail := range map[string]func() (string, error){
		"error":  func() (string, error) { return "", errors.New("down") },
		"panic":  func() (string, error) { panic("down") },
		"goexit": func() (string, error) { runtime.Goexit(); return "", nil },
		"hangs":  func() (string, error) { time.Sleep(time.Hour); return "late", nil },
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				agent := core.Func[string, string](func(context.Context, core.Request[string]) (string, error) {
					n := calls.Add(1)
					time.Sleep(time.Second)
					if n == 1 {
						return fail()
					}
					return "ok", nil
				})
				p := plan(t, core.Map("m", 9, func(d doc) []doc { return make([]doc, 4) },
					asking("a", core.Cached("c", core.NewMemoryCache(9), agent), core.Timeout(time.Minute)),
					func(into *doc, items []core.Ended[doc]) error {
						for _, i := range items {
							into.Text += fmt.Sprint(i.Err == nil, " ")
						}
						return nil
					}, core.CollectFailures()))
				res, err := core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, doc{})
				failed := strings.Count(res.Scope.Text, "false")
				if how == "hangs" { // those that waited reach their own timeouts with it, or call
					if err != nil || failed < 1 {
						t.Errorf("%q, %v", res.Scope.Text, err)
					}
				} else if err != nil || failed != 1 || calls.Load() != 2 {
					t.Errorf("%d calls, %q, %v", calls.Load(), res.Scope.Text, err)
				}
				time.Sleep(2 * time.Hour) // the abandoned agent ends
			})
		})
	}
}

// A hit needs no budget for a call; a miss does.
func TestHitNeedsNoBudget(t *testing.T) {
	calls := 0
	same := func(doc) string { return "in" }
	c := core.Cached("c", core.NewMemoryCache(9), counted(&calls))
	p := plan(t, core.Step("a", c, same, write, core.Reserve(10, 0)), core.Step("b", c, same, write, core.Reserve(10, 0)),
		core.Step("d", c, func(doc) string { return "other" }, write))
	res, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(core.NewMemory())), p.Within(core.Budget{Calls: 1, Tokens: 10}), core.RunKey{Run: "r"}, doc{})
	var over *core.BudgetError
	if !errors.As(err, &over) || over.Path != "d" || over.Resource != "calls" || calls != 1 || res.Usage.Tokens != 10 {
		t.Errorf("%+v, %v, %d calls", res, err, calls)
	}
}
