package sdks

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/anthropics/anthropic-sdk-go"
	aopt "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	oopt "github.com/openai/openai-go/v3/option"
	oai "github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
	"google.golang.org/genai"

	"github.com/flujo/flujo-harness/stubs/provider"
)

// secretKey is the key of all clients. Nothing may show it.
const secretKey = "made-up-key-of-a-test-5b1f"

// turn is a part of a conversation: what the user says, the calls of the model, or their
// results.
type turn struct {
	user    string
	calls   []provider.ToolCall
	results []string // one for each call of the turn before
}

// result is what an SDK makes of an answer, in one form for all of them.
type result struct {
	Text, Reasoning, Refusal string
	Calls                    []provider.ToolCall
	Usage                    provider.Usage
	Stop                     string
	Chunks                   int // of a stream, with text
}

// sdk asks through one SDK.
type sdk struct {
	name    string
	format  provider.Format
	ask     func(ctx context.Context, base string, hc *http.Client, talk []turn, stream bool) (result, error)
	status  func(error) int // of an error of the API, 0 for others
	tools   string          // why the model stops
	refuses string
	retries bool // the SDK tries again by itself
	busy    int  // status of an overload
}

var all = []sdk{
	{"openai-go chat", provider.Chat, askChat, openAIStatus, "tool_calls", "stop", true, 503},
	{"openai-go responses", provider.Responses, askResponses, openAIStatus, "completed", "completed", true, 503},
	{"anthropic-sdk-go", provider.Messages, askMessages, anthropicStatus, "tool_use", "refusal", true, 529},
	{"genai", provider.Gemini, askGemini, geminiStatus, "STOP", "SAFETY", false, 503},
}

var schema = map[string]any{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}}

var toolNames = []string{"weather", "time"}

func openAI(base string, hc *http.Client) openai.Client {
	return openai.NewClient(oopt.WithBaseURL(base+"/v1"), oopt.WithHTTPClient(hc), oopt.WithAPIKey(secretKey))
}

func openAIStatus(err error) int {
	if e := (*openai.Error)(nil); errors.As(err, &e) {
		return e.StatusCode
	}
	return 0
}

func askChat(ctx context.Context, base string, hc *http.Client, talk []turn, stream bool) (r result, err error) {
	in := openai.ChatCompletionNewParams{Model: "a-model", Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("be brief")}}
	var last []provider.ToolCall
	for _, t := range talk {
		switch {
		case t.user != "":
			in.Messages = append(in.Messages, openai.UserMessage(t.user))
		case t.calls != nil:
			m := openai.ChatCompletionAssistantMessageParam{}
			for _, c := range t.calls {
				m.ToolCalls = append(m.ToolCalls, openai.ChatCompletionMessageToolCallUnionParam{OfFunction: &openai.ChatCompletionMessageFunctionToolCallParam{
					ID: c.ID, Function: openai.ChatCompletionMessageFunctionToolCallFunctionParam{Name: c.Name, Arguments: c.Args}}})
			}
			in.Messages, last = append(in.Messages, openai.ChatCompletionMessageParamUnion{OfAssistant: &m}), t.calls
		default:
			for i, text := range t.results {
				in.Messages = append(in.Messages, openai.ToolMessage(text, last[i].ID))
			}
		}
	}
	for _, name := range toolNames {
		in.Tools = append(in.Tools, openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: name, Parameters: schema}))
	}
	client := openAI(base, hc)
	var whole *openai.ChatCompletion
	if stream {
		in.StreamOptions.IncludeUsage = openai.Bool(true)
		s := client.Chat.Completions.NewStreaming(ctx, in)
		defer s.Close()
		var acc openai.ChatCompletionAccumulator
		for s.Next() {
			c := s.Current()
			if len(c.Choices) > 0 {
				if c.Choices[0].Delta.Content != "" {
					r.Text += c.Choices[0].Delta.Content
					r.Chunks++
				}
				r.Reasoning += extra(c.Choices[0].Delta.JSON.ExtraFields["reasoning_content"].Raw())
			}
			if !acc.AddChunk(c) {
				return r, errors.New("the accumulator of the SDK refuses a chunk")
			}
		}
		if err := s.Err(); err != nil {
			return r, err
		}
		whole = &acc.ChatCompletion
	} else if whole, err = client.Chat.Completions.New(ctx, in); err != nil {
		return r, err
	}
	m := whole.Choices[0].Message
	r.Text, r.Refusal, r.Stop = m.Content, m.Refusal, whole.Choices[0].FinishReason
	if !stream {
		r.Reasoning = extra(m.JSON.ExtraFields["reasoning_content"].Raw())
	}
	for _, c := range m.ToolCalls {
		r.Calls = append(r.Calls, provider.ToolCall{ID: c.ID, Name: c.Function.Name, Args: c.Function.Arguments})
	}
	u := whole.Usage
	r.Usage = provider.Usage{Input: int(u.PromptTokens), Cached: int(u.PromptTokensDetails.CachedTokens), Output: int(u.CompletionTokens), Reasoning: int(u.CompletionTokensDetails.ReasoningTokens)}
	return r, nil
}

// extra is the text of a field that the SDK does not know.
func extra(raw string) (s string) {
	_ = json.Unmarshal([]byte(raw), &s) // absent: ""
	return s
}

func askResponses(ctx context.Context, base string, hc *http.Client, talk []turn, stream bool) (r result, err error) {
	in := oai.ResponseNewParams{Model: "a-model", Instructions: openai.String("be brief")}
	var items oai.ResponseInputParam
	var last []provider.ToolCall
	for _, t := range talk {
		switch {
		case t.user != "":
			items = append(items, oai.ResponseInputItemParamOfMessage(t.user, oai.EasyInputMessageRoleUser))
		case t.calls != nil:
			for _, c := range t.calls {
				items = append(items, oai.ResponseInputItemParamOfFunctionCall(c.Args, c.ID, c.Name))
			}
			last = t.calls
		default:
			for i, text := range t.results {
				it := oai.ResponseInputItemParamOfFunctionCallOutput(text)
				it.OfFunctionCallOutput.CallID = openai.String(last[i].ID)
				items = append(items, it)
			}
		}
	}
	in.Input.OfInputItemList = items
	for _, name := range toolNames {
		in.Tools = append(in.Tools, oai.ToolUnionParam{OfFunction: &oai.FunctionToolParam{Name: name, Parameters: schema}})
	}
	client := openAI(base, hc)
	var whole *oai.Response
	if stream {
		s := client.Responses.NewStreaming(ctx, in)
		defer s.Close()
		for s.Next() {
			switch e := s.Current(); e.Type {
			case "response.output_text.delta":
				r.Text += e.Delta
				r.Chunks++
			case "response.completed", "response.incomplete":
				whole = &e.Response
			}
		}
		if err := s.Err(); err != nil {
			return r, err
		}
		if whole == nil {
			return r, errors.New("the stream has no last event")
		}
	} else if whole, err = client.Responses.New(ctx, in); err != nil {
		return r, err
	}
	if stream && r.Text != whole.OutputText() {
		return r, errors.New("the events say something else than the response at their end")
	}
	r.Text, r.Stop = whole.OutputText(), string(whole.Status)
	for _, it := range whole.Output {
		switch it.Type {
		case "reasoning":
			for _, s := range it.Summary {
				r.Reasoning += s.Text
			}
		case "message":
			for _, c := range it.Content {
				r.Refusal += c.Refusal
			}
		case "function_call":
			r.Calls = append(r.Calls, provider.ToolCall{ID: it.CallID, Name: it.Name, Args: it.Arguments.OfString})
		}
	}
	u := whole.Usage
	r.Usage = provider.Usage{Input: int(u.InputTokens), Cached: int(u.InputTokensDetails.CachedTokens), Output: int(u.OutputTokens), Reasoning: int(u.OutputTokensDetails.ReasoningTokens)}
	return r, nil
}

func anthropicStatus(err error) int {
	if e := (*anthropic.Error)(nil); errors.As(err, &e) {
		return e.StatusCode
	}
	return 0
}

func askMessages(ctx context.Context, base string, hc *http.Client, talk []turn, stream bool) (r result, err error) {
	in := anthropic.MessageNewParams{Model: "a-model", MaxTokens: 100, System: []anthropic.TextBlockParam{{Text: "be brief"}}}
	var last []provider.ToolCall
	for _, t := range talk {
		var blocks []anthropic.ContentBlockParamUnion
		switch {
		case t.user != "":
			in.Messages = append(in.Messages, anthropic.NewUserMessage(anthropic.NewTextBlock(t.user)))
		case t.calls != nil:
			for _, c := range t.calls {
				blocks = append(blocks, anthropic.NewToolUseBlock(c.ID, json.RawMessage(c.Args), c.Name))
			}
			in.Messages, last = append(in.Messages, anthropic.NewAssistantMessage(blocks...)), t.calls
		default:
			for i, text := range t.results {
				blocks = append(blocks, anthropic.NewToolResultBlock(last[i].ID, text, false))
			}
			in.Messages = append(in.Messages, anthropic.NewUserMessage(blocks...))
		}
	}
	for _, name := range toolNames {
		in.Tools = append(in.Tools, anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{Properties: schema["properties"]}, name))
	}
	client := anthropic.NewClient(aopt.WithBaseURL(base), aopt.WithHTTPClient(hc), aopt.WithAPIKey(secretKey))
	whole := &anthropic.Message{}
	if stream {
		s := client.Messages.NewStreaming(ctx, in)
		defer s.Close()
		for s.Next() {
			e := s.Current()
			if err := whole.Accumulate(e); err != nil {
				return r, err
			}
			if e.Delta.Type == "text_delta" {
				r.Text += e.Delta.Text
				r.Chunks++
			}
		}
		if err := s.Err(); err != nil {
			return r, err
		}
		r.Text = ""
	} else if whole, err = client.Messages.New(ctx, in); err != nil {
		return r, err
	}
	for _, b := range whole.Content {
		switch b.Type {
		case "text":
			r.Text += b.Text
		case "thinking":
			r.Reasoning += b.Thinking
			if b.Signature == "" {
				return r, errors.New("the reasoning is not signed")
			}
		case "tool_use":
			r.Calls = append(r.Calls, provider.ToolCall{ID: b.ID, Name: b.Name, Args: string(b.Input)})
		}
	}
	u := whole.Usage
	r.Stop, r.Refusal = string(whole.StopReason), whole.StopDetails.Explanation
	r.Usage = provider.Usage{Input: int(u.InputTokens + u.CacheReadInputTokens), Cached: int(u.CacheReadInputTokens), Output: int(u.OutputTokens), Reasoning: int(u.OutputTokensDetails.ThinkingTokens)}
	return r, nil
}

func geminiStatus(err error) int {
	if e := (genai.APIError{}); errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func askGemini(ctx context.Context, base string, hc *http.Client, talk []turn, stream bool) (r result, err error) {
	client, err := genai.NewClient(ctx, &genai.ClientConfig{APIKey: secretKey, Backend: genai.BackendGeminiAPI, HTTPClient: hc, HTTPOptions: genai.HTTPOptions{BaseURL: base}})
	if err != nil {
		return r, err
	}
	var in []*genai.Content
	var last []provider.ToolCall
	for _, t := range talk {
		c := &genai.Content{Role: "user"}
		switch {
		case t.user != "":
			c.Parts = append(c.Parts, genai.NewPartFromText(t.user))
		case t.calls != nil:
			c.Role, last = "model", t.calls
			for _, call := range t.calls {
				var args map[string]any
				if err := json.Unmarshal([]byte(call.Args), &args); err != nil {
					return r, err
				}
				c.Parts = append(c.Parts, &genai.Part{FunctionCall: &genai.FunctionCall{ID: call.ID, Name: call.Name, Args: args}})
			}
		default:
			for i, text := range t.results {
				c.Parts = append(c.Parts, &genai.Part{FunctionResponse: &genai.FunctionResponse{ID: last[i].ID, Name: last[i].Name, Response: map[string]any{"output": text}}})
			}
		}
		in = append(in, c)
	}
	config := &genai.GenerateContentConfig{SystemInstruction: genai.NewContentFromText("be brief", "user")}
	for _, name := range toolNames {
		config.Tools = append(config.Tools, &genai.Tool{FunctionDeclarations: []*genai.FunctionDeclaration{{Name: name, ParametersJsonSchema: schema}}})
	}
	add := func(whole *genai.GenerateContentResponse) error {
		if len(whole.Candidates) != 1 {
			return errors.New("there is not one candidate")
		}
		c := whole.Candidates[0]
		if c.Content != nil {
			for _, p := range c.Content.Parts {
				switch {
				case p.FunctionCall != nil:
					args, err := json.Marshal(p.FunctionCall.Args)
					if err != nil {
						return err
					}
					r.Calls = append(r.Calls, provider.ToolCall{ID: p.FunctionCall.ID, Name: p.FunctionCall.Name, Args: string(args)})
				case p.Thought:
					r.Reasoning += p.Text
				case p.Text != "":
					r.Text += p.Text
					r.Chunks++
				}
			}
		}
		r.Stop, r.Refusal = string(c.FinishReason), c.FinishMessage
		if u := whole.UsageMetadata; u != nil {
			r.Usage = provider.Usage{Input: int(u.PromptTokenCount), Cached: int(u.CachedContentTokenCount), Output: int(u.CandidatesTokenCount + u.ThoughtsTokenCount), Reasoning: int(u.ThoughtsTokenCount)}
		}
		return nil
	}
	if !stream {
		whole, err := client.Models.GenerateContent(ctx, "a-model", in, config)
		if err == nil {
			err = add(whole)
		}
		r.Chunks = 0
		return r, err
	}
	for whole, err := range client.Models.GenerateContentStream(ctx, "a-model", in, config) {
		if err == nil {
			err = add(whole)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}
