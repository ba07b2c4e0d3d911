package stubs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// The first book is that of a process that died in the second round of the loop, the second book
// that of the process that continues.
func TestScriptsGoOnBehindWhatAnotherProcessCalled(t *testing.T) {
	plan := func(agent core.Agent[string, string]) *core.Pipeline[string] {
		p, err := core.New("p", core.Loop("l", 3, nil, core.Step("s", agent,
			func(s string) string { return s }, func(s *string, out string) { *s += out }, core.Retries(1)), core.MaxIsSuccess()))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	script := stubs.Script[string](stubs.Fail[string](errors.New("no")), stubs.Say("a"), stubs.Say("b"), stubs.Say("c"))
	process := func(p *core.Pipeline[string], snap *core.Snapshot) (*stubs.Book, context.Context) {
		book, err := stubs.Size(p, stubs.Load{Arm: "arm", Rounds: 1, Batch: 1})
		if err == nil && snap != nil {
			err = book.Resumed("arm", *snap)
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, err := book.In(context.Background(), "arm")
		if err != nil {
			t.Fatal(err)
		}
		return book, ctx
	}
	b := core.NewMemory()
	dying := stubs.FaultyBackend(b, stubs.Fault{At: 2, When: func(p stubs.Point) bool { return p.Name == "Step" }, Err: errors.New("killed")})
	_, ctx := process(plan(script), nil)
	if _, err := core.Run(ctx, core.NewEngine(core.WithBackend(dying)), plan(script), core.RunKey{Run: "r"}, ""); err == nil {
		t.Fatal("the first process did not die")
	}
	snap, err := b.Load(context.Background(), core.RunKey{Run: "r"})
	if err != nil || len(snap.Steps) != 1 {
		t.Fatalf("%d steps saved, error %v", len(snap.Steps), err)
	}
	for name, known := range map[string]*core.Snapshot{"with the saved run": &snap, "without it": nil} {
		b := core.NewMemory()
		copyRun(t, b, snap)
		book, ctx := process(plan(script), known)
		res, err := core.Resume(ctx, core.NewEngine(core.WithBackend(b)), plan(script), core.RunKey{Run: "r"})
		if good := err == nil && res.Scope == "abc" && book.Verify() == nil; good != (known != nil) {
			t.Errorf("%s: %q, error %v, verified %v", name, res.Scope, err, book.Verify())
		}
	}
	// A retry in the other process does not count as a call of a second run.
	book, err := stubs.Size(plan(stubs.Always[string]("a")), stubs.Load{Arm: "arm", Rounds: 2, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	left := new(stubs.LeftoverError)
	if err := errors.Join(book.Resumed("arm", snap), book.Verify()); !errors.As(err, &left) || left.Asked != 1 {
		t.Errorf("one call with two attempts for two runs: %v", err)
	}
	book, _ = process(plan(script), nil)
	if err := book.Resumed("other", snap); err == nil {
		t.Error("an arm that the book does not have was taken")
	}
}

// copyRun copies a saved run to another backend.
func copyRun(t *testing.T, to core.Backend, snap core.Snapshot) {
	lease, err := to.Start(context.Background(), snap.Start)
	for _, rec := range snap.Steps {
		err = errors.Join(err, to.Step(context.Background(), lease, rec))
	}
	if err != nil {
		t.Fatal(err)
	}
}
