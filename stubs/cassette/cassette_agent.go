package cassette

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// Recorded is an agent that is recorded by a cassette, or replayed from it: then
// agent may be nil. The name tells agents apart that are called in the same step.
//
// The request is input and feedback. The output must survive JSON. Errors and panics
// are recorded as errors of the same text; the type is lost but for that of a timeout
// (context.DeadlineExceeded). Not recorded is what tells nothing of the agent: faults
// of the harness, cancelled calls, want of budget; nor what it spends.
func Recorded[In, Out any](c *Cassette, name string, agent core.Agent[In, Out]) core.Agent[In, Out] {
	return &recorded[In, Out]{c, name, agent}
}

type recorded[In, Out any] struct {
	tape  *Cassette
	name  string
	agent core.Agent[In, Out]
}

// Call implements core.Agent. Its own errors, wrapping core.ErrHarness, are
// [*MissError] and [*CassetteError]; in mode Verify, not wrapping it, [*MismatchError].
func (a *recorded[In, Out]) Call(ctx context.Context, req core.Request[In]) (out Out, err error) {
	input, err := json.Marshal(req.Input)
	switch {
	case err != nil:
		return out, a.tape.refuse(0, "agent %q, step %q: its input cannot be a key: %v", a.name, req.Path, err)
	case a.name == "":
		return out, a.tape.refuse(0, "step %q: the recorded agent has no name", req.Path)
	case a.agent == nil && a.tape.mode != Replay:
		return out, a.tape.refuse(0, "agent %q, step %q: no agent to %v", a.name, req.Path, a.tape.mode)
	}
	t, live, err := a.tape.take(ctx, interaction{Kind: agentKind, Name: a.name, Path: req.Path, Input: input, Feedback: req.Feedback}, req.Run)
	switch {
	case err != nil:
		return out, err
	case live:
		return a.record(ctx, req, t)
	case t.line == 0: // of another run
		if t.err != nil {
			return out, t.err
		}
		return out, decode(t.live, &out)
	case a.tape.mode == Verify:
		if err := a.verify(ctx, req, t); err != nil {
			return out, err
		}
	}
	if t.Error != nil {
		return out, t.Error.replayed()
	}
	if err := decode(t.Output, &out); err != nil {
		return out, a.tape.refuse(t.line, "the recorded output does not fit %T: %v: record it again", out, err)
	}
	return out, nil
}

func (a *recorded[In, Out]) record(ctx context.Context, req core.Request[In], t *track) (out Out, err error) {
	ended := false
	defer func() {
		if ended {
			return
		}
		if p := recover(); p != nil {
			a.tape.keep(t, nil, &core.PanicError{Value: p})
			panic(p)
		}
		a.tape.drop(t) // runtime.Goexit
	}()
	out, err = a.agent.Call(ctx, req)
	ended = true
	if err != nil {
		if unrecordable(ctx, err) {
			a.tape.drop(t)
		} else {
			a.tape.keep(t, nil, err)
		}
		return out, err
	}
	data, err := a.outputJSON(t, out)
	if err != nil {
		a.tape.drop(t)
		return out, err
	}
	a.tape.keep(t, data, nil)
	return out, nil
}

// outputJSON makes sure that what is written can be read again, before more is paid
// for that cannot be replayed.
func (a *recorded[In, Out]) outputJSON(t *track, out Out) ([]byte, error) {
	data, err := json.Marshal(out)
	var back Out
	if err == nil {
		err = decode(data, &back)
	}
	if err == nil {
		var again []byte
		if again, err = json.Marshal(back); err == nil && !bytes.Equal(data, again) {
			err = fmt.Errorf("it comes back from JSON as another value")
		}
	}
	if err != nil {
		return nil, a.tape.refuse(0, "%s: its output cannot be recorded: %v", t.what(), err)
	}
	answer := t.interaction
	answer.Output = data
	a.tape.redact(&answer)
	if err := decode(answer.Output, &back); err != nil {
		return nil, a.tape.refuse(0, "%s: its output does not fit %T once it is redacted: %v: give the field to KeepFields", t.what(), out, err)
	}
	return data, nil
}

func (a *recorded[In, Out]) verify(ctx context.Context, req core.Request[In], t *track) error {
	out, err := a.agent.Call(ctx, req)
	if err != nil {
		if unrecordable(ctx, err) {
			return err
		}
		return a.tape.compare(t, req.Run, nil, err)
	}
	data, err := json.Marshal(out)
	if err != nil {
		return a.tape.refuse(0, "%s: its output cannot be compared: %v", t.what(), err)
	}
	return a.tape.compare(t, req.Run, data, nil)
}

// decode is strict: a field that was renamed since the recording must not be lost.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// Scoped is [stubs.Scoped]: the transport of a cassette then counts requests for each run
// and step, as it does for recorded agents. Requests without a scope are counted together
// for the whole process.
func Scoped[In, Out any](agent core.Agent[In, Out]) core.Agent[In, Out] {
	return stubs.Scoped(agent)
}
