package cli

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// Screen is where text is shown.
type Screen struct {
	Width  int // in characters; 0: no limit
	Colour bool
}

// NewScreen looks at the terminal. Elsewhere there are no colours, and there is no
// width but for the one in COLUMNS.
func NewScreen(out io.Writer) (s Screen) {
	if f := Terminal(out); f != nil {
		s.Colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		s.Width, _, _ = term.GetSize(int(f.Fd())) // 0 where it is unknown
	} else if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil {
		s.Width = n
	}
	if s.Width != 0 {
		s.Width = max(s.Width, 60) // below, nothing lines up anyway
	}
	return s
}

// The colours, by their number in an SGR sequence.
const (
	Bold = "1"
	Dim  = "2"
	Red  = "31"
)

func (s Screen) Paint(colour, text string) string {
	if !s.Colour || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
