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
	maxAttention = 500  // failed and flaky specs with a card; the table contains all
	maxUnfolded  = 5    // cards that are shown at first, as many as fit on a screen
	maxListed    = 200  // names in a list
	maxShown     = 3000 // characters of a message
)

// page is the data of the template: formatted texts. Control characters in texts of tests are escaped
// by reports.Visible or reports.VisibleBlock.
type page struct {
	Title     string
	Live      string        // address of the events of new runs, or "" if the page is a file
	Running   []runningView // runs in progress, on a live page only
	Module    string        // name of the module or repository
	Meta      []link        // run, time, commit, job
	Word      string        // "BROKEN"
	Tone      string        // class: held, broken, inconclusive, invalid
	Reason    string
	Next      []string
	Compared  []fact // the two revisions of a comparison, its time and its outcomes
	Notes     []string
	MoreLoose string   // "2 more loosenings", or "" if Loose contains all
	Loose     []string // loosenings of limits in force, shown next to the pass rate
	Specs     *specsView
	NoSpecs   string // why Specs is nil

	Target     *targetView
	Phases     []phaseView
	Overall    *phaseView
	Categories []categoryView
	Forecast   string

	Attention     []attentionView
	Folded        []attentionView // the cards after the first ones
	MoreAttention int
	Outside       []outsideView
	MoreOutside   int
	Matrix        *matrixView
	Green         []greenView
	Paired        string
	Table         string // all specs for the scripts: see specTable.pack
	Suites        []suiteRow
	Tiles         []tileView
	Since         string // "run 11", or "" if there is no earlier run

	Trend      trendView
	Clusters   []clusterView
	Costs      []costView
	Against    *againstView // comparisons with another revision, or nil
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

// newPage returns the page of an analysis. files determines the addresses of attached files.
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
	p.Compared = comparedFacts(a)
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

// lineName returns the number of a run, or "this run" if it is not recorded.
func lineName(r history.RunLine) string {
	if r.ID == 0 {
		return "this run"
	}
	return fmt.Sprint(r.ID)
}

// messageText escapes a message of several lines and limits its length.
func messageText(s string) string {
	s = reports.VisibleBlock(strings.TrimSpace(s))
	if r := []rune(s); len(r) > maxShown {
		return fmt.Sprintf("%s\n… %s more characters: see --json", string(r[:maxShown]), text.Count(len(r)-maxShown))
	}
	return s
}

// sentence adds a full stop, and makes the first letter a capital unless the first word looks like a
// name, such as "three-steps:".
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

// facts returns the environment and the settings of a run.
func facts(a *analysis.Analysis) []fact {
	run := &a.Run
	all := []fact{
		{"command", reports.Visible(run.Command)},
		{"commit", reports.Visible(run.Commit)},
		{"took", ""},
		{"exit code", fmt.Sprint(run.ExitCode)},
	}
	if run.Seconds > 0 { // 0 if a file of results does not contain it
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

// CanCompare reports whether the page can compare two runs.
func (p page) CanCompare() bool { return p.Table != "" && len(p.Trend.Rows) > 1 }
