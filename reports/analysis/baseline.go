package analysis

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// Baseline is the run that another run is compared with, and why it was chosen.
type Baseline struct {
	Run *history.RunLine // nil if there is none
	Why string           // a clause: why this run was chosen, or why there is none

	// Branch is the base branch, into which the change will be merged; "" if it is unknown.
	Branch string

	// Exact reports that, as far as is known, no commit lies between the baseline run and the change.
	// A spec that passed in the baseline run and fails now was then broken by the change.
	Exact bool

	// Depth is the number of first parents from the merge base (on the base branch: from the parent
	// of the commit) back to the commit of Run; -1 if the ancestors are unknown.
	Depth int

	// Unsure reports that one of the two runs does not record its commit, so both may have tested the
	// same code. A spec that fails in both was then not necessarily broken before the change.
	Unsure bool

	// Same contains the earlier runs of the commit of the judged run, newest first, at most [MaxSame].
	// They are attempts of the same run, so none of them can be the baseline run.
	Same []history.RunLine

	// Rescued contains the specs that passed in the judged run and failed in one of Same.
	Rescued []reports.Spec
}

// MaxSame is the maximum number of runs in [Baseline.Same].
const MaxSame = 20

const (
	maxRecorded = 2000 // newest runs of the history among which a baseline run is chosen
	maxStates   = 100  // runs in which the state of a spec is looked up
	guessed     = 10   // newest runs of the base branch that are considered if the ancestors are unknown
)

// usualBases are common names of base branches, used if neither CI nor git names one.
var usualBases = []string{"main", "master", "trunk", "develop", "development", "default"}

// AgainstError reports a value of [Options.Against] that identifies no run.
type AgainstError struct{ Against, Problem string }

func (e *AgainstError) Error() string {
	return fmt.Sprintf("compare against %q: %s: give a branch, a number or a commit of a recorded run (flujo-harness history lists them)", e.Against, e.Problem)
}

// chooser chooses the baseline run of a run.
type chooser struct {
	run      history.RunLine
	origin   reports.Origin
	earlier  []history.RunLine // runs that started before the run, newest first
	all      []history.RunLine // all other runs, newest first
	against  string
	ancestry func(base string) reports.Ancestry // returns the ancestors of the run's commit; may be nil
	commits  []string                           // ancestors, once they are known

	// The result: runs in which the states of specs are looked up, starting with the baseline run, and
	// runs of the base branch in which specs may have broken between the baseline run and the change.
	states []history.RunLine
	later  []history.RunLine
}

// choose returns the baseline without Same and Rescued.
func (c *chooser) choose() (Baseline, error) {
	b := Baseline{Branch: c.base(), Depth: -1}
	if c.against != "" {
		done, err := c.given(&b)
		if done || err != nil {
			return b, err
		}
	}
	if len(c.commits) == 0 && c.run.Commit != "" {
		c.commits = c.origin.Ancestors
		var now reports.Ancestry
		if (len(c.commits) == 0 || c.against != "") && c.ancestry != nil {
			now = c.ancestry(b.Branch)
			c.commits = now.Commits
		}
		c.origin.Problem = firstOf(c.origin.Problem, now.Problem)
	}
	if c.run.Dirty && c.clean(&b) {
		return b, nil
	}
	if c.ancestor(&b) {
		return b, nil
	}
	if c.baseBranch(&b) {
		return b, nil
	}
	c.before(&b)
	return b, nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// base returns the base branch, or "".
func (c *chooser) base() string {
	if c.origin.BaseBranch != "" || c.run.Branch == "" {
		return c.origin.BaseBranch
	}
	for _, l := range c.all { // the base branch of other runs in the repository
		if l.BaseBranch != "" && !l.Fork {
			return l.BaseBranch
		}
	}
	for _, name := range usualBases {
		if c.run.Branch == name || slices.ContainsFunc(c.all, func(l history.RunLine) bool { return l.Branch == name }) {
			return name
		}
	}
	return ""
}

// mayBe reports whether a run can be the baseline run: it tested another commit, and is not of a fork.
func (c *chooser) mayBe(l history.RunLine) bool {
	return !l.Fork && !reports.SameCommit(l.Commit, c.run.Commit)
}

var hexCommit = regexp.MustCompile(`^[0-9a-f]{4,64}$`)

// given finds the run that Options.Against identifies. done is false if that is a base branch, since
// the merge base must be determined then.
func (c *chooser) given(b *Baseline) (done bool, err error) {
	number, _ := strconv.ParseInt(strings.TrimPrefix(c.against, "#"), 10, 64)
	var branch, commit []history.RunLine
	for _, l := range c.all {
		switch {
		case l.ID == number: // IDs start at 1
			c.take(b, []history.RunLine{l}, "it was asked for")
			return true, nil
		case l.Branch == c.against:
			branch = append(branch, l)
		case hexCommit.MatchString(c.against) && reports.SameCommit(l.Commit, c.against):
			commit = append(commit, l)
		}
	}
	switch {
	case number == c.run.ID:
		return false, &AgainstError{c.against, "it is the run itself"}
	case len(branch) > 0 && c.against == c.run.Branch && c.against != b.Branch:
		return false, &AgainstError{c.against, "it is the branch of the run itself"}
	case len(branch) > 0:
		b.Branch = c.against
		return false, nil
	case len(commit) > 0:
		if reports.SameCommit(c.run.Commit, c.against) && !c.run.Dirty {
			return false, &AgainstError{c.against, "it is the commit of the run itself"}
		}
		c.take(b, c.comparable(commit), "its commit was asked for")
		return true, nil
	}
	return false, &AgainstError{c.against, "no other complete run with results of suites is of it"}
}

// take makes the first of these runs the baseline.
func (c *chooser) take(b *Baseline, states []history.RunLine, why string) {
	line := states[0]
	b.Run, b.Why, b.Exact, c.states = &line, why, true, states[:min(len(states), maxStates)]
}

// comparable returns the runs that are most similar to the run: those of the same job and platform, or
// else of the same operating system, or else all.
func (c *chooser) comparable(lines []history.RunLine) []history.RunLine {
	mine := c.origin.Cell()
	like := func(cell string) int {
		a, b := strings.Split(mine, "|"), strings.Split(cell, "|")
		switch {
		case cell == mine:
			return 2
		case len(a) == 3 && len(b) == 3 && system(a[1]) == system(b[1]):
			return 1
		}
		return 0
	}
	best := 0
	for _, l := range lines {
		best = max(best, like(l.Cell))
	}
	return slices.DeleteFunc(slices.Clone(lines), func(l history.RunLine) bool { return like(l.Cell) < best })
}

// system returns the operating system of a platform such as "linux/amd64".
func system(platform string) string {
	name, _, _ := strings.Cut(platform, "/")
	return name
}

// clean chooses, for a working tree with uncommitted changes, a run of its commit without them. The
// states of runs at the merge base are used as well, because the commit itself is part of the change.
func (c *chooser) clean(b *Baseline) bool {
	var same []history.RunLine
	for _, l := range append(slices.Clone(c.earlier), c.all...) { // earlier runs first
		if !l.Fork && !l.Dirty && reports.SameCommit(l.Commit, c.run.Commit) {
			same = append(same, l)
		}
	}
	if len(same) == 0 {
		return false
	}
	same = c.comparable(same)
	older := *b
	if c.ancestor(&older) {
		b.Depth = older.Depth
	}
	c.take(b, append(same, c.states...), "the run of its commit without the changes of the tree")
	c.later = nil
	return true
}

// ancestor chooses the run of the nearest commit among the ancestors.
func (c *chooser) ancestor(b *Baseline) bool {
	depth, of := map[int64]int{}, []history.RunLine{}
	deepest := -1
	for i, l := range c.all {
		if !c.mayBe(l) || l.Dirty || l.Commit == "" {
			continue
		}
		at := slices.IndexFunc(c.commits, func(commit string) bool { return reports.SameCommit(commit, l.Commit) })
		if at >= 0 {
			depth[l.ID], of, deepest = at, append(of, l), i
		}
	}
	if len(of) == 0 {
		return false
	}
	near := c.comparable(of)
	slices.SortStableFunc(near, func(x, y history.RunLine) int { return depth[x.ID] - depth[y.ID] })
	b.Depth = depth[near[0].ID]
	c.take(b, near, c.whyAncestor(b))
	b.Exact = b.Depth == 0
	for _, l := range c.all[:deepest] {
		if _, known := depth[l.ID]; !known && l.Branch == b.Branch && b.Branch != "" && c.mayBe(l) {
			c.later = append(c.later, l)
		}
	}
	for _, l := range of { // runs of other jobs at newer commits than that of the baseline run
		if depth[l.ID] < b.Depth {
			c.later = append(c.later, l)
		}
	}
	return true
}

func (c *chooser) whyAncestor(b *Baseline) string {
	base := text.OneLine(b.Branch)
	switch {
	case c.run.Branch == b.Branch && b.Depth == 0:
		return "its parent on branch " + base
	case c.run.Branch == b.Branch:
		return fmt.Sprintf("the nearest recorded ancestor on branch %s, %s back", base, text.Plural(b.Depth+1, "commit"))
	case b.Depth == 0:
		return "the merge base with branch " + base
	}
	return fmt.Sprintf("the nearest recorded ancestor of the merge base with branch %s, %s before it", base, text.Plural(b.Depth, "commit"))
}

// baseBranch chooses the newest run of the base branch if the ancestors are unknown.
func (c *chooser) baseBranch(b *Baseline) bool {
	if b.Branch == "" || c.run.Branch == "" || c.run.Branch == b.Branch && c.against == "" || c.run.Commit == "" {
		return false
	}
	var of []history.RunLine
	recent := -1 // number of runs of the base branch since the previous run of the branch itself
	for _, l := range c.earlier {
		switch {
		case l.Branch == b.Branch && c.mayBe(l) && l.Commit != "":
			of = append(of, l)
		case l.Branch == c.run.Branch && c.mayBe(l) && recent < 0:
			recent = len(of)
		}
	}
	if len(of) == 0 {
		return false
	}
	c.take(b, c.comparable(of), "the newest run of branch "+text.OneLine(b.Branch)+" before it"+c.because())
	b.Exact = false
	if recent < 1 {
		recent = guessed
	}
	c.later = of[1:max(1, min(len(of), recent))]
	return true
}

// because returns, in parentheses, why the ancestors are unknown.
func (c *chooser) because() string {
	switch {
	case c.origin.Problem != "":
		return " (" + text.OneLine(c.origin.Problem) + ")"
	case len(c.commits) > 0:
		return " (none of its ancestors that git names has a run)"
	}
	return " (git does not know how its commit descends from that branch)"
}

// before chooses the newest earlier run, preferably of another commit and of the same branch, else one
// whose branch is unknown. Runs of other branches cannot be the baseline run.
func (c *chooser) before(b *Baseline) {
	known, mine := c.run.Commit != "", c.run.Branch != ""
	for _, choice := range []struct {
		known, mine bool // its commit is known and another one; it is of the branch of the run
		why         string
	}{
		{true, true, "the newest run before it of another commit on branch " + text.OneLine(c.run.Branch)},
		{true, false, "the newest run before it of another commit"},
		{false, true, "the newest run before it on branch " + text.OneLine(c.run.Branch)},
		{false, false, "the newest run before it"},
	} {
		if choice.known && !known || choice.mine && !mine {
			continue
		}
		var of []history.RunLine
		for _, l := range c.earlier {
			switch {
			case l.Fork, known && choice.known == (l.Commit == ""), choice.known && !c.mayBe(l):
			case choice.mine && l.Branch != c.run.Branch:
			case !choice.mine && mine && l.Branch != "" && l.Branch != b.Branch: // of another branch
			default:
				of = append(of, l)
			}
		}
		if len(of) > 0 {
			c.take(b, c.comparable(of), choice.why)
			b.Unsure = !choice.known
			break
		}
	}
	switch {
	case b.Unsure:
		b.Why += "; the commit of one of them is unknown, so it may be of the same code"
	case b.Run == nil && slices.ContainsFunc(c.earlier, func(l history.RunLine) bool { return !c.mayBe(l) && !l.Fork }):
		b.Why = fmt.Sprintf("every run before it is of the same commit, %.12s", c.run.Commit)
	case b.Run == nil && len(c.earlier) > 0:
		b.Why = "no run before it is of its branch or of the branch that it goes into"
	case b.Run == nil:
		b.Why = "there is no complete run with results of suites before it"
	}
	if b.Run == nil && c.origin.Problem != "" {
		b.Why += " (" + text.OneLine(c.origin.Problem) + ")"
	}
}

// chooseBaseline chooses the baseline run and reads its results.
func (a *analyzer) chooseBaseline(ctx context.Context) error {
	rows, err := a.Rows("WHERE has_suites AND complete AND id <> ? ORDER BY at DESC, id DESC LIMIT ?", a.row.ID, maxRecorded)
	if err != nil {
		return err
	}
	a.chooser = chooser{run: a.row.Line(), origin: a.a.Run.Origin, against: a.o.Against}
	c := &a.chooser
	a.recorded = map[int64]history.Record{}
	for i := range rows {
		l := rows[i].Line()
		a.recorded[l.ID] = rows[i]
		c.all = append(c.all, l)
		if rows[i].At < a.row.At || rows[i].At == a.row.At && l.ID < a.row.ID {
			c.earlier = append(c.earlier, l)
		}
	}
	if a.o.Ancestry != nil {
		c.ancestry = func(base string) reports.Ancestry { return a.o.Ancestry(ctx, a.a.Run, base) }
	}
	b, err := c.choose()
	if err != nil {
		return err
	}
	if c.run.Commit != "" {
		for _, l := range c.earlier {
			if reports.SameCommit(l.Commit, c.run.Commit) && !l.Fork && len(b.Same) < MaxSame && l.Cell == c.run.Cell {
				b.Same = append(b.Same, l)
			}
		}
	}
	a.a.Baseline, a.a.Previous = &b, b.Run
	if b.Run != nil {
		if a.was, err = a.Outline(b.Run.ID); err != nil {
			return fmt.Errorf("run %d: %w", b.Run.ID, err)
		}
		a.baseResults = a.was
	}
	b.Rescued, err = a.attempts(b.Same)
	return err
}

// attempts reads the earlier runs of the commit and returns the specs that failed in one of them and
// passed in the run.
func (a *analyzer) attempts(same []history.RunLine) (rescued []reports.Spec, err error) {
	a.tries, a.both = map[reports.Digest]reports.Rate{}, map[reports.Digest]bool{}
	if len(same) == 0 {
		return nil, nil
	}
	failed := map[reports.Digest]bool{}
	clean := map[reports.Digest]reports.State{} // states in a run without uncommitted changes
	for _, line := range same {
		of, err := a.Outline(line.ID)
		if err != nil {
			return nil, fmt.Errorf("run %d: %w", line.ID, err)
		}
		for i := range of.Specs {
			s := &of.Specs[i]
			key := s.Digest()
			others, one := a.tries[key], attempts(s)
			a.tries[key] = reports.Rate{Good: others.Good + one.Good, Of: others.Of + one.Of}
			failed[key] = failed[key] || s.State == reports.Failed
			if ran := s.State == reports.Passed || s.State == reports.Failed; ran && !line.Dirty {
				if was, ok := clean[key]; ok && was != s.State {
					a.both[key] = true
				}
				clean[key] = s.State
			}
		}
	}
	for i := range a.a.Run.Suites.Specs {
		s := &a.a.Run.Suites.Specs[i]
		key := s.Digest()
		if was, ok := clean[key]; ok && was != s.State && !a.row.Dirty && (s.State == reports.Passed || s.State == reports.Failed) {
			a.both[key] = true
		}
		if s.State == reports.Passed && failed[key] {
			rescued = append(rescued, *s)
		}
	}
	return rescued, nil
}

// StillFailing returns the specs that fail now and failed in the baseline run.
func (a *Analysis) StillFailing() []reports.Spec {
	var all []reports.Spec
	for _, m := range a.Moves {
		if m.Now == reports.Failed && m.Before == reports.Failed {
			all = append(all, *m.Spec)
		}
	}
	return all
}

// NotRun returns the specs that ran in the baseline run and not in this one: those that no longer exist
// and those that are skipped or pending.
func (a *Analysis) NotRun() (gone, skipped []Move) {
	for _, m := range a.Moves {
		switch {
		case m.Kind == reports.Gone:
			gone = append(gone, m)
		case (m.Now == reports.Skipped || m.Now == reports.Pending) && (m.Before == reports.Passed || m.Before == reports.Failed):
			skipped = append(skipped, m)
		}
	}
	return gone, skipped
}
