package analysis

import (
	"slices"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Redacted returns a copy of the run without secrets, as the history stores it.
func Redacted(run reports.Run) reports.Run { return new(history.Censor).Run(run) }

// AnalyzeSingleRun analyzes a run without a history. It removes secrets.
func AnalyzeSingleRun(run reports.Run) *Analysis {
	a := analyzer{a: &Analysis{Run: Redacted(run)}}
	a.addCounts()
	if s := a.a.Run.Suites; s != nil {
		s.Specs = slices.Clone(s.Specs) // not the caller's
		a.addSlowest(&times{})
	}
	a.addMoves()
	_ = a.addOutside() // it reads no history
	a.addFigures(nil)
	a.addRun()
	return a.a
}
