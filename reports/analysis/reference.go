package analysis

import (
	"fmt"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// Reference is the run that another one is judged against, and why it was chosen.
type Reference struct {
	Run *history.RunLine // nil: there is none
	Why string           // a clause: why this run, or why there is none

	// Unsure: one of the two runs does not say its commit, so both may be of the same code.
	// What fails in both is then not known to be older than the change.
	Unsure bool

	// Same are the earlier runs of the commit of the judged run, the newest first and at most
	// [MaxSame]: attempts of one run, none of which can be the reference.
	Same []history.RunLine

	// Rescued are the specs that passed in the judged run and failed in one of Same.
	Rescued []reports.Spec
}

// MaxSame is the most runs in [Reference.Same].
const MaxSame = 20

// sameChange is a condition on runs: those of the code of another run, as far as the commit
// says. A tree with changes counts as its commit, or a changed comment would make a red run
// the reference of the next one. A commit may be abbreviated.
const sameChange = "commit_id <> '' AND (substr(commit_id, 1, length(?)) = ? OR substr(?, 1, length(commit_id)) = commit_id)"

// reference chooses what the run is judged against: the newest complete run before it with
// results of suites, of another commit; on its own branch if there is one, else on any.
// Where no such run says its commit, or the run itself does not, it is the newest before it,
// and that is said.
func (a *analyzer) reference() (ref Reference, err error) {
	run := a.a.Run
	newest := func(n int, which string, args ...any) ([]history.RunLine, error) {
		rows, err := a.Rows("WHERE has_suites AND complete AND "+history.EarlierRuns+which+" ORDER BY at DESC, id DESC LIMIT ?",
			append(append([]any{a.row.At, a.row.ID}, args...), n)...)
		var lines []history.RunLine
		for i := range rows {
			lines = append(lines, rows[i].Line())
		}
		return lines, err
	}
	known, mine := run.Commit != "", run.Branch != ""
	for _, choice := range []struct {
		known, mine bool // another commit is known; it is of the branch of the run
		why         string
	}{
		{true, true, "the newest run before it of another commit on branch " + text.OneLine(run.Branch)},
		{true, false, "the newest run before it of another commit"},
		{false, true, "the newest run before it on branch " + text.OneLine(run.Branch)},
		{false, false, "the newest run before it"},
	} {
		if choice.known && !known || choice.mine && !mine {
			continue
		}
		which, args := "", []any(nil)
		switch {
		case choice.known:
			which, args = " AND commit_id <> '' AND NOT ("+sameChange+")", []any{run.Commit, run.Commit, run.Commit}
		case known:
			which = " AND commit_id = ''"
		}
		if choice.mine {
			which, args = which+" AND branch = ?", append(args, run.Branch)
		}
		found, err := newest(1, which, args...)
		if err != nil {
			return ref, err
		}
		if len(found) > 0 {
			ref.Run, ref.Why, ref.Unsure = &found[0], choice.why, !choice.known
			break
		}
	}
	if known {
		if ref.Same, err = newest(MaxSame, " AND "+sameChange, run.Commit, run.Commit, run.Commit); err != nil {
			return ref, err
		}
	}
	switch {
	case ref.Unsure:
		ref.Why += "; the commit of one of them is not known, so it may be of the same code"
	case ref.Run == nil && len(ref.Same) > 0:
		ref.Why = fmt.Sprintf("every run before it is of the same commit, %.12s", run.Commit)
	case ref.Run == nil:
		ref.Why = "there is no complete run with results of suites before it"
	}
	return ref, nil
}

// attempts are the specs that passed in the run and failed in an earlier run of its commit.
func (a *analyzer) attempts(same []history.RunLine) (rescued []reports.Spec, err error) {
	failed := map[string]bool{}
	for _, line := range same {
		of, err := a.Results(line.ID)
		if err != nil {
			return nil, fmt.Errorf("run %d: %w", line.ID, err)
		}
		for i := range of.Specs {
			if s := &of.Specs[i]; s.State == reports.Failed {
				failed[s.Key()] = true
			}
		}
	}
	for _, s := range a.a.Run.Suites.Specs {
		if s.State == reports.Passed && failed[s.Key()] {
			rescued = append(rescued, s)
		}
	}
	return rescued, nil
}

// judgeAgainst compares the run with its reference instead of the run before it.
func (a *analyzer) judgeAgainst() (err error) {
	ref, err := a.reference()
	if err != nil {
		return err
	}
	a.a.Reference, a.a.Previous, a.was = &ref, ref.Run, nil
	if ref.Run != nil {
		if a.was, err = a.Results(ref.Run.ID); err != nil {
			return fmt.Errorf("run %d: %w", ref.Run.ID, err)
		}
	}
	ref.Rescued, err = a.attempts(ref.Same)
	return err
}

// StillFailing are the specs that fail now and did in the run that they are compared with.
func (a *Analysis) StillFailing() []reports.Spec {
	var all []reports.Spec
	for _, m := range a.Moves {
		if m.Now == reports.Failed && m.Before == reports.Failed {
			all = append(all, m.Spec)
		}
	}
	return all
}

// NotRun are the specs that ran in the run that this one is compared with and did not run
// in this one: those that are no longer there, and those that are left out.
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
