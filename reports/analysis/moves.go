package analysis

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

const (
	renameLike  = 0.7   // minimum similarity of the names of a renamed spec, see dice
	renamePairs = 250e3 // maximum number of pairs that are compared, to bound the time
)

// compared is the comparison of two runs by spec.
type compared struct {
	Moves  []Move
	Matrix Matrix
	NotRun int // number of specs that could not run because of a failure outside of them
}

// CompareResults compares two runs. It pairs specs by [reports.Spec.Key], then missing specs with new
// ones of similar names. was may be nil. sameCode means that both runs tested the same commit.
func CompareResults(was, now *reports.Results, sameCode bool) compared {
	c := compared{Matrix: Matrix{Compared: was != nil, N: map[reports.State]map[reports.State]int{}}}
	for _, s := range MatrixStates {
		c.Matrix.N[s] = map[reports.State]int{}
	}
	before := map[reports.Digest]*reports.Spec{}
	if was != nil {
		before = make(map[reports.Digest]*reports.Spec, len(was.Specs))
		for i := range was.Specs {
			before[was.Specs[i].Digest()] = &was.Specs[i]
		}
	}
	c.Moves = make([]Move, 0, now.Counts().Failed)
	b := newBarrier(now)
	var fresh []*reports.Spec
	for i := range now.Specs {
		s := &now.Specs[i]
		key := s.Digest()
		if old := before[key]; old != nil {
			c.add(old, s, sameCode, b.skipped(s))
			delete(before, key)
			continue
		}
		fresh = append(fresh, s)
	}
	var gone []*reports.Spec
	if was != nil {
		for i := range was.Specs {
			switch s := &was.Specs[i]; {
			case before[s.Digest()] == nil:
			case b.missing(s):
				c.NotRun++
				c.Matrix.N[s.State][""]++
				c.Moves = append(c.Moves, Move{Kind: reports.NotRun, Spec: alone(s), Before: s.State})
			default:
				gone = append(gone, s)
			}
		}
	}
	from := renames(gone, fresh)
	renamed := map[*reports.Spec]bool{}
	for _, s := range fresh {
		r, ok := from[s]
		if !ok {
			c.addNew(s, was != nil)
			if b.skipped(s) {
				c.NotRun++
			}
			continue
		}
		renamed[r.old] = true
		c.addRenamed(r, s)
	}
	for _, s := range gone {
		if !renamed[s] {
			c.Matrix.N[s.State][""]++
			c.Moves = append(c.Moves, Move{Kind: reports.Gone, Spec: alone(s), Before: s.State})
		}
	}
	slices.SortStableFunc(c.Moves, func(a, b Move) int {
		return slices.Index(reports.Kinds, a.Kind) - slices.Index(reports.Kinds, b.Kind)
	})
	return c
}

func (c *compared) add(old, s *reports.Spec, sameCode, barred bool) {
	c.Matrix.N[old.State][s.State]++
	kind := reports.Move(old.State, s)
	if barred && kind == reports.NewlySkipped {
		kind = reports.NotRun
		c.NotRun++
	}
	if (sameCode || old.BothWays()) && (kind == reports.Broke || kind == reports.Fixed) {
		kind = reports.Flaky
	}
	if kind != "" {
		c.Moves = append(c.Moves, Move{Kind: kind, Spec: s, Before: old.State, Now: s.State})
	}
}

func (c *compared) addNew(s *reports.Spec, compared bool) {
	c.Matrix.N[""][s.State]++
	kind := reports.Move("", s)
	if !compared {
		kind = reports.SingleRun(s)
	}
	if kind != "" {
		c.Moves = append(c.Moves, Move{Kind: kind, Spec: s, Now: s.State})
	}
}

func (c *compared) addRenamed(r renaming, s *reports.Spec) {
	c.Matrix.N[r.old.State][s.State]++
	kind := reports.Move(r.old.State, s)
	if s.State != reports.Failed && !s.Retried {
		kind = reports.Renamed
	}
	c.Moves = append(c.Moves, Move{Kind: kind, Spec: s, Before: r.old.State, Now: s.State, From: r.old.Name(), Like: r.like})
}

// alone returns a copy of a spec, so that the Move does not keep all results of the run in memory.
func alone(s *reports.Spec) *reports.Spec {
	one := *s
	return &one
}

// paired tests the specs that changed between pass and fail.
func (c *compared) paired() McNemar {
	return newMcNemar(c.Matrix.At(reports.Failed, reports.Passed), c.Matrix.At(reports.Passed, reports.Failed))
}

// renaming is the probable former name of a new spec.
type renaming struct {
	old  *reports.Spec
	like float64
}

// renames pairs new specs with missing ones of similar names, most similar pairs first, each spec at
// most once. It compares texts without the suite, so that a suite can be moved; in different suites
// the texts must be equal.
func renames(gone, fresh []*reports.Spec) map[*reports.Spec]renaming {
	from := map[*reports.Spec]renaming{}
	if float64(len(gone))*float64(len(fresh)) > renamePairs {
		return from
	}
	type pair struct {
		old, now *reports.Spec
		like     float64
	}
	var pairs []pair
	grams := map[*reports.Spec]map[string]int{}
	for _, s := range slices.Concat(gone, fresh) {
		grams[s] = bigrams(texts(s))
	}
	for _, old := range gone {
		for _, now := range fresh {
			least := renameLike
			if old.Suite != now.Suite {
				least = 1
			}
			if like := dice(grams[old], grams[now]); like >= least {
				pairs = append(pairs, pair{old, now, like})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.like, a.like) })
	used := map[*reports.Spec]bool{}
	for _, p := range pairs {
		if _, ok := from[p.now]; !ok && !used[p.old] {
			from[p.now], used[p.old] = renaming{p.old, p.like}, true
		}
	}
	return from
}

func texts(s *reports.Spec) string {
	return strings.Join(append(slices.Clone(s.Containers), s.Leaf), " ")
}

func bigrams(s string) map[string]int {
	r := []rune(strings.ToLower(s))
	all := map[string]int{}
	for i := 0; i+1 < len(r); i++ {
		all[string(r[i:i+2])]++
	}
	if len(r) == 1 {
		all[string(r)]++
	}
	return all
}

// dice returns the Sørensen-Dice coefficient of the bigrams of two texts, from 0 (nothing in common)
// to 1 (equal bigrams).
//
// Source: L. R. Dice, "Measures of the amount of ecologic association between
// species", Ecology 26 (1945), 297-302.
func dice(a, b map[string]int) float64 {
	common, total := 0, 0
	for g, n := range a {
		common += min(n, b[g])
		total += n
	}
	for _, n := range b {
		total += n
	}
	if total == 0 {
		return 0
	}
	return 2 * float64(common) / float64(total)
}

// addMoves compares the run with the baseline run.
func (a *analyzer) addMoves() {
	now := a.a.Run.Suites
	if now == nil {
		return
	}
	run, previous := a.a.Run, a.a.Previous
	sameCode := previous != nil && sameCommit(*previous, a.row.Line())
	c := CompareResults(a.askedFor(a.was), now, sameCode)
	c.Moves = slices.DeleteFunc(c.Moves, a.leftOut)
	c.bothWays(a.both, now)
	a.a.Moves, a.a.Matrix, a.a.Blocked, a.a.Paired = c.Moves, c.Matrix, c.NotRun, c.paired()
	if previous != nil {
		repeats := 0
		for _, l := range a.w.Runs {
			if l.ID != run.ID && l.ID != previous.ID && (sameCommit(l, *previous) || sameCommit(l, a.row.Line())) {
				repeats++
			}
		}
		a.a.Paired.Repeated = sameCode || repeats > 0
	}
}

// fillGone reads the messages of specs that are gone, which the outline of the baseline leaves out.
func (a *analyzer) fillGone() error {
	var gone []*reports.Spec
	for i := range a.a.Moves {
		if m := &a.a.Moves[i]; m.Now == "" {
			gone = append(gone, m.Spec)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return a.FillTexts(a.a.Previous.ID, gone)
}

// bothWays marks specs as flaky that both passed and failed in runs of the commit.
func (c *compared) bothWays(both map[reports.Digest]bool, now *reports.Results) {
	if len(both) == 0 {
		return
	}
	moved := map[reports.Digest]bool{}
	for i := range c.Moves {
		m := &c.Moves[i]
		key := m.Spec.Digest()
		moved[key] = true
		if both[key] && slices.Contains([]reports.Kind{reports.Broke, reports.NewFailing, reports.Fixed, reports.New}, m.Kind) {
			m.Kind = reports.Flaky
		}
	}
	for i := range now.Specs {
		if s := &now.Specs[i]; both[s.Digest()] && !moved[s.Digest()] {
			c.Moves = append(c.Moves, Move{Kind: reports.Flaky, Spec: s, Before: s.State, Now: s.State})
		}
	}
	slices.SortStableFunc(c.Moves, func(a, b Move) int {
		return slices.Index(reports.Kinds, a.Kind) - slices.Index(reports.Kinds, b.Kind)
	})
}

// sameCommit reports whether two runs tested the same code. It is false if either had uncommitted
// changes, because then the code is unknown.
func sameCommit(a, b history.RunLine) bool {
	return a.Commit != "" && a.Commit == b.Commit && !a.Dirty && !b.Dirty
}

// NewFailures returns the failed specs that did not fail or did not exist in the baseline run,
// including flaky ones, because they make the run fail.
func (a *Analysis) NewFailures() []reports.Spec {
	var all []reports.Spec
	for _, m := range a.Moves {
		if m.Now == reports.Failed && m.Before != reports.Failed && m.Kind != reports.Failing {
			all = append(all, *m.Spec)
		}
	}
	return all
}
