package coretest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// queue returns the backend as a core.StepQueue, which accepts steps while earlier ones are being
// saved. It skips the test if the backend is none.
func queue(t testing.TB, b core.Backend) core.StepQueue {
	t.Helper()
	q, ok := b.(core.StepQueue)
	if !ok {
		t.Skip("the backend is not a core.StepQueue")
	}
	return q
}

func (s *suite) queues() {
	s.must("steps are saved in the order in which they were enqueued", func(t testing.TB) {
		b, lease := s.begin(t)
		check(t, "steps", inOrder(b, queue(t, b), lease), nil)
	})
	s.must("a step is not saved if one enqueued before it was not", func(t testing.TB) {
		b, lease := s.begin(t)
		check(t, "steps", noneAfterAGap(b, queue(t, b), lease), nil)
	})
	s.must("enqueued steps are fenced", func(t testing.TB) {
		b, lease := s.begin(t)
		check(t, "steps", queueFenced(b, queue(t, b), lease), nil)
	})
	s.must("enqueued steps of concurrent runs do not mix", func(t testing.TB) {
		b, _ := s.begin(t)
		q := queue(t, b)
		errs := racers(func(i int) error {
			lease, err := b.Start(ctx, startOf(core.RunKey{Run: fmt.Sprint("q", i)}))
			if err != nil {
				return err
			}
			return errors.Join(waitBackwards(q, lease, stepOf(1), stepOf(2), stepOf(3))...)
		})
		for i, err := range errs {
			check(t, "run", err, nil)
			if got := load(t, b, core.RunKey{Run: fmt.Sprint("q", i)}); len(got.Steps) != 3 {
				t.Errorf("run q%d: %d steps, want 3", i, len(got.Steps))
			}
		}
		if n, want := b.Counts().Saves, int64(1+rivals*4); n != want {
			t.Errorf("%d saves, want %d", n, want)
		}
	})
	s.must("a closed backend accepts no step", func(t testing.TB) {
		b, lease := s.begin(t)
		q := queue(t, b)
		check(t, "close", b.Close(), nil)
		check(t, "step", q.Enqueue(lease, new(stepOf(1))).Wait(), core.ErrClosed)
	})
	s.checkQueueDefects()
}

// checkQueueDefects checks that queues with one defect each are detected. They work on any backend.
func (s *suite) checkQueueDefects() {
	for _, what := range slices.Sorted(maps.Keys(queueDefects)) {
		spoil := queueDefects[what]
		s.must("control: a backend that "+what+" is detected", func(t testing.TB) {
			var found error
			for _, look := range []func(core.Backend, core.StepQueue, core.Lease) error{inOrder, noneAfterAGap, queueFenced} {
				b, lease := s.begin(t)
				found = errors.Join(found, look(b, spoil(b), lease))
			}
			if found == nil {
				t.Error("no check has found the defect")
			}
			t.Logf("found: %v", found)
		})
	}
	s.must("control: a queue without a defect passes", func(t testing.TB) {
		for _, look := range []func(core.Backend, core.StepQueue, core.Lease) error{inOrder, noneAfterAGap, queueFenced} {
			b, lease := s.begin(t)
			check(t, "check of a queue without a defect", look(b, &turns{b: b}, lease), nil)
		}
	})
}

// waitBackwards enqueues steps and starts waiting for them in reverse order.
func waitBackwards(q core.StepQueue, lease core.Lease, recs ...core.StepRecord) []error {
	errs := make([]error, len(recs))
	enqueued := make([]core.Enqueued, len(recs))
	for i := range recs {
		enqueued[i] = q.Enqueue(lease, &recs[i])
	}
	var waiting sync.WaitGroup
	for i := len(recs) - 1; i >= 0; i-- {
		waiting.Go(func() { errs[i] = enqueued[i].Wait() })
	}
	waiting.Wait()
	return errs
}

// holds returns an error unless the run has the given number of steps, numbered without a gap.
func holds(b core.Backend, steps int) error {
	snap, err := b.Load(ctx, key)
	if err != nil {
		return err
	}
	for i, rec := range snap.Steps {
		if want := stepOf(int64(i + 1)); rec.Seq != want.Seq || rec.Path != want.Path {
			return fmt.Errorf("record %d is %d, %s", i+1, rec.Seq, rec.Path)
		}
	}
	if len(snap.Steps) != steps {
		return fmt.Errorf("%d steps are saved, want %d", len(snap.Steps), steps)
	}
	return nil
}

func inOrder(b core.Backend, q core.StepQueue, lease core.Lease) error {
	const steps = 6
	var recs []core.StepRecord
	for seq := int64(1); seq <= steps; seq++ {
		recs = append(recs, stepOf(seq))
	}
	err := errors.Join(waitBackwards(q, lease, recs...)...)
	if err == nil {
		err = holds(b, steps)
	}
	if got, want := b.Counts().Saves, int64(steps+1); err == nil && got != want {
		err = fmt.Errorf("%d saves are counted, want %d", got, want)
	}
	return err
}

// noneAfterAGap leaves out step 2, so step 3 cannot be saved, nor 4 and 5 after it. A step of
// another run is not affected.
func noneAfterAGap(b core.Backend, q core.StepQueue, lease core.Lease) error {
	other, err := b.Start(ctx, startOf(core.RunKey{Run: "other"}))
	if err != nil {
		return err
	}
	// It is waited for concurrently, because saving it may fall to one of the other calls of Wait.
	first, beside := q.Enqueue(other, new(stepOf(1))), make(chan error, 1)
	go func() { beside <- first.Wait() }()
	errs := waitBackwards(q, lease, stepOf(1), stepOf(3), stepOf(4), stepOf(5))
	if err := errors.Join(errs[0], <-beside); err != nil {
		return err
	}
	for i, err := range errs[1:] {
		if err == nil {
			return fmt.Errorf("step %d is reported as saved, but the one before it is missing", i+3)
		}
	}
	if err := holds(b, 1); err != nil {
		return err
	}
	// If they are enqueued again without a gap, they are saved.
	if err := errors.Join(waitBackwards(q, lease, stepOf(2), stepOf(3), stepOf(4))...); err != nil {
		return err
	}
	return holds(b, 4)
}

func queueFenced(b core.Backend, q core.StepQueue, lease core.Lease) error {
	if err := q.Enqueue(lease, new(stepOf(1))).Wait(); err != nil {
		return err
	}
	now, _, err := b.Claim(ctx, key, 0)
	if err != nil {
		return err
	}
	for i, err := range waitBackwards(q, lease, stepOf(2), stepOf(3)) {
		if !errors.Is(err, core.ErrFenced) {
			return fmt.Errorf("step %d with a lost lease: error %w, want %w", i+2, err, core.ErrFenced)
		}
	}
	if err := holds(b, 1); err != nil {
		return err
	}
	if err := errors.Join(waitBackwards(q, now, stepOf(2), stepOf(3))...); err != nil {
		return err
	}
	return holds(b, 3)
}

// turns is a queue for a backend without one: each step is saved immediately when it is enqueued.
type turns struct {
	b core.Backend
}

func (q *turns) Enqueue(lease core.Lease, rec *core.StepRecord) core.Enqueued {
	return saved{q.b.Step(ctx, lease, *rec)}
}

type saved struct{ err error }

func (s saved) Wait() error { return s.err }

var queueDefects = map[string]func(core.Backend) core.StepQueue{
	"saves a step before one that was enqueued earlier": func(b core.Backend) core.StepQueue { return &swapping{turns{b}, nil} },
	"reports a step as saved that is not":               func(b core.Backend) core.StepQueue { return hopeful{b} },
	"does not fence enqueued steps":                     func(b core.Backend) core.StepQueue { return robbing{b} },
	"closes the gap that a failed step leaves":          func(b core.Backend) core.StepQueue { return &renumbering{b: b} },
	"refuses all steps after one that was not saved":    func(b core.Backend) core.StepQueue { return &resentful{turns{b}, nil} },
}

// lazyStep is saved when Wait is called.
type lazyStep struct {
	b     core.Backend
	lease core.Lease
	rec   *core.StepRecord
}

func (s lazyStep) Wait() error { return s.b.Step(ctx, s.lease, *s.rec) }

// swapping saves every second step before the one enqueued before it.
type swapping struct {
	turns
	held *heldStep
}

type heldStep struct {
	lazyStep
	once sync.Once
	err  error
}

func (s *heldStep) Wait() error {
	s.once.Do(func() { s.err = s.lazyStep.Wait() })
	return s.err
}

func (q *swapping) Enqueue(lease core.Lease, rec *core.StepRecord) core.Enqueued {
	if q.held == nil || q.held.lease != lease {
		q.held = &heldStep{lazyStep: lazyStep{q.b, lease, rec}}
		return q.held
	}
	now := q.turns.Enqueue(lease, rec)
	_ = q.held.Wait() // reported by its own Wait
	q.held = nil
	return now
}

// hopeful never reports an error.
type hopeful struct{ b core.Backend }

func (q hopeful) Enqueue(lease core.Lease, rec *core.StepRecord) core.Enqueued {
	_ = q.b.Step(ctx, lease, *rec) // the defect
	return saved{}
}

// robbing claims the run back if its lease was lost.
type robbing struct{ b core.Backend }

func (q robbing) Enqueue(lease core.Lease, rec *core.StepRecord) core.Enqueued {
	err := q.b.Step(ctx, lease, *rec)
	snap, loadErr := q.b.Load(ctx, key)
	if errors.Is(err, core.ErrFenced) && loadErr == nil && snap.Epoch != lease.Epoch && rec.Seq == int64(len(snap.Steps)+1) {
		if lease, _, err = q.b.Claim(ctx, key, 0); err == nil {
			err = q.b.Step(ctx, lease, *rec)
		}
	}
	return saved{err}
}

// renumbering gives each step the next free number.
type renumbering struct{ b core.Backend }

func (q *renumbering) Enqueue(lease core.Lease, rec *core.StepRecord) core.Enqueued {
	err := q.b.Step(ctx, lease, *rec)
	other := *rec
	for seq := rec.Seq - 1; seq > 0 && errors.Is(err, core.ErrFenced); seq-- {
		other.Seq = seq
		err = q.b.Step(ctx, lease, other)
	}
	return saved{err}
}

// resentful saves no more steps of a run after one of them has failed.
type resentful struct {
	turns
	failed error
}

func (q *resentful) Enqueue(lease core.Lease, rec *core.StepRecord) core.Enqueued {
	if q.failed != nil {
		return saved{q.failed}
	}
	s := q.turns.Enqueue(lease, rec)
	q.failed = s.Wait()
	return s
}
