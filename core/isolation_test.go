package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

type bag struct{ Words []string }

func adding(word string) *core.Node[bag] {
	agent := core.Func[[]string, string](func(_ context.Context, req core.Request[[]string]) (string, error) {
		if len(req.Input) > 0 {
			req.Input[0] = "overwritten by " + req.Path // what an agent must not do
		}
		return word, nil
	})
	return core.Step(word, agent, func(b bag) []string { return b.Words }, func(b *bag, out string) { b.Words = append(b.Words, out) })
}

func lastWords(into *bag, branches []core.Ended[bag]) error {
	for _, b := range branches {
		into.Words = append(into.Words, b.Scope.Words[len(b.Scope.Words)-1])
	}
	return nil
}

// No step, attempt or branch reaches a scope that is not its own, nor the caller's.
func TestScopesShareNothing(t *testing.T) {
	p, err := core.New("p",
		core.Parallel("fan", lastWords, core.Branches(adding("a"), adding("b"))),
		core.Fallback("f", core.Step("bad", core.Func[[]string, string](func(_ context.Context, req core.Request[[]string]) (string, error) {
			clear(req.Input)
			return "", errors.New("no")
		}), func(b bag) []string { return b.Words }, func(*bag, string) {}, core.Retries(1)), core.Pass[bag]("rest")))
	if err != nil {
		t.Fatal(err)
	}
	mine := append(make([]string, 0, 8), "mine")
	b := core.NewMemory()
	for _, opts := range [][]core.Option{{}, {core.WithBackend(b)}} {
		res, err := core.Run(t.Context(), core.NewEngine(opts...), p, core.RunKey{Run: "r"}, bag{mine})
		if want := []string{"mine", "a", "b"}; err != nil || !slices.Equal(res.Scope.Words, want) || mine[0] != "mine" {
			t.Errorf("words %q, the caller's %q; error %v", res.Scope.Words, mine, err)
		}
	}
	snap, err := b.Load(t.Context(), core.RunKey{Run: "r"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := core.Replay(t.Context(), p, snap); err != nil {
		t.Errorf("the record holds what its outputs do not explain: %v", err)
	}
	// The checks name the first agent that does so.
	_, err = core.Run(t.Context(), core.NewEngine(core.WithIsolationChecks()), p, core.RunKey{Run: "r"}, bag{mine})
	var changed *core.IsolationError
	if !errors.As(err, &changed) || changed.Step != "fan/a" || changed.Scope != "" || !strings.Contains(err.Error(), "let it work on a copy") {
		t.Errorf("with the checks: %v", err)
	}
}

// An agent that keeps its output and changes it later changes nothing of the run.
func TestOutputsBelongToTheRun(t *testing.T) {
	var kept []string
	agent := core.Func[string, []string](func(context.Context, core.Request[string]) ([]string, error) {
		if kept == nil {
			kept = []string{"first"}
			return kept, nil
		}
		kept[0] = "changed"
		return nil, nil
	})
	one := func(name string) *core.Node[bag] {
		return core.Step(name, agent, func(bag) string { return "" }, func(b *bag, out []string) { b.Words = append(b.Words, out...) })
	}
	p, err := core.New("p", one("a"), one("b"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, bag{})
	if err != nil || !slices.Equal(res.Scope.Words, []string{"first"}) {
		t.Errorf("words %q, %v", res.Scope.Words, err)
	}
}

// Conditions and other functions cannot change the scope that they look at.
func TestFunctionsThatLookChangeNothing(t *testing.T) {
	spoil := func(b bag) { b.Words[0] = "spoilt" }
	word := func(name string) *core.Node[bag] {
		return core.Step(name, core.Func[string, string](appending), func(bag) string { return "" }, func(*bag, string) {})
	}
	sub, err := core.New("sub", word("s"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := core.New("p",
		core.Loop("l", 1, func(b bag) (bool, error) { spoil(b); return true, nil }, word("a")),
		core.Branch("b", func(b bag) (string, error) { spoil(b); return "c", nil }, word("c")),
		core.Validate("v", func(b bag) error { spoil(b); return nil }, word("a")),
		core.Redirect("r", func(b bag, _ string) (string, error) { spoil(b); return "", nil }, word("a")),
		core.Map("m", 1, func(b bag) []bag { spoil(b); return nil }, word("a"), func(*bag, []core.Ended[bag]) error { return nil }),
		core.Sub("s", sub, func(b bag) bag { spoil(b); return b }, func(*bag, bag) {}),
		core.Human("h", func(b bag) string { spoil(b); return "?" }, func(*bag, bool) {}))
	if err != nil {
		t.Fatal(err)
	}
	res, err := core.Run(t.Context(), core.NewEngine(core.WithBackend(core.NewMemory())), p, core.RunKey{Run: "r"}, bag{[]string{"whole"}})
	if err != nil || res.Status != core.Paused || res.Scope.Words[0] != "whole" {
		t.Errorf("%+v, %v", res, err)
	}
}

// shallow copies too little: its Clone shares the words.
type shallow struct{ Words []string }

func (s shallow) Clone() shallow { return s }

func scribbling(name string) *core.Node[shallow] {
	return core.Step(name, core.Func[string, string](appending), func(shallow) string { return "" }, func(s *shallow, out string) { s.Words[0] = out })
}

func TestIsolationChecksNameTheStepThatAliased(t *testing.T) {
	quiet := core.Step("quiet", core.Func[string, string](appending), func(shallow) string { return "" }, func(*shallow, string) {})
	for want, nodes := range map[string][]*core.Node[shallow]{
		"step": {quiet, scribbling("loud")},
		"fork": {core.Parallel("fan", func(*shallow, []core.Ended[shallow]) error { return nil }, core.Branches(quiet, core.Then("b", scribbling("loud"))))},
	} {
		p, err := core.New("p", nodes...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = core.Run(t.Context(), core.NewEngine(core.WithIsolationChecks()), p, core.RunKey{Run: "r"}, shallow{[]string{"x"}})
		var alias *core.IsolationError
		step := map[string]string{"step": "loud", "fork": "fan/b/loud"}[want]
		text := map[string]string{"step": `step "loud" changed the scope of "loud"`, "fork": `step "fan/b/loud" changed the scope of "fan"`}[want] +
			`, which it must not reach: the two share memory: look at the Clone methods of the scope, and at agents that keep or change their input`
		if !errors.As(err, &alias) || alias.Step != step || fmt.Sprint(err) != text {
			t.Errorf("%s: error\n%v\nwant\n%s", want, err, text)
		}
		if _, err := core.Run(t.Context(), core.NewEngine(), p, core.RunKey{Run: "r"}, shallow{[]string{"x"}}); err != nil {
			t.Errorf("%s without the checks: %v", want, err)
		}
	}
}
