// Package weather is an example: an agent that uses the SDK of a provider, and its tests,
// which call no model.
package weather

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"
)

// Agent answers questions about the weather.
type Agent struct {
	Client   openai.Client
	Forecast func(ctx context.Context, city string) (string, error)
}

// mostRounds is how often the model may ask for a forecast.
const mostRounds = 3

// ErrRefused is a question that the model refuses.
var ErrRefused = errors.New("the model refuses to answer")

// Ask asks the model, and looks up the forecasts that it wants to see.
func (a *Agent) Ask(ctx context.Context, question string) (string, error) {
	in := openai.ChatCompletionNewParams{
		Model:    "a-model",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Answer in one sentence."), openai.UserMessage(question)},
		Tools: []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
			Name: "forecast", Parameters: shared.FunctionParameters{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}},
		})},
	}
	for range mostRounds {
		out, err := a.Client.Chat.Completions.New(ctx, in)
		if err != nil {
			return "", fmt.Errorf("ask the model: %w", err)
		}
		m := out.Choices[0].Message
		if m.Refusal != "" {
			return "", fmt.Errorf("%w: %s", ErrRefused, m.Refusal)
		}
		if len(m.ToolCalls) == 0 {
			return m.Content, nil
		}
		in.Messages = append(in.Messages, m.ToParam())
		for _, call := range m.ToolCalls {
			var args struct{ City string }
			if err := json.Unmarshal([]byte(call.Function.Arguments), &args); err != nil {
				return "", fmt.Errorf("arguments of %s: %w", call.Function.Name, err)
			}
			text, err := a.Forecast(ctx, args.City)
			if err != nil {
				text = "no forecast: " + err.Error()
			}
			in.Messages = append(in.Messages, openai.ToolMessage(text, call.ID))
		}
	}
	return "", fmt.Errorf("the model asked for forecasts %d times and did not answer", mostRounds)
}
