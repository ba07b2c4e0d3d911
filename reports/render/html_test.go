package render

import (
	"bytes"
	"errors"
	"html"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/thresholds"
)

func rendered(t *testing.T, run reports.Run, earlier []reports.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Render(&b, analyzed(run, earlier)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPages(t *testing.T) {
	for name, make := range sample.Samples {
		t.Run(name, func(t *testing.T) {
			run, earlier := make()
			page := rendered(t, run, earlier)
			if *sample.Pages != "" {
				if err := os.WriteFile(filepath.Join(*sample.Pages, name+".html"), []byte(page), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			standsAlone(t, page)
			if !strings.Contains(page, strings.ToUpper(run.Outcome.String())) {
				t.Error("the verdict is not in words")
			}
			if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
				t.Error("a value did not come through the template")
			}
		})
	}
}

// standsAlone checks that the page loads nothing and runs no scripts of others.
func standsAlone(t *testing.T, page string) {
	t.Helper()
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("%d scripts, want the page's own", n)
	}
	for _, banned := range []string{"<img", "<iframe", "<form", "@import", "url(", "http://", "https://", "src=\"", " onerror=\"", "\x1b", "\u202e", "\u2066", "\u200f", "\u061c", "\u009b"} {
		if strings.Contains(page, banned) {
			t.Errorf("page contains %q", banned)
		}
	}
	for _, needed := range []string{`<html lang="en">`, "default-src &#39;none&#39;|default-src 'none'", "<title>", "prefers-color-scheme:dark", "@media print", `name="viewport"`} {
		found := false
		for _, n := range strings.Split(needed, "|") {
			found = found || strings.Contains(page, n)
		}
		if !found {
			t.Errorf("page lacks %q", needed)
		}
	}
	if n := strings.Count(page, "<h1"); n != 1 {
		t.Errorf("%d h1", n)
	}
	level := 1
	for _, m := range regexp.MustCompile(`<h([1-6])`).FindAllStringSubmatch(page, -1) {
		now := int(m[1][0] - '0')
		if now > level+1 {
			t.Errorf("heading h%d follows h%d", now, level)
		}
		level = now
	}
	if tables, captions := strings.Count(page, "<table"), strings.Count(page, "<caption"); tables != captions {
		t.Errorf("%d tables, %d captions", tables, captions)
	}
	if imgs, titles := strings.Count(page, `role="img"`), strings.Count(page, "<desc>"); imgs != titles {
		t.Errorf("%d charts, %d descriptions", imgs, titles)
	}
}

func TestPageHasTheFigures(t *testing.T) {
	run, earlier := sample.BrokenRun()
	page := rendered(t, run, earlier)
	for _, want := range []string{
		"2 of 38 specs failed",           // the verdict says so first
		"36 of 38 specs that ran passed", // the rate with its denominator
		"82.7 to 98.5%",                  // and its band
		"Of all 40 specs",                // and of all
		"costs 212 &#181;s a run",        // the cost sentence
		"under 1% of any run",            //
		"<td class=\"num\">1.53</td>",    // the ratio
		"1.51 to 1.55",                   // its interval
		"15 blocks",                      // its n
		"Limit 1.45",                     //
		"boundary 1.38",                  //
		"+25% injected|&#43;25% injected",
		"resumes at step 3",
		"suites/core/resume_test.go:41",
		"assignment to entry in nil map",
		`<span class="tag inconclusive">flaky`,
		"judged by the limits of another class",
		"thresholds/limits/linux-amd64-2cpu.toml",
		"7130992", "linux-amd64-2cpu", "AMD EPYC 7B13",
		"in run 10 (rows)", // 11 had no suites
	} {
		found := false
		for _, w := range strings.Split(want, "|") {
			found = found || strings.Contains(page, w)
		}
		if !found {
			t.Errorf("page lacks %q", want)
		}
	}
	if n := strings.Count(page, "<circle class=\"one\""); n != 15+11 {
		t.Errorf("%d dots, want one a block and one a run with specs: 26", n)
	}
}

func TestHostileNamesAreShownNotObeyed(t *testing.T) {
	run, earlier := sample.HostileRun()
	page := rendered(t, run, earlier)
	for _, want := range []string{`\x1b[31mred\u202egnp.exe\u2066\u200f\u061c\u009b`, "&lt;script&gt;alert(1)&lt;/script&gt;", "line one\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("page lacks %q", want)
		}
	}
}

func TestPageOfAnEmptyRun(t *testing.T) {
	standsAlone(t, rendered(t, reports.Run{}, nil))
	standsAlone(t, rendered(t, reports.Run{Suites: &reports.Results{}}, nil))
}

func TestPageOfManySpecs(t *testing.T) {
	run := reports.Run{ID: 2, Suites: sample.Gomega(t, sample.October, ingest.ReadGinkgo), Outcome: thresholds.Broken, Complete: true}
	page := rendered(t, run, []reports.Run{{ID: 1, Suites: sample.Gomega(t, sample.March, ingest.ReadGinkgo)}})
	for _, want := range []string{"910 of 911 specs that ran passed", "1 of 911 specs failed", "3 specs: failed before, passed now", "24 specs: absent before, passed now", "883 specs: passed in both",
		"internal/async_assertion_test.go:344", "&lt;time.Duration&gt;: 10102554"} {
		if !strings.Contains(page, want) {
			t.Errorf("page lacks %q", want)
		}
	}
}

func TestWriteReport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	run, earlier := sample.HeldRun()
	for range 2 { // the second replaces the first
		path, err := WriteReport(dir, analyzed(run, earlier))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != rendered(t, run, earlier) {
			t.Error("the file is not the page")
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != "index.html" {
		t.Errorf("left behind: %v", entries)
	}
}

// Messages that are too long for the page are in files next to it, whose names do not reveal names of
// tests. No file is written through a link that leads out of the folder.
func TestLongMessages(t *testing.T) {
	dir := t.TempDir()
	bad := sample.Spec("../../"+sample.Hostile, reports.Failed)
	bad.Message = strings.Repeat("a line of it\n", 1000) + "the end\x1b"
	long := analysis.AnalyzeSingleRun(reports.Run{Suites: sample.Results(3, bad)})
	path, err := WriteReport(dir, long)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "messages", "*"))
	if len(files) != 1 || !regexp.MustCompile(`^[0-9a-f]{16}\.txt$`).MatchString(filepath.Base(files[0])) {
		t.Fatalf("files: %v", files)
	}
	if text, err := os.ReadFile(files[0]); err != nil || !strings.HasSuffix(string(text), "the end\\x1b\n") {
		t.Errorf("%v, ends with %q", err, text[max(0, len(text)-20):])
	}
	if !strings.Contains(string(page), "messages/"+filepath.Base(files[0])) || strings.Contains(string(page), "the end") {
		t.Error("the page does not say where the rest is, or has it")
	}
	if _, err := WriteReport(dir, analysis.AnalyzeSingleRun(reports.Run{Suites: sample.Results(3)})); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "messages", "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}

	outside, linked := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(linked, "messages")); err != nil {
		t.Skip(err)
	}
	if _, err := WriteReport(linked, long); err == nil {
		t.Error("wrote through a link")
	}
	if got, _ := os.ReadDir(outside); len(got) != 0 {
		t.Errorf("outside: %v", got)
	}
}

func TestWriteReportWhereNothingCanBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if path, err := WriteReport(filepath.Join(file, "report"), &analysis.Analysis{}); err == nil {
		t.Errorf("wrote %s", path)
	}
	// The path of the page is a folder: the rename fails, and no incomplete page is left.
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "index.html"), 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := WriteReport(dir, &analysis.Analysis{}); err == nil {
		t.Errorf("wrote %s", path)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// Changes of limits at one position of the trend have one letter and one line; the ledger contains them
// all.
func TestTheTrendOfALongLedgerIsShort(t *testing.T) {
	a := fullAnalysis(40, 40, "")
	a.Trend.Limits = nil
	for run := range 30 {
		for i := range 15 {
			change := thresholds.Tightened
			if i == 0 {
				change = thresholds.Loosened
			}
			a.Trend.Limits = append(a.Trend.Limits, analysis.LimitChange{At: run, Line: analysis.LedgerLine{Entry: thresholds.Entry{Date: "2026-11-02", Change: change, Workload: "default"}}})
		}
	}
	v := newTrend(a.Trend)
	if len(v.Limits) != maxLetters || len(v.Chart.Marks) != maxLetters {
		t.Fatalf("%d lines and %d letters", len(v.Limits), len(v.Chart.Marks))
	}
	for i, l := range v.Limits {
		if m := v.Chart.Marks[i]; m.Text != l.Letter || len(l.Letter) != 1 || l.Text != "15 changes of limits on 2026-11-02, 1 loosening among them: see the ledger" {
			t.Errorf("%+v, %+v", m, l)
		}
	}
	if last := v.Chart.Marks[maxLetters-1]; last.Text != "Z" || last.X < v.Chart.Marks[0].X {
		t.Errorf("the newest is not there: %+v", last)
	}
	if v.MoreLimits != 4 {
		t.Errorf("%d places left out, want 4", v.MoreLimits)
	}
}

// Extreme values, which only a file written by hand can contain, do not make an axis endless.
func TestAxisEnds(t *testing.T) {
	for _, ends := range [][2]float64{{-math.MaxFloat64, math.MaxFloat64}, {0, math.MaxFloat64}, {0, 5e-324}, {1, 1}, {1.2, 1.3}} {
		if n := len(newAxis(ends[0], ends[1], 0, 100).ticks()); n < 2 || n > 12 {
			t.Errorf("%v: %d ticks", ends, n)
		}
	}
}

type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestRenderTellsOfAFullDisk(t *testing.T) {
	var w io.Writer = full{}
	if err := Render(w, &analysis.Analysis{}); !errors.Is(err, errFull) {
		t.Errorf("err = %v", err)
	}
}

// Old temporary files of killed processes are removed; other files stay.
func TestOldPartsOfAPageAreRemoved(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-2 * time.Hour)
	for name, when := range map[string]time.Time{"index.html.17.part": old, "index.html.18.part": time.Now(), "index.html.old.part": old, "mine.17.part": old} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o644), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := WriteReport(dir, analysis.AnalyzeSingleRun(reports.Run{Suites: sample.Results(1), Complete: true})); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{"index.html", "index.html.18.part", "index.html.old.part", "mine.17.part"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// A page is ASCII unless its texts are in another script. The hashes of its policy are those of its
// script and style.
func TestPageIsASCII(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		ascii bool
	}{"English": {"", true}, "a few words": {" été", true}, "Japanese": {strings.Repeat(" 注文は合計を", 40), false}} {
		var page strings.Builder
		a := fullAnalysis(40, 5, test.text)
		if err := Render(&page, a); err != nil {
			t.Fatal(err)
		}
		ascii := !strings.ContainsFunc(page.String(), func(r rune) bool { return r >= 0x80 })
		if ascii != test.ascii {
			t.Errorf("%s: ASCII is %t", name, ascii)
		}
		if test.text != "" && !strings.Contains(html.UnescapeString(page.String()), strings.TrimSpace(test.text)) {
			t.Errorf("%s: the text of the specs is lost", name)
		}
	}
	for _, element := range []string{"style", "script"} {
		var text strings.Builder
		if err := pageTemplate().ExecuteTemplate(&text, element, nil); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(text.String(), func(r rune) bool { return r >= 0x80 }); i >= 0 {
			t.Errorf("%s has %q: a reference would not be read there", element, text.String()[i:i+4])
		}
	}
}

// Before the first screen is drawn, the browser creates few elements, however large the page is: the
// rest is in noscript elements.
func TestFirstScreenHasFewElements(t *testing.T) {
	for _, size := range [][2]int{{2300, 200}, {100_000, 60}} {
		var page strings.Builder
		if err := Render(&page, fullAnalysis(size[0], size[1], "")); err != nil {
			t.Fatal(err)
		}
		later := regexp.MustCompile(`(?s)<noscript.*?</noscript>`)
		tag := regexp.MustCompile(`<[a-z]`)
		all, first := len(tag.FindAllString(page.String(), -1)), len(tag.FindAllString(later.ReplaceAllString(page.String(), ""), -1))
		t.Logf("%d specs: %d elements, %d on the first screen and for readers of the table", size[0], all, first)
		if first > 600 || all < 10*first {
			t.Errorf("%d specs: %d of %d elements are made at once, at most 600", size[0], first, all)
		}
	}
}
