package render

import (
	"regexp"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// messageLine is one line of a failure's message.
type messageLine struct {
	Op    byte // '-' for the expected value, '+' for the actual value, ' ' for all other lines
	Parts []messagePart
	Note  string // "expected" or "got" after the first line of each value
	Same  bool   // a line that both values contain
}

// messagePart is a part of a line. In marked parts the two values differ.
type messagePart struct {
	Text   string
	Marked bool
}

// Text returns the line without its marks.
func (l messageLine) Text() string {
	var b strings.Builder
	for _, p := range l.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

func plainLine(op byte, s string) messageLine {
	return messageLine{Op: op, Parts: []messagePart{{Text: s}}}
}

// The forms in which assertion libraries print two values. Group want is the expected value, group got
// the actual one.
var comparisons = []*regexp.Regexp{
	// Gomega: "Expected", the actual value, a matcher of equality, the expected value. For long texts
	// a mark points at the first difference.
	regexp.MustCompile(`(?m)^Expected\n(?P<got>(?:(?: {4}.*)?\n)+?)to (?:equal|be equivalent to|match (?:JSON|YAML|XML) of|be ==|be identical to)[ |]*\n(?P<want>(?: {4}.*(?:\n|\z))(?:(?: {4}.*)?(?:\n|\z))*)`),
	// testify.
	regexp.MustCompile(`(?m)^ *(?:Error: *)?(?:Not equal: *\n *)?expected ?: (?P<want>.*)\n *actual *: (?P<got>.*)(?:\n|\z)`),
	// The convention of Go's own tests, if both values are long.
	regexp.MustCompile(`(?i)\bgot:? (?P<got>[^\n]{16,}?)[,;]? +want:? (?P<want>[^\n]{16,})(?:\n|\z)`),
}

// cmpDiff matches the heading of a difference printed with go-cmp, which names the two sides.
var cmpDiff = regexp.MustCompile(`\(?([-+])(want|got|expected|actual|old|new|[A-Za-z]+)[ ,]+([-+])(want|got|expected|actual|old|new|[A-Za-z]+)\)?`)

// compareMessage splits a message into lines and replaces a comparison of two values by their
// difference. Control characters must already be escaped.
func compareMessage(message string) []messageLine {
	message = strings.TrimRight(message, "\n ")
	for _, form := range comparisons {
		at := form.FindStringSubmatchIndex(message)
		if at == nil {
			continue
		}
		value := func(name string) string {
			i := form.SubexpIndex(name)
			return unindent(message[at[2*i]:at[2*i+1]])
		}
		all := textLines(strings.TrimRight(message[:at[0]], "\n "))
		all = append(all, difference(value("want"), value("got"))...)
		return append(all, textLines(strings.Trim(message[at[1]:], "\n"))...)
	}
	return markedLines(message)
}

// textLines returns the lines of a text, or nil for "".
func textLines(s string) (all []messageLine) {
	if s == "" {
		return nil
	}
	for _, l := range strings.Split(s, "\n") {
		all = append(all, plainLine(' ', l))
	}
	return all
}

// markedLines returns the lines of a message that may already contain a difference, in which lines
// begin with - and +, as in those of go-cmp.
func markedLines(message string) []messageLine {
	message = strings.ReplaceAll(message, "\u00a0", " ") // go-cmp varies its spaces on purpose, to prevent parsing
	if at := cmpDiff.FindStringIndex(message); at != nil {
		if end := strings.IndexByte(message[at[1]:], '\n'); end >= 0 { // go test indents what follows the first line
			message = message[:at[1]+end+1] + dedent(message[at[1]+end+1:])
		}
	}
	all := textLines(message)
	minus, plus := false, false
	for _, l := range all {
		minus, plus = minus || isMarked(l.Text(), '-'), plus || isMarked(l.Text(), '+')
	}
	m := cmpDiff.FindStringSubmatch(message)
	if m == nil && !(minus && plus) {
		return all
	}
	wanted := byte('-')
	if m != nil && (m[1] == "-" && strings.EqualFold(m[2], "got") || m[1] == "+" && strings.EqualFold(m[2], "want")) {
		wanted = '+'
	}
	noted := map[byte]bool{}
	for i, l := range all {
		text := l.Text()
		for _, mark := range []byte("-+") {
			if !isMarked(text, mark) {
				continue
			}
			op := byte('+')
			if mark == wanted {
				op = '-'
			}
			all[i] = plainLine(op, strings.TrimPrefix(text[1:], " "))
			if !noted[op] {
				noted[op], all[i].Note = true, noteOf(op)
			}
		}
	}
	return all
}

// dedent removes the indentation that all lines have in common.
func dedent(s string) string {
	lines := strings.Split(s, "\n")
	least := -1
	for _, l := range lines {
		if n := len(l) - len(strings.TrimLeft(l, " ")); strings.TrimSpace(l) != "" && (least < 0 || n < least) {
			least = n
		}
	}
	for i, l := range lines {
		lines[i] = l[min(max(least, 0), len(l)):]
	}
	return strings.Join(lines, "\n")
}

// isMarked reports whether a line starts with the mark of a difference.
func isMarked(line string, mark byte) bool {
	return len(line) > 1 && line[0] == mark && line[1] != mark
}

func noteOf(op byte) string {
	if op == '-' {
		return "expected"
	}
	return "got"
}

// unindent removes Gomega's indentation of four spaces.
func unindent(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n "), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "    ")
	}
	return strings.Join(lines, "\n")
}

// typed matches the type that Gomega writes before a value.
var typed = regexp.MustCompile(`^<([^\n]+?)>: `)

// difference compares two values line by line, or, if both are single lines, character by character.
func difference(want, got string) []messageLine {
	wantType, gotType := typed.FindString(want), typed.FindString(got)
	if wantType == gotType && want != got {
		want, got = strings.TrimPrefix(want, wantType), strings.TrimPrefix(got, gotType)
		if w, g := brokenLines(want), brokenLines(got); wantType == "<string>: " && w != g {
			want, got = w, g
		}
	}
	if !strings.Contains(want+got, "\n") {
		return []messageLine{{Op: '-', Parts: marked(want, got), Note: "expected"}, {Op: '+', Parts: marked(got, want), Note: "got"}}
	}
	want, got = want+"\n", got+"\n"
	unified, err := udiff.ToUnifiedDiff("", "", want, udiff.Lines(want, got), 2)
	if err != nil || len(unified.Hunks) == 0 { // equal texts of different values
		return append(textLines("expected and got have the same text:"), textLines(strings.TrimRight(got, "\n"))...)
	}
	var all []messageLine
	noted := map[byte]bool{}
	for i, h := range unified.Hunks {
		if i > 0 || h.FromLine > 1 {
			all = append(all, plainLine(' ', "…"))
		}
		for _, l := range h.Lines {
			op := map[udiff.OpKind]byte{udiff.Delete: '-', udiff.Insert: '+', udiff.Equal: ' '}[l.Kind]
			line := plainLine(op, strings.TrimRight(l.Content, "\n"))
			line.Same = op == ' '
			if op != ' ' && !noted[op] {
				noted[op], line.Note = true, noteOf(op)
			}
			all = append(all, line)
		}
	}
	return all
}

// brokenLines restores the line breaks of a text, which Gomega escapes.
func brokenLines(s string) string { return strings.ReplaceAll(s, `\n`, "\n") }

// marked splits a line into the parts that it shares with another line and those that differ. If
// the lines have little in common, nothing is marked.
func marked(line, other string) []messagePart {
	var parts []messagePart
	at, same := 0, 0
	for _, e := range udiff.Strings(line, other) {
		if e.Start > at {
			parts = append(parts, messagePart{Text: line[at:e.Start]})
			same += e.Start - at
		}
		if e.End > e.Start {
			parts = append(parts, messagePart{Text: line[e.Start:e.End], Marked: true})
		}
		at = e.End
	}
	if at < len(line) {
		parts, same = append(parts, messagePart{Text: line[at:]}), same+len(line)-at
	}
	if len(parts) == 0 || same*3 < len(line) {
		return []messagePart{{Text: line}}
	}
	return parts
}
