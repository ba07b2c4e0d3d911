package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var outputs = map[string]func(io.Writer, *analysis.Analysis) error{
	"html": Render, "json": WriteJSON, "junit": WriteJUnit, "ctrf": WriteCTRF, "openmetrics": WriteOpenMetrics, "badge": WriteBadge, "csv": WriteCSV,
	"md":      func(w io.Writer, a *analysis.Analysis) error { return WriteMarkdown(w, a, 65000) },
	"comment": func(w io.Writer, a *analysis.Analysis) error { return WriteComment(w, a, 65000) },
	"terminal": func(w io.Writer, a *analysis.Analysis) error {
		return lines(w, append(Summary(a, Screen{Report: sample.Hostile}), Details(a)...))
	},
}

func lines(w io.Writer, all []string) error {
	_, err := io.WriteString(w, strings.Join(all, "\n")+"\n")
	return err
}

func output(t *testing.T, name string, a *analysis.Analysis) string {
	t.Helper()
	var b bytes.Buffer
	if err := outputs[name](&b, a); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// analyses contains unusual analyses: an empty one, one without suites, one with hostile texts.
func analyses() map[string]*analysis.Analysis {
	run, earlier := sample.HostileRun()
	invalid, _ := sample.InvalidRun()
	all := map[string]*analysis.Analysis{"empty": {}, "no specs": analysis.AnalyzeSingleRun(reports.Run{Suites: &reports.Results{}}), "no results": analysis.AnalyzeSingleRun(invalid), "hostile run": analyzed(run, earlier), "full": fullAnalysis(120, 20, " "+sample.Hostile)}
	all["full"].Run.Commit, all["full"].Run.Branch = sample.Hostile, sample.Hostile
	all["200 attacks"] = attacked()
	commands := fullAnalysis(60, 10, "\n::error::x\n##vso[task.complete]")
	commands.Flakes[0].Spec.Suite, commands.Phases[0].Name = "::error title=x::y", "::stop-commands::z"
	commands.Run.Branch, commands.Run.Commit, commands.Run.Command = "::b::", "::c::", "::d::"
	all["commands"] = commands
	return all
}

func TestEveryOutputOfEveryAnalysisIsWellFormed(t *testing.T) {
	if n := len(attacks()); n != 200 {
		t.Fatalf("%d attacks, want 200", n)
	}
	acts := regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
	for kind, a := range analyses() {
		for name := range outputs {
			text := output(t, name, a)
			if m := acts.FindString(text); m != "" {
				t.Errorf("%s of %s has %q", name, kind, m)
			}
			if name == "terminal" && commandLine.MatchString(text) {
				t.Errorf("%s of %s has a command to a CI system: %q", name, kind, commandLine.FindString(text))
			}
			if err := wellFormed(name, text); err != nil {
				t.Errorf("%s of %s: %v", name, kind, err)
			}
		}
	}
}

// commandLine matches commands that GitHub Actions and Azure Pipelines execute in the output of a job.
var commandLine = regexp.MustCompile(`(?m)^\s*::[a-z].*|##[a-z]*\[.*`)

func wellFormed(name, text string) error {
	switch name {
	case "json", "ctrf":
		return json.Unmarshal([]byte(text), new(any))
	case "junit", "badge":
		d := xml.NewDecoder(strings.NewReader(text))
		for {
			if _, err := d.Token(); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	case "openmetrics":
		return openMetrics(text)
	case "md", "comment":
		return inertMarkdown(text)
	case "csv":
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		for _, cells := range rows {
			for _, c := range cells {
				if strings.IndexAny(strings.TrimLeft(c, " "), "=+-@|") == 0 {
					return errors.New("a cell is a formula: " + c)
				}
			}
		}
		return err
	}
	return nil
}

var (
	metricHead   = regexp.MustCompile(`^# (TYPE|UNIT|HELP) ([a-z_]+) (.+)$`)
	metricSample = regexp.MustCompile(`^([a-z_]+)(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? [0-9.e+-]+$`)
)

// openMetrics checks rules of the format: the samples of a family are adjacent and follow its type,
// names end with the unit, no sample occurs twice, and the text ends with the mark of the end.
func openMetrics(text string) error {
	body, ok := strings.CutSuffix(text, "# EOF\n")
	if !ok || strings.Contains(body, "# EOF") {
		return errors.New("it does not end with # EOF")
	}
	family, kind := "", ""
	seen, had := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if m := metricHead.FindStringSubmatch(line); m != nil {
			if m[1] == "TYPE" {
				if family, kind = m[2], m[3]; seen[family] {
					return errors.New("family twice: " + family)
				}
				seen[family] = true
			}
			if m[2] != family || m[1] == "UNIT" && !strings.HasSuffix(family, "_"+m[3]) {
				return errors.New("out of place: " + line)
			}
			continue
		}
		m := metricSample.FindStringSubmatch(line)
		switch {
		case m == nil:
			return errors.New("no sample: " + line)
		case m[1] != family && !(kind == "info" && m[1] == family+"_info"):
			return errors.New("a sample of another family: " + line)
		case had[m[1]+m[2]]:
			return errors.New("sample twice: " + line)
		}
		had[m[1]+m[2]] = true
	}
	return nil
}

// Package ingest reads the written files back as the same results: see writtenAndRead.
func TestJUnitAndCTRFAreReadBack(t *testing.T) {
	run, earlier := sample.BrokenRun()
	run.Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: "AfterSuite", Message: "left a file behind", File: "a_test.go", Line: 3}}
	nameless := sample.Spec("", reports.Passed)
	run.Suites.Specs = append(run.Suites.Specs, nameless)
	a := analyzed(run, earlier)
	full := fullAnalysis(200, 10, " <b>\x1b & \"text\"")
	for name, a := range map[string]*analysis.Analysis{"broken": a, "gomega": analysis.AnalyzeSingleRun(reports.Run{Suites: sample.Gomega(t, sample.October, ingest.ReadGinkgo)}), "full": full} {
		writtenAndRead(t, name, a.Run.Suites)
	}
}

// Parts of one suite, as in shards, fail independently.
func TestFailuresOfPartsOfOneSuite(t *testing.T) {
	r := sample.Results(1)
	r.Suites = append(r.Suites, r.Suites[0])
	long := strings.Repeat("a line of it\n", 1000)
	r.Suites[0].Failures = []reports.SuiteFailure{{Node: "AfterSuite", Message: long + "left a file"}}
	r.Suites[1].Failures = []reports.SuiteFailure{{Node: "AfterSuite", Message: long + "left a process"}}
	a := analysis.AnalyzeSingleRun(reports.Run{Suites: r})
	if text := output(t, "ctrf", a); !strings.Contains(text, `"suites": 1,`) {
		t.Error("CTRF counts the parts and not the suite")
	}
	read, err := ingest.Read(strings.NewReader(output(t, "junit", a)), "")
	if err != nil {
		t.Fatal(err)
	}
	if n := read.Results.SuiteFailures(); n != 2 {
		t.Errorf("JUnit XML has %d failures outside the specs, want 2", n)
	}
	dir := t.TempDir()
	if _, err := WriteReport(dir, a); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "messages", "*")); len(files) != 2 {
		t.Errorf("messages in full: %v, want two", files)
	}
}

// An estimate has its interval in the machine formats too.
func TestJSONHasTheIntervalOfWhatDurabilityCosts(t *testing.T) {
	run, earlier := sample.HeldRun()
	few := sample.Comparison("few", 1.2)
	few.CostRatio.Low, few.CostRatio.High = -math.MaxFloat64, math.MaxFloat64
	run.Comparisons = append(run.Comparisons, few)
	var got struct{ Durability []map[string]any }
	if err := json.Unmarshal([]byte(output(t, "json", analyzed(run, earlier))), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"cost_ratio_low": 1.31 * 0.987, "cost_ratio_high": 1.31 * 1.013, "cost_us_low": 212 * 0.979, "cost_us_high": 212 * 1.021}
	for name, v := range want {
		if diff := cmp.Diff(v, got.Durability[0][name], cmpopts.EquateApprox(1e-9, 0)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if v, there := got.Durability[1]["cost_ratio_low"]; !there || v != nil {
		t.Errorf("an open interval: %v", v)
	}
}

func TestJSONFields(t *testing.T) {
	a := fullAnalysis(200, 10, "")
	var got struct {
		Schema int
		Runs   []map[string]any
		Verdict,
		Target map[string]any
		Transitions []map[string]any
	}
	if err := json.Unmarshal([]byte(output(t, "json", a)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Schema != 1 || len(got.Runs) != 10 || len(got.Transitions) != len(a.Moves) || got.Verdict["outcome"] != "broken" {
		t.Errorf("schema %d, %d runs, %d transitions, verdict %v", got.Schema, len(got.Runs), len(got.Transitions), got.Verdict)
	}
	last := got.Runs[len(got.Runs)-1]
	c := a.Counts
	want := map[string]any{"id": 10., "total": float64(c.All()), "passed": float64(c.Passed), "failed": float64(c.Failed), "skipped": float64(c.Skipped + c.Pending),
		"flaky": float64(c.Retried), "pass_rate": float64(c.Passed) / float64(c.Passed+c.Failed), "pass_rate_all": float64(c.Passed) / float64(c.All())}
	maps.DeleteFunc(last, func(k string, _ any) bool { return want[k] == nil })
	if diff := cmp.Diff(want, last); diff != "" {
		t.Error(diff)
	}
}

func TestMarkdownKeepsItsCap(t *testing.T) {
	a := fullAnalysis(200, 10, " "+sample.Hostile+strings.Repeat("`", 40))
	for _, most := range []int{LeastMarkdown, 4000, 10000, 65000} {
		var b bytes.Buffer
		if err := WriteMarkdown(&b, a, most); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if len(text) > most {
			t.Errorf("%d bytes, at most %d", len(text), most)
		}
		for _, s := range sections(a) {
			if s.Title == needsAttention {
				continue // the table of specs
			}
			heading := strings.Contains(text, "<summary>"+s.Title+"</summary>")
			if whole := strings.Contains(text, markdownSection(s)); heading != whole {
				t.Errorf("at %d bytes a part of %q is there", most, s.Title)
			}
			if !heading && !strings.Contains(text[strings.LastIndex(text, "_Left out"):], s.Title) {
				t.Errorf("at %d bytes nothing says that %q was left out", most, s.Title)
			}
		}
	}
	if err := WriteMarkdown(io.Discard, a, 100); err == nil {
		t.Error("a cap that nothing fits was taken")
	}
}

func TestMarkdownShowsTextAsItIs(t *testing.T) {
	for in, want := range map[string]string{"a": "`a`", "a`b": "`` a`b ``", "``": "``` `` ```", " a ": "`  a  `", "<b>@all\x1b": "`<b>@all\\x1b`"} {
		if got := codeSpan(in); got != want {
			t.Errorf("codeSpan(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCSVCells(t *testing.T) {
	for in, want := range map[string]string{"": "", "a=b": "a=b", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "  =1": "'  =1", "\t=1": `\t=1`, "é": "é"} {
		if got := guarded(in); got != want {
			t.Errorf("guarded(%q) = %q, want %q", in, got, want)
		}
	}
}

// Neither an output nor the file of the history contains a secret.
func TestNoOutputHoldsASecret(t *testing.T) {
	h := openHistory(t, t.TempDir()+"/history.db")
	run, earlier := sample.LeakyRun()
	slices.Reverse(earlier) // oldest first
	for _, r := range append(earlier, run) {
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	a, err := analysis.Analyze(t.Context(), h, analysis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name := range outputs {
		text := output(t, name, a)
		sample.HoldsNoSecret(t, name, text)
		if !strings.Contains(text, "[redacted]") && name != "openmetrics" && name != "badge" {
			t.Errorf("%s does not say that something was taken out", name)
		}
	}
}
