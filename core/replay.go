package core

import (
	"bytes"
	"context"
	"fmt"
)

// ReplayError is the first step whose recorded output, written by the given pipeline,
// makes another scope than the recorded one, or a run that ends with another scope.
type ReplayError struct {
	Path      string // empty for the end of the run
	Want, Got []byte // the scopes, as JSON
}

func (e *ReplayError) Error() string {
	what := "the run ends with"
	if e.Path != "" {
		what = fmt.Sprintf("step %q makes", e.Path)
	}
	return fmt.Sprintf("replay: %s another scope than the recorded one:\n  recorded %.400s\n  replayed %.400s", what, e.Want, e.Got)
}

// Replay runs a recorded run again with the recorded outputs and answers. No agent is
// called and nothing is saved. It checks that a changed pipeline still makes the same
// scopes ([*ReplayError], [ErrDiverged], [ErrNotRecorded]), and reproduces a run for a
// debugger. A failed run fails with the recorded text; if it no longer fails, the error
// is nil, so compare the status with the recorded one.
func Replay[S any](ctx context.Context, p *Pipeline[S], snap Snapshot) (Result[S], error) {
	if snap.Start.Plan != p.print {
		return Result[S]{Status: Running}, planChanged("replay", p.text, snap)
	}
	l := loaded(NewEngine(), p, Lease{}, snap)
	l.run.verify = func(rec *StepRecord, want, got []byte) error {
		if want != nil && !bytes.Equal(want, got) {
			return &ReplayError{Path: rec.Path, Want: want, Got: got}
		}
		return nil
	}
	result, err := execute(ctx, p, l)
	if !snap.Status.Ended() || result.Status != snap.Status {
		return result, err
	}
	state, encodeErr := p.codec.Encode(&result.Scope)
	if encodeErr != nil {
		return result, fmt.Errorf("replay run %s: %w", snap.Start.Key, encodeErr)
	}
	if !bytes.Equal(state, snap.State) {
		return result, &ReplayError{Want: snap.State, Got: state}
	}
	return result, err
}
