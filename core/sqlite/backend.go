// Package sqlite is the embedded backend of package core: one SQLite file,
// through modernc.org/sqlite, with a single writing connection.
//
// Every connection has its settings made and read back ([Durability] says what
// a save survives). Each save is made in one transaction, which saves of runs at
// once may share, and is fenced by the run's epoch in the statement itself. Runs, step
// records and answers carry checksums.
//
// Open a database once per process and share the [Backend]. Several processes may
// use one file. The file must be on a local file system: WAL does not work over
// a network, and a database there is refused where that can be found out.
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

	// Of who leads, and of nobody else.
	batch   []*save
	company int           // saves that the last transaction had and left waiting, at most maxBatch
	lasted  time.Duration // the last transaction with company

	writing sync.Mutex // guards the writer and what it needs
	w       *writer
	args    []driver.NamedValue
	buf     []byte // for checksums
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
	if err := refuseNetwork(c.path, filesystem); err != nil {
		return nil, err
	}
	migrations, err := fs.Sub(files, "migrations")
	if err != nil {
		return nil, err
	}
	if place(ctx, c.path, d, migrations) {
		return c, nil
	}
	db := sql.OpenDB(c)
	err = Migrate(ctx, db, c.path, migrations)
	return c, errors.Join(err, db.Close())
}

// Open opens the database file at path and creates it when it is missing. Errors
// are those of the file system, settings that SQLite did not take, or [*ErrNewer].
func Open(ctx context.Context, path string, d Durability) (*Backend, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	return open(ctx, path, d, "")
}

// OpenUnsynced opens a database whose saves are left to the operating system
// (synchronous=OFF): they survive nothing but the ordinary end of the process. It is
// there to find out what the rest of a save costs, and for nothing else.
func OpenUnsynced(ctx context.Context, path string) (*Backend, error) {
	return open(ctx, path, unsynced, "")
}

// open opens the database by way of the named VFS, or the system's own.
func open(ctx context.Context, path string, d Durability, vfs string) (*Backend, error) {
	c, err := prepare(ctx, path, d)
	if err != nil {
		return nil, advised(err)
	}
	c.vfs = vfs
	w, err := newWriter(ctx, c)
	if err != nil {
		return nil, advised(err)
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
		var born, now int64
		b.buf, born = sumStart(b.buf, rec)
		b.buf, now = sumNow(b.buf, 1, core.Running, "", 0, nil)
		args := b.bind(rec.Key.Tenant, rec.Key.Run, rec.Pipeline, int64(rec.Plan), int64(core.Running), rec.Time.UnixNano(), born|now)
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
		if err := b.insertStep(lease, core.StepRecord{Status: core.Running, State: rec.State, Started: rec.Time, Ended: rec.Time}); err != nil {
			return halfDone{err}
		}
		return nil
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
	if err := checkSeq(rec.Seq); err != nil {
		return err
	}
	return b.write(ctx, &b.saves, func() error { return b.insertStep(lease, rec) })
}

// checkSeq keeps a record within the keys of its run.
func checkSeq(seq int64) error {
	if seq < 1 || seq > maxSeq {
		return fmt.Errorf("step record %d: a run holds at most %d", seq, maxSeq)
	}
	return nil
}

func (b *Backend) insertStep(lease core.Lease, rec core.StepRecord) error {
	key := lease.ID<<seqBits | rec.Seq
	var boxed driver.Value = key // once
	args := b.bind(boxed, rec.Path, lease.ID, lease.Epoch, rec.Seq, boxed, int64(rec.Status), int64(rec.Attempts), blob(rec.Output), rec.Feedback,
		rec.Error, blob(rec.State), rec.Started.UnixNano(), rec.Ended.UnixNano(), sum(key, &rec),
		rec.Token, rec.Usage.Calls, rec.Usage.Tokens, rec.Usage.Cost)
	b.note(stmtInsertStep, args)
	_, err := b.w.exec(stmtInsertStep, args)
	if c := code(err); c == lib.SQLITE_CONSTRAINT_NOTNULL || c == lib.SQLITE_CONSTRAINT_PRIMARYKEY {
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
	if rec.State != nil {
		if err := checkSeq(rec.Seq); err != nil {
			return err
		}
	}
	err := b.write(ctx, &b.saves, func() error {
		if rec.State != nil {
			// A record without a path: the run is still running here, so the fence holds for it too.
			end := core.StepRecord{Seq: rec.Seq, Status: rec.Status, State: rec.State, Started: rec.Time, Ended: rec.Time}
			if err := b.insertStep(lease, end); err != nil {
				return err
			}
		}
		var now int64
		b.buf, now = sumNow(b.buf, lease.Epoch, rec.Status, rec.Error, rec.Time.UnixNano(), rec.Exits)
		args := b.bind(int64(rec.Status), rec.Error, rec.Time.UnixNano(), blob(rec.Exits), now, lease.ID, lease.Epoch, rec.Status != core.Paused, int64(rec.Answers))
		b.note(stmtFinish, args)
		ok, err := b.w.affect(stmtFinish, args)
		if err == nil && !ok {
			err = fmt.Errorf("run number %d, epoch %d: %w", lease.ID, lease.Epoch, core.ErrFenced)
		}
		if err != nil && rec.State != nil {
			err = halfDone{err}
		}
		return err
	})
	if rec.Status == core.Paused && errors.Is(err, core.ErrFenced) && b.answered(ctx, lease, rec.Answers) {
		err = fmt.Errorf("run number %d: %w", lease.ID, core.ErrSignalled)
	}
	return err
}

// answered tells a pause that was refused for its answers from one that was fenced.
func (b *Backend) answered(ctx context.Context, lease core.Lease, known int) bool {
	var n int
	err := b.readers.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM answers WHERE run = runs.id) FROM runs WHERE id = ? AND epoch = ? AND status = 1`,
		lease.ID, lease.Epoch).Scan(&n)
	return err == nil && n != known
}

// Claim implements [core.Backend].
func (b *Backend) Claim(ctx context.Context, key core.RunKey, epoch int64) (core.Lease, core.Snapshot, error) {
	run, err := b.load(ctx, key)
	if err != nil {
		return core.Lease{}, core.Snapshot{}, err
	}
	if run.Status == core.Completed || run.Status == core.Failed {
		return core.Lease{}, core.Snapshot{}, fmt.Errorf("run %s: %w: %v", key, core.ErrRunFinished, run.Status)
	}
	if epoch != 0 && epoch != run.Epoch {
		return core.Lease{}, core.Snapshot{}, fmt.Errorf("run %s: epoch %d, now %d: %w", key, epoch, run.Epoch, core.ErrFenced)
	}
	lease, claimed := core.Lease{ID: run.id, Epoch: run.Epoch + 1}, core.Snapshot{}
	err = b.write(ctx, &b.claims, func() error {
		now := run
		ok, err := b.claim(now, false)
		if err == nil && !ok {
			// The holder before may have saved since. It is read within the transaction: an error
			// behind the commit would be one of a claim that was made.
			if now, err = read(context.Background(), b.w.reads, key); err == nil && now.Epoch == run.Epoch {
				ok, err = b.claim(now, true)
			}
		}
		claimed = now.Snapshot
		if err == nil && !ok {
			err = fmt.Errorf("run %s: %w", key, core.ErrFenced) // another claim, or the end, came between
		}
		return err
	})
	if err != nil {
		return core.Lease{}, core.Snapshot{}, err
	}
	claimed.Status, claimed.Error, claimed.Epoch, claimed.Ended = core.Running, "", lease.Epoch, time.Time{}
	return lease, claimed, nil
}

// claim makes the run the claimer's, where what it has read of it is all that is saved;
// sure is that nobody else can have saved.
func (b *Backend) claim(run stored, sure bool) (bool, error) {
	var now int64
	b.buf, now = sumNow(b.buf, run.Epoch+1, core.Running, "", 0, run.Exits)
	args := b.bind(now, run.id, run.Epoch, sure, run.sum, int64(len(run.Answers)), run.next)
	ok, err := b.w.affect(stmtClaim, args)
	if ok {
		b.note(stmtClaim, args)
	}
	return ok, err
}

// Signal implements [core.Backend].
func (b *Backend) Signal(ctx context.Context, key core.RunKey, rec core.AnswerRecord) error {
	run, err := b.load(ctx, key)
	if err != nil {
		return err
	}
	id := run.id
	err = b.write(ctx, &b.saves, func() error {
		args := b.bind(rec.Token, blob(rec.Answer), rec.Time.UnixNano(), sumAnswer(id, &rec), id, id<<seqBits, id<<seqBits|maxSeq, rec.Token)
		b.note(stmtAnswer, args)
		ok, err := b.w.affect(stmtAnswer, args)
		if err == nil && !ok {
			err = fmt.Errorf("run %s: %w", key, core.ErrNoPause)
		}
		return err
	})
	if code(err) == lib.SQLITE_CONSTRAINT_PRIMARYKEY {
		err = fmt.Errorf("run %s: %w", key, core.ErrAnswered)
	}
	return err
}

// Load implements [core.Backend].
func (b *Backend) Load(ctx context.Context, key core.RunKey) (core.Snapshot, error) {
	run, err := b.load(ctx, key)
	return run.Snapshot, err
}

// stored is a run as it lies in the database.
type stored struct {
	core.Snapshot
	id   int64
	sum  any   // of its row; nil in one of an older version
	next int64 // key of the record behind its last
}

func (b *Backend) load(ctx context.Context, key core.RunKey) (run stored, err error) {
	defer func() {
		if err != nil && b.closed.Load() {
			err = core.ErrClosed
		}
		if err != nil {
			err = fmt.Errorf("load run %s: %w", key, b.trouble(err))
		}
	}()
	tx, err := b.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // one snapshot for all that is read
	if err != nil {
		return run, err
	}
	defer tx.Rollback()
	return read(ctx, tx, key)
}

// queries is a transaction, or a connection within one.
type queries interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// read returns a run, its checksums looked at.
func read(ctx context.Context, tx queries, key core.RunKey) (stored, error) {
	fail := func(err error) (stored, error) { return stored{}, err }
	var s stored
	var plan, started, ended int64
	var behind sql.NullInt64 // key of the next run's first record
	s.Start.Key = key
	err := tx.QueryRowContext(ctx, `SELECT (SELECT min(key) FROM steps WHERE key > id << 20 | 1048575),
		id, pipeline, plan, epoch, status, error, started, ended, exits, sum FROM runs WHERE tenant = ? AND run = ?`, key.Tenant, key.Run).
		Scan(&behind, &s.id, &s.Start.Pipeline, &plan, &s.Epoch, &s.Status, &s.Error, &started, &ended, &s.Exits, &s.sum)
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
	buf, born := sumStart(nil, s.Start)
	_, now := sumNow(buf, s.Epoch, s.Status, s.Error, ended, s.Exits)
	if was, ok := s.sum.(int64); ok && was != born|now {
		return fail(fmt.Errorf("%w: the run has checksum %016x, stored with it is %016x", core.ErrCorrupt, uint64(born|now), uint64(was)))
	}
	if behind.Int64&maxSeq != 0 {
		return fail(fmt.Errorf("%w: behind the run lies record %d of no run, which may be its last", core.ErrCorrupt, behind.Int64))
	}
	rows, err := tx.QueryContext(ctx, `SELECT key, path, status, attempts, output, feedback, error, state, started, ended, sum, token, calls, tokens, cost
		FROM steps WHERE key BETWEEN ? AND ? ORDER BY key`, s.id<<seqBits, s.id<<seqBits|maxSeq)
	if err != nil {
		return fail(err)
	}
	defer rows.Close()
	s.next = s.id << seqBits
	for want := int64(0); rows.Next(); want++ {
		var r core.StepRecord
		var stepKey, began, finished, stored int64
		if err := rows.Scan(&stepKey, &r.Path, &r.Status, &r.Attempts, &r.Output, &r.Feedback, &r.Error, &r.State, &began, &finished, &stored,
			&r.Token, &r.Usage.Calls, &r.Usage.Tokens, &r.Usage.Cost); err != nil {
			return fail(err)
		}
		r.Seq, r.Started, r.Ended = stepKey&maxSeq, instant(began), instant(finished)
		if r.Seq != want {
			return fail(fmt.Errorf("%w: record %d is missing", core.ErrCorrupt, want))
		}
		s.next = stepKey + 1
		if got := sum(stepKey, &r); got != stored {
			return fail(fmt.Errorf("%w: record %d has checksum %08x, stored with it is %08x", core.ErrCorrupt, r.Seq, got, stored))
		}
		if r.State != nil {
			s.State = r.State
		}
		switch {
		case r.Seq == 0:
			s.Start.State = r.State
		case r.Path != "": // without one it is the state at the end
			s.Steps = append(s.Steps, r)
		}
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	if s.State == nil {
		return fail(fmt.Errorf("%w: no state is stored", core.ErrCorrupt))
	}
	if s.Answers, err = loadAnswers(ctx, tx, s.id); err != nil {
		return fail(err)
	}
	return s, nil
}

func loadAnswers(ctx context.Context, tx queries, run int64) (answers []core.AnswerRecord, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT token, answer, at, sum FROM answers WHERE run = ? ORDER BY at, token`, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a core.AnswerRecord
		var at, stored int64
		if err := rows.Scan(&a.Token, &a.Answer, &at, &stored); err != nil {
			return nil, err
		}
		a.Time = instant(at)
		if got := sumAnswer(run, &a); got != stored {
			return nil, fmt.Errorf("%w: the answer to token %q has checksum %08x, stored with it is %08x", core.ErrCorrupt, a.Token, got, stored)
		}
		answers = append(answers, a)
	}
	return answers, rows.Err()
}

func instant(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }

// Durability is what a save survives, read back from the connection that makes
// them. Where the database is not in WAL mode, or its saves are left to the operating
// system, that is an error.
func (b *Backend) Durability() (Durability, error) {
	b.writing.Lock()
	defer b.writing.Unlock()
	if b.closed.Load() {
		return "", core.ErrClosed
	}
	read := func(name string) (string, error) {
		v, err := queryValue(context.Background(), b.w.conn, "PRAGMA "+name)
		return fmt.Sprint(v), err
	}
	mode, err := read("journal_mode")
	if err != nil {
		return "", err
	}
	level, err := read("synchronous")
	if err != nil {
		return "", err
	}
	for _, d := range []Durability{Power, Process} {
		if want, err := d.synchronous(); err == nil && level == want && mode == "wal" {
			return d, nil
		}
	}
	return "", fmt.Errorf("database %s: journal_mode is %q and synchronous %s: nothing is durable", b.path, mode, level)
}

// Counts implements [core.Backend].
func (b *Backend) Counts() core.Counts {
	return core.Counts{Saves: b.saves.Load(), Claims: b.claims.Load(), Commits: b.commits.Load()}
}

// Close implements [core.Backend]. It waits for a save under way. Closing again does
// nothing.
func (b *Backend) Close() error { return b.close(func() error { return nil }) }

// Discard closes a database that is about to be deleted: what its log holds is not
// synced into the file any more, which takes most of the time of [Backend.Close].
func (b *Backend) Discard() error { return b.close(b.w.careless) }

// close closes the files, the first time, behind what is to be done before.
func (b *Backend) close(before func() error) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	if b.closed.Swap(true) {
		return nil
	}
	return errors.Join(before(), b.readers.Close(), b.w.close())
}

// code is SQLite's extended result code, 0 where err is of another kind.
func code(err error) int {
	var e *driversqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}
