package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// SignalError is an answer that was not taken. It wraps [ErrNoPause],
// [ErrAnswered], or says what is wrong with the answer.
type SignalError struct {
	Run   RunKey
	Path  string // of the pause; empty where the token belongs to none
	Token string
	Err   error
}

func (e *SignalError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("answer to run %s, token %q: %v", e.Run, e.Token, e.Err)
	}
	return fmt.Sprintf("answer to %q of run %s: %v", e.Path, e.Run, e.Err)
}

func (e *SignalError) Unwrap() error { return e.Err }

// Signal answers a pause: it checks the answer, records it, and resumes the run
// where it is paused. answer is the value that the [Human] node takes, or its JSON
// as [json.RawMessage]. Of several answers to one token the first is recorded, the
// others get [ErrAnswered]. Where an executor holds the run already, Signal leaves
// it to that one and returns a result with status [Running].
func Signal[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, token string, answer any) (Result[S], error) {
	result := Result[S]{Status: Running}
	fail := func(path string, err error) (Result[S], error) {
		return result, &SignalError{Run: key, Path: path, Token: token, Err: err}
	}
	if e.backend == nil {
		return fail("", ErrNoBackend)
	}
	snap, err := e.load(ctx, p.name, p.print, key)
	if err != nil {
		return fail("", err)
	}
	path := ""
	for _, rec := range snap.Steps {
		if rec.Status == Paused && rec.Token == token && token != "" {
			path = rec.Path
		}
	}
	asked := p.plan.humans[PlanPath(path)]
	switch {
	case asked == nil:
		return fail("", ErrNoPause)
	case snap.answers()[token] != nil:
		return fail(path, ErrAnswered)
	}
	raw, err := json.Marshal(answer)
	if err == nil {
		raw, err = asked.canonical(raw)
	}
	if err != nil {
		return fail(path, fmt.Errorf("refused: %w: answer again", err))
	}
	err = e.backend.Signal(ctx, key, AnswerRecord{Token: token, Answer: raw, Time: e.now()})
	if errors.Is(err, ErrNoPause) {
		// It was there a moment ago: the run has ended meanwhile, most often behind another answer.
		err = ErrRunFinished
		if snap, loadErr := e.backend.Load(ctx, key); loadErr == nil && snap.answers()[token] != nil {
			err = ErrAnswered
		}
	}
	if err != nil {
		return fail(path, err)
	}
	if snap, err = e.backend.Load(ctx, key); err != nil {
		return result, fmt.Errorf("resume run %s behind the recorded answer: %w", key, err)
	}
	if snap.Status != Paused {
		return result, nil
	}
	result, err = resume(ctx, e, p, key, snap.Epoch)
	if (errors.Is(err, ErrFenced) || errors.Is(err, ErrRunFinished)) && result.Steps == 0 && result.Status == Running {
		return result, nil // somebody else has taken the run up meanwhile, with this answer, or to its end
	}
	return result, err
}
