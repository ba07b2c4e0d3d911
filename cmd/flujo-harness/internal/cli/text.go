package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

// FirstLines returns the first n lines of a text, without space around them.
func FirstLines(text string, n int) string {
	lines := strings.SplitAfterN(text, "\n", n+1)
	return strings.TrimSpace(strings.Join(lines[:min(n, len(lines))], ""))
}

// Micros formats microseconds with three digits in µs, ms or s.
func Micros(us float64) string {
	switch a := math.Abs(us); {
	case a >= 1e6:
		return fmt.Sprintf("%.3g s", us/1e6)
	case a >= 1e3:
		return fmt.Sprintf("%.3g ms", us/1e3)
	case a < 1:
		return fmt.Sprintf("%.3g ns", us*1e3)
	}
	return fmt.Sprintf("%.3g µs", us)
}

// Print writes text. An error is classified as a fault.
func Print(out io.Writer, text string) error {
	if _, err := io.WriteString(out, text); err != nil {
		return Fault(err)
	}
	return nil
}

// PrintJSON writes v as JSON in which control characters are escaped, so that no string changes
// the terminal. encoding/json escapes only those of ASCII; Visible writes the others in the same
// way.
func PrintJSON(out io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return Fault(err)
	}
	var b strings.Builder
	for line := range strings.Lines(strings.ToValidUTF8(string(data), "\ufffd") + "\n") {
		b.WriteString(reports.Visible(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\x7f", `\u007f`)) + "\n")
	}
	return Print(out, b.String())
}

// Plural returns "1 step" or "2 steps". Plural, [Grouped] and [Cut] also exist in
// reports/internal/text, which commands cannot import.
func Plural(n int64, word string) string {
	if n != 1 {
		word += "s"
	}
	return Grouped(n) + " " + word
}

// Grouped formats 1234567 as 1,234,567.
func Grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Money formats millionths of the unit of account as a number of units.
func Money(millionths int64) string { return strconv.FormatFloat(float64(millionths)/1e6, 'f', -1, 64) }

// Brief formats a duration with about three digits.
func Brief(d time.Duration) string {
	switch size := d.Abs(); {
	case size >= time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	case size >= time.Minute:
		d = d.Round(time.Second)
	case size >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case size >= time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	}
	return d.String()
}

// Cut shortens a text to at most n characters. If n is below 1, it returns the text unchanged.
func Cut(text string, n int) string {
	if r := []rune(text); n > 0 && len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

// Wrap breaks a text into lines of at most width characters, between words if possible, and escapes
// control characters.
func Wrap(text string, width int) (lines []string) {
	width = max(width, 20)
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\t", "    ")
	for line := range strings.SplitSeq(text, "\n") {
		rest := []rune(reports.Visible(strings.TrimSuffix(line, "\r")))
		for len(rest) > width {
			at := width
			for i := width; i > width/2; i-- {
				if rest[i] == ' ' {
					at = i
					break
				}
			}
			lines = append(lines, string(rest[:at]))
			if rest = rest[at:]; rest[0] == ' ' {
				rest = rest[1:]
			}
		}
		lines = append(lines, string(rest))
	}
	return lines
}
