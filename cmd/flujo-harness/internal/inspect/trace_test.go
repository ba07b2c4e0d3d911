package inspect

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/reports/render"
)

// names returns the names of a tree in pre-order.
func names(n *node) (all []string) {
	for _, inner := range n.nodes {
		all = append(all, inner.name)
		for _, name := range names(inner) {
			all = append(all, inner.name+" "+name)
		}
	}
	return all
}

func TestTreeOfPaths(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	tr := &trace{exits: map[string]core.Exit{"outer#2/inner": {Reason: core.ExitMax, Iterations: 3}}}
	for i, path := range []string{"b", "items#2/score", "items#10/score", "items#1/score", "outer#2/inner#1/a", "a"} {
		tr.Steps = append(tr.Steps, core.StepRecord{Path: path, Started: at(int64(10 - i)), Ended: at(int64(20 + i))})
	}
	root := tr.tree()
	want := []string{"b", "items", "items #1", "items #1 score", "items #2", "items #2 score", "items #10", "items #10 score",
		"outer", "outer #2", "outer #2 inner", "outer #2 inner #1", "outer #2 inner #1 a", "a"}
	if d := cmp.Diff(want, names(root)); d != "" {
		t.Errorf("nodes (-want +got):\n%s", d)
	}
	items, inner := root.named["items"], root.named["outer"].named["#2"].named["inner"]
	if got := items.last.Sub(items.first); got != 16*time.Second {
		t.Errorf("items took %v, want 16s from the first start to the last end", got)
	}
	if inner.exit == nil || inner.exit.Iterations != 3 {
		t.Errorf("exit of the inner loop: %+v", inner.exit)
	}
}

func TestWrap(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"", ""},
		{"one line\n", "one line"},
		{"words that go on and on and on", "words that go on and|on and on"},
		{"a\r\n\tb\x1b", `a|    b\x1b`},
		{strings.Repeat("x", 45), strings.Repeat("x", 20) + "|" + strings.Repeat("x", 20) + "|xxxxx"},
		{strings.Repeat("x", 20), strings.Repeat("x", 20)},
		{strings.Repeat("é", 21), strings.Repeat("é", 20) + "|é"},
	} {
		if got := strings.Join(cli.Wrap(tc.text, 20), "|"); got != tc.want {
			t.Errorf("%q: %s, want %s", tc.text, got, tc.want)
		}
	}
}

func TestFigures(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{cli.Grouped(0), "0"}, {cli.Grouped(999), "999"}, {cli.Grouped(1000), "1,000"}, {cli.Grouped(-123), "-123"}, {cli.Grouped(-1234567), "-1,234,567"},
		{cli.Money(0), "0"}, {cli.Money(1), "0.000001"}, {cli.Money(2_500_000), "2.5"},
		{cli.Brief(0), "0s"}, {cli.Brief(95 * time.Microsecond), "95µs"}, {cli.Brief(1234567 * time.Nanosecond), "1.23ms"}, {cli.Brief(9987 * time.Millisecond), "9.99s"},
		{cli.Brief(83*time.Second + 400*time.Millisecond), "1m23s"}, {cli.Brief(7381 * time.Second), "2h3m"}, {cli.Brief(-2 * time.Second), "-2s"},
		{cli.Plural(1, "step"), "1 step"}, {cli.Plural(2, "step"), "2 steps"}, {cli.Cut("abc", 2), "a…"}, {cli.Cut("abc", 3), "abc"}, {cli.Cut("abc", 0), "abc"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s, want %s", tc.got, tc.want)
		}
	}
}

// Colours do not change the alignment of lines.
func TestColoursTakeNoRoom(t *testing.T) {
	tr := func(s render.Screen) string {
		tr := &trace{Screen: s}
		tr.Start.Key.Run, tr.Status = "r", core.Failed
		tr.Steps = []core.StepRecord{{Path: "a#1/b", Status: core.Completed, Attempts: 2}, {Path: "c", Status: core.Failed, Error: "no"}}
		return tr.text()
	}
	plain, coloured := tr(render.Screen{Width: 80}), tr(render.Screen{Width: 80, Color: true})
	for _, code := range []string{"\x1b[m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m"} {
		if !strings.Contains(coloured, code) {
			t.Errorf("no %q", code)
		}
		coloured = strings.ReplaceAll(coloured, code, "")
	}
	if d := cmp.Diff(plain, coloured); d != "" {
		t.Errorf("(-plain +coloured):\n%s", d)
	}
}
