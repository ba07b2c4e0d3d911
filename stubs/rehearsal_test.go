package stubs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

func TestARehearsalMakesTheCallsOfOneRun(t *testing.T) {
	boom := errors.New("boom")
	in, out := func(s string) string { return s }, func(s *string, out string) { *s += out }
	p, err := core.New("p", core.Step("first", stubs.Always[string]("a"), in, out),
		core.Step("second", stubs.Script[string](stubs.Fail[string](boom), stubs.Say("b")), in, out, core.Retries(1)))
	if err != nil {
		t.Fatal(err)
	}
	book, err := stubs.Size(p, stubs.Load{Arm: "whole", Warmups: 2}, stubs.Load{Arm: "alone", Warmups: 5})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := book.Rehearse("no such arm"); err == nil {
		t.Error("an arm that is not there was rehearsed")
	}
	calls, err := book.Rehearse("whole")
	if err != nil {
		t.Fatal(err)
	}
	within := func(arm string) context.Context {
		ctx, err := book.In(t.Context(), arm)
		if err != nil {
			t.Fatal(err)
		}
		return ctx
	}
	for _, run := range []string{"1", "2"} {
		if _, err := core.Run(within("whole"), core.NewEngine(), p, core.RunKey{Run: run}, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if calls.Calls() != 3 {
		t.Errorf("%d calls kept, the first run made 3", calls.Calls())
	}
	for _, run := range []string{"1", "2", "3", "4", "5"} {
		if err := calls.Run(within("alone"), core.RunKey{Run: run}); err != nil {
			t.Fatal(err)
		}
	}
	if err := book.Verify(); err != nil {
		t.Error(err)
	}
	if got := len(book.Calls(100)); got != 3*7 {
		t.Errorf("%d calls in the transcript, want 21: 3 of each of 7 runs", got)
	}
	if err := calls.Run(within("alone"), core.RunKey{Run: "6"}); !errors.As(err, new(*stubs.ExhaustedError)) {
		t.Errorf("a rehearsal beyond the plan ended in %v", err)
	}
}
