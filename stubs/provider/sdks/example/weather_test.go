package weather_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/stubs/provider"
	weather "github.com/flujo/flujo-harness/stubs/provider/sdks/example"
)

// agent is the agent under test with a scripted model. The client is the real one; only
// its transport is ours.
func agent(replies ...stubs.Reply[provider.Answer]) *weather.Agent {
	model := stubs.Script[provider.Request](replies...)
	return &weather.Agent{
		Client:   openai.NewClient(option.WithAPIKey("unused"), option.WithHTTPClient(&http.Client{Transport: provider.New(model)})),
		Forecast: func(_ context.Context, city string) (string, error) { return "sunny in " + city, nil },
	}
}

func calls(cities ...string) stubs.Reply[provider.Answer] {
	var a provider.Answer
	for _, city := range cities {
		a.Calls = append(a.Calls, provider.ToolCall{Name: "forecast", Args: fmt.Sprintf(`{"city":%q}`, city)})
	}
	return stubs.Say(a)
}

func says(text string) stubs.Reply[provider.Answer] { return stubs.Say(provider.Answer{Text: text}) }

func TestAsk(t *testing.T) {
	broken := 0
	for name, c := range map[string]struct {
		replies   []stubs.Reply[provider.Answer]
		want, err string
	}{
		"at once":        {replies: []stubs.Reply[provider.Answer]{says("Sunny.")}, want: "Sunny."},
		"with a tool":    {replies: []stubs.Reply[provider.Answer]{calls("Rome"), says("Sunny.")}, want: "Sunny."},
		"two at once":    {replies: []stubs.Reply[provider.Answer]{calls("Rome", "Oslo"), says("Sunny.")}, want: "Sunny."},
		"rate limited":   {replies: []stubs.Reply[provider.Answer]{stubs.RateLimited[provider.Answer](time.Millisecond), says("Sunny.")}, want: "Sunny."},
		"refused":        {replies: []stubs.Reply[provider.Answer]{stubs.Say(provider.Answer{Refusal: "no"})}, err: "the model refuses to answer: no"},
		"never done":     {replies: []stubs.Reply[provider.Answer]{calls("Rome").Times(3)}, err: "the model asked for forecasts 3 times"},
		"bad request":    {replies: []stubs.Reply[provider.Answer]{stubs.Fail[provider.Answer](&provider.Error{Status: 400})}, err: "400 Bad Request"},
		"cut off":        {replies: []stubs.Reply[provider.Answer]{stubs.Say(provider.Answer{Text: "Sunny.", BreakAt: &broken})}, err: "unexpected EOF"},
		"garbled answer": {replies: []stubs.Reply[provider.Answer]{stubs.Malformed[provider.Answer](`{"choices": [`)}, err: "error parsing response json"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := agent(c.replies...).Ask(stubs.ForTest(t), "weather?")
			if got != c.want || c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%q, %v\nwant %q, %s", got, err, c.want, c.err)
			}
		})
	}
}

// What the agent sends to the model is part of its contract.
func TestSendsForecasts(t *testing.T) {
	model := stubs.Script[provider.Request](calls("Rome", "Oslo"), says("Sunny.")).ExpectThat(
		func(q provider.Request) error {
			if q.Prompt() != "weather?" || q.System == "" {
				return errors.New("the question, or the instructions, are missing")
			}
			return nil
		},
		func(q provider.Request) error {
			if r := q.Results(); len(r) != 2 || r[1].Text != "sunny in Oslo" {
				return fmt.Errorf("the forecasts are %+v", r)
			}
			return nil
		})
	a := agent()
	a.Client = openai.NewClient(option.WithAPIKey("unused"), option.WithHTTPClient(&http.Client{Transport: provider.New(model)}))
	if _, err := a.Ask(stubs.ForTest(t), "weather?"); err != nil {
		t.Error(err)
	}
}
