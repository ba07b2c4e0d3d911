package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Answer is the answer of the model to one request. The zero value is an empty answer. Tables use
// the names of its JSON form.
type Answer struct {
	Text      string     `json:"text,omitempty"`
	Reasoning string     `json:"reasoning,omitempty"` // in Chat Completions as reasoning_content, an extension of several servers
	Refusal   string     `json:"refusal,omitempty"`   // reason of a refusal; excludes Text and Calls
	Calls     []ToolCall `json:"calls,omitempty"`     // tool calls, parallel if there are several; the request must offer the tools
	Stop      Stop       `json:"stop,omitempty"`      // why the model stops
	Usage     Usage      `json:"usage,omitzero"`

	// For streams. Chunks are counted over reasoning, text and calls, in this order; the
	// arguments of a call are two chunks, or one in Gemini's format.

	Chunks     []string `json:"chunks,omitempty"`     // pieces of Text; by default its words. Text may be omitted
	FirstToken Wait     `json:"first_token,omitzero"` // delay between the headers and the first chunk
	BreakAt    *int     `json:"break_at,omitempty"`   // number, from 0, of the chunk before which the connection breaks; without streaming it breaks in the middle
}

// ToolCall is a call of a tool.
type ToolCall struct {
	ID   string `json:"id,omitempty"` // by default numbered within the conversation
	Name string `json:"name"`
	Args string `json:"args,omitempty"` // a JSON object; by default {}
}

// Usage is the number of tokens that the answer reports.
type Usage struct {
	Input     int `json:"input,omitempty"`     // tokens of the request, including cached ones
	Cached    int `json:"cached,omitempty"`    // cached part of Input
	Output    int `json:"output,omitempty"`    // tokens of the answer, including reasoning
	Reasoning int `json:"reasoning,omitempty"` // reasoning part of Output
}

// Stop is the reason why the model stopped.
type Stop string

const (
	Done       Stop = ""       // the answer is complete: a text, tool calls or a refusal
	TooLong    Stop = "length" // the limit of tokens was reached
	Suppressed Stop = "filter" // a content filter stopped it
)

// Wait is a duration with a text form such as "2s".
type Wait time.Duration

// UnmarshalText parses a duration, which must not be negative.
func (w *Wait) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a duration: write it as 10ms or 2s", text)
	}
	*w = Wait(d)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (w Wait) MarshalText() ([]byte, error) { return []byte(time.Duration(w).String()), nil }

// ErrOverloaded makes a provider answer that it is overloaded: with status 529 in Anthropic's
// format, 503 in the others.
var ErrOverloaded = errors.New("the model is overloaded")

// Error is an error answer of the provider.
type Error struct {
	Status  int         // HTTP status, from 400 to 599
	Type    string      // type of error in the provider's format; by default that of the status
	Message string      // by default the text of the status
	Header  http.Header // headers to add to the response
}

func (e *Error) Error() string {
	return fmt.Sprintf("status %d: %s", e.Status, e.text())
}

func (e *Error) text() string {
	if e.Message == "" {
		return http.StatusText(e.Status)
	}
	return e.Message
}

// texts returns all texts of the answer.
func (a *Answer) texts() []string {
	list := append([]string{a.Text, a.Reasoning, a.Refusal}, a.Chunks...)
	for _, c := range a.Calls {
		list = append(list, c.ID, c.Name, c.Args)
	}
	return list
}

// complete checks an answer against its request and sets the defaults.
func (a *Answer) complete(req *Request) error {
	for _, s := range a.texts() {
		if !utf8.ValidString(s) {
			return fmt.Errorf("its text %.80q is not UTF-8, which JSON requires: a chunk must not end within a character", s)
		}
	}
	switch text := strings.Join(a.Chunks, ""); {
	case a.Text == "":
		a.Text = text
	case a.Chunks != nil && a.Text != text:
		return fmt.Errorf("its chunks joined are %q, and its text is %q: give one of the two", text, a.Text)
	}
	if a.Refusal != "" && (a.Text != "" || len(a.Calls) > 0) {
		return errors.New("it has a refusal in addition to a text or calls: remove either")
	}
	if a.Stop != Done && a.Stop != TooLong && a.Stop != Suppressed {
		return fmt.Errorf("its stop is %q: use %q or %q, or leave it out", a.Stop, TooLong, Suppressed)
	}
	if u := a.Usage; min(u.Input, u.Cached, u.Output, u.Reasoning) < 0 || u.Cached > u.Input || u.Reasoning > u.Output {
		return fmt.Errorf("its usage is %+v: numbers are 0 or more, cached at most input, reasoning at most output", u)
	}
	if a.Chunks == nil {
		a.Chunks = words(a.Text)
	}
	calls := make([]ToolCall, len(a.Calls)) // a copy: the slice belongs to the script
	for i, c := range a.Calls {
		if !req.offers(c.Name) {
			return fmt.Errorf("it calls the tool %q, and the request offers only %q", c.Name, req.Tools)
		}
		if c.Args == "" {
			c.Args = "{}"
		}
		if !json.Valid([]byte(c.Args)) || strings.TrimSpace(c.Args)[0] != '{' {
			return fmt.Errorf("its call of the tool %q has the arguments %.80q, which are not a JSON object", c.Name, c.Args)
		}
		if c.ID == "" {
			c.ID = fmt.Sprintf("call_%d", req.calls()+i+1)
		}
		if slices.ContainsFunc(calls[:i], func(o ToolCall) bool { return o.ID == c.ID }) {
			return fmt.Errorf("it has two calls with the ID %q: give each its own, so that their results can be distinguished", c.ID)
		}
		calls[i] = c
	}
	a.Calls = calls
	if b := a.BreakAt; b != nil && (*b < 0 || req.Stream && *b >= a.chunks(req.Format)) {
		return fmt.Errorf("its break_at is %d of %d chunks: chunks are numbered from 0", *b, a.chunks(req.Format))
	}
	return nil
}

// chunks returns the number of chunks in which a format streams the answer.
func (a *Answer) chunks(f Format) (n int) {
	for _, e := range wires[f].stream(&Request{Format: f}, a) {
		if e.chunk {
			n++
		}
	}
	return n
}

// words splits a text after each space.
func words(s string) []string {
	if s == "" {
		return nil
	}
	return strings.SplitAfter(s, " ")
}

// halves splits the arguments of a call, so that clients are tested for joining them.
func halves(s string) []string {
	at := len(s) / 2
	for at < len(s) && !utf8.RuneStart(s[at]) {
		at++
	}
	return []string{s[:at], s[at:]}
}
