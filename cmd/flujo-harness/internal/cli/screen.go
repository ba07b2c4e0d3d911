package cli

import (
	"io"
	"os"
	"strconv"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/flujo/flujo-harness/reports/render"
)

// NewScreen returns the width and colours of a terminal. If out is not a terminal, there are no
// colours, and the width is that in COLUMNS or unlimited.
func NewScreen(out io.Writer) (s render.Screen) {
	if f := Terminal(out); f != nil {
		s.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		s.Width, _, _ = term.GetSize(int(f.Fd())) // 0 if unknown
	} else if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil {
		s.Width = n
	}
	if s.Width != 0 {
		s.Width = max(s.Width, 60) // tables need at least that
	}
	return s
}

// NewSummaryScreen returns the screen for a summary. If out is not a terminal, the summary is plain
// and not cut, because it may be stored, and COLUMNS is meant for tables.
func NewSummaryScreen(out io.Writer) (s render.Screen) {
	if Terminal(out) != nil {
		s = NewScreen(out)
	}
	return s
}

// Styles that every terminal supports.
var (
	Bold   = ansi.NewStyle().Bold()
	Dim    = ansi.NewStyle().Faint()
	Red    = ansi.NewStyle().ForegroundColor(ansi.Red)
	Green  = ansi.NewStyle().ForegroundColor(ansi.Green)
	Yellow = ansi.NewStyle().ForegroundColor(ansi.Yellow)
	Cyan   = ansi.NewStyle().ForegroundColor(ansi.Cyan)

	// Those of a verdict, see [render.VerdictLines].
	BoldRed    = ansi.NewStyle().Bold().ForegroundColor(ansi.Red)
	BoldGreen  = ansi.NewStyle().Bold().ForegroundColor(ansi.Green)
	BoldYellow = ansi.NewStyle().Bold().ForegroundColor(ansi.Yellow)
)
