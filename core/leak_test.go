package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/flujo/flujo-harness/core"
)

// The runs of this test end in every way there is; nothing may be left of them.
func TestNothingIsLeftAfterAThousandRuns(t *testing.T) {
	before := goleak.IgnoreCurrent()
	waits := func(ctx context.Context, _ core.Request[string]) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}
	boom := func(context.Context, core.Request[string]) (string, error) { panic("boom") }
	fan := func(last *core.Node[doc]) *core.Pipeline[doc] {
		return plan(t, core.Loop("l", 2, nil, core.Parallel("fan", texts, core.Branches(
			step("a", appending), step("b", appending, core.Timeout(time.Hour)), core.Then("c", step("d", appending), last))), core.MaxIsSuccess()))
	}
	kinds := []struct {
		plan   *core.Pipeline[doc]
		status core.Status
	}{
		{fan(step("e", appending)), core.Completed},
		{fan(step("e", fails("no"))), core.Failed},
		{fan(step("e", boom)), core.Failed},
		{fan(approve("e")), core.Paused},
		{fan(step("e", waits)), core.Running},
		{fan(step("e", spending(9, 9))).Within(core.Budget{Tokens: 1}), core.Stopped},
	}
	e := core.NewEngine(core.WithBackend(core.NewMemory()))
	for i := range 1000 {
		k := kinds[i%len(kinds)]
		ctx, cancel := context.WithCancel(t.Context())
		if k.status == core.Running {
			go func() { // somewhere in the middle
				for range i % 7 {
					_, _ = appending(ctx, core.Request[string]{})
				}
				cancel()
			}()
		}
		res, err := core.Run(ctx, e, k.plan, core.RunKey{Run: fmt.Sprint(i)}, doc{})
		cancel()
		if res.Status != k.status || k.status == core.Running && !errors.Is(err, context.Canceled) {
			t.Fatalf("run %d: %v, %v, want %v", i, res.Status, err, k.status)
		}
	}
	if n := e.Detached(); n != 0 {
		t.Errorf("%d agents still run", n)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
