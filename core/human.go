package core

import (
	"context"
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// Human pauses the run until a person has answered. ask makes the prompt from the
// scope; write puts the answer into it. The pause is saved with a token. [Signal] gives
// the answer, in any process, at any later time. A run pauses when no other part of it
// can continue: parallel branches run to their end first.
func Human[S, A any](name string, ask func(S) string, write func(*S, A), opts ...HumanOption[A]) *Node[S] {
	b := &human[S, A]{ask: ask, write: write}
	b.codec, b.problem = codec.New[A]()
	for _, opt := range opts {
		opt(&b.opts)
	}
	if b.problem == nil && b.opts.after != 0 {
		b.late, b.problem = b.codec.Encode(&b.opts.fallback)
	}
	return &Node[S]{name, b}
}

// HumanOption configures a [Human] node.
type HumanOption[A any] func(*humanOptions[A])

type humanOptions[A any] struct {
	checks   []func(A) error
	whom     string
	after    time.Duration // 0: no deadline
	fallback A             // the answer after the deadline
}

// For names who is asked: a person, a role or a queue. It is stored with the question,
// see [Engine.Questions].
func For[A any](whom string) HumanOption[A] {
	return func(o *humanOptions[A]) { o.whom = whom }
}

// Deadline makes answer the answer if nobody gives one in time. The time starts with the
// question and continues while no process runs. It takes effect when the run is resumed
// after it, as [ResumeAll] does; until then a person can still answer.
func Deadline[A any](after time.Duration, answer A) HumanOption[A] {
	return func(o *humanOptions[A]) { o.after, o.fallback = after, answer }
}

// Accept rejects answers for which check returns an error, before they are recorded:
// the run stays paused and can be answered again.
func Accept[A any](check func(A) error) HumanOption[A] {
	return func(o *humanOptions[A]) { o.checks = append(o.checks, check) }
}

// Pause is a question that waits for an answer.
type Pause struct {
	Path   string
	Token  string // for [Signal]
	Prompt string
	For    string    // who is asked; empty: nobody in particular
	Due    time.Time // when it ends without an answer; zero: never
}

// paused adds a pause to those of the run.
func (r *run) paused(rec *StepRecord, prompt string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pauses = append(r.pauses, Pause{Path: rec.Path, Token: rec.Token, Prompt: prompt, For: rec.For, Due: rec.Due})
}

// accepter is a node that pauses. Both methods return the stored form of an answer.
type accepter interface {
	canonical(answer []byte) ([]byte, error) // checks the answer
	timeout() []byte                         // the answer if nobody gives one in time
}

// prompts encodes prompts. A string can be stored, so there is no error.
var prompts, _ = codec.New[string]()

type human[S, A any] struct {
	ask     func(S) string
	write   func(*S, A)
	opts    humanOptions[A]
	codec   *codec.Codec[A]
	late    []byte // stored form of the deadline's answer
	problem error  // of the codec, or of late
}

func (b *human[S, A]) place(p *planner, path string, often tally) error {
	p.mark("human", path)
	switch {
	case b.ask == nil:
		return p.bad(path, "no ask function: it makes the prompt")
	case b.write == nil:
		return p.bad(path, "no write function: it puts the answer into the scope")
	case b.problem != nil:
		return &PlanError{Pipeline: p.pipeline, Path: path, Problem: fmt.Sprintf("the answer cannot be used: %v", b.problem), Err: b.problem}
	}
	if b.opts.after < 0 {
		return p.bad(path, fmt.Sprintf("a deadline after %v: use more than 0", b.opts.after))
	}
	p.humans[path] = b
	p.fallible++ // its prompt
	return nil
}

func (b *human[S, A]) timeout() []byte { return b.late }

func (b *human[S, A]) canonical(answer []byte) ([]byte, error) {
	var a A
	if err := b.codec.Decode(answer, &a); err != nil {
		return nil, fmt.Errorf("it is not a %T: %w", a, err)
	}
	if name, found := b.codec.Doubled(answer); found {
		return nil, fmt.Errorf("it says %q twice, and could mean either", name)
	}
	for _, check := range b.opts.checks {
		if _, err := isolated(func() (struct{}, error) { return struct{}{}, check(a) }); err != nil {
			return nil, err
		}
	}
	return b.codec.Encode(&a)
}

func (b *human[S, A]) run(ctx context.Context, l *lane[S], path string) (failure, stop error) {
	rec, ok := l.recorded(path)
	if ok {
		return b.resume(l, rec)
	}
	// Before anything else: a prompt that fails has no record, also in a replay.
	prompt, err, stop := ask(l, func(s S) (string, error) { return b.ask(s), nil })
	switch {
	case stop != nil:
		return nil, stop
	case err != nil:
		return &NodeError{"human", path, err}, nil
	}
	rec = &StepRecord{Path: path, For: b.opts.whom}
	if rec.Output, err = prompts.Encode(&prompt); err != nil {
		return &NodeError{"human", path, fmt.Errorf("the prompt: %w", err)}, nil
	}
	return nil, l.pause(ctx, rec, prompt, b.opts.after)
}

// resume continues after the pause if there is an answer.
func (b *human[S, A]) resume(l *lane[S], rec *StepRecord) (failure, stop error) {
	answer, ok := l.run.answers[rec.Token]
	if !ok {
		var prompt string
		if err := prompts.Decode(rec.Output, &prompt); err != nil {
			return nil, fmt.Errorf("run %s: %w: prompt of step %q: %v", l.run.key, ErrCorrupt, rec.Path, err)
		}
		l.run.paused(rec, prompt)
		return nil, errPaused
	}
	var a A
	if err := b.codec.Decode(answer, &a); err != nil {
		return nil, fmt.Errorf("run %s: the recorded answer to %q does not fit %T: %w: resume with the program that recorded it", l.run.key, rec.Path, a, err)
	}
	if l.watched {
		l.sawOutput(answer)
	}
	return l.change("human", rec.Path, func(s *S) error {
		b.write(s, a)
		return nil
	})
}

// pause saves a new pause with the path, the addressee and the prompt of rec. It ends
// without an answer after the given time; 0: never.
func (l *lane[S]) pause(ctx context.Context, rec *StepRecord, prompt string, after time.Duration) (stop error) {
	r := l.run
	if stop := l.begin(ctx, rec.Path); stop != nil {
		return stop
	}
	if !r.saving() {
		return fmt.Errorf("run %s: step %q: %w: give it one: a pause lives in it", r.key, rec.Path, ErrNoBackend)
	}
	if stop := l.purse.take(Usage{Steps: 1}, rec.Path); stop != nil {
		return stop
	}
	rec.Status, rec.Token, rec.Started = Paused, r.engine.token(), r.engine.now()
	if after > 0 {
		rec.Due = rec.Started.Add(after)
	}
	if stop := r.save(ctx, rec); stop != nil {
		return stop
	}
	r.steps.Add(1)
	r.engine.stepped(ctx, r, rec)
	r.paused(rec, prompt)
	return errPaused
}
