package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// segment is a part of the bar of all specs; X and Width are percentages.
type segment struct {
	Tone     string
	X, Width float64
}

// specsView is the pass rate.
type specsView struct {
	None    bool   // no spec ran
	Percent string // "97.67%"
	All     string // a sentence
	Bar     []segment
	Target  float64 // position of the target on the bar, or 0
	Rows    []fact
}

func newSpecs(a *analysis.Analysis) *specsView {
	c, ran, all := a.Counts, a.Rate, a.RateAll
	v := &specsView{
		None: ran.Of == 0,
		All:  fmt.Sprintf("Of all %s, skipped and pending ones included, %s passed: %s.", text.Plural(all.Of, "spec"), text.Count(all.Good), all.Percent()),
		Rows: []fact{{"passed", text.Count(c.Passed)}, {"failed", text.Count(c.Failed)}, {"skipped", text.Count(c.Skipped)},
			{"pending", text.Count(c.Pending)}, {"passed only when retried", text.Count(c.Retried)}},
	}
	v.Rows = append(v.Rows[:2:2], slices.DeleteFunc(v.Rows[2:], func(f fact) bool { return f.Value == "0" })...)
	if n := a.Blocked; n > 0 {
		v.Rows = append(v.Rows, fact{"not run, because their suite failed", text.Count(n)})
	}
	if n := outsideCount(a.Run); n > 0 {
		v.Rows = append(v.Rows, fact{"failures outside the specs", text.Count(n)})
	}
	switch {
	case all.Of == 0:
		v.All = "The suites have no specs."
		return v
	case all.Of == ran.Of:
		v.All = ""
	}
	x := 0.0
	for _, part := range []struct {
		tone string
		n    int
	}{{"passed", c.Passed}, {"failed", c.Failed}, {"left", c.Skipped + c.Pending}} {
		if part.n == 0 {
			continue
		}
		width := 100 * float64(part.n) / float64(all.Of)
		v.Bar = append(v.Bar, segment{part.tone, min(x, 99.5), max(width, 0.5)}) // wide enough to be visible
		x += width
	}
	if v.None {
		return v
	}
	v.Percent = ran.Percent()
	return v
}

// attentionView is a card of the attention list: a failed or flaky spec, or a failure outside the specs.
type attentionView struct {
	ID, Spec                   string // IDs of the card and of the page of its spec
	Kind, Tone                 string
	Name, Detail, Message      string
	Where                      link
	Lines                      []messageView
	Output                     string // output of the spec, limited like a message
	Rerun, Owner, Age, Cluster string
	Full                       string // file with the whole message, or "" if the card contains it
	Labels                     []string
	Attached                   []attachedView
}

func (p *page) addSpecs(a *analysis.Analysis, files attachedFiles) {
	p.Specs = newSpecs(a)
	if t := a.Target; t != nil && p.Specs.Bar != nil {
		p.Specs.Target = 100 * t.Share * float64(a.Rate.Of) / float64(a.RateAll.Of) // a share of the specs that ran, on a bar of all specs
	}
	by := failuresOf(a)
	for i, t := range a.Attention {
		if i == maxAttention {
			p.MoreAttention = len(a.Attention) - maxAttention
			break
		}
		v := newAttention(by, a.Run.Origin.FileURL, i, t)
		v.Attached = files.views(t.Spec)
		if i < maxUnfolded {
			p.Attention = append(p.Attention, v)
		} else {
			p.Folded = append(p.Folded, v)
		}
	}
	p.addOutside(a)
	p.Table, p.Suites = newSpecTable(a, files).pack(), suiteRows(a.Run.Suites)
	p.Matrix = newMatrix(a.Matrix, a.Moves)
	for _, g := range a.Green {
		id := ""
		if g.Limit == "" && g.Move.Now != "" {
			id = shortID(g.Move.Spec)
		}
		p.Green = append(p.Green, greenView{ID: id, Name: reports.Visible(g.Name()), Cause: string(g.Cause), Sure: g.Cause == analysis.ProductChanged,
			Evidence: sentence(text.OneLine(g.Evidence))})
	}
	if m := a.Paired; a.Matrix.Compared && m.Repeated && m.Fixed+m.Broke > 0 { // without repeated runs the counts contain the same information
		p.Paired = fmt.Sprintf("Paired by spec over repeated runs: %d fixed, %d broke, exact McNemar test p = %s, n = %d. p is the probability of a split at least as uneven if each of these specs were equally likely to change either way.", m.Fixed, m.Broke, text.Figure(m.P), m.Fixed+m.Broke)
	}
	for i, c := range a.Clusters {
		p.Clusters = append(p.Clusters, newCluster(i, c))
	}
}

// outsideView is a failure outside the specs as a row of a table.
type outsideView struct {
	Name, Where, Kind, Tone, NotRun, Age string
}

func (p *page) addOutside(a *analysis.Analysis) {
	for i := range a.Outside[:min(len(a.Outside), maxListed)] {
		o := &a.Outside[i]
		v := outsideView{Name: reports.Visible(o.Name()), Where: text.Where(o.Failure.File, o.Failure.Line), Kind: string(o.Kind), Tone: "broken"}
		switch {
		case o.Kind == reports.Fixed:
			v.Tone = "held"
		case !o.Now:
			v.Tone = "inconclusive"
		default:
			v.Age = fmt.Sprint(max(1, o.Age.Runs))
			v.NotRun = text.Count(o.NotRun)
		}
		p.Outside = append(p.Outside, v)
	}
	p.MoreOutside = len(a.Outside) - len(p.Outside)
}

func newAttention(by failures, files string, i int, t analysis.Attention) attentionView {
	v := attentionView{
		ID: fmt.Sprintf("item-%d", i+1), Spec: shortID(t.Spec), Kind: whose(by, &t), Tone: "broken",
		Name: reports.Visible(t.Spec.Name()), Where: sourceLink(files, t.Spec.File, t.Spec.Line), Detail: text.OneLine(t.Spec.Detail),
		Message: messageText(t.Message), Output: messageText(t.Spec.Output), Rerun: reports.Visible(t.Rerun), Owner: reports.Visible(t.Owner),
	}
	switch t.Kind {
	case analysis.FlakyNow:
		v.Tone = "inconclusive"
	case analysis.SuiteBroken:
		v.Name, v.Spec = reports.Visible(t.Outside.Name()), ""
		v.Detail = string(t.Outside.Kind)
		if n := t.Outside.NotRun; n > 0 {
			v.Detail += fmt.Sprintf("; %s not run", text.Plural(n, "spec"))
		}
	}
	v.Lines = messageViews(v.Message)
	for _, l := range t.Spec.Labels {
		if !strings.HasPrefix(l, "owner:") {
			v.Labels = append(v.Labels, reports.Visible(l))
		}
	}
	switch f := t.Flake; {
	case f != nil:
		v.Age = fmt.Sprintf("Flaked in %d of %s (95%% band %s to %s%%), last in run %s.", f.Flaked.Good, text.Plural(f.Flaked.Of, "run"), reports.Percent(f.Low), reports.Percent(f.High), lineName(f.Last))
	case t.Age.Runs > 1:
		v.Age = age(t.Age)
	}
	if t.Cluster >= 0 {
		v.Cluster = fmt.Sprint(t.Cluster + 1)
	}
	return v
}

// age returns a text such as "Failing for 4 runs, since run 9 of 3 March 2026; last passed in run 8.".
func age(a analysis.Age) string {
	s := fmt.Sprintf("Failing for %s, since run %s", text.Plural(a.Runs, "run"), lineName(*a.Since))
	if !a.Known {
		s = fmt.Sprintf("Failing for at least %s, since run %s", text.Plural(a.Runs, "run"), lineName(*a.Since))
	}
	if !a.Since.Started.IsZero() {
		s += " of " + a.Since.Started.UTC().Format("2 January 2006")
	}
	switch {
	case a.LastPassed != nil:
		s += "; last passed in run " + lineName(*a.LastPassed)
	case a.Known:
		s += "; it never passed"
	}
	return s + "."
}

func groupTitle(compared bool, before, now reports.State) string {
	switch {
	case !compared:
		return string(now)
	case before == now:
		return fmt.Sprintf("%s in both", now)
	}
	return fmt.Sprintf("%s before, %s now", stateName(before), stateName(now))
}

func stateName(s reports.State) string {
	if s == "" {
		return "absent"
	}
	return string(s)
}

// cell returns the name of a cell of the matrix in the URL.
func cell(before, now reports.State) string { return stateName(before) + "-" + stateName(now) }

// matrixView is the table of states before and now.
type matrixView struct {
	Columns []string
	Rows    []matrixRow
	Cells   []cellView // nonempty cells
}

// cellView lists the specs of a cell for readers without scripts. It contains only specs that failed or
// changed.
type cellView struct {
	Cell, Title string
	Names       []string
	Rest        string // how many are not listed
}

type matrixRow struct {
	Name  string
	Cells []matrixCell
	Sum   string
}

type matrixCell struct {
	Cell, Count, Tone string // Count is "" for an empty cell
	Label             string
}

// maxInCell is the maximum number of names that a page lists for a cell.
const maxInCell = 50

// newMatrix omits rows and columns of states that no spec has.
func newMatrix(m analysis.Matrix, moves []analysis.Move) *matrixView {
	if !m.Compared {
		return nil
	}
	var rows, columns []reports.State
	for _, s := range analysis.MatrixStates {
		row, column := 0, 0
		for _, o := range analysis.MatrixStates {
			row, column = row+m.At(s, o), column+m.At(o, s)
		}
		if row > 0 {
			rows = append(rows, s)
		}
		if column > 0 {
			columns = append(columns, s)
		}
	}
	v := &matrixView{}
	names := map[string][]string{}
	for i := range moves {
		if c := cell(moves[i].Before, moves[i].Now); len(names[c]) < maxInCell {
			names[c] = append(names[c], reports.Visible(moves[i].Spec.Name()))
		}
	}
	for _, s := range columns {
		v.Columns = append(v.Columns, stateName(s))
	}
	for _, before := range rows {
		r, sum := matrixRow{Name: stateName(before)}, 0
		for _, now := range columns {
			n := m.At(before, now)
			c := matrixCell{Cell: cell(before, now), Label: fmt.Sprintf("%s: %s", text.Plural(n, "spec"), groupTitle(true, before, now))}
			sum += n
			if n > 0 {
				c.Count = text.Count(n)
				v.Cells = append(v.Cells, newCell(c, n, names[c.Cell]))
			}
			switch {
			case n == 0:
			case now == reports.Failed && before != reports.Failed:
				c.Tone = "broken"
			case before == reports.Failed && now == reports.Passed:
				c.Tone = "held"
			case now == reports.Failed, before != now:
				c.Tone = "inconclusive"
			}
			r.Cells = append(r.Cells, c)
		}
		r.Sum = text.Count(sum)
		v.Rows = append(v.Rows, r)
	}
	return v
}

func newCell(c matrixCell, n int, names []string) cellView {
	v := cellView{Cell: c.Cell, Title: c.Label, Names: names}
	if rest := n - len(names); rest > 0 {
		v.Rest = text.Plural(rest, "spec") + " are not listed here: flujo-harness report --csv FILE has all."
		if rest == 1 {
			v.Rest = strings.Replace(v.Rest, " are ", " is ", 1)
		}
	}
	return v
}

type greenView struct {
	ID, Name, Cause, Evidence string // ID is "" for a limit and for a spec that no longer exists
	Sure                      bool
}

type clusterView struct {
	ID                string
	Title, Place, Age string
	Message, Pattern  string
	Count, More       int
	Names             []namedSpec
}

// namedSpec is a link to the page of a spec.
type namedSpec struct{ ID, Name string }

func newCluster(i int, c analysis.Cluster) clusterView {
	v := clusterView{ID: fmt.Sprintf("cluster-%d", i+1), Count: len(c.Specs), Place: reports.Visible(c.Place),
		Title: text.Cut(text.OneLine(c.Message), 160), Message: messageText(c.Message), Pattern: text.Cut(text.OneLine(c.Pattern), 400)}
	if c.Since > 1 {
		v.Age = fmt.Sprintf("the oldest has failed for %s", text.Plural(c.Since, "run"))
	}
	for _, s := range c.Specs[:min(len(c.Specs), 20)] {
		v.Names = append(v.Names, namedSpec{shortID(s), reports.Visible(s.Name())})
	}
	v.More = len(c.Specs) - len(v.Names)
	return v
}

// messageView is a line of a message on the page.
type messageView struct {
	Class, Mark, Note string // Class and Mark are "del" and "-", "ins" and "+", or ""
	Parts             []messagePart
}

// messageViews returns the lines of a message. A comparison of two values is shown as their difference.
func messageViews(message string) (all []messageView) {
	for _, l := range compareMessage(message) {
		v := messageView{Parts: l.Parts, Note: l.Note}
		switch l.Op {
		case '-':
			v.Class, v.Mark = "del", "-"
		case '+':
			v.Class, v.Mark = "ins", "+"
		}
		all = append(all, v)
	}
	return all
}
