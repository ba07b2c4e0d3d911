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

// Answer is what the model answers to one request. The zero value is an empty answer.
// Tables write it with the names of its JSON form.
type Answer struct {
	Text      string     `json:"text,omitempty"`
	Reasoning string     `json:"reasoning,omitempty"` // Chat Completions: reasoning_content, as several servers have it
	Refusal   string     `json:"refusal,omitempty"`   // why the model refuses; Text is then not said
	Calls     []ToolCall `json:"calls,omitempty"`     // of tools, several are parallel; the request must offer them
	Stop      Stop       `json:"stop,omitempty"`      // why the model stops
	Usage     Usage      `json:"usage,omitzero"`

	// Of streams. Chunks are counted over reasoning, text and calls, in this order; the
	// arguments of a call are two chunks, in Gemini's format one.

	Chunks     []string `json:"chunks,omitempty"`     // Text in pieces; by default its words. Text may be left out
	FirstToken Wait     `json:"first_token,omitzero"` // between the headers and the first chunk
	BreakAt    *int     `json:"break_at,omitempty"`   // the connection breaks before this chunk, from 0; an answer that is not streamed breaks in its middle
}

// ToolCall is a call of a tool.
type ToolCall struct {
	ID   string `json:"id,omitempty"` // by default numbered within the conversation
	Name string `json:"name"`
	Args string `json:"args,omitempty"` // a JSON object; by default {}
}

// Usage is the number of tokens that the answer reports.
type Usage struct {
	Input     int `json:"input,omitempty"`     // of the request, cached ones among them
	Cached    int `json:"cached,omitempty"`    // of Input
	Output    int `json:"output,omitempty"`    // of the answer, reasoning among them
	Reasoning int `json:"reasoning,omitempty"` // of Output
}

// Stop is why a model stops.
type Stop string

const (
	Done       Stop = ""       // it has said all, or calls tools, or refuses
	TooLong    Stop = "length" // the limit of tokens was reached
	Suppressed Stop = "filter" // a filter of content stopped it
)

// Wait is a duration that is written as text: "2s".
type Wait time.Duration

// UnmarshalText reads a duration that is 0 or more.
func (w *Wait) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no duration: write one as 10ms or 2s", text)
	}
	*w = Wait(d)
	return nil
}

// MarshalText writes it as a duration.
func (w Wait) MarshalText() ([]byte, error) { return []byte(time.Duration(w).String()), nil }

// ErrOverloaded is the answer of a provider that is overloaded: status 529 in the format of
// Anthropic, 503 in the others.
var ErrOverloaded = errors.New("the model is overloaded")

// Error is an answer of the provider that is an error.
type Error struct {
	Status  int         // of HTTP, from 400 to 599
	Type    string      // in the provider's words; by default that of the status
	Message string      // by default the text of the status
	Header  http.Header // added to the response
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

// texts are all texts of the answer.
func (a *Answer) texts() []string {
	list := append([]string{a.Text, a.Reasoning, a.Refusal}, a.Chunks...)
	for _, c := range a.Calls {
		list = append(list, c.ID, c.Name, c.Args)
	}
	return list
}

// complete checks an answer against its request, and fills in what has defaults.
func (a *Answer) complete(req *Request) error {
	for _, s := range a.texts() {
		if !utf8.ValidString(s) {
			return fmt.Errorf("its text %.80q is not UTF-8, which JSON is: a chunk may not end within a character", s)
		}
	}
	switch text := strings.Join(a.Chunks, ""); {
	case a.Text == "":
		a.Text = text
	case a.Chunks != nil && a.Text != text:
		return fmt.Errorf("its chunks are %q together, and its text is %q: give one of the two", text, a.Text)
	}
	if a.Refusal != "" && (a.Text != "" || len(a.Calls) > 0) {
		return errors.New("it has a refusal next to a text or calls: a model that refuses says nothing else")
	}
	if a.Stop != Done && a.Stop != TooLong && a.Stop != Suppressed {
		return fmt.Errorf("it stops for %q: use one of %q and %q, or nothing", a.Stop, TooLong, Suppressed)
	}
	if u := a.Usage; min(u.Input, u.Cached, u.Output, u.Reasoning) < 0 || u.Cached > u.Input || u.Reasoning > u.Output {
		return fmt.Errorf("its usage is %+v: numbers are 0 or more, cached at most input, reasoning at most output", u)
	}
	if a.Chunks == nil {
		a.Chunks = words(a.Text)
	}
	calls := make([]ToolCall, len(a.Calls)) // the script's own stay unchanged
	for i, c := range a.Calls {
		if !req.offers(c.Name) {
			return fmt.Errorf("it calls the tool %q, and the request offers %q", c.Name, req.Tools)
		}
		if c.Args == "" {
			c.Args = "{}"
		}
		if !json.Valid([]byte(c.Args)) || strings.TrimSpace(c.Args)[0] != '{' {
			return fmt.Errorf("its call of the tool %q has the arguments %.80q: give a JSON object", c.Name, c.Args)
		}
		if c.ID == "" {
			c.ID = fmt.Sprintf("call_%d", req.calls()+i+1)
		}
		if slices.ContainsFunc(calls[:i], func(o ToolCall) bool { return o.ID == c.ID }) {
			return fmt.Errorf("it has two calls with the id %q: results could not be told apart", c.ID)
		}
		calls[i] = c
	}
	a.Calls = calls
	if b := a.BreakAt; b != nil && (*b < 0 || req.Stream && *b >= a.chunks(req.Format)) {
		return fmt.Errorf("it breaks at chunk %d of %d: break_at is the number of a chunk, from 0", *b, a.chunks(req.Format))
	}
	return nil
}

// chunks is the number of pieces in which the answer is streamed in a format.
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

// halves splits the arguments of a call in two, so that clients have to put them together.
func halves(s string) []string {
	at := len(s) / 2
	for at < len(s) && !utf8.RuneStart(s[at]) {
		at++
	}
	return []string{s[:at], s[at:]}
}
