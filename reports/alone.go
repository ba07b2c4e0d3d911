package reports

import "slices"

// Alone tells of a run by itself, without its secrets, where there is no history to
// compare it with.
func Alone(run Run) *Account {
	a := accountant{a: &Account{Run: new(censor).run(run)}}
	a.tellCounts()
	if s := a.a.Run.Suites; s != nil {
		s.Specs = slices.Clone(s.Specs) // not the caller's
		a.tellSlowest(&times{})
	}
	a.tellMoves()
	a.tellFigures(nil)
	a.tellRun()
	return a.a
}
