package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
)

// texts joins what the branches made of the text.
func texts(into *doc, branches []core.Ended[doc]) error {
	var parts []string
	for _, b := range branches {
		part := b.Name + "=" + b.Scope.Text
		if b.Err != nil {
			part += "!" + b.Err.Error()
		}
		parts = append(parts, part)
	}
	into.Text = strings.Join(parts, ", ")
	return nil
}

func run(t *testing.T, p *core.Pipeline[doc], scope doc, opts ...core.Option) (core.Result[doc], error) {
	t.Helper()
	return core.Run(t.Context(), core.NewEngine(opts...), p, core.RunKey{Run: "r"}, scope)
}

func TestBranchesHaveTheirOwnScopeAndAreMergedInOrder(t *testing.T) {
	p := plan(t, core.Parallel("fan", texts, core.Branches(step("b", appending), core.Then("a", step("x", appending), step("y", appending)))), step("end", appending))
	res, err := run(t, p, doc{Text: "in"})
	if want := "b=in fan/b, a=in fan/a/x fan/a/y end"; err != nil || res.Scope.Text != want {
		t.Errorf("text %q, want %q; error %v", res.Scope.Text, want, err)
	}
}

func TestFailurePolicies(t *testing.T) {
	branches := func() []*core.Node[doc] {
		return core.Branches(step("a", fails("no")), step("b", appending), step("c", fails("never")))
	}
	failed := `parallel "fan" failed: step "fan/a" failed after 1 attempt: no` + "\n" + `step "fan/c" failed after 1 attempt: never`
	for name, tc := range map[string]struct {
		nodes     []*core.Node[doc]
		opts      []core.ForkOption
		err, text string
	}{
		"all":             {branches(), nil, failed, "in"},
		"any":             {branches(), []core.ForkOption{core.AnySucceeds()}, "", "b=in fan/b"},
		"any, none does":  {core.Branches(step("a", fails("no"))), []core.ForkOption{core.AnySucceeds()}, `parallel "fan" failed: step "fan/a" failed after 1 attempt: no`, "in"},
		"collect":         {branches(), []core.ForkOption{core.CollectFailures()}, "", `a=in!step "fan/a" failed after 1 attempt: no, b=in fan/b, c=in!step "fan/c" failed after 1 attempt: never`},
		"all, one by one": {branches(), []core.ForkOption{core.AtOnce(1)}, failed, "in"},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := run(t, plan(t, core.Parallel("fan", texts, tc.nodes, tc.opts...)), doc{Text: "in"})
			if got := fmt.Sprint(err); tc.err != "" && got != tc.err || tc.err == "" && err != nil {
				t.Errorf("error %q, want %q", got, tc.err)
			}
			if res.Scope.Text != tc.text || res.Steps != len(tc.nodes) {
				t.Errorf("text %q, want %q; %d steps, want all %d: a branch runs to its end", res.Scope.Text, tc.text, res.Steps, len(tc.nodes))
			}
		})
	}
}

func TestWritesThatOverwriteEachOtherAreNamed(t *testing.T) {
	p := plan(t, core.Parallel("fan", core.Disjoint, core.Branches(step("a", appending), step("b", appending))))
	_, err := run(t, p, doc{Text: "in"})
	var conflict *core.ConflictError
	if !errors.As(err, &conflict) || conflict.Field != "Text" || conflict.First != "a" || conflict.Second != "b" {
		t.Errorf("error %v", err)
	}
	note := core.Step("note", core.Func[string, string](appending), read, func(d *doc, out string) { d.Note = out })
	res, err := run(t, plan(t, core.Parallel("fan", core.Disjoint, core.Branches(step("a", appending), note))), doc{Text: "in"})
	if want := (doc{Text: "in fan/a", Note: "in fan/note"}); err != nil || res.Scope != want {
		t.Errorf("scope %+v, want %+v; error %v", res.Scope, want, err)
	}
}

func TestMergeThatFailsOrPanicsIsAFailure(t *testing.T) {
	for want, merge := range map[string]func(*doc, []core.Ended[doc]) error{
		`parallel "fan" failed: no`:          func(*doc, []core.Ended[doc]) error { return errors.New("no") },
		`parallel "fan" failed: panic: oops`: func(d *doc, _ []core.Ended[doc]) error { d.Text = "half"; panic("oops") },
	} {
		res, err := run(t, plan(t, core.Parallel("fan", merge, core.Branches(step("a", appending)))), doc{Text: "in"})
		if fmt.Sprint(err) != want || res.Scope.Text != "in" || res.Status != core.Failed {
			t.Errorf("error %v, want %s; result %+v", err, want, res)
		}
	}
}

// Nothing here can pass by luck: the agents wait until as many as allowed are in.
func TestAtMostAtOnceBranchesRun(t *testing.T) {
	const most = 3
	var in, peak atomic.Int64
	full := make(chan struct{})
	agent := func(ctx context.Context, req core.Request[string]) (string, error) {
		n := in.Add(1)
		defer in.Add(-1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		if n == most {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-full
		return req.Input, nil
	}
	var nodes []*core.Node[doc]
	for i := range 20 {
		nodes = append(nodes, step(fmt.Sprint("b", i), agent))
	}
	if _, err := run(t, plan(t, core.Parallel("fan", texts, nodes, core.AtOnce(most))), doc{}); err != nil {
		t.Fatal(err)
	}
	if n := peak.Load(); n != most {
		t.Errorf("%d branches ran at once, want %d", n, most)
	}
}

func TestAStopInOneBranchCancelsTheOthers(t *testing.T) {
	in := make(chan struct{})
	waits := func(ctx context.Context, _ core.Request[string]) (string, error) {
		close(in)
		<-ctx.Done()
		return "", ctx.Err()
	}
	dry := func(context.Context, core.Request[string]) (string, error) {
		<-in
		return "", core.ErrHarness
	}
	fan := core.Parallel("fan", texts, core.Branches(step("a", waits, core.Retries(3)), step("b", dry)))
	res, err := run(t, plan(t, core.Fallback("f", fan, step("x", appending))), doc{}, core.WithBackend(core.NewMemory()))
	if !errors.Is(err, core.ErrHarness) || res.Status != core.Running || res.Calls != 2 {
		t.Errorf("result %+v, error %v", res, err)
	}
}

type order struct {
	Items []item
	Total int
}

type item struct{ Name, Note string }

// mapped scores the items of an order.
func mapped(t *testing.T, max int, agent core.Func[string, string], opts ...core.ForkOption) *core.Pipeline[order] {
	t.Helper()
	p, err := core.New("p", core.Map("items", max,
		func(o order) []item { return o.Items },
		core.Step("note", agent, func(i item) string { return i.Name }, func(i *item, out string) { i.Note = out }),
		func(into *order, items []core.Ended[item]) error {
			into.Items = nil
			for _, i := range items {
				into.Items, into.Total = append(into.Items, i.Scope), into.Total+1
			}
			return nil
		}, opts...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMapRunsItsNodeOnEachItem(t *testing.T) {
	p := mapped(t, 3, appending)
	in := order{Items: []item{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	res, err := core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, in)
	want := order{Items: []item{{"a", "a items#1/note"}, {"b", "b items#2/note"}, {"c", "c items#3/note"}}, Total: 3}
	if d := cmp.Diff(want, res.Scope); d != "" || err != nil {
		t.Errorf("error %v, scope (-want +got):\n%s", err, d)
	}
	if in.Items[0].Note != "" {
		t.Error("the caller's own scope was changed")
	}
	if d := cmp.Diff(map[string]int{"items/note": 3}, p.MaxCalls()); d != "" {
		t.Errorf("worst case (-want +got):\n%s", d)
	}
	if res, err = core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, order{}); err != nil || res.Steps != 0 {
		t.Errorf("no items: %+v, %v", res, err)
	}
}

func TestMoreItemsThanPlannedAreAFailure(t *testing.T) {
	_, err := core.Run(t.Context(), core.NewEngine(), mapped(t, 1, appending), core.RunKey{Run: "r"}, order{Items: make([]item, 2)})
	if want := `map "items" failed: 2 items where the plan allows 1: raise the maximum or split less`; fmt.Sprint(err) != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestPausedBranchDoesNotHoldUpTheOthers(t *testing.T) {
	b := core.NewMemory()
	e := core.NewEngine(core.WithBackend(b))
	p := plan(t, core.Parallel("fan", texts, core.Branches(
		core.Then("a", approve("ask"), step("x", appending)),
		core.Then("b", step("y", appending), approve("ask"), step("z", appending)),
		step("c", appending))), step("end", appending))
	key := core.RunKey{Run: "r"}
	res, err := core.Run(t.Context(), e, p, key, doc{Text: "in"})
	if err != nil || res.Status != core.Paused || len(res.Pauses) != 2 || res.Calls != 2 {
		t.Fatalf("result %+v, error %v", res, err)
	}
	for i, pause := range res.Pauses {
		last := i == len(res.Pauses)-1
		got, err := core.Signal(t.Context(), e, p, key, pause.Token, "yes")
		if err != nil || last != (got.Status == core.Completed) {
			t.Fatalf("after answer %d: %+v, error %v", i+1, got, err)
		}
		if want := "a=in yes fan/a/x, b=in fan/b/y yes fan/b/z, c=in fan/c end"; last && got.Scope.Text != want {
			t.Errorf("text %q, want %q", got.Scope.Text, want)
		}
	}
}
