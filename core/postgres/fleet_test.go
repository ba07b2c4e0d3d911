package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// fleet is a set of workers that execute runs. Every fifth run is taken over by another worker
// while the first one continues to save.
type fleet struct {
	backends []*Backend
	workers  int
	runs     int

	next  atomic.Int64
	taken atomic.Int64 // runs that another worker has claimed
	late  atomic.Int64 // saves that were refused afterwards
	acks  []atomic.Int32
	mu    sync.Mutex
	errs  []error
}

func newFleet(backends []*Backend, workers, runs int) *fleet {
	return &fleet{backends: backends, workers: workers, runs: runs, acks: make([]atomic.Int32, runs*stepsOfRun)}
}

func fleetRun(i int) string { return fmt.Sprintf("fleet-%07d", i) }

func (f *fleet) fail(i int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) < 10 {
		f.errs = append(f.errs, fmt.Errorf("run %s: %w", fleetRun(i), err))
	}
}

// holder returns a worker with a sufficiently long lease.
func holder(g int) core.Holder {
	return core.Holder{Executor: fmt.Sprintf("worker-%04d", g), Until: time.Now().Add(time.Hour)}
}

// steps saves the records from seq on and then the end, until a save is refused.
func (f *fleet) steps(b *Backend, i int, lease core.Lease, seq int64) error {
	for ; seq <= stepsOfRun; seq++ {
		if err := b.Step(bg, lease, stepOf(seq)); err != nil {
			return err
		}
		f.acks[i*stepsOfRun+int(seq)-1].Add(1)
	}
	return b.Finish(bg, lease, core.FinishRecord{Status: core.Completed, Time: at(9)})
}

// one executes a run.
func (f *fleet) one(g, i int) {
	mine := f.backends[g%len(f.backends)]
	rec := startOf(fleetRun(i))
	rec.Holder = holder(g)
	lease, err := mine.Start(bg, rec)
	if err != nil {
		f.fail(i, err)
		return
	}
	if i%5 != 0 {
		if err := f.steps(mine, i, lease, 1); err != nil {
			f.fail(i, err)
		}
		return
	}
	// The rival is another worker on another connection. It acts as if the first one were dead.
	var old sync.WaitGroup
	old.Go(func() {
		switch err := f.steps(mine, i, lease, 1); {
		case errors.Is(err, core.ErrFenced):
			f.late.Add(1)
		case err != nil:
			f.fail(i, err)
		}
	})
	defer old.Wait()
	rival := f.backends[(g+1)%len(f.backends)]
	for range rand.IntN(3) { // at a random moment of the run
		if _, err := rival.Load(bg, rec.Key); err != nil {
			f.fail(i, err)
			return
		}
	}
	known, err := rival.Load(bg, rec.Key)
	if err != nil {
		f.fail(i, err)
		return
	}
	claimed, snap, err := rival.Acquire(bg, known, holder((g+1)%f.workers))
	if errors.Is(err, core.ErrRunFinished) {
		return // the first worker was faster
	}
	if err != nil {
		f.fail(i, err)
		return
	}
	f.taken.Add(1)
	// The rival continues after all saved records, including those not yet acknowledged to the
	// first worker.
	if err := f.steps(rival, i, claimed, int64(len(snap.Steps))+1); err != nil {
		f.fail(i, err)
	}
}

func (f *fleet) work() {
	var wg sync.WaitGroup
	for g := range f.workers {
		wg.Go(func() {
			for i := f.next.Add(1) - 1; i < int64(f.runs); i = f.next.Add(1) - 1 {
				f.one(g, int(i))
			}
		})
	}
	wg.Wait()
}

// check returns the problems: each record of each run must be saved once and acknowledged once.
func (f *fleet) check(b *Backend) (problems []error) {
	problems = append(problems, f.errs...)
	missing, twice := 0, 0
	for i := range f.acks {
		switch f.acks[i].Load() {
		case 0:
			missing++
		case 1:
		default:
			twice++
		}
	}
	if missing+twice > 0 {
		problems = append(problems, fmt.Errorf("%d records were acknowledged to no worker, %d to two workers", missing, twice))
	}
	var runs, records int
	err := b.read(bg, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, qualify(`SELECT (SELECT count(*) FROM @.runs WHERE status = 2), (SELECT count(*) FROM @.steps WHERE seq > 0)`, b.server.quoted())).Scan(&runs, &records)
	})
	if err != nil || runs != f.runs || records != f.runs*stepsOfRun {
		problems = append(problems, fmt.Errorf("%d runs are completed with %d records, want %d with %d (error %v)", runs, records, f.runs, f.runs*stepsOfRun, err))
	}
	for i := 0; i < f.runs; i += max(1, f.runs/1000) { // verifies checksums and the order
		snap, err := b.Load(bg, keyed(fleetRun(i)))
		if err != nil || len(snap.Steps) != stepsOfRun {
			problems = append(problems, fmt.Errorf("run %s has %d records: %w", fleetRun(i), len(snap.Steps), err))
		}
	}
	return problems
}

// Many workers execute runs, and one run in five is taken over by another worker while its first
// one is still saving. Each record is saved once. The long form has 1,000 workers and 100,000 runs.
func TestFleet(t *testing.T) {
	pgserver.Need(t)
	runs := trials(400)
	open := func(t *testing.T) (all []*Backend) {
		s := pgserver.For(t, pgserver.Options{Settings: map[string]string{"max_connections": "100", "shared_buffers": "128MB", "max_wal_size": "4GB"}})
		for range 4 { // simulates four processes
			all = append(all, mustOpenAt(t, s.DSN("postgres"), Server))
		}
		for _, b := range all {
			b.patience = 10 * time.Minute // because so many wait for each other
		}
		return all
	}
	f := newFleet(open(t), min(1000, max(50, runs/10)), runs)
	began := time.Now()
	f.work()
	took := time.Since(began)
	for _, problem := range f.check(f.backends[0]) {
		t.Error(problem)
	}
	if f.taken.Load() == 0 || f.late.Load() == 0 {
		t.Errorf("%d runs were taken over, %d workers were refused: want at least one of each", f.taken.Load(), f.late.Load())
	}
	t.Logf("%d workers, %d runs, %d taken over, %d workers refused after that: %d records, each acknowledged once (%.0f saves/s)",
		f.workers, f.runs, f.taken.Load(), f.late.Load(), f.runs*stepsOfRun, float64(f.runs*(stepsOfRun+2))/took.Seconds())

	t.Run("control: a fence without the nonce is detected", func(t *testing.T) {
		all := open(t)
		for _, b := range all {
			for _, text := range []*string{&b.sql.step, &b.sql.finish, &b.sql.finishState} {
				*text = strings.ReplaceAll(*text, "AND nonce = $2::bigint", "AND $2::bigint <> 0")
			}
		}
		f := newFleet(all, 50, 200)
		f.work()
		problems := f.check(all[0])
		if len(problems) == 0 {
			t.Error("nothing was noticed")
		} else {
			t.Logf("noticed: %v", problems[0])
		}
	})
}
