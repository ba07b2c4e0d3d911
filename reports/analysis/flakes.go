package analysis

import (
	"cmp"
	"slices"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// longStreak is the failures in a row from which on a spec is broken and not flaky,
// whatever comes behind.
const longStreak = 3

// addFlakes looks for specs that fail and pass where nothing called for it. A run
// flaked for a spec
//
//   - certainly, where an attempt failed and a later one passed in it, where it was
//     repeated and did both, or where it failed and another run of the same commit passed;
//   - probably, where it failed, at most twice in a row, between runs that passed. One
//     such row may be a break that was mended soon: without a certain one it takes two.
//
// A run in a row of three or more failures is a break, never a flake.
func (a *analyzer) addFlakes() error {
	all := make([]int, len(a.w.Runs))
	for i := range all {
		all[i] = i
	}
	in := newSequences(a.w.Runs, all)
	censored := 0
	for id, codes := range a.w.Codes {
		if codes == nil {
			continue
		}
		f, ok := in.flake(codes)
		if !ok {
			continue
		}
		var err error
		if f.Spec, _, err = a.Name(int64(id)); err != nil {
			return err
		}
		if f.Censored {
			censored++
		}
		a.a.Flakes = append(a.a.Flakes, f)
		a.a.Heat.Rows = append(a.a.Heat.Rows, HeatRow{Spec: f.Spec, Cells: heatCells(codes)})
	}
	if censored > 0 {
		a.note("attempts stop at the first pass: how often an attempt fails is not known of %s, only in how many runs one did", text.Plural(censored, "flaky spec"))
	}
	order := make([]int, len(a.a.Flakes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		f, g := &a.a.Flakes[x], &a.a.Flakes[y]
		return cmp.Or(cmp.Compare(g.Low, f.Low), cmp.Compare(f.Spec.Name(), g.Spec.Name()))
	})
	flakes, rows := a.a.Flakes, a.a.Heat.Rows
	a.a.Flakes, a.a.Heat.Rows = nil, nil
	for _, i := range order {
		a.a.Flakes, a.a.Heat.Rows = append(a.a.Flakes, flakes[i]), append(a.a.Heat.Rows, rows[i])
	}
	if len(order) > 0 {
		a.a.Heat.Runs = a.w.Runs
	}
	a.completeSpecs()
	return nil
}

// completeSpecs gives flaky specs the place and labels that they have in the run.
func (a *analyzer) completeSpecs() {
	if a.a.Run.Suites == nil || len(a.a.Flakes) == 0 {
		return
	}
	now := map[reports.Digest]*reports.Spec{}
	for i := range a.a.Run.Suites.Specs {
		now[a.a.Run.Suites.Specs[i].Digest()] = &a.a.Run.Suites.Specs[i]
	}
	for i := range a.a.Flakes {
		if s := now[a.a.Flakes[i].Spec.Digest()]; s != nil {
			a.a.Flakes[i].Spec, a.a.Heat.Rows[i].Spec = *s, *s
		}
	}
}

// sequences are runs of a window in which flakes are looked for, one row for each job of a
// matrix: what fails on one platform and passes on another, at one commit, is no flake.
type sequences struct {
	runs    []history.RunLine
	rows    [][]int          // places in runs, by cell, in order
	commits map[string][]int // places of the runs of each clean commit in a cell
}

func newSequences(runs []history.RunLine, of []int) sequences {
	q := sequences{runs: runs, commits: map[string][]int{}}
	cells := map[string]int{}
	for _, i := range of {
		l := &runs[i]
		at, ok := cells[l.Cell]
		if !ok {
			at = len(q.rows)
			cells[l.Cell], q.rows = at, append(q.rows, nil)
		}
		q.rows[at] = append(q.rows[at], i)
		if l.Commit != "" && !l.Dirty {
			q.commits[l.Cell+"|"+l.Commit] = append(q.commits[l.Cell+"|"+l.Commit], i)
		}
	}
	return q
}

// The kinds of evidence that a run flaked.
const (
	certain  = 1
	probable = 2
)

// flake counts one spec by its codes, one for each run of the window.
func (q *sequences) flake(codes []byte) (f Flake, ok bool) {
	if !slices.ContainsFunc(codes, func(c byte) bool { o := history.OutcomeOf(c); return o != history.NotRun && o != history.Good }) { // nearly all specs
		return f, false
	}
	flaked := make([]int, len(codes))
	rows := 0
	for _, of := range q.rows {
		rows += q.mark(&f, codes, of, flaked)
	}
	for i, kind := range flaked {
		if kind == 0 {
			continue
		}
		f.Flaked.Good++
		if kind == certain {
			f.Certain++
		}
		f.Last = q.runs[i]
	}
	f.Low, f.High = f.Flaked.Band()
	return f, f.Certain > 0 || rows >= 2
}

// mark finds the runs of one row that flaked, and returns the number of short rows of
// failures between passes.
func (q *sequences) mark(f *Flake, codes []byte, of, flaked []int) (rows int) {
	long := map[int]bool{}
	var streak []int
	last, passed := history.NotRun, false
	for _, i := range of {
		o := history.OutcomeOf(codes[i])
		if o == history.NotRun {
			continue
		}
		f.Flaked.Of++
		if last != history.NotRun && (o == history.Bad) != (last == history.Bad) {
			f.Flips++
		}
		if o == history.Bad {
			streak = append(streak, i)
		} else {
			if len(streak) > 0 && len(streak) < longStreak && passed {
				rows++
				for _, at := range streak {
					flaked[at] = probable
				}
			}
			markLong(long, streak)
			streak, passed = nil, true
		}
		if o == history.Rescued || o == history.Torn {
			flaked[i], f.Censored = certain, f.Censored || o == history.Rescued
		}
		last = o
	}
	markLong(long, streak)
	for _, i := range of {
		l := &q.runs[i]
		if history.OutcomeOf(codes[i]) != history.Bad || long[i] || l.Commit == "" || l.Dirty {
			continue
		}
		for _, j := range q.commits[l.Cell+"|"+l.Commit] {
			if o := history.OutcomeOf(codes[j]); o != history.NotRun && o != history.Bad {
				flaked[i] = certain
			}
		}
	}
	return rows
}

func markLong(long map[int]bool, streak []int) {
	if len(streak) < longStreak {
		return
	}
	for _, at := range streak {
		long[at] = true
	}
}

// heatCells are the characters of [HeatRow].
func heatCells(codes []byte) string {
	cells := make([]byte, len(codes))
	for i, c := range codes {
		switch {
		case c == history.Absent:
			cells[i] = ' '
		case history.OutcomeOf(c) == history.Rescued:
			cells[i] = 'R'
		case history.OutcomeOf(c) == history.Torn:
			cells[i] = 'B'
		default:
			cells[i] = ".Fsp"[c&^history.BothBit]
		}
	}
	return string(cells)
}

// FlakyNow are the flaky specs that this run, or another of its commit, has shown to
// be so.
func (a *Analysis) FlakyNow() []reports.Spec {
	now := history.RunLine{Commit: a.Run.Commit, Dirty: a.Run.Dirty}
	var all []reports.Spec
	for _, f := range a.Flakes {
		if f.Certain > 0 && (f.Last.ID == a.Run.ID || sameCommit(f.Last, now)) {
			all = append(all, f.Spec)
		}
	}
	return all
}
