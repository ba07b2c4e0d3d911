package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/flujo/flujo-harness/core/corebench"
)

// Mark is the outcome of a check.
type Mark string

// Outcomes of a check. A check that cannot determine its fact is unknown, never ok.
const (
	MarkOK      Mark = "ok"
	MarkNote    Mark = "note" // worth knowing
	MarkWarn    Mark = "warn" // makes timings longer or less certain
	MarkBad     Mark = "bad"  // timings cannot be trusted
	MarkUnknown Mark = "unknown"
)

// Advice states which measurements are meaningful.
type Advice string

// Advice, from best to worst.
const (
	MeasureHere Advice = "measure here"
	ProcessOnly Advice = "measure here at process only" // figures of durability "power" are not meaningful
	NoTimings   Advice = "do not gate on timings here"
)

// Figure is a number that a check reports.
type Figure struct {
	Name  string  `json:"name"` // "append p50"
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`        // "us" (µs), "ns", "ratio", "share", "bytes", "cores", "times", "tasks"
	N     int     `json:"n,omitempty"` // samples; 0 if the number was read, not estimated
}

// Check is the result of one check of [Inspect].
type Check struct {
	Name    string   `json:"name"`
	Mark    Mark     `json:"mark"`
	Finding string   `json:"finding"` // one sentence, figures included
	Figures []Figure `json:"figures,omitempty"`
	Do      string   `json:"do,omitempty"`   // remedy
	Bars    Advice   `json:"bars,omitempty"` // best advice that remains possible: [ProcessOnly], [NoTimings], or empty for any
}

// Inspection states whether a folder of a machine is suitable for measurements, and why.
type Inspection struct {
	Schema      int         `json:"schema"` // 1
	Dir         string      `json:"dir"`
	Started     time.Time   `json:"started"`
	Seconds     float64     `json:"seconds"`
	Environment Environment `json:"environment"`
	Checks      []Check     `json:"checks"`
	Advice      Advice      `json:"advice"`
	Reasons     []string    `json:"reasons"` // names of the checks that rule out better advice
}

// Inspect checks whether this machine and the folder dir are suitable for measurements, and times
// saves of backend in a database in dir. It takes a few seconds, in which other programs that run
// affect the result. It calls doing with the name of each check before the check starts. It
// writes to a new folder in dir and removes that folder. An error means that the checks could not
// be completed: dir is not writable, or ctx was cancelled.
func Inspect(ctx context.Context, dir string, backend corebench.Backend, doing func(check string)) (p *Inspection, err error) {
	where, err := filepath.Abs(dir)
	if err == nil {
		where, err = filepath.EvalSymlinks(where)
	}
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", dir, err)
	}
	scratch, err := os.MkdirTemp(where, "doctor-")
	if err != nil {
		return nil, fmt.Errorf("create a folder for the tests of the disk: %w: name a writable folder with --dir", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	p = &Inspection{Schema: 1, Dir: dir, Started: time.Now().UTC(), Environment: Describe(ctx, where)}
	if p.Checks, err = thisSite(where, scratch, backend).inspect(ctx, doing); err != nil {
		return nil, err
	}
	p.Advice, p.Reasons = advise(p.Checks)
	p.Seconds = time.Since(p.Started).Seconds()
	return p, nil
}

// advise returns the worst advice of the checks, and the names of the checks that gave it.
func advise(checks []Check) (Advice, []string) {
	advice, reasons := MeasureHere, []string{}
	for _, worse := range []Advice{ProcessOnly, NoTimings} {
		var names []string
		for _, c := range checks {
			if c.Bars == worse {
				names = append(names, c.Name)
			}
		}
		if names != nil {
			advice, reasons = worse, names
		}
	}
	return advice, reasons
}
