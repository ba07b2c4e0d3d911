package stubs_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

func TestTranscriptKeepsTheLastCalls(t *testing.T) {
	agent := stubs.Always[string]("out")
	p := planned(t, agent)
	for _, c := range []struct {
		kept, calls, ask int
		want             []uint64
	}{
		{3, 0, 5, nil}, {3, 2, 5, []uint64{1, 2}}, {3, 3, 5, []uint64{1, 2, 3}}, {3, 7, 5, []uint64{5, 6, 7}}, {3, 7, 2, []uint64{6, 7}},
		{3, 7, -1, nil}, {0, 7, 5, nil}, {-1, 7, 5, nil}, {1, 2, 1, []uint64{2}},
	} {
		b, ctx := sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 9})
		b.Transcript(c.kept)
		for i := range c.calls {
			outcome(agent, ctx, core.Request[string]{Path: "s1", Attempt: i})
		}
		var got []uint64
		for _, call := range b.Calls(c.ask) {
			got = append(got, call.Seq)
			if call.Arm != "a" || call.Path != "s1" || call.Attempt != int(call.Seq)-1 || call.Input != nil || call.At != 0 {
				t.Errorf("%+v: %+v", c, call)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%+v (-want +got):\n%s", c, d)
		}
	}
}

// Without a transcript no inputs are recorded.
func TestRecordInputsWithoutATranscript(t *testing.T) {
	agent := stubs.Outputs[string]("a")
	p, err := core.New("p", core.Step("s", agent, func(s string) string { return s }, func(s *string, out string) { *s = out }))
	if err != nil {
		t.Fatal(err)
	}
	book, err := stubs.Size(p, stubs.Load{Arm: "arm", Rounds: 1, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := book.Transcript(0).RecordInputs().In(t.Context(), "arm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := core.Run(ctx, core.NewEngine(), p, core.RunKey{Run: "r"}, ""); err != nil || len(book.Calls(1)) != 0 {
		t.Errorf("error %v, calls %v", err, book.Calls(1))
	}
}

func TestRecordedInputsAreCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent := stubs.Always[[]string]("out")
		p, err := core.New("p", core.Step("s", agent, func(string) []string { return nil }, func(*string, string) {}))
		if err != nil {
			t.Fatal(err)
		}
		b, ctx := sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 9})
		b.RecordInputs()
		in := []string{"before"}
		time.Sleep(time.Second)
		outcome(agent, ctx, core.Request[[]string]{Path: "s", Input: in})
		in[0] = "after"
		if calls := b.Calls(1); len(calls) != 1 || string(calls[0].Input) != `["before"]` || calls[0].At != time.Second {
			t.Errorf("calls %v", calls)
		}
		b.Transcript(0).RecordInputs()
		outcome(agent, ctx, core.Request[[]string]{Path: "s", Input: in})
		if calls := b.Calls(1); calls != nil {
			t.Errorf("recorded without a transcript: %v", calls)
		}
	})
	// An input that cannot be encoded as JSON is reported.
	agent := stubs.Always[func()]("out")
	p, err := core.New("p", core.Step("s", agent, func(string) func() { return nil }, func(*string, string) {}))
	if err != nil {
		t.Fatal(err)
	}
	b, ctx := sized(t, p, stubs.Load{Arm: "a", Rounds: 1, Batch: 9})
	b.RecordInputs()
	outcome(agent, ctx, core.Request[func()]{Path: "s"})
	if calls := b.Calls(1); string(calls[0].Input) != "cannot be shown: json: unsupported type: func()" {
		t.Errorf("input %s", calls[0].Input)
	}
}
