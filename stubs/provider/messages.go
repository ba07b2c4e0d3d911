package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// messages is the format of Anthropic's Messages.
type messages struct{}

func (messages) read(_ string, body []byte) (q Request, err error) {
	var in struct {
		Model     string
		MaxTokens int `json:"max_tokens"`
		Stream    bool
		System    content
		Messages  []struct {
			Role    string
			Content content
		}
		Tools []struct{ Name string }
	}
	if err := decode(body, &in); err != nil {
		return q, err
	}
	if in.Model == "" || in.MaxTokens < 1 || len(in.Messages) == 0 {
		return q, errors.New("the fields model, max_tokens (1 or more) and messages are required")
	}
	q = Request{Model: in.Model, Stream: in.Stream}
	q.say("system", in.System.text())
	for _, t := range in.Tools {
		q.Tools = append(q.Tools, t.Name)
	}
	for i, m := range in.Messages {
		if m.Role != "user" && m.Role != "assistant" {
			return q, fmt.Errorf("messages.%d: the role is %.40q: use user or assistant", i, m.Role)
		}
		q.say(m.Role, m.Content.text())
		last := &q.Messages[len(q.Messages)-1]
		for _, p := range m.Content {
			switch p.Type {
			case "tool_use":
				last.Calls = append(last.Calls, ToolCall{p.ID, p.Name, string(p.Input)})
			case "tool_result":
				last.Results = append(last.Results, ToolResult{ID: p.ToolUseID, Text: p.Content.text()})
			}
		}
	}
	return q, q.paired(false)
}

// thinkingSignature is the signature of all reasoning. Clients send it back unchanged and cannot
// verify it.
const thinkingSignature = "c2NyaXB0ZWQgcmVhc29uaW5n"

// frame returns the message without its content.
func (messages) frame(q *Request) obj {
	return obj{"id": "msg_" + q.id(), "type": "message", "role": "assistant", "model": q.Model, "content": []any{},
		"stop_reason": nil, "stop_sequence": nil, "stop_details": nil}
}

func (messages) usage(u Usage) obj {
	return obj{"input_tokens": u.Input - u.Cached, "cache_read_input_tokens": u.Cached, "cache_creation_input_tokens": 0,
		"output_tokens": u.Output, "output_tokens_details": obj{"thinking_tokens": u.Reasoning}}
}

// stop returns the fields that tell why the message ends.
func (messages) stop(a *Answer) obj {
	out := obj{"stop_reason": "end_turn", "stop_sequence": nil, "stop_details": nil}
	switch {
	case a.Refusal != "" || a.Stop == Suppressed:
		var why any
		if a.Refusal != "" {
			why = a.Refusal
		}
		out["stop_reason"], out["stop_details"] = "refusal", obj{"type": "refusal", "category": nil, "explanation": why}
	case a.Stop == TooLong:
		out["stop_reason"] = "max_tokens"
	case len(a.Calls) > 0:
		out["stop_reason"] = "tool_use"
	}
	return out
}

// block is a part of the content, as a whole and as a stream of pieces.
type block struct {
	whole, begin obj
	pieces       []string
	delta, field string // type and field of the events with the pieces
}

func (messages) blocks(a *Answer) (list []block) {
	if a.Reasoning != "" {
		list = append(list, block{
			whole:  obj{"type": "thinking", "thinking": a.Reasoning, "signature": thinkingSignature},
			begin:  obj{"type": "thinking", "thinking": "", "signature": ""},
			pieces: words(a.Reasoning), delta: "thinking_delta", field: "thinking",
		})
	}
	if a.Text != "" {
		list = append(list, block{whole: obj{"type": "text", "text": a.Text}, begin: obj{"type": "text", "text": ""},
			pieces: a.Chunks, delta: "text_delta", field: "text"})
	}
	for _, c := range a.Calls {
		list = append(list, block{
			whole:  obj{"type": "tool_use", "id": c.ID, "name": c.Name, "input": json.RawMessage(c.Args)},
			begin:  obj{"type": "tool_use", "id": c.ID, "name": c.Name, "input": obj{}},
			pieces: halves(c.Args), delta: "input_json_delta", field: "partial_json",
		})
	}
	return list
}

func (f messages) whole(q *Request, a *Answer) any {
	out, parts := f.frame(q), []any{}
	for _, b := range f.blocks(a) {
		parts = append(parts, b.whole)
	}
	out["content"], out["usage"] = parts, f.usage(a.Usage)
	for name, v := range f.stop(a) {
		out[name] = v
	}
	return out
}

func (f messages) stream(q *Request, a *Answer) (events []event) {
	add := func(chunk bool, name string, data obj) {
		data["type"] = name
		events = append(events, event{name: name, data: data, chunk: chunk})
	}
	message, begin := f.frame(q), f.usage(a.Usage)
	begin["output_tokens"] = min(1, a.Usage.Output)
	message["usage"] = begin
	add(false, "message_start", obj{"message": message})
	add(false, "ping", obj{})
	for i, b := range f.blocks(a) {
		add(false, "content_block_start", obj{"index": i, "content_block": b.begin})
		for _, s := range b.pieces {
			add(true, "content_block_delta", obj{"index": i, "delta": obj{"type": b.delta, b.field: s}})
		}
		if b.delta == "thinking_delta" {
			add(false, "content_block_delta", obj{"index": i, "delta": obj{"type": "signature_delta", "signature": thinkingSignature}})
		}
		add(false, "content_block_stop", obj{"index": i})
	}
	add(false, "message_delta", obj{"delta": f.stop(a), "usage": f.usage(a.Usage)})
	add(false, "message_stop", obj{})
	return events
}

// statusOverloaded is the status for overload that only Anthropic uses.
const statusOverloaded = 529

func (messages) overloaded() int { return statusOverloaded }

func (messages) limits(h http.Header, _ time.Duration) {
	h.Set("Anthropic-Ratelimit-Requests-Limit", "1")
	h.Set("Anthropic-Ratelimit-Requests-Remaining", "0")
}

func (messages) failure(e failure) any {
	kind := map[int]string{
		http.StatusBadRequest: "invalid_request_error", http.StatusUnauthorized: "authentication_error", http.StatusForbidden: "permission_error",
		http.StatusNotFound: "not_found_error", http.StatusRequestEntityTooLarge: "request_too_large", http.StatusTooManyRequests: "rate_limit_error",
		http.StatusGatewayTimeout: "timeout_error", statusOverloaded: "overloaded_error",
	}[e.Status]
	if kind == "" && e.Status < 500 {
		kind = "invalid_request_error"
	}
	return obj{"type": "error", "error": obj{"type": or(e.Type, or(kind, "api_error")), "message": e.Message}}
}
