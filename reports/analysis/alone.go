package analysis

import (
	"slices"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Redacted is the run without its secrets, as the history keeps it; run stays as it is.
func Redacted(run reports.Run) reports.Run { return new(history.Censor).Run(run) }

// Alone tells of a run by itself, without its secrets, where there is no history to
// compare it with.
func Alone(run reports.Run) *Analysis {
	a := analyzer{a: &Analysis{Run: Redacted(run)}}
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
