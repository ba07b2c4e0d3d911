package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"github.com/flujo/flujo-harness/harness/instructions"
	"github.com/flujo/flujo-harness/harness/machine"
)

// Subject is one variant of some work. [Compare] compares variants.
type Subject struct {
	Name string
	// Open prepares the work. It is called for each block, because everything that it opens
	// has a bias of its own. op does the work once, for the i-th time since Open, and is
	// timed; an error ends the comparison. close may be nil; it undoes what Open did.
	Open func(ctx context.Context) (op func(i int) error, close func() error, err error)
	// Digest, which may be nil, returns a hash of the result of the last operation. It must
	// be the same for all subjects of a comparison.
	Digest func() uint64
}

// Func returns a subject that needs no preparation.
func Func(name string, op func() error) Subject {
	return Subject{Name: name, Open: func(context.Context) (func(int) error, func() error, error) {
		return func(int) error { return op() }, nil, nil
	}}
}

// ComparePlan says how subjects are compared. Zero values stand for the defaults.
type ComparePlan struct {
	Name     string        // name of the comparison, unique in the program
	Sessions int           // maximum number of sessions; default 24
	Blocks   int           // per session; default 8
	Rounds   int           // per block; default 20
	SlowBy   float64       // share by which a copy of each later subject is slowed down for the self-check; default 0.25
	Seed     uint64        // random seed of the order in the rounds
	Budget   time.Duration // no session begins after this time; 0: no limit

	// Exec is a command that runs this program again so that it reaches the same call of
	// Compare, such as [TestProcess]. Every session then runs in a process of its own, as it
	// should. If Exec is empty, all sessions run in this process, and a note says so.
	Exec []string
	// Enough is called after each session from the second on, and ends the comparison by
	// returning true. If it judges, its rule must stay valid under repeated looks, as those of
	// package thresholds do. If Enough is nil, all sessions are run.
	//
	// With Exec, the instructions of an operation are counted if two sessions were not enough
	// and perf or valgrind is installed: a busy machine changes times, but hardly instructions.
	// Without these programs a note of the difference says how to get one.
	Enough func([]*Difference) bool
	// TimeOnly turns the counting of instructions off.
	TimeOnly bool

	now  func() time.Time                                  // for tests
	find func(context.Context) (*instructions.Tool, error) // for tests
}

// ErrOtherComparison is the error of Compare in a process that was started for a session of a
// comparison with another name. The caller should ignore it and go on.
var ErrOtherComparison = errors.New("this process is there for a session of another comparison")

// ErrBadComparison is the error for an invalid plan or subject.
var ErrBadComparison = errors.New("bad comparison")

const (
	twinSuffix = " (twin)"
	slowSuffix = " (slowed)"
)

// Compare measures subjects that do the same work, in turns and in random order. It returns a
// difference from the first subject for each other one. Failures of a subject are recorded in
// the differences; an error means that nothing could be measured. If ctx is cancelled, Compare
// returns what was measured, marked incomplete.
func Compare(ctx context.Context, plan ComparePlan, subjects ...Subject) ([]*Difference, error) {
	if err := plan.fill(subjects); err != nil {
		return nil, err
	}
	if text := os.Getenv(childVariable); text != "" {
		return nil, plan.serve(ctx, text, subjects)
	}
	began := time.Now()
	var all []*Difference
	for _, s := range subjects[1:] {
		d := &Difference{Schema: 1, Name: plan.Name, Base: subjects[0].Name, Head: s.Name, Started: began.UTC(), Seed: plan.Seed, Environment: machine.Describe(ctx, os.TempDir())}
		if len(plan.Exec) == 0 {
			d.Notes = append(d.Notes, "all sessions ran in one process, whose own bias is in the result: give Exec")
		}
		all = append(all, d)
	}
	batch, dead, err := plan.fit(ctx, subjects)
	if err != nil {
		return nil, err
	}
	if dead != "" {
		return plan.end(all, began, false, Finding{Check: checkWork, Detail: fmt.Sprintf("below the floor: subject %q takes no longer than a function that does nothing: the compiler may have removed its body", dead)}), nil
	}
	complete := true
	var counts *subjectCounts
	work := Finding{checkWork, true, "each subject made the same on the last operation of every slot"}
	for _, s := range subjects {
		if s.Digest == nil {
			work.Detail = "not checked: not every subject has a digest"
		}
	}
	for n := 1; n <= plan.Sessions; n++ {
		if n > 2 && plan.Budget > 0 && time.Since(began) > plan.Budget {
			break
		}
		order := compareOrder{Name: plan.Name, Number: n, Seed: plan.Seed, Batch: batch}
		res, err := plan.session(ctx, order, subjects)
		if ctx.Err() != nil {
			complete = false
			break
		}
		if err != nil {
			return nil, fmt.Errorf("compare %q: session %d: %w", plan.Name, n, err)
		}
		if res.Problem == "" && res.Calls != res.Planned {
			res.Problem = fmt.Sprintf("%d operations made, %d planned", res.Calls, res.Planned)
		}
		if res.Problem != "" {
			return plan.end(all, began, false, Finding{Check: checkSession, Detail: fmt.Sprintf("session %d: %s", n, res.Problem)}), nil
		}
		for _, d := range all {
			if err := d.add(n, res.Slots); err != nil {
				return plan.end(all, began, false, Finding{Check: checkSamples, Detail: err.Error()}), nil
			}
			d.Audit = []Finding{work, {checkRuns, true, "as many operations were made as planned"}}
		}
		if n == 1 {
			continue
		}
		if plan.Enough != nil && plan.Enough(all) {
			break
		}
		if counts == nil {
			counts = plan.counts(ctx, all)
		}
		if counts.more(ctx, plan.Enough != nil) && plan.Enough != nil && plan.Enough(all) {
			break
		}
	}
	if ctx.Err() != nil {
		complete = false
	}
	return plan.end(all, began, complete), nil
}

// fill sets the defaults and checks the plan and the subjects.
func (p *ComparePlan) fill(subjects []Subject) error {
	for _, f := range []struct {
		n *int
		d int
	}{{&p.Sessions, 24}, {&p.Blocks, 8}, {&p.Rounds, 20}} {
		if *f.n == 0 {
			*f.n = f.d
		}
	}
	if p.SlowBy == 0 {
		p.SlowBy = 0.25
	}
	if p.now == nil {
		p.now = time.Now
	}
	if p.find == nil {
		p.find = instructions.Find
	}
	seen := map[string]bool{}
	for _, s := range subjects {
		switch {
		case s.Name == "" || s.Open == nil:
			return fmt.Errorf("%w %q: subject %q needs a name and a function that opens it", ErrBadComparison, p.Name, s.Name)
		case seen[s.Name]:
			return fmt.Errorf("%w %q: subject %q is given twice", ErrBadComparison, p.Name, s.Name)
		}
		seen[s.Name], seen[s.Name+twinSuffix], seen[s.Name+slowSuffix] = true, true, true // its copies' names too
	}
	switch {
	case p.Name == "":
		return fmt.Errorf("%w: it has no name", ErrBadComparison)
	case len(subjects) < 2:
		return fmt.Errorf("%w %q: it needs at least 2 subjects, not %d", ErrBadComparison, p.Name, len(subjects))
	case p.Sessions < 2 || p.Blocks < 1 || p.Rounds < 1:
		return fmt.Errorf("%w %q: at least 2 sessions and 1 of everything else", ErrBadComparison, p.Name)
	case !(p.SlowBy > 0 && p.SlowBy <= 10):
		return fmt.Errorf("%w %q: a slow-down of %v: use a share above 0, up to 10", ErrBadComparison, p.Name, p.SlowBy)
	}
	return nil
}

// end adds findings to the differences and completes them.
func (p ComparePlan) end(all []*Difference, began time.Time, complete bool, findings ...Finding) []*Difference {
	for _, d := range all {
		d.Audit = append(d.Audit, findings...)
		for _, f := range findings {
			if !f.OK {
				d.Problem = f.Check + ": " + f.Detail
			}
		}
		d.Complete, d.Seconds = complete && d.Problem == "", time.Since(began).Seconds()
	}
	return all
}

// runner is one open subject within a block.
type runner struct {
	name   string
	op     func(int) error
	close  func() error
	digest func() uint64
	slow   float64
	calls  int
}

// many runs n operations. A slowed subject is slowed down after all of them, because a single
// operation may be shorter than a tick of the clock.
func (r *runner) many(n int, now func() time.Time) error {
	began := now()
	for range n {
		i := r.calls
		r.calls++
		if err := r.op(i); err != nil {
			return err
		}
	}
	if r.slow > 0 {
		end := began.Add(time.Duration(float64(now().Sub(began)) * (1 + r.slow)))
		for now().Before(end) { // keeps the core busy, as slower work would
		}
	}
	return nil
}

// open opens every subject, the twin of the first, and slowed copies of the others.
func (p ComparePlan) open(ctx context.Context, subjects []Subject) (all []*runner, err error) {
	one := func(s Subject, suffix string, slow float64) error {
		op, closing, err := s.Open(ctx)
		if err != nil {
			return fmt.Errorf("open subject %q: %w", s.Name+suffix, err)
		}
		all = append(all, &runner{name: s.Name + suffix, op: op, close: closing, digest: s.Digest, slow: slow})
		return nil
	}
	for i, s := range subjects {
		err = errors.Join(err, one(s, "", 0))
		if i == 0 {
			err = errors.Join(err, one(s, twinSuffix, 0))
		} else {
			err = errors.Join(err, one(s, slowSuffix, p.SlowBy))
		}
	}
	if err != nil {
		return nil, errors.Join(err, closeAll(all))
	}
	return all, nil
}

func closeAll(all []*runner) (err error) {
	for _, r := range all {
		if r.close != nil {
			err = errors.Join(err, r.close())
		}
	}
	return err
}

// fit chooses the number of operations of a slot. dead is the name of a subject that does
// nothing, if there is one.
func (p ComparePlan) fit(ctx context.Context, subjects []Subject) (batch map[string]int, dead string, err error) {
	all, err := p.open(ctx, subjects)
	if err != nil {
		return nil, "", fmt.Errorf("compare %q: %w", p.Name, err)
	}
	defer func() { err = errors.Join(err, closeAll(all)) }()
	quickest := func(r *runner, most int) (n int, ns float64, err error) {
		for n = 1; ; n *= 2 {
			least := time.Duration(math.MaxInt64)
			for range 3 {
				began := p.now()
				if err := r.many(n, p.now); err != nil {
					return 0, 0, fmt.Errorf("compare %q: subject %q: %w", p.Name, r.name, err)
				}
				least = min(least, p.now().Sub(began))
			}
			if least >= machine.GoodSlot || n >= most {
				return n, float64(least) / float64(n), nil
			}
		}
	}
	empty := &runner{name: "nothing", op: func(int) error { return nothingAtAll() }}
	_, nothing, err := quickest(empty, 1<<18)
	if err != nil {
		return nil, "", err
	}
	batch = map[string]int{}
	for _, r := range all {
		n, ns, err := quickest(r, 1<<26)
		if err != nil {
			return nil, "", err
		}
		batch[r.name] = n
		// If the two are close, something else may have disturbed one of them: measure both again.
		for try := 0; try < 10 && ns >= 1.2*nothing && ns < 4*nothing && r.slow == 0; try++ {
			_, a, err := quickest(r, 1<<18)
			_, b, none := quickest(empty, 1<<18)
			if err := errors.Join(err, none); err != nil {
				return nil, "", err
			}
			ns, nothing = min(ns, a), min(nothing, b)
		}
		if ns < 1.2*nothing && r.slow == 0 && dead == "" {
			dead = r.name
		}
	}
	// All slots have as many operations as those of the first subject, so that their work is equal.
	for name := range batch {
		batch[name] = batch[subjects[0].Name]
	}
	return batch, dead, nil
}

// nothingAtAll does what remains of a subject if the compiler has removed its body.
var nothingAtAll = func() error { return nil }

// run runs a session in this process.
func (p ComparePlan) run(ctx context.Context, order compareOrder, subjects []Subject) (res compareSession, err error) {
	rng := rand.New(rand.NewPCG(order.Seed, uint64(order.Number)))
	for b := range p.Blocks {
		all, err := p.open(ctx, subjects)
		if err != nil {
			return res, err
		}
		slots, problem := p.block(ctx, all, order.Batch, rng)
		for _, r := range all {
			res.Calls += r.calls
			res.Planned += p.Rounds * (1 + order.Batch[r.name])
		}
		if err := closeAll(all); err != nil {
			return res, fmt.Errorf("block %d: close: %w", b+1, err)
		}
		if problem != nil {
			if ctx.Err() != nil {
				return res, problem
			}
			res.Problem = fmt.Sprintf("block %d: %v", b+1, problem)
			return res, nil
		}
		res.Slots = append(res.Slots, slots)
	}
	return res, nil
}

// block runs the rounds of one block.
func (p ComparePlan) block(ctx context.Context, all []*runner, batch map[string]int, rng *rand.Rand) (map[string][]float64, error) {
	slots := map[string][]float64{}
	runtime.GC()
	for round := range p.Rounds {
		var digest *uint64
		for _, i := range rng.Perm(len(all)) {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			r, n := all[i], batch[all[i].name]
			err := r.many(1, p.now) // not timed: refills the caches after another subject
			began := p.now()
			if err == nil {
				err = r.many(n, p.now)
			}
			took := p.now().Sub(began)
			if err != nil {
				return nil, fmt.Errorf("round %d: subject %q: %w", round+1, r.name, err)
			}
			slots[r.name] = append(slots[r.name], float64(took)/float64(n))
			if r.digest == nil {
				continue
			}
			if d := r.digest(); digest == nil {
				digest = &d
			} else if *digest != d {
				return nil, fmt.Errorf("round %d: subject %q made something else than the others", round+1, r.name)
			}
		}
	}
	return slots, nil
}
