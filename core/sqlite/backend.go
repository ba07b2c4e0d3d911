// Package sqlite is the embedded backend of package core: one SQLite file,
// through modernc.org/sqlite, with a single writing connection.
//
// Every connection has its settings made and read back ([Durability] says what
// a save survives). Each save is one transaction, fenced by the run's epoch in
// the statement itself. Step records carry a checksum.
//
// Open a database once per process and share the [Backend]. Several processes may
// use one file. The file must be on a local file system: WAL does not work over
// a network.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	driversqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
)

//go:embed migrations/*.sql
var files embed.FS

// seqBits of a step's key hold its sequence number within the run.
const (
	seqBits = 20
	maxSeq  = 1<<seqBits - 1 // steps a run can have
)

// Backend is a [core.Backend] in a SQLite file. All methods may be called from
// several goroutines.
type Backend struct {
	path     string
	readers  *sql.DB
	maxBatch int // 1: no save shares a transaction

	mu    sync.Mutex // guards the queue
	queue []*save
	led   bool // somebody leads: commits, or has been chosen to
	batch []*save

	writing sync.Mutex // guards the writer and what it needs
	w       *writer
	args    []driver.NamedValue
	tape    *Tape
	pending taped

	closed                 atomic.Bool
	saves, claims, commits atomic.Int64
}

var _ core.Backend = (*Backend)(nil)

// prepare creates or migrates the database at path.
func prepare(ctx context.Context, path string, d Durability) (*connector, error) {
	c, err := newConnector(path, d)
	if err != nil {
		return nil, err
	}
	migrations, err := fs.Sub(files, "migrations")
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	err = Migrate(ctx, db, c.path, migrations)
	return c, errors.Join(err, db.Close())
}

// Open opens the database file at path and creates it when it is missing. Errors
// are those of the file system, settings that SQLite did not take, or [*ErrNewer].
func Open(ctx context.Context, path string, d Durability) (*Backend, error) {
	c, err := prepare(ctx, path, d)
	if err != nil {
		return nil, err
	}
	w, err := newWriter(ctx, c)
	if err != nil {
		return nil, err
	}
	b := &Backend{path: c.path, w: w, maxBatch: maxBatch, readers: sql.OpenDB(c)}
	b.readers.SetMaxOpenConns(4)
	return b, nil
}

// bind numbers arguments in the writer's own buffer, which is used again.
func (b *Backend) bind(values ...driver.Value) []driver.NamedValue {
	b.args = named(b.args[:0], values...)
	return b.args
}

// Start implements [core.Backend].
func (b *Backend) Start(ctx context.Context, rec core.StartRecord) (core.Lease, error) {
	var lease core.Lease
	err := b.write(ctx, &b.saves, func() error {
		args := b.bind(rec.Key.Tenant, rec.Key.Run, rec.Pipeline, int64(rec.Plan), int64(core.Running), rec.Time.UnixNano())
		b.note(stmtInsertRun, args)
		res, err := b.w.exec(stmtInsertRun, args)
		if err != nil {
			return err
		}
		id, err := res.LastInsertId()
		if err != nil {
			return err
		}
		lease = core.Lease{ID: id, Epoch: 1}
		return b.insertStep(lease, core.StepRecord{Status: core.Running, State: rec.State, Started: rec.Time, Ended: rec.Time})
	})
	if code(err) == lib.SQLITE_CONSTRAINT_UNIQUE {
		err = fmt.Errorf("run %s: %w", rec.Key, core.ErrRunExists)
	}
	if err != nil {
		return core.Lease{}, err
	}
	return lease, nil
}

// Step implements [core.Backend].
func (b *Backend) Step(ctx context.Context, lease core.Lease, rec core.StepRecord) error {
	if rec.Seq < 1 || rec.Seq > maxSeq {
		return fmt.Errorf("step record %d: a run holds at most %d", rec.Seq, maxSeq)
	}
	return b.write(ctx, &b.saves, func() error { return b.insertStep(lease, rec) })
}

func (b *Backend) insertStep(lease core.Lease, rec core.StepRecord) error {
	key := lease.ID<<seqBits | rec.Seq
	args := b.bind(key, rec.Path, int64(rec.Status), int64(rec.Attempts), blob(rec.Output), rec.Feedback, rec.Error,
		blob(rec.State), rec.Started.UnixNano(), rec.Ended.UnixNano(), sum(key, &rec), lease.ID, lease.Epoch, rec.Seq)
	b.note(stmtInsertStep, args)
	ok, err := b.w.affect(stmtInsertStep, args)
	if code(err) == lib.SQLITE_CONSTRAINT_PRIMARYKEY || err == nil && !ok {
		return fmt.Errorf("run number %d, epoch %d, step record %d: %w", lease.ID, lease.Epoch, rec.Seq, core.ErrFenced)
	}
	return err
}

// blob keeps nil apart from empty: the driver stores an empty slice as an empty blob.
func blob(p []byte) driver.Value {
	if p == nil {
		return nil
	}
	return p
}

// Finish implements [core.Backend].
func (b *Backend) Finish(ctx context.Context, lease core.Lease, rec core.FinishRecord) error {
	return b.write(ctx, &b.saves, func() error {
		args := b.bind(int64(rec.Status), rec.Error, rec.Time.UnixNano(), lease.ID, lease.Epoch)
		b.note(stmtFinish, args)
		ok, err := b.w.affect(stmtFinish, args)
		if err == nil && !ok {
			err = fmt.Errorf("run number %d, epoch %d: %w", lease.ID, lease.Epoch, core.ErrFenced)
		}
		return err
	})
}

// Claim implements [core.Backend].
func (b *Backend) Claim(ctx context.Context, key core.RunKey) (core.Lease, core.Snapshot, error) {
	snap, id, err := b.load(ctx, key)
	if err != nil {
		return core.Lease{}, core.Snapshot{}, err
	}
	if snap.Status != core.Running {
		return core.Lease{}, core.Snapshot{}, fmt.Errorf("run %s: %w: %v", key, core.ErrRunFinished, snap.Status)
	}
	lease := core.Lease{ID: id, Epoch: snap.Epoch + 1}
	err = b.write(ctx, &b.claims, func() error {
		args := b.bind(id, snap.Epoch)
		b.note(stmtClaim, args)
		ok, err := b.w.affect(stmtClaim, args)
		if err == nil && !ok {
			err = fmt.Errorf("run %s: %w", key, core.ErrFenced) // another claim, or the end, came between
		}
		return err
	})
	if err != nil {
		return core.Lease{}, core.Snapshot{}, err
	}
	// The holder before may have saved between the load and the claim; now it cannot.
	snap, _, err = b.load(ctx, key)
	return lease, snap, err
}

// Load implements [core.Backend].
func (b *Backend) Load(ctx context.Context, key core.RunKey) (core.Snapshot, error) {
	snap, _, err := b.load(ctx, key)
	return snap, err
}

func (b *Backend) load(ctx context.Context, key core.RunKey) (core.Snapshot, int64, error) {
	fail := func(err error) (core.Snapshot, int64, error) {
		if b.closed.Load() {
			err = core.ErrClosed
		}
		return core.Snapshot{}, 0, fmt.Errorf("load run %s: %w", key, err)
	}
	tx, err := b.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // one snapshot for both reads
	if err != nil {
		return fail(err)
	}
	defer tx.Rollback()

	var s core.Snapshot
	var id, plan, started, ended int64
	s.Start.Key = key
	err = tx.QueryRowContext(ctx, `SELECT id, pipeline, plan, epoch, status, error, started, ended
		FROM runs WHERE tenant = ? AND run = ?`, key.Tenant, key.Run).
		Scan(&id, &s.Start.Pipeline, &plan, &s.Epoch, &s.Status, &s.Error, &started, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return fail(core.ErrRunNotFound)
	}
	if err != nil {
		return fail(err)
	}
	s.Start.Plan, s.Start.Time = uint64(plan), instant(started)
	if ended != 0 {
		s.Ended = instant(ended)
	}
	rows, err := tx.QueryContext(ctx, `SELECT key, path, status, attempts, output, feedback, error, state, started, ended, sum
		FROM steps WHERE key BETWEEN ? AND ? ORDER BY key`, id<<seqBits, id<<seqBits|maxSeq)
	if err != nil {
		return fail(err)
	}
	defer rows.Close()
	for want := int64(0); rows.Next(); want++ {
		var r core.StepRecord
		var stepKey, began, finished, stored int64
		if err := rows.Scan(&stepKey, &r.Path, &r.Status, &r.Attempts, &r.Output, &r.Feedback, &r.Error, &r.State, &began, &finished, &stored); err != nil {
			return fail(err)
		}
		r.Seq, r.Started, r.Ended = stepKey&maxSeq, instant(began), instant(finished)
		if r.Seq != want {
			return fail(fmt.Errorf("%w: record %d is missing", core.ErrCorrupt, want))
		}
		if got := sum(stepKey, &r); got != stored {
			return fail(fmt.Errorf("%w: record %d has checksum %08x, stored with it is %08x", core.ErrCorrupt, r.Seq, got, stored))
		}
		if r.State != nil {
			s.State = r.State
		}
		if r.Seq == 0 {
			s.Start.State = r.State
		} else {
			s.Steps = append(s.Steps, r)
		}
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	if s.State == nil {
		return fail(fmt.Errorf("%w: no state is stored", core.ErrCorrupt))
	}
	return s, id, nil
}

func instant(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }

// Counts implements [core.Backend].
func (b *Backend) Counts() core.Counts {
	return core.Counts{Saves: b.saves.Load(), Claims: b.claims.Load(), Commits: b.commits.Load()}
}

// Close waits for a save under way and closes the file. Closing again does nothing.
func (b *Backend) Close() error {
	b.writing.Lock()
	defer b.writing.Unlock()
	if b.closed.Swap(true) {
		return nil
	}
	return errors.Join(b.readers.Close(), b.w.close())
}

// code is SQLite's extended result code, 0 where err is of another kind.
func code(err error) int {
	var e *driversqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}
