package reports

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Plan is a team's target pass rate and the phases of its work. It is stored as TOML:
//
//	target = 98.5                # percent of the specs that ran
//
//	[[phase]]
//	name = "Phase 4"
//	until = 2025-08-09T12:00:00Z # the last run that started before ends the phase; or run = 4
//	target = 97.5                # optional
//
// The target of a phase must be reached at its end. flujo-harness gate judges a run by the
// target of its phase or, if the phase has none, by the plan's target. A missed target is
// inconclusive until the phase ends and broken from then on.
type Plan struct {
	Target float64     `toml:"target"` // pass rate of the specs that ran, in percent; 0 means none
	Phases []PlanPhase `toml:"phase"`
}

// PlanPhase is one phase. It ends with the last run that started before Until, or with the run
// whose ID is Run. The last phase may have no end. Times without a zone are UTC.
type PlanPhase struct {
	Name   string    `toml:"name"`
	Until  time.Time `toml:"until"`
	Run    int64     `toml:"run"`
	Target float64   `toml:"target"` // in percent, as in [Plan]; 0 means that of the plan
}

// PlanError reports an invalid plan.
type PlanError struct {
	Path string // "" if the plan did not come from a file
	Err  error
}

func (e *PlanError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("plan: %v", e.Err)
	}
	return fmt.Sprintf("plan %s: %v", e.Path, e.Err)
}

func (e *PlanError) Unwrap() error { return e.Err }

// ReadPlan reads a plan from a file, see [ParsePlan].
func ReadPlan(path string) (*Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &PlanError{path, err}
	}
	return ParsePlan(path, text)
}

// ParsePlan parses a plan from TOML; path is its name in messages. Unknown keys, phases out of
// order and targets outside 0 to 100 are errors of type [*PlanError].
func ParsePlan(path string, text []byte) (*Plan, error) {
	var p Plan
	if err := decodeTOML(text, &p); err != nil {
		return nil, &PlanError{path, err}
	}
	for i := range p.Phases { // a gate must not depend on the time zone of the machine
		if u := &p.Phases[i].Until; u.Location() == time.Local {
			*u = time.Date(u.Year(), u.Month(), u.Day(), u.Hour(), u.Minute(), u.Second(), u.Nanosecond(), time.UTC)
		}
	}
	if err := p.check(); err != nil {
		return nil, &PlanError{path, err}
	}
	return &p, nil
}

// decodeTOML decodes TOML; keys that the value lacks are errors.
func decodeTOML(text []byte, into any) error {
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(into)
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		return fmt.Errorf("unknown key:\n%s", strict.String())
	}
	var place *toml.DecodeError
	if errors.As(err, &place) {
		row, _ := place.Position()
		return fmt.Errorf("line %d: %w", row, err)
	}
	return err
}

func (p *Plan) check() error {
	if err := CheckTarget(p.Target); err != nil {
		return err
	}
	if p.Target == 0 && len(p.Phases) == 0 {
		return errors.New("no target and no phase: set one")
	}
	for i, f := range p.Phases {
		fail := func(format string, args ...any) error {
			return fmt.Errorf("phase %d (%q): %w", i+1, f.Name, fmt.Errorf(format, args...))
		}
		ends := 0
		if !f.Until.IsZero() {
			ends++
		}
		if f.Run != 0 {
			ends++
		}
		switch last := i == len(p.Phases)-1; {
		case f.Name == "":
			return fail("name is missing")
		case ends == 2:
			return fail("until and run exclude each other: set one")
		case ends == 0 && !last:
			return fail("only the last phase may have no end: set until or run")
		case f.Run < 0:
			return fail("run %d is not a run ID", f.Run)
		}
		if err := CheckTarget(f.Target); err != nil {
			return fail("%w", err)
		}
		if i > 0 && !f.Until.IsZero() && !p.Phases[i-1].Until.IsZero() && !f.Until.After(p.Phases[i-1].Until) {
			return fail("it ends before the previous phase")
		}
	}
	return nil
}

// CheckTarget returns an error unless percent is from 0 (no target) to 100.
func CheckTarget(percent float64) error {
	if !(percent >= 0 && percent <= 100) {
		return fmt.Errorf("target %v: use a pass rate from 0 to 100 percent", percent)
	}
	return nil
}
