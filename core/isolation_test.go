package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	for _, opts := range [][]core.Option{{}, {core.WithIsolationChecks()}} {
		res, err := core.Run(t.Context(), core.NewEngine(opts...), p, core.RunKey{Run: "r"}, bag{mine})
		if want := []string{"mine", "a", "b"}; err != nil || !slices.Equal(res.Scope.Words, want) || mine[0] != "mine" {
			t.Errorf("words %q, the caller's %q; error %v", res.Scope.Words, mine, err)
		}
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
