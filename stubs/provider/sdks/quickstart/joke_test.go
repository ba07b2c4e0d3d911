package joke

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/stubs/provider"
)

// Joke is the code under test: it uses the SDK as it would in production.
func Joke(ctx context.Context, client anthropic.Client, topic string) (string, error) {
	m, err := client.Messages.New(ctx, anthropic.MessageNewParams{
		Model: "a-model", MaxTokens: 200,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("A joke about " + topic))},
	})
	if err != nil {
		return "", err
	}
	if m.StopReason == anthropic.StopReasonRefusal || len(m.Content) == 0 {
		return "", errors.New("no joke about " + topic)
	}
	return m.Content[0].Text, nil
}

func TestJoke(t *testing.T) {
	for name, c := range map[string]struct {
		replies []stubs.Reply[provider.Answer]
		want    string
	}{
		"at once":     {[]stubs.Reply[provider.Answer]{stubs.Say(provider.Answer{Text: "Knock, knock."})}, "Knock, knock."},
		"after a 429": {[]stubs.Reply[provider.Answer]{stubs.RateLimited[provider.Answer](time.Millisecond), stubs.Say(provider.Answer{Text: "Ha."})}, "Ha."},
		"refused":     {[]stubs.Reply[provider.Answer]{stubs.Say(provider.Answer{Refusal: "I would rather not."})}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			model := provider.New(stubs.Script[provider.Request](c.replies...))
			client := anthropic.NewClient(option.WithAPIKey("unused"), option.WithHTTPClient(&http.Client{Transport: model}))
			got, err := Joke(stubs.ForTest(t), client, "doors")
			if got != c.want || (err != nil) != (c.want == "") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
