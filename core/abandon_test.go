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

func TestTimeoutEndsTheAttemptAndItIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		polite := func(ctx context.Context, req core.Request[string]) (string, error) {
			if req.Attempt == 1 {
				<-ctx.Done()
				return "", context.Cause(ctx)
			}
			return appending(ctx, req)
		}
		b := core.NewMemory()
		res, err := run(t, plan(t, step("s", polite, core.Timeout(time.Second), core.Retries(1))), doc{}, core.WithBackend(b))
		if err != nil || res.Calls != 2 || res.Abandoned != 0 {
			t.Errorf("%+v, %v", res, err)
		}
		snap, err := b.Load(t.Context(), core.RunKey{Run: "r"})
		if want := "its timeout of 1s passed: context deadline exceeded"; err != nil || snap.Steps[0].Feedback != want {
			t.Errorf("feedback %q, want %q; %v", snap.Steps[0].Feedback, want, err)
		}
	})
}

func TestAgentThatIgnoresItsDeadlineIsAbandonedCountedAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		deaf := func(_ context.Context, req core.Request[string]) (string, error) {
			<-release
			return "too late", req.Spend(1, 1)
		}
		e := core.NewEngine(core.WithGrace(5 * time.Second))
		began := time.Now()
		p := plan(t, core.Fallback("f", step("s", deaf, core.Timeout(time.Second), core.Retries(1)), step("other", appending)))
		res, err := core.Run(t.Context(), e, p, core.RunKey{Run: "r"}, doc{})
		if err != nil || res.Abandoned != 2 || res.Scope.Text != "f/other" || time.Since(began) != 12*time.Second {
			t.Errorf("%+v, error %v, after %v", res, err, time.Since(began))
		}
		if e.Detached() != 2 {
			t.Errorf("%d agents still run, want 2", e.Detached())
		}
		close(release)
		synctest.Wait()
		if e.Detached() != 0 || res.Scope.Text != "f/other" || res.Usage.Tokens != 0 {
			t.Errorf("%d agents still run; scope %+v", e.Detached(), res.Scope)
		}
	})
}

func TestAbandonedAgentIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		deaf := func(context.Context, core.Request[string]) (string, error) { <-release; return "", nil }
		_, err := run(t, plan(t, step("s", deaf, core.Timeout(time.Second))), doc{})
		want := `step "s" failed after 1 attempt: step "s" was abandoned: it did not return within 1s of the end of its context (its timeout of 1s passed: context deadline exceeded): its agent must return when the context is done`
		if !errors.Is(err, core.ErrAbandoned) || !errors.Is(err, context.DeadlineExceeded) || fmt.Sprint(err) != want {
			t.Errorf("error\n%v\nwant\n%s", err, want)
		}
		// The deadline of the run stops it, resumable, even though its agent does not return.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		b := core.NewMemory()
		res, err := core.Run(ctx, core.NewEngine(core.WithBackend(b)), plan(t, step("s", deaf, core.Retries(5))), core.RunKey{Run: "r"}, doc{})
		if !errors.Is(err, context.DeadlineExceeded) || res.Status != core.Running || res.Abandoned != 1 || res.Calls != 1 {
			t.Errorf("%+v, %v", res, err)
		}
		close(release)
	})
}
