package suites

import (
	"context"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// scripted runs a pipeline of the node with the scripts of a case.
func scripted(t *testing.T, node *core.Node[string]) (*stubs.Book, *Ran[string]) {
	t.Helper()
	p, err := core.New("p", node)
	if err != nil {
		t.Fatal(err)
	}
	c := subject[string, int]{Case: Case[string, int]{Name: "c"}}
	book, ctx, err := c.scripts(context.Background(), p, core.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	return book, Run(ctx, core.NewMemory(), p, caseKey, "")
}

func outStep() *core.Node[string] {
	return core.Step("s", stubs.Always[string]("out"), func(s string) string { return s }, func(s *string, out string) { *s = out })
}

func TestACallBehindItsRecordIsNoticed(t *testing.T) {
	book, ran := scripted(t, outStep())
	if err := checkScripts(book, core.Snapshot{}, ran.Saved); err != nil {
		t.Errorf("nothing was recorded before: %v", err)
	}
	err := checkScripts(book, ran.Saved, ran.Saved)
	if err == nil || !strings.Contains(err.Error(), `step "s" was called again, although its record was saved`) {
		t.Errorf("error %v", err)
	}
}

// The call is noticed even if there were so many calls after it that a book would have forgotten
// it.
func TestACallBehindItsRecordIsNoticedBehindManyOthers(t *testing.T) {
	book, ran := scripted(t, core.Loop("l", 300, nil, outStep(), core.MaxIsSuccess()))
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
