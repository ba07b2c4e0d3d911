package inspect

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/render"
)

// TraceCommand returns the trace command.
func TraceCommand() *cobra.Command {
	var flags storeFlags
	var asJSON bool
	var t trace
	cmd := &cobra.Command{
		Use: "trace ID", Args: cobra.ExactArgs(1),
		Short:   "Show a run as a tree of its steps",
		Example: `  flujo-harness trace order-17 --db runs.db`,
		Long: `Shows a run as a tree of its steps: the outcome, duration and usage of each step, the
errors of failed attempts, why loops ended, and open questions. ID is the name of the
run, or tenant/name.

  ✓ completed, or answered    ✗ failed    ? waits for an answer

The duration of a node with children extends from their first start to their last end.

` + aboutStore + `

--json prints {"version": 1, "database", "run" (as runs --json has it), "plan", "loops":
{path: {"reason", "iterations"}}, "steps": [...]}. A step is {"seq", "path", "status",
"attempts", "started", "ended", "took_ns", "calls", "tokens", "cost", "feedback",
"error"}. A pause has "pause": {"token", "prompt", "answer", "answered"}; the last two are
absent while it waits. --output adds "output" to steps; --states adds "state" to steps
that changed it, and "start_state" and "end_state".`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := flags.open()
			if err != nil {
				return err
			}
			defer s.Close()
			snap, err := s.load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if len(snap.Exits) > 0 {
				if err := json.Unmarshal(snap.Exits, &t.exits); err != nil {
					return shown(fmt.Errorf("run %s: %w: read the ends of its loops: %v", snap.Start.Key, core.ErrCorrupt, err))
				}
			}
			t.Snapshot, t.Screen = snap, cli.NewScreen(cmd.OutOrStdout())
			if asJSON {
				return cli.PrintJSON(cmd.OutOrStdout(), t.json(s.path))
			}
			return cli.Print(cmd.OutOrStdout(), t.text())
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&t.outputs, "output", false, "show the outputs of the agents")
	cmd.Flags().BoolVar(&t.states, "states", false, "show the scope at the start, after each step that changed it, and at the end")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// trace formats one run.
type trace struct {
	core.Snapshot
	render.Screen
	exits           map[string]core.Exit
	outputs, states bool

	b      strings.Builder
	column int // column of the durations
}

// info summarises the run from the records that are shown, as List would.
func (t *trace) info() core.RunInfo {
	return t.Snapshot.Info()
}

// answer returns the answer to a pause, or nil while it waits.
func (t *trace) answer(s *core.StepRecord) *core.AnswerRecord {
	for i := range t.Answers {
		if t.Answers[i].Token == s.Token {
			return &t.Answers[i]
		}
	}
	return nil
}

func prompt(s *core.StepRecord) string {
	var text string
	if json.Unmarshal(s.Output, &text) != nil {
		return string(s.Output)
	}
	return text
}

// node is a node of the tree: a part of a path, or "#3" for an iteration or item.
type node struct {
	name        string
	step        *core.StepRecord // nil for a node that only has children
	exit        *core.Exit       // how a loop ended, nil for others
	first, last time.Time        // first start and last end of the steps below
	nodes       []*node
	named       map[string]*node
}

// tree arranges the steps by their paths, in the order of their records. Iterations and items
// are in the order of their numbers.
func (t *trace) tree() *node {
	root := &node{}
	for i := range t.Steps {
		s := &t.Steps[i]
		way := root.way(s.Path)
		way[len(way)-1].step = s
		for _, n := range way {
			if n.first.IsZero() || s.Started.Before(n.first) {
				n.first = s.Started
			}
			if s.Ended.After(n.last) {
				n.last = s.Ended
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(t.exits)) {
		way, exit := root.way(path), t.exits[path]
		way[len(way)-1].exit = &exit
	}
	root.sort()
	return root
}

// way returns the nodes on a path and creates missing ones.
func (n *node) way(path string) (nodes []*node) {
	step := func(name string) {
		next := n.named[name]
		if next == nil {
			next = &node{name: name}
			if n.named == nil {
				n.named = map[string]*node{}
			}
			n.named[name], n.nodes = next, append(n.nodes, next)
		}
		n, nodes = next, append(nodes, next)
	}
	for part := range strings.SplitSeq(path, "/") {
		name, number, ok := strings.Cut(part, "#")
		step(name)
		if ok {
			step("#" + number)
		}
	}
	return nodes
}

func (n *node) sort() {
	number := func(n *node) int {
		i, _ := strconv.Atoi(strings.TrimPrefix(n.name, "#")) // 0 keeps the order of the records
		return i
	}
	if len(n.nodes) > 0 && strings.HasPrefix(n.nodes[0].name, "#") {
		slices.SortStableFunc(n.nodes, func(a, b *node) int { return cmp.Compare(number(a), number(b)) })
	}
	for _, inner := range n.nodes {
		inner.sort()
	}
}

const (
	indent = 3  // columns per level of the tree
	label  = 10 // columns of the label in front of a text
	most   = 12 // lines of an error or a feedback; --json has all of them
)

func (t *trace) text() string {
	if t.Width == 0 {
		t.Width = 120
	}
	i := t.info()
	waiting := 0
	for n := range t.Steps {
		if s := &t.Steps[n]; s.Status == core.Paused && t.answer(s) == nil {
			waiting++
		}
	}
	status := i.State(time.Now())
	switch {
	case i.Status == core.Running:
		status += ": last saved " + i.Saved.Format(time.RFC3339)
		if i.Holder.Executor != "" {
			status += " by " + i.Holder.Executor
		}
	case waiting > 0:
		status += ": waits for " + cli.Plural(int64(waiting), "answer")
	}
	if i.Epoch > 1 {
		status += fmt.Sprintf(" (resumed %s)", cli.Plural(i.Epoch-1, "time"))
	}
	t.block("", "run", cli.Bold, i.Key.String(), 0)
	t.block("", "pipeline", nil, fmt.Sprintf("%s (plan %016x)", i.Pipeline, t.Start.Plan), 0)
	t.block("", "status", statusColour(i.Status), status, 0)
	if o := i.Origin; o.Key.Run != "" {
		t.block("", "forked", nil, fmt.Sprintf("from %s, with its first %s", o.Key, cli.Plural(o.Seq, "record")), 0)
	}
	if i.Error != "" {
		t.block("", "error", cli.Red, i.Error, most)
	}
	t.block("", "started", nil, i.Started.Format(time.RFC3339), 0)
	t.block("", "took", nil, cli.Brief(i.Took()), 0)
	t.block("", "used", nil, used(i), 0)
	if t.states {
		t.block("", "at start", cli.Dim, t.pretty(t.Start.State, label), 0)
	}
	t.b.WriteString("\n")
	root := t.tree()
	t.measure(root, 0)
	t.column = min(t.column, t.Width/2)
	t.nodes(root, "")
	if len(root.nodes) == 0 {
		t.b.WriteString("no saved steps yet\n")
	}
	if t.states {
		t.b.WriteString("\n")
		t.block("", "at end", cli.Dim, t.pretty(t.State, label), 0)
	}
	return t.b.String()
}

// measure determines the width of the tree.
func (t *trace) measure(n *node, depth int) {
	for _, inner := range n.nodes {
		t.column = max(t.column, depth*indent+indent+2+utf8.RuneCountInString(reports.Visible(inner.name)))
		t.measure(inner, depth+1)
	}
}

func (t *trace) nodes(n *node, bars string) {
	for i, inner := range n.nodes {
		corner, bar := "├─ ", "│  "
		if i == len(n.nodes)-1 {
			corner, bar = "└─ ", "   "
		}
		t.node(inner, bars+corner, bars+bar)
		t.nodes(inner, bars+bar)
	}
}

// node writes a node: its line, then its details below its name.
func (t *trace) node(n *node, corner, bars string) {
	name, mark, took := reports.Visible(n.name), "", cli.Brief(n.last.Sub(n.first))
	var colour ansi.Style
	var notes []string
	s := n.step
	var answer *core.AnswerRecord
	switch {
	case s == nil:
		if n.first.IsZero() {
			took = ""
		}
	case s.Status == core.Completed:
		mark, colour = "✓ ", statusColour(core.Completed)
	case s.Status == core.Failed:
		mark, colour = "✗ ", cli.Red
	case s.Status == core.Paused:
		mark, colour, took = "? ", statusColour(core.Paused), ""
		notes = append(notes, "waits for an answer")
		if answer = t.answer(s); answer != nil {
			mark, colour = "✓ ", statusColour(core.Completed)
			notes[0] = "answered after " + cli.Brief(answer.Time.Sub(s.Started))
		}
	}
	if s != nil && s.Attempts > 1 {
		notes = append(notes, cli.Plural(int64(s.Attempts), "attempt"))
	}
	if s != nil && spent(s.Usage) != "" {
		notes = append(notes, spent(s.Usage)[2:])
	}
	if n.exit != nil {
		notes = append(notes, fmt.Sprintf("loop ended after %s: %s", cli.Plural(int64(n.exit.Iterations), "iteration"), reports.Visible(string(n.exit.Reason))))
	}
	under := bars + "  " // prefix of the lines below the name
	if len(n.nodes) > 0 {
		under = bars + "│ "
	}
	line := t.Paint(cli.Dim, corner) + t.Paint(colour, mark) + name
	used := utf8.RuneCountInString(corner + mark + name)
	if note := strings.Join(notes, ", "); took != "" || note != "" {
		line += strings.Repeat(" ", max(0, t.column-used)) + fmt.Sprintf("  %8s", took)
		if note != "" && max(t.column, used)+12+utf8.RuneCountInString(note) <= t.Width {
			line += "  " + note
		} else if note != "" {
			line = strings.TrimRight(line, " ") + "\n" + t.Paint(cli.Dim, under) + note
		}
	}
	t.b.WriteString(line + "\n")
	if s == nil {
		return
	}
	width := utf8.RuneCountInString(under) + label
	if s.Feedback != "" && s.Feedback != s.Error {
		t.block(under, "feedback", nil, s.Feedback, most)
	}
	if s.Error != "" {
		t.block(under, "error", cli.Red, s.Error, most)
	}
	if s.Status == core.Paused {
		t.block(under, "prompt", nil, prompt(s), most)
		t.block(under, "token", nil, s.Token, 0)
		if answer != nil {
			t.block(under, "answer", nil, t.pretty(answer.Answer, width), most)
		}
	}
	if t.outputs && s.Output != nil && s.Status == core.Completed {
		t.block(under, "output", cli.Dim, t.pretty(s.Output, width), 0)
	}
	if t.states && s.State != nil {
		t.block(under, "state", cli.Dim, t.pretty(s.State, width), 0)
	}
}

// block writes a label and a text, wrapped and shortened to limit lines; 0 means no limit.
func (t *trace) block(before, name string, colour ansi.Style, text string, limit int) {
	lines := cli.Wrap(text, t.Width-utf8.RuneCountInString(before)-label)
	if limit > 0 && len(lines) > limit {
		lines = append(lines[:limit-1], fmt.Sprintf("… %d more lines: --json has all", len(lines)-limit+1))
	}
	for i, line := range lines {
		head := fmt.Sprintf("%-*s", label, name)
		if i > 0 {
			head = strings.Repeat(" ", label)
		}
		t.b.WriteString(strings.TrimRight(t.Paint(cli.Dim, before+head)+t.Paint(colour, line), " ") + "\n")
	}
}

// pretty formats JSON on one line if it fits after the first before columns, and indented
// otherwise. Other text is returned unchanged.
func (t *trace) pretty(data []byte, before int) string {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return string(data)
	}
	if utf8.RuneCount(b.Bytes()) > t.Width-before {
		b.Reset()
		_ = json.Indent(&b, data, "", "  ") // valid JSON, because Compact succeeded
	}
	return b.String()
}

type traceJSON struct {
	Version    int                  `json:"version"`
	Database   string               `json:"database"`
	Run        runJSON              `json:"run"`
	Plan       string               `json:"plan"` // 16 hexadecimal digits
	Loops      map[string]core.Exit `json:"loops"`
	StartState any                  `json:"start_state,omitempty"`
	EndState   any                  `json:"end_state,omitempty"`
	Steps      []stepJSON           `json:"steps"`
}

type stepJSON struct {
	Seq      int64      `json:"seq"`
	Path     string     `json:"path"`
	Status   string     `json:"status"`
	Attempts int        `json:"attempts"`
	Started  time.Time  `json:"started"`
	Ended    time.Time  `json:"ended"`
	Took     int64      `json:"took_ns"`
	Calls    int64      `json:"calls"`
	Tokens   int64      `json:"tokens"`
	Cost     int64      `json:"cost"`
	Feedback string     `json:"feedback,omitempty"`
	Error    string     `json:"error,omitempty"`
	Pause    *pauseJSON `json:"pause,omitempty"`
	Output   any        `json:"output,omitempty"`
	State    any        `json:"state,omitempty"`
}

type pauseJSON struct {
	Token    string    `json:"token"`
	Prompt   string    `json:"prompt"`
	Answer   any       `json:"answer,omitempty"`
	Answered time.Time `json:"answered,omitzero"`
}

func (t *trace) json(database string) traceJSON {
	// The engine saves JSON, but another program may have filled the backend with other bytes.
	stored := func(data []byte, wanted bool) any {
		switch {
		case !wanted || data == nil:
			return nil
		case json.Valid(data):
			return json.RawMessage(data)
		}
		return string(data)
	}
	j := traceJSON{Version: 1, Database: database, Run: newRunJSON(t.info()), Plan: fmt.Sprintf("%016x", t.Start.Plan), Loops: t.exits,
		StartState: stored(t.Start.State, t.states), EndState: stored(t.State, t.states), Steps: []stepJSON{}}
	if j.Loops == nil {
		j.Loops = map[string]core.Exit{}
	}
	for i := range t.Steps {
		s := &t.Steps[i]
		step := stepJSON{Seq: s.Seq, Path: s.Path, Status: s.Status.String(), Attempts: s.Attempts, Started: s.Started, Ended: s.Ended,
			Took: int64(s.Ended.Sub(s.Started)), Calls: s.Usage.Calls, Tokens: s.Usage.Tokens, Cost: s.Usage.Cost,
			Feedback: s.Feedback, Error: s.Error, State: stored(s.State, t.states)}
		if s.Status == core.Paused {
			step.Pause = &pauseJSON{Token: s.Token, Prompt: prompt(s)}
			if a := t.answer(s); a != nil {
				step.Pause.Answer, step.Pause.Answered = stored(a.Answer, true), a.Time
			}
		} else {
			step.Output = stored(s.Output, t.outputs)
		}
		j.Steps = append(j.Steps, step)
	}
	return j
}
