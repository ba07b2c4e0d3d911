package analysis

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

// addFixCauses determines why specs and limits that failed in the baseline run do not fail now.
// Causes without a normal pass (skipped, renamed, retried) take precedence, then loosened limits,
// then changes of the source.
func (a *analyzer) addFixCauses() error {
	if b := a.a.Baseline; b != nil {
		for _, s := range b.Rescued {
			if a.both[s.Digest()] {
				a.a.Green = append(a.a.Green, GreenTurn{Move: Move{Kind: reports.Flaky, Spec: &s, Before: reports.Failed, Now: reports.Passed},
					Cause: NothingChanged, Evidence: "it failed and passed at commit " + text.ShortCommit(a.a.Run.Commit)})
			}
		}
	}
	if a.a.Previous == nil {
		return nil
	}
	failed := map[reports.Digest]*reports.Spec{}
	for i := range a.was.Specs {
		if s := &a.was.Specs[i]; s.State == reports.Failed {
			failed[s.Digest()] = s
		}
	}
	if err := a.fillFailed(failed); err != nil {
		return err
	}
	files := sourceFiles{source: a.o.Source, read: map[string][]byte{}}
	for _, m := range a.a.Moves {
		if m.Before != reports.Failed || m.Now == reports.Failed || m.Kind == reports.NotRun { // a spec that could not run has not stopped failing
			continue
		}
		if a.both[m.Spec.Digest()] { // added above if it passed
			continue
		}
		turn := GreenTurn{Move: m}
		turn.Cause, turn.Evidence = a.cause(m, failed[m.Spec.Digest()], &files)
		a.a.Green = append(a.a.Green, turn)
	}
	return a.limitsTurned()
}

// fillFailed reads the old messages of the specs that stopped failing, because they may contain the
// name of a workload whose limit was loosened.
func (a *analyzer) fillFailed(failed map[reports.Digest]*reports.Spec) error {
	if len(a.o.Limits) == 0 {
		return nil
	}
	var asked []*reports.Spec
	for i := range a.a.Moves {
		if m := &a.a.Moves[i]; m.Before == reports.Failed && m.Now == reports.Passed {
			if was := failed[m.Spec.Digest()]; was != nil {
				asked = append(asked, was)
			}
		}
	}
	return a.FillTexts(a.a.Previous.ID, asked)
}

// Name returns the name of the spec or of the limit.
func (g *GreenTurn) Name() string {
	if g.Limit != "" {
		return g.Limit
	}
	return g.Move.Spec.Name()
}

func (a *analyzer) cause(m Move, was *reports.Spec, files *sourceFiles) (Cause, string) {
	switch {
	case m.Now == "":
		return BySkip, "it no longer exists"
	case m.Now != reports.Passed:
		return BySkip, fmt.Sprintf("it is %s", m.Now)
	case m.From != "":
		return ByRename, fmt.Sprintf("%q failed, and this name is similar", m.From)
	case m.Spec.Retried:
		return ByRetry, fmt.Sprintf("attempt %d passed, one before it failed", m.Spec.Attempts)
	}
	if was != nil && was.BothWays() {
		return ByFlake, "it both passed and failed in the baseline run"
	}
	if was != nil {
		if e := a.loosened(was.Message); e != nil {
			return LimitLoosened, fmt.Sprintf("the limit of %s went from %s to %s on %s, and its failure named it", e.Workload, text.Figure(e.From), text.Figure(e.To), e.Date)
		}
	}
	before, now := *a.a.Previous, a.row.Line()
	switch {
	case sameCommit(before, now):
		return NothingChanged, "it failed and passed at commit " + text.ShortCommit(now.Commit)
	case before.Commit == "" || now.Commit == "":
		return CauseUnknown, "the commit of one of the runs is unknown"
	case before.Dirty || now.Dirty:
		return CauseUnknown, "the working tree had uncommitted changes, so no commit contains the tested code"
	case files.source == nil:
		return CauseUnknown, "the source of the two commits is not available"
	}
	return files.compare(a.ctx, before.Commit, now.Commit, m.Spec)
}

// loosened returns the entry of a ledger that loosened a limit between the two runs, if the message
// contains the name of its workload; otherwise nil.
func (a *analyzer) loosened(message string) *thresholds.Entry {
	from, to := Day(a.a.Previous.Started), Day(a.a.Run.Started)
	for _, f := range a.o.Limits {
		for i := range f.Ledger {
			e := &f.Ledger[i]
			if e.Change == thresholds.Loosened && e.Workload != "" && e.Date >= from && e.Date <= to && strings.Contains(message, e.Workload) {
				return e
			}
		}
	}
	return nil
}

// limitsTurned finds limits that were broken in the baseline run and hold now.
func (a *analyzer) limitsTurned() error {
	before := reports.Run{ID: a.a.Previous.ID}
	if err := a.Measured(&before); err != nil {
		return err
	}
	for _, v := range a.a.Run.Verdicts {
		for _, w := range before.Verdicts {
			if v.Workload != w.Workload || v.Durability != w.Durability || v.Metric != w.Metric ||
				w.Outcome != thresholds.Broken || v.Outcome != thresholds.Held {
				continue
			}
			turn := GreenTurn{Move: Move{Spec: &reports.Spec{}}, Limit: v.Workload + " at " + v.Durability, Cause: CauseUnknown, Evidence: "the commit of one of the runs is unknown"}
			switch previous, now := *a.a.Previous, a.row.Line(); {
			case v.Limit > w.Limit:
				turn.Cause, turn.Evidence = LimitLoosened, fmt.Sprintf("its limit was %s and is %s", text.Figure(w.Limit), text.Figure(v.Limit))
			case sameCommit(previous, now):
				turn.Cause, turn.Evidence = NothingChanged, "broken and held at commit "+text.ShortCommit(now.Commit)
			case previous.Commit != now.Commit:
				turn.Cause, turn.Evidence = ProductChanged, fmt.Sprintf("the limit %s is the same, the commit is not", text.Figure(v.Limit))
			}
			a.a.Green = append(a.a.Green, turn)
		}
	}
	return nil
}

// sourceFiles caches the files of commits.
type sourceFiles struct {
	source Source
	read   map[string][]byte
}

func (f *sourceFiles) file(ctx context.Context, commit, path string) ([]byte, error) {
	key := commit + ":" + path
	if have, ok := f.read[key]; ok {
		return have, nil
	}
	content, err := f.source.File(ctx, commit, path)
	if err == nil {
		f.read[key] = content
	}
	return content, err
}

// compare determines what changed between two commits for a spec that passes now. It compares the file
// in which the spec is defined.
func (f *sourceFiles) compare(ctx context.Context, before, now string, s *reports.Spec) (Cause, string) {
	if s.File == "" {
		return CauseUnknown, "its results do not contain where it is defined"
	}
	new, err := f.file(ctx, now, s.File)
	if err != nil {
		return CauseUnknown, fmt.Sprintf("%s at commit %s is not available", s.File, text.ShortCommit(now))
	}
	old, err := f.file(ctx, before, s.File)
	if err != nil {
		return CauseUnknown, fmt.Sprintf("%s at commit %s is not available", s.File, text.ShortCommit(before))
	}
	if bytes.Equal(old, new) {
		return ProductChanged, fmt.Sprintf("%s is the same at both commits", s.File)
	}
	oldBody, okOld := specBody(old, *s)
	newBody, okNew := specBody(new, *s)
	switch {
	case !okOld || !okNew:
		return CauseUnknown, fmt.Sprintf("%s changed, and the body of the spec was not found in it", s.File)
	case oldBody != newBody:
		return BodyChanged, fmt.Sprintf("the body of the spec in %s differs between %s and %s", s.File, text.ShortCommit(before), text.ShortCommit(now))
	}
	return FileChanged, fmt.Sprintf("the body of the spec is the same, other lines of %s are not", s.File)
}
