package core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// SignalError is an answer that was not recorded. It wraps [ErrNoPause], [ErrAnswered],
// or an error that describes what is wrong with the answer.
type SignalError struct {
	Run   RunKey
	Path  string // of the pause; empty if no pause has the token
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

// Signal answers a pause and continues the run: it checks the answer, records it, and
// takes over the run unless an executor that is alive has it. Result.Next reports who
// continues: this call (Here), or another executor (Elsewhere, named by Result.Holder),
// which will use the answer. answer is the value that the [Human] node expects, or its
// JSON as [json.RawMessage]. Of several answers to one token the first is recorded, and
// the others get [ErrAnswered].
//
// If the error is a [*SignalError], the answer was not recorded. An answer is recorded
// only if the pipeline can continue from the records of the run with it.
func Signal[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, token string, answer any) (Result[S], error) {
	snap, err := recordAnswer(ctx, e, p, key, token, answer)
	if err != nil {
		return Result[S]{Status: Running, Next: Nobody}, err
	}
	if e.attended(&snap) {
		// Its executor uses the answer before it pauses, unless it has paused meanwhile.
		if snap, err = e.backend.Load(ctx, key); err != nil {
			return Result[S]{Status: Running, Next: Nobody}, fmt.Errorf("resume run %s after the answer was recorded: %w", key, err)
		}
		if e.attended(&snap) || snap.Status.Ended() {
			return Result[S]{Status: snap.Status, Next: Elsewhere, Holder: snap.Holder}, nil
		}
	}
	result, err := resumeFrom(ctx, e, p, snap, claimant{epoch: snap.Epoch, gentle: true, news: true})
	if errors.Is(err, errUnclaimed) && (errors.Is(err, ErrFenced) || errors.Is(err, ErrRunFinished)) {
		// Another executor has taken over the run meanwhile, with this answer, or finished it.
		result = Result[S]{Status: Running, Next: Elsewhere}
		if snap, loadErr := e.backend.Load(ctx, key); loadErr == nil {
			result.Holder = snap.Holder
		}
		return result, nil
	}
	return result, err
}

// Answer records the answer to a pause as [Signal] does, but does not continue the run,
// so that it returns soon, as the handler of a request needs it. The result reports who
// continues: an executor that has the run (Elsewhere), or nobody until [ResumeAll] or
// [Resume] takes it up (Nobody).
func Answer[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, token string, answer any) (Next, Holder, error) {
	snap, err := recordAnswer(ctx, e, p, key, token, answer)
	if err != nil {
		return Nobody, Holder{}, err
	}
	if e.attended(&snap) {
		if now, err := e.backend.Load(ctx, key); err == nil {
			snap = now // it may have paused meanwhile
		}
	}
	if e.attended(&snap) {
		return Elsewhere, snap.Holder, nil
	}
	return Nobody, snap.Holder, nil
}

// recordAnswer checks an answer and records it. The returned snapshot includes it.
func recordAnswer[S any](ctx context.Context, e *Engine, p *Pipeline[S], key RunKey, token string, answer any) (Snapshot, error) {
	path := ""
	fail := func(err error) (Snapshot, error) {
		return Snapshot{}, &SignalError{Run: key, Path: path, Token: token, Err: err}
	}
	snap, err := e.load(ctx, key)
	if err != nil {
		return fail(err)
	}
	for _, rec := range snap.Steps {
		if rec.Status == Paused && rec.Token == token && token != "" {
			path = rec.Path
		}
	}
	asked := p.plan.humans[PlanPath(path)]
	switch {
	case snap.Status.Ended():
		return fail(&finishedError{snap})
	case snap.Start.Pipeline != p.name:
		return fail(planChanged("answer", p.text, snap))
	case path == "":
		return fail(ErrNoPause)
	case snap.answers()[token] != nil:
		return fail(ErrAnswered)
	case asked == nil:
		return fail(planChanged("answer", p.text, snap))
	}
	raw, err := json.Marshal(answer)
	if err == nil {
		raw, err = asked.canonical(raw)
	}
	if err != nil {
		return fail(fmt.Errorf("refused: %w: answer again", err))
	}
	rec := AnswerRecord{Token: token, Answer: raw, Time: e.now()}
	snap.Answers = append(snap.Answers, rec)
	sortAnswers(snap.Answers)
	known, err := e.completed(ctx, snap)
	if err == nil {
		_, err = examine(ctx, p, known)
	}
	if err != nil {
		return fail(err)
	}
	err = e.backend.Signal(ctx, key, rec)
	if errors.Is(err, ErrInDoubt) {
		if now, loadErr := e.backend.Load(ctx, key); loadErr == nil && bytes.Equal(now.answers()[token], raw) {
			err = nil
		}
	}
	if errors.Is(err, ErrNoPause) {
		// The pause was there when the run was loaded, so the run has ended, probably after another answer.
		err = ErrRunFinished
		if snap, loadErr := e.backend.Load(ctx, key); loadErr == nil && snap.answers()[token] != nil {
			err = ErrAnswered
		}
	}
	if err != nil {
		return fail(err)
	}
	return snap, nil
}
