package render

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	goldhtml "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/thresholds"
)

// gfm parses Markdown like GitHub, including raw HTML.
var gfm = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(goldhtml.WithUnsafe()))

// The elements that WriteMarkdown uses.
var ownElements = []string{"html", "head", "body", "h2", "p", "em", "strong", "ul", "li", "details", "summary", "table", "tbody", "tr", "th", "td", "pre", "code", "a"}

// Texts with a special meaning in comments on GitHub or GitLab: mentions, references to issues, merge
// requests, commits, labels, milestones and others, addresses, emoji, and commands of GitLab.
var actsInText = regexp.MustCompile(`[@#~&$^\[\]*_]|!\d|GH-\d|%\w|:\w+:|://|(?i:www\.)`)

// inertMarkdown finds texts with a special meaning outside of code, elements and addresses that
// WriteMarkdown does not use, and lines that GitLab interprets as commands.
func inertMarkdown(markdown string) error {
	for line := range strings.Lines(markdown) {
		if strings.HasPrefix(line, "/") {
			return fmt.Errorf("a line is a command of GitLab: %q", line)
		}
	}
	var page bytes.Buffer
	if err := gfm.Convert([]byte(markdown), &page); err != nil {
		return err
	}
	doc, err := html.Parse(&page)
	if err != nil {
		return err
	}
	var walk func(n *html.Node, code bool) error
	walk = func(n *html.Node, code bool) error {
		switch {
		case n.Type == html.CommentNode:
			return fmt.Errorf("a comment of HTML: %q", n.Data)
		case n.Type == html.ElementNode && !slices.Contains(ownElements, n.Data):
			return fmt.Errorf("an element <%s>", n.Data)
		case n.Type == html.TextNode && !code && actsInText.MatchString(n.Data):
			return fmt.Errorf("text outside of code acts: %q", n.Data)
		}
		for _, a := range n.Attr {
			ours := a.Key == "href" && strings.HasPrefix(a.Val, "https://ci.example.com/") || a.Key == "class" && (a.Val == "language-diff" || a.Val == "language-text") ||
				a.Key == "align" && a.Val == "left" || a.Key == "colspan" && a.Val == "3" || a.Key == "open" && a.Val == ""
			if !ours {
				return fmt.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			if err := walk(c, code || n.Data == "code" || n.Data == "pre"); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(doc, false)
}

// The check itself finds each kind of problem.
func TestInertMarkdownFindsWhatActs(t *testing.T) {
	for _, bad := range []string{"@all", "see #12", "!12", "~bug", "![x](https://example.com/x.png)", "[x](https://example.com)", "<img src=x>", "https://example.com", "www.example.com", "/close", "GH-12",
		"`a` b` @all", "```\n@x\n```\n@y", "<details><summary><b>x</b></summary></details>", "<!-- flujo-harness -->", "a `b\n\n@c` d", "<a href=\"https://example.com\">x</a>", ":tada:", "%12"} {
		if inertMarkdown(bad) == nil {
			t.Errorf("%q is taken for harmless", bad)
		}
	}
	for _, good := range []string{"## ✗ BROKEN: 2 of 18 specs failed\n\n- **specs**: 2 passed\n", "`@all #1 <img src=x>`", "```diff\n- @x\n```\n"} {
		if err := inertMarkdown(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

// hostileText draws texts that try to end the code span or block around them.
func hostileText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"`", "``", "```", "````", "~~~", "\n", "\n\n", "\r\n", "/close", "/assign @me", "@all", "#1", "GH-1", "!1", "![i](https://evil.example/i.png)", "[l](https://evil.example)",
			"<img src=https://evil.example>", "</code>", "</table>", "</details>", "</summary>", "<!--", "-->", "<script>", "|", "\\|", "\\", "  ", "\t", ":tada:", "https://evil.example/", "www.evil.example", "&lt;", "&#64;all", "$x$", "%1", "~1",
			"*", "_", "> ", "- ", "1. ", "# ", "---", "=", "\x1b[31m", "\u202e", "a", "expected: 1", "Expected\n    <string>: a\nto equal\n    <string>: b", "- a\n+ b", "it", "100%", "::error::x", "javascript:x"}), 0, 12).Draw(t, "parts")
		return strings.Join(parts, rapid.SampledFrom([]string{"", " ", "\n"}).Draw(t, "joined by"))
	})
}

// No text of others (names, messages, outputs, reasons, branches, files, labels) has a special meaning in
// a comment or a summary, and each output respects its size limit.
func TestNothingInMarkdownActs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := hostileText()
		draw := func(name string) string { return text.Draw(t, name) }
		r := reports.Run{ID: 7, Branch: draw("branch"), Commit: "0123456789abcdef", Command: draw("command"), Format: reports.FormatGoTest, Outcome: thresholds.Broken, Complete: true, Seconds: 3,
			Origin: reports.Origin{Job: draw("job"), OS: draw("os"), CommitURL: draw("commit address"), JobURL: "https://ci.example.com/" + draw("job address"), FileURL: "https://ci.example.com/blob/"},
			Suites: &reports.Results{}}
		if !strings.Contains(r.Origin.CommitURL, "://") {
			r.Origin.CommitURL = "https://ci.example.com/" + r.Origin.CommitURL
		} else {
			r.Origin.CommitURL = ""
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "specs") {
			r.Suites.Specs = append(r.Suites.Specs, reports.Spec{Suite: draw("suite"), Leaf: draw("leaf"), Occurrence: i + 1, State: reports.Failed, Detail: draw("detail"),
				Message: draw("message"), Output: draw("output"), File: draw("file"), Line: 3, Labels: []string{"owner:" + draw("owner"), draw("label")}})
		}
		if rapid.Bool().Draw(t, "outside") {
			r.Suites.Suites = []reports.Suite{{Path: draw("path"), Failures: []reports.SuiteFailure{{Node: draw("node"), Message: draw("of the suite")}}}}
		}
		r.SuiteError = draw("suite error")
		r.Verdicts = []thresholds.Verdict{{Outcome: thresholds.Broken, Workload: draw("workload"), Against: draw("against"), Reason: draw("reason"), Next: draw("next"), Notes: []string{draw("note")}}}
		a := analysis.AnalyzeSingleRun(r)
		for i := range r.Suites.Specs {
			a.Failures = append(a.Failures, analysis.Failure{Whose: analysis.ByThisChange, Spec: &r.Suites.Specs[i], Why: draw("why")})
		}
		most := rapid.IntRange(LeastMarkdown, 65_000).Draw(t, "most")
		for name, write := range map[string]func(*bytes.Buffer) error{
			"summary": func(b *bytes.Buffer) error { return WriteMarkdown(b, a, most) },
			"comment": func(b *bytes.Buffer) error { return WriteComment(b, a, most) },
			"code":    func(b *bytes.Buffer) error { WriteCode(b, r.SuiteError+"\n"+r.Branch, most); return nil }} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if b.Len() > most {
				t.Fatalf("%s: %d bytes, at most %d", name, b.Len(), most)
			}
			if err := inertMarkdown(b.String()); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, b.String())
			}
		}
	})
}

// Only the words that may act are code, without the punctuation around them, so that sentences can be
// read.
func TestSentencesInMarkdownAreText(t *testing.T) {
	for text, want := range map[string]string{
		"2 of 18 specs failed: 1 newly broken":                       "2 of 18 specs failed: 1 newly broken",
		"example.com/shop.Join-2: it counts more: B/op 1912 -> 8192": "`example.com/shop.Join-2`: it counts more: B/op 1912 -> 8192",
		"8,192 B/op (8,192 to 8,192, n=6)":                           "8,192 B/op (8,192 to 8,192, n=6)",
		"time -0.02% (-1.73% to +1.71%)":                             "time -0.02% (-1.73% to +1.71%)",
		"ask @all (@me), #12 and x":                                  "ask `@all` (`@me`), `#12` and x",
		"two words_of code_here, then":                               "two `words_of code_here`, then",
		"a `b` c":                                                    "a `` `b` `` c",
		"core > a pipeline > survives kill -9":                       "core > a pipeline > survives kill -9",
		"www.example.com and :tada: GH-12":                           "`www.example.com` and `:tada`: `GH-12`",
		"":                                                           "",
	} {
		if got := plain(text); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", text, got, want)
		}
	}
	section := markdownSection(section{Items: []item{{Name: "shop.Add-2", After: ": 8,192 B/op (8,192 to 8,192, n=6)"}, {Before: "12 ms ", Name: "adds", After: " (2% of all)"}, {Name: "adds", After: ". since run 3"}}})
	if want := "\n- `shop.Add-2`: 8,192 B/op (8,192 to 8,192, n=6)\n- 12 ms `adds` (2% of all)\n- `adds`. since run 3\n"; section != want {
		t.Errorf("%s\nwant%s", section, want)
	}
	a := &analysis.Analysis{Run: reports.Run{Verdicts: []thresholds.Verdict{{Outcome: thresholds.Held, Workload: "shop.Add", Metric: thresholds.MetricRatio, Against: "main", Reason: "a"}, {Outcome: thresholds.Held, Workload: "shop.Sub", Metric: thresholds.MetricRatio, Against: "main", Reason: "b"}}}}
	if facts := markdownFacts(a, 1000); strings.Count(facts, "- **against**: ") != 2 || strings.Contains(facts, "****") {
		t.Error(facts)
	}
}
