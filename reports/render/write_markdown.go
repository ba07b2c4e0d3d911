package render

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"io"
	"regexp"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// LeastMarkdown is the minimum size limit for [WriteMarkdown], in bytes.
const LeastMarkdown = 2000

// Maximum numbers of rows and messages of failures in Markdown. The page has more.
const (
	maxMarkdownRows     = 50
	maxMarkdownMessages = 20
	maxMarkdownLines    = 30 // of one message
)

// WriteMarkdown writes the analysis as Markdown of at most most bytes, for the summary of a job: the
// verdict in words, a table of the failures and their origins, their messages, and a line per fact;
// everything else is folded. Parts that do not fit are left out completely, and a note lists them.
// Texts of tests are written as code, where markup and mentions have no effect, and no line begins
// with one.
func WriteMarkdown(w io.Writer, a *analysis.Analysis, most int) error {
	return writeMarkdown(w, a, most, "<details open>")
}

// WriteComment is [WriteMarkdown] for a comment on a change: the messages are folded, too.
func WriteComment(w io.Writer, a *analysis.Analysis, most int) error {
	return writeMarkdown(w, a, most, "<details>")
}

func writeMarkdown(w io.Writer, a *analysis.Analysis, most int, details string) error {
	if most < LeastMarkdown {
		return fmt.Errorf("write Markdown: a cap of %d bytes: give at least %d", most, LeastMarkdown)
	}
	m := markdown{most: most - 300} // the note has room
	m.add("", markdownHead(a))
	failed, by := failedNow(a), failuresOf(a)
	m.table(failed, by, a.Run.Origin.FileURL)
	m.messages(failed, a.Failures, details)
	m.add("", markdownFacts(a, m.most-len(m.text)))
	for _, s := range sections(a) {
		if s.Title != needsAttention { // it is the table
			m.add(s.Title, "\n<details><summary>"+s.Title+"</summary>\n"+markdownSection(s)+"\n</details>\n")
		}
	}
	if len(m.left) > 0 {
		m.text += fmt.Sprintf("\n_Left out, to stay within %d bytes: %s. They are in the HTML report._\n", most, strings.Join(m.left, ", "))
	}
	if _, err := io.WriteString(w, m.text); err != nil {
		return fmt.Errorf("write Markdown: %w", err)
	}
	return nil
}

// markdown is a text with a maximum size in bytes.
type markdown struct {
	text string
	most int
	left []string // titles of what did not fit
}

// add appends a part that fits and reports whether it does.
func (m *markdown) add(title, part string) bool {
	if len(m.text)+len(part) > m.most {
		if title != "" {
			m.left = append(m.left, title)
		}
		return false
	}
	m.text += part
	return true
}

// markdownHead returns the verdict, the branch and the commit.
func markdownHead(a *analysis.Analysis) string {
	head := fmt.Sprintf("## %s %s: %s\n", symbols[a.Run.Outcome], a.Headline.Word, plain(text.Cut(verdictSentence(a), 300)))
	var of []string
	o := a.Run.Origin
	if a.Run.Commit != "" {
		of = append(of, "commit "+htmlLink(link{text.ShortCommit(a.Run.Commit), reports.WebAddress(o.CommitURL)}))
	}
	if job := (link{jobText(o), reports.WebAddress(o.JobURL)}); job.Text != "" {
		of = append(of, htmlLink(job))
	}
	if len(of) > 0 && len(strings.Join(of, "")) < 800 {
		head += "\n<p>" + strings.Join(of, " · ") + "</p>\n" // a block of HTML: no Markdown is read in it
	}
	return head
}

// table lists the failures. It is in HTML because a cell of Markdown cannot contain every text.
func (m *markdown) table(failed []*analysis.Attention, by failures, files string) {
	if len(failed) == 0 {
		return
	}
	const end = "</table>\n"
	rows := "\n<table>\n<tr><th align=\"left\">failed</th><th align=\"left\">whose failure</th><th align=\"left\">at</th></tr>\n"
	shown := 0
	for _, t := range failed {
		v := newAttention(by, files, 0, *t)
		row := "<tr><td>" + htmlCode(v.Name) + "</td><td>" + htmlPlain(v.Kind)
		if v.Owner != "" {
			row += ", owner " + htmlCode(v.Owner)
		}
		row += "</td><td>" + htmlLink(v.Where) + "</td></tr>\n"
		if shown == maxMarkdownRows || len(m.text)+len(rows)+len(row)+len(end)+100 > m.most {
			break
		}
		rows, shown = rows+row, shown+1
	}
	if more := len(failed) - shown; more > 0 {
		rows += fmt.Sprintf("<tr><td colspan=\"3\">and %s more</td></tr>\n", text.Count(more))
	}
	m.add("", rows+end)
}

// messages writes for each failure the evidence of its origin, its message, the end of its output,
// and the command to run it again.
func (m *markdown) messages(failed []*analysis.Attention, whose []analysis.Failure, details string) {
	why := map[string]string{}
	for i := range whose {
		why[whose[i].Name()] = whose[i].Why
	}
	for i, t := range failed {
		name := t.Spec.Name()
		if t.Outside != nil {
			name = t.Outside.Name()
		}
		part := "\n" + details + "<summary>" + htmlCode(reports.Visible(name)) + "</summary>\n\n"
		if w := why[name]; w != "" {
			part += "**why**: " + plain(text.Cut(w, 300)) + "\n\n"
		}
		part += diffBlock(t.Message, t.Spec.Output)
		if t.Rerun != "" {
			part += "\nagain: " + codeSpan(t.Rerun) + "\n"
		}
		part += "\n</details>\n"
		if left := len(failed) - i; i == maxMarkdownMessages || !m.add("", part) {
			m.left = append(m.left, text.Plural(left, "message"))
			return
		}
	}
}

// diffBlock returns a message, in which a comparison of two values is replaced by their difference,
// and the last lines of the output. Every line has a prefix, so that none starts with markup.
func diffBlock(message, output string) string {
	var lines []string
	all := compareMessage(strings.TrimSpace(reports.VisibleBlock(message)))
	for i, l := range all {
		if i == maxMarkdownLines {
			lines = append(lines, "  … "+text.More(len(all)-i, "line"))
			break
		}
		line := string(l.Op) + " " + text.Cut(l.Text(), 300)
		if l.Note != "" {
			line += "    (" + l.Note + ")"
		}
		lines = append(lines, line)
	}
	if out := strings.TrimSpace(reports.VisibleBlock(output)); out != "" && !strings.Contains(message, strings.TrimSpace(output)) {
		all := strings.Split(out, "\n")
		lines = append(lines, "  output"+lastOf(len(all), maxOutput)+":")
		for _, l := range all[max(0, len(all)-maxOutput):] {
			lines = append(lines, "  | "+text.Cut(l, 300))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	body := strings.Join(lines, "\n")
	fence := strings.Repeat("`", max(3, longest(body)+1))
	return fence + "diff\n" + body + "\n" + fence + "\n"
}

// WriteCode writes a text of several lines as an indented code block in Markdown of at most most
// bytes.
func WriteCode(b *bytes.Buffer, s string, most int) {
	var lines []string
	all := strings.Split(strings.TrimRight(reports.VisibleBlock(s), "\n"), "\n")
	room := most - 2*max(3, longest(s)+1) - 100
	for i, l := range all {
		if room -= len(l) + 3; room < 0 {
			lines = append(lines, "  … "+text.More(len(all)-i, "line"))
			break
		}
		lines = append(lines, "  "+l)
	}
	body := strings.Join(lines, "\n")
	fence := strings.Repeat("`", max(3, longest(body)+1))
	fmt.Fprintf(b, "%stext\n%s\n%s\n", fence, body, fence)
}

// HTMLCode formats a text of a test as code in the HTML that Markdown may contain.
func HTMLCode(s string) string { return htmlCode(s) }

// markdownFacts are the rows of the summary that fit.
func markdownFacts(a *analysis.Analysis, room int) string {
	facts := "\n"
	label := ""
	for _, r := range rows(a, Screen{}) {
		label = cmp.Or(r.Label, label) // a row without one continues the row above
		line := fmt.Sprintf("- **%s**: %s\n", label, plain(text.Cut(r.Text, 300)))
		if r.Command { // to be pasted, so never cut
			line = fmt.Sprintf("- **%s**: %s\n", label, codeSpan(r.Text))
		}
		if len(facts)+len(line) <= room {
			facts += line
		}
	}
	return facts
}

// harmless matches texts without any markup of Markdown or of GitHub and GitLab (mentions,
// references, addresses, emoji): it allows no digits and letters joined by "-", and no word after
// ":" or "%".
var harmless = regexp.MustCompile(`^(?:[A-Za-z0-9 ;,().·×µ≤]|[:%+](?:[ ,;).]|$)|[ (][+-][0-9])+$`)

// isHarmless reports whether a text has no markup and nothing that becomes a link.
func isHarmless(s string) bool {
	return harmless.MatchString(s) && !strings.Contains(strings.ToLower(s), "www.")
}

// harmlessWord matches further words without any markup, which are not at the beginning of a line: "->",
// units such as "B/op", and "n=6".
var harmlessWord = regexp.MustCompile(`^(?:-?>|[A-Za-zµ]+/[A-Za-z]+|[A-Za-z]=[0-9.]+)$`)

// plain returns the text, in which words that may contain markup are in code spans, without the
// punctuation around them. The text must not be at the beginning of a line.
func plain(s string) string {
	if isHarmless(s) {
		return s
	}
	var out, code []string // code is a sequence of words that become one code span
	flush := func(after string) {
		if len(code) > 0 {
			out, code = append(out, codeSpan(strings.Join(code, " "))+after), nil
		}
	}
	for word := range strings.SplitSeq(reports.Visible(s), " ") {
		bare := strings.TrimRight(word, ",;:.)")
		before := bare[:len(bare)-len(strings.TrimLeft(bare, "("))]
		bare, after := bare[len(before):], word[len(bare):]
		switch {
		case isHarmless(" " + word + " "), harmlessWord.MatchString(bare):
			flush("")
			out = append(out, word)
		case before != "" || after != "":
			if before != "" {
				flush("")
			}
			code = append(code, bare)
			flush(after)
			out[len(out)-1] = before + out[len(out)-1]
		default:
			code = append(code, word)
		}
	}
	flush("")
	return strings.Join(out, " ")
}

// htmlPlain is [plain] within HTML.
func htmlPlain(s string) string {
	if plain(s) == s {
		return s
	}
	return htmlCode(s)
}

func htmlCode(s string) string {
	if s == "" {
		return ""
	}
	return "<code>" + html.EscapeString(reports.Visible(s)) + "</code>"
}

// htmlLink returns the text, as a link if it has an address.
func htmlLink(l link) string {
	if l.URL == "" || l.Text == "" {
		return htmlCode(l.Text)
	}
	return "<a href=\"" + html.EscapeString(l.URL) + "\">" + htmlCode(l.Text) + "</a>"
}

func markdownSection(s section) string {
	var b strings.Builder
	b.WriteString("\n")
	for _, it := range s.Items {
		b.WriteString("- ")
		if it.Before != "" {
			b.WriteString(strings.ReplaceAll(codeOr(it.Before, it.Name == ""), "  ", " "))
		}
		if it.Name != "" {
			b.WriteString(codeSpan(it.Name))
		}
		if it.After != "" {
			after := strings.TrimSpace(it.After)
			text := strings.TrimLeft(after, ":,. ")
			b.WriteString(strings.TrimSpace(after[:len(after)-len(text)]) + " " + plain(text))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// codeOr returns s unchanged unless whole is set: whole lines may contain texts of tests and become
// code.
func codeOr(s string, whole bool) string {
	if whole {
		return codeSpan(s)
	}
	return s
}

// codeSpan returns the text as a code span, which may contain backticks.
func codeSpan(s string) string {
	s = reports.Visible(s)
	ticks := strings.Repeat("`", longest(s)+1)
	if ticks == "`" && s == strings.TrimSpace(s) {
		return "`" + s + "`"
	}
	return ticks + " " + s + " " + ticks
}

// longest returns the length of the longest sequence of backticks.
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
