package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// responses is the format of the Responses API.
type responses struct{ openAI }

// item is a part of the input.
type item struct {
	Type      string
	Role      string
	Content   content
	CallID    string `json:"call_id"`
	Name      string
	Arguments string
	Output    content
}

func (responses) read(_ string, body []byte) (q Request, err error) {
	var in struct {
		Model        string
		Stream       bool
		Instructions string
		Input        json.RawMessage
		Previous     string          `json:"previous_response_id"`
		Conversation json.RawMessage `json:"conversation"`
		Tools        []struct{ Name string }
	}
	if err := decode(body, &in); err != nil {
		return q, err
	}
	if in.Model == "" || len(in.Input) == 0 {
		return q, errors.New("the fields model and input are required")
	}
	q = Request{Model: in.Model, Stream: in.Stream}
	q.say("system", in.Instructions)
	for _, t := range in.Tools {
		if t.Name != "" { // tools of the provider itself have no name
			q.Tools = append(q.Tools, t.Name)
		}
	}
	if bytes.HasPrefix(in.Input, []byte(`"`)) {
		var text string
		err := json.Unmarshal(in.Input, &text)
		q.say("user", text)
		return q, err
	}
	var items []item
	if err := json.Unmarshal(in.Input, &items); err != nil {
		return q, errors.New("the field input must be a text or a list of items")
	}
	for i, it := range items {
		last := len(q.Messages) - 1
		switch it.Type {
		case "", "message":
			if it.Role == "" {
				return q, fmt.Errorf("input[%d] has no role", i)
			}
			q.say(it.Role, it.Content.text())
		case "function_call":
			if last < 0 || q.Messages[last].Role != "assistant" {
				q.say("assistant", "")
				last++
			}
			q.Messages[last].Calls = append(q.Messages[last].Calls, ToolCall{it.CallID, it.Name, it.Arguments})
		case "function_call_output":
			q.Messages = append(q.Messages, Message{Role: "tool", Results: []ToolResult{{ID: it.CallID, Text: it.Output.text()}}})
		}
	}
	return q, q.paired(in.Previous != "" || len(in.Conversation) > 0 && string(in.Conversation) != "null")
}

// frame returns the response with a status and without its output.
func (responses) frame(q *Request, status string) obj {
	return obj{"id": "resp_" + q.id(), "object": "response", "created_at": born, "status": status, "model": q.Model, "output": []any{},
		"error": nil, "incomplete_details": nil, "instructions": nil, "metadata": obj{}, "parallel_tool_calls": true,
		"temperature": 1, "top_p": 1, "tool_choice": "auto", "tools": []any{}, "usage": nil}
}

// items returns the output items of the answer.
func (responses) items(q *Request, a *Answer) (list []obj) {
	status := "completed"
	if a.Stop != Done {
		status = "incomplete"
	}
	if a.Reasoning != "" {
		list = append(list, obj{"type": "reasoning", "id": "rs_" + q.id(), "summary": []any{obj{"type": "summary_text", "text": a.Reasoning}}})
	}
	if said := (responses{}).said(a); said != nil {
		list = append(list, obj{"type": "message", "id": "msg_" + q.id(), "role": "assistant", "status": status, "content": []any{said}})
	}
	for i, c := range a.Calls {
		list = append(list, obj{"type": "function_call", "id": fmt.Sprintf("fc_%s%d", q.id(), i), "call_id": c.ID, "name": c.Name, "arguments": c.Args, "status": "completed"})
	}
	return list
}

// said returns the content of the message, or nil if there is none.
func (responses) said(a *Answer) obj {
	switch {
	case a.Refusal != "":
		return obj{"type": "refusal", "refusal": a.Refusal}
	case a.Text != "" || len(a.Calls) == 0:
		return obj{"type": "output_text", "text": a.Text, "annotations": []any{}, "logprobs": []any{}}
	}
	return nil
}

func (f responses) whole(q *Request, a *Answer) any {
	out := f.frame(q, "completed")
	switch a.Stop {
	case TooLong:
		out["status"], out["incomplete_details"] = "incomplete", obj{"reason": "max_output_tokens"}
	case Suppressed:
		out["status"], out["incomplete_details"] = "incomplete", obj{"reason": "content_filter"}
	}
	var list []any
	for _, it := range f.items(q, a) {
		list = append(list, it)
	}
	out["output"] = list
	u := a.Usage
	out["usage"] = obj{"input_tokens": u.Input, "output_tokens": u.Output, "total_tokens": u.Input + u.Output,
		"input_tokens_details": obj{"cached_tokens": u.Cached}, "output_tokens_details": obj{"reasoning_tokens": u.Reasoning}}
	return out
}

func (f responses) stream(q *Request, a *Answer) (events []event) {
	add := func(chunk bool, name string, data obj) {
		data["type"], data["sequence_number"] = name, len(events)
		events = append(events, event{name: name, data: data, chunk: chunk})
	}
	add(false, "response.created", obj{"response": f.frame(q, "in_progress")})
	add(false, "response.in_progress", obj{"response": f.frame(q, "in_progress")})
	for at, it := range f.items(q, a) {
		begun := maps.Clone(it)
		if it["type"] != "reasoning" {
			begun["status"] = "in_progress"
		}
		for name, empty := range map[string]any{"summary": []any{}, "content": []any{}, "arguments": ""} {
			if _, ok := it[name]; ok {
				begun[name] = empty
			}
		}
		add(false, "response.output_item.added", obj{"output_index": at, "item": begun})
		f.pieces(at, it, a, add)
		add(false, "response.output_item.done", obj{"output_index": at, "item": it})
	}
	whole := f.whole(q, a).(obj)
	add(false, "response."+whole["status"].(string), obj{"response": whole})
	return events
}

// pieces adds the events that stream the content of an item.
func (f responses) pieces(at int, it obj, a *Answer, add func(bool, string, obj)) {
	in := func(more obj) obj {
		maps.Copy(more, obj{"item_id": it["id"], "output_index": at})
		return more
	}
	switch it["type"] {
	case "reasoning":
		add(false, "response.reasoning_summary_part.added", in(obj{"summary_index": 0, "part": obj{"type": "summary_text", "text": ""}}))
		for _, s := range words(a.Reasoning) {
			add(true, "response.reasoning_summary_text.delta", in(obj{"summary_index": 0, "delta": s}))
		}
		add(false, "response.reasoning_summary_text.done", in(obj{"summary_index": 0, "text": a.Reasoning}))
		add(false, "response.reasoning_summary_part.done", in(obj{"summary_index": 0, "part": obj{"type": "summary_text", "text": a.Reasoning}}))
	case "message":
		said, kind, list, field := f.said(a), "output_text", a.Chunks, "text"
		if a.Refusal != "" {
			kind, list, field = "refusal", words(a.Refusal), "refusal"
		}
		begun := maps.Clone(said)
		begun[field] = ""
		add(false, "response.content_part.added", in(obj{"content_index": 0, "part": begun}))
		for _, s := range list {
			add(true, "response."+kind+".delta", in(obj{"content_index": 0, "delta": s, "logprobs": []any{}}))
		}
		add(false, "response."+kind+".done", in(obj{"content_index": 0, field: said[field], "logprobs": []any{}}))
		add(false, "response.content_part.done", in(obj{"content_index": 0, "part": said}))
	case "function_call":
		args := it["arguments"].(string)
		for _, s := range halves(args) {
			add(true, "response.function_call_arguments.delta", in(obj{"delta": s}))
		}
		add(false, "response.function_call_arguments.done", in(obj{"name": it["name"], "arguments": args}))
	}
}
