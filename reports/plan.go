package reports

import (
	"errors"
	"time"
)

// Plan is what a team wants to reach: a pass rate, and the phases of its work.
type Plan struct {
	Target float64     `toml:"target"` // pass rate in percent, of the specs that ran; 0: none
	Phases []PlanPhase `toml:"phase"`
}

// PlanPhase is one phase. It ends with the last run that started before Until, or
// with the run of the number Run; the last phase may be open.
type PlanPhase struct {
	Name   string    `toml:"name"`
	Until  time.Time `toml:"until"`
	Run    int64     `toml:"run"`
	Target float64   `toml:"target"` // as in Plan
}

// ReadPlan reads a plan from TOML. Unknown keys, phases out of order and targets
// outside 0 to 100 are errors that name the line.
func ReadPlan(path string) (*Plan, error) { return nil, errors.New("not there yet") }
