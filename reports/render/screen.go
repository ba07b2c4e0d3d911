package render

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Screen configures the layout of a summary. The zero value is plain text of unlimited width.
type Screen struct {
	Width   int    // columns; 0 means no limit, as for a file or a pipe
	Color   bool   // write colours
	Program string // the command for messages, such as "go tool flujo-harness"; "" means "flujo-harness"
	Report  string // path of the page, or "" if none was written
}

// The styles of a summary. They use only attributes and the 8 standard colours, which users can
// configure.
var (
	styleBold  = ansi.NewStyle().Bold()
	styleDim   = ansi.NewStyle().Faint()
	styleRed   = ansi.NewStyle().ForegroundColor(ansi.Red)
	styleGreen = ansi.NewStyle().ForegroundColor(ansi.Green)
	styleMark  = ansi.NewStyle().Bold().UnderlineStyle(ansi.UnderlineSingle)
)

// Paint formats text in a style if the screen has colours. An empty style is none.
func (s Screen) Paint(style ansi.Style, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return style.Styled(text)
}

// columns returns the width of the layout, at least 40.
func (s Screen) columns() int {
	if s.Width == 0 {
		return 80
	}
	return max(40, s.Width)
}

// cut shortens a text in its middle to at most n columns, because the ends of names and paths are
// the most informative parts. If the width is unlimited, it returns the text unchanged.
func (s Screen) cut(text string, n int) string {
	if s.Width == 0 || ansi.StringWidth(text) <= n {
		return text
	}
	if n < 4 {
		return ansi.Truncate(text, max(n, 0), "")
	}
	head := (n - 1) / 2
	tail := n - 1 - head
	return ansi.Truncate(text, head, "") + "…" + ansi.TruncateLeft(text, ansi.StringWidth(text)-tail, "")
}

// wrap breaks a text into lines and indents all but the first.
func (s Screen) wrap(text string, first, indent int) []string {
	if s.Width == 0 {
		return []string{text}
	}
	width := max(20, s.columns()-max(first, indent))
	lines := strings.Split(ansi.Wrap(text, width, " "), "\n")
	for i := 1; i < len(lines); i++ {
		lines[i] = strings.Repeat(" ", indent) + strings.TrimLeft(lines[i], " ")
	}
	return lines
}

// spread aligns two texts to the left and right ends of a line. If they do not fit, right follows
// left directly.
func (s Screen) spread(left, right string) string {
	if right == "" {
		return left
	}
	gap := s.columns() - ansi.StringWidth(left) - ansi.StringWidth(right)
	return left + strings.Repeat(" ", max(3, gap)) + right
}

// program replaces the name of the program in recommended commands by the name that the user called
// it by.
func (s Screen) program(advice string) string {
	if s.Program == "" {
		return advice
	}
	return strings.ReplaceAll(advice, "flujo-harness ", s.Program+" ")
}
