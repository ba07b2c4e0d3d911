package reports

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns s as one line with control characters written as escapes, such as \n, \x1b or
// \u202e: C0 and C1 controls including ESC and DEL, directional marks and overrides, line and
// paragraph separators, and bytes that are not UTF-8. It also escapes the first character of
// workflow commands, which CI systems would execute if they appeared in the output of a job:
// "::" at the start of s, and "##[" or "##vso[" anywhere. Other characters are unchanged.
func Visible(s string) string {
	s = inert(s)
	if !strings.ContainsFunc(s, IsControl) && utf8.ValidString(s) {
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
		case IsControl(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case IsControl(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// commands matches workflow commands that CI systems execute anywhere in a line. GitHub Actions
// accepts the form of Azure Pipelines in addition to its own.
var commands = regexp.MustCompile(`##([A-Za-z]*\[)`)

// inert escapes workflow commands. GitHub also accepts its own form after leading space.
func inert(s string) string {
	if strings.Contains(s, "##") {
		s = commands.ReplaceAllString(s, `\x23#$1`)
	}
	if rest := strings.TrimLeftFunc(s, unicode.IsSpace); strings.HasPrefix(rest, "::") {
		return s[:len(s)-len(rest)] + `\x3a` + rest[1:]
	}
	return s
}

// IsControl reports whether a terminal would act on the rune in place of displaying it.
func IsControl(r rune) bool {
	switch {
	case r < 0x20, 0x7f <= r && r <= 0x9f: // C0, DEL, C1
	case r == 0x061c, r == 0x200e, r == 0x200f: // directional marks
	case 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069: // embeddings, overrides, isolates
	case r == 0x2028, r == 0x2029: // line and paragraph separators
	case r == 0xfffe, r == 0xffff: // noncharacters, which XML cannot represent
	default:
		return false
	}
	return true
}

// VisibleBlock is [Visible] for text of several lines: it keeps line breaks and replaces tabs by
// four spaces.
func VisibleBlock(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\t", "    ")
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = Visible(line)
	}
	return strings.Join(lines, "\n")
}
