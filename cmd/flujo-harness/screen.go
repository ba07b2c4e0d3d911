package main

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// screen is where text is shown.
type screen struct {
	width  int // in characters; 0: no limit
	colour bool
}

// newScreen looks at the terminal. Elsewhere there are no colours, and there is no
// width but for the one in COLUMNS.
func newScreen(out io.Writer) (s screen) {
	if f := terminal(out); f != nil {
		s.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		s.width, _, _ = term.GetSize(int(f.Fd())) // 0 where it is unknown
	} else if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil {
		s.width = n
	}
	if s.width != 0 {
		s.width = max(s.width, 60) // below, nothing lines up anyway
	}
	return s
}

// The colours, by their number in an SGR sequence.
const (
	bold = "1"
	dim  = "2"
	red  = "31"
)

func (s screen) paint(colour, text string) string {
	if !s.colour || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
