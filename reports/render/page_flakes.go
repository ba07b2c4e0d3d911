package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

const (
	maxHeat  = 100 // rows of the table of outcomes
	maxLoose = 2   // loosenings shown next to the pass rate
)

// heatView is the table of outcomes, with a row for each flaky spec.
type heatView struct {
	Columns int
	From    string // the oldest run
	To      string
	Rows    []heatRow
	More    int
}

type heatRow struct {
	ID, Name, Title, Text       string // Text contains one letter per run
	Passed, Failed, Both, Out   string // paths
	Flaked, Band, Certain, Last string
}

type ledgerView struct {
	Date, Change, What, From, To, Reason, Expires, Tone, Class string
}

// ledgerLimit is a limit with its changes, newest first.
type ledgerLimit struct {
	What, Class, Now, Tone string
	Changes                []ledgerView
}

type longerView struct{ ID, Name, Text string }

type slowView struct{ ID, Name, Where, Took, Share, Median string }

type slowingView struct{ Name, Before, Now, Ratio, P, N string }

func (p *page) addFlakes(a *analysis.Analysis) {
	flakes := map[reports.Digest]*analysis.Flake{}
	for i := range a.Flakes {
		flakes[a.Flakes[i].Spec.Digest()] = &a.Flakes[i]
	}
	if len(a.Heat.Rows) > 0 && len(a.Heat.Runs) > 0 {
		h := &heatView{Columns: len(a.Heat.Runs), From: lineName(a.Heat.Runs[0]), To: lineName(a.Heat.Runs[len(a.Heat.Runs)-1])}
		for _, r := range a.Heat.Rows[:min(len(a.Heat.Rows), maxHeat)] {
			h.Rows = append(h.Rows, newHeatRow(r, flakes[r.Spec.Digest()]))
		}
		h.More = len(a.Heat.Rows) - len(h.Rows)
		p.Heat = h
	}
}

func newHeatRow(r analysis.HeatRow, f *analysis.Flake) heatRow {
	v := heatRow{ID: shortID(&r.Spec), Name: reports.Visible(r.Spec.Name()), Text: strings.ReplaceAll(reports.Visible(r.Cells), " ", "-"),
		Passed: cellsPath(r.Cells, "."), Failed: cellsPath(r.Cells, "F"), Both: cellsPath(r.Cells, "RB"), Out: cellsPath(r.Cells, "sp")}
	v.Title = fmt.Sprintf("%d passed, %d failed, %d both in one run, %d skipped or pending", strings.Count(r.Cells, "."), strings.Count(r.Cells, "F"),
		strings.Count(r.Cells, "R")+strings.Count(r.Cells, "B"), strings.Count(r.Cells, "s")+strings.Count(r.Cells, "p"))
	if f != nil {
		v.Flaked, v.Band = fmt.Sprintf("%d of %d", f.Flaked.Good, f.Flaked.Of), fmt.Sprintf("%s to %s%%", reports.Percent(f.Low), reports.Percent(f.High))
		v.Certain, v.Last = fmt.Sprint(f.Certain), lineName(f.Last)
	}
	return v
}

// cellsPath returns the path of the cells with one of the given letters. Each run is one unit wide, and
// adjacent cells are one box.
func cellsPath(cells, letters string) string {
	var b strings.Builder
	for i := 0; i < len(cells); {
		n := 0
		for i+n < len(cells) && strings.IndexByte(letters, cells[i+n]) >= 0 {
			n++
		}
		if n > 0 {
			fmt.Fprintf(&b, "M%d 0h%dv1h-%dz", i, n, n)
		}
		i += max(n, 1)
	}
	return b.String()
}

func (p *page) addLedger(a *analysis.Analysis) {
	p.Ledger = newLedgerLimits(a.Ledger)
	loose := a.InForce()
	for _, l := range loose[:min(len(loose), maxLoose)] {
		p.Loose = append(p.Loose, ledgerText(l))
	}
	if n := len(loose) - len(p.Loose); n > 0 {
		p.MoreLoose = text.More(n, "loosening")
	}
}

// newLedgerLimits groups changes by limit. Limits with a loosening in force come first; the others are
// in descending order of their last change.
func newLedgerLimits(lines []analysis.LedgerLine) (all []ledgerLimit) {
	at := map[[2]string]int{}
	for _, l := range lines {
		v := newLedger(l)
		key := [2]string{v.What, v.Class}
		i, known := at[key]
		if !known {
			i = len(all)
			at[key] = i
			all = append(all, ledgerLimit{What: v.What, Class: v.Class, Now: v.To})
		}
		all[i].Changes = append(all[i].Changes, v)
		if l.Current {
			all[i].Tone = "broken"
		}
	}
	for i := range all {
		l := &all[i]
		last := l.Changes[0]
		l.Now = fmt.Sprintf("%s since %s, %s", l.Now, last.Date, last.Change)
		if l.Tone != "" {
			l.Now += ", a loosening is in force"
		}
		if n := len(l.Changes); n > 1 {
			l.Now += ", " + text.Plural(n, "change")
		}
	}
	slices.SortStableFunc(all, func(a, b ledgerLimit) int { return strings.Compare(b.Tone, a.Tone) })
	return all
}

func newLedger(l analysis.LedgerLine) ledgerView {
	e := l.Entry
	v := ledgerView{Date: reports.Visible(e.Date), Change: reports.Visible(string(e.Change)), What: fmt.Sprintf("%s, %s at %s", reports.Visible(e.Workload), reports.Visible(e.Metric), reports.Visible(e.Durability)),
		From: "none", To: "none", Reason: orNone(reports.Visible(e.Reason)), Expires: orNone(reports.Visible(e.Expires)), Class: reports.Visible(l.Class)}
	if e.From != 0 {
		v.From = text.Figure(e.From)
	}
	if e.To != 0 {
		v.To = text.Figure(e.To)
	}
	switch {
	case l.Expired:
		v.Expires += " (over)"
	case l.Current:
		v.Expires += " (in force)"
		v.Tone = "broken"
	case e.Change == thresholds.Tightened:
		v.Tone = "held"
	}
	return v
}

// ledgerText returns a text such as "2026-11-02: limit of default, cost_ratio at process loosened, 1.31
// to 1.45, until 2026-12-01 (in force): new disk".
func ledgerText(l analysis.LedgerLine) string {
	v := newLedger(l)
	s := fmt.Sprintf("%s: limit of %s %s, %s to %s", v.Date, v.What, v.Change, v.From, v.To)
	if l.Entry.Expires != "" {
		s += ", until " + v.Expires
	}
	if l.Entry.Reason != "" {
		s += ": " + text.Cut(text.OneLine(l.Entry.Reason), 300)
	}
	return s
}

func (p *page) addSlow(a *analysis.Analysis) {
	for _, s := range a.Slowest {
		v := slowView{ID: shortID(&s.Spec), Name: reports.Visible(s.Spec.Name()), Where: text.Where(s.Spec.File, s.Spec.Line), Took: text.Took(s.Spec.Duration), Share: reports.Percent(s.Share) + "%", Median: "none"}
		if s.Median > 0 {
			v.Median = text.Took(s.Median)
		}
		p.Slowest = append(p.Slowest, v)
	}
	for i := range a.Longer {
		l := &a.Longer[i]
		p.Longer = append(p.Longer, longerView{shortID(&l.Spec), reports.Visible(l.Spec.Name()), longerText(l)})
	}
	for _, s := range a.Slowing[:min(len(a.Slowing), maxListed)] {
		p.Slowing = append(p.Slowing, slowingView{Name: reports.Visible(s.Spec.Name()), Before: text.Took(s.Before), Now: text.Took(s.Now), Ratio: text.Figure(s.Ratio) + "x",
			P: text.Figure(s.Significance), N: fmt.Sprintf("%d and %d runs; %s tested", s.NBefore, s.NNow, text.Plural(s.Tested, "spec"))})
	}
}

// longerText is "0.200 ms in the previous run, 300 ms now".
func longerText(l *analysis.Longer) string {
	before := "in the previous run"
	if l.N > 1 {
		before = fmt.Sprintf("as the median of %d earlier runs", l.N)
	}
	return fmt.Sprintf("%s %s, %s now", text.Took(l.Before), before, text.Took(l.Now))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
