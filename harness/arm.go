package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/stubs"
)

// arm is one open variant within a block.
type arm struct {
	name     string
	ctx      context.Context // carries the scripts of the arm
	work     instance        // nil where no pipeline runs
	eng      *core.Engine
	back     corebench.Store // nil where nothing is saved
	fl       corebench.Floor // the floor; in the slow arm, the extra transactions
	place    string          // path of the database
	atOnce   int
	next     int              // number of the next run, which gives its key
	slow     float64          // an operation is slowed down by this share of its own time
	agents   time.Duration    // time that the agents of an operation take, which is not slowed down
	more     float64          // extra transactions of an operation in the slow arm
	owed     float64          // extra transactions that are still to be made
	stubs    *stubs.Rehearsal // set in ArmStubs only
	copies   bool             // operations only copy scopes
	premade  bool             // MutantEmptied: timed operations do nothing
	swallows bool             // MutantSurvivors: runs that fail are left out
}

// runKeys makes the keys of n runs, so that no timed operation has to.
func runKeys(n int) []core.RunKey {
	keys := make([]core.RunKey, n)
	for i := range keys {
		keys[i].Run = fmt.Sprintf("r%06d", i)
	}
	return keys
}

// once runs one operation of the arm.
func (a *arm) once(keys []core.RunKey, input int) error {
	mine := keys[a.next : a.next+a.atOnce]
	a.next += a.atOnce
	switch {
	case a.stubs != nil:
		for _, key := range mine {
			if err := a.stubs.Run(a.ctx, key); err != nil {
				return err
			}
		}
		return nil
	case a.copies:
		return a.work.copies(input)
	case a.work == nil:
		return a.fl.Next()
	case a.slow == 0 && a.more == 0:
		return a.work.once(a.ctx, a.eng, mine, input)
	}
	began := time.Now()
	err := a.work.once(a.ctx, a.eng, mine, input)
	if a.more > 0 {
		for a.owed += a.more; a.owed >= 1 && err == nil; a.owed-- {
			err = a.fl.Replay(1)
		}
		return err
	}
	took := time.Since(began)
	end := began.Add(took + time.Duration(float64(max(0, took-a.agents))*a.slow))
	for time.Now().Before(end) { // keeps the core busy, as a slower backend would
	}
	return err
}

// fail runs one operation in a context that is cancelled already, so that its runs fail.
func (a *arm) fail(keys []core.RunKey, input int) error {
	live := a.ctx
	ended, cancel := context.WithCancel(live)
	cancel()
	a.ctx = ended
	defer func() { a.ctx = live }()
	return a.once(keys, input)
}

// close closes and deletes the databases of the arm.
func (a *arm) close() error {
	var errs []error
	if a.back != nil {
		errs = append(errs, a.back.Discard())
		a.back = nil
	}
	if a.fl != nil {
		errs = append(errs, a.fl.Discard())
		a.fl = nil
	}
	return errors.Join(errs...)
}

// calls reports whether the named arm calls agents.
func calls(name string) bool { return name != ArmFloor && name != ArmCopies }

// saves reports whether the named arm saves to a database through the backend.
func saves(name string) bool {
	switch name {
	case ArmNone, ArmFloor, ArmStubs, ArmCopies, ArmEncoded:
		return false
	}
	return true
}

// opener opens the arms of the blocks of one session.
type opener struct {
	session  Session
	workload Workload
	expected expected
	backend  corebench.Backend
	level    corebench.Level     // the durability that is measured
	tape     corebench.Recording // the statements of one block's operations, which floors repeat
	recorder *corebench.Recorder // if not nil, receives the recorder of the backend arm
}

// book makes the scripts of one block, long enough for every arm that calls agents.
func (o *opener) book() (*stubs.Book, error) {
	p := o.session.Plan
	var loads []stubs.Load
	for _, name := range p.Arms() {
		if !calls(name) {
			continue
		}
		warmups := p.Warmups
		if name == ArmBackend && o.session.Mutant == MutantLong {
			warmups++
		}
		loads = append(loads, o.workload.load(name, warmups, p.Rounds, 1+p.Batch[name]))
	}
	book, err := stubs.Size(o.workload.plan, loads...)
	if err == nil && o.session.Mutant == MutantShort {
		// Leave one output less than the runs need, which takes the reserve for retries too.
		path, runs := o.workload.plan.Paths()[0], p.ops(ArmBackend)*o.workload.AtOnce
		err = book.Remove(ArmBackend, path, runs*(o.workload.plan.MaxCalls()[path]-1)+1)
	}
	return book, err
}

// open opens an arm with a new database of its own in dir.
func (o *opener) open(ctx context.Context, book *stubs.Book, name, dir string) (*arm, error) {
	s := o.session
	a := &arm{name: name, atOnce: o.workload.AtOnce, place: filepath.Join(dir, name+".db")}
	var err error
	if calls(name) {
		if a.ctx, err = book.In(ctx, name); err != nil {
			return nil, err
		}
	}
	switch name {
	case ArmFloor:
		a.fl, err = o.backend.OpenFloor(ctx, a.place, s.Durability, o.tape)
		return a, err
	case ArmStubs:
		a.stubs = o.expected.calls
		return a, nil
	}
	a.work, a.copies = o.workload.fresh(), name == ArmCopies
	var back core.Backend
	switch {
	case saves(name):
		if a.back, err = o.store(ctx, name, a.place); err != nil {
			return nil, fmt.Errorf("open arm %s: %w", name, err)
		}
		back = a.back
		if name == ArmBackend && s.Mutant == MutantNoSave {
			back = noSave{back}
		}
	case name == ArmEncoded:
		back = discard{}
	case name == ArmNone && o.workload.Pauses > 0:
		back = core.NewMemory() // a paused run must be kept somewhere until it is resumed
	}
	var opts []core.Option
	if back != nil {
		opts = append(opts, core.WithBackend(back))
	}
	if name == ArmTraced || name == ArmTotal {
		opts = append(opts, core.WithTracer(noop.NewTracerProvider().Tracer("")),
			core.WithLogger(slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	}
	a.eng = core.NewEngine(opts...)
	if name == ArmSlow && s.Mutant != MutantNoSlowdown || name == ArmTwin && s.Mutant == MutantUnequalAA {
		err = o.slowDown(ctx, a, dir)
	}
	if s.Slower > 0 && (name == ArmBackend || name == ArmTwin || name == ArmSlow) && o.tape != nil {
		a.slow = (1+a.slow)*(1+s.Slower) - 1
	}
	a.agents = time.Duration(o.expected.steps) * o.workload.Latency
	a.premade = name == ArmBackend && s.Mutant == MutantEmptied
	a.swallows = name == ArmBackend && s.Mutant == MutantSurvivors
	return a, err
}

// slowDown makes an arm slower by the plan's share. If saves do not wait for storage, the arm
// keeps the core busy for that share of its time. If they do, busy time would not slow the arm
// down, because the disk catches up in the meantime: there it makes that share of the floor's
// transactions in addition, in a database of its own.
func (o *opener) slowDown(ctx context.Context, a *arm, dir string) (err error) {
	s := o.session
	if !o.level.Waits {
		a.slow = s.Plan.SlowBy
		return nil
	}
	a.more = s.Plan.SlowBy * float64(o.tape.Len()) / float64(s.Plan.ops(ArmBackend))
	a.fl, err = o.backend.OpenFloor(ctx, filepath.Join(dir, a.name+"-more.db"), s.Durability, o.tape)
	return err
}

// store opens the database of an arm.
func (o *opener) store(ctx context.Context, name, place string) (corebench.Store, error) {
	d := durabilityOf(name, o.session.Durability)
	if name == ArmBackend && o.session.Mutant == MutantUnsynced {
		d = corebench.Unsynced
	}
	if name == ArmBackend && o.recorder != nil {
		r, err := o.backend.OpenRecorder(ctx, place, d)
		*o.recorder = r
		return r, err
	}
	return o.backend.Open(ctx, place, d)
}

// durabilityOf returns the durability of an arm. Arms that only an attribution has are named
// for theirs.
func durabilityOf(arm, measured string) string {
	switch arm {
	case ArmBackend, ArmTwin, ArmSlow, ArmFloor, ArmTraced, ArmTotal:
		return measured
	}
	return arm
}

// record runs one block's operations on a recording backend, untimed, and keeps the recording
// in o.tape: every floor arm of the session repeats it.
func (o *opener) record(ctx context.Context, dir string, keys []core.RunKey) error {
	p := o.session.Plan
	ops := 0
	for _, name := range []string{ArmFloor, ArmBackend, ArmSlow} {
		ops = max(ops, p.ops(name))
	}
	book, err := stubs.Size(o.workload.plan, o.workload.load(ArmBackend, ops, 0, 0))
	if err != nil {
		return err
	}
	var recorder corebench.Recorder
	recording := *o
	recording.recorder = &recorder
	a, err := recording.open(ctx, book, ArmBackend, dir)
	if err != nil {
		return err
	}
	for i := range ops {
		if err := a.once(keys, o.inputOf(i)); err != nil {
			return errors.Join(fmt.Errorf("record the floor: %w", err), a.close())
		}
		recorder.Mark()
	}
	saved := a.back.Counts().Saves
	tape, err := recorder.Recording()
	if err := errors.Join(err, a.close()); err != nil {
		return err
	}
	if want := int64(ops * o.expected.saves); saved != want || !o.workload.sharing() && tape.Len() < int(want) {
		return &auditError{Finding{Check: checkSaves, Detail: fmt.Sprintf(
			"arm %s committed %d saves in %d transactions while the floor was recorded, want %d: %d runs of %d steps make N+2 each",
			ArmBackend, saved, tape.Len(), want, ops*o.expected.runs, o.expected.steps/o.expected.runs)}}
	}
	o.tape = tape
	return nil
}

// inputOf returns the input of the i-th operation of an arm with the backend's batch: the
// number of its round, 0 for warm-ups.
func (o *opener) inputOf(i int) int {
	p := o.session.Plan
	if i < p.Warmups {
		return 0
	}
	return (i - p.Warmups) / (1 + p.Batch[ArmBackend])
}

// noSave is a backend that drops the saves of steps, as a test mode would that switches
// persistence off.
type noSave struct{ core.Backend }

func (noSave) Step(context.Context, core.Lease, core.StepRecord) error { return nil }

// discard is a backend that keeps nothing. With it, the engine still encodes scopes and
// outputs: ArmEncoded measures that.
type discard struct{ core.Backend }

func (discard) Start(context.Context, core.StartRecord) (core.Lease, error) {
	return core.Lease{ID: 1, Epoch: 1}, nil
}
func (discard) Step(context.Context, core.Lease, core.StepRecord) error     { return nil }
func (discard) Finish(context.Context, core.Lease, core.FinishRecord) error { return nil }
func (discard) Renew(context.Context, core.Holder, []core.Lease) ([]core.Lease, error) {
	return nil, nil
}
