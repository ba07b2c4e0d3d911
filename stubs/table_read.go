package stubs

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	tableVersion = 1         // version of the format that this program reads
	mostTimes    = 1_000_000 // maximum total of the repetitions of the replies of a step
)

// lineError returns an error at a node of the file.
func lineError(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %w", n.Line, fmt.Errorf(format, args...))
}

func readTable(root *yaml.Node) (map[string][]tableEntry, error) {
	file, err := mapping(root, "a table", nil)
	if err != nil {
		return nil, err
	}
	// The version is read first, because a newer format may have fields that are unknown here.
	version := file["stubs"]
	if version == nil {
		return nil, lineError(root, "it does not begin with stubs: 1, the version of its format")
	}
	number, err := whole(version, "stubs", 1, math.MaxInt)
	switch {
	case err != nil:
		return nil, err
	case number > tableVersion:
		return nil, lineError(version, "version %d of the format, and this program reads version %d: use a newer program", number, tableVersion)
	}
	if file, err = mapping(root, "a table", []string{"stubs", "steps"}); err != nil {
		return nil, err
	}
	if file["steps"] == nil {
		return nil, lineError(root, "it has no steps: add the paths of the plan with their replies")
	}
	named, err := mapping(file["steps"], "steps", nil)
	if err != nil {
		return nil, err
	}
	steps := map[string][]tableEntry{}
	for _, step := range inOrder(named) {
		if steps[step], err = entries(named[step], fmt.Sprintf("step %q", step), true); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

// inOrder returns the names of fields in the order of the file, so that the first error in the file
// is reported.
func inOrder(fields map[string]*yaml.Node) []string {
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := fields[a], fields[b]
		if x.Line != y.Line {
			return x.Line - y.Line
		}
		return x.Column - y.Column
	})
	return names
}

// entries reads the list of a step or of a case.
func entries(n *yaml.Node, what string, mayBeCases bool) ([]tableEntry, error) {
	items, err := list(n, what)
	if err != nil {
		return nil, err
	}
	var read []tableEntry
	given := 0
	for i, item := range items {
		e, err := readEntry(item)
		given += e.given()
		switch {
		case err != nil:
			return nil, err
		case given > mostTimes:
			return nil, lineError(item, "%s has replies for more than %d calls up to here: give fewer, or cycle", what, mostTimes)
		case e.kind == "replies" && !mayBeCases:
			return nil, lineError(item, "replies within replies: a case has plain ones")
		case i > 0 && (e.kind == "replies") != (read[0].kind == "replies"):
			return nil, lineError(item, "cases mixed with plain replies: put the plain ones into an entry with replies and without case, after the cases")
		case i > 0 && e.kind == "replies" && read[i-1].holds == "":
			return nil, lineError(item, "the entry before has no case and matches every input: put it last")
		}
		read = append(read, e)
	}
	return read, nil
}

// given returns the number of repetitions of an entry, or the total of a case.
func (e *tableEntry) given() (n int) {
	if e.kind != "replies" {
		return e.times
	}
	for i := range e.replies {
		n += e.replies[i].given()
	}
	return n
}

var (
	answers     = []string{"say", "draw", "fail", "rate_limit", "malformed", "stream", "panic", "hang", "replies"}
	replyFields = []string{"break_at", "times", "after", "tokens", "cost", "tools", "expect", "expect_text"}
	caseFields  = []string{"case", "cycle", "allow_leftovers"}
)

func readEntry(n *yaml.Node) (e tableEntry, err error) {
	fields, err := mapping(n, "a reply", slices.Concat(answers, replyFields, caseFields))
	if err != nil {
		return e, err
	}
	e = tableEntry{line: n.Line, breaks: -1, times: 1}
	for _, kind := range answers {
		if fields[kind] == nil {
			continue
		}
		if e.kind != "" {
			return e, lineError(fields[kind], "%s in addition to %s: an entry has only one of %s", kind, e.kind, strings.Join(answers, ", "))
		}
		e.kind = kind
	}
	if e.kind == "" {
		return e, lineError(n, "the entry has no reply: give it one of %s", strings.Join(answers, ", "))
	}
	foreign := caseFields
	if e.kind == "replies" {
		foreign = replyFields
	}
	for _, name := range foreign {
		if fields[name] != nil {
			return e, lineError(fields[name], "%s does not belong to an entry with %s", name, e.kind)
		}
	}
	for _, name := range inOrder(fields) {
		if err := e.read(name, fields[name]); err != nil {
			return e, err
		}
	}
	if both := fields["expect_text"]; both != nil && fields["expect"] != nil {
		return e, lineError(both, "expect_text next to expect: give one of the two")
	}
	if b := fields["break_at"]; b != nil && (e.kind != "stream" || e.breaks >= len(e.stream)) {
		return e, lineError(b, "break_at is %d, and its stream has %d chunks: give the number of a chunk, from 0", e.breaks, len(e.stream))
	}
	return e, nil
}

// read reads one field.
func (e *tableEntry) read(name string, n *yaml.Node) (err error) {
	switch name {
	case "say":
		e.line = n.Line // errors of the output type refer to this line
		e.say, err = asJSON(n, name)
	case "draw":
		e.line = n.Line
		err = e.readDraw(n)
	case "fail":
		err = e.readFail(n)
	case "malformed", "panic":
		e.text, err = text(n, name)
	case "tools":
		err = e.readTools(n)
	case "expect":
		e.expectLine = n.Line
		e.expect, err = asJSON(n, name)
	case "expect_text":
		e.expectText, err = text(n, name)
		if err == nil && e.expectText == "" {
			err = lineError(n, "expect_text is empty: give a text that the input must contain, or omit it")
		}
	case "rate_limit":
		e.wait, err = duration(n, name)
	case "stream":
		e.stream, err = texts(n, name)
	case "hang":
		var on bool
		if on, err = boolean(n, name); err == nil && !on {
			err = lineError(n, "hang must be true or omitted")
		}
	case "break_at":
		e.breaks, err = whole(n, name, 0, math.MaxInt)
	case "times":
		e.times, err = whole(n, name, 1, mostTimes)
	case "after":
		e.after, err = latency(n)
	case "tokens":
		e.tokens, err = whole(n, name, int64(0), math.MaxInt64)
	case "cost":
		e.cost, err = whole(n, name, int64(0), math.MaxInt64)
	case "case":
		e.holds, err = text(n, name)
	case "replies":
		e.replies, err = entries(n, name, false)
	case "cycle":
		e.cycle, err = boolean(n, name)
	case "allow_leftovers":
		e.lenient, err = boolean(n, name)
	}
	return err
}

// mapping returns the fields of a mapping. Duplicate names are errors, and so are names that are
// not in names, unless that is nil.
func mapping(n *yaml.Node, what string, names []string) (map[string]*yaml.Node, error) {
	content := target(n).Content
	if target(n).Kind != yaml.MappingNode {
		return nil, lineError(n, "%s is a mapping of names to values", what)
	}
	fields, lines := map[string]*yaml.Node{}, map[string]int{}
	for i := 0; i+1 < len(content); i += 2 {
		key := content[i]
		name := target(key).Value
		switch {
		case target(key).Kind != yaml.ScalarNode:
			return nil, lineError(key, "a name is a text")
		case fields[name] != nil:
			return nil, lineError(key, "%q is given twice: it was on line %d before", name, lines[name])
		case names != nil && !slices.Contains(names, name):
			return nil, lineError(key, "unknown field %q: it may be %s", name, strings.Join(names, ", "))
		}
		fields[name], lines[name] = content[i+1], key.Line
	}
	return fields, nil
}

// target returns the node that an alias refers to, or the node itself.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func list(n *yaml.Node, what string) ([]*yaml.Node, error) {
	if t := target(n); t.Kind == yaml.SequenceNode && len(t.Content) > 0 {
		return t.Content, nil
	}
	return nil, lineError(n, "%s is a list with at least one entry", what)
}

func text(n *yaml.Node, what string) (string, error) {
	if t := target(n); t.Kind == yaml.ScalarNode && t.Tag != "!!null" {
		return t.Value, nil
	}
	return "", lineError(n, "%s is a text", what)
}

func texts(n *yaml.Node, what string) ([]string, error) {
	items, err := list(n, what)
	if err != nil {
		return nil, err
	}
	all := make([]string, len(items))
	for i, item := range items {
		if all[i], err = text(item, "a part of "+what); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func boolean(n *yaml.Node, what string) (on bool, err error) {
	if t := target(n); t.Kind == yaml.ScalarNode && t.Tag == "!!bool" && t.Decode(&on) == nil {
		return on, nil
	}
	return false, lineError(n, "%s is true or false", what)
}

func whole[T int | int64](n *yaml.Node, what string, least, most T) (number T, err error) {
	t := target(n)
	if t.Kind != yaml.ScalarNode || t.Tag != "!!int" || t.Decode(&number) != nil || number < least || number > most {
		if most == mostTimes {
			return 0, lineError(n, "%s is a whole number from %d to %d", what, least, most)
		}
		return 0, lineError(n, "%s is a whole number from %d on", what, least)
	}
	return number, nil
}

func duration(n *yaml.Node, what string) (time.Duration, error) {
	value, err := text(n, what)
	if err == nil {
		var d time.Duration
		if d, err = time.ParseDuration(value); err == nil && d >= 0 {
			return d, nil
		}
	}
	return 0, lineError(n, "%s is a duration, for example 10ms or 2s", what)
}

// latency reads a duration, a list of durations to draw from, or the parameters of a log-normal
// distribution.
func latency(n *yaml.Node) (Latency, error) {
	switch target(n).Kind {
	case yaml.SequenceNode:
		items, err := list(n, "after")
		if err != nil {
			return nil, err
		}
		recorded := make([]time.Duration, len(items))
		for i, item := range items {
			if recorded[i], err = duration(item, "a part of after"); err != nil {
				return nil, err
			}
		}
		return Sampled(recorded...), nil
	case yaml.MappingNode:
		fields, err := mapping(n, "after", []string{"median", "sigma"})
		if err != nil {
			return nil, err
		}
		var sigma float64
		if fields["median"] == nil || fields["sigma"] == nil {
			return nil, lineError(n, "after has a median and a sigma, for example {median: 10ms, sigma: 0.5}")
		}
		median, err := duration(fields["median"], "median")
		if err != nil {
			return nil, err
		}
		s := fields["sigma"]
		if target(s).Decode(&sigma) != nil || !(sigma >= 0 && sigma <= 10) {
			return nil, lineError(s, "sigma is a number from 0 to 10")
		}
		return LogNormal(median, sigma), nil
	}
	d, err := duration(n, "after")
	return Fixed(d), err
}

// readDraw reads a list of outputs or the name of a function.
func (e *tableEntry) readDraw(n *yaml.Node) error {
	if target(n).Kind != yaml.SequenceNode {
		name, err := text(n, "draw")
		if err != nil {
			return lineError(n, "draw is a list of outputs, or the name of a function of Table.Define")
		}
		e.named = reference{name, n.Line}
		return nil
	}
	items, err := list(n, "draw")
	if err != nil {
		return err
	}
	for _, item := range items {
		data, err := asJSON(item, "draw")
		if err != nil {
			return err
		}
		e.draw = append(e.draw, output{data, item.Line})
	}
	return nil
}

// readFail reads the text of an error, or a mapping with a text, a code or the name of an error.
func (e *tableEntry) readFail(n *yaml.Node) (err error) {
	if target(n).Kind != yaml.MappingNode {
		e.text, err = text(n, "fail")
		return err
	}
	fields, err := mapping(n, "fail", []string{"text", "code", "error"})
	if err != nil {
		return err
	}
	for _, name := range inOrder(fields) {
		value, err := text(fields[name], name)
		switch {
		case err != nil:
			return err
		case value == "":
			return lineError(fields[name], "%s is empty", name)
		case name == "text":
			e.text = value
		case name == "code":
			e.code = value
		default:
			e.named = reference{value, fields[name].Line}
		}
	}
	switch {
	case e.code != "" && e.named.name != "":
		return lineError(n, "fail has a code and an error: give one of the two")
	case len(fields) == 0:
		return lineError(n, "fail has a text, a code, or an error of Table.Define")
	}
	return nil
}

func (e *tableEntry) readTools(n *yaml.Node) error {
	items, err := list(n, "tools")
	if err != nil {
		return err
	}
	for _, item := range items {
		name, err := text(item, "a part of tools")
		if err != nil {
			return err
		}
		e.tools = append(e.tools, reference{name, item.Line})
	}
	return nil
}

// asJSON returns a YAML value as JSON. what is the name of its field in errors.
func asJSON(n *yaml.Node, what string) ([]byte, error) {
	untimed(n, map[*yaml.Node]bool{})
	var v any
	if err := n.Decode(&v); err != nil {
		var bad *yaml.TypeError
		if errors.As(err, &bad) {
			return nil, errors.New(bad.Errors[0]) // contains the line
		}
		return nil, lineError(n, "%s", reason(err))
	}
	data, err := json.Marshal(v)
	if errors.As(err, new(*json.UnsupportedTypeError)) {
		return nil, lineError(n, "%s has a name that is not a text: put it in quotes", what)
	}
	if err != nil {
		return nil, lineError(n, "%s cannot be written as JSON: %w", what, err)
	}
	return data, nil
}

// untimed converts timestamps of YAML to texts, because JSON has no timestamps and a date would get
// a time of day. done holds the visited nodes.
func untimed(n *yaml.Node, done map[*yaml.Node]bool) {
	n = target(n)
	if done[n] {
		return
	}
	done[n] = true
	if n.Kind == yaml.ScalarNode && n.Tag == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, inner := range n.Content {
		untimed(inner, done)
	}
}
