package child

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// shellWords are the words that a shell reads.
func shellWords(t rapid.TB, line string) []string {
	out, err := exec.Command("sh", "-c", "set -- "+line+"\nfor w; do printf '%s\\0' \"$w\"; done").Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// A shell reads back every word, whatever is in it.
func TestAShellReadsTheSameWords(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell here")
	}
	word := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("'\"\\$`!&|;<>()*?[]{}#~^= \t\n-abc,"))))
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(word.Filter(func(s string) bool { return !strings.Contains(s, "\x00") }), 1, 8).Draw(t, "words")
		if got := shellWords(t, ShellLine(want...)); !slices.Equal(got, want) {
			t.Errorf("%q is read as %q, want %q", ShellLine(want...), got, want)
		}
	})
}
