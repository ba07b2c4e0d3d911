package stubs_test

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// TestMessages compares the complete text of every error.
func TestMessages(t *testing.T) {
	calls := []stubs.Call{
		{Seq: 1, Arm: "with", Run: core.RunKey{Tenant: "t", Run: "r"}, Path: "l#1/draft", Attempt: 1},
		{Seq: 2, Arm: "with", Run: core.RunKey{Run: "q"}, Path: "draft", Attempt: 2, At: time.Second, Input: []byte(`{"a":1}`)},
	}
	for _, c := range []struct {
		err     error
		want    string
		harness bool
	}{
		{&stubs.ExhaustedError{Step: "draft", Scope: `arm "with"`, Have: 11, Asked: 12, Formula: "(2 warm-ups + 10 rounds x 1 runs) x 1 calls a run = 12, less 1 removed", Calls: calls},
			`script of step "draft" in arm "with" ran dry: it has 11 outputs and output 12 was asked for; sized as (2 warm-ups + 10 rounds x 1 runs) x 1 calls a run = 12, less 1 removed. ` +
				`More runs or calls were made than planned: size the book from the load that is run, with Resumes if runs are interrupted. ` +
				`Before it: call 1: l#1/draft of run "t/r" in arm "with", attempt 1; call 2: draft of run "q" in arm "with", attempt 2, input {"a":1}`, true},
		{&stubs.ExhaustedError{Step: "draft", Scope: `arm "with", run "r"`, Have: 1, Asked: 2, Formula: "1 replies for each run, written out", PerRun: true},
			`script of step "draft" in arm "with", run "r" ran dry: it has 1 outputs and output 2 was asked for; sized as 1 replies for each run, written out. ` +
				`The run called more often than there are replies: add replies, give one Times, or let the script Cycle`, true},
		{&stubs.UnscriptedError{Step: "draft", Problem: "it was called outside a book: run under the context of Book.In"},
			`step "draft" has no script: it was called outside a book: run under the context of Book.In`, true},
		{&stubs.LeftoverError{Step: "draft", Scope: `arm "with"`, Asked: 2, Least: 3, Formula: "(0 warm-ups + 3 rounds x 1 runs) x 2 calls a run = 6"},
			`script of step "draft" in arm "with" was asked for 2 outputs, but the planned runs need at least 3; sized as (0 warm-ups + 3 rounds x 1 runs) x 2 calls a run = 6. ` +
				`Fewer runs or calls were made than planned: make them, plan fewer, or mark the step Optional if its agent is not scripted or is cached`, true},
		{&stubs.LeftoverError{Step: "draft", Scope: `arm "with", run "r"`, Asked: 2, Least: 3, Formula: "3 replies for each run, written out", PerRun: true},
			`script of step "draft" in arm "with", run "r" was asked for 2 outputs, but the script has at least 3; sized as 3 replies for each run, written out. ` +
				`The run left the others unread: remove them, or AllowLeftovers`, true},
		{&stubs.InputError{Step: "draft", Scope: `arm "with", run "r"`, Call: 2, Diff: "-a\n+b\n"},
			"call 2 of step \"draft\" in arm \"with\", run \"r\" had another input than expected (-want +got):\n-a\n+b", true},
		{&stubs.RateLimitError{After: 2 * time.Second}, `rate limited: retry after 2s`, false},
		{&stubs.MalformedError{Raw: `{"a`, Err: io.ErrUnexpectedEOF}, `malformed output "{\"a": unexpected EOF`, false},
		{&stubs.StreamError{Chunk: 2, Got: "ab"}, `stream broke at chunk 2, after "ab"`, false},
		{&stubs.ToolError{Tool: "search", Err: io.ErrUnexpectedEOF}, `tool "search": unexpected EOF`, false},
	} {
		if c.err.Error() != c.want {
			t.Errorf("%T:\n%s\nwant\n%s", c.err, c.err, c.want)
		}
		if errors.Is(c.err, core.ErrHarness) != c.harness {
			t.Errorf("%T: a fault of the harness: %v, want %v", c.err, !c.harness, c.harness)
		}
	}
}

// TestVerifySaysAll compares what Verify returns for a book with every kind of fault, as it is read
// at the end of a test: first the swallowed errors, then the leftovers.
func TestVerifySaysAll(t *testing.T) {
	expecting := stubs.Outputs[string]("out", "out").Expect("question")
	never := stubs.Always[string]("out")
	p := planned(t, expecting, never)
	b, ctx := sized(t, p, stubs.Load{Arm: "with", Rounds: 1, Batch: 1})
	ask := func(agent core.Agent[string, string], run, path, in string) {
		outcome(agent, ctx, core.Request[string]{Run: core.RunKey{Run: run}, Path: path, Input: in, Attempt: 1})
	}
	ask(expecting, "r", "s1", "answer")
	ask(never, "r", "s3", "")
	ask(expecting, "q", "s1", "question")
	ask(expecting, "q", "s1", "question")
	want := `call 1 of step "s1" in arm "with", run "r" had another input than expected (-want +got):
  string(
- 	"question",
+ 	"answer",
  )
step "s3" has no script: the book of arm "with" has no script for it: size the book from the pipeline that is run
script of step "s1" in arm "with" ran dry: it has 2 outputs and output 3 was asked for; sized as (0 warm-ups + 1 rounds x 1 runs) x 2 calls a run = 2. More runs or calls were made than planned: size the book from the load that is run, with Resumes if runs are interrupted. Before it: call 1: s1 of run "r" in arm "with", attempt 1; call 2: s1 of run "q" in arm "with", attempt 1
script of step "s2" in arm "with" was asked for 0 outputs, but the planned runs need at least 1; sized as (0 warm-ups + 1 rounds x 1 runs) x 2 calls a run = 2. Fewer runs or calls were made than planned: make them, plan fewer, or mark the step Optional if its agent is not scripted or is cached
script of step "s1" in arm "with", run "q" was asked for 1 outputs, but the script has at least 2; sized as 2 replies for each run, written out. The run left the others unread: remove them, or AllowLeftovers
script of step "s1" in arm "with", run "r" was asked for 1 outputs, but the script has at least 2; sized as 2 replies for each run, written out. The run left the others unread: remove them, or AllowLeftovers`
	// In different processes go-cmp uses different kinds of spaces.
	if d := cmp.Diff(want, strings.ReplaceAll(b.Verify().Error(), "\u00a0", " ")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestRefusals compares the complete errors of Size, In, Remove and Optional.
func TestRefusals(t *testing.T) {
	p := planned(t, stubs.Always[string]("out"))
	size := func(loads ...stubs.Load) error {
		_, err := stubs.Size(p, loads...)
		return err
	}
	b, _ := sized(t, p, stubs.Load{Arm: "a", Warmups: 1})
	_, unknown := b.In(t.Context(), "b")
	for _, c := range []struct {
		err  error
		want string
	}{
		{size(), `size scripts: no load: set how often each arm runs`},
		{size(stubs.Load{Rounds: 1, Batch: 1}), `size scripts: load {Arm: Warmups:0 Rounds:1 Batch:1 Resumes:0}: an arm needs a name`},
		{size(stubs.Load{Arm: "a", Rounds: 1}), `size scripts: load {Arm:a Warmups:0 Rounds:1 Batch:0 Resumes:0}: an arm needs at least one run`},
		{size(stubs.Load{Arm: "a", Warmups: -1, Rounds: 9, Batch: 9}), `size scripts: load {Arm:a Warmups:-1 Rounds:9 Batch:9 Resumes:0}: numbers are 0 or more`},
		{size(stubs.Load{Arm: "a", Rounds: 1 << 40, Batch: 1 << 40}), `size scripts: load {Arm:a Warmups:0 Rounds:1099511627776 Batch:1099511627776 Resumes:0}: these are more runs than can be counted: plan less`},
		{size(stubs.Load{Arm: "a", Warmups: 1, Resumes: math.MaxInt}), `size scripts: load {Arm:a Warmups:1 Rounds:0 Batch:0 Resumes:9223372036854775807}: these are more runs than can be counted: plan less`},
		{size(stubs.Load{Arm: "a", Warmups: 1 << 52}), `size scripts: load {Arm:a Warmups:4503599627370496 Rounds:0 Batch:0 Resumes:0}: 4503599627370496 runs x 2 calls of step "s1" are more than can be counted: plan less`},
		{size(stubs.Load{Arm: "a", Warmups: 1}, stubs.Load{Arm: "a", Warmups: 1}), `size scripts: arm "a" is given twice`},
		{unknown, `scripts: no arm "b": the book has [a]`},
		{b.Remove("a", "nope", 1), `scripts: no step "nope" in arm "a"`},
		{b.Remove("b", "s1", 1), `scripts: no step "s1" in arm "b"`},
		{b.Remove("a", "s1", 3), `scripts: 3 outputs cannot be removed from the 2 of step "s1" in arm "a"`},
		{b.Remove("a", "s1", -1), `scripts: -1 outputs cannot be removed from the 2 of step "s1" in arm "a"`},
		{b.Optional("nope"), `scripts: no step "nope" in arm "a"`},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("error %v\nwant  %s", c.err, c.want)
		}
	}
}
