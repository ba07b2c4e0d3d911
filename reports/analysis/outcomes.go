package analysis

import (
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Outcomes contains the outcomes of each spec of the run in the runs of the window. It is empty for
// a run without a history.
type Outcomes struct {
	Runs  []history.RunLine // oldest first
	Timed bool              // whether it includes durations
	of    map[reports.Digest]outcomesOf
}

// outcomesOf contains the outcomes of one spec.
type outcomesOf struct {
	cells string
	took  []time.Duration
}

// Of returns the outcomes of a spec, a character per run as in [HeatRow], or "" if the spec is
// unknown; and its durations in the last len(took) runs, 0 for runs in which it did not run.
func (o *Outcomes) Of(s *reports.Spec) (cells string, took []time.Duration) {
	of := o.of[s.Digest()]
	return of.cells, of.took
}

// Set replaces the outcomes of one spec.
func (o *Outcomes) Set(s *reports.Spec, cells string, took []time.Duration) {
	if o.of == nil {
		o.of = map[reports.Digest]outcomesOf{}
	}
	o.of[s.Digest()], o.Timed = outcomesOf{cells, took}, o.Timed || len(took) > 0
}

// maxTimed is the maximum number of specs of a run for which durations are kept, to bound memory.
const maxTimed = 5000

// recordOutcomes stores the rows of the window that belong to specs of the run.
func (a *analyzer) recordOutcomes() {
	if a.a.Run.Suites == nil || len(a.w.Runs) == 0 {
		return
	}
	specs := a.a.Run.Suites.Specs
	o := Outcomes{Runs: a.w.Runs, of: make(map[reports.Digest]outcomesOf, len(specs))}
	o.Timed = len(specs) <= maxTimed && a.w.Timed > 0
	same := map[string]string{} // shares equal strings: most specs have the same outcomes
	for i := range specs {
		key := specs[i].Digest()
		id := a.ids[key] // the window contains this run
		cells := heatCells(a.w.Codes[id])
		if s, ok := same[cells]; ok {
			cells = s
		} else {
			same[cells] = cells
		}
		of := outcomesOf{cells: cells}
		if o.Timed && id < int64(len(a.w.Took)) {
			of.took = a.w.Took[id]
		}
		o.of[key] = of
	}
	a.a.Outcomes = o
}
