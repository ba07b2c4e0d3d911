package stubs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/flujo/flujo-harness/core"
)

// tableVersion is the version of the format that this program reads.
const tableVersion = 1

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
//	    - replies: [{say: no}]    # all other inputs
//	      cycle: true
type Table struct {
	name  string
	steps map[string][]tableEntry
}

type tableEntry struct {
	line int

	Say       *yaml.Node   `yaml:"say"`
	Fail      *string      `yaml:"fail"`
	RateLimit *duration    `yaml:"rate_limit"`
	Malformed *string      `yaml:"malformed"`
	Stream    []string     `yaml:"stream"`
	BreakAt   *int         `yaml:"break_at"`
	Panic     *string      `yaml:"panic"`
	Hang      bool         `yaml:"hang"`
	Times     int          `yaml:"times"`
	After     *latency     `yaml:"after"`
	Tokens    int64        `yaml:"tokens"`
	Cost      int64        `yaml:"cost"`
	Case      string       `yaml:"case"`
	Replies   []tableEntry `yaml:"replies"`
	Cycle     bool         `yaml:"cycle"`
}

// entryFields decodes an entry without calling its own method again.
type entryFields tableEntry

// UnmarshalYAML implements yaml.Unmarshaler: it remembers the line.
func (e *tableEntry) UnmarshalYAML(n *yaml.Node) error {
	if err := known(n, entryNames); err != nil {
		return err
	}
	if err := n.Decode((*entryFields)(e)); err != nil {
		return err
	}
	e.line = n.Line
	return nil
}

var entryNames = []string{"say", "fail", "rate_limit", "malformed", "stream", "break_at", "panic", "hang", "times", "after", "tokens", "cost", "case", "replies", "cycle"}

// known refuses fields that the format does not have: the strictness of a decoder
// does not reach into types that decode themselves.
func known(n *yaml.Node, names []string) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a reply is a mapping, for example {say: text}", n.Line)
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, ok := n.Content[i], false
		for _, name := range names {
			ok = ok || key.Value == name
		}
		if !ok {
			return fmt.Errorf("line %d: unknown field %q: it may be %s", key.Line, key.Value, strings.Join(names, ", "))
		}
	}
	return nil
}

type duration time.Duration

func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	parsed, err := time.ParseDuration(n.Value)
	if err != nil || parsed < 0 {
		return fmt.Errorf("line %d: %q is no duration: write 10ms or 2s", n.Line, n.Value)
	}
	*d = duration(parsed)
	return nil
}

type latency struct{ of Latency }

func (l *latency) UnmarshalYAML(n *yaml.Node) error {
	switch n.Kind {
	case yaml.SequenceNode:
		var list []duration
		if err := n.Decode(&list); err != nil {
			return err
		}
		times := make([]time.Duration, len(list))
		for i, d := range list {
			times[i] = time.Duration(d)
		}
		l.of = Sampled(times...)
	case yaml.MappingNode:
		if err := known(n, []string{"median", "sigma"}); err != nil {
			return err
		}
		var shape struct {
			Median duration `yaml:"median"`
			Sigma  float64  `yaml:"sigma"`
		}
		if err := n.Decode(&shape); err != nil {
			return err
		}
		l.of = LogNormal(time.Duration(shape.Median), shape.Sigma)
	default:
		var d duration
		if err := n.Decode(&d); err != nil {
			return err
		}
		l.of = Fixed(time.Duration(d))
	}
	return nil
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
	fail := func(err error) (*Table, error) {
		return nil, fmt.Errorf("read scripts %s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var file struct {
		Version int                     `yaml:"stubs"`
		Steps   map[string][]tableEntry `yaml:"steps"`
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty: begin it with stubs: 1")
		}
		return fail(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fail(errors.New("there is more than one document in it: keep one"))
	}
	switch {
	case file.Version == 0:
		return fail(errors.New("it does not say stubs: 1, the version of its format"))
	case file.Version != tableVersion:
		return fail(fmt.Errorf("it has version %d of the format, this program reads version %d: use a newer program", file.Version, tableVersion))
	}
	for step, entries := range file.Steps {
		for _, e := range entries {
			if err := e.check(true); err != nil {
				return fail(fmt.Errorf("line %d: step %q: %w", e.line, step, err))
			}
			for _, inner := range e.Replies {
				if err := inner.check(false); err != nil {
					return fail(fmt.Errorf("line %d: step %q: %w", inner.line, step, err))
				}
			}
		}
	}
	return &Table{name, file.Steps}, nil
}

func (e *tableEntry) check(mayBeCase bool) error {
	kinds := 0
	for _, is := range []bool{e.Say != nil, e.Fail != nil, e.RateLimit != nil, e.Malformed != nil, e.Stream != nil, e.Panic != nil, e.Hang, e.Replies != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("an entry has one of say, fail, rate_limit, malformed, stream, panic, hang and replies")
	case e.Replies != nil && !mayBeCase:
		return errors.New("replies within replies: a case has plain ones")
	case e.Replies == nil && (e.Case != "" || e.Cycle):
		return errors.New("case and cycle belong to an entry with replies")
	case e.Times < 0 || e.Tokens < 0 || e.Cost < 0:
		return errors.New("times, tokens and cost are 0 or more")
	case e.BreakAt != nil && (e.Stream == nil || *e.BreakAt < 0 || *e.BreakAt >= len(e.Stream)):
		return errors.New("break_at is the number of a chunk of stream, from 0")
	}
	return nil
}

// FromTable makes the agent of a step of the table. An output that does not fit
// Out is an error with file and line.
func FromTable[In, Out any](t *Table, step string) (core.Agent[In, Out], error) {
	entries, ok := t.steps[step]
	if !ok || len(entries) == 0 {
		return nil, fmt.Errorf("scripts %s: no step %q: it has %d others", t.name, step, len(t.steps))
	}
	var plain []Reply[Out]
	var cases []Case[In, Out]
	for _, e := range entries {
		if e.Replies == nil {
			r, err := reply[Out](t, &e)
			if err != nil {
				return nil, err
			}
			plain = append(plain, r)
			continue
		}
		var replies []Reply[Out]
		for _, inner := range e.Replies {
			r, err := reply[Out](t, &inner)
			if err != nil {
				return nil, err
			}
			replies = append(replies, r)
		}
		agent := Script[In](replies...)
		if e.Cycle {
			agent = agent.Cycle()
		}
		cond := func(in In) bool { return strings.Contains(string(copied(in)), e.Case) }
		cases = append(cases, When(cond, core.Agent[In, Out](agent)))
	}
	switch {
	case len(cases) == 0:
		return Script[In](plain...), nil
	case len(plain) != 0:
		return nil, fmt.Errorf("scripts %s: line %d: step %q has cases and plain replies: give the plain ones a case of their own, without a text", t.name, entries[0].line, step)
	}
	return Choose(cases...), nil
}

// reply makes one reply of an entry.
func reply[Out any](t *Table, e *tableEntry) (r Reply[Out], err error) {
	switch {
	case e.Say != nil:
		out, err := decoded[Out](e.Say)
		if err != nil {
			return r, fmt.Errorf("scripts %s: line %d: say does not fit %T: %w", t.name, e.Say.Line, out, err)
		}
		r = Say(out)
	case e.Fail != nil:
		r = Fail[Out](errors.New(*e.Fail))
	case e.RateLimit != nil:
		r = RateLimited[Out](time.Duration(*e.RateLimit))
	case e.Malformed != nil:
		r = Malformed[Out](*e.Malformed)
	case e.Panic != nil:
		r = Panic[Out](*e.Panic)
	case e.Hang:
		r = Hang[Out]()
	case e.Stream != nil:
		joined, err := json.Marshal(strings.Join(e.Stream, ""))
		if err == nil {
			err = json.Unmarshal(joined, &r.out)
		}
		if err != nil {
			return r, fmt.Errorf("scripts %s: line %d: stream gives a text, not %T: %w", t.name, e.line, r.out, err)
		}
		r.chunks, r.breaks = e.Stream, -1
		if e.BreakAt != nil {
			r.breaks = *e.BreakAt
		}
	}
	r = r.Times(e.Times)
	if e.After != nil {
		r = r.After(e.After.of)
	}
	if e.Tokens != 0 || e.Cost != 0 {
		r = r.Using(e.Tokens, e.Cost)
	}
	return r, nil
}

// decoded reads a YAML value as the output's JSON, strictly.
func decoded[Out any](n *yaml.Node) (out Out, err error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return out, err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return out, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(&out)
	return out, err
}
