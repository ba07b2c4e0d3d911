package reports

import "slices"

// Redacted is the run without its secrets, as the history keeps it; run stays as it is.
func Redacted(run Run) Run { return new(censor).run(run) }

// Alone tells of a run by itself, without its secrets, where there is no history to
// compare it with.
func Alone(run Run) *Account {
	a := accountant{a: &Account{Run: Redacted(run)}}
	a.tellCounts()
	if s := a.a.Run.Suites; s != nil {
		s.Specs = slices.Clone(s.Specs) // not the caller's
		a.tellSlowest(&times{})
	}
	a.tellMoves()
	_ = a.tellOutside() // it reads no history
	a.tellFigures(nil)
	a.tellRun()
	return a.a
}
