package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

func TestPlainFunctionIsAnAgent(t *testing.T) {
	upper := core.AgentFunc(func(_ context.Context, in string) (string, error) { return strings.ToUpper(in), nil })
	res, err := run(t, plan(t, core.Step("s", upper, read, write)), doc{Text: "in"})
	if err != nil || res.Scope.Text != "IN" || res.Usage.Calls != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	for _, none := range []core.Agent[string, string]{core.AgentFunc[string, string](nil), core.MeteredFunc[string, string](nil)} {
		if _, err := core.New("p", core.Step("s", none, read, write)); err == nil || !strings.Contains(err.Error(), "no agent") {
			t.Errorf("no function: %v", err)
		}
	}
}

func TestMeteredFunctionReportsWhatItUsed(t *testing.T) {
	for name, tc := range map[string]struct {
		used core.Usage
		err  error
		want core.Usage
	}{
		"used":            {core.Usage{Tokens: 7, Cost: 3}, nil, core.Usage{Calls: 1, Steps: 1, Tokens: 7, Cost: 3}},
		"nothing":         {core.Usage{}, nil, core.Usage{Calls: 1, Steps: 1}},
		"and failed":      {core.Usage{Tokens: 7}, errors.New("cut off"), core.Usage{Calls: 1, Steps: 1, Tokens: 7}},
		"failed unspoken": {core.Usage{}, errors.New("no answer"), core.Usage{Calls: 1, Steps: 1, Tokens: 10}}, // as reserved
	} {
		agent := core.MeteredFunc(func(context.Context, string) (string, core.Usage, error) { return "out", tc.used, tc.err })
		res, err := run(t, plan(t, core.Step("s", agent, read, write, core.Reserve(10, 0))), doc{})
		if (err != nil) != (tc.err != nil) || res.Usage != tc.want {
			t.Errorf("%s: %+v, %v", name, res.Usage, err)
		}
	}
	over := core.MeteredFunc(func(context.Context, string) (string, core.Usage, error) { return "out", core.Usage{Tokens: 11}, nil })
	_, err := run(t, plan(t, core.Step("s", over, read, write)).Within(core.Budget{Tokens: 10}), doc{})
	var short *core.BudgetError
	if !errors.As(err, &short) || short.Need != 11 {
		t.Errorf("beyond the budget: %v", err)
	}
}
