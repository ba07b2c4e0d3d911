package render

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

const (
	maxAttention = 500  // red and flaky specs shown in full; more are in the table of all
	maxUnfolded  = 5    // of them, those that a screen has room for
	maxListed    = 200  // names in a list
	maxShown     = 3000 // characters of a message
)

// page is what the template shows: text that is ready to read. Everything written by
// others went through Visible or visibleBlock.
type page struct {
	Title     string
	Live      string        // address that tells of new runs; "": the page is a file
	Running   []runningView // runs in progress: of a live page only
	Module    string        // whose page it is
	Meta      []link        // run, time, commit, job
	Word      string        // "BROKEN"
	Tone      string        // class: held, broken, inconclusive, invalid
	Reason    string
	Next      []string
	Notes     []string
	MoreLoose string   // "2 more loosenings", "" where all are in Loose
	Loose     []string // loosenings that helped to judge the run: they stand next to the pass rate
	Specs     *specsView
	NoSpecs   string // why there are none

	Target     *targetView
	Phases     []phaseView
	Overall    *phaseView
	Categories []categoryView
	Forecast   string

	Attention     []attentionView
	Folded        []attentionView // the rest of them
	MoreAttention int
	Outside       []outsideView
	MoreOutside   int
	Matrix        *matrixView
	Green         []greenView
	Paired        string
	Table         string // all specs for the script: see specTable.pack
	Suites        []suiteRow
	Tiles         []tileView
	Since         string // "run 11", "" where there is no earlier run

	Trend      trendView
	Clusters   []clusterView
	Costs      []costView
	Against    *againstView // what was compared with another revision; nil: nothing
	Curve      *curveView
	Fall       *fallView
	Figures    *figuresView
	Series     []seriesView
	MoreSeries int
	Heat       *heatView
	Ledger     []ledgerLimit
	LeftOut    string
	Slowest    []slowView
	Slowing    []slowingView
	Longer     []longerView
	Facts      []fact
}

type fact struct{ Name, Value string }

// newPage makes the page of an analysis. Attached files are linked as files says.
func newPage(a *analysis.Analysis, files attachedFiles) page {
	run := &a.Run
	p := page{
		Title:   fmt.Sprintf("%s: %s", strings.ToLower(a.Headline.Word), pageOf(run.Origin, "flujo-harness report")),
		Module:  pageOf(run.Origin, "flujo-harness"),
		Meta:    meta(*run),
		Word:    a.Headline.Word,
		Tone:    a.Headline.Outcome.String(),
		Reason:  sentence(verdictSentence(a)),
		Facts:   facts(a),
		LeftOut: reports.Visible(a.Run.LeftOut()),
	}
	if run.ID != 0 {
		p.Title = fmt.Sprintf("%s, run %d: %s", strings.ToLower(a.Headline.Word), run.ID, pageOf(run.Origin, "flujo-harness report"))
	}
	for _, s := range advice(a) {
		p.Next = append(p.Next, sentence(s))
	}
	p.Tiles = tiles(a)
	for _, s := range a.Notes {
		p.Notes = append(p.Notes, text.OneLine(s))
	}
	if a.Previous != nil {
		p.Since = "run " + lineName(*a.Previous)
	}
	switch {
	case run.SuiteError != "":
		p.NoSpecs = "The suites gave no results: " + sentence(text.OneLine(run.SuiteError))
	case run.Suites == nil:
		p.NoSpecs = "Suites were not part of this run."
	}
	if run.Suites != nil {
		p.addSpecs(a, files)
	}
	p.addRates(a)
	p.addCosts(a)
	p.Figures = newFigures(a)
	p.addSeries(a)
	p.Trend = newTrend(a.Trend)
	p.addFlakes(a)
	p.addLedger(a)
	p.addSlow(a)
	return p
}

// lineName is a run as one calls it.
func lineName(r history.RunLine) string {
	if r.ID == 0 {
		return "this run"
	}
	return fmt.Sprint(r.ID)
}

// messageText is a text of others over several lines, cut where it would fill the page.
func messageText(s string) string {
	s = reports.VisibleBlock(strings.TrimSpace(s))
	if r := []rune(s); len(r) > maxShown {
		return fmt.Sprintf("%s\n… %s more characters: see --json", string(r[:maxShown]), text.Count(len(r)-maxShown))
	}
	return s
}

// sentence ends with a full stop, and starts with a capital unless its first word is
// a name, such as "three-steps:".
func sentence(s string) string {
	if s == "" {
		return ""
	}
	word, _, _ := strings.Cut(s, " ")
	if !strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) }) {
		first, size := utf8.DecodeRuneInString(s)
		s = string(unicode.ToUpper(first)) + s[size:]
	}
	if strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

// facts are what one needs to measure again.
func facts(a *analysis.Analysis) []fact {
	run := &a.Run
	all := []fact{
		{"command", reports.Visible(run.Command)},
		{"commit", reports.Visible(run.Commit)},
		{"took", ""},
		{"exit code", fmt.Sprint(run.ExitCode)},
	}
	if run.Seconds > 0 { // a file of results may not say
		all[2].Value = text.Took(text.Seconds(run.Seconds))
	}
	for _, f := range a.Facts {
		name := reports.Visible(f.Name)
		if !slices.ContainsFunc(all, func(have fact) bool { return have.Name == name }) {
			all = append(all, fact{name, text.Cut(reports.Visible(f.Value), 400)})
		}
	}
	return slices.DeleteFunc(all, func(f fact) bool { return f.Value == "" })
}

// HasCost reports whether the page has a view of costs.
func (p page) HasCost() bool {
	return len(p.Costs) > 0 || p.Against != nil || p.Curve != nil || p.Fall != nil || p.Figures != nil || len(p.Series) > 0
}

// CanCompare reports whether the page can show two runs of its window side by side.
func (p page) CanCompare() bool { return p.Table != "" && len(p.Trend.Rows) > 1 }
