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

// Mark is what a check came to.
type Mark string

// The marks. A fact that cannot be had is unknown, never ok.
const (
	MarkOK      Mark = "ok"
	MarkNote    Mark = "note" // worth knowing
	MarkWarn    Mark = "warn" // makes figures worse, or doubtful
	MarkBad     Mark = "bad"
	MarkUnknown Mark = "unknown"
)

// Advice is what a place is good for.
type Advice string

// The advice, from the best place to the worst.
const (
	MeasureHere Advice = "measure here"
	ProcessOnly Advice = "measure here at process only" // durability "power" cannot be believed
	NoTimings   Advice = "do not gate on timings here"
)

// Figure is a number of a check.
type Figure struct {
	Name  string  `json:"name"` // "append p50"
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`        // "us", "ratio", "share", "bytes"
	N     int     `json:"n,omitempty"` // of samples; 0 where the number was read and not estimated
}

// Check is one thing that was looked at.
type Check struct {
	Name    string   `json:"name"`
	Mark    Mark     `json:"mark"`
	Finding string   `json:"finding"` // in words, its figures with them
	Figures []Figure `json:"figures,omitempty"`
	Do      string   `json:"do,omitempty"`   // what to do about it
	Bars    Advice   `json:"bars,omitempty"` // the advice that it leaves at best: [ProcessOnly] or [NoTimings]
}

// Place is whether a folder of a machine is one to measure in, and why.
type Place struct {
	Schema      int         `json:"schema"` // 1
	Dir         string      `json:"dir"`
	Started     time.Time   `json:"started"`
	Seconds     float64     `json:"seconds"`
	Environment Environment `json:"environment"`
	Checks      []Check     `json:"checks"`
	Advice      Advice      `json:"advice"`
	Reasons     []string    `json:"reasons"` // names of the checks that leave no better advice
}

// Inspect looks at this machine, and at the folder dir, as a place to measure in. It
// takes a few seconds and wants the machine for itself: what else runs is part of what it
// finds. backend is the one whose saves are timed, in a file of dir. doing is called with the name of each check before it is made. It writes to a new folder
// in dir, which is gone when it returns. An error means that it could not find out: dir
// cannot be written to, or ctx was cancelled.
func Inspect(ctx context.Context, dir string, backend corebench.Backend, doing func(check string)) (p *Place, err error) {
	where, err := filepath.Abs(dir)
	if err == nil {
		where, err = filepath.EvalSymlinks(where)
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", dir, err)
	}
	scratch, err := os.MkdirTemp(where, "doctor-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to try the disk in: %w: name one that can be written to", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	p = &Place{Schema: 1, Dir: dir, Started: time.Now().UTC(), Environment: Describe(ctx, where)}
	if p.Checks, err = thisSite(where, scratch, backend).inspect(ctx, doing); err != nil {
		return nil, err
	}
	p.Advice, p.Reasons = advise(p.Checks)
	p.Seconds = time.Since(p.Started).Seconds()
	return p, nil
}

// advise is the worst that the checks leave, and which of them do.
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
