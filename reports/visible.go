package reports

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns s on one line with every character spelled out that would act on
// a screen instead of showing on it: C0 and C1 controls with ESC and DEL, marks and
// overrides of direction, line and paragraph separators, and bytes that are no
// UTF-8. They appear as \n, \x1b, \u202e. So does the first character of what a CI system
// would take for a command in the output of a job: "::" where s begins, and anywhere "##["
// and the like of "##vso[". Everything else stays unchanged.
func Visible(s string) string {
	s = inert(s)
	if !strings.ContainsFunc(s, Acts) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case Acts(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case Acts(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// commands of CI systems that act anywhere in a line: GitHub Actions has the form of
// Azure Pipelines besides its own.
var commands = regexp.MustCompile(`##([A-Za-z]*\[)`)

// inert breaks the beginnings of commands. GitHub looks for its own behind spaces too.
func inert(s string) string {
	if strings.Contains(s, "##") {
		s = commands.ReplaceAllString(s, `\x23#$1`)
	}
	if rest := strings.TrimLeftFunc(s, unicode.IsSpace); strings.HasPrefix(rest, "::") {
		return s[:len(s)-len(rest)] + `\x3a` + rest[1:]
	}
	return s
}

// Acts reports whether a screen obeys the rune instead of showing it.
func Acts(r rune) bool {
	switch {
	case r < 0x20, 0x7f <= r && r <= 0x9f: // C0, DEL, C1
	case r == 0x061c, r == 0x200e, r == 0x200f: // marks of direction
	case 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069: // embeddings, overrides, isolates
	case r == 0x2028, r == 0x2029: // separators of lines and paragraphs
	case r == 0xfffe, r == 0xffff: // no characters: XML cannot hold them
	default:
		return false
	}
	return true
}

// VisibleBlock is [Visible] for text that may run over lines: line breaks stay, and
// tabs are four spaces.
func VisibleBlock(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\t", "    ")
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = Visible(line)
	}
	return strings.Join(lines, "\n")
}
