package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// LeastMarkdown is the smallest cap of [WriteMarkdown], in bytes.
const LeastMarkdown = 2000

// WriteMarkdown writes the account as Markdown of at most so many bytes, for a comment
// or a job's summary. Sections that do not fit are left out whole, and a note names
// them. Texts of others stand in code spans and blocks: no markup in them acts, nobody
// is mentioned.
func WriteMarkdown(w io.Writer, a *analysis.Analysis, most int) error {
	if most < LeastMarkdown {
		return fmt.Errorf("write Markdown: a cap of %d bytes: give at least %d", most, LeastMarkdown)
	}
	text := markdownHead(a)
	var left []string
	for _, s := range sections(a) {
		part := markdownSection(s)
		if len(text)+len(part)+300 > most { // the note has room
			left = append(left, s.Title)
			continue
		}
		text += part
	}
	if len(left) > 0 {
		text += fmt.Sprintf("\n_Left out, to stay within %d bytes: %s. They are in the HTML report._\n", most, strings.Join(left, ", "))
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write Markdown: %w", err)
	}
	return nil
}

// markdownHead is the summary, each line cut so that all of it fits the smallest cap.
func markdownHead(a *analysis.Analysis) string {
	head := "## " + codeSpan(text.Cut(a.Headline.Word+": "+verdictSentence(a), 300)) + "\n\n"
	for _, r := range rows(a, Screen{}) {
		if line := "- " + codeSpan(text.Cut(r.Label+": "+r.Text, 200)) + "\n"; len(head)+len(line) < LeastMarkdown-700 {
			head += line
		}
	}
	return head
}

func markdownSection(s section) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n", s.Title)
	for _, it := range s.Items {
		b.WriteString("- ")
		if it.Before != "" {
			b.WriteString(strings.ReplaceAll(codeOr(it.Before, it.Name == ""), "  ", " "))
		}
		if it.Name != "" {
			b.WriteString(codeSpan(it.Name))
		}
		if it.After != "" {
			b.WriteString(" " + codeSpan(strings.TrimSpace(it.After)))
		}
		b.WriteString("\n")
		if it.Command != "" {
			b.WriteString("  - run it again: " + codeSpan(it.Command) + "\n")
		}
		if it.Block != "" {
			b.WriteString(codeBlock(text.Cut(it.Block, 1000), "  "))
		}
	}
	return b.String()
}

// codeOr leaves short words of ours as they are; whole lines may hold what others wrote.
func codeOr(s string, whole bool) string {
	if whole {
		return codeSpan(s)
	}
	return s
}

// codeSpan shows the text as it is, whatever backticks it has.
func codeSpan(s string) string {
	s = reports.Visible(s)
	ticks := strings.Repeat("`", longest(s)+1)
	if ticks == "`" && s == strings.TrimSpace(s) {
		return "`" + s + "`"
	}
	return ticks + " " + s + " " + ticks
}

func codeBlock(s, indent string) string {
	fence := strings.Repeat("`", max(3, longest(s)+1))
	lines := strings.Split(reports.VisibleBlock(s), "\n")
	return indent + fence + "text\n" + indent + strings.Join(lines, "\n"+indent) + "\n" + indent + fence + "\n"
}

// longest is the length of the longest row of backticks.
func longest(s string) int {
	most, now := 0, 0
	for _, r := range s {
		if now++; r != '`' {
			now = 0
		}
		most = max(most, now)
	}
	return most
}
