package harness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/stubs"
)

// Mutant is a lie told on purpose, to show that the audit or the self-check
// notices it. The zero value is none.
type Mutant string

// The mutants, by what they break.
const (
	MutantNone       Mutant = ""
	MutantUnequalAA  Mutant = "unequal-aa"  // the twin of the A/A pair is slowed down too
	MutantNoSlowdown Mutant = "no-slowdown" // the injected slow-down is not injected
	MutantNoSave     Mutant = "no-save"     // step saves of the backend arm are dropped
	MutantShort      Mutant = "short"       // one output is missing in a script of the backend arm
	MutantLeftover   Mutant = "leftover"    // one planned run of the backend arm is not made
	MutantSkip       Mutant = "skip-step"   // the backend arm gets other work than the rest
	MutantDrop       Mutant = "drop-sample" // one slot is left out of the samples
)

// Mutants lists them all.
func Mutants() []Mutant {
	return []Mutant{MutantUnequalAA, MutantNoSlowdown, MutantNoSave, MutantShort, MutantLeftover, MutantSkip, MutantDrop}
}

// arm is one open variant within a block.
type arm struct {
	name string
	ctx  context.Context // with the scripts of the arm
	work instance        // nil for the floor
	eng  *core.Engine
	back *sqlite.Backend // nil where nothing is saved
	fl   *sqlite.Floor   // only of the floor
	path string          // of the database
	next int             // number of the next run: its key
	slow float64         // share of its own time that a run is slowed down by
	txs  int             // transactions of a run, for the floor
}

// runKeys are made before anything is timed.
func runKeys(n int) []core.RunKey {
	keys := make([]core.RunKey, n)
	for i := range keys {
		keys[i].Run = fmt.Sprintf("r%06d", i)
	}
	return keys
}

// run makes one run of the arm.
func (a *arm) run(keys []core.RunKey, input int) error {
	key := keys[a.next]
	a.next++
	if a.fl != nil {
		return a.fl.Replay(a.txs)
	}
	if a.slow == 0 {
		return a.work.run(a.ctx, a.eng, key, input)
	}
	began := time.Now()
	err := a.work.run(a.ctx, a.eng, key, input)
	end := began.Add(time.Duration(float64(time.Since(began)) * (1 + a.slow)))
	for time.Now().Before(end) { // busy, as a slower backend would be
	}
	return err
}

func (a *arm) close() error {
	var errs []error
	if a.back != nil {
		errs = append(errs, a.back.Close())
		a.back = nil
	}
	if a.fl != nil {
		errs = append(errs, a.fl.Close())
		a.fl = nil
	}
	return errors.Join(errs...)
}

// opener opens the arms of the blocks of one session.
type opener struct {
	workload   Workload
	durability sqlite.Durability
	plan       Plan
	mutant     Mutant
	tape       *sqlite.Tape // of one block's runs, recorded from the backend
}

// armNames in the order in which blocks open them.
var armNames = []string{ArmNone, ArmBackend, ArmFloor, ArmTwin, ArmSlow}

// book sizes the scripts of one block for every arm that calls agents.
func (o *opener) book() (*stubs.Book, error) {
	var loads []stubs.Load
	for _, name := range armNames {
		if name != ArmFloor {
			loads = append(loads, o.plan.load(name))
		}
	}
	book, err := stubs.Size(o.workload.plan, loads...)
	if err == nil && o.mutant == MutantShort {
		// Down to one output less than the runs need, the reserve for retries included.
		path, load := o.workload.plan.Paths()[0], o.plan.load(ArmBackend)
		err = book.Remove(ArmBackend, path, load.Runs()*(o.workload.plan.MaxCalls()[path]-1)+1)
	}
	return book, err
}

// open opens an arm afresh, in a database of its own below dir.
func (o *opener) open(ctx context.Context, book *stubs.Book, name, dir string) (*arm, error) {
	a := &arm{name: name, path: filepath.Join(dir, name+".db"), txs: o.workload.steps + 2}
	if name == ArmFloor {
		var err error
		a.fl, err = sqlite.OpenFloor(ctx, a.path, o.durability, o.tape)
		return a, err
	}
	var err error
	if a.ctx, err = book.In(ctx, name); err != nil {
		return nil, err
	}
	a.work = o.workload.instance()
	var opts []core.Option
	if name != ArmNone {
		if a.back, err = sqlite.Open(ctx, a.path, o.durability); err != nil {
			return nil, fmt.Errorf("open arm %s: %w", name, err)
		}
		var b core.Backend = a.back
		if name == ArmBackend && o.mutant == MutantNoSave {
			b = noSave{b}
		}
		opts = append(opts, core.WithBackend(b))
	}
	if name == ArmSlow && o.mutant != MutantNoSlowdown || name == ArmTwin && o.mutant == MutantUnequalAA {
		a.slow = o.plan.SlowBy
	}
	a.eng = core.NewEngine(opts...)
	return a, nil
}

// record makes one block's worth of runs on a recording backend: the tape that
// every floor arm of the session replays. Nothing of it is timed.
func (o *opener) record(ctx context.Context, dir string, keys []core.RunKey) error {
	load := o.plan.load(ArmBackend)
	book, err := stubs.Size(o.workload.plan, load)
	if err != nil {
		return err
	}
	a, err := o.open(ctx, book, ArmBackend, dir)
	if err != nil {
		return err
	}
	tape := a.back.Record()
	for i := range load.Runs() {
		if err := a.run(keys, o.inputOf(i)); err != nil {
			return errors.Join(fmt.Errorf("record the floor: %w", err), a.close())
		}
	}
	if err := a.close(); err != nil {
		return err
	}
	if want := load.Runs() * a.txs; tape.Len() != want {
		return &auditError{Finding{Check: checkSaves, Detail: fmt.Sprintf(
			"arm %s committed %d transactions while the floor was recorded, want %d: %d runs of %d steps make N+2 each",
			ArmBackend, tape.Len(), want, load.Runs(), o.workload.steps)}}
	}
	o.tape = tape
	return nil
}

// inputOf the i-th run of an arm with the backend's batch: its round, 0 for warm-ups.
func (o *opener) inputOf(i int) int {
	if i < o.plan.Warmups {
		return 0
	}
	return (i - o.plan.Warmups) / (1 + o.plan.Batch)
}

// noSave is a backend that drops step saves: the persistence that the seed's
// project switched off under test.
type noSave struct{ core.Backend }

func (noSave) Step(context.Context, core.Lease, core.StepRecord) error { return nil }
