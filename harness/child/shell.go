package child

import (
	"regexp"
	"strings"
)

// plainWord matches words that a POSIX shell, and zsh, leaves unchanged. Zsh expands a leading "=".
var plainWord = regexp.MustCompile(`^[\w./@%+:,-][\w./@%+=:,-]*$`)

// flagName matches the name of a flag, which is left unquoted because that is easier to read.
var flagName = regexp.MustCompile(`^--?\w[\w.-]*=`)

// ShellLine returns a command line that a POSIX shell splits into the same words; it quotes those
// that the shell would change. Words must not have zero bytes: no program can be given one.
func ShellLine(words ...string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if !plainWord.MatchString(word) || i == 0 && strings.Contains(word, "=") { // a first word with "=" would be an assignment
			name := flagName.FindString(word)
			if word = word[len(name):]; plainWord.MatchString(word) || i == 0 {
				word, name = name+word, ""
			}
			quoted[i] = name + "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
