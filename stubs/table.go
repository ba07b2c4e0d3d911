package stubs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// Table is a set of scripts in YAML:
//
//	stubs: 1
//	steps:
//	  draft:                      # path in the plan
//	    - say: {title: a draft}   # read as the output's JSON
//	      times: 2
//	      after: 10ms             # or {median: 10ms, sigma: 0.5}, or a list to draw from
//	      tokens: 100
//	      cost: 5
//	    - draw: [{title: a}, {title: b}]  # one of them at random, or a function by name
//	    - fail: the model is down
//	    - fail: {text: out of calls, code: quota exceeded}  # wraps core.Code("quota exceeded")
//	    - fail: {error: overloaded}       # defined by Table.Define; "timeout" is context.DeadlineExceeded
//	    - rate_limit: 2s
//	    - malformed: '{"title": '
//	    - stream: [a, " draft"]
//	      break_at: 1
//	    - panic: boom
//	    - hang: true
//	    - say: {title: found}
//	      tools: [search, store]  # defined by Table.Define, called before the reply
//	      expect: {topic: saves}  # the input of this call
//	    - say: {title: again}
//	      expect_text: saves      # the input's JSON contains this text
//	  review:
//	    - case: urgent            # the input's JSON contains this text
//	      replies: [{say: yes}]
//	      allow_leftovers: true
//	    - replies: [{say: no}]    # all other inputs
//	      cycle: true
//
// An entry without the field replies is a single reply. A step has entries of one kind only.
type Table struct {
	name  string
	steps map[string][]tableEntry

	mu      sync.Mutex
	defined map[string]any
	made    map[string]bool // steps that FromTable has created an agent for
	agents  []madeAgent
}

// madeAgent is an agent that was created from entries of the table.
type madeAgent struct {
	step   string
	line   int
	holds  string // text of the case, if it is one
	called func() bool
}

// tableEntry is one reply, or a case with its replies.
type tableEntry struct {
	line int
	kind string // name of the field that selects the kind of answer

	say            json.RawMessage
	draw           []output
	text           string    // for fail, malformed and panic
	code           string    // for fail
	named          reference // name of an error or of a function that draws
	wait           time.Duration
	stream         []string
	breaks         int // -1 if it does not break
	times          int
	after          Latency
	tokens, cost   int64
	tools          []reference
	expect         json.RawMessage
	expectLine     int
	expectText     string
	holds          string // text that the input of a case must contain
	replies        []tableEntry
	cycle, lenient bool
}

// output is one of the outputs to draw from.
type output struct {
	say  json.RawMessage
	line int
}

// reference is a name that is defined with Table.Define.
type reference struct {
	name string
	line int
}

// LoadTable reads a table from a file. Errors contain the file and the line.
func LoadTable(path string) (*Table, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read scripts: %w", err)
	}
	return ParseTable(path, data)
}

// ParseTable parses a table; name is its name in errors.
func ParseTable(name string, data []byte) (*Table, error) {
	root, err := document(data)
	if err == nil {
		var steps map[string][]tableEntry
		if steps, err = readTable(root); err == nil {
			return &Table{name: name, steps: steps, defined: map[string]any{"timeout": context.DeadlineExceeded}, made: map[string]bool{}}, nil
		}
	}
	return nil, fmt.Errorf("read scripts %s: %w", name, err)
}

// Define defines a name that the table uses: an error for "fail: {error: NAME}", a
// func(context.Context) error for "tools", or a func(*Numbers) Out for "draw: NAME". It must be
// called before [FromTable], which returns an error for undefined names and other types.
func (t *Table) Define(name string, v any) *Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.defined[name] = v
	return t
}

// definition returns the value of a name that the table uses.
func definition[T any](t *Table, ref reference) (v T, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.defined[ref.name]
	if !ok {
		return v, fmt.Errorf("scripts %s: line %d: %q is not defined: define it with Define, before FromTable", t.name, ref.line, ref.name)
	}
	if v, ok = known.(T); !ok {
		return v, fmt.Errorf("scripts %s: line %d: Define gives %q the type %T, and here it must be of type %v", t.name, ref.line, ref.name, known, reflect.TypeFor[T]())
	}
	return v, nil
}

// Verify returns errors for steps of the table that [FromTable] was not called for, and for steps
// and cases whose agents were not called. It must be called after the last run, in addition to
// [Book.Verify].
func (t *Table) Verify() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var unused []madeAgent
	for step, entries := range t.steps {
		if !t.made[step] {
			unused = append(unused, madeAgent{step: step, line: entries[0].line})
		}
	}
	for _, a := range t.agents {
		if !a.called() {
			unused = append(unused, a)
		}
	}
	slices.SortFunc(unused, func(a, b madeAgent) int { return cmp.Or(a.line-b.line, strings.Compare(a.step, b.step)) })
	var errs []error
	for _, a := range unused {
		what := fmt.Sprintf("step %q", a.step)
		if a.holds != "" {
			what += fmt.Sprintf(", case %q,", a.holds)
		}
		errs = append(errs, fmt.Errorf("scripts %s: line %d: %s was not used: remove it, or create an agent from it with FromTable and call it: %w", t.name, a.line, what, core.ErrHarness))
	}
	return errors.Join(errs...)
}

// FromTable returns the agent for a step of the table. An output that does not match Out, or an
// expected input that does not match In, is an error with file and line.
func FromTable[In, Out any](t *Table, step string) (core.Agent[In, Out], error) {
	entries, ok := t.steps[step]
	if !ok {
		return nil, fmt.Errorf("scripts %s: no step %q: it has %q", t.name, step, slices.Sorted(maps.Keys(t.steps)))
	}
	var made []madeAgent
	agent, err := fromTable[In, Out](t, step, entries, &made)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made[step] = true
	t.agents = append(t.agents, made...)
	return agent, nil
}

func fromTable[In, Out any](t *Table, step string, entries []tableEntry, made *[]madeAgent) (core.Agent[In, Out], error) {
	note := func(a *Agent[In, Out], line int, holds string) {
		*made = append(*made, madeAgent{step, line, holds, func() bool { return a.last.Load() != nil }})
	}
	if entries[0].kind != "replies" {
		agent, err := scriptOf[In, Out](t, entries)
		if err != nil {
			return nil, err
		}
		note(agent, entries[0].line, "")
		return agent, nil
	}
	var cases []Case[In, Out]
	for _, e := range entries {
		agent, err := scriptOf[In, Out](t, e.replies)
		if err != nil {
			return nil, err
		}
		agent.cycle, agent.lenient = e.cycle, e.lenient
		note(agent, e.line, e.holds)
		if e.holds == "" {
			cases = append(cases, Else(core.Agent[In, Out](agent)))
		} else {
			cases = append(cases, When(func(in In) bool { return holds(in, e.holds) }, core.Agent[In, Out](agent)))
		}
	}
	return Choose(cases...), nil
}

// holds reports whether the JSON of an input contains a text, either unchanged or as encoded in
// JSON.
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
	var expect []func(In) *InputError // check of each call; empty until the first entry that expects something
	calls := 0
	for _, e := range entries {
		r, err := replyOf[Out](t, &e)
		if err != nil {
			return nil, err
		}
		replies = append(replies, r)
		check, err := checkOf[In](t, &e)
		if err != nil {
			return nil, err
		}
		if check != nil && expect == nil {
			expect = make([]func(In) *InputError, calls)
		}
		calls += e.times
		for expect != nil && len(expect) < calls {
			expect = append(expect, check)
		}
	}
	agent := Script[In](replies...)
	agent.expect = expect
	return agent, nil
}

// checkOf returns the check of the input of an entry, or nil if it expects nothing.
func checkOf[In any](t *Table, e *tableEntry) (func(In) *InputError, error) {
	switch {
	case e.expect != nil:
		var want In
		if err := strictly(e.expect, &want); err != nil {
			return nil, fmt.Errorf("scripts %s: line %d: expect does not fit %T: %w", t.name, e.expectLine, want, err)
		}
		return equals(want), nil
	case e.expectText != "":
		return passes(func(in In) error {
			if !holds(in, e.expectText) {
				return fmt.Errorf("it does not contain %q, which line %d of %s expects", e.expectText, e.line, t.name)
			}
			return nil
		}), nil
	}
	return nil, nil
}

// strictly decodes JSON. Unknown fields are errors.
func strictly(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// replyOf returns the reply of an entry. Errors contain file and line.
func replyOf[Out any](t *Table, e *tableEntry) (r Reply[Out], err error) {
	at := func(line int, format string, args ...any) error {
		return fmt.Errorf("scripts %s: line %d: %w", t.name, line, fmt.Errorf(format, args...))
	}
	switch e.kind {
	case "say":
		var out Out
		if err := strictly(e.say, &out); err != nil {
			return r, at(e.line, "say does not fit %T: %w", out, err)
		}
		r = Say(out)
	case "draw":
		draw, err := drawOf[Out](t, e)
		if err != nil {
			return r, err
		}
		r = Draw(draw)
	case "fail":
		failed, err := failOf(t, e)
		if err != nil {
			return r, err
		}
		r = Fail[Out](failed)
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
			return r, at(e.line, "stream gives a text, not %T: %w", r.out, err)
		}
		r.chunks = e.stream
		if e.breaks >= 0 {
			r = r.BreakAt(e.breaks)
		}
	}
	for _, ref := range e.tools {
		call, err := definition[func(context.Context) error](t, ref)
		if err != nil {
			return r, err
		}
		r = r.Tool(ref.name, call)
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

// drawOf returns the function that draws an output.
func drawOf[Out any](t *Table, e *tableEntry) (func(*Numbers) Out, error) {
	if e.named.name != "" {
		return definition[func(*Numbers) Out](t, e.named)
	}
	outs := make([]Out, len(e.draw))
	for i, o := range e.draw {
		if err := strictly(o.say, &outs[i]); err != nil {
			return nil, fmt.Errorf("scripts %s: line %d: draw does not fit %T: %w", t.name, o.line, outs[i], err)
		}
	}
	return func(n *Numbers) Out { return outs[n.IntN(len(outs))] }, nil
}

// failOf returns the error of an entry: its text alone, or wrapping a code or a named error. A
// named error without a text is returned unchanged.
func failOf(t *Table, e *tableEntry) (failed error, err error) {
	switch {
	case e.named.name != "":
		if failed, err = definition[error](t, e.named); err != nil {
			return nil, err
		}
	case e.code != "":
		failed = core.Code(e.code)
	default:
		return errors.New(e.text), nil
	}
	if e.text != "" {
		failed = fmt.Errorf("%s: %w", e.text, failed)
	}
	return failed, nil
}
