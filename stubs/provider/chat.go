package provider

import (
	"errors"
	"fmt"
)

// chat is the format of Chat Completions.
type chat struct{ openAI }

func (chat) read(_ string, body []byte) (q Request, err error) {
	var in struct {
		Model         string
		Stream        bool
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
		Messages []struct {
			Role       string
			Content    content
			ToolCallID string `json:"tool_call_id"`
			ToolCalls  []struct {
				ID       string
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
		Tools []struct {
			Function struct{ Name string }
		}
	}
	if err := decode(body, &in); err != nil {
		return q, err
	}
	if in.Model == "" || len(in.Messages) == 0 {
		return q, errors.New("the fields model and messages are required")
	}
	q = Request{Model: in.Model, Stream: in.Stream, usage: in.StreamOptions.IncludeUsage}
	for _, t := range in.Tools {
		q.Tools = append(q.Tools, t.Function.Name)
	}
	for i, m := range in.Messages {
		switch m.Role {
		case "system", "developer", "user":
			q.say(m.Role, m.Content.text())
		case "assistant":
			q.say(m.Role, m.Content.text())
			last := &q.Messages[len(q.Messages)-1]
			for _, c := range m.ToolCalls {
				last.Calls = append(last.Calls, ToolCall{c.ID, c.Function.Name, c.Function.Arguments})
			}
		case "tool":
			q.Messages = append(q.Messages, Message{Role: "tool", Results: []ToolResult{{ID: m.ToolCallID, Text: m.Content.text()}}})
		default:
			return q, fmt.Errorf("messages[%d].role is %.40q: use system, developer, user, assistant or tool", i, m.Role)
		}
	}
	return q, q.paired(false)
}

func (chat) finish(a *Answer) string {
	switch {
	case a.Stop == TooLong:
		return "length"
	case a.Stop == Suppressed:
		return "content_filter"
	case len(a.Calls) > 0:
		return "tool_calls"
	}
	return "stop"
}

func (chat) usage(u Usage) obj {
	return obj{"prompt_tokens": u.Input, "completion_tokens": u.Output, "total_tokens": u.Input + u.Output,
		"prompt_tokens_details": obj{"cached_tokens": u.Cached}, "completion_tokens_details": obj{"reasoning_tokens": u.Reasoning}}
}

func (chat) call(c ToolCall, args string) obj {
	return obj{"id": c.ID, "type": "function", "function": obj{"name": c.Name, "arguments": args}}
}

func (f chat) frame(q *Request, kind string, choices []any) obj {
	return obj{"id": "chatcmpl-" + q.id(), "object": kind, "created": born, "model": q.Model, "choices": choices}
}

// born is the creation time of all answers, in seconds since 1970, which is constant so that runs
// can be compared.
const born = 1_700_000_000

func (f chat) whole(q *Request, a *Answer) any {
	m := obj{"role": "assistant", "content": nil, "refusal": nil}
	if a.Text != "" || len(a.Calls) == 0 && a.Refusal == "" {
		m["content"] = a.Text
	}
	if a.Refusal != "" {
		m["refusal"] = a.Refusal
	}
	if a.Reasoning != "" {
		m["reasoning_content"] = a.Reasoning
	}
	var calls []any
	for _, c := range a.Calls {
		calls = append(calls, f.call(c, c.Args))
	}
	if calls != nil {
		m["tool_calls"] = calls
	}
	out := f.frame(q, "chat.completion", []any{obj{"index": 0, "message": m, "finish_reason": f.finish(a), "logprobs": nil}})
	out["usage"] = f.usage(a.Usage)
	return out
}

func (f chat) stream(q *Request, a *Answer) (events []event) {
	add := func(chunk bool, delta obj, finish any) {
		data := f.frame(q, "chat.completion.chunk", []any{obj{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": nil}})
		if q.usage {
			data["usage"] = nil
		}
		events = append(events, event{data: data, chunk: chunk})
	}
	add(false, obj{"role": "assistant", "content": "", "refusal": nil}, nil)
	for _, s := range words(a.Reasoning) {
		add(true, obj{"reasoning_content": s}, nil)
	}
	for _, s := range a.Chunks {
		add(true, obj{"content": s}, nil)
	}
	for _, s := range words(a.Refusal) {
		add(true, obj{"refusal": s}, nil)
	}
	for i, c := range a.Calls {
		begin := f.call(c, "")
		begin["index"] = i
		add(false, obj{"tool_calls": []any{begin}}, nil)
		for _, s := range halves(c.Args) {
			add(true, obj{"tool_calls": []any{obj{"index": i, "function": obj{"arguments": s}}}}, nil)
		}
	}
	add(false, obj{}, f.finish(a))
	if q.usage {
		data := f.frame(q, "chat.completion.chunk", []any{})
		data["usage"] = f.usage(a.Usage)
		events = append(events, event{data: data})
	}
	return append(events, event{data: "[DONE]"})
}
