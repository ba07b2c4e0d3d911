package analysis

import (
	"slices"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Redacted returns a copy of the run without secrets, as the history stores it.
func Redacted(run reports.Run) reports.Run { return new(history.Censor).Run(run) }

// Alone analyzes a run without a history. It removes secrets.
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
