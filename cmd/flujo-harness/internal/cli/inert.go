package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/flujo/flujo-harness/reports"
)

// inert writes text to a terminal or to the log of a CI service so that the text cannot control
// either: names of specs, branches and files, messages of git and output of child processes are
// not trusted. Characters with an effect on a terminal, and the beginnings of commands to a CI
// service, are written as JSON escapes, so that JSON keeps its meaning. Control sequences of the
// program itself are written to the writer that [Acting] returns.
type inert struct {
	to io.Writer

	mu     sync.Mutex
	rest   []byte // start of a character that is not complete yet
	begins bool   // the line has only spaces so far
	colon  bool   // after the spaces there was one colon
	number int    // number of '#' immediately before, at most 2; commandWord if letters follow two of them
}

// commandWord is the state of inert after "##" and letters, which may become a CI command.
const commandWord = 3

func NewInert(to io.Writer) *inert { return &inert{to: to, begins: true} }

// Acting returns the writer that w escapes its text for, which is for intended control sequences.
// If w does not escape, Acting returns w.
func Acting(w io.Writer) io.Writer {
	if i, ok := w.(*inert); ok {
		return i.to
	}
	return w
}

// Terminal returns the terminal that w writes to, or nil if w does not write to one.
func Terminal(w io.Writer) *os.File {
	if f, ok := Acting(w).(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

func (i *inert) Write(text []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := append(i.rest, text...)
	var b bytes.Buffer
	b.Grow(len(all))
	for len(all) > 0 && utf8.FullRune(all) {
		r, size := utf8.DecodeRune(all)
		switch own := i.ownColour(all); {
		case own > 0:
			b.Write(all[:own])
			all = all[own:]
			continue
		case r == '\r' && len(all) > 1 && all[1] == '\n': // a Windows line ending
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, all[0])
		case i.acts(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		all = all[size:]
	}
	i.rest = bytes.Clone(all)
	if _, err := i.to.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// acts reports whether a character has an effect at its position. It must be called for every
// character in order.
func (i *inert) acts(r rune) bool {
	command := i.begins && i.colon && r == ':' || i.number >= 2 && r == '['
	switch {
	case r == '#':
		i.number = min(i.number+1, 2)
	case i.number >= 2 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'):
		i.number = commandWord
	default:
		i.number = 0
	}
	switch {
	case r == '\n':
		i.begins, i.colon = true, false
	case i.begins && !i.colon && r == ':':
		i.colon = true
	case !unicode.IsSpace(r) || i.colon:
		i.begins = false
	}
	switch {
	case command:
		return true
	case r == '\n' || r == '\t' || r >= ' ' && r < 0x7f:
		return false
	case r < ' ' || r == 0x7f:
		return true
	}
	return reports.Visible(string(r)) != string(r)
}

// ownColour returns the length of the style sequence of this program with which text begins, or 0
// if there is none. A style only changes how text looks. See [render.Screen.Paint].
func (i *inert) ownColour(text []byte) int {
	if text[0] != 0x1b || Terminal(i) == nil {
		return 0
	}
	if bytes.HasPrefix(text, []byte(ansi.ResetStyle)) {
		return len(ansi.ResetStyle)
	}
	for _, style := range []ansi.Style{Bold, Dim, Red, Green, Yellow, Cyan, BoldRed, BoldGreen, BoldYellow} {
		if sequence := style.String(); bytes.HasPrefix(text, []byte(sequence)) {
			return len(sequence)
		}
	}
	return 0
}
