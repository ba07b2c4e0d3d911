package render

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// specTable is all specs of a run for the script of the page, which lists, sorts and filters
// them and draws the page of each. Texts that repeat stand once, in lists, and rows name them
// by their place.
type specTable struct {
	Runs   []tableRun `json:"runs"` // the columns of a strip of outcomes
	Suites []string   `json:"suites"`
	Kinds  []string   `json:"kinds"`
	Owners []string   `json:"owners"`
	Files  []string   `json:"files"`
	Labels []string   `json:"labels"`
	Rows   [][]any    `json:"rows"` // see addRow
	Since  string     `json:"since"`
}

type tableRun struct {
	Name    string `json:"n"`
	Started string `json:"t"`
	Commit  string `json:"c"`
}

// tableStates are the states by their number in a row. "flaky" is passed only when retried.
var tableStates = []string{"passed", "failed", "skipped", "pending", "flaky"}

// list numbers texts.
type list struct {
	all []string
	at  map[string]int
}

func (l *list) place(s string) int {
	if s == "" {
		return -1
	}
	i, ok := l.at[s]
	if !ok {
		if l.at == nil {
			l.at = map[string]int{}
		}
		i = len(l.all)
		l.all, l.at[s] = append(l.all, s), i
	}
	return i
}

// shortID names a spec in the fragment of a page.
func shortID(s *reports.Spec) string { return specID(s)[:10] }

// newSpecTable makes the table of the specs of a run.
func newSpecTable(a *analysis.Analysis) specTable {
	t := specTable{}
	for _, r := range a.Outcomes.Runs {
		run := tableRun{Name: lineName(r), Commit: text.ShortCommit(r.Commit)}
		if !r.Started.IsZero() {
			run.Started = r.Started.UTC().Format("2006-01-02 15:04")
		}
		t.Runs = append(t.Runs, run)
	}
	moves := map[string]*analysis.Move{}
	for i := range a.Moves {
		moves[a.Moves[i].Spec.Key()] = &a.Moves[i]
	}
	var suites, kinds, owners, files, labels list
	for i := range a.Run.Suites.Specs {
		s := &a.Run.Suites.Specs[i]
		key := s.Key()
		state := slices.Index(tableStates, string(s.State))
		if s.Retried && s.State == reports.Passed || s.BothWays() {
			state = 4
		}
		kind, cellName := "", ""
		if m := moves[key]; m != nil {
			kind, cellName = string(m.Kind), cell(m.Before, m.Now)
		} else if a.Matrix.Compared {
			cellName = cell(s.State, s.State)
		}
		var own []int
		for _, l := range s.Labels {
			if !strings.HasPrefix(l, "owner:") {
				own = append(own, labels.place(text.Cut(reports.Visible(l), 80)))
			}
		}
		row := []any{shortID(s), text.Cut(reports.Visible(specName(s)), 500), suites.place(reports.Visible(s.Suite)), state, kinds.place(kind),
			owners.place(reports.Visible(reports.OwnerOf(s))), s.Duration.Microseconds(), files.place(text.Cut(reports.Visible(s.File), 300)), s.Line,
			kinds.place(cellName), own, packCells(a.Outcomes.Cells[key])}
		if took := a.Outcomes.Took[key]; len(took) > 0 {
			us := make([]int64, len(took))
			for k, d := range took {
				us[k] = d.Microseconds()
			}
			row = append(row, us)
		}
		t.Rows = append(t.Rows, row)
	}
	t.Suites, t.Kinds, t.Owners, t.Files, t.Labels = suites.all, kinds.all, owners.all, files.all, labels.all
	return t
}

// specName is the name of a spec without its suite.
func specName(s *reports.Spec) string {
	_, name, ok := strings.Cut(s.Name(), " > ")
	if !ok {
		return s.Name()
	}
	return name
}

// packCells writes rows of the same character with their number: "...F.." is "3.F2.".
func packCells(cells string) string {
	var b strings.Builder
	for i := 0; i < len(cells); {
		n := 1
		for i+n < len(cells) && cells[i+n] == cells[i] {
			n++
		}
		if n > 1 {
			b.WriteString(strconv.Itoa(n))
		}
		b.WriteByte(cells[i])
		i += n
	}
	return b.String()
}

// pack compresses the table for an attribute of the page: JSON, gzip, base64.
func (t specTable) pack() string {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_ = json.NewEncoder(z).Encode(t)                      // strings and numbers, into memory
	_ = z.Close()
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

// tileView is a fact of the overview in large: a figure, what it is of, and how it went.
type tileView struct {
	Name, Value, Note, Tone string
	Spark                   string // points of a line of 100 by 24, "" where there is none
	SparkText               string
}

// tiles are the facts of the overview.
func tiles(a *analysis.Analysis) (all []tileView) {
	if a.Run.Suites != nil {
		t := tileView{Name: "pass rate", Value: a.Rate.Percent(), Note: fmt.Sprintf("%s of %s that ran passed", text.Count(a.Rate.Good), text.Plural(a.Rate.Of, "spec")), Tone: "held"}
		if a.Rate.Of == 0 {
			t.Value, t.Note, t.Tone = "none", "no spec ran", "inconclusive"
		} else if a.Counts.Failed > 0 {
			t.Tone = "broken"
		}
		var shares []float64
		for _, p := range a.Trend.Points {
			if r := p.Counts.PassRate(); p.Rated && r.Of > 0 {
				shares = append(shares, r.Share())
			}
		}
		t.Spark, t.SparkText = spark(shares)
		all = append(all, t)
		failed := tileView{Name: "failures", Value: text.Count(a.Counts.Failed + a.Run.Suites.SuiteFailures()), Note: blame(a), Tone: "held"}
		if failed.Value != "0" {
			failed.Tone = "broken"
		}
		if n := len(a.Flakes); n > 0 {
			failed.Note = joinWith(", ", failed.Note, text.Count(n)+" known flaky")
		}
		if n := outsideCount(a.Run); n > 0 {
			failed.Note = joinWith(", ", failed.Note, text.Plural(n, "failure")+" outside the specs")
		}
		all = append(all, failed)
	}
	if len(a.Run.Comparisons) > 0 {
		c := worstFirst(a.Run)[0]
		t := tileView{Name: "cost of durability", Value: "not estimated", Note: reports.Visible(c.Name()), Tone: "inconclusive"}
		if text.Estimated(c.Cost) {
			t.Value = signed(c.Cost.Value) + " µs"
			t.Note = "a run of " + reports.Visible(c.Name())
		}
		if v := a.Run.VerdictFor(c); v != nil {
			t.Tone = v.Outcome.String()
			if v.Limit != 0 && text.Estimated(c.CostRatio) {
				t.Note += fmt.Sprintf("; %sx the floor, limit %sx", text.Figure(c.CostRatio.Value), text.Figure(v.Limit))
			}
		}
		all = append(all, t)
	} else if len(a.Run.Benchmarks) > 0 {
		all = append(all, tileView{Name: "benchmarks", Value: text.Count(len(a.Run.Benchmarks)), Note: "figures, not judged"})
	}
	if a.Run.Seconds > 0 {
		t := tileView{Name: "duration", Value: text.Took(text.Seconds(a.Run.Seconds)), Note: "the whole run"}
		if n := len(a.Slowing); n > 0 {
			t.Note = text.Plural(n, "spec") + " slower than before"
		}
		var seconds []float64
		for _, p := range a.Trend.Points {
			if p.Seconds > 0 {
				seconds = append(seconds, p.Seconds)
			}
		}
		t.Spark, t.SparkText = spark(seconds)
		all = append(all, t)
	}
	return all
}

func joinWith(by string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), by)
}

// spark draws values from left to right, from the smallest to the largest of them.
func spark(values []float64) (points, words string) {
	if len(values) < 2 {
		return "", ""
	}
	low, high := slices.Min(values), slices.Max(values)
	var b strings.Builder
	for i, v := range values {
		y := 12.0
		if high > low {
			y = 22 - 20*(v-low)/(high-low)
		}
		fmt.Fprintf(&b, "%.1f,%.1f ", 1+98*float64(i)/float64(len(values)-1), y)
	}
	return strings.TrimSpace(b.String()), fmt.Sprintf("over the last %d runs", len(values))
}

// suiteRow is a suite in the table of suites.
type suiteRow struct {
	Name, Specs, Failed, Took, Tone string
}

// suiteRows are the suites of a run, the longest first.
func suiteRows(r *reports.Results) (all []suiteRow) {
	counts := map[string]*reports.Counts{}
	for i := range r.Specs {
		s := &r.Specs[i]
		if counts[s.Suite] == nil {
			counts[s.Suite] = &reports.Counts{}
		}
		counts[s.Suite].Add(s)
	}
	order := slices.Clone(r.Suites)
	slices.SortStableFunc(order, func(x, y reports.Suite) int { return int(y.Duration/1e3 - x.Duration/1e3) })
	for _, s := range order[:min(len(order), maxListed)] {
		c := counts[s.Path]
		if c == nil {
			c = &reports.Counts{}
		}
		row := suiteRow{Name: reports.Visible(s.Path), Specs: text.Count(c.All()), Failed: text.Count(c.Failed + len(s.Failures)), Took: "unknown"}
		if s.Duration > 0 {
			row.Took = text.Took(s.Duration)
		}
		if row.Failed != "0" {
			row.Tone = "broken"
		}
		all = append(all, row)
	}
	return all
}
