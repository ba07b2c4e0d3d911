package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// gemini is the format of Google's generateContent.
type gemini struct{}

// geminiModel returns the model in the path of a request, or "" if the path is not of this format.
func geminiModel(path string) string {
	path, method, ok := strings.Cut(path, ":")
	if _, model, found := strings.Cut(path, "models/"); ok && found && (method == "generateContent" || method == "streamGenerateContent") {
		return model
	}
	return ""
}

// geminiContent is a message.
type geminiContent struct {
	Role  string
	Parts []struct {
		Text         string
		Thought      bool
		FunctionCall *struct {
			ID, Name string
			Args     json.RawMessage
		} `json:"functionCall"`
		FunctionResponse *struct {
			ID, Name string
			Response json.RawMessage
		} `json:"functionResponse"`
	}
}

func (c geminiContent) text() string {
	var out strings.Builder
	for _, p := range c.Parts {
		if !p.Thought {
			out.WriteString(p.Text)
		}
	}
	return out.String()
}

func (gemini) read(path string, body []byte) (q Request, err error) {
	var in struct {
		Contents []geminiContent
		System   geminiContent `json:"systemInstruction"`
		Tools    []struct {
			Functions []struct{ Name string } `json:"functionDeclarations"`
		}
	}
	if err := decode(body, &in); err != nil {
		return q, err
	}
	if len(in.Contents) == 0 {
		return q, errors.New("the field contents is required")
	}
	q = Request{Model: geminiModel(path), Stream: strings.HasSuffix(path, ":streamGenerateContent")}
	q.say("system", in.System.text())
	for _, t := range in.Tools {
		for _, f := range t.Functions {
			q.Tools = append(q.Tools, f.Name)
		}
	}
	for i, c := range in.Contents {
		if c.Role != "" && c.Role != "user" && c.Role != "model" && c.Role != "function" {
			return q, fmt.Errorf("contents[%d].role is %.40q: use user or model", i, c.Role)
		}
		q.say(or(c.Role, "user"), c.text())
		last := &q.Messages[len(q.Messages)-1]
		for _, p := range c.Parts {
			if f := p.FunctionCall; f != nil {
				last.Calls = append(last.Calls, ToolCall{f.ID, f.Name, string(f.Args)})
			}
			if f := p.FunctionResponse; f != nil {
				last.Results = append(last.Results, ToolResult{ID: f.ID, Name: f.Name, Text: string(f.Response)})
			}
		}
	}
	return q, q.paired(false)
}

func (gemini) usage(u Usage) obj {
	out := obj{"promptTokenCount": u.Input, "candidatesTokenCount": u.Output - u.Reasoning, "totalTokenCount": u.Input + u.Output}
	if u.Cached > 0 {
		out["cachedContentTokenCount"] = u.Cached
	}
	if u.Reasoning > 0 {
		out["thoughtsTokenCount"] = u.Reasoning
	}
	return out
}

// frame returns a response with parts. The last response of a stream also has the finish reason
// and the usage.
func (f gemini) frame(q *Request, a *Answer, parts []any, last bool) obj {
	candidate := obj{"index": 0}
	if len(parts) > 0 || a.Refusal == "" {
		candidate["content"] = obj{"role": "model", "parts": parts}
	}
	out := obj{"candidates": []any{candidate}, "modelVersion": q.Model, "responseId": q.id()}
	if !last {
		return out
	}
	out["usageMetadata"] = f.usage(a.Usage)
	candidate["finishReason"] = "STOP"
	switch {
	case a.Refusal != "":
		candidate["finishReason"], candidate["finishMessage"] = "SAFETY", a.Refusal
	case a.Stop == Suppressed:
		candidate["finishReason"] = "SAFETY"
	case a.Stop == TooLong:
		candidate["finishReason"] = "MAX_TOKENS"
	}
	return out
}

// parts returns the chunks of the answer. In this format calls are not split.
func (gemini) parts(a *Answer, reasoning, text []string) (list []any) {
	for _, s := range reasoning {
		list = append(list, obj{"text": s, "thought": true})
	}
	for _, s := range text {
		list = append(list, obj{"text": s})
	}
	for _, c := range a.Calls {
		list = append(list, obj{"functionCall": obj{"id": c.ID, "name": c.Name, "args": json.RawMessage(c.Args)}})
	}
	return list
}

func (f gemini) whole(q *Request, a *Answer) any {
	one := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	return f.frame(q, a, f.parts(a, one(a.Reasoning), one(a.Text)), true)
}

func (f gemini) stream(q *Request, a *Answer) (events []event) {
	for _, p := range f.parts(a, words(a.Reasoning), a.Chunks) {
		events = append(events, event{data: f.frame(q, a, []any{p}, false), chunk: true})
	}
	last := f.frame(q, a, []any{obj{"text": ""}}, true)
	if a.Refusal != "" {
		last = f.frame(q, a, nil, true)
	}
	events = append(events, event{data: last})
	if q.array { // without alt=sse the stream is one JSON array
		for i := range events {
			begin := ",\r\n"
			if i == 0 {
				begin = "["
			}
			text := begin + string(written(events[i].data))
			if i == len(events)-1 {
				text += "]"
			}
			events[i].data = text
		}
	}
	return events
}

func (gemini) overloaded() int { return http.StatusServiceUnavailable }

func (gemini) limits(http.Header, time.Duration) {}

func (gemini) failure(e failure) any {
	status := map[int]string{
		http.StatusUnauthorized: "UNAUTHENTICATED", http.StatusForbidden: "PERMISSION_DENIED", http.StatusNotFound: "NOT_FOUND", http.StatusConflict: "ABORTED",
		http.StatusTooManyRequests: "RESOURCE_EXHAUSTED", http.StatusInternalServerError: "INTERNAL", http.StatusNotImplemented: "UNIMPLEMENTED",
		http.StatusServiceUnavailable: "UNAVAILABLE", http.StatusGatewayTimeout: "DEADLINE_EXCEEDED",
	}[e.Status]
	if status == "" {
		status = "INVALID_ARGUMENT"
		if e.Status >= 500 {
			status = "UNKNOWN"
		}
	}
	out := obj{"code": e.Status, "message": e.Message, "status": or(e.Type, status)}
	if e.limited {
		out["details"] = []any{obj{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": fmt.Sprintf("%gs", e.wait.Seconds())}}
	}
	return obj{"error": out}
}
