package reports

import "slices"

// Alone tells of a run by itself, without its secrets, where there is no history to
// compare it with.
func Alone(run Run) *Account {
	run = new(censor).run(run)
	word, reason := headline(run)
	a := &Account{Run: run, Headline: Headline{Outcome: run.Outcome, Word: word, Reason: reason, Next: next(run)}, Notes: notes(run)}
	if run.Suites == nil {
		return a
	}
	a.Counts = run.Suites.Counts()
	a.Rate, a.RateAll = a.Counts.PassRate(), a.Counts.PassRateOfAll()
	for _, s := range run.Suites.Suites {
		for _, f := range s.Failures {
			a.Attention = append(a.Attention, Attention{Kind: SuiteBroken, Message: f.Message, Cluster: -1,
				Spec: Spec{Suite: s.Path, Detail: f.Node, Message: f.Message, File: f.File, Line: f.Line}})
		}
	}
	for _, t := range Transitions(nil, run.Suites) {
		a.Moves = append(a.Moves, Move{Kind: t.Kind, Spec: t.Spec, Now: t.Spec.State})
		kind := NewlyBroken
		if t.Kind == RetryRescued {
			kind = FlakyNow
		}
		a.Attention = append(a.Attention, Attention{Kind: kind, Spec: t.Spec, Message: t.Spec.Message, Owner: ownerOf(&t.Spec), Age: Age{Runs: 1}, Cluster: -1})
	}
	for i := range run.Suites.Specs {
		if s := run.Suites.Specs[i]; s.Duration > 0 {
			a.Slowest = append(a.Slowest, Slow{Spec: s})
		}
	}
	slices.SortStableFunc(a.Slowest, func(x, y Slow) int { return int(y.Spec.Duration - x.Spec.Duration) })
	a.Slowest = a.Slowest[:min(len(a.Slowest), MaxSlowest)]
	return a
}
