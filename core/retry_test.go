package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// busy is an error of a service that says when to come back.
type busy struct{ after time.Duration }

func (b busy) Error() string             { return "busy" }
func (b busy) RetryAfter() time.Duration { return b.after }

func TestAskedWaitsAreBounded(t *testing.T) {
	const day = 24 * time.Hour
	for name, tc := range map[string]struct {
		opts  []core.StepOption
		asked time.Duration
		wall  time.Duration
		ends  time.Duration // of the caller's context
		most  time.Duration // of the error; 0: it waits
	}{
		"within the backoff":       {opts: []core.StepOption{core.Backoff(time.Second, 10*time.Second)}, asked: 10 * time.Second},
		"beyond the backoff":       {opts: []core.StepOption{core.Backoff(time.Second, 10*time.Second)}, asked: day, most: 10 * time.Second},
		"beyond the timeout":       {opts: []core.StepOption{core.Timeout(20 * time.Second)}, asked: day, most: 20 * time.Second},
		"beyond the lesser":        {opts: []core.StepOption{core.Backoff(time.Second, time.Hour), core.Timeout(20 * time.Second)}, asked: 21 * time.Second, most: 20 * time.Second},
		"without a limit":          {asked: day, most: time.Minute},
		"a minute without a limit": {asked: time.Minute},
		"beyond the wall time":     {opts: []core.StepOption{core.Backoff(time.Second, day)}, asked: time.Hour, wall: time.Minute, most: time.Minute},
		"beyond the context":       {opts: []core.StepOption{core.Backoff(time.Second, day)}, asked: time.Hour, ends: 90 * time.Second, most: 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				agent := func(context.Context, core.Request[string]) (string, error) {
					if calls++; calls == 1 {
						return "", fmt.Errorf("ask: %w", busy{tc.asked})
					}
					return "done", nil
				}
				p := plan(t, step("s", agent, append(tc.opts, core.Retries(1))...)).Within(core.Budget{Wall: tc.wall})
				b := core.NewMemory()
				e, key := core.NewEngine(core.WithBackend(b)), core.RunKey{Run: "r"}
				ctx := t.Context()
				if tc.ends > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.ends)
					defer cancel()
				}
				began := time.Now()
				res, err := core.Run(ctx, e, p, key, doc{})
				if tc.most == 0 {
					if err != nil || calls != 2 || time.Since(began) != tc.asked {
						t.Errorf("%v, %d calls in %v", err, calls, time.Since(began))
					}
					return
				}
				var later *core.RetryLaterError
				if !errors.As(err, &later) || later.Path != "s" || later.Wait != tc.asked || later.Most != tc.most || res.Status != core.Stopped || calls != 1 || time.Since(began) != 0 {
					t.Fatalf("%v, %v, %d calls in %v", res.Status, err, calls, time.Since(began))
				}
				if snap := load(t, b); snap.Status != core.Stopped || snap.Error != later.Error() {
					t.Errorf("saved: %v %q", snap.Status, snap.Error)
				}
				time.Sleep(tc.asked)
				if res, err := core.Resume(t.Context(), e, p, key); err != nil || res.Status != core.Completed || calls != 2 {
					t.Errorf("resumed when the time had come: %v, %v, %d calls", res.Status, err, calls)
				}
			})
		})
	}
}

func TestErrorsThatAreNotWorthARetry(t *testing.T) {
	refused, down := errors.New("the key was refused"), errors.New("down")
	for name, tc := range map[string]struct {
		err   error
		opts  []core.StepOption
		calls int
	}{
		"any":             {err: refused, calls: 4},
		"final":           {err: fmt.Errorf("ask: %w", core.Final(refused)), calls: 1},
		"final and asked": {err: core.Final(busy{time.Hour}), calls: 1},
		"worth it":        {err: down, opts: []core.StepOption{core.RetryIf(func(err error) bool { return errors.Is(err, down) })}, calls: 4},
		"not worth it":    {err: refused, opts: []core.StepOption{core.RetryIf(func(err error) bool { return errors.Is(err, down) })}, calls: 1},
		"no answer":       {err: refused, opts: []core.StepOption{core.RetryIf(func(error) bool { panic("which?") })}, calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			agent := func(context.Context, core.Request[string]) (string, error) { return "", tc.err }
			p := plan(t, core.Fallback("f", step("s", agent, append(tc.opts, core.Retries(3))...), step("other", appending)))
			b := core.NewMemory()
			res, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), p, core.RunKey{Run: "r"}, doc{})
			if snap := load(t, b); err != nil || res.Status != core.Completed || snap.Steps[0].Attempts != tc.calls {
				t.Errorf("%v, %v, %d attempts, want %d", res.Status, err, snap.Steps[0].Attempts, tc.calls)
			}
		})
	}
	if core.Final(nil) != nil {
		t.Error("no error became one")
	}
	if err := core.Final(refused); err.Error() != refused.Error() || !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
}

func TestFailuresShowTheOriginal(t *testing.T) {
	cause := errors.New("down")
	var seen []string
	e := core.NewEngine(core.WithFailures(func(key core.RunKey, path string, attempt int, err error) {
		seen = append(seen, fmt.Sprint(key, path, attempt, errors.Is(err, cause)))
	}))
	p := plan(t, step("s", func(context.Context, core.Request[string]) (string, error) { return "", fmt.Errorf("ask: %w", cause) }, core.Retries(1)))
	_, err := core.Run(t.Context(), e, p, core.RunKey{Run: "r"}, doc{})
	if got := fmt.Sprint(seen); got != "[rs1 true rs2 true]" && got != "[r s1 true r s2 true]" {
		t.Errorf("%s", got)
	}
	var recorded *core.RecordedError
	if errors.Is(err, cause) || !errors.As(err, &recorded) || recorded.Text != "ask: down" {
		t.Errorf("the run returns %#v", err)
	}
}

// The form of an error depends on nothing but what every backend stores.
func TestRecordedForm(t *testing.T) {
	const mine = core.Code("mine")
	for name, tc := range map[string]struct {
		err  error
		text string
		is   []error
	}{
		"text":     {errors.New("a\x00b\xff"), "a\uFFFDb\uFFFD", nil},
		"code":     {errors.Join(fmt.Errorf("x: %w", mine), errors.New("y")), "x: mine\ny", []error{mine}},
		"context":  {fmt.Errorf("x: %w", context.Canceled), "x: context canceled", []error{context.Canceled}},
		"deadline": {context.DeadlineExceeded, "context deadline exceeded", []error{context.DeadlineExceeded}},
		"final":    {core.Final(mine), "mine", []error{mine, core.ErrFinal}},
	} {
		p := plan(t, step("s", func(context.Context, core.Request[string]) (string, error) { return "", tc.err }))
		b := core.NewMemory()
		_, first := core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), p, core.RunKey{Run: "r"}, doc{})
		_, again := core.Replay(t.Context(), p, load(t, b))
		for _, err := range []error{first, again} {
			var got *core.RecordedError
			if !errors.As(err, &got) || got.Text != tc.text || len(got.Codes) != len(tc.is) {
				t.Errorf("%s: %#v", name, got)
			}
			for _, target := range []error{mine, core.ErrFinal, core.ErrPanic, context.Canceled, context.DeadlineExceeded, core.ErrNoBackend} {
				want := false
				for _, is := range tc.is {
					want = want || is == target
				}
				if errors.Is(err, target) != want {
					t.Errorf("%s: errors.Is(%v, %v) is %v", name, err, target, !want)
				}
			}
		}
	}
}

func TestDamagedErrorIsCorrupt(t *testing.T) {
	p := plan(t, step("s", fails("no")))
	b := core.NewMemory()
	_, _ = core.Run(t.Context(), core.NewEngine(core.WithBackend(b)), p, core.RunKey{Run: "r"}, doc{})
	snap := load(t, b)
	snap.Steps[0].Output = []byte("{")
	if _, err := core.Replay(t.Context(), p, snap); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}
