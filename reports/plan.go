package reports

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Plan is what a team wants to reach: a pass rate, and the phases of its work. Its file:
//
//	target = 98.5                # percent of the specs that ran
//
//	[[phase]]
//	name = "Phase 4"
//	until = 2025-08-09T12:00:00Z # ends with the last run that started before; or run = 4
//	target = 97.5                # optional
//
// The target of a phase is what it is to have reached when it ends. flujo-harness gate
// judges a run by it, or by the plan's own where its phase has none: until the phase ends, a
// target that is not reached is inconclusive, and broken from then on.
type Plan struct {
	Target float64     `toml:"target"` // pass rate in percent, of the specs that ran; 0: none
	Phases []PlanPhase `toml:"phase"`
}

// PlanPhase is one phase. It ends with the last run that started before Until, or
// with the run of the number Run; the last phase may be open. In a file, a date or
// time without a zone is UTC.
type PlanPhase struct {
	Name   string    `toml:"name"`
	Until  time.Time `toml:"until"`
	Run    int64     `toml:"run"`
	Target float64   `toml:"target"` // as in Plan
}

// PlanError is a plan that cannot be used.
type PlanError struct {
	Path string // "" where it did not come from a file
	Err  error
}

func (e *PlanError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("plan: %v", e.Err)
	}
	return fmt.Sprintf("plan %s: %v", e.Path, e.Err)
}

func (e *PlanError) Unwrap() error { return e.Err }

// ReadPlan reads a plan from a file: see [ParsePlan].
func ReadPlan(path string) (*Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &PlanError{path, err}
	}
	return ParsePlan(path, text)
}

// ParsePlan reads a plan from TOML, which messages call path. Unknown keys, phases out of
// order and targets outside 0 to 100 are errors. The error is a [*PlanError].
func ParsePlan(path string, text []byte) (*Plan, error) {
	var p Plan
	if err := decodeTOML(text, &p); err != nil {
		return nil, &PlanError{path, err}
	}
	for i := range p.Phases { // a gate must not depend on the zone of the machine that reads it
		if u := &p.Phases[i].Until; u.Location() == time.Local {
			*u = time.Date(u.Year(), u.Month(), u.Day(), u.Hour(), u.Minute(), u.Second(), u.Nanosecond(), time.UTC)
		}
	}
	if err := p.check(); err != nil {
		return nil, &PlanError{path, err}
	}
	return &p, nil
}

// decodeTOML refuses keys that are not in the value.
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
		return errors.New("it has neither a target nor a phase")
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
			return fail("give it a name")
		case ends == 2:
			return fail("it ends with until or with run, not with both")
		case ends == 0 && !last:
			return fail("only the last phase may be open: give until or run")
		case f.Run < 0:
			return fail("run %d is no number of a run", f.Run)
		}
		if err := CheckTarget(f.Target); err != nil {
			return fail("%w", err)
		}
		if i > 0 && !f.Until.IsZero() && !p.Phases[i-1].Until.IsZero() && !f.Until.After(p.Phases[i-1].Until) {
			return fail("it ends before the phase before it")
		}
	}
	return nil
}

// CheckTarget refuses what is no pass rate in percent; 0 is none.
func CheckTarget(percent float64) error {
	if !(percent >= 0 && percent <= 100) {
		return fmt.Errorf("target %v: a pass rate is between 0 and 100 percent", percent)
	}
	return nil
}
