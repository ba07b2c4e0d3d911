package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// runaway is a pipeline that would not end by itself, or that leaks something.
type runaway struct {
	name   string
	plan   *core.Pipeline[int]
	status core.Status
	is     func(error) bool
	deaf   bool // the agent ignores the end of its context
}

// deaf returns an agent that ignores the end of its context.
//
//go:noinline
func deaf(release <-chan struct{}) core.Func[int, int] {
	return func(context.Context, core.Request[int]) (int, error) { <-release; return 0, nil }
}

// leaves is an agent that leaks a file and a goroutine until its context ends.
func leaves(ctx context.Context, r core.Request[int]) (int, error) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	go func() {
		<-ctx.Done()
		_ = f.Close()
	}()
	return r.Input, nil
}

// waiting returns the number of deaf agents that are still running.
func waiting() int {
	stacks := make([]byte, 16<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "deaf.func1(")
}

// runaways returns the pipelines. Closing release ends the deaf agents.
func runaways(t *testing.T, release <-chan struct{}) []runaway {
	t.Helper()
	step := func(name string, f core.Func[int, int], opts ...core.StepOption) *core.Node[int] {
		return core.Step(name, f, func(n int) int { return n }, func(n *int, out int) { *n = out }, opts...)
	}
	counts := func(_ context.Context, r core.Request[int]) (int, error) { return r.Input + 1, r.Spend(10, 1) }
	never := func(int) (bool, error) { return false, nil }
	made := func(n *core.Node[int]) *core.Pipeline[int] {
		p, err := core.New("runaway", n)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	endless := made(core.Loop("l", 1_000_000, never, step("count", counts)))
	nested := made(core.Loop("outer", 1000, never, core.Loop("inner", 1000, never, step("count", counts), core.MaxIsSuccess())))
	over := func(resource string) func(error) bool {
		return func(err error) bool {
			var budget *core.BudgetError
			return errors.As(err, &budget) && budget.Resource == resource
		}
	}
	return []runaway{
		{"steps", endless.Within(core.Budget{Steps: 20}), core.Stopped, over("steps"), false},
		{"calls, nested", nested.Within(core.Budget{Calls: 20}), core.Stopped, over("calls"), false},
		{"tokens", endless.Within(core.Budget{Tokens: 150}), core.Stopped, over("tokens"), false},
		{"cost", endless.Within(core.Budget{Cost: 15}), core.Stopped, over("cost"), false},
		{"wall time", endless.Within(core.Budget{Wall: time.Millisecond}), core.Stopped, over("wall time"), false},
		{"a circle", made(core.Redirect("r", func(_ int, from string) (string, error) { return map[string]string{"a": "b", "b": "a"}[from], nil }, step("a", counts), step("b", counts))),
			core.Failed, func(err error) bool { return errors.Is(err, core.ErrRedirectCycle) }, false},
		{"retries", made(step("s", func(context.Context, core.Request[int]) (int, error) { return 0, errors.New("again") }, core.Retries(20))),
			core.Failed, func(err error) bool { return err != nil }, false},
		{"a panic", made(step("s", func(context.Context, core.Request[int]) (int, error) { panic("boom") })),
			core.Failed, func(err error) bool { return errors.Is(err, core.ErrPanic) }, false},
		{"leaks a file and a goroutine until its context ends", made(step("s", leaves, core.Timeout(time.Hour))), core.Completed, func(err error) bool { return err == nil }, false},
		{"does not hear", made(step("s", deaf(release), core.Timeout(time.Millisecond))),
			core.Failed, func(err error) bool { return errors.Is(err, core.ErrAbandoned) }, true},
	}
}

// descriptors returns the number of open file descriptors of the process.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// Pipelines that would not end are stopped, and leak neither goroutines nor descriptors. The same
// holds for a step whose agent leaves some open until its context ends.
func TestRunawaysAreStopped(t *testing.T) {
	n := trials(90)
	path := filepath.Join(t.TempDir(), "r.db")
	if err := made(t.Context(), path); err != nil { // so that the resources that the first opening keeps do not count
		t.Fatal(err)
	}
	before, files := goleak.IgnoreCurrent(), descriptors(t)
	release := make(chan struct{})
	kinds := runaways(t, release)
	b, err := Open(t.Context(), path, sqlitedb.Process)
	if err != nil {
		t.Fatal(err)
	}
	e := core.NewEngine(core.WithBackend(b))
	impatient := core.NewEngine(core.WithBackend(b), core.WithGrace(time.Millisecond))
	for i := range n {
		k := kinds[i%len(kinds)]
		key := core.RunKey{Run: fmt.Sprint(i)}
		by := e
		if k.deaf {
			by = impatient
		}
		res, err := core.Run(t.Context(), by, k.plan, key, 0)
		if res.Status != k.status || !k.is(err) {
			t.Errorf("run %d, %s: %v, %v; want %v\n%s", i, k.name, res.Status, err, k.status, repeat(t, n))
		}
		if snap, err := b.Load(t.Context(), key); err != nil || snap.Status != k.status {
			t.Errorf("run %d, %s, is saved as %v, %v", i, k.name, snap.Status, err)
		}
	}
	if got, want := impatient.Detached(), n/len(kinds); got != want || e.Detached() != 0 {
		t.Errorf("%d and %d deaf agents are reported, want %d and 0", got, e.Detached(), want)
	}
	if deaf := waiting(); deaf != n/len(kinds) {
		t.Errorf("control: %d agents still run, and %d are found", n/len(kinds), deaf)
	}
	close(release)
	for impatient.Detached() > 0 {
		runtime.Gosched()
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if descriptors(t) <= files {
		t.Error("control: open files were not detected")
	}
	if err := errors.Join(f.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
	if now := descriptors(t); now != files {
		t.Errorf("%d descriptors are open, %d were", now, files)
	}
	t.Logf("%d runs of %d kinds: all stopped, %d descriptors before and after\n%s", n, len(kinds), files, repeat(t, n))
}
