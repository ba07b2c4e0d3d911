package analysis

import (
	"cmp"
	"slices"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// longStreak is the number of consecutive failures from which a spec counts as broken instead of flaky,
// even if it passes later.
const longStreak = 3

// addFlakes finds specs that fail and pass without a change that explains it. A spec flaked in a run
//
//   - certainly, if it both failed and passed in that run (when retried or repeated), or if it failed
//     and passed in another run of the same commit;
//   - probably, if it failed in at most two consecutive runs between runs in which it passed. Since one
//     such streak may be a defect that was fixed soon, a spec without certain flakes needs two.
//
// Failures in three or more consecutive runs are never a flake.
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
		a.note("retries stop at the first pass: the rate of failed attempts of %s is unknown, only the rate of runs with one", text.Plural(censored, "flaky spec"))
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

// completeSpecs sets the locations and labels of flaky specs to those in the run.
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

// sequences splits the runs of a window by cell (job and platform), because a spec that fails on one
// platform and passes on another one at the same commit is not flaky.
type sequences struct {
	runs    []history.RunLine
	rows    [][]int          // indexes in runs, by cell, in order
	commits map[string][]int // indexes of runs without uncommitted changes, by cell and commit
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

// flake counts the flakes of a spec. codes contains a code for each run of the window. ok reports
// whether the spec is flaky.
func (q *sequences) flake(codes []byte) (f Flake, ok bool) {
	if !slices.ContainsFunc(codes, func(c byte) bool { o := history.OutcomeOf(c); return o != history.NotRun && o != history.Good }) { // a shortcut for most specs
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

// mark marks the runs of one cell in which the spec flaked, and returns the number of short failure
// streaks between passes.
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

// heatCells returns the characters of a [HeatRow].
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

// FlakyNow returns the specs that certainly flaked in this run or in another run of its commit.
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
