package provider

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// wire decodes the requests and encodes the answers of one format. Implementations have no state.
type wire interface {
	read(path string, body []byte) (Request, error)
	whole(*Request, *Answer) any
	stream(*Request, *Answer) []event
	failure(failure) any
	limits(http.Header, time.Duration) // adds the headers of a rate limit
	overloaded() int                   // HTTP status of ErrOverloaded
}

var wires = map[Format]wire{Chat: chat{}, Responses: responses{}, Messages: messages{}, Gemini: gemini{}}

// obj is a JSON object.
type obj = map[string]any

// event is an event of a stream.
type event struct {
	name  string // may be empty
	data  any    // written as JSON, or unchanged if it is a string
	chunk bool   // whether it is a chunk of the answer, see Answer.BreakAt
}

func (e event) text(q *Request) string {
	data, ok := e.data.(string)
	if !ok {
		data = string(written(e.data))
	}
	switch {
	case q.array:
		return data
	case e.name != "":
		return "event: " + e.name + "\ndata: " + data + "\n\n"
	}
	return "data: " + data + "\n\n"
}

// written encodes a value as JSON without escaping <, > and &.
func written(v any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // unreachable: v consists of texts, numbers and checked JSON
		panic(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// openAI contains the methods that both formats of OpenAI share.
type openAI struct{}

func (openAI) overloaded() int { return http.StatusServiceUnavailable }

func (openAI) limits(h http.Header, wait time.Duration) {
	h.Set("X-Ratelimit-Limit-Requests", "1")
	h.Set("X-Ratelimit-Remaining-Requests", "0")
	h.Set("X-Ratelimit-Reset-Requests", wait.String())
}

func (openAI) failure(e failure) any {
	kind, code := e.Type, any(nil)
	switch {
	case e.Status == http.StatusTooManyRequests:
		kind, code = or(kind, "requests"), "rate_limit_exceeded"
	case e.Status >= 500:
		kind = or(kind, "server_error")
	}
	return obj{"error": obj{"message": e.Message, "type": or(kind, "invalid_request_error"), "param": nil, "code": code}}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
