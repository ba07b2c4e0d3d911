package analysis

import (
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Outcomes is what each spec of the run did in the runs of the window. The zero value has none,
// as of a run without a history.
type Outcomes struct {
	Runs  []history.RunLine // the oldest first
	Timed bool              // durations of earlier runs are known, too
	of    map[reports.Digest]outcomesOf
}

// outcomesOf are those of one spec.
type outcomesOf struct {
	cells string
	took  []time.Duration
}

// Of returns a character for each run, as in [HeatRow], "" where nothing is known of the spec; and
// how long the spec took in the last runs, as many as there are values, 0 where it did not run.
func (o *Outcomes) Of(s *reports.Spec) (cells string, took []time.Duration) {
	of := o.of[s.Digest()]
	return of.cells, of.took
}

// Set replaces what is known of one spec.
func (o *Outcomes) Set(s *reports.Spec, cells string, took []time.Duration) {
	if o.of == nil {
		o.of = map[reports.Digest]outcomesOf{}
	}
	o.of[s.Digest()], o.Timed = outcomesOf{cells, took}, o.Timed || len(took) > 0
}

// maxTimed is the most specs of a run whose durations are kept for each run.
const maxTimed = 5000

// recordOutcomes keeps the rows of the window that belong to specs of the run.
func (a *analyzer) recordOutcomes() {
	if a.a.Run.Suites == nil || len(a.w.Runs) == 0 {
		return
	}
	specs := a.a.Run.Suites.Specs
	o := Outcomes{Runs: a.w.Runs, of: make(map[reports.Digest]outcomesOf, len(specs))}
	o.Timed = len(specs) <= maxTimed && a.w.Timed > 0
	same := map[string]string{} // most specs did the same in all runs
	for i := range specs {
		key := specs[i].Digest()
		id, known := a.ids[key]
		if !known || id >= int64(len(a.w.Codes)) || a.w.Codes[id] == nil {
			continue
		}
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
