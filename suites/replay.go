package suites

import (
	"context"
	"errors"
	"fmt"

	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
)

// ReplayIdentically succeeds if the pipeline, given the recorded outputs and answers of a run,
// computes the recorded scope of each step and the recorded end. If the run was interrupted or has
// stopped, only its records are compared. It accepts a *Ran or a core.Snapshot. Records of another
// plan and a run without records are an error.
func ReplayIdentically[S any](p *core.Pipeline[S]) types.GomegaMatcher {
	m := &replays{replay: func(s core.Snapshot) (core.Status, error) {
		res, err := core.Replay(context.Background(), p, s)
		return res.Status, err
	}}
	m.runMatcher = runMatcher{"ReplayIdentically", "the saved records of a run: a *suites.Ran with a backend, or a core.Snapshot", "replay identically", m.identical}
	return m
}

type replays struct {
	runMatcher
	replay func(core.Snapshot) (core.Status, error)
	found  error // the first difference
}

func (m *replays) identical(f facts) (bool, error) {
	m.found = nil
	switch {
	case f.saved == nil:
		return false, fmt.Errorf("ReplayIdentically wants %s; this has no saved records", m.takes)
	case len(f.saved.Steps) == 0:
		return false, fmt.Errorf("ReplayIdentically: %s has no record to replay\n%s", f.what, f.table())
	}
	if err := f.valid(); err != nil {
		return false, err
	}
	status, err := m.replay(*f.saved)
	want := f.saved.Status
	partial := want == core.Running || want == core.Stopped
	switch {
	case errors.Is(err, core.ErrHarness) || errors.Is(err, core.ErrPlanChanged):
		return false, fmt.Errorf("INVALID: %s cannot be replayed by this pipeline: %w", f.what, err)
	case errors.As(err, new(*core.ReplayError)) || errors.Is(err, core.ErrDiverged):
		m.found = err
	case partial && (err == nil || errors.Is(err, core.ErrNotRecorded)):
	case status != want:
		m.found = fmt.Errorf("the run is %s, the replay is %s: %w", want, status, orNothing(err))
	case want != core.Failed && want != core.Stopped: // runs with these statuses end with an error
		m.found = err
	}
	return m.found == nil, nil
}

func orNothing(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// FailureMessage implements types.GomegaMatcher.
func (m *replays) FailureMessage(actual any) string {
	return fmt.Sprintf("%s\nthe difference: %v", m.runMatcher.FailureMessage(actual), m.found)
}
