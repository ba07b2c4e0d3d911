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

// tellFlakes looks for specs that fail and pass where nothing called for it. A run
// flaked for a spec
//
//   - certainly, where an attempt failed and a later one passed in it, where it was
//     repeated and did both, or where it failed and another run of the same commit passed;
//   - probably, where it failed, at most twice in a row, between runs that passed. One
//     such row may be a break that was mended soon: without a certain one it takes two.
//
// A run in a row of three or more failures is a break, never a flake.
func (a *analyzer) tellFlakes() {
	commits := map[string][]int{}
	for i, l := range a.w.Runs {
		if l.Commit != "" && !l.Dirty {
			commits[l.Commit] = append(commits[l.Commit], i)
		}
	}
	censored := 0
	for id, codes := range a.w.Codes {
		if codes == nil {
			continue
		}
		f, ok := flakeOf(codes, a.w.Runs, commits)
		if !ok {
			continue
		}
		f.Spec = a.Names[int64(id)]
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
}

// completeSpecs gives flaky specs the place and labels that they have in the run.
func (a *analyzer) completeSpecs() {
	if a.a.Run.Suites == nil || len(a.a.Flakes) == 0 {
		return
	}
	now := map[string]*reports.Spec{}
	for i := range a.a.Run.Suites.Specs {
		now[a.a.Run.Suites.Specs[i].Key()] = &a.a.Run.Suites.Specs[i]
	}
	for i := range a.a.Flakes {
		if s := now[a.a.Flakes[i].Spec.Key()]; s != nil {
			a.a.Flakes[i].Spec, a.a.Heat.Rows[i].Spec = *s, *s
		}
	}
}

// flakeOf counts one spec. commits are the places of runs of each clean commit.
func flakeOf(codes []byte, runs []history.RunLine, commits map[string][]int) (f Flake, ok bool) {
	const (
		certain  = 1
		probable = 2
	)
	if !slices.ContainsFunc(codes, func(c byte) bool { o := history.OutcomeOf(c); return o != history.NotRun && o != history.Good }) { // nearly all specs
		return f, false
	}
	flaked := make([]int, len(codes))
	long := make([]bool, len(codes))
	var streak []int
	last, rows := history.NotRun, 0
	for i, c := range codes {
		o := history.OutcomeOf(c)
		if o == history.NotRun {
			continue
		}
		f.Flaked.Of++
		if last != history.NotRun && (o == history.Bad) != (last == history.Bad) {
			f.Flips++
		}
		if o == history.Bad {
			if last == history.Bad || len(streak) == 0 {
				streak = append(streak, i)
			}
		} else {
			if len(streak) > 0 && len(streak) < longStreak && passedBefore(codes, streak[0]) {
				rows++
				for _, at := range streak {
					flaked[at] = probable
				}
			}
			markLong(long, streak)
			streak = nil
		}
		if o == history.Rescued || o == history.Torn {
			flaked[i], f.Censored = certain, f.Censored || o == history.Rescued
		}
		last = o
	}
	markLong(long, streak)
	for i, c := range codes {
		if history.OutcomeOf(c) != history.Bad || long[i] || runs[i].Commit == "" || runs[i].Dirty {
			continue
		}
		for _, j := range commits[runs[i].Commit] {
			if o := history.OutcomeOf(codes[j]); o != history.NotRun && o != history.Bad {
				flaked[i] = certain
			}
		}
	}
	for i, kind := range flaked {
		if kind == 0 {
			continue
		}
		f.Flaked.Good++
		if kind == certain {
			f.Certain++
		}
		f.Last = runs[i]
	}
	f.Low, f.High = f.Flaked.Band()
	return f, f.Certain > 0 || rows >= 2
}

func markLong(long []bool, streak []int) {
	if len(streak) < longStreak {
		return
	}
	for _, at := range streak {
		long[at] = true
	}
}

func passedBefore(codes []byte, at int) bool {
	for i := at - 1; i >= 0; i-- {
		if o := history.OutcomeOf(codes[i]); o != history.NotRun {
			return o != history.Bad
		}
	}
	return false
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
