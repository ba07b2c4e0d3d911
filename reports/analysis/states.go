package analysis

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// lookedUp is the state of a spec without the change.
type lookedUp struct {
	at      *history.RunLine // the run that decides; nil if none ran it
	red     bool             // it failed in that run
	since   *history.RunLine // if red, the first run of its failure streak
	isNew   bool             // that run does not contain it
	skipped bool             // that run contains it, but did not run it
}

// readBase reads the states of specs in three groups of runs: those that the change is compared with,
// later ones of the base branch, in which a spec may have broken meanwhile, and the last ones of the
// base branch, which show flakes. It reads them once, and only if something failed.
func (a *analyzer) readBase() error {
	if a.base != nil {
		return nil
	}
	need := map[int64]bool{}
	a.later = map[int64]bool{}
	for _, l := range a.chooser.states {
		need[l.ID] = true
	}
	for _, l := range a.chooser.later[:min(len(a.chooser.later), maxStates)] {
		need[l.ID], a.later[l.ID] = true, true
	}
	evidence := 0
	a.evidence = map[int64]bool{}
	for _, l := range a.chooser.earlier {
		if evidence < DefaultWindow && a.isEvidence(l) {
			evidence++
			need[l.ID], a.evidence[l.ID] = true, true
		}
	}
	have := 0
	for _, l := range a.w.Runs {
		if need[l.ID] {
			have++
		}
	}
	if a.base = a.w; have == len(need) {
		return nil
	}
	var records []history.Record
	for id := range need {
		records = append(records, a.recorded[id])
	}
	slices.SortFunc(records, func(x, y history.Record) int { return cmp.Or(cmp.Compare(x.At, y.At), cmp.Compare(x.ID, y.ID)) })
	var err error
	a.base, err = a.Window(records, 0)
	return err
}

// isEvidence reports whether a run shows how specs behave without the change.
func (a *analyzer) isEvidence(l history.RunLine) bool {
	c := &a.chooser
	if !c.mayBe(l) {
		return false
	}
	base := a.a.Baseline.Branch
	return base == "" || l.Branch == base || l.Branch == "" || c.run.Branch == ""
}

// isLater reports whether a run of the base branch is newer than the deciding one, so that the change
// may be based on its commit.
func (a *analyzer) isLater(l history.RunLine, than *history.RunLine) bool {
	if a.later[l.ID] {
		return true
	}
	for _, s := range a.chooser.states { // nearest first: nearer ones than the one that decides
		if s.ID == than.ID {
			return false
		}
		if s.ID == l.ID {
			return a.chooser.mayBe(l)
		}
	}
	return false
}

// codesOf returns the states of a spec in the runs of a.base, or nil if none contains it.
func (a *analyzer) codesOf(key reports.Digest) []byte {
	id := a.ids[key] // 0 if no run contains it: names are numbered from 1
	if id >= int64(len(a.base.Codes)) {
		return nil
	}
	return a.base.Codes[id]
}

// places returns the indexes of runs in a.base by ID.
func (a *analyzer) places() map[int64]int {
	if a.column == nil {
		a.column = map[int64]int{}
		for i, l := range a.base.Runs {
			a.column[l.ID] = i
		}
	}
	return a.column
}

// lookup returns the state of a spec in the nearest run before the change that ran it.
func (a *analyzer) lookup(key reports.Digest, m Move) (s lookedUp, err error) {
	if err := a.readBase(); err != nil {
		return s, err
	}
	states := a.chooser.states
	codes, at := a.codesOf(key), a.places()
	if m.From != "" && a.a.Previous != nil { // under its old name
		s.at, s.red = a.a.Previous, m.Before == reports.Failed
		s.since = s.at
		return s, nil
	}
	for i := range states {
		l := &states[i]
		code := byte(history.Absent)
		if codes != nil {
			code = codes[at[l.ID]]
		}
		switch history.OutcomeOf(code) {
		case history.NotRun:
			if i == 0 && !l.Partial && !a.barredAtBaseline(key, m) {
				s.at, s.isNew, s.skipped = l, code == history.Absent, code != history.Absent
				return s, nil
			}
		case history.Bad:
			if a.ownCommit(l) { // it fails without the uncommitted changes, too: an older run decides who broke it
				continue
			}
			s.at, s.red, s.since = l, true, l
			for k := i + 1; k < len(states); k++ {
				switch history.OutcomeOf(codes[at[states[k].ID]]) {
				case history.Bad:
					s.since = &states[k]
				case history.NotRun:
				default:
					return s, nil
				}
			}
			return s, nil
		default:
			s.at = l
			return s, nil
		}
	}
	return s, nil
}

// ownCommit reports whether a run is of the commit of the tree with changes that is judged,
// and that commit is not on the base branch.
func (a *analyzer) ownCommit(l *history.RunLine) bool {
	run := &a.chooser.run
	return run.Dirty && reports.SameCommit(l.Commit, run.Commit) && run.Branch != a.a.Baseline.Branch
}

// barredAtBaseline reports whether a failure outside the specs kept a spec from running in
// the baseline run, so that it says nothing of the spec.
func (a *analyzer) barredAtBaseline(key reports.Digest, m Move) bool {
	if a.barrier == nil {
		a.barrier = newBarrier(a.baseResults)
		a.listed = map[reports.Digest]*reports.Spec{}
		for i := range a.baseResults.Specs {
			a.listed[a.baseResults.Specs[i].Digest()] = &a.baseResults.Specs[i]
		}
	}
	if s := a.listed[key]; s != nil {
		return a.barrier.skipped(s)
	}
	return a.barrier.missing(m.Spec)
}

// knownFlake reports whether a spec is flaky in runs without the change.
func (a *analyzer) knownFlake(key reports.Digest) (f Flake, ok bool, err error) {
	if err := a.readBase(); err != nil {
		return f, false, err
	}
	codes := a.codesOf(key)
	if codes == nil {
		return f, false, nil
	}
	if a.known == nil {
		var lines []history.RunLine
		for _, l := range a.base.Runs {
			if a.evidence[l.ID] {
				lines = append(lines, l)
			}
		}
		var of []int
		for _, l := range a.chooser.comparable(lines) {
			of = append(of, a.places()[l.ID])
		}
		known := newSequences(a.base.Runs, of)
		a.known = &known
	}
	if f, ok = a.known.flake(codes); !ok {
		return f, false, nil
	}
	f.Spec, _, err = a.Name(a.ids[key])
	return f, true, err
}

// branchStreak returns the length of the failure streak of a spec of this run on the branch of the change,
// including this run and runs of other commits.
func (a *analyzer) branchStreak(key reports.Digest) (n int) {
	branch := a.a.Run.Branch
	if branch == "" || branch == a.a.Baseline.Branch {
		return 0
	}
	codes := a.w.Codes[a.ids[key]] // the window contains this run
	for i, l := range slices.Backward(a.w.Runs) {
		if l.Branch != branch || l.Cell != a.chooser.run.Cell {
			continue
		}
		switch history.OutcomeOf(codes[i]) {
		case history.Bad:
			n++
		case history.NotRun:
		default:
			return n
		}
	}
	return n
}

// judgeOutside determines the origin of a failure outside the specs.
func (a *analyzer) judgeOutside(f *Failure) error {
	if err := a.readBase(); err != nil {
		return err
	}
	if a.quarantined(f) {
		return nil
	}
	id := f.Outside.id()
	var s lookedUp
	for i := range a.chooser.states[:min(len(a.chooser.states), maxOutside)] {
		l := &a.chooser.states[i]
		red, ran, err := a.outsideAt(l.ID, id)
		if err != nil {
			return err
		}
		if s.red && ran && !red {
			break
		}
		switch {
		case s.red && red:
			s.since = l
		case s.red:
		case red && !a.ownCommit(l):
			s = lookedUp{at: l, red: true, since: l}
		case red:
		case ran:
			s.at = l
		case i == 0 && !l.Partial:
			s.at, s.isNew = l, true
		}
		if s.at != nil && !s.red {
			break
		}
	}
	f.At = s.at
	if s.red {
		a.redBefore(f, s)
		return nil
	}
	var failed error
	a.notRedBefore(f, s, func(at int) bool {
		red, _, err := a.outsideAt(a.base.Runs[at].ID, id)
		failed = cmp.Or(failed, err)
		return red
	})
	return failed
}

// maxOutside is the maximum number of runs in which a failure outside the specs is looked up.
const maxOutside = 20

// outsideAt reports whether a run has a failure outside the specs, and whether it ran what
// it is a failure of.
func (a *analyzer) outsideAt(run int64, id outsideID) (red, ran bool, err error) {
	of, ok := a.outside[run]
	if !ok {
		r, err := a.Outline(run)
		if err != nil {
			return false, false, fmt.Errorf("run %d: %w", run, err)
		}
		of = outsides{failed: map[outsideID]bool{}, barrier: newBarrier(r)}
		for _, o := range OutsideOf(r.Suites) {
			of.failed[o.id()] = true
		}
		if a.outside == nil {
			a.outside = map[int64]outsides{}
		}
		a.outside[run] = of
	}
	return of.failed[id], of.barrier.has(id.suite) && !of.barrier.whole(id.suite), nil
}

// outsides are the failures outside the specs of one run.
type outsides struct {
	failed  map[outsideID]bool
	barrier *barrier
}
