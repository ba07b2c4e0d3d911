package render

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega/format"
)

// drawn formats lines as for the terminal, with marked parts in brackets.
func drawn(lines []messageLine) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%c ", l.Op)
		for _, p := range l.Parts {
			if p.Marked {
				fmt.Fprintf(&b, "[%s]", p.Text)
			} else {
				b.WriteString(p.Text)
			}
		}
		if l.Note != "" {
			fmt.Fprintf(&b, "  (%s)", l.Note)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

type order struct {
	Tea, Cake int
	Names     []string
}

func TestMessagesAreCompared(t *testing.T) {
	long := strings.Repeat("a", 60)
	for name, test := range map[string]struct{ message, want string }{
		"gomega, one line each": {format.Message(map[string]int{"tea": 495}, "to equal", map[string]int{"tea": 595}),
			"- {\"tea\": [5]95}  (expected)\n+ {\"tea\": [4]95}  (got)\n"},
		"gomega, with a description": {"the bill\n" + format.Message(12345, "to equal", 12745),
			"  the bill\n- 12[7]45  (expected)\n+ 12[3]45  (got)\n"},
		"gomega, types differ": {format.Message(int64(5), "to equal", 5), "- <int>: 5  (expected)\n+ <int[64]>: 5  (got)\n"},
		"gomega, long texts":   {format.MessageWithDiff(long+"x", "to equal", long+"y"), "- \"...aaaaa[y]\"  (expected)\n+ \"...aaaaa[x]\"  (got)\n"},
		"gomega, lines": {format.Message(order{1, 2, []string{"a", "b", "c"}}, "to equal", order{1, 3, []string{"a", "b", "c"}}),
			"  {\n      Tea: 1,\n-     Cake: 3,  (expected)\n+     Cake: 2,  (got)\n      Names: [\"a\", \"b\", \"c\"],\n  }\n"},
		"gomega, a text of lines": {"Expected\n    <string>: one\\ntwo\\nthree\nto equal\n    <string>: one\\n2\\nthree", "  one\n- 2  (expected)\n+ two  (got)\n  three\n"},
		"go-cmp in go test": {"a_test.go:13: order (-want +got):\n          order{\n        -     Tea:  595,\n        +     Tea:  495,\n              Milk: 1,\n          }",
			"  a_test.go:13: order (-want +got):\n    order{\n-     Tea:  595,  (expected)\n+     Tea:  495,  (got)\n        Milk: 1,\n    }\n"},
		"gomega, no comparison": {format.Message(5, "to be true"), "  Expected\n      <int>: 5\n  to be true\n"},
		"go-cmp":                {"Total() mismatch (-want +got):\n" + cmp.Diff(map[string]int{"tea": 595}, map[string]int{"tea": 495}), ""},
		"testify":               {"Error Trace: a.go:3\nError:       Not equal: \n             expected: 595\n             actual  : 495", "  Error Trace: a.go:3\n- [5]95  (expected)\n+ [4]95  (got)\n"},
		"go, short":             {"Total() = 4, want 5", "  Total() = 4, want 5\n"},
		"go, long":              {"got the quick brown fox, want the quick brown dog!", "- the quick brown [d]o[g!]  (expected)\n+ the quick brown [f]o[x]  (got)\n"},
		"a list is no diff":     {"- one\n- two", "  - one\n  - two\n"},
		"nothing":               {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := drawn(compareMessage(strings.ReplaceAll(test.message, "\t", "    ")))
			if name == "go-cmp" {
				for _, line := range []string{"\n-     \"tea\": 595,  (expected)\n", "\n+     \"tea\": 495,  (got)\n"} {
					if !strings.Contains(strings.ReplaceAll(got, "       ", "     "), line) {
						t.Errorf("no line %q in\n%s", line, got)
					}
				}
				return
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The header determines which sign marks the expected value.
func TestTheSidesOfADiffAreThoseThatItNames(t *testing.T) {
	got := drawn(compareMessage("mismatch (-got +want):\n- 4\n+ 5"))
	if want := "  mismatch (-got +want):\n+ 4  (got)\n- 5  (expected)\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
