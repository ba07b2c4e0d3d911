package analysis

import (
	"time"

	"github.com/flujo/flujo-harness/reports/history"
)

// Outcomes is what each spec of the run did in the runs of the window, by [reports.Spec.Key].
// The zero value has none, as of a run without a history.
type Outcomes struct {
	Runs  []history.RunLine          // the oldest first
	Cells map[string]string          // a character for each run, as in [HeatRow]
	Took  map[string][]time.Duration // of the last runs only, as many as there are values; 0: did not run
}

// maxTimed is the most specs of a run whose durations are kept for each run.
const maxTimed = 5000

// recordOutcomes keeps the rows of the window that belong to specs of the run.
func (a *analyzer) recordOutcomes() {
	if a.a.Run.Suites == nil || len(a.w.Runs) == 0 {
		return
	}
	specs := a.a.Run.Suites.Specs
	o := Outcomes{Runs: a.w.Runs, Cells: make(map[string]string, len(specs))}
	timed := len(specs) <= maxTimed && a.w.Timed > 0
	if timed {
		o.Took = make(map[string][]time.Duration, len(specs))
	}
	same := map[string]string{} // most specs did the same in all runs
	for i := range specs {
		key := specs[i].Key()
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
		o.Cells[key] = cells
		if timed && id < int64(len(a.w.Took)) {
			o.Took[key] = a.w.Took[id]
		}
	}
	a.a.Outcomes = o
}
