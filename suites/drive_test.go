package suites

import (
	"context"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

func TestACallBehindItsRecordIsNoticed(t *testing.T) {
	agent := stubs.Always[string]("out")
	p, err := core.New("p", core.Step("s", agent, func(s string) string { return s }, func(s *string, out string) { *s = out }))
	if err != nil {
		t.Fatal(err)
	}
	c := subject[string, int]{Case: Case[string, int]{Name: "c"}}
	book, ctx, err := c.scripts(context.Background(), p, core.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	ran := Run(ctx, core.NewMemory(), p, caseKey, "")
	if err := checkScripts(book, core.Snapshot{}, ran.Saved); err != nil {
		t.Errorf("nothing was recorded before: %v", err)
	}
	err = checkScripts(book, ran.Saved, ran.Saved)
	if err == nil || !strings.Contains(err.Error(), `step "s" was called again, although its record was saved`) {
		t.Errorf("error %v", err)
	}
}

// Also where so many calls came behind it that a book would have forgotten it.
func TestACallBehindItsRecordIsNoticedBehindManyOthers(t *testing.T) {
	step := core.Step("s", stubs.Always[string]("out"), func(s string) string { return s }, func(s *string, out string) { *s = out })
	p, err := core.New("p", core.Loop("l", 300, nil, step, core.MaxIsSuccess()))
	if err != nil {
		t.Fatal(err)
	}
	c := subject[string, int]{Case: Case[string, int]{Name: "c"}}
	book, ctx, err := c.scripts(context.Background(), p, core.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	ran := Run(ctx, core.NewMemory(), p, caseKey, "")
	before := ran.Saved
	before.Steps = before.Steps[:1]
	if err := checkScripts(book, before, ran.Saved); err == nil || !strings.Contains(err.Error(), `step "l#1/s" was called again`) {
		t.Errorf("error %v", err)
	}
}

func TestLabelsHoldNothingThatGinkgoRefuses(t *testing.T) {
	if got := labelled("workload", "a/b (c), d:e!")[0]; got != "workload:a-b -c-- d-e" {
		t.Errorf("label %q", got)
	}
}
