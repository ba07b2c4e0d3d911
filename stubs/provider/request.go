package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Format is one of the formats of requests that a [Server] speaks.
type Format string

const (
	Chat      Format = "chat"      // OpenAI's POST …/chat/completions
	Responses Format = "responses" // OpenAI's POST …/responses
	Messages  Format = "messages"  // Anthropic's POST …/messages
	Gemini    Format = "gemini"    // Google's POST …/models/MODEL:generateContent and :streamGenerateContent
)

// Request is a request to the model, in any format.
type Request struct {
	Format   Format
	Model    string
	Stream   bool
	System   string // instructions
	Messages []Message
	Tools    []string        // names of the functions that the model may call
	Body     json.RawMessage // unchanged body of the HTTP request

	usage bool // Chat Completions: the stream ends with the usage
	array bool // Gemini: the stream is a JSON array instead of events
}

// Message is a message of the conversation so far.
type Message struct {
	Role    string // user, assistant, tool; system and developer are in Request.System
	Text    string
	Calls   []ToolCall   // calls that an earlier answer made
	Results []ToolResult // results of such calls
}

// ToolResult is the result of a tool call.
type ToolResult struct {
	ID   string // ID of the call; in Gemini's format empty if the client does not send it
	Name string // name of the tool; only in Gemini's format
	Text string // text, or JSON if the result is not a text
}

// Prompt returns the text of the last message of the user.
func (r Request) Prompt() string {
	for _, m := range slices.Backward(r.Messages) {
		if m.Role == "user" && m.Text != "" {
			return m.Text
		}
	}
	return ""
}

// Results returns the results of tools since the last answer of the model.
func (r Request) Results() (list []ToolResult) {
	for _, m := range slices.Backward(r.Messages) {
		if m.Role == "assistant" {
			break
		}
		list = append(slices.Clone(m.Results), list...)
	}
	return list
}

func (r *Request) offers(tool string) bool { return slices.Contains(r.Tools, tool) }

// calls returns the number of tool calls in the conversation.
func (r *Request) calls() (n int) {
	for _, m := range r.Messages {
		n += len(m.Calls)
	}
	return n
}

// say appends a text to the conversation, or to the instructions if the role is system or developer.
func (r *Request) say(role, text string) {
	switch role {
	case "system", "developer":
		if r.System != "" && text != "" {
			r.System += "\n"
		}
		r.System += text
		return
	case "model":
		role = "assistant"
	}
	r.Messages = append(r.Messages, Message{Role: role, Text: text})
}

// paired checks that each result belongs to a call and that each call has a result before the
// next message, because providers reject other conversations. open means that the provider may
// have stored calls that the request does not contain.
func (r *Request) paired(open bool) error {
	var due []ToolCall
	for i, m := range r.Messages {
		for _, res := range m.Results {
			at := slices.IndexFunc(due, func(c ToolCall) bool {
				return c.ID == res.ID && res.ID != "" || res.ID == "" && c.Name == res.Name
			})
			switch {
			case at >= 0:
				due = slices.Delete(due, at, at+1)
			case !open:
				return fmt.Errorf("message %d has the result of tool call %q, and the messages before it contain no such call without a result", i, res.ID+res.Name)
			}
		}
		if len(m.Results) == 0 && len(m.Calls) == 0 && m.Role == "user" && len(due) > 0 {
			break
		}
		due = append(due, m.Calls...)
	}
	if len(due) > 0 {
		return fmt.Errorf("tool call %q of %q has no result before the next message: send the results of all calls", due[0].ID, due[0].Name)
	}
	return nil
}

// maxBody is the maximum size of a request body, in bytes: the limit of Anthropic's API.
const maxBody = 32 << 20

var errTooLarge = errors.New("the body is larger than 32 MiB")

// readBody reads at most maxBody bytes.
func readBody(body io.Reader) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err == nil && len(data) > maxBody {
		err = errTooLarge
	}
	return data, err
}

// decode reads exactly one JSON object. It ignores unknown fields, since requests have many that
// scripts do not need.
func decode(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(v); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return fmt.Errorf("the field %q has the wrong type: it is a JSON %s", wrong.Field, wrong.Value)
		}
		if err == io.EOF {
			return errors.New("the body is empty: send a JSON object")
		}
		return fmt.Errorf("the body is not the JSON object of this endpoint: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("the body contains more than one JSON value")
	}
	return nil
}

// content is a text, or a list of parts.
type content []part

// part is a part of the content. Each format uses some of the fields.
type part struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Refusal   string          `json:"refusal"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	Content   content         `json:"content"`
}

// UnmarshalJSON decodes either form. null means no content.
func (c *content) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var s string
		err := json.Unmarshal(data, &s)
		*c = content{{Type: "text", Text: s}}
		return err
	}
	var parts []part
	err := json.Unmarshal(data, &parts)
	*c = parts
	return err
}

// text joins the texts of the parts.
func (c content) text() string {
	var out strings.Builder
	for _, p := range c {
		if strings.HasSuffix(p.Type, "text") { // text, input_text, output_text
			out.WriteString(p.Text)
		}
		out.WriteString(p.Refusal)
	}
	return out.String()
}
