package cassette

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// Recorded returns an agent that is recorded by a cassette or replayed from it. In mode Replay,
// agent may be nil. The name distinguishes agents that are called in the same step.
//
// A request consists of input and feedback. The output must survive encoding to JSON and back.
// Errors and panics are recorded as errors of the same text; their type is lost except for
// timeouts (context.DeadlineExceeded). Errors that the agent did not cause are not recorded:
// faults of the harness, cancelled calls, an exhausted budget. Nor is what a call spends.
func Recorded[In, Out any](c *Cassette, name string, agent core.Agent[In, Out]) core.Agent[In, Out] {
	return &recorded[In, Out]{c, name, agent}
}

type recorded[In, Out any] struct {
	cassette *Cassette
	name     string
	agent    core.Agent[In, Out]
}

// Call implements core.Agent. Its own errors, wrapping core.ErrHarness, are
// [*MissError] and [*CassetteError]; in mode Verify, not wrapping it, [*MismatchError].
func (a *recorded[In, Out]) Call(ctx context.Context, req core.Request[In]) (out Out, err error) {
	input, err := json.Marshal(req.Input)
	switch {
	case err != nil:
		return out, a.cassette.refuse(0, "agent %q, step %q: its input cannot be encoded as JSON: %v", a.name, req.Path, err)
	case a.name == "":
		return out, a.cassette.refuse(0, "step %q: the recorded agent has no name", req.Path)
	case a.agent == nil && a.cassette.mode != Replay:
		return out, a.cassette.refuse(0, "agent %q, step %q: mode %v needs an agent, and it is nil", a.name, req.Path, a.cassette.mode)
	}
	t, live, err := a.cassette.take(ctx, interaction{Kind: agentKind, Name: a.name, Path: req.Path, Input: input, Feedback: req.Feedback}, req.Run)
	switch {
	case err != nil:
		return out, err
	case live:
		return a.record(ctx, req, t)
	case t.line == 0: // recorded by another run of this process
		if t.err != nil {
			return out, t.err
		}
		return out, decode(t.live, &out)
	case a.cassette.mode == Verify:
		if err := a.verify(ctx, req, t); err != nil {
			return out, err
		}
	}
	if t.Error != nil {
		return out, t.Error.replayed()
	}
	if err := decode(t.Output, &out); err != nil {
		return out, a.cassette.refuse(t.line, "the recorded output does not fit %T: %v: record it again", out, err)
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
			a.cassette.keep(t, nil, &core.PanicError{Value: p})
			panic(p)
		}
		a.cassette.drop(t) // runtime.Goexit
	}()
	out, err = a.agent.Call(ctx, req)
	ended = true
	if err != nil {
		if unrecordable(ctx, err) {
			a.cassette.drop(t)
		} else {
			a.cassette.keep(t, nil, err)
		}
		return out, err
	}
	data, err := a.outputJSON(t, out)
	if err != nil {
		a.cassette.drop(t)
		return out, err
	}
	a.cassette.keep(t, data, nil)
	return out, nil
}

// outputJSON encodes the output and checks that it can be decoded again, so that a recording that
// cannot be replayed fails at the first call and not after all of them were paid for.
func (a *recorded[In, Out]) outputJSON(t *track, out Out) ([]byte, error) {
	data, err := json.Marshal(out)
	var back Out
	if err == nil {
		err = decode(data, &back)
	}
	if err == nil {
		var again []byte
		if again, err = json.Marshal(back); err == nil && !bytes.Equal(data, again) {
			err = fmt.Errorf("decoding its JSON gives another value")
		}
	}
	if err != nil {
		return nil, a.cassette.refuse(0, "%s: its output cannot be recorded: %v", t.what(), err)
	}
	answer := t.interaction
	answer.Output = data
	a.cassette.redact(&answer)
	if err := decode(answer.Output, &back); err != nil {
		return nil, a.cassette.refuse(0, "%s: its redacted output does not fit %T: %v: name the field in KeepFields", t.what(), out, err)
	}
	return data, nil
}

func (a *recorded[In, Out]) verify(ctx context.Context, req core.Request[In], t *track) error {
	out, err := a.agent.Call(ctx, req)
	if err != nil {
		if unrecordable(ctx, err) {
			return err
		}
		return a.cassette.compare(t, req.Run, nil, err)
	}
	data, err := json.Marshal(out)
	if err != nil {
		return a.cassette.refuse(0, "%s: its output cannot be compared: %v", t.what(), err)
	}
	return a.cassette.compare(t, req.Run, data, nil)
}

// decode rejects unknown fields: the value of a field that was renamed since the recording would
// be lost silently.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// Scoped is [stubs.Scoped]: the transport of a cassette then counts requests separately for each
// run and step, as it does for recorded agents. Requests without a scope are counted together in
// the whole process.
func Scoped[In, Out any](agent core.Agent[In, Out]) core.Agent[In, Out] {
	return stubs.Scoped(agent)
}
