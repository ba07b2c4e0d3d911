package stubs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/stubs"
)

// A small file that expands to a huge table is refused quickly.
func TestTableBombsAreRefused(t *testing.T) {
	// Each of n anchors is a list of n aliases of the previous one, n to the power of depth in
	// total.
	aliases := func(depth, n int) string {
		var b strings.Builder
		b.WriteString("stubs: 1\nsteps:\n  a:\n    - say:\n      - &a0 x\n")
		for i := range depth {
			fmt.Fprintf(&b, "      - &a%d [%s]\n", i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), n))
		}
		return b.String()
	}
	chunks := "stubs: 1\nsteps:\n  s: &s\n    - stream: &c [" + strings.Repeat("x, ", 500) + "]\n" +
		"  r: &r [" + strings.Repeat("{stream: *c}, ", 500) + "]\n  a: [" + strings.Repeat("{case: x, replies: *r}, ", 500) + "]\n"
	const deep = 1 << 20
	for name, tc := range map[string]struct{ file, says string }{
		"aliases of aliases":          {aliases(9, 9), "with its aliases it has more than 1000000 values"},
		"aliases of lists":            {chunks, "with its aliases it has more than 1000000 values"},
		"lists in each other":         {"stubs: 1\nsteps:\n  a: [{say: " + strings.Repeat("[", deep), "depth"},
		"mappings in each other":      {"stubs: 1\nsteps:\n  a: [{say: " + strings.Repeat("{a: ", deep/2), "depth"},
		"lists in each other, closed": {"stubs: 1\nsteps:\n  a: [{say: " + strings.Repeat("[", deep) + strings.Repeat("]", deep) + "}]", "depth"},
		"more than a file has":        {"stubs: 1\nsteps:\n  a: [{say: " + strings.Repeat("x", 64<<20) + "}]", "more than 4 MiB"},
		"lines before an error":       {"stubs: 1\n" + strings.Repeat("- x\n", 1<<19), "or before: "},
		"replies without end":         {"stubs: 1\nsteps:\n  a:\n" + strings.Repeat("    - {say: x, times: 1000000}\n", 1000), "line 5: step \"a\" has replies for more than 1000000 calls"},
		"replies of cases without end": {"stubs: 1\nsteps:\n  a:\n" + strings.Repeat("    - {case: x, replies: [{say: x, times: 1000000}]}\n", 1000),
			"line 5: step \"a\" has replies for more than 1000000 calls"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := stubs.ParseTable("t.yaml", []byte(tc.file)); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %.300v, want %q", err, tc.says)
			}
		})
	}
}
