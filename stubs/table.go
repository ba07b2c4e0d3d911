package stubs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// Table is a file of scripts, in YAML:
//
//	stubs: 1
//	steps:
//	  draft:                      # path in the plan
//	    - say: {title: a draft}   # read as the output's JSON
//	      times: 2
//	      after: 10ms             # or {median: 10ms, sigma: 0.5}, or a list to draw from
//	      tokens: 100
//	      cost: 5
//	    - fail: the model is down
//	    - rate_limit: 2s
//	    - malformed: '{"title": '
//	    - stream: [a, " draft"]
//	      break_at: 1
//	    - panic: boom
//	    - hang: true
//	  review:
//	    - case: urgent            # the input's JSON holds this text
//	      replies: [{say: yes}]
//	      allow_leftovers: true
//	    - replies: [{say: no}]    # all other inputs
//	      cycle: true
//
// An entry without replies is one reply. A step has either kind of entry, not
// both.
type Table struct {
	name  string
	steps map[string][]tableEntry
}

// tableEntry is one reply, or a case with its replies.
type tableEntry struct {
	line int
	kind string // of its answer: the name of the field

	say            json.RawMessage
	text           string // of fail, malformed, panic
	wait           time.Duration
	stream         []string
	breaks         int // -1: it does not
	times          int
	after          Latency
	tokens, cost   int64
	holds          string // what the input of a case holds
	replies        []tableEntry
	cycle, lenient bool
}

// LoadTable reads the table in the file at path. Errors name the file and the line.
func LoadTable(path string) (*Table, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read scripts: %w", err)
	}
	return ParseTable(path, data)
}

// ParseTable reads a table; name stands for it in errors.
func ParseTable(name string, data []byte) (*Table, error) {
	root, err := document(data)
	if err == nil {
		var steps map[string][]tableEntry
		if steps, err = readTable(root); err == nil {
			return &Table{name, steps}, nil
		}
	}
	return nil, fmt.Errorf("read scripts %s: %w", name, err)
}

// FromTable makes the agent of a step of the table. An output that does not fit
// Out is an error with file and line.
func FromTable[In, Out any](t *Table, step string) (core.Agent[In, Out], error) {
	entries, ok := t.steps[step]
	if !ok {
		return nil, fmt.Errorf("scripts %s: no step %q: it has %q", t.name, step, slices.Sorted(maps.Keys(t.steps)))
	}
	if entries[0].kind != "replies" {
		return scriptOf[In, Out](t, entries)
	}
	var cases []Case[In, Out]
	for _, e := range entries {
		agent, err := scriptOf[In, Out](t, e.replies)
		if err != nil {
			return nil, err
		}
		agent.cycle, agent.lenient = e.cycle, e.lenient
		if e.holds == "" {
			cases = append(cases, Else(core.Agent[In, Out](agent)))
		} else {
			cases = append(cases, When(func(in In) bool { return holds(in, e.holds) }, core.Agent[In, Out](agent)))
		}
	}
	return Choose(cases...), nil
}

// holds reports whether the JSON of an input holds a text, as it is or as JSON
// writes it.
func holds[In any](in In, text string) bool {
	input, err := json.Marshal(in)
	if err != nil {
		return false
	}
	quoted, err := json.Marshal(text)
	return bytes.Contains(input, []byte(text)) || err == nil && bytes.Contains(input, quoted[1:len(quoted)-1])
}

func scriptOf[In, Out any](t *Table, entries []tableEntry) (*Agent[In, Out], error) {
	var replies []Reply[Out]
	for _, e := range entries {
		r, err := replyOf[Out](&e)
		if err != nil {
			return nil, fmt.Errorf("scripts %s: line %d: %w", t.name, e.line, err)
		}
		replies = append(replies, r)
	}
	return Script[In](replies...), nil
}

// replyOf makes one reply of an entry.
func replyOf[Out any](e *tableEntry) (r Reply[Out], err error) {
	switch e.kind {
	case "say":
		d := json.NewDecoder(bytes.NewReader(e.say))
		d.DisallowUnknownFields()
		var out Out
		if err := d.Decode(&out); err != nil {
			return r, fmt.Errorf("say does not fit %T: %w", out, err)
		}
		r = Say(out)
	case "fail":
		r = Fail[Out](errors.New(e.text))
	case "rate_limit":
		r = RateLimited[Out](e.wait)
	case "malformed":
		r = Malformed[Out](e.text)
	case "panic":
		r = Panic[Out](e.text)
	case "hang":
		r = Hang[Out]()
	case "stream":
		joined, err := json.Marshal(strings.Join(e.stream, ""))
		if err == nil {
			err = json.Unmarshal(joined, &r.out)
		}
		if err != nil {
			return r, fmt.Errorf("stream gives a text, not %T: %w", r.out, err)
		}
		r.chunks = e.stream
		if e.breaks >= 0 {
			r = r.BreakAt(e.breaks)
		}
	}
	r = r.Times(e.times)
	if e.after != nil {
		r = r.After(e.after)
	}
	if e.tokens != 0 || e.cost != 0 {
		r = r.Using(e.tokens, e.cost)
	}
	return r, nil
}
