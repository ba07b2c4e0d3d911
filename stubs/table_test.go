package stubs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// TestBadTables compares the complete errors of all kinds of invalid tables.
func TestBadTables(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"empty":             {"", `line 1: the file is empty: begin it with stubs: 1`},
		"comments only":     {"# nothing\n", `line 1: the file is empty: begin it with stubs: 1`},
		"syntax":            {"stubs: 1\nsteps:\n  a: [\n", `line 3: did not find expected node content`},
		"tab":               {"stubs: 1\nsteps:\n\ta: 1\n", `line 3: found character that cannot start any token`},
		"unclosed quote":    {"stubs: 1\nsteps:\n  a:\n    - say: \"x\n", `line 4: found unexpected end of stream`},
		"bad indentation":   {"stubs: 1\nsteps:\n  a:\n    - say: x\n   b: 1\n", `line 5: did not find expected key`},
		"line 1":            {"}\n", `line 1: did not find expected node content`},
		"contains itself":   {"stubs: 1\nsteps:\n  a:\n    - say: &a [*a]\n", `line 4: anchor 'a' value contains itself`},
		"unknown alias":     {"stubs: 1\nsteps: *x\n", `line 2: unknown anchor 'x' referenced`},
		"not a mapping":     {"- stubs\n", `line 1: a table is a mapping of names to values`},
		"no version":        {"steps:\n  a: [{say: x}]\n", `line 1: it does not begin with stubs: 1, the version of its format`},
		"newer version":     {"# new\nstubs: 2\nscripts: {}\n", `line 2: version 2 of the format, and this program reads version 1: use a newer program`},
		"version is text":   {"stubs: one\n", `line 1: stubs is a whole number from 1 on`},
		"version 0":         {"stubs: 0\n", `line 1: stubs is a whole number from 1 on`},
		"two documents":     {"stubs: 1\nsteps:\n  a: [{say: x}]\n---\nstubs: 1\n", `line 4: a second document begins: keep one`},
		"bad second":        {"stubs: 1\nsteps:\n  a: [{say: x}]\n---\n]\n", `line 5: did not find expected node content`},
		"unknown top field": {"stubs: 1\nstep: {}\n", `line 2: unknown field "step": it may be stubs, steps`},
		"no steps":          {"stubs: 1\n", `line 1: it has no steps: add the paths of the plan with their replies`},
		"steps is a list":   {"stubs: 1\nsteps:\n  - a\n", `line 3: steps is a mapping of names to values`},
		"duplicate step":    {"stubs: 1\nsteps:\n  a:\n    - say: x\n  a: [{say: y}]\n", `line 5: "a" is given twice: it was on line 3 before`},
		"duplicate field":   {"stubs: 1\nsteps:\n  a:\n    - say: x\n      times: 2\n      say: y\n", `line 6: "say" is given twice: it was on line 4 before`},
		"duplicate in say":  {"stubs: 1\nsteps:\n  a:\n    - say:\n        x: 1\n        x: 2\n", `line 6: mapping key "x" already defined at line 5`},
		"key is a list":     {"stubs: 1\nsteps:\n  ? [a]\n  : x\n", `line 3: a name is a text`},
		"step without list": {"stubs: 1\nsteps:\n  a: x\n", `line 3: step "a" is a list with at least one entry`},
		"empty step":        {"stubs: 1\nsteps:\n  a: []\n", `line 3: step "a" is a list with at least one entry`},
		"null step":         {"stubs: 1\nsteps:\n  a:\n", `line 3: step "a" is a list with at least one entry`},
		"null entry":        {"stubs: 1\nsteps:\n  a:\n    - say: x\n    -\n", `line 5: a reply is a mapping of names to values`},
		"scalar entry":      {"stubs: 1\nsteps:\n  a:\n    - x\n", `line 4: a reply is a mapping of names to values`},
		"unknown field": {"stubs: 1\nsteps:\n  a:\n    - say: x\n      tims: 2\n",
			`line 5: unknown field "tims": it may be say, draw, fail, rate_limit, malformed, stream, panic, hang, replies, break_at, times, after, tokens, cost, tools, expect, expect_text, case, cycle, allow_leftovers`},
		"no answer":        {"stubs: 1\nsteps:\n  a:\n    - times: 2\n", `line 4: the entry has no reply: give it one of say, draw, fail, rate_limit, malformed, stream, panic, hang, replies`},
		"two answers":      {"stubs: 1\nsteps:\n  a:\n    - say: x\n      fail: y\n", `line 5: fail in addition to say: an entry has only one of say, draw, fail, rate_limit, malformed, stream, panic, hang, replies`},
		"times is text":    {"stubs: 1\nsteps:\n  a:\n    - say: x\n      times: many\n", `line 5: times is a whole number from 1 to 1000000`},
		"times is 0":       {"stubs: 1\nsteps:\n  a:\n    - say: x\n      times: 0\n", `line 5: times is a whole number from 1 to 1000000`},
		"too many times":   {"stubs: 1\nsteps:\n  a:\n    - {say: x, times: 1000001}\n", `line 4: times is a whole number from 1 to 1000000`},
		"negative cost":    {"stubs: 1\nsteps:\n  a:\n    - {say: x, cost: -1}\n", `line 4: cost is a whole number from 0 on`},
		"tokens 1.5":       {"stubs: 1\nsteps:\n  a:\n    - {say: x, tokens: 1.5}\n", `line 4: tokens is a whole number from 0 on`},
		"fail is a list":   {"stubs: 1\nsteps:\n  a:\n    - fail:\n        - x\n", `line 5: fail is a text`},
		"fail is odd":      {"stubs: 1\nsteps:\n  a:\n    - fail: {text: x, kind: y}\n", `line 4: unknown field "kind": it may be text, code, error`},
		"fail is empty":    {"stubs: 1\nsteps:\n  a:\n    - fail: {}\n", `line 4: fail has a text, a code, or an error of Table.Define`},
		"fail has both":    {"stubs: 1\nsteps:\n  a:\n    - fail:\n        code: x\n        error: y\n", `line 5: fail has a code and an error: give one of the two`},
		"empty code":       {"stubs: 1\nsteps:\n  a:\n    - fail:\n        code: ''\n", `line 5: code is empty`},
		"draw is a map":    {"stubs: 1\nsteps:\n  a:\n    - draw: {x: y}\n", `line 4: draw is a list of outputs, or the name of a function of Table.Define`},
		"draw of nothing":  {"stubs: 1\nsteps:\n  a:\n    - draw: []\n", `line 4: draw is a list with at least one entry`},
		"draw no number":   {"stubs: 1\nsteps:\n  a:\n    - draw:\n        - 1\n        - .inf\n", `line 6: draw cannot be written as JSON: json: unsupported value: +Inf`},
		"tools is text":    {"stubs: 1\nsteps:\n  a:\n    - say: x\n      tools: search\n", `line 5: tools is a list with at least one entry`},
		"tool is a map":    {"stubs: 1\nsteps:\n  a:\n    - say: x\n      tools: [{a: b}]\n", `line 5: a part of tools is a text`},
		"two expectations": {"stubs: 1\nsteps:\n  a:\n    - say: x\n      expect: y\n      expect_text: y\n", `line 6: expect_text next to expect: give one of the two`},
		"expects nothing":  {"stubs: 1\nsteps:\n  a:\n    - say: x\n      expect_text: ''\n", `line 5: expect_text is empty: give a text that the input must contain, or omit it`},
		"tools of a case":  {"stubs: 1\nsteps:\n  a:\n    - replies: [{say: x}]\n      tools: [a]\n", `line 5: tools does not belong to an entry with replies`},
		"fail as a list":   {"stubs: 1\nsteps:\n  a:\n    - fail: [x]\n", `line 4: fail is a text`},
		"hang is text":     {"stubs: 1\nsteps:\n  a:\n    - hang: long\n", `line 4: hang is true or false`},
		"hang is false":    {"stubs: 1\nsteps:\n  a:\n    - hang: false\n", `line 4: hang must be true or omitted`},
		"rate limit":       {"stubs: 1\nsteps:\n  a:\n    - rate_limit: 2\n", `line 4: rate_limit is a duration, for example 10ms or 2s`},
		"after is text":    {"stubs: 1\nsteps:\n  a:\n    - say: x\n      after: soon\n", `line 5: after is a duration, for example 10ms or 2s`},
		"after is below":   {"stubs: 1\nsteps:\n  a:\n    - say: x\n      after: [1ms, -1ms]\n", `line 5: a part of after is a duration, for example 10ms or 2s`},
		"after is empty":   {"stubs: 1\nsteps:\n  a:\n    - say: x\n      after: []\n", `line 5: after is a list with at least one entry`},
		"after, unknown":   {"stubs: 1\nsteps:\n  a:\n    - say: x\n      after: {mean: 1ms}\n", `line 5: unknown field "mean": it may be median, sigma`},
		"after, half":      {"stubs: 1\nsteps:\n  a:\n    - say: x\n      after: {median: 1ms}\n", `line 5: after has a median and a sigma, for example {median: 10ms, sigma: 0.5}`},
		"sigma":            {"stubs: 1\nsteps:\n  a:\n    - say: x\n      after:\n        median: 1ms\n        sigma: .nan\n", `line 7: sigma is a number from 0 to 10`},
		"break_at":         {"stubs: 1\nsteps:\n  a:\n    - stream: [a, b]\n      break_at: 2\n", `line 5: break_at is 2, and its stream has 2 chunks: give the number of a chunk, from 0`},
		"break_at, below":  {"stubs: 1\nsteps:\n  a:\n    - stream: [a, b]\n      break_at: -1\n", `line 5: break_at is a whole number from 0 on`},
		"break_at of say":  {"stubs: 1\nsteps:\n  a:\n    - say: a\n      break_at: 0\n", `line 5: break_at is 0, and its stream has 0 chunks: give the number of a chunk, from 0`},
		"stream is text":   {"stubs: 1\nsteps:\n  a:\n    - stream: abc\n", `line 4: stream is a list with at least one entry`},
		"not a number":     {"stubs: 1\nsteps:\n  a:\n    - say: .nan\n", `line 4: say cannot be written as JSON: json: unsupported value: NaN`},
		"name is number":   {"stubs: 1\nsteps:\n  a:\n    - say: {x: {1: y}}\n", `line 4: say has a name that is not a text: put it in quotes`},
		"case alone":       {"stubs: 1\nsteps:\n  a:\n    - say: x\n      case: y\n", `line 5: case does not belong to an entry with say`},
		"times of a case":  {"stubs: 1\nsteps:\n  a:\n    - replies: [{say: x}]\n      times: 2\n", `line 5: times does not belong to an entry with replies`},
		"cases and plain": {"stubs: 1\nsteps:\n  a:\n    - case: u\n      replies: [{say: x}]\n    - say: y\n",
			`line 6: cases mixed with plain replies: put the plain ones into an entry with replies and without case, after the cases`},
		"no replies":      {"stubs: 1\nsteps:\n  a:\n    - case: u\n      replies: []\n", `line 5: replies is a list with at least one entry`},
		"nested replies":  {"stubs: 1\nsteps:\n  a:\n    - replies:\n        - replies: [{say: x}]\n", `line 5: replies within replies: a case has plain ones`},
		"unreachable":     {"stubs: 1\nsteps:\n  a:\n    - replies: [{say: x}]\n    - case: u\n      replies: [{say: y}]\n", `line 5: the entry before has no case and matches every input: put it last`},
		"first of fields": {"stubs: 1\nsteps:\n  a:\n    - say: x\n      times: 0\n      tokens: -1\n      cost: -1\n      after: soon\n", `line 5: times is a whole number from 1 to 1000000`},
		"first of two":    {"stubs: 1\nsteps:\n  b: [{say: x, n: 1}]\n  a: [{say: x, n: 1}]\n", `line 3: unknown field "n": it may be say, draw, fail, rate_limit, malformed, stream, panic, hang, replies, break_at, times, after, tokens, cost, tools, expect, expect_text, case, cycle, allow_leftovers`},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // the error must be the same every time
				_, err := stubs.ParseTable("t.yaml", []byte(c.yaml))
				if want := "read scripts t.yaml: " + c.want; err == nil || err.Error() != want {
					t.Fatalf("%s\nerror %v\nwant  %s", c.yaml, err, want)
				}
			}
		})
	}
}

func TestTableThatDoesNotFitItsStep(t *testing.T) {
	type out struct{ Title string }
	table, err := stubs.ParseTable("t.yaml", []byte(`stubs: 1
steps:
  number: [{say: 5}]
  field:
    - say: {title: ok}
    - times: 2
      say:
        title: a
        body: b
  stream:
    - case: x
      replies:
        - stream: [a]
`))
	if err != nil {
		t.Fatal(err)
	}
	for step, want := range map[string]string{
		"number": `scripts t.yaml: line 3: say does not fit stubs_test.out: json: cannot unmarshal number into Go value of type stubs_test.out`,
		"field":  `scripts t.yaml: line 8: say does not fit stubs_test.out: json: unknown field "body"`,
		"stream": `scripts t.yaml: line 13: stream gives a text, not stubs_test.out: json: cannot unmarshal string into Go value of type stubs_test.out`,
		"nope":   `scripts t.yaml: no step "nope": it has ["field" "number" "stream"]`,
	} {
		if _, err := stubs.FromTable[string, out](table, step); err == nil || err.Error() != want {
			t.Errorf("error %v\nwant  %s", err, want)
		}
	}
	missing := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := stubs.LoadTable(missing); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Every kind of reply does the same in a table as in Go.
func TestTableIsAsGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.yaml")
	if err := os.WriteFile(path, []byte(`stubs: 1
steps:
  s1:
    - &hello {say: hello, times: 2, after: 1ns, tokens: 3, cost: 4}
    - fail: down
    - rate_limit: 1ns
    - malformed: '{"a'
    - stream: [a, b]
    - {stream: [a, b], break_at: 1}
    - {stream: [a, b], break_at: 0}
    - panic: boom
    - say: 2024-01-02           # a text, not a time
    - {say: x, after: [1ns, 2ns]}
    - {say: x, after: {median: 1ns, sigma: 0.5}}
    - *hello
    - fail: &day 2024-01-03
    - say: *day
`), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := stubs.LoadTable(path)
	if err != nil {
		t.Fatal(err)
	}
	fromYAML, err := stubs.FromTable[string, string](table, "s1")
	if err != nil {
		t.Fatal(err)
	}
	hello := stubs.Say("hello").Times(2).After(stubs.Fixed(1)).Using(3, 4)
	fromGo := stubs.Script[string](hello, stubs.Fail[string](errors.New("down")), stubs.RateLimited[string](1), stubs.Malformed[string](`{"a`),
		stubs.Stream[string]("a", "b"), stubs.Stream[string]("a", "b").BreakAt(1), stubs.Stream[string]("a", "b").BreakAt(0), stubs.Panic[string]("boom"), stubs.Say("2024-01-02"),
		stubs.Say("x"), stubs.Say("x"), hello, stubs.Fail[string](errors.New("2024-01-03")), stubs.Say("2024-01-03"))
	took := func(agent core.Agent[string, string]) []string {
		b, ctx := sized(t, planned(t, agent), stubs.Load{Arm: "a", Rounds: 1, Batch: 16})
		var did []string
		for range 17 {
			did = append(did, outcome(agent, ctx, core.Request[string]{Run: core.RunKey{Run: "r"}, Path: "s1"}))
		}
		if err := b.Verify(); err == nil {
			t.Error("the 17th call must fail")
		}
		return did
	}
	want := []string{`"hello"`, `"hello"`, `down`, `rate limited: retry after 1ns`, `malformed output "{\"a": unexpected end of JSON input`,
		`"ab"`, `stream broke at chunk 1, after "a"`, `stream broke at chunk 0, after ""`, `panic: boom`, `"2024-01-02"`, `"x"`, `"x"`, `"hello"`, `"hello"`, `2024-01-03`, `"2024-01-03"`}
	yaml := took(fromYAML)
	if d := cmp.Diff(want, yaml[:16]); d != "" {
		t.Errorf("from YAML (-want +got):\n%s", d)
	}
	if d := cmp.Diff(took(fromGo), yaml); d != "" {
		t.Errorf("(-Go +YAML):\n%s", d)
	}
}

func TestTableCases(t *testing.T) {
	table, err := stubs.ParseTable("t.yaml", []byte(`stubs: 1
steps:
  s1:
    - {case: "<b>", replies: [{say: bold}], cycle: true}
    - {case: '"Kind":"u"', replies: [{say: urgent, times: 5}], allow_leftovers: true}
    - {replies: [{say: one}, {say: two}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	type in struct{ Kind string }
	agent, err := stubs.FromTable[in, string](table, "s1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := core.New("p", core.Step("s1", agent, func(in) in { return in{} }, func(*in, string) {}))
	if err != nil {
		t.Fatal(err)
	}
	b, ctx := sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 6})
	var got []string
	for _, kind := range []string{"a<b>", "u", "n", "<b>", "u", "n"} {
		got = append(got, outcome(agent, ctx, core.Request[in]{Input: in{kind}, Run: core.RunKey{Run: "r"}, Path: "s1"}))
	}
	if d := cmp.Diff([]string{`"bold"`, `"urgent"`, `"one"`, `"bold"`, `"urgent"`, `"two"`}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
}

func FuzzParseTable(f *testing.F) {
	for _, seed := range []string{"", "stubs: 1", "stubs: 2\nx: y", "stubs: 1\nsteps:\n  a: [{say: {x: [1, 2.5, 2024-01-01]}, times: 2, after: 1ms}]",
		"stubs: 1\nsteps:\n  a: &a [{stream: [a, b], break_at: 1}]\n  b: *a", "stubs: 1\nsteps:\n  a: [{case: x, replies: [{hang: true}], cycle: true}]",
		"stubs: 1\nsteps: &a\n  a: *a", "stubs: 1\n---\n", "a: [", "stubs: 1\nsteps:\n  a: [{say: &a [*a]}]", "<<: {stubs: 1}", "stubs: 1\nsteps:\n  a: [{draw: [1, x]}, {draw: f, tools: [t]}, {fail: {text: x, code: y}, expect: {a: 1}}, {fail: {error: timeout}, expect_text: z, times: 3}]",
		"? a\n: b", "stubs: 1\nsteps:\n  a:\n  -"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := stubs.ParseTable("t.yaml", data)
		if err != nil {
			if text, ok := strings.CutPrefix(err.Error(), "read scripts t.yaml: line "); !ok || strings.HasPrefix(text, "0:") {
				t.Errorf("no line: %v", err)
			}
			return
		}
		if _, err := stubs.FromTable[string, any](table, "a"); err != nil && !strings.HasPrefix(err.Error(), "scripts t.yaml: ") {
			t.Errorf("no file: %v", err)
		}
	})
}

type outOfCalls struct{ Left int }

func (e *outOfCalls) Error() string { return fmt.Sprint("calls left: ", e.Left) }

// Errors with types and codes, tools, drawn outputs and expectations do the same as in Go.
func TestTableHasWhatGoHas(t *testing.T) {
	type in struct{ Topic string }
	table, err := stubs.ParseTable("t.yaml", []byte(`stubs: 1
steps:
  s:
    - {say: one, expect: {Topic: saves}, tools: [search, store]}
    - {draw: [a, b, c], times: 20, expect_text: saves}
    - {draw: dice}
    - fail: {text: no more, code: quota exceeded}
    - fail: {code: quota exceeded}
    - fail: {error: calls}
    - fail: {text: ask, error: calls}
    - fail: {error: timeout}
    - {say: last, tools: [broken]}
`))
	if err != nil {
		t.Fatal(err)
	}
	var did []string
	tool := func(name string, err error) func(context.Context) error {
		return func(context.Context) error { did = append(did, name); return err }
	}
	denied := errors.New("denied")
	table.Define("search", tool("search", nil)).Define("store", tool("store", nil)).Define("broken", tool("broken", denied)).
		Define("calls", &outOfCalls{3}).Define("dice", func(n *stubs.Numbers) string { return fmt.Sprint("die ", n.IntN(6)+1) })
	agent, err := stubs.FromTable[in, string](table, "s")
	if err != nil {
		t.Fatal(err)
	}
	play := func() (outs []string, errs []error) {
		ctx := stubs.ForTest(t)
		for range 28 {
			out, err := agent.Call(ctx, core.Request[in]{Input: in{"saves"}})
			outs, errs = append(outs, out), append(errs, err)
		}
		return outs, errs
	}
	outs, errs := play()
	again, _ := play()
	if fmt.Sprint(did) != "[search store broken search store broken]" || outs[0] != "one" {
		t.Errorf("%v %q", did, outs)
	}
	drawn := map[string]bool{}
	for _, out := range outs[1:21] {
		drawn[out] = true
	}
	if len(drawn) != 3 || !drawn["a"] || !strings.HasPrefix(outs[21], "die ") || cmp.Diff(outs, again) != "" {
		t.Errorf("drawn %q, and again %q", outs, again)
	}
	var typed *outOfCalls
	for i, want := range map[int]struct {
		text string
		is   error
	}{22: {"no more: quota exceeded", core.Code("quota exceeded")}, 23: {"quota exceeded", core.Code("quota exceeded")}, 24: {"calls left: 3", nil},
		25: {"ask: calls left: 3", nil}, 26: {context.DeadlineExceeded.Error(), context.DeadlineExceeded}, 27: {`tool "broken": denied`, denied}} {
		if errs[i] == nil || errs[i].Error() != want.text || want.is != nil && !errors.Is(errs[i], want.is) || (i == 24 || i == 25) && (!errors.As(errs[i], &typed) || typed.Left != 3) {
			t.Errorf("call %d: %v, want %s", i+1, errs[i], want.text)
		}
	}
	fake := &fakeT{ctx: t.Context()}
	ctx := stubs.ForTest(fake)
	for i, want := range []string{"had another input than expected", `unexpected input: it does not contain "saves", which line 5 of t.yaml expects`} {
		if _, err := agent.Call(ctx, core.Request[in]{Input: in{"other"}}); err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, core.ErrHarness) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	if said := fake.end(); !strings.Contains(said, "does not contain") {
		t.Errorf("in the end %q", said)
	}
}

func TestNamesOfTables(t *testing.T) {
	for yaml, want := range map[string]string{
		"fail: {error: none}":               `line 4: "none" is not defined: define it with Define, before FromTable`,
		"fail: {error: tool}":               `line 4: Define gives "tool" the type func(context.Context) error, and here it must be of type error`,
		"draw: tool":                        `line 4: Define gives "tool" the type func(context.Context) error, and here it must be of type func(*rand.Rand) string`,
		"draw: number":                      `line 4: Define gives "number" the type func(*rand.Rand) int, and here it must be of type func(*rand.Rand) string`,
		"say: x\n      tools: [tool, none]": `line 5: "none" is not defined: define it with Define, before FromTable`,
		"say: x\n      tools: [error]":      `line 5: Define gives "error" the type *stubs_test.outOfCalls, and here it must be of type func(context.Context) error`,
		"draw: [a, 5]":                      `line 4: draw does not fit string: json: cannot unmarshal number into Go value of type string`,
		"say: x\n      expect: {a: 1}":      `line 5: expect does not fit string: json: cannot unmarshal object into Go value of type string`,
	} {
		table, err := stubs.ParseTable("t.yaml", []byte("stubs: 1\nsteps:\n  a:\n    - "+yaml+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		table.Define("tool", func(context.Context) error { return nil }).Define("error", &outOfCalls{}).Define("number", func(*stubs.Numbers) int { return 1 })
		if _, err := stubs.FromTable[string, string](table, "a"); err == nil || err.Error() != "scripts t.yaml: "+want {
			t.Errorf("%s\nerror %v\nwant  %s", yaml, err, want)
		}
	}
}

// Steps and cases that are not used are reported with their lines.
func TestUnaskedStepsOfTables(t *testing.T) {
	table, err := stubs.ParseTable("t.yaml", []byte(`stubs: 1
steps:
  used: [{say: x}]
  forgotten:
    - say: x
  uncalled:
    - say: x
  cases:
    - {case: urgent, replies: [{say: x}]}
    - {case: late, replies: [{say: x}]}
    - replies: [{say: x}]
`))
	if err != nil {
		t.Fatal(err)
	}
	ctx := stubs.ForTest(t)
	for _, step := range []string{"used", "uncalled", "cases"} {
		agent, err := stubs.FromTable[string, string](table, step)
		if err != nil {
			t.Fatal(err)
		}
		if step != "uncalled" {
			if _, err := agent.Call(ctx, core.Request[string]{Path: step, Input: "urgent"}); err != nil {
				t.Error(err)
			}
		}
	}
	err = table.Verify()
	var got []string
	for line := range strings.Lines(fmt.Sprint(err)) {
		text, _, _ := strings.Cut(line, " was not used")
		got = append(got, text)
	}
	if d := cmp.Diff([]string{`scripts t.yaml: line 5: step "forgotten"`, `scripts t.yaml: line 7: step "uncalled"`, `scripts t.yaml: line 10: step "cases", case "late",`, `scripts t.yaml: line 11: step "cases"`}, got); d != "" || !errors.Is(err, core.ErrHarness) {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}
