package core

import (
	"context"
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// Human pauses the run until a person has answered. ask makes the prompt of the
// scope; write puts the answer into it. The pause is saved with a token; [Signal]
// gives the answer, in any process, at any later time. A run pauses once nothing
// else of it can go on: branches beside this one run to their end first.
func Human[S, A any](name string, ask func(S) string, write func(*S, A), opts ...HumanOption[A]) *Node[S] {
	b := &human[S, A]{ask: ask, write: write}
	if b.codec, b.problem = codec.New[A](); b.problem == nil {
		b.prompt, b.problem = codec.New[string]()
	}
	for _, opt := range opts {
		opt(&b.opts)
	}
	if b.problem == nil && b.opts.after != 0 {
		b.late, b.problem = b.codec.Encode(&b.opts.fallback)
	}
	return &Node[S]{name, b}
}

// HumanOption changes which answers are taken.
type HumanOption[A any] func(*humanOptions[A])

type humanOptions[A any] struct {
	checks   []func(A) error
	whom     string
	after    time.Duration // 0: it waits for ever
	fallback A             // the answer then
}

// For says who is asked: a person, a role or a queue. It is kept with the question: see
// [Questions].
func For[A any](whom string) HumanOption[A] {
	return func(o *humanOptions[A]) { o.whom = whom }
}

// Deadline takes answer for the answer once nobody has given one for so long. The time
// is counted from the question and goes on while no process runs; it is up when
// somebody resumes the run after it, as [ResumeAll] does by itself. A person who answers
// before that is not too late.
func Deadline[A any](after time.Duration, answer A) HumanOption[A] {
	return func(o *humanOptions[A]) { o.after, o.fallback = after, answer }
}

// Accept refuses the answers for which check returns an error, before they are
// recorded: the run stays paused and can be answered again.
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

// paused enters a pause into the run.
func (r *run) paused(rec *StepRecord, prompt string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pauses = append(r.pauses, Pause{Path: rec.Path, Token: rec.Token, Prompt: prompt, For: rec.For, Due: rec.Due})
}

// accepter is a node that takes answers.
type accepter interface {
	// canonical checks an answer and returns it as it is stored.
	canonical(answer []byte) ([]byte, error)
	// timeout is the answer, as it is stored, of a pause that nobody has answered in time.
	timeout() []byte
}

type human[S, A any] struct {
	ask     func(S) string
	write   func(*S, A)
	opts    humanOptions[A]
	codec   *codec.Codec[A]
	prompt  *codec.Codec[string]
	late    []byte // the answer of the deadline, as it is stored
	problem error  // of the codecs
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
		l.purse.spent(rec.used())
		return b.resume(l, rec)
	}
	if stop := l.fresh(); stop != nil {
		return nil, stop
	}
	// Before anything else: a prompt that fails has no record, also in a replay.
	prompt, err := ask(l, func(s S) (string, error) { return b.ask(s), nil })
	if err != nil {
		return &NodeError{"human", path, err}, nil
	}
	rec = &StepRecord{Path: path, For: b.opts.whom}
	if rec.Output, err = b.prompt.Encode(&prompt); err != nil {
		return &NodeError{"human", path, fmt.Errorf("the prompt: %w", err)}, nil
	}
	return nil, l.pause(ctx, rec, prompt, b.opts.after)
}

// resume goes on behind the pause where the answer is there.
func (b *human[S, A]) resume(l *lane[S], rec *StepRecord) (failure, stop error) {
	answer, ok := l.run.answers[rec.Token]
	if !ok {
		var prompt string
		if err := b.prompt.Decode(rec.Output, &prompt); err != nil {
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

// pause saves a new pause of path, for, and prompt as rec has them, that ends by itself after
// the given time; 0: never.
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
