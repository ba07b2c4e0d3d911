package cli

import (
	"io"
	"os"
	"strconv"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/flujo/flujo-harness/reports/render"
)

// NewScreen looks at the terminal. Elsewhere there are no colours, and there is no
// width but for the one in COLUMNS.
func NewScreen(out io.Writer) (s render.Screen) {
	if f := Terminal(out); f != nil {
		s.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		s.Width, _, _ = term.GetSize(int(f.Fd())) // 0 where it is unknown
	} else if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil {
		s.Width = n
	}
	if s.Width != 0 {
		s.Width = max(s.Width, 60) // below, nothing lines up anyway
	}
	return s
}

// NewSummaryScreen is the screen of a summary, which is plain and uncut where out is no terminal:
// it may be kept, and COLUMNS speaks of tables.
func NewSummaryScreen(out io.Writer) (s render.Screen) {
	if Terminal(out) != nil {
		s = NewScreen(out)
	}
	return s
}

// The styles, of those that every terminal has.
var (
	Bold   = ansi.NewStyle().Bold()
	Dim    = ansi.NewStyle().Faint()
	Red    = ansi.NewStyle().ForegroundColor(ansi.Red)
	Green  = ansi.NewStyle().ForegroundColor(ansi.Green)
	Yellow = ansi.NewStyle().ForegroundColor(ansi.Yellow)
	Cyan   = ansi.NewStyle().ForegroundColor(ansi.Cyan)
)
