package cli

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

func TestNothingThatOthersWroteActs(t *testing.T) {
	for text, want := range map[string]string{
		"plain: a::b ## c [d] ünï €\tx\n": "plain: a::b ## c [d] ünï €\tx\n",
		"\x1b[2Jgone\r\b\x7f":             `\u001b[2Jgone\u000d\u0008\u007f`,
		"\x1b[31mred\x1b[0m":              `\u001b[31mred\u001b[0m`, // not a terminal
		"::error::x":                      `:\u003aerror::x`,
		"a\n  ::set-output name=x::y\n":   "a\n  :\\u003aset-output name=x::y\n",
		"a ##[error]b ##vso[task.x]c":     `a ##\u005berror]b ##vso\u005btask.x]c`,
		"\u202eevil\u2066\u009b":          `\u202eevil\u2066\u009b`,
		"\xff\xfe":                        `\xff\xfe`,
		"of Windows\r\nnext\r\n":          "of Windows\nnext\n",
	} {
		for _, size := range []int{len(text), 1, 2, 3} { // the result does not depend on how the text is split
			if size < len(text) && strings.Contains(text, "\r\n") {
				continue // \r and \n in separate writes are escaped separately
			}
			var out strings.Builder
			w := NewInert(&out)
			for rest := []byte(text); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				if n, err := w.Write(rest[:min(size, len(rest))]); err != nil || n != min(size, len(rest)) {
					t.Fatalf("%d bytes, error %v", n, err)
				}
			}
			if out.String() != want {
				t.Errorf("%q by %d: %q, want %q", text, size, out.String(), want)
			}
		}
	}
}

// actsOnScreen matches characters that a terminal interprets, except for tabs and line endings.
var actsOnScreen = regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

// JSON written to standard output keeps its meaning.
func TestInertKeepsTheMeaningOfJSON(t *testing.T) {
	want := "\x1b[2J\u202e\x7f ::error:: ##[group]x ##vso[a] \u2028"
	text, err := json.MarshalIndent(map[string]string{want: want}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if _, err := NewInert(&out).Write(text); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || got[want] != want {
		t.Errorf("%q, error %v: %s", got, err, out.String())
	}
	if m := actsOnScreen.FindString(out.String()); m != "" {
		t.Errorf("%q acts", m)
	}
}
