package harness

import (
	"regexp"
	"strings"
)

// plainWord is what a POSIX shell, and zsh, takes as it is: a "=" in front is not.
var plainWord = regexp.MustCompile(`^[\w./@%+:,-][\w./@%+=:,-]*$`)

// flagName is the part of a word that stays outside of the quotes, so that it can be read.
var flagName = regexp.MustCompile(`^--?\w[\w.-]*=`)

// ShellLine writes a command so that a POSIX shell reads the same words again: those that
// the shell would change are quoted. A word with a zero byte cannot be given to a program.
func ShellLine(words ...string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if !plainWord.MatchString(word) || i == 0 && strings.Contains(word, "=") { // there it would be an assignment
			name := flagName.FindString(word)
			if word = word[len(name):]; plainWord.MatchString(word) || i == 0 {
				word, name = name+word, ""
			}
			quoted[i] = name + "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
